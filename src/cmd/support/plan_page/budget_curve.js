// Budget across, predicted time upwards: a staircase, since the plan for a budget fits every greater one too.
function curveMarks() {
  const marks = [
    ["least budget", plan.least_budget_bytes, "quiet"],
    ["each weight opened once", plan.single_pass_budget_bytes, "good"],
    ["this plan", isNumber(plan.budget_bytes) ? plan.budget_bytes : plan.pool_bytes, "warn"],
  ];
  return marks.filter(([, bytes]) => isNumber(bytes));
}

function curveOption() {
  const text = cssColor("text"),
    quiet = cssColor("quiet"),
    line = cssColor("line"),
    accent = cssColor("accent");
  const label = {color: quiet, fontSize: 11.5};
  const chosen = isNumber(plan.budget_bytes) ? plan.budget_bytes : plan.pool_bytes;
  const least = sweep[0].budget_bytes,
    most = Math.max(sweep[sweep.length - 1].budget_bytes, chosen);
  const logarithmic = most > least * 8;
  const last = sweep[sweep.length - 1];
  const stairs = sweep.map(point => [point.budget_bytes, point.predicted_ms]);
  if (last.budget_bytes < most) stairs.push([most, last.predicted_ms]);
  const slowest = Math.max(...sweep.map(point => point.predicted_ms), plan.predicted_ms || 0);
  return {
    animation: false,
    textStyle: {fontFamily: FONT},
    grid: {left: 74, right: 40, top: 44, bottom: 46},
    tooltip: {
      trigger: "item",
      confine: true,
      transitionDuration: 0,
      backgroundColor: cssColor("surface"),
      borderColor: line,
      padding: [10, 12],
      formatter: item => curveTip(item),
    },
    xAxis: {
      type: logarithmic ? "log" : "value",
      logBase: 2,
      min: least,
      max: most,
      name: "budget of secure memory",
      nameLocation: "middle",
      nameGap: 28,
      nameTextStyle: label,
      splitLine: {show: false},
      axisLine: {lineStyle: {color: line}},
      axisLabel: {
        ...label,
        hideOverlap: true,
        formatter: bytesText,
        ...(logarithmic ? {} : {customValues: byteTicks(least, most)}),
      },
    },
    yAxis: {
      type: "value",
      min: 0,
      max: slowest * 1.12,
      axisLabel: {...label, showMaxLabel: false, formatter: tickText},
      splitLine: {lineStyle: {color: line, opacity: 0.7}},
    },
    series: [
      {
        type: "line",
        name: "curve",
        step: "end",
        data: stairs,
        symbol: "none",
        lineStyle: {color: accent, width: 2},
        areaStyle: {color: accent, opacity: 0.1},
        emphasis: {disabled: true},
        silent: true,
        markLine: {
          silent: true,
          symbol: "none",
          data: curveMarks().map(([name, bytes, color], index) => ({
            xAxis: bytes,
            lineStyle: {color: cssColor(color), type: "dashed", width: 1.2},
            label: {
              formatter: name,
              color: cssColor(color),
              fontSize: 11.5,
              position: "end",
              // One line of text higher, as marks may stand close together.
              distance: index === 1 ? 20 : 5,
              align: bytes <= least * 1.02 ? "left" : bytes >= most * 0.98 ? "right" : "center",
            },
          })),
        },
      },
      {
        type: "scatter",
        name: "points",
        z: 4,
        clip: false,
        data: sweep.map((point, index) => ({
          value: [point.budget_bytes, point.predicted_ms, index],
          symbolSize: point.knee ? 11 : 6,
          symbol: point.knee ? "diamond" : "circle",
          itemStyle: {
            color: point.knee ? cssColor("accent-deep") : accent,
            borderColor: cssColor("surface"),
            borderWidth: 1,
          },
          label: {
            show: point.knee === true,
            formatter: bytesText(point.budget_bytes),
            position: "right",
            distance: 6,
            offset: [0, -9],
            color: text,
            fontSize: 11.5,
          },
        })),
      },
      {
        type: "scatter",
        name: "chosen",
        z: 5,
        symbol: "circle",
        symbolSize: 13,
        clip: false,
        itemStyle: {color: "transparent", borderColor: cssColor("warn"), borderWidth: 2.5},
        data: isNumber(plan.predicted_ms) ? [{value: [chosen, plan.predicted_ms, -1]}] : [],
      },
    ],
  };
}

function curveTip(item) {
  const index = item.data.value[2];
  const point =
    index >= 0
      ? sweep[index]
      : {budget_bytes: plan.budget_bytes, predicted_ms: plan.predicted_ms, pool_bytes: plan.pool_bytes};
  const title =
    index < 0 ? "This plan" : point.knee ? "A knee: memory pays most up to here" : "A plan on the curve";
  const facts = [
    ["budget", isNumber(point.budget_bytes) ? bytesText(point.budget_bytes) : "unlimited"],
    ["predicted", msText(point.predicted_ms)],
    ["pool", bytesText(point.pool_bytes)],
  ];
  return tip(title, facts);
}

// Draws the curve, or takes its section away if the plan has no sweep. Returns the number of points.
function drawCurve() {
  if (sweep.length === 0) {
    byId("curve-section").remove();
    return 0;
  }
  const host = byId("curve");
  const chart = echarts.init(host, null, {renderer: "canvas"});
  const draw = paper => {
    chart.setOption(curveOption(), {notMerge: true});
    chart.resize(paper ? PAPER.curve : {width: "auto", height: "auto"});
  };
  redraws.push(draw);
  draw();
  const knees = sweep.filter(point => point.knee);
  const told = knees
    .map(point => `${bytesText(point.budget_bytes)} (${msText(point.predicted_ms)})`)
    .join(", ");
  byId("curve-help").textContent =
    "The plan for a budget fits every greater one too, so the curve is a staircase. " +
    (knees.length > 0 ? `Diamonds are its knees: ${told}.` : "");
  host.setAttribute(
    "aria-label",
    `Predicted time by budget, ${sweep.length} points` + (told ? `, knees at ${told}` : ""),
  );
  return chart.getModel().getSeriesByName("points")[0].getData().count();
}
