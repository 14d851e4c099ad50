// Contents with the current section marked, groups of cells, folded ranks, small screens and paper.

const folds = [...document.querySelectorAll("details.fold")];

// a link into a folded section opens it
function openTarget() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const fold = target && target.querySelector("details.fold");
  if (!fold || fold.open) return;
  fold.open = true;
  target.scrollIntoView();
}

function markCurrentSection() {
  if (!window.IntersectionObserver) return;
  const links = new Map([...document.querySelectorAll(".contents a")].map((a) => [a.hash.slice(1), a]));
  const inView = new Set();
  const observer = new IntersectionObserver((entries) => {
    for (const entry of entries) inView[entry.isIntersecting ? "add" : "delete"](entry.target.id);
    const current = [...links.keys()].find((id) => inView.has(id));
    if (!current) return;
    for (const [id, link] of links) {
      if (id === current) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  }, { rootMargin: "-10% 0px -60% 0px" });
  for (const section of document.querySelectorAll("main > section")) observer.observe(section);
}

// the ranks of a method are folded below the best one
function foldRanks(root) {
  for (const note of root.querySelectorAll(".more-ranks")) {
    const ranks = [...note.closest("tbody").querySelectorAll("tr.rank")];
    const button = document.createElement("button");
    button.type = "button";
    const show = (open) => {
      for (const row of ranks) row.hidden = !open;
      button.setAttribute("aria-expanded", String(open));
      button.textContent = `${open ? "▾ hide" : "▸ show"} ${ranks.length} more`;
    };
    button.addEventListener("click", () => show(ranks[0].hidden));
    note.replaceChildren(button);
    show(false);
  }
}

// on a phone only the decision and what stands before it are open at first
function foldSections() {
  for (const fold of folds) fold.open = fold.closest("section").id === "verdict";
}

// a figure in a section that was folded could not know its width
for (const fold of folds) {
  fold.addEventListener("toggle", () => {
    if (!fold.open) return;
    for (const plot of fold.querySelectorAll(".plot")) drawOne(plot);
  });
}

// the width of paper in pixels: nothing tells it at the time of printing. The theme makes figures smaller on paper
const PAPER = 688, SMALLER = CSS.supports("zoom", "0.8") ? 0.8 : 1;
let closed = [];
function beforePrint() {
  closed = [...document.querySelectorAll("main details:not([open], .claims details)")];
  for (const fold of closed) fold.open = true;
  drawOnPaper(PAPER / SMALLER);
}
function afterPrint() {
  for (const fold of closed) fold.open = false;
  drawOnScreen();
}

foldRanks(document);
addPanels(document);
turnMaps(document);
keepWords(document);
if (isNarrow()) foldSections();
markCurrentSection();
addEventListener("hashchange", openTarget);
openTarget();
addEventListener("beforeprint", beforePrint);
addEventListener("afterprint", afterPrint);
startGroups();
