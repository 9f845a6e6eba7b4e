// Tables: objects, allocating functions, functions, layers, mappings, system calls, small allocations, marks.
const amountColumn = (rows, title, key, textOf) => {
  const most = Math.max(...rows.map(row => row[key] || 0), 1);
  return {
    title,
    number: true,
    key: row => row[key] || 0,
    cell: row => (isNumber(row[key]) ? amountCell(textOf(row[key]), row[key] / most) : numberCell("–")),
  };
};
const countColumn = (title, key) => ({
  title,
  number: true,
  key: row => row[key] || 0,
  cell: row => numberCell(exactText(row[key])),
});
// A count at one place of a row's list.
const listedColumn = (title, key, at) => ({
  title,
  number: true,
  key: row => listOf(key, row)[at] || 0,
  cell: row => numberCell(exactText(listOf(key, row)[at])),
});
const has = (rows, key) => rows.some(row => isNumber(row[key]));

// Columns of amounts, without those that no row has. columns: [[title, key]].
const presentColumns = (rows, textOf, columns) =>
  columns.filter(([, key]) => has(rows, key)).map(([title, key]) => amountColumn(rows, title, key, textOf));

// The bytes touched, read and written.
const byteColumns = rows =>
  presentColumns(rows, bytesText, [
    ["Touched", "touched_bytes"],
    ["Read", "read_bytes"],
    ["Written", "written_bytes"],
  ]);

// The same, and how often it was read and written.
const volumeColumns = rows => [
  ...byteColumns(rows),
  ...presentColumns(rows, countText, [
    ["Reads", "reads"],
    ["Writes", "writes"],
  ]),
];

function loadsColumn(rows) {
  if (!rows.some(row => loadsOf(row) !== null)) return [];
  const most = Math.max(...rows.map(row => loadsOf(row) || 0), 1);
  return [
    {
      title: `Loads at ${sizeNames[chosenSize]}`,
      number: true,
      key: row => loadsOf(row) || 0,
      cell: row =>
        loadsOf(row) === null ? numberCell("–") : amountCell(exactText(loadsOf(row)), loadsOf(row) / most),
    },
  ];
}

function nameCell(name, note, whole) {
  return element(
    "td",
    {className: "path", title: whole || ""},
    element("b", {textContent: name}),
    note ? element("small", {textContent: note}) : null,
  );
}

const FRAMES_SHOWN = 4;
const framesText = frames =>
  frames.slice(0, FRAMES_SHOWN).join(" ← ") + (frames.length > FRAMES_SHOWN ? " ← …" : "");
// `named`: its name is that of the innermost frame.
function pathCell(name, path, named) {
  const frames = Array.isArray(path) ? path.map(String) : [];
  const rest = named ? frames.slice(1) : frames;
  return nameCell(name, rest.length > 0 ? framesText(rest) : "", frames.join("\n"));
}

// Draws a table now, and again when another EPC size is chosen; its order then starts anew.
function listing(id, rows, columns) {
  const draw = () => {
    byId(id).replaceChildren();
    sortedTable(byId(id), columns(), rows, () => {});
  };
  draw();
  sizeListeners.push(draw);
  told.rows = String(Number(told.rows || 0) + rows.length);
}

const usersText = users =>
  (Array.isArray(users) ? users : [])
    .map(user => `${user.function} (${bytesText(user.bytes).replace(" ", "\u00a0")})`)
    .join(", ");

function usersCell(object) {
  const line = (verb, users) =>
    usersText(users) === ""
      ? null
      : element("div", {}, element("small", {textContent: `${verb} by `}), usersText(users));
  return element(
    "td",
    {className: "words users"},
    line("written", object.writers),
    line("read", object.readers),
  );
}

function lifeCell(object) {
  const end = object.freed_at;
  const text = `${countText(object.allocated_at)} – ${isNumber(end) ? countText(end) : "end"}`;
  return element("td", {className: "number", textContent: isNumber(object.allocated_at) ? text : "–"});
}

function drawObjects() {
  const objects = listOf("objects");
  sizeSwitchIn("objects-tools");
  listing("objects-table", objects, () => [
    {
      title: "Object",
      key: objectName,
      cell: object => pathCell(objectName(object), object.path, !object.layer && !object.role),
    },
    amountColumn(objects, "Size", "bytes", bytesText),
    ...byteColumns(objects),
    ...loadsColumn(objects),
    {
      title: "Returns after",
      number: true,
      key: object => (object.page_returns > 0 ? object.page_distance_median : -1),
      cell: object =>
        numberCell(object.page_returns > 0 ? bytesText(object.page_distance_median * PAGE_BYTES) : "never"),
    },
    {title: "Lives", number: true, key: object => object.allocated_at || 0, cell: lifeCell},
    ...(objects.some(object => listOf("writers", object).length + listOf("readers", object).length > 0)
      ? [{title: "By", key: object => usersText(object.writers), cell: usersCell}]
      : []),
  ]);
  byId("objects-help").textContent =
    "Returns after: the median of how much other memory is touched before a page is touched again. " +
    "Lives: in accesses since the start.";
}

