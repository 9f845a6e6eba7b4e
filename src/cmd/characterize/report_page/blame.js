// Who is to blame for loads at the chosen EPC size.
const BLAMED = 14;
// What loads can be split by: [name, list, how one is called].
const BLAME = [
  ["Layers", layers, layerName],
  ["Objects", listOf("objects"), objectName],
  ["Allocated by", listOf("call_paths"), path => pathText(path.path)],
  ["Functions", listOf("functions"), each => String(each.name)],
].filter(([, list]) => list.some(each => Array.isArray(each.loads)));
let blame = BLAME.length > 0 ? BLAME.find(([name]) => name === "Objects") || BLAME[0] : null;

function blamed() {
  const [, list, nameOf] = blame;
  return list
    .map(each => ({name: nameOf(each), loads: loadsOf(each) || 0, path: listOf("path", each)}))
    .filter(each => each.loads > 0)
    .sort((a, b) => b.loads - a.loads)
    .slice(0, BLAMED);
}

function blameOption() {
  const rows = blamed(),
    all = sizes[chosenSize].loads;
  return {
    ...baseOption({
      formatter: item =>
        tip(
          rows[item.dataIndex].name,
          [
            ["loads", exactText(rows[item.dataIndex].loads)],
            ["of all", shareText(rows[item.dataIndex].loads, all)],
          ],
          rows[item.dataIndex].path.map(String).join(" ← "),
        ),
    }),
    grid: {left: nameRoom("blame-chart", 290), right: 110, top: 8, bottom: 44},
    xAxis: countsAxis(`page loads at ${sizeNames[chosenSize]}`, {nameGap: 28}),
    yAxis: axisStyle("", {
      type: "category",
      inverse: true,
      data: rows.map((_, index) => String(index)),
      axisTick: {show: false},
      splitLine: {show: false},
      axisLabel: {
        interval: 0,
        hideOverlap: false,
        width: nameRoom("blame-chart", 290) - 20,
        overflow: "truncate",
        color: cssColor("text"),
        formatter: at => (rows[at] ? rows[at].name.slice(0, 80) : ""),
      },
    }),
    series: [
      {
        type: "bar",
        name: "loads",
        barWidth: "66%",
        itemStyle: {color: cssColor("warn")},
        label: {
          show: true,
          position: "right",
          color: cssColor("quiet"),
          fontSize: 11.5,
          formatter: item => `${shortText(item.value)}  ${shareText(item.value, all)}`,
        },
        data: rows.map(row => row.loads),
      },
    ],
  };
}

function drawBlame() {
  sizeSwitchIn("blame-tools");
  const describe = () => {
    const rows = blamed();
    byId("blame-what").textContent =
      rows.length > 0
        ? `At ${sizeNames[chosenSize]}, ${rows[0].name} has ${shareText(rows[0].loads, sizes[chosenSize].loads)} of ${countText(sizes[chosenSize].loads)} page loads.`
        : `At ${sizeNames[chosenSize]} nothing here is loaded again.`;
  };
  describe();
  const draw = drawChart("blame-chart", blameOption, () => Math.max(blamed().length, 1) * 24 + 60);
  const again = () => {
    describe();
    draw();
  };
  const show = switchIn(
    "blame-tools",
    "By what",
    BLAME.map(each => [each, each[0]]),
    blame,
    each => {
      blame = each;
      show(each);
      again();
    },
  );
  sizeListeners.push(again);
}
