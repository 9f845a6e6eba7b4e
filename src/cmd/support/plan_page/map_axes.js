// What the memory map is made of: the kinds of buffers, and its two axes.
const KINDS = [
  "tensor",
  "ring",
  "source",
  "sink",
  "slot",
  "workspace",
  "held",
  "pinned",
  "decoding",
  "counters",
  "staging",
];
const KIND_TEXTS = {
  tensor: "tensor",
  ring: "ring of rows",
  source: "row source",
  sink: "row sink",
  slot: "weight slot",
  workspace: "workspace",
  held: "held weights",
  pinned: "pinned weights",
  decoding: "decoding of weights",
  counters: "spill counters",
  staging: "staging",
  other: "other",
};
const kindOf = buffer => (KINDS.includes(buffer.kind) ? buffer.kind : "other");

// One per value of the horizontal axis: where step i begins and ends, for i from `first` to `last`.
function timeAxes() {
  const first = Math.min(0, ...buffers.map(buffer => Math.max(buffer.first_step, -1)));
  const last = Math.max(steps.length - 1, ...buffers.map(buffer => Math.min(buffer.last_step, steps.length)));
  const ends = [];
  steps.reduce((sum, step, index) => (ends[index] = sum + (step.predicted_ms || 0)), 0);
  const total = ends[ends.length - 1] || 1;
  // What is before and after the prediction takes no predicted time; it gets a margin to be seen in.
  const margin = total * 0.015;
  const begins = index => (index < 0 ? -margin : index === 0 ? 0 : ends[Math.min(index, steps.length) - 1]);
  const stops = index => (index < 0 ? 0 : index >= steps.length ? total + margin : ends[index]);
  return {
    // A step is centred on its number.
    step: {begin: index => index - 0.5, end: index => index + 0.5, min: first - 0.5, max: last + 0.5},
    time: {begin: begins, end: stops, min: begins(first), max: stops(last)},
  };
}
