const content = JSON.parse(document.getElementById("content").textContent);
const element = (name, text, parent) => {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (parent) parent.append(made);
  return made;
};
const bytes = text => Uint8Array.from(atob(text), letter => letter.charCodeAt(0)).buffer;
const shown = (value, digits = 4) => String(Number(value.toPrecision(digits)));
const maps = content.maps;

// Where a value is on its colour scale, from 0 to 1.
function place(scale, value) {
  const share = scale.kind === "log" ? Math.log(value / scale.low) / Math.log(scale.high / scale.low)
    : scale.kind === "linear" ? value / scale.high
    : (Math.asinh(value / scale.low) / Math.asinh(scale.high / scale.low) + 1) / 2;
  return Math.min(1, Math.max(0, share));
}
function colour(scale, value) {
  const colours = maps[scale.map];
  return colours[Math.round((value > 0 || scale.kind !== "log" ? place(scale, value) : 0) * (colours.length - 1))];
}

// Draws the hits of an image, [row, column, value], upwards and to the right; the strongest ones last.
function paint(canvas, shape, hits, scale, least) {
  const [rows, columns] = shape, size = Math.max(1, Math.floor(640 / Math.max(rows, columns)));
  canvas.width = columns * size;
  canvas.height = rows * size;
  const context = canvas.getContext("2d"), side = Math.max(size, Math.ceil(least * canvas.width / 640));
  const shift = (side - size) / 2;
  context.fillStyle = content.panel;  // not of a style sheet, whose backgrounds are often not printed
  context.fillRect(0, 0, canvas.width, canvas.height);
  for (const [row, column, value] of [...hits].sort((a, b) => Math.abs(a[2]) - Math.abs(b[2]))) {
    context.fillStyle = colour(scale, value);
    context.fillRect(column * size - shift, (rows - 1 - row) * size - shift, side, side);
  }
}

// Whole numbers of cells from the seed along a side, about five of them.
function cellTicks(side, seed, block) {
  const cells = side * block, step = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000].find(step => cells / step <= 6) ?? cells;
  const ticks = [];
  for (let cell = -Math.floor(seed / step) * step; cell + seed < cells; cell += step) ticks.push([cell, (cell + seed + 0.5) / cells]);
  return ticks;
}

// An image with axes in cells from the seed and a colour bar; `read` returns the value of a cell.
function panel(box, { shape, hits, scale, block = 1, least = 0, read, output }) {
  box.replaceChildren();
  const [rows, columns] = shape, stretched = Math.max(rows, columns) > 4 * Math.min(rows, columns);
  const eta = element("div", undefined, box), cells = element("div", undefined, box), bar = element("div", undefined, box);
  const phi = element("div", undefined, box);
  [eta.className, cells.className, bar.className, phi.className] = ["eta", "cells", "bar", "phi"];
  cells.style.aspectRatio = stretched ? "1" : `${columns} / ${rows}`;
  paint(element("canvas", undefined, cells), shape, hits, scale, least);
  for (const [cell, share] of cellTicks(rows, content.seed[0], block)) element("span", cell, eta).style.bottom = `${100 * share}%`;
  for (const [cell, share] of cellTicks(columns, content.seed[1], block)) element("span", cell, phi).style.left = `${100 * share}%`;
  element("b", "ieta from the seed", eta);
  element("b", "iphi from the seed", phi);
  const strip = element("canvas", undefined, bar), colours = maps[scale.map];
  [strip.width, strip.height] = [1, colours.length];
  colours.forEach((colour, index) => {
    const context = strip.getContext("2d");
    context.fillStyle = colour;
    context.fillRect(0, colours.length - 1 - index, 1, 1);
  });
  for (const tick of scale.ticks) element("span", shown(tick), bar).style.bottom = `${100 * place(scale, tick)}%`;
  cells.addEventListener("pointermove", event => {
    const frame = cells.getBoundingClientRect();
    const row = rows - 1 - Math.floor((event.clientY - frame.top) / frame.height * rows);
    const column = Math.floor((event.clientX - frame.left) / frame.width * columns);
    if (row < 0 || column < 0 || row >= rows || column >= columns) return;
    cells.title = `ieta ${row * block - content.seed[0]}, iphi ${column * block - content.seed[1]}: ${shown(read(row, column))}`;
  });
}

for (const box of document.querySelectorAll("[data-picture]")) {
  const { shape, scale, values, block } = content.pictures[box.dataset.picture], numbers = new Float32Array(bytes(values));
  const hits = Array.from(numbers, (value, index) => [Math.floor(index / shape[1]), index % shape[1], value]);
  panel(box, { shape, scale, hits: hits.filter(hit => hit[2]), read: (row, column) => numbers[row * shape[1] + column], block });
}

