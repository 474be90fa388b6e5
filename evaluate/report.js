addEventListener("beforeprint", () => document.querySelectorAll("details").forEach(details => details.open = true));
for (const button of document.querySelectorAll(".sortable th button")) {
  button.addEventListener("click", () => {
    const head = button.closest("th"), body = head.closest("table").tBodies[0];
    const direction = head.ariaSort === "ascending" ? -1 : 1;
    const value = row => row.cells[head.cellIndex].dataset.value ?? row.cells[head.cellIndex].textContent;
    const order = (a, b) => (a - b) || (isNaN(a - b) ? String(a).localeCompare(b, undefined, { numeric: true }) : 0);
    for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
    head.ariaSort = direction > 0 ? "ascending" : "descending";
    body.append(...[...body.rows].sort((a, b) => direction * order(value(a), value(b))));
  });
}
