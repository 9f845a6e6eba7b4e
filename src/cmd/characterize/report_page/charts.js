// What all charts here have in common.
const told = document.documentElement.dataset;
let chartCount = 0;
// On landscape pages; as high as report.css has it there.
const PAPER = {width: 900, height: 330};

// Draws what `option` returns, now and whenever colours or places change. `height`: of an element that has none by its
// class, from what is to be shown. Returns what draws it anew.
function drawChart(id, option, height) {
  const host = byId(id);
  if (height) host.style.height = `${height()}px`;
  const chart = echarts.init(host, null, {renderer: "canvas"});
  const draw = paper => {
    if (height) host.style.height = `${height()}px`;
    // The paper's own style comes into force after this.
    chart.resize(
      paper === true
        ? {width: PAPER.width, height: height ? height() : PAPER.height}
        : {width: "auto", height: "auto"},
    );
    chart.setOption(option(), {notMerge: true});
  };
  redraws.push(draw);
  draw();
  told.charts = String(++chartCount);
  return draw;
}

// `tooltip`: what of it differs here.
function baseOption(tooltip) {
  return {
    animation: false,
    textStyle: {fontFamily: FONT},
    tooltip: {
      trigger: "item",
      confine: true,
      transitionDuration: 0,
      backgroundColor: cssColor("surface"),
      borderColor: cssColor("line"),
      padding: [10, 12],
      ...tooltip,
    },
  };
}

// Room for names beside a chart: what is wanted, and on a narrow screen less.
const nameRoom = (id, wanted) => Math.round(Math.min(wanted, byId(id).clientWidth * 0.4));

const labelStyle = () => ({color: cssColor("quiet"), fontSize: 11.5});

const legendStyle = more => ({
  type: "scroll",
  icon: "roundRect",
  itemWidth: 12,
  itemHeight: 10,
  itemGap: 16,
  textStyle: {color: cssColor("text"), fontSize: 12},
  inactiveColor: cssColor("line"),
  pageIconColor: cssColor("accent"),
  pageTextStyle: {color: cssColor("quiet")},
  ...more,
});

// An axis with its name in the middle.
function axisStyle(name, more = {}) {
  return {
    name,
    nameLocation: "middle",
    nameTextStyle: labelStyle(),
    axisLine: {lineStyle: {color: cssColor("line")}},
    axisTick: {lineStyle: {color: cssColor("line")}},
    splitLine: {lineStyle: {color: cssColor("line"), opacity: 0.7}},
    minorSplitLine: {show: false},
    ...more,
    axisLabel: {...labelStyle(), hideOverlap: true, ...more.axisLabel},
  };
}

// A linear axis of bytes from 0 with ticks at round sizes, and one of counts.
function bytesAxis(name, most, more = {}) {
  const interval = 2 ** Math.max(0, Math.ceil(Math.log2(Math.max(most, 1) / 6)));
  return axisStyle(name, {
    type: "value",
    min: 0,
    max: Math.max(1, Math.ceil(most / interval)) * interval,
    interval,
    ...more,
    axisLabel: {formatter: bytesText, ...more.axisLabel},
  });
}
const countsAxis = (name, more = {}) =>
  axisStyle(name, {
    type: "value",
    min: 0,
    splitNumber: 4,
    ...more,
    axisLabel: {formatter: shortText, ...more.axisLabel},
  });

// Powers of `base` between the ends of a logarithmic axis, at most `most`.
function powerTicks(base, from, to, most) {
  const power = value => Math.log(value) / Math.log(base) - 1e-9,
    step = Math.max(1, Math.ceil(power(to / from) / most));
  const ticks = [];
  for (let at = Math.ceil(power(from) / step) * step; base ** at <= to; at += step) ticks.push(base ** at);
  return ticks;
}

// A logarithmic axis of counts from 1.
function logCountsAxis(name, most, more = {}) {
  const max = 10 ** Math.max(1, Math.ceil(Math.log10(most)));
  const ticks = powerTicks(10, 1, max, 6);
  return axisStyle(name, {
    type: "log",
    min: 1,
    max,
    ...more,
    axisLabel: {formatter: shortText, customValues: ticks},
    axisTick: {customValues: ticks, lineStyle: {color: cssColor("line")}},
  });
}

// Buttons of which one is pressed. choices: [[value, text]].
function switchIn(host, label, choices, chosen, use) {
  if (choices.length < 2) return () => {};
  const group = element("span", {className: "switch"});
  group.setAttribute("role", "group");
  group.setAttribute("aria-label", label);
  const buttons = choices.map(([value, text]) => {
    const button = element("button", {type: "button", textContent: text});
    button.addEventListener("click", () => use(value));
    group.append(button);
    return button;
  });
  const show = value =>
    choices.forEach(([each], index) => buttons[index].setAttribute("aria-pressed", String(each === value)));
  show(chosen);
  byId(host).append(group);
  return show;
}

// The same as a list that opens, for many choices.
function listIn(host, label, choices, chosen, use) {
  const list = element(
    "select",
    {ariaLabel: label},
    ...choices.map(([value, text]) => element("option", {value: String(value), textContent: text})),
  );
  const show = value => (list.selectedIndex = choices.findIndex(([each]) => each === value));
  list.addEventListener("change", () => use(choices[list.selectedIndex][0]));
  show(chosen);
  byId(host).append(list);
  return show;
}

// One EPC size is chosen for the whole page.
const sizeSwitches = [];
const sizeListeners = [];
function useSize(index) {
  chosenSize = index;
  sizeSwitches.forEach(show => show(index));
  sizeListeners.forEach(listener => listener());
}
const SIZE_BUTTONS = 6;
function sizeSwitchIn(host) {
  const label = "Size of secure memory",
    choices = sizeNames.map((name, index) => [index, name]);
  sizeSwitches.push(
    (choices.length > SIZE_BUTTONS ? listIn : switchIn)(host, label, choices, chosenSize, useSize),
  );
}
