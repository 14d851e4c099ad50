// Maps of modules on a narrow screen: they stand upright there, so that names can be read. A map is as wide as its drawing
// is high. A part that is too small for its name has none: a tap names it.

const UPRIGHT = 500, MAP_LETTER = 5.8, MAP_LINE = 12, MAP_EDGE = 4;

// a line ends after a dot or a space; if the name does not fit then, after an underscore, too. A number stays with the word
// before it
const LINE_ENDS = [/[^. ]*(?:[. ]\d+(?![^. ]))*[. ]?/g, /[^._ ]*(?:[._ ]\d+(?![^._ ]))*[._ ]?/g];

function linesOfName(name, letters, most) {
  for (const pieces of LINE_ENDS) {
    const lines = [""];
    for (const piece of name.match(pieces)) {
      if (lines.at(-1).length + piece.length <= letters) lines[lines.length - 1] += piece;
      else lines.push(piece);
    }
    if (lines.length <= most && lines.every((line) => line.length && line.length <= letters)) return lines;
  }
  return [];
}

function addLine(words, left, text) {
  const line = document.createElementNS(words.namespaceURI, "tspan");
  line.setAttribute("x", left + MAP_EDGE);
  line.setAttribute("dy", MAP_LINE);
  line.textContent = text;
  words.append(line);
}

function turnMap(map) {
  const [, , long, wide] = map.getAttribute("viewBox").split(" ").map(Number);
  map.setAttribute("viewBox", `0 0 ${wide} ${UPRIGHT}`);
  for (const part of map.querySelectorAll("g")) {
    const rect = part.querySelector("rect");
    const [x, y, width, height] = ["x", "y", "width", "height"].map((name) => Number(rect.getAttribute(name)));
    const turned = { x: y, y: (x * UPRIGHT) / long, width: height, height: (width * UPRIGHT) / long };
    for (const [name, value] of Object.entries(turned)) rect.setAttribute(name, value.toFixed(1));
    const words = part.querySelector("text");
    if (!words) continue;
    words.setAttribute("y", turned.y);
    const lines = linesOfName(
      words.textContent,
      Math.floor((turned.width - 2 * MAP_EDGE) / MAP_LETTER),
      Math.floor((turned.height - MAP_EDGE) / MAP_LINE),
    );
    words.replaceChildren();
    for (const line of lines) addLine(words, turned.x, line);
  }
}

function turnMaps(root) {
  if (isNarrow()) root.querySelectorAll(".map svg").forEach(turnMap);
}
