// The miss curve of LRU by memory, and on it what was predicted and measured at the EPC sizes asked for.
let curveLevel = levels[0];
const isPages = level => level.granule_bytes === PAGE_BYTES;
// A logarithmic axis has no 0: it stands here, and is labelled so.
const FLOOR = 0.1;
const onLog = value => Math.max(value, FLOOR);

// A page that is touched for the first time needs no load; a line comes from memory then, too.
const baseOf = level => (isPages(level) ? level.cold : 0);

function curvePoints(level) {
  const base = baseOf(level);
  return listOf("miss_curve", level).map(([capacity, misses]) => [
    capacity * level.granule_bytes,
    onLog(misses - base),
    misses - base,
  ]);
}

function sizePoints(level) {
  if (!isPages(level)) return [];
  return sizes.map((size, index) => ({size, index})).sort((a, b) => a.size.bytes - b.size.bytes);
}

// Between which two of the sizes asked for the most loads are spared.
function steepestText(level) {
  const rising = sizePoints(level).map(({size}) => size);
  let best = null;
  rising.slice(1).forEach((size, index) => {
    const spared = rising[index].loads - size.loads;
    if (spared > 0 && (best === null || spared > best.spared)) best = {from: rising[index], to: size, spared};
  });
  return best === null
    ? ""
    : `Of the sizes asked for, most is gained from ${bytesText(best.from.bytes)} to ${bytesText(best.to.bytes)}: ` +
        `${exactText(best.from.loads)} loads become ${exactText(best.to.loads)}. `;
}

function curveHelp(level) {
  if (!isPages(level)) {
    const at = [1, 8, 32].map(mebibytes => {
      const misses = missesAt(level, mebibytes * 2 ** 20);
      return `${bytesText(misses * level.granule_bytes)} past a cache of ${mebibytes} MiB`;
    });
    return (
      `What memory encryption would work on, for an LRU cache in front of it: ${at.join(", ")}.` +
      sampledText(level)
    );
  }
  const knee = isNumber(found.knee_bytes)
    ? `Knee at ${bytesText(found.knee_bytes)}: from there, no more than a tenth of the pages touched are loaded again. `
    : "";
  const pinned =
    found.epc && found.epc.pinned_bytes > 0
      ? `${bytesText(found.epc.pinned_bytes)} of written library data are pinned. `
      : "";
  const first =
    found.epc && isNumber(found.epc.first_touches)
      ? `${exactText(found.epc.first_touches)} first touches load nothing. `
      : "";
  return `${knee}${steepestText(level)}${first}${pinned}The line is LRU's; dots are epcrun's own policy, simulated.`;
}

const sampledText = level =>
  level.exact === false
    ? ` Sampled at ${shareText(level.sample_rate, 1)}: within ${(100 * level.expected_error).toFixed(1)} points.`
    : "";

function curveLines(level, xMax) {
  const lines = isPages(level)
    ? [
        ["knee", found.knee_bytes, "warn"],
        ["touched in all", found.peak_bytes, "quiet"],
      ]
    : [];
  return {
    silent: true,
    symbol: "none",
    data: lines
      .filter(([, bytes]) => isNumber(bytes))
      .map(([name, bytes, color], index) => ({
        xAxis: bytes,
        lineStyle: {color: cssColor(color), type: "dashed", width: 1.2},
        label: {
          formatter: () => `${name} ${bytesText(bytes)}`,
          color: cssColor(color),
          fontSize: 11.5,
          position: "end",
          // One line of text higher, as both may stand close together.
          distance: index === 0 ? 5 : 20,
          align: bytes > xMax * 0.8 ? "right" : "center",
        },
      })),
  };
}

function pointSeries(name, points, valueOf, style) {
  return {
    type: "scatter",
    name,
    z: 4,
    clip: false,
    labelLayout: {hideOverlap: true},
    data: points
      .map(({size, index}) => ({bytes: size.bytes, loads: valueOf(size), index}))
      .filter(({loads}) => isNumber(loads))
      .map(({bytes, loads, index}) => ({value: [bytes, onLog(loads), index]})),
    ...style,
  };
}

function pointTip(index) {
  const size = sizes[index],
    measured = size.measured || {};
  const facts = [
    ["predicted loads", exactText(size.loads)],
    ...(isNumber(measured.loads) ? [["measured loads", exactText(measured.loads)]] : []),
    ...(isNumber(measured.difference)
      ? [["predicted over measured", percentText(1 + measured.difference)]]
      : []),
    ["loads of LRU", exactText(size.lru_loads)],
    ["evictions", exactText(size.evictions)],
  ];
  return tip(`${bytesText(size.bytes)} of secure memory`, facts, cyclesText(size.loads));
}

