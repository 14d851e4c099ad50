// Draws the figures of the chosen group. Figures near the screen are drawn at once. On a page with few figures, the others
// follow after the first frame. On a large page, they follow when the browser has time.

const read = (id) => JSON.parse(document.getElementById(id).textContent);
const page = { ...read("page-figures"), tooltips: read("page-tooltips"), shelf: read("page-shelf") };

// what figures share is stored once. A part is a shape with its children: indices of arrays, and other parts
const copy = (value) => JSON.parse(JSON.stringify(value));
function unpack([shape, ...children]) {
  const [constant, keys] = page.shapes[shape];
  return { ...copy(constant), ...Object.fromEntries(keys.map((key, place) => [key, unpackChild(children[place])])) };
}
function unpackChild(child) {
  if (typeof child === "number") return copy(page.arrays[child]);
  return Array.isArray(child) ? unpack(child) : child["*"].map(unpack);
}

const isNarrow = () => innerWidth < 640;
const plots = [...document.querySelectorAll(".plot")];
const chooser = document.querySelector(".chooser"); // of the group that is shown
let group = 0;
let waiting = new Set(); // figures that are not drawn yet
let rest = 0; // the timer for the figures outside of the screen
const PAUSE = 250; // milliseconds for the first screen, before figures outside of it are drawn
// a page with at most FEW figures draws them without a pause, for at most TOGETHER milliseconds: a picture of the page has all
const FEW = 20, TOGETHER = 1500;

// names of rows that would take half of the width stand above their bars, which leaves room to draw
const NAME_LETTER = 6.6, MOST_OF_WIDTH = 0.4;
const isTooWide = (names, width) => Math.max(...names.map((name) => name.length)) * NAME_LETTER > MOST_OF_WIDTH * width;

function fitToScreen(figure, width) {
  const layout = figure.layout;
  layout.font.color = getComputedStyle(document.body).color;
  const rows = layout.yaxis && layout.yaxis.categoryarray;
  if (rows && (isNarrow() || isTooWide(rows, width))) {
    const above = { x: 0, xref: "paper", xanchor: "left", yshift: 17, align: "left", showarrow: false, font: { size: 10 } };
    layout.annotations = rows.map((name) => ({ ...above, y: name, text: name }));
    layout.yaxis = { ...layout.yaxis, showticklabels: false, range: [-0.6, rows.length - 0.3] };
    layout.height += 14 * rows.length + 18 * figure.data.filter((trace) => trace.showlegend !== false).length;
    for (const trace of figure.data) if (trace.type === "bar") trace.width = 0.36;
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
  const { axes, more, log, logAxis, faded } = figure.layout.meta;
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
    trace.text = trace.text.map((name, at) => (trace.marker.opacity[at] === 1 ? trace.hovertext[at] : name));
  }
  for (const [axis, name] of [["xaxis", across], ["yaxis", up]]) {
    if (log.includes(name)) Object.assign(figure.layout[axis], logAxis);
    figure.layout[axis].title = { text: log.includes(name) ? `${axes[name]}, log scale` : axes[name] };
  }
}

// names beside points: each takes the first place where it covers no other name and no point. A pale point without such
// a place has no name: a mouse shows it
const LETTER = 5.7, LINE = 13, POINT = 7, AROUND = 0.06;
const PLACES = ["top center", "bottom center", "middle right", "middle left", "top right", "top left", "bottom right", "bottom left"];

// where a value of an axis is in pixels: about, because plotly knows only when it has drawn
function pixels(axis, values, size) {
  const scale = axis.type === "log" ? Math.log10 : Number;
  const all = [...values, ...((axis.autorangeoptions || {}).include || [])].map(scale);
  const low = Math.min(...all);
  const span = Math.max(...all) - low || 1;
  return (value) => ((scale(value) - low) / span) * size * (1 - 2 * AROUND) + size * AROUND;
}

function boxOfName(point, place) {
  const [up, along] = place.split(" ");
  const width = LETTER * point.name.length;
  const gap = up === "middle" ? POINT + 2 : 0;
  const left = { left: point.x - width - gap, right: point.x + gap, center: point.x - width / 2 }[along];
  const top = { top: point.y - POINT - LINE, bottom: point.y + POINT, middle: point.y - LINE / 2 }[up];
  return [left, top, left + width, top + LINE];
}

const overlap = (a, b) =>
  Math.max(0, Math.min(a[2], b[2]) - Math.max(a[0], b[0])) * Math.max(0, Math.min(a[3], b[3]) - Math.max(a[1], b[1]));

