// The plan, and how its steps are written.
const plan = pageData;
const steps = plan.steps || [];
const buffers = plan.buffers || [];
const sweep = (plan.sweep || []).slice().sort((a, b) => a.budget_bytes - b.budget_bytes);

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
