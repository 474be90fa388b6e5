// Values of the curves under the pointer, and curves that a click in a legend hides everywhere on the page.
{
  const plots = [...document.querySelectorAll("svg[data-plot]")];
  const off = new Set();
  const readout = document.createElement("div");
  readout.className = "readout";
  readout.hidden = true;
  document.body.append(readout);

  const vertices = group => {
    const marks = [...group.querySelectorAll("use")].map(use => [Number(use.getAttribute("x")), Number(use.getAttribute("y"))]);
    if (marks.length) return { points: marks, discrete: true };
    const path = group.querySelector("path")?.getAttribute("d") ?? "";
    return { points: [...path.matchAll(/[ML] (\S+) (\S+)/g)].map(([, x, y]) => [Number(x), Number(y)]), discrete: false };
  };
  const height = ({ points, discrete }, x, reach) => {
    if (discrete) {
      const near = points.reduce((best, point) => (Math.abs(point[0] - x) < Math.abs(best[0] - x) ? point : best));
      return Math.abs(near[0] - x) <= reach ? near[1] : undefined;
    }
    const next = points.findIndex((point, number) => number && point[0] >= x);
    if (next < 1 || points[next - 1][0] > x) return undefined;
    const [[left, low], [right, high]] = [points[next - 1], points[next]];
    return right > left ? low + ((high - low) * (x - left)) / (right - left) : high;
  };
  const value = (share, [low, high, scale]) =>
    scale === "log" ? low * (high / low) ** share : low + (high - low) * share;
  const text = number => (Math.abs(number) >= 1e4 ? Math.round(number).toLocaleString("en") : String(Number(number.toPrecision(4))));
  const line = (colour, words) => {
    const row = readout.appendChild(document.createElement("div"));
    if (colour) {
      const swatch = row.appendChild(document.createElement("span"));
      swatch.className = "swatch";
      swatch.style.background = colour;
    }
    row.append(words);
  };

  for (const svg of plots) {
    const { axes, names } = JSON.parse(svg.dataset.plot);
    const curves = [...svg.querySelectorAll('[data-part="value"]')].map(group => ({
      series: group.dataset.series,
      drawn: group.querySelector("use, path"),
      axes: Number(group.closest('[id*="-axes_"]').id.split("_").pop()) - 1,
      ...vertices(group),
    }));
    const guide = svg.appendChild(document.createElementNS(svg.namespaceURI, "line"));
    guide.setAttribute("class", "guide");
    const hide = () => {
      readout.hidden = true;
      guide.style.display = "none";
    };
    const show = event => {
      const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
      const number = axes.findIndex(box => x >= box.left && x <= box.right && y >= box.top && y <= box.bottom);
      if (number < 0) return hide();
      const box = axes[number], width = box.right - box.left;
      const rows = curves.flatMap(curve => {
        if (curve.axes !== number || off.has(curve.series) || !curve.points.length) return [];
        const at = height(curve, x, width / 25);
        return at === undefined ? [] : [[curve, (box.bottom - at) / (box.bottom - box.top)]];
      });
      if (!rows.length) return hide();
      readout.replaceChildren();
      line("", `${box.label} ${text(value((x - box.left) / width, box.x))}`);
      for (const [{ series, drawn }, share] of rows) {
        line(getComputedStyle(drawn).stroke, `${names[series]}: ${text(value(share, box.y))}`);
      }
      readout.hidden = false;
      const beside = event.clientX + 14 + readout.offsetWidth < innerWidth;
      readout.style.left = `${beside ? event.clientX + 14 : Math.max(4, event.clientX - 14 - readout.offsetWidth)}px`;
      readout.style.top = `${Math.max(4, Math.min(event.clientY + 14, innerHeight - readout.offsetHeight - 4))}px`;
      for (const [name, place] of Object.entries({ x1: x, x2: x, y1: box.top, y2: box.bottom })) guide.setAttribute(name, place);
      guide.style.display = "";
    };
    hide();
    svg.addEventListener("pointermove", show);
    svg.addEventListener("pointerdown", show);
    svg.addEventListener("pointerleave", hide);
  }

  const update = () => {
    for (const part of document.querySelectorAll("svg [data-series]")) {
      const hidden = off.has(part.dataset.series);
      if (part.dataset.part === "key") part.style.opacity = hidden ? 0.35 : "";
      else part.style.display = hidden ? "none" : "";
      if (part.role === "switch") part.ariaChecked = String(!hidden);
    }
  };
  for (const key of document.querySelectorAll('svg [data-part="key"]')) {
    const toggle = () => {
      if (!off.delete(key.dataset.series)) off.add(key.dataset.series);
      update();
    };
    key.classList.add("key");
    key.addEventListener("click", toggle);
    if (!key.querySelector("text")) continue;
    key.closest("svg").setAttribute("role", "group");
    key.setAttribute("role", "switch");
    key.setAttribute("tabindex", "0");
    key.setAttribute("aria-checked", "true");
    key.addEventListener("keydown", event => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      toggle();
    });
  }
  if (plots.length) {
    const hint = document.createElement("p");
    hint.className = "hint";
    hint.textContent = "Point at a figure to read values; click a name in a legend to hide it in all figures, and again to show it.";
    plots[0].closest(".figures")?.before(hint);
  }
}
