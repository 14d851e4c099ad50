// The table of every cell, its filter, its columns and its copies, and the panel of one cell. All of it comes from one
// block of data, so that a page of a thousand cells opens at once.

const block = document.getElementById("page-cells");
const data = block ? JSON.parse(block.textContent) : { columns: [], quantities: [], texts: [], rows: [] };
const LEADING = ["method", "workload", "status"]; // the columns before the numbers
const AT_ONCE = 100; // rows that are made without a pause

const numbersOf = (row) => row.slice(6).map((place) => {
  const [estimate, interval, meaning, value, isNoisy, share] = data.quantities[place];
  return { estimate, interval, meaning, value, isNoisy, share };
});
const cells = data.rows.map((row) => {
  const [id, ...places] = row;
  const [label, workload, basis, script, status] = places.map((place) => data.texts[place]);
  return { id, label, workload, basis, script, status, row };
});
const byId = new Map(cells.map((cell) => [cell.id, cell]));

const table = document.querySelector("table.cells");
const several = new Set(cells.map((cell) => cell.workload)).size > 1;
const allColumns = data.columns.map((_, place) => place);
let columns = allColumns; // those that are shown
let isUsual = true; // whether nobody has chosen columns: paper has room for the main ones only
let isFitted = false; // whether columns are left out because the screen has no room for them
let words = [];
let order = null; // [column, rises]
let shown = [];
let made = 0;

const MARKS = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
const escaped = (text) => text.replace(/[&<>"]/g, (mark) => MARKS[mark]);
const small = (text) => (text ? `<small>${escaped(text)}</small>` : "");

function numberHtml({ estimate, interval, meaning, isNoisy, share }, column) {
  const kind = `number${isUsual && !data.columns[column][2] ? " screen" : ""}${isNoisy ? " noisy" : ""}`;
  return `<td class="${kind}" data-m="${meaning}">${escaped(estimate)}${small(interval)} ${small(share)}</td>`;
}

function rowHtml(cell) {
  const id = escaped(cell.id);
  const name = `<span data-cell="${id}" title="${id}"><button type="button">${escaped(cell.label)}</button></span>`;
  const numbers = numbersOf(cell.row);
  return `<tr><th scope="row">${name}${small(cell.basis)}</th>${several ? `<td class="workload">${escaped(cell.workload)}</td>` : ""}` +
    `<td><span class="status ${escaped(cell.status)}">${escaped(cell.status)}</span></td>` +
    `${columns.map((column) => numberHtml(numbers[column], column)).join("")}</tr>`;
}

// the rest of the rows, or as many as fit into one pause of the browser
function makeRows(count) {
  const next = shown.slice(made, made + count);
  table.tBodies[0].insertAdjacentHTML("beforeend", next.map(rowHtml).join(""));
  made += next.length;
}

function makeMore(of) {
  if (of !== shown || made >= shown.length) return;
  if (!waiting.size) makeRows(AT_ONCE); // figures come first: they stand above the table
  later(() => makeMore(of));
}

function sortKey(cell, column) {
  if (typeof column === "string") return cell[column];
  const { value, estimate } = numbersOf(cell.row)[column];
  return value === null ? estimate : value;
}

function sortedCells(chosen) {
  if (!order) return chosen;
  const [column, rises] = order;
  const keyed = chosen.map((cell) => [sortKey(cell, column), cell]);
  return keyed.sort(([a], [b]) => inOrder(a, b, rises)).map(([, cell]) => cell);
}

function showRows() {
  const text = (cell) => [cell.id, cell.label, cell.workload, cell.status].join(" ").toLowerCase();
  const chosen = cells.filter((cell) => words.every((word) => text(cell).includes(word)));
  shown = sortedCells(chosen);
  made = 0;
  table.tBodies[0].replaceChildren();
  makeRows(AT_ONCE);
  later(() => makeMore(shown));
}

function headHtml() {
  const heads = LEADING.filter((name) => several || name !== "workload").map((name) => [name, name === "method" ? "method" : name, "", ""]);
  for (const column of columns) {
    const [label, meaning, isMain] = data.columns[column];
    heads.push([column, label, `number${!isMain && isUsual ? " screen" : ""}`, page.tooltips[meaning]]);
  }
  return heads.map(([key, label, kind, title]) =>
    `<th scope="col" data-key="${key}"${kind ? ` class="${kind}"` : ""}${title ? ` title="${escaped(title)}"` : ""}${sortMark(key)}>` +
    `<button type="button">${escaped(label)}</button></th>`).join("");
}

function sortMark(key) {
  if (!order || keyOf(key) !== order[0]) return "";
  return ` aria-sort="${order[1] ? "ascending" : "descending"}"`;
}

const keyOf = (text) => (LEADING.includes(text) ? { method: "label" }[text] || text : Number(text));

function showHead() {
  const row = table.tHead.rows[0];
  const focused = row.contains(document.activeElement) ? document.activeElement.closest("th").dataset.key : null;
  row.innerHTML = headHtml();
  document.querySelector(".meanings")?.classList.toggle("of-all", !isUsual);
  if (focused !== null) row.querySelector(`[data-key="${focused}"] button`)?.focus();
}

// leave out the last columns if the screen has no room for them; the main ones stay
function fitColumns() {
  const room = table.parentElement.clientWidth;
  const heads = [...table.tHead.rows[0].cells].slice(-columns.length);
  const left = table.getBoundingClientRect().left;
  const fits = (place) => data.columns[place][2] || heads[place].getBoundingClientRect().right - left <= room + 1;
  columns = allColumns.filter(fits);
  isFitted = columns.length < allColumns.length;
  if (!isFitted) return;
  showHead();
  showRows();
}

function sortBy(key) {
  const column = keyOf(key);
  order = [column, !(order && order[0] === column && order[1])];
  showHead();
  showRows();
}

// one checkbox for each column of numbers
function addColumnChooser(tools) {
  const box = tools.querySelector(".columns-of-numbers");
  const summary = tools.querySelector(".columns summary");
  const count = () => { summary.textContent = columns.length < allColumns.length ? `Columns: ${columns.length} of ${allColumns.length}` : "Columns"; };
  data.columns.forEach(([label], place) => {
    const input = element("input");
    Object.assign(input, { type: "checkbox", checked: columns.includes(place), value: place });
    box.append(element("label", "", input, ` ${label}`));
  });
  box.addEventListener("change", () => {
    columns = [...box.querySelectorAll(":checked")].map((input) => Number(input.value));
    isUsual = columns.length === data.columns.length;
    showHead();
    showRows();
  });
  box.addEventListener("change", () => { isFitted = false; count(); });
  count();
}

// a quote stands before a text that a spreadsheet would take for a formula
const notFormula = (text) => (/^[=+@-]/.test(text) && isNaN(text) ? `'${text}` : text);
const quoted = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
const csvField = (text) => quoted(notFormula(text));
const together = (...texts) => texts.filter(Boolean).join(" ");

function tableText(form) {
  const copied = isFitted ? allColumns : columns;
  const head = ["cell", "method", "workload", "status", ...copied.map((column) => data.columns[column][0])];
  const rows = shown.map((cell) => {
    const numbers = numbersOf(cell.row);
    return [
      cell.id, together(cell.label, cell.basis), cell.workload, cell.status,
      ...copied.map((column) => together(numbers[column].estimate, numbers[column].interval, numbers[column].share)),
    ];
  });
  if (form === "csv") return [head, ...rows].map((row) => row.map(csvField).join(",")).join("\n");
  const lines = [head, ...rows].map((row) => `| ${row.map((text) => text.replaceAll("|", "\\|")).join(" | ")} |`);
  lines.splice(1, 0, `|${" --- |".repeat(head.length)}`);
  return lines.join("\n");
}

function addTableTools(tools) {
  const status = tools.querySelector("[role=status]");
  tools.hidden = false;
  tools.querySelector("[type=search]").addEventListener("input", (event) => {
    words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
    showRows();
    status.textContent = words.length ? `${shown.length} of ${cells.length} cells` : "";
  });
  for (const button of tools.querySelectorAll("[data-copy]")) {
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(tableText(button.dataset.copy));
      status.textContent = "copied";
    });
  }
  addColumnChooser(tools);
}

