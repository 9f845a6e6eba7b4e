// What each layer moves by kind of memory, and has loaded again.
const LAYER_ROW = 22;
const layers = listOf("layers");
const layerName = layer => String(layer.name || "(between layers)");
const moved = volume => (volume.read_bytes || 0) + (volume.written_bytes || 0);
const layersHeight = () => layers.length * LAYER_ROW + 92;

function layerKinds() {
  const present = new Set(layers.flatMap(layer => listOf("kinds", layer).map(kind => String(kind.kind))));
  return [...present].sort(byKind);
}

function layerTip(layer) {
  const loads = loadsOf(layer);
  return tip(layerName(layer), [
    ["entered", plural(layer.entered, "time")],
    ["touched", bytesText(layer.touched_bytes)],
    ["of it for the first time", bytesText(layer.cold_bytes)],
    ["read", bytesText(layer.read_bytes)],
    ["written", bytesText(layer.written_bytes)],
    ...(loads === null ? [] : [[`loads at ${sizeNames[chosenSize]}`, exactText(loads)]]),
    ...listOf("kinds", layer).map(kind => [kind.kind, bytesText(moved(kind)), kindColor(kind.kind)]),
  ]);
}

// [name, colour, layer => bytes] of what a layer's bar is stacked from.
function layerParts() {
  const kinds = layerKinds();
  if (kinds.length === 0) return [["read and written", cssColor("accent"), moved]];
  return kinds.map(kind => [
    kind,
    kindColor(kind),
    layer => moved(listOf("kinds", layer).find(each => each.kind === kind) || {}),
  ]);
}

function layerAxis(index) {
  return axisStyle("", {
    type: "category",
    gridIndex: index,
    inverse: true,
    data: layers.map((_, at) => String(at)),
    axisTick: {show: false},
    splitLine: {show: false},
    axisLabel: {
      show: index === 0,
      interval: 0,
      hideOverlap: false,
      width: nameRoom("layers-chart", 190) - 20,
      overflow: "truncate",
      color: cssColor("text"),
      formatter: at => layerName(layers[at]).slice(0, 60),
    },
  });
}

// Bytes moved on the left, loads on the right where they are known.
function layerGrids(withLoads) {
  const left = nameRoom("layers-chart", 190),
    right = 46,
    gap = 44,
    sides = {top: 36, bottom: 52};
  if (!withLoads) return [{left, right, ...sides}];
  const width = (byId("layers-chart").clientWidth - left - right - gap) * 0.6;
  return [
    {left, width, ...sides},
    {left: left + width + gap, right, ...sides},
  ];
}

function layersOption() {
  const parts = layerParts(),
    withLoads = layers.some(layer => loadsOf(layer) !== null),
    grid = layerGrids(withLoads);
  const bar = {type: "bar", barWidth: "66%"};
  const moves = parts.map(([name, color, amount]) => ({
    ...bar,
    stack: "kinds",
    name,
    itemStyle: {color},
    data: layers.map(amount),
  }));
  const loads = {
    ...bar,
    name: "loads",
    xAxisIndex: 1,
    yAxisIndex: 1,
    itemStyle: {color: cssColor("warn")},
    data: layers.map(loadsOf),
  };
  const loadsAxis = countsAxis(`page loads at ${sizeNames[chosenSize]}`, {gridIndex: 1, nameGap: 28});
  return {
    ...baseOption({
      trigger: "axis",
      axisPointer: {type: "shadow"},
      formatter: items => layerTip(layers[items[0].dataIndex]),
    }),
    legend: legendStyle({top: 0, left: grid[0].left - 8, data: parts.map(([name]) => name)}),
    grid,
    xAxis: [
      bytesAxis("bytes read and written", Math.max(...layers.map(moved), 1), {nameGap: 28}),
      ...(withLoads ? [loadsAxis] : []),
    ],
    yAxis: grid.map((_, index) => layerAxis(index)),
    series: withLoads ? [...moves, loads] : moves,
  };
}

function drawLayers() {
  sizeSwitchIn("layers-tools");
  const draw = drawChart("layers-chart", layersOption, layersHeight);
  const largest = layers.reduce((a, b) => (moved(b) > moved(a) ? b : a));
  byId("layers-chart").setAttribute(
    "aria-label",
    `${layers.length} layers; ${layerName(largest)} moves the most: ${bytesText(moved(largest))}`,
  );
  sizeListeners.push(draw);
}
