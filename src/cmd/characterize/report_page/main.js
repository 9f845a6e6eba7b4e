// Puts the page together: each section is drawn, or goes if there is nothing for it. What fails to draw goes too and is
// counted, so that odd findings do not take the rest with them.
const SECTIONS = [
  ["verdict", () => isComparison, drawVerdict],
  ["differences", () => isComparison && shownDifferences() !== null, drawDifferences],
  ["advice", () => listOf("advice").length > 0, drawAdvice],
  ["paging", () => levels.some(level => listOf("miss_curve", level).length > 0), drawPaging],
  ["blame", () => blame !== null && sizes.length > 0, drawBlame],
  ["timeline", () => windowPages.length > 0, drawTimeline],
  [
    "layers",
    () => layers.length > 0,
    () => {
      drawLayers();
      drawLayersTable();
    },
  ],
  ["reuse", () => levels.length > 0, drawReuse],
  ["mix", () => memory.length > 0, drawMix],
  ["transitions", () => listOf("system_calls").length > 0, drawTransitions],
  ["objects", () => listOf("objects").length > 0, drawObjects],
  ["paths", () => listOf("call_paths").length > 0, drawPaths],
  ["functions", () => listOf("functions").length > 0, drawFunctions],
  ["mappings", () => listOf("mappings").length > 0, drawMappings],
  ["small", () => listOf("small_allocations").length > 0, drawSmall],
  ["marks", () => listOf("marks").length > 0, drawMarks],
];

function drawPage() {
  drawHead();
  drawFacts();
  const drawn = [];
  for (const [id, wanted, draw] of SECTIONS) {
    try {
      if (wanted()) {
        draw();
        drawn.push(id);
        continue;
      }
    } catch (error) {
      noteError(`${id}: ${error}`);
    }
    byId(id).remove();
  }
  told.sections = drawn.join(" ");
  pageDrawn();
}

drawPage();