function placeNames(plot, figure) {
  const named = figure.data.filter((trace) => trace.hovertext);
  if (!named.length) return;
  const points = named.flatMap((trace) =>
    trace.text.map((name, at) => ({ trace, at, name, x: trace.x[at], y: trace.y[at], opacity: trace.marker.opacity[at] })),
  ).filter(({ x, y }) => x !== null && y !== null);
  const [width, height] = [plot.clientWidth - 80, figure.layout.height - 60];
  const across = pixels(figure.layout.xaxis, points.map(({ x }) => x), width);
  const up = pixels(figure.layout.yaxis, points.map(({ y }) => y), height);
  for (const point of points) [point.x, point.y] = [across(point.x), height - up(point.y)];
  const taken = points.map(({ x, y }) => [x - POINT, y - POINT, x + POINT, y + POINT]);
  // only a name that must be there may cover the numbers of the axis
  const outside = ([left, , right], isPale) => Math.max(0, (isPale ? 0 : -40) - left) + Math.max(0, right - width - 12);
  for (const trace of named) trace.textposition = trace.text.map(() => PLACES[0]);
  for (const point of [...points].sort((a, b) => b.opacity - a.opacity)) {
    if (!point.name) continue;
    const choices = PLACES.map((place) => [place, boxOfName(point, place)]);
    const covers = (box) => taken.reduce((sum, other) => sum + overlap(box, other), outside(box, point.opacity < 1) * LINE);
    const costs = choices.map(([, box]) => covers(box));
    const best = costs.indexOf(Math.min(...costs));
    if (costs[best] > 0 && point.opacity < 1) point.trace.text[point.at] = "";
    else {
      point.trace.textposition[point.at] = choices[best][0];
      taken.push(choices[best][1]);
    }
  }
}

// plotly is a text until the first figure is drawn: to run it takes longer than all else on the page
function startPlotly() {
  if (window.Plotly) return;
  const script = document.createElement("script");
  script.textContent = document.getElementById("page-plotly").textContent;
  document.body.append(script);
}

// gives a figure its sentences and its height before it is drawn, so that nothing moves later
function prepare(plot) {
  const packed = page.figures[plot.dataset.figure][group];
  const [first, ...others] = page.sentences[page.says[plot.dataset.figure][group]].split("\n");
  const strong = document.createElement("strong");
  strong.textContent = first;
  document.getElementById(`says-${plot.dataset.figure}`).replaceChildren(strong, ` ${others.join(" ")}`);
  plot.hidden = packed === null;
  plot.parentElement.querySelector(".none").hidden = packed !== null;
  if (plot.axes) plot.axes[0].closest("p").hidden = packed === null;
  if (packed !== null && !plot._fullLayout) plot.style.minHeight = `${unpack(packed).layout.height}px`;
}

function drawOne(plot) {
  waiting.delete(plot);
  const packed = page.figures[plot.dataset.figure][group];
  if (packed === null) return;
  const figure = fitToScreen(unpack(packed), plot.clientWidth);
  if (figure.layout.meta) onAxes(plot, figure);
  placeNames(plot, figure);
  startPlotly();
  Plotly.react(plot, figure.data, figure.layout, { displayModeBar: false, responsive: true });
  plot.style.minHeight = "";
}

// without IntersectionObserver, all figures are drawn when the browser has time
const near = window.IntersectionObserver && new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) if (isIntersecting && waiting.has(target)) drawOne(target);
}, { rootMargin: "50% 0px" });

function drawNext() {
  const [plot] = waiting;
  if (!plot) return;
  drawOne(plot);
  later(drawNext);
}

function drawTogether() {
  const end = performance.now() + TOGETHER;
  for (const plot of waiting) {
    if (performance.now() > end) return;
    drawOne(plot);
  }
}

// a browser that has nothing to paint may call nobody, so waiting has an end
const later = (work) => (window.requestIdleCallback ? requestIdleCallback(work, { timeout: 100 }) : setTimeout(work, 1));

function draw() {
  waiting = new Set(plots);
  plots.forEach(prepare);
  near?.disconnect();
  for (const plot of plots) near?.observe(plot);
  if (plots.length <= FEW) requestAnimationFrame(() => setTimeout(drawTogether));
  clearTimeout(rest);
  rest = setTimeout(() => later(drawNext), PAUSE);
}

// what a group shows is put in place when it is first chosen
function takeFromShelf(part) {
  const [pattern, ...own] = page.shelf.parts[part.dataset.shelf];
  part.innerHTML = page.shelf.patterns[pattern].map((piece) => page.shelf.pieces[piece ?? own.shift()]).join("");
  delete part.dataset.shelf;
  foldRanks(part);
  addPanels(part);
}

function showGroup(chosen) {
  group = chosen;
  for (const part of document.querySelectorAll("[data-group]")) {
    part.hidden = Number(part.dataset.group) !== group;
    if (!part.hidden && part.dataset.shelf !== undefined) takeFromShelf(part);
  }
  draw();
}

function startGroups() {
  if (!chooser) return draw();
  chooser.hidden = false;
  chooser.addEventListener("change", (event) => showGroup(Number(event.target.value)));
  showGroup(Number(new FormData(chooser).get("group")));
}

function drawAtWidth(width) {
  for (const plot of waiting) drawOne(plot);
  for (const plot of plots.filter((each) => each._fullLayout)) {
    const share = plot.parentElement.classList.contains("full") ? 1 : 0.47;
    Plotly.relayout(plot, width === null ? { width: null, autosize: true } : { width: width * share });
  }
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
