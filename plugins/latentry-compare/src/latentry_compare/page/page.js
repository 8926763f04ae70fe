"use strict";
const one = (selector) => document.querySelector(selector);

// the table of figures: a heading sorts by its column, and again the other way round
const body = one("#figures tbody");
const value = (row, column) => {
  const cell = row.cells[column];
  if (cell.dataset.value === undefined) return cell.textContent.trim();
  return cell.dataset.value === "" ? Infinity : Number(cell.dataset.value);
};
const order = (a, b) => (typeof a === "number" ? a - b || 0 : a.localeCompare(b));
for (const [column, heading] of [...one("#figures thead tr").cells].entries()) {
  heading.firstElementChild.addEventListener("click", () => {
    const falling = heading.ariaSort === "ascending";
    for (const other of heading.parentElement.cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", falling ? "descending" : "ascending");
    const sorted = [...body.rows].sort((a, b) => order(value(a, column), value(b, column)));
    body.append(...(falling ? sorted.reverse() : sorted));
  });
}

// the grid: one stop of the Tab key, arrows within it, and a picture beside its reference when it is chosen
const rows = [...one("#grid tbody").rows];
const grid = rows.map((row) => [...row.cells].slice(1).map((cell) => cell.querySelector("button")));
const large = one("#large");
const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
let [row, column] = [0, 0];

function move(down, right) {
  let [y, x] = [row + down, column + right];
  while (grid[y]?.[x] === null) [y, x] = [y + down, x + right];
  if (grid[y]?.[x]) go(y, x);
}
function go(y, x) {
  if (grid[row][column]) grid[row][column].tabIndex = -1;
  [row, column] = [y, x];
  grid[row][column].tabIndex = 0;
  if (large.open) show();
  else grid[row][column].focus();
}
function show() {
  const button = grid[row][column];
  const image = button.firstElementChild;
  const reference = rows.findIndex((each) => each.id === rows[row].dataset.against);
  const other = grid[reference]?.[column]?.firstElementChild;
  const { file, distance } = button.dataset;
  one("#large-title").textContent = image.alt;
  Object.assign(one("#large-this"), { src: image.src, alt: image.alt });
  one("#large-words").textContent = distance && other ? `${distance} away from the reference` : "";
  one("#large-beside").hidden = !other;
  if (other) Object.assign(one("#large-other"), { src: other.src, alt: other.alt });
  one("#large-again").textContent = `latentry generate --from ${file}`;
  if (!large.open) large.showModal();
}
document.addEventListener("keydown", (event) => {
  const step = steps[event.key];
  if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
  if (!large.open && !event.target.closest("#grid button")) return;
  event.preventDefault();
  move(...step);
});
for (const [y, buttons] of grid.entries()) {
  for (const [x, button] of buttons.entries()) {
    button?.addEventListener("click", () => { go(y, x); show(); });
  }
}
large.addEventListener("click", (event) => { if (event.target === large) large.close(); });
large.addEventListener("close", () => grid[row][column].focus());
const start = grid.flatMap((buttons, y) => buttons.map((button, x) => [button, y, x])).find(([button]) => button);
if (start) { [row, column] = start.slice(1); start[0].tabIndex = 0; }
