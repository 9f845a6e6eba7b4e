// Time (or steps) across, address upwards, a rectangle for each buffer.
class MemoryMap {
  constructor(host) {
    this.host = host;
    this.chart = echarts.init(host, null, {renderer: "canvas"});
    this.axes = timeAxes();
    this.axis = "step";
    this.hidden = new Set();
    this.selected = null;
    this.walked = -1;
    this.drawn = new Set();
    this.live = liveBytes();
    this.peak = this.live.reduce((best, bytes, index) => (bytes > this.live[best] ? index : best), 0);
    const pool = Math.max(plan.pool_bytes || 0, ...buffers.map(buffer => buffer.offset + buffer.bytes), 1);
    const budget = plan.budget_bytes;
    this.top = (isNumber(budget) && budget >= pool && budget < pool * 1.5 ? budget : pool) * 1.03;
    // A buffer's place in this order is what the arrow keys walk through.
    this.order = buffers
      .map((_, index) => index)
      .sort((a, b) => buffers[a].first_step - buffers[b].first_step || buffers[a].offset - buffers[b].offset);
    this.chart.on("datazoom", () => this.fitTicks());
    this.chart.on("click", event => {
      if (event.componentType === "series" && event.seriesType === "custom") {
        selectStep(Math.min(Math.max(buffers[event.data.value[4]].first_step, 0), steps.length - 1));
      }
    });
    this.chart.getZr().on("dblclick", () => this.showAll());
    host.addEventListener("keydown", event => this.onKey(event));
    this.draw();
  }

  draw() {
    this.drawn.clear();
    const zooms = (this.chart.getOption()?.dataZoom || []).map(({start, end}) => ({start, end}));
    this.chart.setOption(this.option(zooms), {notMerge: true});
    this.fitTicks();
    // A drag over the map is a zoom, without having to choose a tool first.
    this.chart.dispatchAction({type: "takeGlobalCursor", key: "dataZoomSelect", dataZoomSelectActive: true});
  }

  showAll() {
    this.chart.dispatchAction({
      type: "dataZoom",
      batch: [
        {dataZoomIndex: 0, start: 0, end: 100},
        {dataZoomIndex: 1, start: 0, end: 100},
      ],
    });
  }

  use(axis) {
    this.showAll();
    this.axis = axis;
    this.draw();
  }

  toggle(name) {
    if (!this.hidden.delete(name)) this.hidden.add(name);
    this.draw();
    return !this.hidden.has(name);
  }

  select(index) {
    this.selected = index;
    this.draw();
  }

  fitTicks() {
    const {start, end} = this.chart.getOption().dataZoom[1];
    const customValues = byteTicks((start / 100) * this.top, (end / 100) * this.top);
    this.chart.setOption({
      yAxis: {axisLabel: {customValues}, splitLine: {customValues}, axisTick: {customValues}},
    });
  }

  option(zooms) {
    const axis = this.axes[this.axis],
      text = cssColor("text"),
      quiet = cssColor("quiet"),
      line = cssColor("line");
    const label = {color: quiet, fontSize: 11.5};
    return {
      animation: false,
      textStyle: {fontFamily: FONT},
      grid: {left: 74, right: 40, top: 14, bottom: this.axis === "step" && steps.length <= 60 ? 100 : 62},
      toolbox: {
        top: -40,
        feature: {dataZoom: {filterMode: "none", brushStyle: {color: cssColor("accent"), opacity: 0.15}}},
      },
      dataZoom: ["xAxisIndex", "yAxisIndex"].map((which, index) => ({
        type: "slider",
        [which]: 0,
        filterMode: "none",
        showDataShadow: false,
        brushSelect: false,
        labelFormatter: "",
        borderColor: line,
        fillerColor: "rgba(110,140,180,.14)",
        backgroundColor: "transparent",
        handleIcon: "circle",
        handleSize: 11,
        handleStyle: {color: cssColor("surface"), borderColor: quiet},
        moveHandleSize: 0,
        ...zooms[index],
        ...(index === 0 ? {height: 10, bottom: 8} : {width: 10, right: 8}),
      })),
      tooltip: {
        trigger: "item",
        confine: true,
        transitionDuration: 0,
        backgroundColor: cssColor("surface"),
        borderColor: line,
        padding: [10, 12],
        formatter: item => this.tip(item),
      },
      xAxis: {
        type: "value",
        min: axis.min,
        max: axis.max,
        minInterval: this.axis === "step" ? 1 : 0,
        splitNumber: this.axis === "step" ? 30 : 12,
        axisLine: {onZero: false, lineStyle: {color: line}},
        axisTick: {show: false},
        splitLine: {show: false},
        name: this.axis === "step" ? "" : "predicted time",
        nameLocation: "middle",
        nameGap: 28,
        nameTextStyle: label,
        axisLabel: {
          ...label,
          hideOverlap: true,
          showMinLabel: this.axis === "step",
          showMaxLabel: this.axis === "step",
          rotate: this.axis === "step" && steps.length <= 60 ? 40 : 0,
          formatter: value => this.axisText(value),
        },
      },
      yAxis: {
        type: "value",
        min: 0,
        max: this.top,
        axisLine: {show: false},
        axisTick: {show: false},
        axisLabel: {...label, formatter: bytesText},
        splitLine: {lineStyle: {color: line, opacity: 0.7}},
      },
      series: [...this.kindSeries(text), this.liveSeries(text)],
    };
  }

