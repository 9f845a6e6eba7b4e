// Reuse-distance histograms by octaves of distance, by kind of memory where the level tells them apart.
let reuseLevel = levels[0];
let reuseScale = "log";

// Weights by octave: [0] distance 0 (what was touched just before), [k] distances of 2^(k-1) to 2^k - 1, and "first".
function octaves(histogram) {
  const weights = [];
  let count = 0;
  for (const [distance, weight] of listOf("histogram", histogram)) {
    const octave = distance < 1 ? 0 : Math.floor(Math.log2(distance)) + 1;
    weights[octave] = (weights[octave] || 0) + weight;
    count = Math.max(count, octave + 1);
  }
  return Array.from({length: count}, (_, index) => weights[index] || 0);
}

// From here on, in bytes; the first octave is distance 0.
const octaveStart = (octave, level) => (octave === 0 ? 0 : 2 ** (octave - 1) * level.granule_bytes);

function reuseRows(level) {
  const kinds = Object.entries(level.kinds || {}).sort(([a], [b]) => byKind(a, b));
  const parts = kinds.length > 0 ? kinds : [["all", level]];
  return parts.map(([name, histogram]) => ({name, weights: octaves(histogram), cold: histogram.cold || 0}));
}

function reuseTip(items, level, all) {
  const at = items[0].dataIndex;
  const first = at === all.length;
  const weight = first ? level.cold : all[at];
  const title = first
    ? "Touched for the first time"
    : at === 0
      ? "The same as just before"
      : `${bytesText(octaveStart(at, level))} to ${bytesText(octaveStart(at + 1, level))} between`;
  const rows = items
    .filter(item => item.seriesName !== "all" && item.data.count > 0)
    .map(item => [item.seriesName, countText(item.data.count), kindColor(item.seriesName)]);
  return tip(title, [["touches", countText(weight)], ["of all", shareText(weight, level.touches)], ...rows]);
}

function reuseOption() {
  const level = reuseLevel,
    logarithmic = reuseScale === "log",
    all = octaves(level),
    rows = reuseRows(level);
  const names = [
    ...all.map((_, octave) => (octave === 0 ? "0" : bytesText(octaveStart(octave, level)))),
    "first",
  ];
  const counts = row => [...all.map((_, octave) => row.weights[octave] || 0), row.cold];
  // On a logarithmic axis nothing can be stacked: the sum stands behind, and kinds are points before it.
  const shown = (row, more) => ({
    name: row.name,
    data: counts(row).map(count => ({value: logarithmic && count < 1 ? null : count, count})),
    itemStyle: {color: row.name === "all" ? cssColor("accent") : kindColor(row.name)},
    ...more,
  });
  const sumRow = {name: "all", weights: all, cold: level.cold};
  const bars = {type: "bar", barCategoryGap: "12%"};
  const series = logarithmic
    ? [
        shown(sumRow, {...bars, itemStyle: {color: cssColor("bar"), opacity: rows.length > 1 ? 0.45 : 1}}),
        ...rows
          .filter(row => row.name !== "all")
          .map(row =>
            shown(row, {
              type: "line",
              symbol: "circle",
              symbolSize: 7,
              connectNulls: false,
              lineStyle: {width: 1.8, color: kindColor(row.name)},
            }),
          ),
      ]
    : rows.map(row => shown(row, {...bars, stack: "kinds"}));
  return {
    ...baseOption({
      trigger: "axis",
      axisPointer: {type: "shadow"},
      formatter: items => reuseTip(items, level, all),
    }),
    legend: legendStyle({top: 0, right: 8}),
    grid: {left: 74, right: 24, top: 40, bottom: 50},
    xAxis: axisStyle("reuse distance from", {
      type: "category",
      data: names,
      nameGap: 32,
      splitLine: {show: false},
      axisTick: {show: false},
    }),
    yAxis: logarithmic
      ? logCountsAxis("touches", Math.max(...counts(sumRow)), {nameGap: 52})
      : countsAxis("touches", {nameGap: 52}),
    series,
  };
}

function reuseHelp(level) {
  const parts = [0.5, 0.9, 0.99, 0.999].map(share => {
    const far = quantile(level, share);
    return `${100 * share} % below ${far === null ? "no distance (first touches)" : bytesText(far)}`;
  });
  const lines = found.lines || {},
    count = lines.once + lines.twice + lines.many;
  const often =
    count > 0
      ? ` Lines of 64 B: ${shareText(lines.once, count)} touched once, ${shareText(lines.twice, count)} twice, ${shareText(lines.many, count)} more often.`
      : "";
  return `Touches by ${bytesText(level.granule_bytes)}: ${parts.join(", ")}.${often}${sampledText(level)}`;
}

function drawReuse() {
  const describe = () => (byId("reuse-help").textContent = reuseHelp(reuseLevel));
  describe();
  const draw = drawChart("reuse-chart", reuseOption);
  const showScale = switchIn(
    "reuse-tools",
    "Scale",
    [
      ["log", "Logarithmic"],
      ["linear", "Linear"],
    ],
    reuseScale,
    scale => {
      reuseScale = scale;
      showScale(scale);
      draw();
    },
  );
  const showLevel = switchIn(
    "reuse-tools",
    "Granularity",
    levels.map(level => [level, isPages(level) ? "Pages" : `Lines of ${bytesText(level.granule_bytes)}`]),
    reuseLevel,
    level => {
      reuseLevel = level;
      showLevel(level);
      describe();
      draw();
    },
  );
  byId("reuse-chart").setAttribute(
    "aria-label",
    `Histogram of reuse distances. ${byId("reuse-help").textContent}`,
  );
}
