// Makes tables sort, and explains numbers.

const value = (cell) => (cell.dataset.v === undefined ? cell.textContent.trim() : Number(cell.dataset.v));

function compare(one, other) {
  if (typeof one === "number" && typeof other === "number") return one - other;
  if (typeof one === typeof other) return one.localeCompare(other, undefined, { numeric: true });
  return typeof one === "number" ? -1 : 1; // what was not measured comes last
}

function inOrder(one, other, rises) {
  const order = compare(one, other);
  return rises || typeof one !== typeof other ? order : -order;
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
      rows.sort(([a], [b]) => inOrder(a, b, rises));
      body.append(...rows.map(([, row]) => row));
    });
  }
}

// no line ends within a word of a command, such as --batch: a reader would copy another command. On a phone, a long word
// may have to end a line
const SHORT = 24, LONG = 48;
function wholeWords(text) {
  return text.split(/(\s+)/).map((word) => {
    if (!word.includes("-") || word.length > LONG) return word;
    const whole = document.createElement("span");
    whole.className = word.length > SHORT ? "whole long" : "whole";
    whole.textContent = word;
    return whole;
  });
}
// on a narrow screen, a long name ends a line after a mark, not between two letters
const LONG_NAME = 16;
function breakNames(part) {
  if (!isNarrow()) return;
  for (const node of [...part.childNodes].flatMap((child) => (child.localName === "strong" ? [...child.childNodes] : [child]))) {
    if (node.nodeType !== Node.TEXT_NODE) continue;
    node.replaceWith(...node.data.split(/(\s+)/).flatMap((word) => {
      if (word.length <= LONG_NAME) return [word];
      const [first, ...rest] = word.split(/(?<=[+._/])/);
      return [first, ...rest.flatMap((piece) => [document.createElement("wbr"), piece])];
    }));
  }
}

function keepWords(root) {
  for (const part of root.querySelectorAll("code, .facts td, .remarks li, .claims small, .waits pre")) {
    for (const node of [...part.childNodes]) {
      if (node.nodeType === Node.TEXT_NODE && node.data.includes("-")) node.replaceWith(...wholeWords(node.data));
    }
  }
  root.querySelectorAll(".sortable tbody th, .map .says").forEach(breakNames);
}

// the explanation of each number: its meaning, scope and basis. A mouse shows it as a tooltip, a click or a tap at the
// foot of the page, and the panel of a cell lists all of them. The parts of a map have their names and sizes instead
function addTooltip(event) {
  const cell = event.target.closest("[data-m]");
  if (cell && !cell.title) cell.title = page.tooltips[cell.dataset.m];
}

const explanation = document.getElementById("explanation");
const wordsOf = (part) => (part.dataset.m === undefined ? part.querySelector("title").textContent : page.tooltips[part.dataset.m]);
function explain(part) {
  explanation.hidden = !part;
  explanation.textContent = part ? wordsOf(part) : "";
}

document.querySelectorAll("table.sortable").forEach(makeSortable);
document.addEventListener("mouseover", addTooltip);
document.addEventListener("click", (event) => explain(event.target.closest("[data-m], .map g")));
document.addEventListener("keydown", (event) => event.key === "Escape" && explain(null));