function drawPaths() {
  const paths = listOf("call_paths");
  sizeSwitchIn("paths-tools");
  listing("paths-table", paths, () => [
    {
      title: "Allocated by",
      key: path => pathText(path.path),
      cell: path => pathCell(pathText(path.path), path.path, true),
    },
    countColumn("Allocations", "allocations"),
    amountColumn(paths, "Allocated", "bytes", bytesText),
    amountColumn(paths, "At most at once", "live_bytes_max", bytesText),
    ...volumeColumns(paths),
    ...loadsColumn(paths),
  ]);
}

function drawFunctions() {
  const functions = listOf("functions");
  sizeSwitchIn("functions-tools");
  listing("functions-table", functions, () => [
    {
      title: "Function",
      key: each => String(each.name),
      cell: each => nameCell(String(each.name), each.file ? String(each.file) : ""),
    },
    amountColumn(functions, "Accesses", "accesses", exactText),
    ...volumeColumns(functions),
    ...loadsColumn(functions),
  ]);
}

function drawLayersTable() {
  listing("layers-table", layers, () => [
    {title: "Layer", key: layerName, cell: layer => nameCell(layerName(layer))},
    countColumn("Entered", "entered"),
    amountColumn(layers, "Accesses", "accesses", countText),
    ...byteColumns(layers),
    amountColumn(layers, "Touched first here", "cold_bytes", bytesText),
    ...loadsColumn(layers),
  ]);
}

function drawMappings() {
  const mappings = listOf("mappings");
  listing("mappings-table", mappings, () => [
    {
      title: "Mapping",
      key: mapping => mapping.index,
      cell: mapping => textCell(String(mapping.index)),
      number: true,
    },
    {title: "Kind", key: mapping => String(mapping.kind), cell: mapping => kindCell(mapping.kind)},
    {
      title: "Name",
      key: mapping => String(mapping.name || ""),
      cell: mapping => wordsCell(String(mapping.name || "")),
    },
    amountColumn(mappings, "Size", "bytes", bytesText),
    ...volumeColumns(mappings),
    {
      title: "Returns after",
      number: true,
      key: mapping => (mapping.page_returns > 0 ? mapping.page_distance_median : -1),
      cell: mapping =>
        numberCell(
          mapping.page_returns > 0 ? `< ${bytesText(mapping.page_distance_median * PAGE_BYTES)}` : "never",
        ),
    },
  ]);
}

function drawTransitions() {
  const calls = listOf("system_calls")
      .slice()
      .sort((a, b) => b.calls - a.calls),
    clocks = listOf("vdso_calls");
  const all = sum(calls.map(call => call.calls)),
    signals = found.signals || {};
  byId("transitions-what").textContent = [
    `${exactText(all)} system calls, each an exit from an enclave`,
    `threads started: ${exactText(found.threads_started || 0)}`,
    `signals handled: ${exactText(signals.handled || 0)}`,
    `clock reads without a call (vDSO): ${exactText(sum(clocks.map(call => call.calls)))}`,
    ...(found.processes_started > 0 ? [`children, not followed: ${exactText(found.processes_started)}`] : []),
  ].join(" · ");
  listing("transitions-table", calls, () => [
    {title: "System call", key: call => String(call.name), cell: call => textCell(String(call.name))},
    amountColumn(calls, "Calls", "calls", exactText),
    {
      title: "Of all",
      number: true,
      key: call => call.calls,
      cell: call => numberCell(shareText(call.calls, all)),
    },
    countColumn("Failed", "errors"),
  ]);
}

function drawSmall() {
  const small = listOf("small_allocations");
  listing("small-table", small, () => [
    {
      title: "Up to",
      key: each => each.bytes_max,
      number: true,
      cell: each => numberCell(`${exactText(each.bytes_max)} bytes`),
    },
    amountColumn(small, "Allocations", "count", exactText),
    amountColumn(small, "Allocated", "bytes", bytesText),
  ]);
}

function drawMarks() {
  const marks = listOf("marks");
  listing("marks-table", marks, () => [
    {title: "Mark", key: mark => mark.label, number: true, cell: mark => numberCell(String(mark.label))},
    countColumn("Accesses so far", "accesses"),
    countColumn("First touches so far", "first_touches"),
    ...sizeNames.map((name, size) => listedColumn(`Loads at ${name}`, "loads", size)),
  ]);
}