  axisText(value) {
    if (this.axis !== "step") return value < 0 ? "" : tickText(value);
    if (!Number.isInteger(value)) return "";
    if (value < 0) return "before";
    if (value >= steps.length) return "after";
    if (steps.length > 60) return String(value);
    const layers = steps[value].layers || [];
    const name = String(layers[0] || "");
    const short = name.length > 13 ? `…${name.slice(-12)}` : name;
    return `${value} ${short}${layers.length > 1 ? ` +${layers.length - 1}` : ""}`;
  }

  kindSeries(text) {
    const axis = this.axes[this.axis];
    return [...KINDS, "other"].map(kind => ({
      type: "custom",
      name: kind,
      clip: true,
      progressive: 0,
      encode: {x: [0, 1], y: [2, 3]},
      itemStyle: {color: cssColor(`kind-${kind}`)},
      renderItem: (params, api) => this.rectangle(params, api, text),
      data: this.hidden.has(kind)
        ? []
        : buffers.flatMap((buffer, index) =>
            kindOf(buffer) !== kind
              ? []
              : [
                  {
                    value: [
                      axis.begin(Math.max(buffer.first_step, -1)),
                      axis.end(Math.min(buffer.last_step, steps.length)),
                      buffer.offset,
                      buffer.offset + buffer.bytes,
                      index,
                    ],
                  },
                ],
          ),
    }));
  }

  rectangle(params, api, text) {
    const [x0, y0] = api.coord([api.value(0), api.value(2)]);
    const [x1, y1] = api.coord([api.value(1), api.value(3)]);
    const index = api.value(4),
      color = api.visual("color");
    this.drawn.add(index);
    const width = Math.max(x1 - x0 - 1, 1),
      height = Math.max(y0 - y1 - 1, 1.5);
    const roomy = width > 46 && height > 14;
    return {
      type: "rect",
      shape: {x: x0, y: y0 - height, width, height, r: Math.min(3, width / 3, height / 3)},
      style: {fill: color, opacity: 0.88},
      emphasis: {style: {opacity: 1, stroke: text, lineWidth: 1.5}},
      textContent: roomy
        ? {
            type: "text",
            style: {
              text: String(buffers[index].name),
              fill: "#fff",
              fontSize: 11,
              width: width - 10,
              overflow: "truncate",
              ellipsis: "…",
            },
          }
        : undefined,
      textConfig: roomy ? {position: "inside", inside: true} : undefined,
    };
  }

