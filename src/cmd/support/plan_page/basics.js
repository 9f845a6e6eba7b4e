// The plan, and how its numbers are written. Text from the plan only ever becomes text: textContent, or a chart's labels.
let errorCount = 0;
const errorTexts = [];
function noteError(text) {
  document.documentElement.dataset.errors = String(++errorCount);
  errorTexts.push(String(text));
  document.documentElement.dataset.firstError = errorTexts[0].slice(0, 300);
}
window.addEventListener("error", event => noteError(event.message));
window.addEventListener("unhandledrejection", event => noteError(event.reason));
document.addEventListener("securitypolicyviolation", event =>
  noteError(`${event.violatedDirective} ${event.blockedURI}`),
);
document.documentElement.dataset.errors = "0";

const plan = JSON.parse(document.getElementById("plan").textContent);
const steps = plan.steps || [];
const buffers = plan.buffers || [];
const sweep = (plan.sweep || []).slice().sort((a, b) => a.budget_bytes - b.budget_bytes);

const byId = id => document.getElementById(id);
const cssColor = name => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const FONT = getComputedStyle(document.body).fontFamily;
const isNumber = value => typeof value === "number" && Number.isFinite(value);

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children.filter(child => child !== null && child !== undefined));
  return made;
}

// At most three digits, as the program writes sizes.
function bytesText(bytes) {
  if (!isNumber(bytes)) return "–";
  for (const [unit, factor] of [
    ["GiB", 2 ** 30],
    ["MiB", 2 ** 20],
    ["KiB", 2 ** 10],
  ]) {
    if (bytes < factor) continue;
    const value = bytes / factor;
    return `${parseFloat(value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 2))} ${unit}`;
  }
  return `${bytes} B`;
}

function msText(ms) {
  if (!isNumber(ms)) return "–";
  if (ms >= 1000) return `${(ms / 1000).toFixed(2)} s`;
  if (ms >= 100) return `${ms.toFixed(0)} ms`;
  if (ms === 0) return "0 ms";
  return ms >= 10
    ? `${ms.toFixed(1)} ms`
    : ms >= 0.1
      ? `${ms.toFixed(2)} ms`
      : `${(ms * 1000).toFixed(1)} µs`;
}

// "20 ms" where msText would write "20.0 ms": for the ticks of an axis.
const tickText = ms => msText(ms).replace(/\.0+ /, " ");

function percentText(ratio) {
  const percent = (ratio - 1) * 100;
  return `${percent >= 0 ? "+" : "−"}${Math.abs(percent).toFixed(Math.abs(percent) < 10 ? 1 : 0)} %`;
}

// "conv1_1 → conv2_2 (4 layers)".
function layersText(step) {
  const layers = step.layers || [];
  if (layers.length <= 1) return layers[0] || "(no layer)";
  return `${layers[0]} → ${layers[layers.length - 1]} (${layers.length} layers)`;
}

function stepText(index) {
  if (index < 0) return "before the first step";
  if (index >= steps.length) return "after the last step";
  return `step ${index}, ${layersText(steps[index])}`;
}

function lifeText(buffer) {
  const {first_step: first, last_step: last} = buffer;
  return first === last ? stepText(first) : `${stepText(first)} – ${stepText(last)}`;
}

// What lives at each step: the bytes of the union of its buffers, since a buffer may be used in place of another.
function liveBytes() {
  const starting = new Map();
  buffers.forEach(buffer => {
    const first = Math.max(buffer.first_step, 0);
    if (!starting.has(first)) starting.set(first, []);
    starting.get(first).push(buffer);
  });
  let living = [];
  return steps.map((_, index) => {
    living = living.filter(buffer => buffer.last_step >= index).concat(starting.get(index) || []);
    living = living.filter(buffer => buffer.last_step >= index).sort((a, b) => a.offset - b.offset);
    let end = 0,
      sum = 0;
    for (const buffer of living) {
      const from = Math.max(buffer.offset, end),
        to = buffer.offset + buffer.bytes;
      if (to > from) {
        sum += to - from;
        end = to;
      }
    }
    return sum;
  });
}

// Each draws a chart anew, in the colours of now, to fill its place or, when printing, the paper.
const redraws = [];
