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

// names beside points need more height if there is little width
const LITTLE_WIDTH = 420, MORE_HEIGHT = 1.25;

// names of a legend, and of stages, are about as wide as their letters
const LEGEND_LETTER = 6.2, LEGEND_LINE = 19, LEGEND_COLUMNS = 3, SYMBOL = 48;
const SMALL_LETTER = 5.7, SMALL_LINE = 12, MOST_NAME_ROWS = 3;

const roomOf = ({ margin }, width) => width - margin.l - margin.r;

// a narrow legend has more rows than the height allows for: the height grows, not the room for the values shrinks
function fitLegend({ data, layout }, width) {
  const names = data.filter((trace) => trace.showlegend !== false).map((trace) => (trace.name || "").length);
  if (layout.showlegend === false || names.length < 2) return;
  const columns = Math.max(1, Math.floor(roomOf(layout, width) / (Math.max(...names) * LEGEND_LETTER + SYMBOL)));
  const isBelow = layout.legend.yref === "container"; // the margin has room for two columns
  const more = Math.ceil(names.length / columns) - Math.ceil(names.length / (isBelow ? 2 : LEGEND_COLUMNS));
  if (more <= 0 && !isBelow) return;
  layout.height += LEGEND_LINE * more;
  if (isBelow) layout.margin.b += LEGEND_LINE * more;
}

// names of bands stand in rows above the figure, so that none covers another one. A tooltip names the stage of a point
function fitStages({ data, layout }, width) {
  const curves = data.filter((trace) => trace.meta && trace.meta.stages);
  for (const trace of curves) {
    const { stages, begin } = trace.meta;
    const stageAt = (second) => stages[begin.findLastIndex((each) => each <= second)];
    trace.text = trace.x.map((second) => (stageAt(second) ? `, ${stageAt(second)}` : ""));
  }
  const names = (layout.annotations || []).filter(({ name }) => name === "band");
  if (!names.length) return;
  const seen = curves.filter(({ visible, x }) => visible === true && x.length).flatMap(({ x }) => [x[0], x.at(-1)]);
  const [low, high] = seen.length ? [Math.min(...seen), Math.max(...seen)] : [0, 1];
  const room = roomOf(layout, width);
  const ends = []; // of the words in each row
  for (const name of names) {
    const words = SMALL_LETTER * name.text.length;
    const begin = ((name.x - low) / (high - low)) * room;
    const left = Math.min(begin, room - words);
    const row = [...Array(MOST_NAME_ROWS).keys()].find((each) => (ends[each] ?? -Infinity) <= left);
    name.visible = row !== undefined;
    if (!name.visible) continue;
    ends[row] = left + words + SMALL_LETTER;
    name.yshift = SMALL_LINE * row;
    if (left < begin) Object.assign(name, { x: high, xanchor: "right" });
  }
  layout.annotations.find(({ name }) => name === "bands").yshift = SMALL_LINE * ends.length;
  layout.margin.t += SMALL_LINE * (ends.length - 1);
  layout.height += SMALL_LINE * (ends.length - 1);
}

// a map on a narrow screen: the colours stand below it, and every column has its name
const TICK_LETTER = 6.2, NARROW_MAP = 560, LEVEL_TICK = 40, FEWEST_TICK = 12;
function fitMap({ data, layout }, width) {
  const map = data.find((trace) => trace.type === "heatmap");
  if (!map) return;
  const longest = (names) => Math.max(...names.map((name) => name.length)) * TICK_LETTER;
  const isBelow = width < NARROW_MAP;
  if (isBelow) {
    Object.assign(map.colorbar, { orientation: "h", x: 0.5, y: 0, yanchor: "top", nticks: 5 });
    map.colorbar.title.side = "top";
    layout.margin.l = 8;
    layout.yaxis.tickfont = { size: 10 };
    layout.height += 40;
  }
  const column = (width - longest(layout.yaxis.ticktext) - (isBelow ? 30 : 100)) / map.x.length;
  if (column < FEWEST_TICK) return;
  Object.assign(layout.xaxis, { tickmode: "array", tickvals: map.x, ticktext: map.x });
  if (column < LEVEL_TICK) {
    layout.xaxis.tickangle = -90;
    layout.height += 0.4 * longest(map.x); // the height allows for names that lean
  }
}

