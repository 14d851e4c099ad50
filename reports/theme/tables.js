// Makes tables sort, filter and copy. Explains numbers, and shows one cell at the side.

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

// the explanation of each number: its meaning, scope and basis. A mouse shows it as a tooltip, a click or a tap at the
// foot of the page, and the panel of a cell lists all of them
function addExplanations() {
  for (const cell of document.querySelectorAll("[data-m]")) cell.title = page.tooltips[cell.dataset.m];
}

const explanation = document.getElementById("explanation");
function explain(cell) {
  explanation.hidden = !cell;
  explanation.textContent = cell ? page.tooltips[cell.dataset.m] : "";
}

// the panel of a cell: the row of the large table, number by number, and commands that show and repeat it
const shellWord = (text) => `'${text.replaceAll("'", "'\\''")}'`;
const panel = document.getElementById("cell-panel");
function panelRows() {
  const rows = document.querySelectorAll("#table table.filterable tbody tr");
  return new Map([...rows].map((row) => [row.querySelector("[data-cell]").dataset.cell, row]));
}

function element(name, text, ...children) {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  made.append(...children);
  return made;
}

function openPanel(id, row) {
  const titles = [...row.closest("table").tHead.rows[0].cells].map((head) => head.textContent.trim());
  const lines = [...row.cells].slice(1).map((cell, place) => {
    const meaning = cell.dataset.m === undefined ? "" : page.tooltips[cell.dataset.m];
    const [number, interval] = [cell.childNodes[0], cell.querySelector("small")].map((each) => each && each.textContent.trim());
    const text = interval ? `${number} (${interval})` : number;
    const name = element("th", titles[place + 1]);
    name.scope = "row";
    return element("tr", "", name, element("td", text, ...(meaning ? [element("small", meaning)] : [])));
  });
  const commands = [
    `bench show cell ${shellWord(id)} --run ${shellWord(document.body.dataset.run)}`,
    `${document.body.dataset.command} --filter ${shellWord(id)}`,
  ];
  panel.querySelector("h2").textContent = id;
  panel.querySelector(".panel-body").replaceChildren(
    element("p", "Show every number of this cell, and measure it again:"),
    element("pre", commands.join("\n")),
    element("table", "", element("tbody", "", ...lines)),
  );
  panel.showModal();
}

function addPanels() {
  const rows = panelRows();
  for (const name of document.querySelectorAll("[data-cell]")) {
    const row = rows.get(name.dataset.cell);
    if (!row) continue;
    const button = element("button", name.textContent);
    button.type = "button";
    button.addEventListener("click", () => openPanel(name.dataset.cell, row));
    name.replaceChildren(button);
  }
}

document.querySelectorAll("table.sortable").forEach(makeSortable);
document.querySelectorAll(".tools").forEach(addTableTools);
document.addEventListener("click", (event) => explain(event.target.closest("[data-m]")));
document.addEventListener("keydown", (event) => event.key === "Escape" && explain(null));
later(addPanels);
later(addExplanations);
