// The tables of steps and of buffers.
// Columns in which nothing happens are left out.
function stepColumns() {
  const most = key => Math.max(...steps.map(step => step[key] || 0), 1e-9);
  const measured = steps.some(step => isNumber(step.measured_ms));
  const slowest = Math.max(most("predicted_ms"), most("measured_ms"));
  const bytesColumn = (title, key) => {
    const largest = most(key);
    return {
      title,
      number: true,
      key: row => row.step[key] || 0,
      cell: row =>
        isNumber(row.step[key])
          ? amountCell(row.step[key] === 0 ? "–" : bytesText(row.step[key]), row.step[key] / largest)
          : numberCell("–"),
    };
  };
  const plain = (title, key) => ({
    title,
    number: true,
    key: row => row.step[key] || 0,
    cell: row => numberCell(isNumber(row.step[key]) ? String(row.step[key]) : "–"),
  });
  const told = (key, idle, column) =>
    steps.some(step => isNumber(step[key]) && step[key] !== idle) ? [column] : [];
  const columns = [
    {title: "Step", number: true, key: row => row.index, cell: row => numberCell(String(row.index))},
    {title: "Layers", key: row => layersText(row.step), cell: row => layersCell(row.step)},
    {
      title: "Form",
      key: row => String(row.step.form),
      cell: row => element("td", {}, element("span", {className: "form", textContent: row.step.form})),
    },
    ...told("bands", 1, plain("Bands", "bands")),
    ...(plan.batch > 1
      ? [{title: "Inputs", key: row => row.step.turns || "", cell: row => textCell(row.step.turns || "–")}]
      : []),
    {
      title: "Weights",
      key: row => String(row.step.weights),
      cell: row => textCell(row.step.weights === "none" ? "–" : row.step.weights),
    },
    ...told("workers", 1, plain("Workers", "workers")),
    bytesColumn("In use", "bytes"),
    ...told("opened_bytes", 0, bytesColumn("Opened", "opened_bytes")),
    ...told("spilled_bytes", 0, bytesColumn("Spilled", "spilled_bytes")),
    {
      title: measured ? "Predicted, measured" : "Predicted",
      number: true,
      key: row => row.step.predicted_ms || 0,
      cell: row => {
        const {predicted_ms: predicted, measured_ms: took} = row.step;
        return isNumber(took)
          ? amountCell(`${msText(predicted)}, ${msText(took)}`, predicted / slowest, took / slowest)
          : amountCell(msText(predicted), (predicted || 0) / slowest);
      },
    },
  ];
  if (measured)
    columns.push({title: "Off by", number: true, key: row => off(row.step), cell: row => offCell(row.step)});
  return columns;
}

const off = step =>
  isNumber(step.measured_ms) && step.predicted_ms > 0 ? step.measured_ms / step.predicted_ms : 1;

function offCell(step) {
  if (!isNumber(step.measured_ms) || !(step.predicted_ms > 0)) return numberCell("–");
  const cell = numberCell(percentText(off(step)));
  if (Math.abs(off(step) - 1) > 0.25) cell.classList.add("over");
  return cell;
}

function layersCell(step) {
  const layers = step.layers || [];
  const cell = element("td", {className: "words layers", title: layers.join("\n")}, layers[0] || "–");
  if (layers.length > 1) {
    cell.append(
      " → ",
      layers[layers.length - 1],
      " ",
      element("small", {textContent: `${layers.length} layers`}),
    );
  }
  return cell;
}

let stepRows = [];
// Shows a step in the map and in the table; once more, neither.
let selectStep = () => {};

function drawSteps(map) {
  const rows = steps.map((step, index) => ({step, index}));
  stepRows = sortedTable(byId("steps"), stepColumns(), rows, (tr, row) => {
    tr.tabIndex = 0;
    tr.addEventListener("click", () => selectStep(row.index));
    tr.addEventListener("keydown", event => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      selectStep(row.index);
    });
  });
  selectStep = index => {
    const chosen = map.selected === index ? null : index;
    map.select(chosen);
    stepRows.forEach((tr, at) => tr.setAttribute("aria-selected", String(at === chosen)));
  };
  byId("step-filter").addEventListener("input", event => {
    const wanted = event.target.value.trim().toLowerCase();
    rows.forEach(row => {
      const found = (row.step.layers || []).some(layer => String(layer).toLowerCase().includes(wanted));
      stepRows[row.index].hidden = wanted !== "" && !found;
    });
  });
  return stepRows.length;
}

function drawBuffers() {
  const largest = Math.max(...buffers.map(buffer => buffer.bytes), 1);
  const span = index => (index < 0 ? "before" : index >= steps.length ? "after" : String(index));
  sortedTable(
    byId("buffers"),
    [
      {
        title: "Address",
        number: true,
        key: buffer => buffer.offset,
        cell: buffer => numberCell(bytesText(buffer.offset)),
      },
      {title: "Name", key: buffer => String(buffer.name), cell: buffer => wordsCell(buffer.name)},
      {title: "Kind", key: kindOf, cell: buffer => textCell(KIND_TEXTS[kindOf(buffer)])},
      {
        title: "Size",
        number: true,
        key: buffer => buffer.bytes,
        cell: buffer => amountCell(bytesText(buffer.bytes), buffer.bytes / largest),
      },
      {
        title: "First step",
        number: true,
        key: buffer => buffer.first_step,
        cell: buffer => numberCell(span(buffer.first_step)),
      },
      {
        title: "Last step",
        number: true,
        key: buffer => buffer.last_step,
        cell: buffer => numberCell(span(buffer.last_step)),
      },
      {title: "Why", key: buffer => String(buffer.why || ""), cell: buffer => wordsCell(buffer.why || "")},
    ],
    buffers,
    () => {},
  );
}
