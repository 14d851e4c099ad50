// Shows two runs side by side. It compares exact metrics by equality and judges nothing else.

const data = JSON.parse(document.getElementById("pairs").textContent);
const [earlier, later, all] = ["earlier", "later", "all"].map((id) => document.getElementById(id));
const notes = document.getElementById("notes");
const table = document.getElementById("rows");
const places = [...new Set(data.pair)].flatMap((number) => {
  const [start, stop] = data.blocks[number];
  return Array.from({ length: stop - start }, (_, place) => start + place);
});
const runAt = (place) => data.runs[place - data.first]; // the list begins with the first run that can be chosen
const lastPlace = data.first + data.runs.length - 1;
const blockOf = (place) => data.blocks.findIndex(([start, stop]) => start <= place && place < stop);

function element(name, text, kind) {
  const made = document.createElement(name);
  made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

// `runs` has run lengths: count, number of the value (or -1), count, number, and so on
function valueAt(values, runs, index) {
  for (let place = 0; place < runs.length; place += 2) {
    index -= runs[place];
    if (index < 0) return values[runs[place + 1]];
  }
  return undefined;
}

function ratio(before, after) {
  if (!(before > 0)) return "";
  const text = `${(after / before).toPrecision(3)}×`;
  return text === "1.00×" && before !== after ? "less than 0.5 %" : text;
}

// the verdict in words, and the colour of a proven verdict. `isInBoth`: both runs have the metric, perhaps in two rows
function verdict(metric, before, after, changes, [first, last], isInBoth) {
  const [base, next] = [runAt(first), runAt(last)];
  const [, , isExact, lowerIsBetter, isOfKernels] = metric;
  if (!before && !after) return null;
  if (isInBoth && !(before && after)) {
    const others = base[4] !== next[4] ? "machines" : "boards, another meter or another start of processes";
    return [`not compared: other ${others}`, "quiet"];
  }
  if (!before) return ["only in the later run", ""];
  if (!after) return ["missing: only in the earlier run", "warning"];
  if (isOfKernels && base[5] !== next[5]) return ["not compared: other kernels", "quiet"];
  if (isExact) {
    if (before[0] === after[0]) return ["unchanged", "quiet"];
    return (after[0] < before[0]) === Boolean(lowerIsBetter) ? ["improved", "better"] : ["regressed", "worse"];
  }
  if (base[4] !== next[4]) return ["not compared: other machines", "quiet"];
  if (!changes.length) return ["no change proven", "quiet"];
  // a drift that begins before or ends after the two runs proves nothing about them
  const within = changes.filter(([start, end]) => start >= first && end <= last);
  const tones = new Set(within.map((change) => change[2]).filter(Boolean));
  return [changes.map((change) => change[3]).join("; "), tones.size === 1 ? [...tones][0] : ""];
}

// the words that the line above the table counts, the most important first
const WORDS = ["regressed", "became worse", "missing", "changed more than once", "drifts", "improved", "became better", "only in the later run", "not yet confirmed", "not compared", "no change proven", "unchanged"];
function wordOf([text, tone]) {
  const said = WORDS.find((word) => text.startsWith(word) && !word.startsWith("became"));
  if (tone && (!said || said === "drifts" || said === "not yet confirmed")) return `became ${tone}`;
  return said ?? "changed more than once";
}

function differences(kind, before, after) {
  return [...new Set([...Object.keys(before), ...Object.keys(after)])].sort()
    .filter((name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]))
    .map((name) => `${kind} ${name}: ${before[name] ?? "none"} → ${after[name] ?? "none"}`);
}

// only of names that both runs know: an earlier bench did not store the settings
function knownDifferences(kind, before, after) {
  const both = (one, other) => Object.fromEntries(Object.entries(one).filter(([name]) => name in other));
  return differences(kind, both(before, after), both(after, before));
}

