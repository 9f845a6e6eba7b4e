// What happens when, in accesses since the start: the working set, page loads at each EPC size, the lives of objects.
const OBJECTS_DRAWN = 28;
const MARKS_DRAWN = 24;
const ROW_HEIGHT = 17;
const PIXELS_A_CHARACTER = 7.4;
const windows = found.timeline || found.working_set || {};
const windowPages = listOf("pages", windows);
const windowLoads = listOf("loads", found.timeline); // by EPC size, then by window

const shortName = (name, most) => (name.length > most ? `${name.slice(0, most - 1)}…` : name);

function drawnObjects() {
  return listOf("objects")
    .filter(object => isNumber(object.allocated_at) && object.touched_bytes > 0)
    .slice(0, OBJECTS_DRAWN)
    .sort((a, b) => a.allocated_at - b.allocated_at);
}

const runEnd = () =>
  Math.max(windowPages.length * (windows.window_accesses || 0), (found.accesses || {}).count || 0, 1);
const drawnEnd = object => (isNumber(object.freed_at) ? object.freed_at : runEnd());

// A window holds where it begins; the last one is drawn to its end.
function stairs(values, valueOf) {
  const width = windows.window_accesses;
  const points = values.map((value, index) => [index * width, valueOf(value), index]);
  if (points.length > 0) points.push([runEnd(), points[points.length - 1][1], points.length - 1]);
  return points;
}

function markLines() {
  const marks = listOf("marks");
  return marks.length > MARKS_DRAWN
    ? []
    : marks.map(mark => ({
        xAxis: mark.accesses,
        lineStyle: {color: cssColor("quiet"), type: "dotted", width: 1.2},
        label: {
          formatter: () => `mark ${mark.label}`,
          color: cssColor("quiet"),
          fontSize: 11,
          position: "end",
          distance: 3,
        },
      }));
}

// An object's life, pale, with what lies between its first and last access upon it.
function lifeShape(objects) {
  return (params, api) => {
    const object = objects[params.dataIndex];
    const bar = (from, to, opacity, thick) => {
      const [left, middle] = api.coord([from, params.dataIndex]);
      const right = api.coord([to, params.dataIndex])[0];
      const shape = echarts.graphic.clipRectByRect(
        {x: left, y: middle - thick / 2, width: Math.max(right - left, 1.5), height: thick},
        {
          x: params.coordSys.x,
          y: params.coordSys.y,
          width: params.coordSys.width,
          height: params.coordSys.height,
        },
      );
      return shape ? {type: "rect", shape, style: {fill: api.visual("color"), opacity}} : null;
    };
    const children = [bar(object.allocated_at, drawnEnd(object), 0.28, 5)];
    if (isNumber(object.first_access)) children.push(bar(object.first_access, object.last_access, 0.95, 11));
    return {type: "group", children: children.filter(Boolean)};
  };
}

function objectTip(object) {
  const loads = loadsOf(object);
  return tip(
    objectName(object),
    [
      ["size", bytesText(object.bytes)],
      ["touched", bytesText(object.touched_bytes)],
      ["allocated after", `${countText(object.allocated_at)} accesses`],
      ["freed after", isNumber(object.freed_at) ? `${countText(object.freed_at)} accesses` : "never"],
      ["read, written", `${bytesText(object.read_bytes)}, ${bytesText(object.written_bytes)}`],
      ...(loads === null ? [] : [[`loads at ${sizeNames[chosenSize]}`, exactText(loads)]]),
    ],
    listOf("path", object).map(String).join(" ← "),
  );
}

function windowTip(items) {
  const points = items.filter(item => item.seriesType === "line");
  if (points.length === 0) return "";
  const index = points[0].data[2];
  const width = windows.window_accesses;
  return tip(`${countText(index * width)} to ${countText((index + 1) * width)} accesses`, [
    ["working set", bytesText(windowPages[index] * PAGE_BYTES)],
    ...windowLoads.map((loads, size) => [
      `loads at ${sizeNames[size]}`,
      exactText(loads[index]),
      sizeColor(size),
    ]),
  ]);
}

function timelineGrids(objects) {
  // A legend or the names of marks stand above.
  const named = windowLoads.length > 0 || markLines().length > 0;
  const grids = [{id: "pages", top: named ? 40 : 14, height: 170}];
  if (windowLoads.length > 0) grids.push({id: "loads", top: 0, height: 150});
  if (objects.length > 0) grids.push({id: "objects", top: 0, height: objects.length * ROW_HEIGHT});
  grids.forEach((grid, index) => {
    if (index > 0) grid.top = grids[index - 1].top + grids[index - 1].height + 34;
  });
  return grids;
}

function timelineHeight() {
  const grids = timelineGrids(drawnObjects()),
    last = grids[grids.length - 1];
  return last.top + last.height + 52;
}

