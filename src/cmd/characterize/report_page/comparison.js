// Several inputs compared: the verdict, each input beside the first, and what differs where.
const VERDICTS = {
  same: [
    "good",
    "With these inputs it touches the same pages and lines and executes the same instructions, in the same order.",
  ],
  differs: ["bad", "What it touches depends on the input."],
  "cannot be judged": [
    "bad",
    "It cannot be judged: traced twice on one and the same input, it differs from itself.",
  ],
};
const GRANULARITIES = [
  ["pages", "Pages"],
  ["lines", "Lines of 64 B"],
  ["code", "Code"],
  ["calls", "System calls"],
];

// Of the first input that differs; where the first differs from itself, of that.
function shownDifferences() {
  const again = found.again && found.again.differences;
  if (found.verdict === "cannot be judged" && again) return again;
  const input = listOf("inputs").find(each => each.differences);
  return input ? input.differences : null;
}

// What a run did, over all its threads.
function items(input, stream) {
  return sum(listOf("threads", input).map(thread => (thread[stream] || {}).items));
}

function comparedCell(input, key) {
  const differs = input[key] === "differs";
  return element("td", {
    className: differs ? "over" : "",
    textContent: input.isFirst ? "–" : String(input[key]),
  });
}

function drawVerdict() {
  const [tone, text] = VERDICTS[found.verdict] || ["bad", `Verdict: ${found.verdict}`];
  const said = byId("verdict-said");
  said.classList.add(tone);
  said.textContent = text;
  const differing = GRANULARITIES.filter(([key]) => found[key] === "differs").map(([, name]) =>
    name.replace(/^./, letter => letter.toLowerCase()),
  );
  byId("verdict-help").textContent =
    (differing.length > 0 ? `It differs in: ${differing.join(", ")}. ` : "") +
    "Who runs an enclave sees which pages it touches and, through caches, which lines. Each input is compared with the first.";
  const inputs = listOf("inputs").map((input, index) => ({...input, isFirst: index === 0}));
  const runs = found.again ? [...inputs, {...found.again, input: `${found.again.input} (again)`}] : inputs;
  listing("verdict-table", runs, () => [
    {title: "Input", key: run => String(run.input), cell: run => wordsCell(baseName(run.input))},
    ...[
      ["data_lines", "Lines touched"],
      ["code_blocks", "Blocks of code"],
    ]
      .filter(([stream]) => runs.some(run => items(run, stream) > 0))
      .map(([stream, title]) => ({
        title,
        number: true,
        key: run => items(run, stream),
        cell: run => numberCell(exactText(items(run, stream))),
      })),
    ...GRANULARITIES.map(([key, title]) => ({
      title,
      key: run => String(run[key]),
      cell: run => comparedCell(run, key),
    })),
  ]);
}

function drawDifferences() {
  const shown = shownDifferences(),
    [first, second] = listOf("between", shown).map(baseName);
  const functions = listOf("functions", shown),
    instructions = listOf("instructions", shown),
    calls = listOf("system_calls", shown);
  byId("differences-what").textContent =
    `Between ${first} and ${second}, in the order in which it first ran.`;
  byId("differences-help").textContent =
    "Numbers are of instructions that jump elsewhere, that touch other pages, other lines, more or less memory, and that merely " +
    "run more or less often." +
    (shown.instructions_count > instructions.length
      ? ` Below, the first ${instructions.length} of ${exactText(shown.instructions_count)} instructions.`
      : "");
  listing("differing-functions", functions, () => [
    {
      title: "Function",
      key: each => String(each.function),
      cell: each => nameCell(String(each.function), String(each.file || "")),
    },
    ...["jumps", "pages", "lines", "accesses", "runs"].map(kind =>
      amountColumn(functions, kind[0].toUpperCase() + kind.slice(1), kind, exactText),
    ),
  ]);
  listing("differing-instructions", instructions, () => [
    {
      title: "Instruction in",
      key: each => String(each.function),
      cell: each =>
        nameCell(String(each.function), `${each.file}+0x${Number(each.file_offset).toString(16)}`),
    },
    {
      title: "Differs in",
      key: each => String(each.differs_in),
      cell: each => textCell(String(each.differs_in)),
    },
    listedColumn(`Times with ${first}`, "counts", 0),
    listedColumn(`Times with ${second}`, "counts", 1),
  ]);
  if (calls.length === 0) {
    byId("differing-calls").parentElement.remove();
    return;
  }
  listing("differing-calls", calls, () => [
    {title: "System call", key: call => String(call.name), cell: call => textCell(String(call.name))},
    listedColumn(`Calls with ${first}`, "calls", 0),
    listedColumn(`Calls with ${second}`, "calls", 1),
  ]);
}