// colours are made for white paper. On a dark screen a dark colour is mixed with white, until it can be seen
const dark = matchMedia("(prefers-color-scheme: dark)");
const LEAST_LIGHT = { bar: 0.13, scatter: 0.18 }; // as relative luminance: lines and points are thin
const LEAST_OVER_BARS = 0.7; // a line over bars must differ from them, too
const WEIGHTS = [0.2126, 0.7152, 0.0722];
const lightOf = (rgb) => rgb.reduce((sum, part, place) => sum + WEIGHTS[place] * (part / 255) ** 2.2, 0);
function lighter(colour, least) {
  if (Array.isArray(colour)) return colour.map((each) => lighter(each, least));
  if (!/^#[0-9a-f]{6}$/i.test(colour)) return colour;
  let rgb = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  while (lightOf(rgb) < least) rgb = rgb.map((part) => part + 0.05 * (255 - part));
  return `rgb(${rgb.map(Math.round)})`;
}
function fitToDark({ data }) {
  const isOverBars = data.some(({ type }) => type === "bar");
  for (const trace of data) {
    const least = isOverBars && trace.type === "scatter" ? LEAST_OVER_BARS : LEAST_LIGHT[trace.type];
    if (least) for (const part of [trace.marker, trace.line]) if (part?.color) part.color = lighter(part.color, least);
  }
}

function fitToScreen(figure, width) {
  const layout = figure.layout;
  layout.font.color = getComputedStyle(document.body).color;
  const rows = layout.yaxis && layout.yaxis.categoryarray;
  const isAbove = rows && (isNarrow() || isTooWide(rows, width));
  if (isAbove) {
    const above = { x: 0, xref: "paper", xanchor: "left", yshift: 17, align: "left", showarrow: false, font: { size: 10 } };
    layout.annotations = [...(layout.annotations || []), ...rows.map((name) => ({ ...above, y: name, text: name }))];
    layout.yaxis = { ...layout.yaxis, showticklabels: false, range: [-0.6, rows.length - 0.3] };
    layout.margin.l = 12;
    delete layout.xaxis?.nticks; // plotly would turn so many numbers
    layout.height += 14 * rows.length;
    for (const trace of figure.data) if (trace.type === "bar") trace.width = 0.36;
  }
  if (figure.data.some((trace) => trace.hovertext) && width < LITTLE_WIDTH) layout.height *= MORE_HEIGHT;
  fitLegend(figure, width);
  fitStages(figure, width);
  fitMap(figure, width);
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

// put the figure on the chosen axes. Of the points that meet the goal, one is faint if another is at least as good in both
// numbers and better in one. The others are joined by the front
function onAxes(plot, figure) {
  const { axes, more, log, logAxis, faded, outside } = figure.layout.meta;
  const [across, up] = axesOf(plot, axes);
  const [front, ...traces] = figure.data;
  const cost = (name, x) => (more.includes(name) ? -x : x);
  const points = traces.flatMap((trace) => trace.hovertext.map((name, at) => {
    const [x, y] = [trace.meta[across][at], trace.meta[up][at]];
    const isJudged = x !== null && y !== null && trace.marker.symbol[at] !== outside;
    return { trace, at, x, y, isJudged, costs: [cost(across, x), cost(up, y)] };
  }));
  const judged = points.filter(({ isJudged }) => isJudged);
  const beats = ([a, b], [x, y]) => a <= x && b <= y && (a < x || b < y);
  const best = judged.filter(({ costs }) => !judged.some((other) => beats(other.costs, costs)));
  for (const trace of traces) {
    [trace.x, trace.y] = [trace.meta[across], trace.meta[up]];
    trace.marker.opacity = trace.marker.symbol.map((symbol) => (symbol === outside ? 1 : faded));
  }
  for (const { trace, at } of best) {
    trace.marker.opacity[at] = 1;
    trace.text[at] = trace.hovertext[at];
  }
  best.sort((one, other) => one.x - other.x);
  [front.x, front.y] = [best.map(({ x }) => x), best.map(({ y }) => y)];
  front.line.shape = more.includes(across) ? "vh" : "hv";
  for (const [axis, name] of [["xaxis", across], ["yaxis", up]]) {
    if (log.includes(name)) Object.assign(figure.layout[axis], logAxis);
    const scale = log.includes(name) ? ", log scale" : "";
    figure.layout[axis].title = { text: `${axes[name]} (${more.includes(name) ? "more" : "less"} is better)${scale}` };
  }
}

// names beside points: each stands where it covers no other name, no point and no number of the axes. A name of
// several words may take several lines. If there are many points, one without such a place has no name: a mouse shows it
const LETTERS = "10px 'Open Sans', verdana, arial, sans-serif"; // as plotly draws them
const LINE = 13, POINT = 7, ASIDE = 8, EDGE = 24, FEW_POINTS = 12, ROUNDS = 6, TRIES = 12, DOTS = 12;
const PLACES = ["top center", "bottom center", "middle right", "middle left", "top right", "top left", "bottom right", "bottom left"];
const pen = document.createElement("canvas").getContext("2d");

// a name in one line, in the two lines that are the shortest, and a word in each line
function nameInLines(name) {
  const words = name.split(" ");
  if (words.length === 1) return [words];
  const pairs = words.slice(1).map((_, at) => [words.slice(0, at + 1).join(" "), words.slice(at + 1).join(" ")]);
  const longest = (pair) => Math.max(...pair.map((line) => line.length));
  const pair = pairs.reduce((least, each) => (longest(each) < longest(least) ? each : least));
  return [[name], pair, ...(words.length > 2 ? [words] : [])];
}

// sets the range of an axis, and says where a value is in pixels. At both ends there is room for a name
function measure(axis, values, size) {
  const scale = axis.type === "log" ? Math.log10 : Number;
  const all = [...values, ...((axis.autorangeoptions || {}).include || [])].map(scale);
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const unit = (high - low || Math.abs(high) / 5 || 1) / Math.max(1, size - 2 * EDGE);
  const middle = (low + high) / 2;
  axis.range = [middle - (unit * size) / 2, middle + (unit * size) / 2];
  return (value) => (scale(value) - middle) / unit + size / 2;
}

function boxOfName({ x, y }, lines, place) {
  const [up, along] = place.split(" ");
  const width = Math.max(...lines.map((line) => pen.measureText(line).width));
  const height = LINE * lines.length;
  const left = { left: x - width - ASIDE, right: x + ASIDE, center: x - width / 2 }[along];
  const top = { top: y - POINT - height, bottom: y + POINT, middle: y - height / 2 }[up];
  return [left, top, left + width, top + height];
}

const overlap = (a, b) =>
  Math.max(0, Math.min(a[2], b[2]) - Math.max(a[0], b[0])) * Math.max(0, Math.min(a[3], b[3]) - Math.max(a[1], b[1]));

// the steps of the front, as thin boxes
function linesOf(data, across, up) {
  const front = data.find((trace) => trace.line && trace.line.shape);
  if (!front) return [];
  const isAcrossFirst = front.line.shape === "hv";
  return front.x.slice(1).flatMap((_, at) => {
    const [x, y, nextX, nextY] = [across(front.x[at]), up(front.y[at]), across(front.x[at + 1]), up(front.y[at + 1])];
    const level = isAcrossFirst ? y : nextY, upright = isAcrossFirst ? nextX : x;
    return [
      [Math.min(x, nextX), level - 1, Math.max(x, nextX), level + 1],
      [upright - 1, Math.min(y, nextY), upright + 1, Math.max(y, nextY)],
    ];
  });
}

// the lines across the figure, and the words beside them
function limitsOf({ shapes = [], annotations = [] }, across, up, width, height) {
  const lines = shapes.map(({ xref, x0, y0 }) =>
    xref === "paper" ? [0, up(y0) - 1, width, up(y0) + 1] : [across(x0) - 1, 0, across(x0) + 1, height]);
  const words = annotations.map(({ text, textangle, x, y }) => {
    const size = pen.measureText(text).width + 4;
    return textangle ? [across(x), 0, across(x) + LINE, size] : [width - size, up(y) - LINE, width, up(y)];
  });
  return { lines, words };
}

// the dotted lines between the points of a trace, as small boxes
function dotsOf(points) {
  const pairs = points.slice(1).map((point, at) => [points[at], point]).filter(([one, other]) => one.trace === other.trace);
  return pairs.flatMap(([one, other]) => [...Array(DOTS).keys()].map((at) => {
    const [x, y] = ["x", "y"].map((axis) => one[axis] + ((other[axis] - one[axis]) * at) / DOTS);
    return [x - 2, y - 2, x + 2, y + 2];
  }));
}

// where the interval of a point begins and ends on an axis; a point without one is its own interval
function endsOf({ trace, at }, axis) {
  const value = trace[axis][at], bars = trace[`error_${axis}`];
  return bars ? [value - (bars.arrayminus[at] || 0), value + (bars.array[at] || 0)] : [value, value];
}

// the intervals of points, as thin boxes
function barsOf(points, across, up) {
  return points.flatMap((point) => {
    const [[left, right], [low, high]] = [endsOf(point, "x").map(across), endsOf(point, "y").map(up)];
    return [[left, point.y - 1, right, point.y + 1], [point.x - 1, high, point.x + 1, low]];
  });
}

function placeNames({ data, layout }, whole) {
  const named = data.filter((trace) => trace.hovertext);
  if (!named.length) return;
  const points = named.flatMap((trace) =>
    trace.text.map((name, at) => {
      const isFaint = trace.marker.opacity[at] < 1 || trace.marker.symbol[at] !== "circle"; // its name chooses last
      return { trace, at, name, x: trace.x[at], y: trace.y[at], isFaint };
    }),
  ).filter(({ x, y }) => x !== null && y !== null);
  const [width, height] = [roomOf(layout, whole), layout.height - layout.margin.t - layout.margin.b];
  const across = measure(layout.xaxis, points.flatMap((point) => endsOf(point, "x")), width);
  const fromBottom = measure(layout.yaxis, points.flatMap((point) => endsOf(point, "y")), height);
  const up = (value) => height - fromBottom(value);
  for (const point of points) [point.x, point.y] = [across(point.x), up(point.y)];
  const marks = points.map(({ x, y }) => [x - POINT, y - POINT, x + POINT, y + POINT]);
  pen.font = LETTERS;
  const limits = limitsOf(layout, across, up, width, height);
  const lines = [...linesOf(data, across, up), ...limits.lines, ...dotsOf(points), ...barsOf(points, across, up)];
  const taken = [...marks, ...limits.words];
  const outside = ([left, top, right, bottom]) =>
    Math.max(0, -left) + Math.max(0, right - width - layout.margin.r + 4) + Math.max(0, 2 - top - layout.margin.t) + Math.max(0, bottom - height);
  const sum = (box, others) => others.reduce((total, other) => total + overlap(box, other), 0);
  const names = points.filter(({ name }) => name);
  for (const point of names) {
    point.choices = nameInLines(point.name).flatMap((text) => PLACES.map((place, rank) => {
      const box = boxOfName(point, text, place);
      const covered = sum(box, taken) + outside(box) * LINE;
      // of places that are equally free, the one that crosses least of the lines, then the one with fewer lines of text
      return { text, place, box, covered, fallback: 0.1 * sum(box, lines) + 0.01 * rank + (text.length - 1) };
    }));
    point.chosen = null;
  }
  const covered = (point, choice) =>
    choice.covered + sum(choice.box, names.filter((other) => other !== point && other.chosen).map(({ chosen }) => chosen.box));
  const cost = (point, choice) => 100 * covered(point, choice) + choice.fallback;
  // names with few free places choose first. Then each chooses again, until none moves. If a name still covers something,
  // another name begins
  const freedom = (point) => point.choices.filter((choice) => choice.covered === 0).length;
  names.sort((one, other) => one.isFaint - other.isFaint || freedom(one) - freedom(other));
  const choose = (point) => {
    const costs = point.choices.map((choice) => cost(point, choice));
    const least = Math.min(...costs);
    if (point.chosen && least >= cost(point, point.chosen)) return false;
    point.chosen = point.choices[costs.indexOf(least)];
    return true;
  };
  const crowding = () => names.reduce((total, point) => total + covered(point, point.chosen), 0);
  let best = { crowding: Infinity };
  for (let first = 0; first < Math.min(names.length, TRIES) && best.crowding > 0; first++) {
    for (const point of names) point.chosen = null;
    const order = [...names.slice(first), ...names.slice(0, first)];
    for (let round = 0; round < ROUNDS && order.map(choose).some(Boolean); round++);
    if (crowding() < best.crowding) best = { crowding: crowding(), chosen: names.map(({ chosen }) => chosen) };
  }
  names.forEach((point, at) => { point.chosen = best.chosen[at]; });
  for (const trace of named) trace.textposition = trace.text.map(() => PLACES[0]);
  for (const point of [...names].reverse()) {
    if (points.length > FEW_POINTS && covered(point, point.chosen) > 0) {
      point.trace.text[point.at] = "";
      point.chosen = null;
      continue;
    }
    point.trace.text[point.at] = point.chosen.text.join("<br>");
    point.trace.textposition[point.at] = point.chosen.place;
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
function prepare(plot, width) {
  const packed = page.figures[plot.dataset.figure][group];
  const [first, ...others] = page.sentences[page.says[plot.dataset.figure][group]].split("\n");
  const strong = document.createElement("strong");
  strong.textContent = first;
  const says = document.getElementById(`says-${plot.dataset.figure}`);
  says.replaceChildren(strong, ` ${others.join(" ")}`);
  breakNames(says);
  plot.hidden = packed === null;
  plot.parentElement.querySelector(".none").hidden = packed !== null;
  if (plot.axes) plot.axes[0].closest("p").hidden = packed === null;
  if (packed !== null && !plot._fullLayout) plot.style.minHeight = `${fitToScreen(unpack(packed), width).layout.height}px`;
}

// on paper a figure is lower, so that more of them fit on a sheet. A map needs a line for each layer
const LOWER = 0.8, MOST_ROOM = 190, INK = "#1b1f24";
const mapOf = (figure) => figure.data.find((trace) => trace.type === "heatmap");
function fitToPaper({ layout }) {
  const frame = layout.margin.t + layout.margin.b;
  // rows need a line each; a figure on chosen axes is as wide as the sheet
  const most = layout.yaxis.categoryarray ? Infinity : layout.meta ? 0.75 * MOST_ROOM : MOST_ROOM;
  layout.height = frame + Math.min(LOWER * (layout.height - frame), most);
}

// `paper` is the width on paper: null is that of the screen
function drawOne(plot, paper = null) {
  waiting.delete(plot);
  const packed = page.figures[plot.dataset.figure][group];
  if (packed === null) return;
  const width = paper ?? plot.clientWidth;
  const figure = unpack(packed);
  // what a reader has hidden stays so if the same figure is drawn again
  if (plot.group === group && plot.data) for (const [place, trace] of figure.data.entries()) trace.visible = plot.data[place].visible;
  plot.group = group;
  plot.isOnPaper = paper !== null;
  if (plot.isOnPaper && !mapOf(figure)) fitToPaper(figure);
  fitToScreen(figure, width);
  if (figure.layout.meta) onAxes(plot, figure);
  placeNames(figure, width);
  if (plot.isOnPaper) Object.assign(figure.layout, { width: paper, font: { ...figure.layout.font, color: INK } });
  else if (dark.matches) fitToDark(figure);
  startPlotly();
  // always as if for the first time: plotly leaves a legend at its old place if its rows change
  Plotly.newPlot(plot, figure.data, figure.layout, { displayModeBar: false });
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
  const widths = plots.map((plot) => plot.clientWidth); // all are read before anything changes
  plots.forEach((plot, place) => prepare(plot, widths[place]));
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
  turnMaps(part);
  keepWords(part);
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

// two maps with few columns stand side by side on paper
const FEW_COLUMNS = 8;
function isNarrowMap(plot) {
  const packed = page.figures[plot.dataset.figure][group];
  const map = packed && mapOf(unpack(packed));
  return Boolean(map) && map.x.length <= FEW_COLUMNS;
}

function drawOnPaper(width) {
  const narrow = new Set(plots.filter(isNarrowMap));
  for (const plot of plots) {
    const figure = plot.parentElement;
    const beside = [...figure.parentElement.querySelectorAll(".plot")].filter((other) => narrow.has(other)).length;
    figure.classList.toggle("half", narrow.has(plot) && beside > 1);
    const isFull = figure.matches(".full:not(.half)");
    drawOne(plot, width * (isFull ? 1 : 0.47));
  }
}

function drawOnScreen() {
  const drawn = plots.filter((plot) => plot._fullLayout && plot.clientWidth > 0);
  const widths = drawn.map((plot) => plot.clientWidth); // all are read before anything changes
  for (const [place, plot] of drawn.entries()) {
    if (plot.isOnPaper || Math.abs(plot._fullLayout.width - widths[place]) > 1) drawOne(plot);
  }
}

let settled = 0;
addEventListener("resize", () => {
  clearTimeout(settled);
  settled = setTimeout(drawOnScreen, PAUSE);
});

dark.addEventListener("change", draw);