function pagesSeries() {
  return {
    type: "line",
    name: "working set",
    step: "end",
    data: stairs(windowPages, pages => pages * PAGE_BYTES),
    symbol: "none",
    lineStyle: {color: cssColor("accent"), width: 1.5},
    itemStyle: {color: cssColor("accent")},
    areaStyle: {color: cssColor("accent"), opacity: 0.18},
    markLine: {silent: true, symbol: "none", data: markLines()},
  };
}

function loadSeries(axis) {
  return sizes.map((_, size) => ({
    type: "line",
    name: `loads at ${sizeNames[size]}`,
    step: "end",
    xAxisIndex: axis,
    yAxisIndex: axis,
    data: stairs(windowLoads[size] || [], loads => loads),
    symbol: "none",
    lineStyle: {color: sizeColor(size), width: 1.5},
    itemStyle: {color: sizeColor(size)},
  }));
}

// All grids have the same time across; the lowest one says so.
function timeAxis(index, last) {
  return axisStyle(index === last ? "accesses since the start" : "", {
    type: "value",
    gridIndex: index,
    min: 0,
    max: runEnd(),
    nameGap: 30,
    splitLine: {show: false},
    axisLabel: {show: index === last, formatter: shortText, showMaxLabel: false},
    axisPointer: {show: true, label: {show: false}, lineStyle: {color: cssColor("quiet")}},
  });
}

function objectsAxis(objects, index, characters) {
  return axisStyle("", {
    type: "category",
    gridIndex: index,
    inverse: true,
    data: objects.map((_, at) => String(at)),
    axisTick: {show: false},
    splitLine: {show: false},
    axisLabel: {
      hideOverlap: false,
      interval: 0,
      formatter: at => `${shortName(objectName(objects[at]), characters)}  ${bytesText(objects[at].bytes)}`,
    },
  });
}

function objectsSeries(objects, axis) {
  return {
    type: "custom",
    name: "objects",
    xAxisIndex: axis,
    yAxisIndex: axis,
    renderItem: lifeShape(objects),
    itemStyle: {color: cssColor("kind-heap")},
    data: objects.map((object, at) => [object.allocated_at, at]),
    encode: {x: 0, y: 1},
    tooltip: {trigger: "item", formatter: item => objectTip(objects[item.dataIndex])},
  };
}

function timelineOption() {
  const objects = drawnObjects(),
    grids = timelineGrids(objects),
    left = objects.length > 0 ? nameRoom("timeline-chart", 270) : 84;
  const valueAxis = {
    pages: index =>
      bytesAxis("working set", Math.max(...windowPages, 1) * PAGE_BYTES, {gridIndex: index, nameGap: 62}),
    loads: index => countsAxis("page loads", {gridIndex: index, nameGap: 62}),
    objects: index => objectsAxis(objects, index, Math.floor(left / PIXELS_A_CHARACTER) - 10),
  };
  const seriesIn = {
    pages: () => [pagesSeries()],
    loads: loadSeries,
    objects: index => [objectsSeries(objects, index)],
  };
  return {
    ...baseOption({
      trigger: "axis",
      formatter: items => windowTip(Array.isArray(items) ? items : [items]),
    }),
    axisPointer: {link: [{xAxisIndex: "all"}]},
    legend: legendStyle({
      top: 0,
      right: 8,
      data: windowLoads.length > 0 ? sizes.map((_, size) => `loads at ${sizeNames[size]}`) : [],
    }),
    // An object has a tip of its own.
    grid: grids.map(({id, top, height}) => ({
      left,
      right: 28,
      top,
      height,
      tooltip: {trigger: id === "objects" ? "item" : "axis"},
    })),
    xAxis: grids.map((_, index) => timeAxis(index, grids.length - 1)),
    yAxis: grids.map(({id}, index) => valueAxis[id](index)),
    series: grids.flatMap(({id}, index) => seriesIn[id](index)),
  };
}

function drawTimeline() {
  const objects = drawnObjects(),
    most = Math.max(...windowPages, 0) * PAGE_BYTES,
    mean = (sum(windowPages) / Math.max(windowPages.length, 1)) * PAGE_BYTES;
  byId("timeline-what").textContent =
    `The working set of each ${countText(windows.window_accesses)} accesses: ` +
    `${bytesText(Math.round(mean))} on average, ${bytesText(most)} at most.`;
  byId("timeline-help").textContent =
    objects.length > 0
      ? "Below: objects while they are allocated (thin), and from their first to their last access (thick). The " +
        `${objects.length} of ${listOf("objects").length} with the most memory touched.`
      : "";
  drawChart("timeline-chart", timelineOption, timelineHeight);
  byId("timeline-chart").setAttribute("aria-label", byId("timeline-what").textContent);
}
