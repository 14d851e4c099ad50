// Draws the figures of the chosen group when the browser has time.

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
const chooser = document.querySelector(".chooser"); // of the group that is shown
let group = 0;
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
  const packed = page.figures[plot.dataset.figure][group];
  document.getElementById(`says-${plot.dataset.figure}`).textContent = page.says[plot.dataset.figure][group];
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

// a browser that has nothing to paint may call nobody, so waiting has an end
const later = (work) => (window.requestIdleCallback ? requestIdleCallback(work, { timeout: 100 }) : setTimeout(work, 1));

function draw() {
  waiting = [...plots];
  drawNext();
}

function showGroup(chosen) {
  group = chosen;
  for (const part of document.querySelectorAll("[data-group]")) part.hidden = Number(part.dataset.group) !== group;
  draw();
}

function startGroups() {
  if (!chooser) return draw();
  chooser.hidden = false;
  chooser.addEventListener("change", (event) => showGroup(Number(event.target.value)));
  showGroup(Number(new FormData(chooser).get("group")));
}

function drawAtWidth(width) {
  while (waiting.length) drawOne(waiting.shift());
  for (const plot of plots.filter((each) => each._fullLayout)) {
    const share = plot.parentElement.classList.contains("full") ? 1 : 0.47;
    Plotly.relayout(plot, width === null ? { width: null, autosize: true } : { width: width * share });
  }
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