  liveSeries(text) {
    const axis = this.axes[this.axis],
      quiet = cssColor("quiet");
    const points = this.hidden.has("live")
      ? []
      : this.live.flatMap((bytes, index) => [
          [axis.begin(index), bytes],
          [axis.end(index), bytes],
        ]);
    const lines = [];
    if (isNumber(plan.budget_bytes) && plan.budget_bytes <= this.top) {
      lines.push({
        yAxis: plan.budget_bytes,
        lineStyle: {color: cssColor("warn"), type: "dashed", width: 1.5},
        label: {
          formatter: `budget ${bytesText(plan.budget_bytes)}`,
          position: "insideStartTop",
          color: cssColor("warn"),
        },
      });
    }
    const chosen = this.selected;
    return {
      type: "line",
      name: "live",
      data: points,
      symbol: "none",
      z: 5,
      silent: true,
      lineStyle: {color: text, width: 1.4, opacity: 0.75},
      emphasis: {disabled: true},
      markLine: {silent: true, symbol: "none", data: lines, label: {fontSize: 11.5, distance: 3}},
      markPoint:
        this.hidden.has("live") || steps.length === 0
          ? undefined
          : {
              silent: true,
              symbol: "circle",
              symbolSize: 7,
              itemStyle: {color: text},
              data: [{coord: [(axis.begin(this.peak) + axis.end(this.peak)) / 2, this.live[this.peak]]}],
              label: {
                show: true,
                formatter: `peak ${bytesText(this.live[this.peak])}`,
                position: "top",
                color: text,
                fontSize: 11.5,
                backgroundColor: cssColor("surface"),
                padding: [1, 4],
                borderRadius: 3,
              },
            },
      markArea:
        chosen === null
          ? undefined
          : {
              silent: true,
              itemStyle: {color: quiet, opacity: 0.22},
              data: [[{xAxis: axis.begin(chosen)}, {xAxis: axis.end(chosen)}]],
            },
    };
  }

  tip(item) {
    if (item.seriesType !== "custom") return null;
    const buffer = buffers[item.data.value[4]];
    const facts = [
      ["kind", KIND_TEXTS[kindOf(buffer)]],
      [
        "size",
        `${bytesText(buffer.bytes)}${buffer.bytes >= 1024 ? ` (${buffer.bytes.toLocaleString("en")} B)` : ""}`,
      ],
      ["address", `${bytesText(buffer.offset)} – ${bytesText(buffer.offset + buffer.bytes)}`],
      ["lives", lifeText(buffer)],
    ];
    const swatch = element("i");
    swatch.style.background = cssColor(`kind-${kindOf(buffer)}`);
    const box = tip(buffer.name, facts, buffer.why);
    box.prepend(swatch);
    return box;
  }

  onKey(event) {
    if (event.key === "0" || event.key === "Escape") this.showAll();
    if ((event.key !== "ArrowLeft" && event.key !== "ArrowRight") || this.order.length === 0) return;
    event.preventDefault();
    const move = event.key === "ArrowRight" ? 1 : this.order.length - 1;
    this.walked = this.walked < 0 ? 0 : (this.walked + move) % this.order.length;
    const index = this.order[this.walked],
      buffer = buffers[index],
      kind = kindOf(buffer);
    const dataIndex = buffers.slice(0, index).filter(other => kindOf(other) === kind).length;
    this.chart.dispatchAction({type: "downplay"});
    this.chart.dispatchAction({type: "highlight", seriesName: kind, dataIndex});
    this.chart.dispatchAction({type: "showTip", seriesIndex: [...KINDS, "other"].indexOf(kind), dataIndex});
    byId("map-said").textContent =
      `${buffer.name}, ${KIND_TEXTS[kind]}, ${bytesText(buffer.bytes)}, ` +
      `${lifeText(buffer)}. ${buffer.why || ""}`;
  }
}

// One button a kind that the plan has; it shows and hides the kind.
function kindButtons(map) {
  const present = [...KINDS, "other"].filter(kind => buffers.some(buffer => kindOf(buffer) === kind));
  for (const kind of [...present, "live"]) {
    const swatch = element("i", {className: kind === "live" ? "stroke" : ""});
    if (kind !== "live") swatch.style.background = `var(--kind-${kind})`;
    const count = buffers.filter(buffer => kindOf(buffer) === kind).length;
    const button = element(
      "button",
      {type: "button"},
      swatch,
      kind === "live" ? "bytes in use" : KIND_TEXTS[kind],
      kind === "live" ? null : element("b", {textContent: String(count)}),
    );
    button.setAttribute("aria-pressed", "true");
    button.addEventListener("click", () => button.setAttribute("aria-pressed", String(map.toggle(kind))));
    byId("kinds").append(button);
  }
}
