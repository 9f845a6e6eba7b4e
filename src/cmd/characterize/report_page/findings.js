// The findings, and how they are written. Every key may be absent: what is not there is not shown.
const found = pageData;
const PAGE_BYTES = 4096;
// Cycles of a page's load in hardware (Orenbach et al., Eleos, EuroSys '17; Taassori et al., VAULT, ASPLOS '18).
const LOAD_CYCLES = [12e3, 40e3];

const listOf = (key, from = found) =>
  from && Array.isArray(from[key]) ? from[key].filter(each => each !== null) : [];
const sum = values => values.reduce((total, value) => total + (isNumber(value) ? value : 0), 0);
// Of several inputs, in place of what one run is like.
const isComparison = typeof found.verdict === "string";
const levels = listOf("reuse");
// The EPC sizes that were simulated; "loads" of anything else are in their order.
const sizes = listOf("sizes", found.epc);
const sizeNames = sizes.map(size => bytesText(size.bytes));
const sizeColor = index => cssColor(`size-${index % 6}`);

const KINDS = [
  "weights",
  "activations",
  "workspace",
  "heap",
  "anonymous",
  "stack",
  "program data",
  "file",
  "shared",
  "unknown",
];
const kindColor = kind => cssColor(`kind-${(KINDS.includes(kind) ? kind : "unknown").replace(" ", "-")}`);
const byKind = (a, b) => KINDS.indexOf(a) - KINDS.indexOf(b);

// 1234567 reads "1,234,567".
const exactText = count => (isNumber(count) ? Math.round(count).toLocaleString("en-US") : "–");

// For titles and tips: 1377521043 reads "1.38 billion"; up to a million, exactly.
function countText(count) {
  if (!isNumber(count)) return "–";
  for (const [unit, factor] of [
    ["trillion", 1e12],
    ["billion", 1e9],
    ["million", 1e6],
  ]) {
    if (Math.abs(count) >= factor) return `${parseFloat((count / factor).toPrecision(3))} ${unit}`;
  }
  return exactText(count);
}

// For the ticks of an axis: "20k", "1M".
function shortText(count) {
  for (const [unit, factor] of [
    ["T", 1e12],
    ["G", 1e9],
    ["M", 1e6],
    ["k", 1e3],
  ]) {
    if (count >= factor) return `${parseFloat((count / factor).toPrecision(3))}${unit}`;
  }
  return String(parseFloat(count.toPrecision(3)));
}

function shareText(part, whole) {
  if (!(whole > 0)) return "–";
  const percent = (100 * part) / whole;
  if (percent > 0 && percent < 0.01) return "< 0.01 %";
  return `${parseFloat(percent.toFixed(percent < 1 ? 2 : percent < 10 ? 1 : 0))} %`;
}

const plural = (count, noun) => `${exactText(count)} ${noun}${count === 1 ? "" : "s"}`;
const baseName = path => String(path).split("/").pop() || String(path);

// What LRU of `bytes` misses, from a level's curve, whose points are at most a quarter of an octave apart.
function missesAt(level, bytes) {
  const curve = listOf("miss_curve", level),
    capacity = bytes / level.granule_bytes;
  let misses = level.touches;
  for (const [at, count] of curve) {
    if (at > capacity) break;
    misses = count;
  }
  return misses;
}

// The least distance that so much of all touches stays below, in bytes; null if they are first touches.
function quantile(level, share) {
  let seen = 0;
  for (const [distance, weight] of listOf("histogram", level)) {
    seen += weight;
    if (seen >= share * level.touches) return (distance + 1) * level.granule_bytes;
  }
  return null;
}

// An object is called by its layer and role where a model told them, else by who asked for it.
function pathText(path) {
  const frames = Array.isArray(path) ? path.map(String) : [];
  return frames.length > 0 ? frames[0] : "(unknown)";
}
function objectName(object) {
  if (object.role || object.layer) return [object.layer, object.role].filter(Boolean).map(String).join(": ");
  return pathText(object.path) + (object.ordinal > 1 ? ` #${object.ordinal}` : "");
}

// The EPC size whose loads lists show: the largest that still costs something.
function usualSize() {
  const most = Math.max(...sizes.map(size => size.loads || 0), 0);
  let chosen = 0;
  sizes.forEach((size, index) => {
    if (size.loads > most / 20 && size.bytes >= sizes[chosen].bytes) chosen = index;
  });
  return chosen;
}
let chosenSize = sizes.length > 0 ? usualSize() : 0;
const loadsOf = each =>
  Array.isArray(each.loads) && isNumber(each.loads[chosenSize]) ? each.loads[chosenSize] : null;
