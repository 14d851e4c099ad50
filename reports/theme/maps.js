// Maps of modules on a narrow screen: they stand upright there, so that names can be read. A map is as wide as its drawing
// is high. A part that is too small for its name has none: a tap names it.

const UPRIGHT = 500, MAP_LETTER = 6.4, MAP_LINE = 16;

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
    words.setAttribute("x", turned.x + 4);
    words.setAttribute("y", turned.y + 12);
    if (turned.height < MAP_LINE || turned.width < words.textContent.length * MAP_LETTER + 8) words.remove();
  }
}

function turnMaps(root) {
  if (isNarrow()) root.querySelectorAll(".map svg").forEach(turnMap);
}