// the panel of a cell: number by number, and commands that show and repeat it
const shellWord = (text) => `'${text.replaceAll("'", "'\\''")}'`;
const panel = document.getElementById("cell-panel");

function element(name, text, ...children) {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  made.append(...children);
  return made;
}

function commandLine(text) {
  const line = element("span", "", ...wholeWords(text));
  line.className = "line";
  return line;
}

function openPanel(id) {
  const cell = byId.get(id);
  const lines = numbersOf(cell.row).map(({ estimate, interval, meaning, share }, place) => {
    const notes = [share, page.tooltips[meaning]].filter(Boolean).map((text) => element("small", text));
    const name = element("th", data.columns[place][0]);
    name.scope = "row";
    return element("tr", "", name, element("td", interval ? `${estimate} (${interval})` : estimate, ...notes));
  });
  const { run, command, choosesCells } = document.body.dataset;
  const show = `bench show cell ${shellWord(id)} --run ${shellWord(run)}`;
  const again = command && choosesCells !== undefined ? `${command} --filter ${shellWord(id)}` : command;
  panel.querySelector("h2").textContent = cell.label;
  panel.querySelector(".panel-body").replaceChildren(
    element("p", "", element("code", id)),
    element("p", `${cell.workload}. Status: ${cell.status}.`),
    ...(cell.basis ? [element("p", cell.basis)] : []),
    element("p", `Show every number of this cell${again ? ", and measure it again" : ""}:`),
    element("pre", "", ...[show, again].filter(Boolean).map(commandLine)),
    ...(cell.script ? [element("p", "Train with it, in your own script:"), element("pre", cell.script)] : []),
    element("table", "", element("tbody", "", ...lines)),
  );
  panel.showModal();
}

// names of cells elsewhere on the page become buttons
function addPanels(root) {
  for (const name of root.querySelectorAll("[data-cell]")) {
    if (!byId.has(name.dataset.cell) || name.querySelector("button")) continue;
    const button = element("button", name.textContent);
    button.type = "button";
    name.title = name.dataset.cell;
    name.replaceChildren(button);
  }
}

if (table) {
  showHead();
  showRows();
  fitColumns();
  document.querySelectorAll(".tools.of-cells").forEach(addTableTools);
  table.tHead.addEventListener("click", (event) => event.target.closest("button") && sortBy(event.target.closest("th").dataset.key));
  addEventListener("beforeprint", () => makeRows(shown.length));
}
document.addEventListener("click", (event) => {
  const name = event.target.closest("[data-cell] button");
  if (name) openPanel(name.closest("[data-cell]").dataset.cell);
});
