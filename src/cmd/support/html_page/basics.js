// What all pages share: the data, how numbers are written, and when charts are drawn anew. Text from the data only ever
// becomes text: textContent, or a chart's labels.
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

const pageData = JSON.parse(document.querySelector('script[type="application/json"]').textContent);

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

// Ticks at multiples of the power of two of bytes that gives four to eight of them.
function byteTicks(from, to) {
  const interval = 2 ** Math.max(0, Math.ceil(Math.log2((to - from) / 8)));
  const ticks = [];
  for (let at = Math.ceil(from / interval) * interval; at <= to; at += interval) ticks.push(at);
  return ticks;
}

function fact(name, value, note, share) {
  const box = element(
    "dl",
    {className: "fact"},
    element("dt", {textContent: name}),
    element("dd", {textContent: value}),
  );
  box.style.margin = "0";
  if (isNumber(share)) {
    const bar = element("i");
    bar.style.width = `${Math.min(share, 1) * 100}%`;
    box.append(element("div", {className: "gauge"}, bar));
  }
  if (note) box.append(element("small", {textContent: note}));
  byId("facts").append(box);
}

// facts: [[name, value]], and [name, value, colour] for what has one in the chart.
function tip(title, facts, note) {
  return element(
    "div",
    {className: "tip"},
    element("b", {textContent: title}),
    element(
      "dl",
      {},
      ...facts.flatMap(([name, value, color]) => {
        const key = element("dt");
        if (color) {
          const dot = element("i");
          dot.style.background = color;
          key.append(dot);
        }
        key.append(String(name));
        return [key, element("dd", {textContent: String(value)})];
      }),
    ),
    note ? element("p", {textContent: note}) : null,
  );
}

// Each draws a chart anew, in the colours of now: on paper if told so, else to fill its place.
const redraws = [];

function redrawAll(paper) {
  document.documentElement.classList.toggle("paper", paper);
  redraws.forEach(draw => draw(paper));
}

// Tells on <html> that all is drawn. On paper all is light.
function pageDrawn() {
  document.documentElement.dataset.drawn = "yes";
  for (const happened of ["resize", "afterprint"]) window.addEventListener(happened, () => redrawAll(false));
  window.addEventListener("beforeprint", () => redrawAll(true));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redrawAll(false));
}