const gallery = content.gallery, find = name => document.getElementById(name);
const value = new Float32Array(bytes(gallery.value));
const position = new (gallery.bytes === 2 ? Uint16Array : Uint32Array)(bytes(gallery.position));
const channels = gallery.shape[2], PAGE = 12;
let matching = [], current = 0;

function hitsOf(image, channel) {
  const hits = [];
  for (let index = gallery.offset[image]; index < gallery.offset[image + 1]; index++) {
    if (position[index] % channels !== channel) continue;
    const cell = Math.floor(position[index] / channels);
    hits.push([Math.floor(cell / gallery.shape[1]), cell % gallery.shape[1], value[index] * content.scale[channel]]);
  }
  return hits;
}
const unit = content.total.unit ? ` ${content.total.unit}` : "";
const nameOf = image => `${content.classes[image.label]}, ${gallery.splits[image.split]}, ${shown(image.energy)}${unit}`;

function draw() {
  const channel = Number(find("channel")?.value ?? 0), first = Math.floor(current / PAGE) * PAGE;
  const focused = find("thumbnails").contains(document.activeElement);
  find("thumbnails").replaceChildren(...matching.slice(first, first + PAGE).map((number, index) => {
    const item = element("li"), button = element("button", undefined, item);
    button.type = "button";
    paint(element("canvas", undefined, button), gallery.shape, hitsOf(number, channel), gallery.scales[channel], 16);
    const image = gallery.images[number];
    element("span", content.classes[image.label], button);
    element("span", `${gallery.splits[image.split]}, ${shown(image.energy, 3)}${unit}`, button);
    if (first + index === current) button.ariaCurrent = "true";
    button.addEventListener("click", () => step(first + index - current));
    return item;
  }));
  if (focused) find("thumbnails").querySelector("[aria-current]")?.focus();
  find("status").textContent = matching.length ? `Image ${current + 1} of ${matching.length}` : "No image passes the filter";
  find("previous").disabled = current === 0;
  find("next").disabled = current >= matching.length - 1;
  find("facts").replaceChildren();
  find("single").replaceChildren();
  if (!matching.length) return;
  const image = gallery.images[matching[current]];
  const facts = [["class", content.classes[image.label]], ["split", gallery.splits[image.split]],
    [content.total.name, shown(image.energy) + unit], ["hits", image.hits],
    ...content.variables.map(([name, unit], index) => [name, `${image.variables[index]} ${unit}`]),
    ["position in the store", image.sample], ["source", `${image.source}, row ${image.row}`]];
  for (const [name, text] of facts) {
    const item = element("li", undefined, find("facts"));
    element("b", name, item);
    item.append(text);
  }
  content.channels.forEach((name, channel) => {
    const figure = element("figure", undefined, find("single")), hits = hitsOf(matching[current], channel);
    element("figcaption", gallery.scales[channel].label, figure);
    const box = element("div", undefined, figure);
    box.className = "picture";
    box.role = "img";
    box.ariaLabel = `${name} of a single image: ${nameOf(image)}, ${hits.length} cells that are not zero.`;
    const values = new Map(hits.map(([row, column, value]) => [row * gallery.shape[1] + column, value]));
    panel(box, {
      shape: gallery.shape, hits, scale: gallery.scales[channel], block: gallery.block, least: 7,
      read: (row, column) => values.get(row * gallery.shape[1] + column) ?? 0,
    });
  });
}
function step(by) {
  current = Math.min(Math.max(0, current + by), Math.max(0, matching.length - 1));
  draw();
}
function filter() {
  const number = name => find(name).value === "" ? NaN : Number(find(name).value);
  const from = number("from"), to = number("to");
  matching = gallery.images.map((_, index) => index).filter(index => {
    const { label, split, energy } = gallery.images[index];
    return (find("class").value === "" || label === Number(find("class").value))
      && (find("split").value === "" || split === Number(find("split").value))
      && !(energy < from) && !(energy > to);
  });
  current = 0;
  draw();
}
for (const name of ["class", "split", "from", "to"]) find(name).addEventListener("input", filter);
find("channel")?.addEventListener("input", draw);
find("previous").addEventListener("click", () => step(-1));
find("next").addEventListener("click", () => step(1));
find("gallery").addEventListener("keydown", event => {
  if (["SELECT", "INPUT"].includes(event.target.tagName) || !["ArrowLeft", "ArrowRight"].includes(event.key)) return;
  event.preventDefault();
  step(event.key === "ArrowLeft" ? -1 : 1);
});
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach(details => details.open = true));
filter();
