// What is accessed and how: shares by kind of memory, by how often lines are touched, by what an instruction touches
// next.
const memory = listOf("memory");
const MIX_ROW = 40;
const LABEL_WIDTH = 6.6; // of a character

// [{title, parts: [{name, amount, text, color}]}], without rows that have nothing.
function mixRows() {
  const ofKinds = (title, key) => ({
    title,
    parts: memory.map(kind => ({
      name: kind.kind,
      amount: kind[key] || 0,
      text: bytesText(kind[key]),
      color: kindColor(kind.kind),
    })),
  });
  const ofNames = (title, from, names, colors) => ({
    title,
    parts: from
      ? names.map(([key, name], index) => ({
          name,
          amount: from[key] || 0,
          text: exactText(from[key]),
          color: cssColor(colors[index]),
        }))
      : [],
  });
  const shades = ["size-3", "size-2", "size-1", "size-0"];
  return [
    ofKinds("Memory touched", "touched_bytes"),
    ofKinds("Bytes read", "read_bytes"),
    ofKinds("Bytes written", "written_bytes"),
    ofNames(
      "An instruction's next access",
      found.patterns,
      [
        ["repeated", "same address"],
        ["sequential", "sequential"],
        ["strided", "strided"],
        ["irregular", "irregular"],
      ],
      shades,
    ),
    ofNames(
      "Lines of 64 B touched",
      found.lines,
      [
        ["once", "once"],
        ["twice", "twice"],
        ["many", "more often"],
      ],
      shades,
    ),
  ].filter(row => sum(row.parts.map(part => part.amount)) > 0);
}

function mixOption() {
  const rows = mixRows(),
    width = byId("mix-chart").clientWidth - nameRoom("mix-chart", 190) - 24;
  // One series for each segment; all stand in one stack, in the order of their row.
  const series = rows.flatMap((row, at) => {
    const whole = sum(row.parts.map(part => part.amount));
    return row.parts
      .filter(part => part.amount > 0)
      .map(part => ({
        type: "bar",
        stack: "shares",
        barWidth: "62%",
        name: part.name,
        itemStyle: {color: part.color, borderColor: cssColor("surface"), borderWidth: 1},
        emphasis: {focus: "none"},
        label: {
          show: (part.amount / whole) * width > (String(part.name).length + 8) * LABEL_WIDTH,
          color: "#ffffff",
          textShadowColor: "rgba(0,0,0,.55)",
          textShadowBlur: 3,
          fontSize: 11.5,
          overflow: "truncate",
          formatter: () => `${String(part.name)} ${shareText(part.amount, whole)}`,
        },
        data: rows.map((_, index) =>
          index === at ? {value: (100 * part.amount) / whole, part, row, whole} : null,
        ),
      }));
  });
  return {
    ...baseOption({
      formatter: ({data}) =>
        tip(
          data.row.title,
          data.row.parts
            .filter(part => part.amount > 0)
            .map(part => [part.name, `${part.text}, ${shareText(part.amount, data.whole)}`, part.color]),
        ),
    }),
    grid: {left: nameRoom("mix-chart", 190), right: 24, top: 4, bottom: 8},
    xAxis: {type: "value", min: 0, max: 100, show: false},
    yAxis: axisStyle("", {
      type: "category",
      inverse: true,
      data: rows.map(row => row.title),
      axisLine: {show: false},
      axisTick: {show: false},
      splitLine: {show: false},
      axisLabel: {
        color: cssColor("text"),
        interval: 0,
        hideOverlap: false,
        width: nameRoom("mix-chart", 190) - 12,
        overflow: "truncate",
      },
    }),
    series,
  };
}

function drawMix() {
  drawChart("mix-chart", mixOption, () => mixRows().length * MIX_ROW + 12);
  byId("mix-chart").setAttribute(
    "aria-label",
    "Shares of memory touched, read and written, as in the table below",
  );
  sortedTable(
    byId("memory-table"),
    [
      {title: "Memory", key: kind => String(kind.kind), cell: kind => kindCell(kind.kind)},
      ...volumeColumns(memory),
    ],
    memory,
    () => {},
  );
}

function kindCell(kind) {
  const dot = element("i", {className: "dot"});
  dot.style.background = kindColor(kind);
  return element("td", {}, dot, String(kind));
}
