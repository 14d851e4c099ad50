// Draws the figures of the chosen group when the browser has time. Makes tables sort, filter and copy.

const read = (id) => JSON.parse(document.getElementById(id).textContent);
const page = { ...read("page-figures"), tooltips: read("page-tooltips") };

// arrays, and parts of the look that figures share, are stored once: a figure has their index
function unpack(value) {
  if (Array.isArray(value)) return value.map(unpack);
  if (value === null || typeof value !== "object") return value;
  if (typeof value.$ === "number") return unpack(page.arrays[value.$]);
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, unpack(item)]));
}

const isNarrow = () => innerWidth < 640;
const plots = [...document.querySelectorAll(".plot")];
const chooser = document.querySelector(".chooser select"); // of the group that is shown
let waiting = [];

// on a phone the names of rows stand above their bars, which leaves room to draw
function fitToScreen(figure) {
  const layout = figure.layout;
  layout.font.color = getComputedStyle(document.body).color;
  const rows = layout.yaxis && layout.yaxis.categoryarray;
  if (isNarrow() && rows) {
    const above = { x: 0, xref: "paper", xanchor: "left", yshift: 17, showarrow: false, font: { size: 10 } };
    layout.annotations = rows.map((name) => ({ ...above, y: name, text: name }));
    layout.yaxis = { ...layout.yaxis, showticklabels: false, range: [-0.6, rows.length - 0.3] };
    layout.height += 14 * rows.length + 18 * figure.data.filter((trace) => trace.showlegend !== false).length;
    for (const trace of figure.data) if (trace.type === "bar") trace.width = 0.45;
  }
  return figure;
}

// two selects above a figure, added when it is first drawn
function axesOf(plot, titles) {
  if (!plot.axes) {
    const tools = document.createElement("p");
    tools.className = "tools";
    plot.before(tools);
    plot.axes = ["across", "up"].map((name, place) => {
      const label = document.createElement("label");
      const select = document.createElement("select");
      select.ariaLabel = name;
      select.addEventListener("change", () => drawOne(plot));
      label.append(`${name} `, select);
      tools.append(label);
      select.wanted = Object.keys(titles)[place];
      return select;
    });
  }
  return plot.axes.map((select) => {
    const before = select.value || select.wanted;
    select.replaceChildren(...Object.entries(titles).map(([name, title]) => new Option(title, name)));
    select.value = before in titles ? before : Object.keys(titles)[0];
    return select.value;
  });
}

// put the figure on the chosen axes; a point is pale where another is at least as good in both and better in one
function onAxes(plot, figure) {
  const { axes, more, faded } = figure.layout.meta;
  const [across, up] = axesOf(plot, axes);
  const cost = (trace, name) => trace.meta[name].map((x) => (more.includes(name) && x !== null ? -x : x));
  const costs = figure.data.map((trace) => {
    const ups = cost(trace, up);
    return cost(trace, across).map((x, place) => [x, ups[place]]);
  });
  const all = costs.flat().filter(([x, y]) => x !== null && y !== null);
  const beaten = ([x, y]) => all.some(([a, b]) => a <= x && b <= y && (a < x || b < y));
  for (const [place, trace] of figure.data.entries()) {
    [trace.x, trace.y] = [trace.meta[across], trace.meta[up]];
    trace.marker.opacity = costs[place].map((point) => (beaten(point) ? faded : 1));
  }
  figure.layout.xaxis.title = { text: axes[across] };
  figure.layout.yaxis.title = { text: axes[up] };
}

function drawOne(plot) {
  const packed = page.figures[plot.dataset.figure][chooser ? Number(chooser.value) : 0];
  plot.hidden = packed === null;
  plot.parentElement.querySelector(".none").hidden = packed !== null;
  if (plot.axes) plot.axes[0].closest("p").hidden = packed === null;
  if (packed === null) return;
  const figure = fitToScreen(unpack(packed));
  if (figure.layout.meta) onAxes(plot, figure);
  Plotly.react(plot, figure.data, figure.layout, { displayModeBar: false, responsive: true });
}