function show() {
  const [first, last] = [Number(earlier.value), Number(later.value)];
  const [base, next] = [runAt(first), runAt(last)];
  const hash = `#${encodeURIComponent(base[0])}/${encodeURIComponent(next[0])}`;
  const wanted = [blockOf(first), blockOf(last)];
  if (wanted.some((number) => !data.pair.includes(number))) {
    location.href = `compare-${wanted[0] + 1}-${wanted[1] + 1}${data.suffix}.html${hash}`;
    return;
  }
  history.replaceState(null, "", hash);
  for (const link of document.querySelectorAll("a.part")) link.hash = hash;
  const unlike = [
    ...differences("software", data.software[base[3]], data.software[next[3]]),
    ...differences("machine", data.machines[base[4]], data.machines[next[4]]),
    ...knownDifferences("setting", data.settings[base[6]], data.settings[next[6]]),
  ];
  const counts = {};
  const lines = [];
  const both = [first, last].map((place) => places.indexOf(place));
  let heading = null;
  // a noisy metric has a row for each machine
  const [inFirst, inLast] = both.map((index) => new Set(data.rows
    .filter(([, , , , values, runs]) => valueAt(values, runs, index))
    .map((row) => row.slice(0, 3).join())));
  for (const [workload, label, metricIndex, machine, values, runs, changes] of data.rows) {
    const metric = data.metrics[metricIndex];
    const [before, after] = both.map((place) => valueAt(values, runs, place));
    const between = changes.filter(([start, end]) => start < last && end > first);
    const key = [workload, label, metricIndex].join();
    const isInBoth = inFirst.has(key) && inLast.has(key);
    const found = verdict(metric, before, after, between, [first, last], isInBoth);
    if (!found) continue;
    const word = wordOf(found);
    if (before || !isInBoth) counts[word] = (counts[word] ?? 0) + 1;
    if (found[1] === "quiet" && !all.checked) continue;
    const name = data.texts[workload];
    if (name !== heading) {
      heading = name;
      const row = element("tr", "", "workload");
      const cell = element("th", name);
      cell.colSpan = 6;
      cell.scope = "rowgroup";
      row.append(cell);
      lines.push(row);
    }
    const row = document.createElement("tr");
    const head = element("th", data.texts[label]);
    head.scope = "row";
    const machineText = data.texts[machine];
    const named = element("td", machineText ? `${metric[0]} (${machineText})` : metric[0]);
    named.title = metric[1];
    row.append(
      head,
      named,
      ...[["earlier", before], ["later", after]].map(([side, value]) => {
        const cell = element("td", value ? value[1] : "–", "number");
        cell.dataset.name = side;
        return cell;
      }),
      element("td", before && after ? ratio(before[0], after[0]) : "", "number"),
      element("td", found[0], `words ${found[1]}`),
    );
    lines.push(row);
  }
  const words = WORDS.filter((word) => counts[word]).map((word) => `${counts[word]} ${word}`);
  document.getElementById("counts").textContent = words.join(", ") || "These runs have no metric in common.";
  notes.replaceChildren(...unlike.map((text) => element("li", `different ${text}`)));
  document.getElementById("unlike").hidden = unlike.length === 0;
  table.replaceChildren(...lines);
  document.getElementById("none").hidden = lines.length > 0;
}

function choose(changed) {
  const [first, last] = [earlier, later].map((select) => Number(select.value));
  if (first > last) [earlier.value, later.value] = [last, first];
  if (first === last && changed === earlier) later.value = Math.min(first + 1, lastPlace);
  if (first === last && changed === later) earlier.value = Math.max(first - 1, data.first);
  show();
}

for (const select of [earlier, later]) {
  select.append(...data.runs.map(([id, commit, when], index) => new Option(`${commit} · ${when} · ${id}`, data.first + index)).reverse());
  select.addEventListener("change", () => choose(select));
}
all.addEventListener("change", show);

function start() {
  const asked = location.hash.slice(1).split("/");
  const found = asked.map((id) => data.runs.findIndex((run) => encodeURIComponent(run[0]) === id));
  const [first, last] = found.length === 2 && Math.min(...found) >= 0
    ? found.map((index) => data.first + index).sort((one, other) => one - other)
    : [places.at(-2) ?? places.at(-1), places.at(-1)];
  [earlier.value, later.value] = [first, last];
  show();
}
addEventListener("hashchange", start);
start();