function lineTip(item, level) {
  const [bytes, , misses] = item.data;
  return tip(`${bytesText(bytes)} of memory`, [
    [isPages(level) ? "page loads (LRU)" : "misses (LRU)", countText(misses)],
    ["of all touches", shareText(misses, level.touches)],
    ["volume", bytesText(misses * level.granule_bytes)],
  ]);
}

// At an EPC size what was counted there, elsewhere what the line says.
function pagingTip(items, level) {
  const point = items.find(item => item.seriesType === "scatter");
  return point ? pointTip(point.data.value[2]) : lineTip(items[0], level);
}

function predictedSeries(points) {
  return pointSeries("predicted for epcrun", points, size => size.loads, {
    symbolSize: 12,
    itemStyle: {color: cssColor("accent-deep"), borderColor: cssColor("surface"), borderWidth: 1.5},
    label: {
      show: true,
      position: "top",
      distance: 7,
      color: cssColor("text"),
      textBorderColor: cssColor("surface"),
      textBorderWidth: 3,
      fontSize: 11.5,
      formatter: item => shortText(sizes[item.data.value[2]].loads),
    },
  });
}

function measuredSeries(points) {
  return pointSeries("measured under epcrun", points, size => (size.measured || {}).loads, {
    symbol: "diamond",
    symbolSize: 18,
    itemStyle: {color: "transparent", borderColor: cssColor("warn"), borderWidth: 2},
  });
}

function lruSeries(shown, level, xMax) {
  const accent = cssColor("accent");
  return {
    type: "line",
    name: "LRU",
    data: shown,
    symbol: "circle",
    symbolSize: 5,
    showSymbol: false,
    lineStyle: {color: accent, width: 2},
    itemStyle: {color: accent},
    areaStyle: {color: accent, opacity: 0.08, origin: "start"},
    markLine: curveLines(level, xMax),
  };
}

function memoryAxis(name, min, max) {
  const ticks = powerTicks(2, min, max, 12);
  return axisStyle(name, {
    type: "log",
    logBase: 2,
    min,
    max,
    nameGap: 30,
    splitLine: {show: false},
    axisLabel: {formatter: value => bytesText(Math.round(value)), customValues: ticks},
    axisTick: {customValues: ticks, lineStyle: {color: cssColor("line")}},
  });
}

function missesAxis(name, least) {
  return axisStyle(name, {
    type: "log",
    nameGap: 52,
    min: least <= FLOOR ? FLOOR : 10 ** Math.floor(Math.log10(least)),
    axisLabel: {formatter: value => (value <= FLOOR ? "0" : shortText(value))},
  });
}

function pagingOption() {
  const level = curveLevel,
    pages = isPages(level),
    line = curvePoints(level),
    points = sizePoints(level),
    end = line[line.length - 1][0];
  const xMin = Math.min(pages ? 16 * PAGE_BYTES : 64 * level.granule_bytes, end / 4);
  const xMax = Math.max(end, ...points.map(({size}) => size.bytes), pages ? found.peak_bytes || 0 : 0) * 1.06;
  const shown = line.filter(([bytes]) => bytes >= xMin);
  const least = Math.min(...shown.map(([, y]) => y), ...points.map(({size}) => onLog(size.loads)));
  const measured = points.some(({size}) => size.measured && isNumber(size.measured.loads));
  return {
    ...baseOption({
      trigger: "axis",
      axisPointer: {type: "line", label: {show: false}},
      formatter: items => pagingTip(items, level),
    }),
    legend: legendStyle({top: 0, right: 8, selectedMode: false}),
    grid: {left: 74, right: 34, top: 62, bottom: 48},
    xAxis: memoryAxis(pages ? "secure memory" : "cache", xMin, xMax),
    yAxis: missesAxis(pages ? "page loads" : "misses", least),
    series: [
      lruSeries(shown, level, xMax),
      ...(points.length > 0 ? [predictedSeries(points)] : []),
      ...(measured ? [measuredSeries(points)] : []),
    ],
  };
}

function drawPaging() {
  if (sizes.length === 0) byId("epc").remove();
  else drawEpcTable();
  const describe = () => {
    byId("paging-what").textContent = isPages(curveLevel)
      ? "Pages that are loaded again, by the secure memory there is."
      : `Misses at ${bytesText(curveLevel.granule_bytes)}, by the cache there is.`;
    byId("paging-help").textContent = curveHelp(curveLevel);
  };
  describe();
  const draw = drawChart("paging-chart", pagingOption);
  const show = switchIn(
    "paging-tools",
    "Granularity",
    levels.map(level => [level, isPages(level) ? "Pages" : `Lines of ${bytesText(level.granule_bytes)}`]),
    curveLevel,
    level => {
      curveLevel = level;
      show(level);
      describe();
      draw();
    },
  );
  byId("paging-chart").setAttribute("aria-label", `Miss curve: ${byId("paging-help").textContent}`);
}