function drawNext() {
  const plot = waiting.shift();
  if (!plot) return;
  drawOne(plot);
  later(drawNext);
}

const later = window.requestIdleCallback || ((work) => setTimeout(work, 1));

function draw() {
  waiting = [...plots];
  drawNext();
}

function showGroup(select) {
  const title = select.options[select.selectedIndex].text;
  for (const row of document.querySelectorAll("tr[data-group]")) row.hidden = row.dataset.group !== title;
  draw();
}

const value = (cell) => (cell.dataset.v === undefined ? cell.textContent.trim() : Number(cell.dataset.v));

function compare(one, other) {
  if (typeof one === "number" && typeof other === "number") return one - other;
  if (typeof one === typeof other) return one.localeCompare(other, undefined, { numeric: true });
  return typeof one === "number" ? -1 : 1; // what was not measured comes last
}

function makeSortable(table) {
  const body = table.tBodies[0];
  for (const [column, head] of [...table.tHead.rows[0].cells].entries()) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const rises = head.getAttribute("aria-sort") !== "ascending";
      for (const each of table.tHead.rows[0].cells) each.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", rises ? "ascending" : "descending");
      const rows = [...body.rows].map((row) => [value(row.cells[column]), row]);
      rows.sort(([a], [b]) => {
        const order = compare(a, b);
        return rises || typeof a !== typeof b ? order : -order;
      });
      body.append(...rows.map(([, row]) => row));
    });
  }
}

const cellText = (cell) => cell.innerText.trim().replace(/\s*\n\s*/g, " ");
// a quote stands before a text that a spreadsheet would take for a formula
const notFormula = (text) => (/^[=+@-]/.test(text) && isNaN(text) ? `'${text}` : text);
const quoted = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
const csvField = (text) => quoted(notFormula(text));

function tableText(table, form) {
  const rows = [...table.rows].filter((row) => !row.hidden).map((row) => [...row.cells].map(cellText));
  if (form === "csv") return rows.map((row) => row.map(csvField).join(",")).join("\n");
  const lines = rows.map((row) => `| ${row.map((text) => text.replaceAll("|", "\\|")).join(" | ")} |`);
  lines.splice(1, 0, `|${" --- |".repeat(rows[0].length)}`);
  return lines.join("\n");
}

function addTableTools(tools) {
  const table = tools.parentElement.querySelector("table.filterable");
  const status = tools.querySelector("[role=status]");
  tools.hidden = false;
  tools.querySelector("input").addEventListener("input", (event) => {
    const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of table.tBodies[0].rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      shown += !row.hidden;
    }
    status.textContent = words.length ? `${shown} of ${table.tBodies[0].rows.length} cells` : "";
  });
  for (const button of tools.querySelectorAll("[data-copy]")) {
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(tableText(table, button.dataset.copy));
      status.textContent = "copied";
    });
  }
}

// the tooltip of each number: its meaning, scope and basis
function addTooltips() {
  for (const cell of document.querySelectorAll("[data-m]")) cell.title = page.tooltips[cell.dataset.m];
}

document.querySelectorAll("table.sortable").forEach(makeSortable);
document.querySelectorAll(".tools").forEach(addTableTools);
if (chooser) {
  document.querySelector(".chooser").hidden = false;
  chooser.addEventListener("change", () => showGroup(chooser));
  showGroup(chooser);
} else {
  draw();
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
// the width of paper in pixels: nothing tells it at the time of printing
const PAPER = 700;
function drawAtWidth(width) {
  while (waiting.length) drawOne(waiting.shift());
  for (const plot of plots.filter((each) => each._fullLayout)) {
    const share = plot.parentElement.classList.contains("full") ? 1 : 0.485;
    Plotly.relayout(plot, width === null ? { width: null, autosize: true } : { width: width * share });
  }
}
addEventListener("beforeprint", () => drawAtWidth(PAPER));
addEventListener("afterprint", () => drawAtWidth(null));
later(addTooltips);
