// Title, key figures and advice.
const commandWords = () =>
  (listOf("command").length > 0 ? listOf("command") : [found.program, ...listOf("arguments")])
    .filter(word => word !== undefined)
    .map(String);

function drawHead() {
  const words = commandWords(),
    name = baseName(words.length > 0 ? words[0] : "program");
  byId("title").textContent = isComparison ? `${name} on several inputs` : `${name} in an enclave`;
  document.title = isComparison
    ? `${name}: do addresses depend on the input?`
    : `${name}: how it behaves in an enclave`;
  const subtitle = byId("subtitle");
  if (found.complete === false) {
    subtitle.append(
      element("span", {
        className: "badge",
        textContent: `PARTIAL: of its first ${isNumber(found.seconds) ? found.seconds.toFixed(1) : "?"} s of tracing`,
      }),
    );
  }
  const parts = [
    found.ending,
    found.plan && isNumber(found.plan.budget_bytes) && `planned for ${bytesText(found.plan.budget_bytes)}`,
    found.accesses && isNumber(found.accesses.count) && `${countText(found.accesses.count)} accesses`,
    found.compared && `compared ${found.compared}`,
    isNumber(found.seconds) && `traced in ${found.seconds.toFixed(1)} s`,
  ].filter(Boolean);
  subtitle.append(parts.map(String).join(" · "));
  if (words.length > 1)
    byId("title").after(element("code", {className: "command", textContent: words.join(" ")}));
  byId("made").textContent =
    "Made by coracle characterize." +
    (isComparison ? "" : " An access is of at most 8 bytes. Loads are predicted for the policy of epcrun.");
}

function pagingFacts() {
  if (isNumber(found.knee_bytes)) {
    fact(
      "Knee",
      bytesText(found.knee_bytes),
      "with it, few pages are loaded again",
      isNumber(found.peak_bytes) ? found.knee_bytes / found.peak_bytes : undefined,
    );
  }
  if (sizes.length === 0) return;
  const costs = sizes[chosenSize];
  fact(`Loads at ${sizeNames[chosenSize]}`, countText(costs.loads), cyclesText(costs.loads));
}

// "0.24 to 0.8 billion cycles".
function cyclesText(loads) {
  if (!(loads > 0)) return loads === 0 ? "none: it fits" : "–";
  const [unit, factor] = loads * LOAD_CYCLES[1] >= 1e9 ? ["billion", 1e9] : ["million", 1e6];
  const [least, most] = LOAD_CYCLES.map(cycles => parseFloat(((loads * cycles) / factor).toPrecision(2)));
  return `${least} to ${most} ${unit} cycles`;
}

function reuseFacts() {
  for (const level of levels.slice(0, 2)) {
    const far = quantile(level, 0.99);
    fact(
      `Reuse by ${bytesText(level.granule_bytes)}`,
      far === null ? "never" : `< ${bytesText(far)}`,
      `for 99 % of touches${level.exact === false ? " (sampled)" : ""}`,
    );
  }
}

function drawFacts() {
  const accesses = found.accesses || {};
  if (isNumber(accesses.count)) {
    const all = accesses.reads + accesses.writes;
    fact(
      "Accesses",
      countText(accesses.count),
      `${shareText(accesses.reads, all)} reads, ${shareText(accesses.writes, all)} writes`,
    );
    fact("Bytes read", bytesText(accesses.read_bytes), `${bytesText(accesses.written_bytes)} written`);
  }
  if (isNumber(found.peak_bytes)) {
    const code = isNumber(found.code_bytes)
      ? `${bytesText(found.code_bytes)} of code executed`
      : "in all at once";
    fact("Memory touched", bytesText(found.peak_bytes), code);
  }
  pagingFacts();
  reuseFacts();
  if (found.system_calls) {
    const threads =
      found.threads_started > 0 ? `${plural(found.threads_started, "thread")} started` : "no thread started";
    fact("System calls", countText(sum(listOf("system_calls").map(call => call.calls))), threads);
  }
  if (found.plan && isNumber(found.plan.pool_bytes)) {
    fact(
      "Plan's pool",
      bytesText(found.plan.pool_bytes),
      isNumber(found.plan.predicted_ms) ? `predicted ${msText(found.plan.predicted_ms)}` : "",
    );
  }
  if (byId("facts").childElementCount === 0) byId("facts").remove();
}

// {"knee_bytes": 50331648} reads "knee: 48 MiB"; units are the names' last words.
function valueText(name, value) {
  if (value === null || value === undefined) return "–";
  if (!isNumber(value)) return typeof value === "object" ? JSON.stringify(value) : String(value);
  if (/(^|_)bytes$/.test(name)) return bytesText(value);
  if (/_ms$/.test(name)) return msText(value);
  return exactText(value);
}
const nameText = name => (name === "bytes" ? "size" : name.replace(/_(bytes|ms)$/, "").replace(/_/g, " "));

// [[name, text]] of one side of a check; loads by EPC size are one row for each size.
function checkedRows(side) {
  return Object.entries(side || {}).flatMap(([name, value]) =>
    Array.isArray(value)
      ? value.map(each => [`${nameText(name)} at ${bytesText(each.epc_bytes)}`, exactText(each.loads)])
      : [[nameText(name), valueText(name, value)]],
  );
}

function checkedBox(checked) {
  const before = new Map(checkedRows(checked.before)),
    after = new Map(checkedRows(checked.after));
  const rows = [...new Set([...before.keys(), ...after.keys()])].flatMap(name => [
    element("dt", {textContent: name}),
    element("dd", {className: "before", textContent: before.get(name) || ""}),
    element("dd", {textContent: after.has(name) ? `→ ${after.get(name)}` : ""}),
  ]);
  return element(
    "div",
    {className: checked.as_planned === false ? "checked unlike" : "checked"},
    checked.text ? element("div", {textContent: `Checked: ${checked.text}`}) : null,
    rows.length > 0 ? element("dl", {}, ...rows) : null,
  );
}

function modelText() {
  const model = found.model || {},
    recognized = model.recognized;
  return [
    model.name && `Buffers are called as in ${model.name}.`,
    recognized &&
      `Recognized: ${plural(recognized.objects, "object")}, ${bytesText(recognized.bytes)} of ${bytesText(recognized.bytes_of_all)}.`,
    model.not_checked && `Not checked by running the plan: ${model.not_checked}.`,
  ]
    .filter(Boolean)
    .join(" ");
}

function drawAdvice() {
  byId("advice-model").textContent = modelText();
  byId("advice-list").append(
    ...listOf("advice").map(each =>
      element(
        "li",
        {},
        element("b", {textContent: each.what}),
        element("p", {textContent: each.number}),
        element("p", {className: "effect", textContent: each.effect}),
        each.planned
          ? element("p", {className: "planned", textContent: `Coracle's plan: ${each.planned}`})
          : null,
        each.checked && typeof each.checked === "object" ? checkedBox(each.checked) : null,
      ),
    ),
  );
}
