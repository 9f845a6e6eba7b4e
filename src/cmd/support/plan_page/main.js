// Puts the page together, and tells on <html> what it has drawn.
const RATE_UNITS = {
  gflops: "GFLOP/s",
  gbps: "GB/s",
  gops: "GOP/s",
  ms: "ms",
  us: "µs",
  ns: "ns",
  seconds: "s",
};

function drawFacts() {
  const sum = key => steps.reduce((total, step) => total + (step[key] || 0), 0);
  const measured =
    steps.length > 0 && steps.every(step => isNumber(step.measured_ms)) ? sum("measured_ms") : null;
  const budget = plan.budget_bytes,
    layers = steps.reduce((count, step) => count + (step.layers || []).length, 0);
  fact(
    "Predicted",
    msText(plan.predicted_ms),
    measured === null
      ? `${plan.threads || 1} thread${plan.threads > 1 ? "s" : ""}`
      : `measured ${msText(measured)} (${percentText(measured / plan.predicted_ms)})`,
  );
  fact(
    "Budget",
    isNumber(budget) ? bytesText(budget) : "unlimited",
    isNumber(budget) ? "of secure memory" : "as much as it can use",
  );
  fact(
    "Pool",
    bytesText(plan.pool_bytes),
    isNumber(budget) && budget > 0
      ? `${((plan.pool_bytes / budget) * 100).toFixed(0)} % of the budget`
      : `${bytesText(plan.workspace_bytes)} of it workspace`,
    isNumber(budget) && budget > 0 ? plan.pool_bytes / budget : undefined,
  );
  const packing = plan.pool_bytes / plan.live_load_bound_bytes;
  fact(
    "Live-load bound",
    bytesText(plan.live_load_bound_bytes),
    !isNumber(packing)
      ? ""
      : packing <= 1
        ? "packed as tightly as can be"
        : `the pool is ${((packing - 1) * 100).toFixed(1)} % above`,
  );
  fact("Least budget", bytesText(plan.least_budget_bytes), "below it, the model is refused");
  fact("Single pass from", bytesText(plan.single_pass_budget_bytes), "each weight is opened once");
  fact(
    "Opened",
    bytesText(sum("opened_bytes")),
    sum("spilled_bytes") > 0 ? `and ${bytesText(sum("spilled_bytes"))} spilled` : "nothing spilled",
  );
  fact(
    "Steps",
    String(steps.length),
    layers !== steps.length ? `for ${layers} layers` : `${buffers.length} buffers`,
  );
}

// "aead_gbps": 8.42 reads "aead 8.42 GB/s".
function rateText(name, value) {
  const words = name.split("_"),
    unit = RATE_UNITS[words[words.length - 1]];
  return `${(unit ? words.slice(0, -1) : words).join(" ")} ${parseFloat(value.toPrecision(3))}${unit ? ` ${unit}` : ""}`;
}

function drawHead() {
  const budget = isNumber(plan.budget_bytes)
    ? `${bytesText(plan.budget_bytes)} of secure memory`
    : "unlimited memory";
  byId("title").textContent = plan.model || "Coracle plan";
  byId("subtitle").textContent =
    `Plan for ${budget}` + (plan.threads ? `, ${plan.threads} thread${plan.threads > 1 ? "s" : ""}` : "");
  document.title = `${plan.model || "model"}: plan for ${budget}`;
  const rates = Object.entries(plan.rates || {})
    .filter(([, value]) => isNumber(value))
    .map(([name, value]) => rateText(name, value));
  byId("made").textContent =
    "Made by coracle plan" +
    (isNumber(plan.plan_ms) ? `; planned in ${msText(plan.plan_ms)}` : "") +
    (rates.length > 0 ? `. Rates measured on the planning machine: ${rates.join(", ")}.` : ".");
}

function wireMap(map) {
  const pick = (axis, chosen, other) =>
    byId(chosen).addEventListener("click", () => {
      map.use(axis);
      byId(chosen).setAttribute("aria-pressed", "true");
      byId(other).setAttribute("aria-pressed", "false");
    });
  pick("step", "by-step", "by-time");
  pick("time", "by-time", "by-step");
  byId("whole-map").addEventListener("click", () => map.showAll());
  byId("map").setAttribute(
    "aria-label",
    `Memory map: ${buffers.length} buffers over ${steps.length} steps in a pool of ` +
      `${bytesText(plan.pool_bytes)}; the peak is ${bytesText(map.live[map.peak] || 0)} at ${stepText(map.peak)}`,
  );
  redraws.push(paper => {
    map.draw();
    map.chart.resize(paper ? PAPER.map : {width: "auto", height: "auto"});
  });
}

// As high as page.css has them on landscape pages.
const PAPER = {map: {width: 900, height: 380}, curve: {width: 900, height: 300}};

function drawPage() {
  const told = document.documentElement.dataset;
  drawHead();
  drawFacts();
  const map = new MemoryMap(byId("map"));
  kindButtons(map);
  wireMap(map);
  told.curvePoints = String(drawCurve());
  told.stepRows = String(drawSteps(map));
  drawBuffers();
  told.rectangles = String(map.drawn.size);
  pageDrawn();
}

drawPage();
