"""The page of `coracle characterize --report` in headless Chromium: it draws all that the findings have, offline."""

import math
import unittest

import browser
import characterize
import harness
from browser import HOSTILE

KIB, MIB, PAGE = 1024, harness.MIB, 4096
EPC = [8 * MIB, 16 * MIB, 32 * MIB, 64 * MIB]
WINDOWS = 64
WINDOW = 1 << 24
# A network of VGG-16's shape in an engine that lowers convolutions: (name, rows, channels in, channels out).
CONVOLUTIONS = [("conv1_1", 224, 3, 64), ("conv1_2", 224, 64, 64), ("conv2_1", 112, 64, 128), ("conv2_2", 112, 128, 128),
                ("conv3_1", 56, 128, 256), ("conv3_2", 56, 256, 256), ("conv4_1", 28, 256, 512), ("conv5_1", 14, 512, 512)]
# Bumps of the histogram of page distances: (distance in pages, octaves wide, touches), by kind.
BUMPS = {"anonymous": [(1, 1, 4e8), (6, 1.2, 9e7), (900, 0.8, 2e5), (27_000, 0.4, 60_000)],
         "heap": [(1, 1, 2e8), (300, 2, 8e4), (9_000, 0.5, 20_000)],
         "stack": [(1, 1.5, 1e8)],
         "program data": [(3, 1, 3e6), (40, 1, 1e5)],
         "file": [(2, 2, 1e6), (800, 1.5, 3e3)]}


def histogram_of(bumps, scale=1):
    """[[distance, touches]] at a quarter of an octave."""
    counts = {0: 0}
    for centre, width, touches in bumps:
        for quarter in range(0, 80):
            distance = int(2 ** (quarter / 4) * scale)
            weight = touches * math.exp(-((math.log2(distance / scale) - math.log2(centre)) / width) ** 2) / (4 * width)
            if weight >= 1:
                counts[distance] = counts.get(distance, 0) + int(weight)
        counts[0] += int(touches / 3)
    return sorted([distance, count] for distance, count in counts.items())


def level_of(granule, cold, scale, exact=True):
    kinds = {kind: {"cold": cold // len(BUMPS), "histogram": histogram_of(bumps, scale)} for kind, bumps in BUMPS.items()}
    total = {}
    for kind in kinds.values():
        for distance, count in kind["histogram"]:
            total[distance] = total.get(distance, 0) + count
    histogram = sorted([distance, count] for distance, count in total.items())
    cold = sum(kind["cold"] for kind in kinds.values())
    touches = cold + sum(total.values())
    bound = max(total) + 1
    curve, quarter = [], 0
    while True:
        capacity = int(2 ** (quarter // 4) * (1 + quarter % 4 / 4))
        curve.append([capacity, cold + sum(count for distance, count in histogram if distance >= capacity)])
        if capacity >= bound:
            break
        quarter += 1 if capacity >= 4 else 4
    return {"granule_bytes": granule, "exact": exact, "sample_rate": 1.0 if exact else 0.01,
            "expected_error": 0.0 if exact else 0.006, "touches": touches, "cold": cold,
            "histogram": histogram, "miss_curve": curve, "kinds": kinds}


def volume(read, written):
    return {"reads": read // 8, "writes": written // 8, "read_bytes": read, "written_bytes": written}


def loads_at(bytes_walked):
    return [max(0, (bytes_walked - epc) // (6 * PAGE)) for epc in EPC]


def object_of(index, path, size, begin, end, first, last, read, written, **more):
    return {"index": index, "path": path, "ordinal": 1, "bytes": size, "allocated_at": begin, "freed_at": end,
            "first_access": first, "last_access": last, "touched_bytes": size, **volume(read, written), "page_returns": read // PAGE,
            "page_distance_median": size // PAGE, "loads": loads_at(size), "writers": [{"function": "im2col_cpu", "bytes": written}],
            "readers": [{"function": "gemm_nn", "bytes": read}], **more}


def objects():
    end = WINDOW * WINDOWS
    parse = ["make_convolutional_layer", "parse_convolutional", "parse_network_cfg", "load_network", "main"]
    made = [object_of(0, ["parse_network_cfg", "load_network", "main"], 110 * MIB, WINDOW * 9, None, WINDOW * 20, WINDOW * 50,
                      3200 * MIB, 300 * MIB, layer="conv1_2", role="im2col workspace"),
            object_of(1, ["make_connected_layer", "parse_connected", "main"], 392 * MIB, WINDOW * 8, None, WINDOW * 50, WINDOW * 60,
                      392 * MIB, 392 * MIB, layer="fc6", role="weights"),
            object_of(2, ["load_image_stb", "load_image", "main"], 600 * KIB, WINDOW * 10, WINDOW * 22, WINDOW * 10, WINDOW * 21,
                      2 * MIB, 600 * KIB)]
    for at, (_, rows, before, after) in enumerate(CONVOLUTIONS):
        begin = WINDOW * (20 + 4 * at)
        made.append(object_of(len(made), parse, before * after * 9 * 4, WINDOW * (at + 1), None, begin, begin + WINDOW * 4,
                              before * after * 9 * 4 * 20, before * after * 9 * 4))
        made.append(object_of(len(made), parse, rows * rows * after * 4, WINDOW * (at + 1), None, begin, begin + WINDOW * 5,
                              rows * rows * after * 9, rows * rows * after * 8, ordinal=at + 1))
    made.append(object_of(len(made), ["make_network", "main"], 8 * KIB, 10, end // 2, None, None, 0, 0))
    return sorted(made, key=lambda one: -one["touched_bytes"])


def layers():
    made = [{"name": "", "kinds": [{"kind": "heap", **volume(MIB, MIB)}], "weights": MIB, "out": 0}]
    for name, rows, before, after in CONVOLUTIONS:
        made.append({"name": name, "weights": before * after * 36, "out": rows * rows * after * 4})
    made.append({"name": "fc6", "weights": 392 * MIB, "out": 16 * KIB})
    for layer in made:
        weights, out = layer.pop("weights"), layer.pop("out")
        layer.update({"entered": 1, "accesses": (weights + 4 * out) // 4, **volume(weights + 6 * out, 2 * out),
                      "touched_bytes": weights + 2 * out, "cold_bytes": out, "loads": loads_at(weights + 2 * out)})
        layer.setdefault("kinds", [{"kind": "weights", **volume(weights, 0)}, {"kind": "activations", **volume(2 * out, out)},
                                   {"kind": "workspace", **volume(4 * out, out)}])
    return made


def loads_by_size(*loads):
    return [{"epc_bytes": epc, "loads": count} for epc, count in zip(EPC, loads)]


def full_report():
    """With every key that the page knows: as a traced program that is a known model has them."""
    pages = [int(900 + 700 * math.sin(at / 5) ** 2 + (26_000 if 20 <= at < 26 else 4_000 if at > 49 else 0))
             for at in range(WINDOWS)]
    return {"program": "/usr/bin/darknet",
            "arguments": ["classifier", "predict", "imagenet1k.data", "vgg-16.cfg", "vgg-16.weights"],
            "exit_code": 0, "signal": None, "ending": "ended with exit code 0", "version": 1, "complete": True, "replaced": False,
            "seconds": 254.3, "accesses": {"count": WINDOW * WINDOWS, "by_kernel": 56_131, **volume(7_267_506_406, 2_257_041_458)},
            "peak_bytes": 640 * MIB, "code_bytes": 5 * MIB,
            "memory": [{"kind": kind, "touched_bytes": size * MIB, **volume(size * 40 * MIB, size * 7 * MIB)}
                       for kind, size in (("heap", 8), ("anonymous", 590), ("stack", 1), ("program data", 11), ("file", 30))],
            "mappings": [{"index": at, "kind": kind, "name": name, "bytes": size, "touched_bytes": size, "page_returns": size // 512,
                          "page_distance_median": 7 * at, **volume(8 * size, size)}
                         for at, (kind, name, size) in enumerate([("anonymous", "", 392 * MIB), ("anonymous", "", 110 * MIB),
                                                                  ("heap", "", 8 * MIB), ("file", "/usr/lib/libc.so.6", 2 * MIB)])],
            "lines": {"once": 438_346, "twice": 120_228, "many": 717_906},
            "reuse": [level_of(PAGE, 160_000, 1), level_of(64, 9_000_000, 40, exact=False)],
            "working_set": {"window_accesses": WINDOW, "pages": pages},
            "timeline": {"window_accesses": WINDOW, "pages": pages,
                         "loads": [[max(0, page - epc // PAGE) for page in pages] for epc in EPC]},
            "epc": {"run_pages_max": 16, "first_touches": 160_000, "pinned_bytes": 135_168,
                    "sizes": [{"bytes": epc, "loads": loads, "evictions": loads + 9_000, "lru_loads": loads + 600,
                               "measured": {"loads": loads - 40, "evictions": loads + 8_000, "first_touches": 160_010,
                                            "difference": 40 / max(loads, 1)}}
                              for epc, loads in zip(EPC, (91_000, 84_000, 78_500, 61_000))]},
            "marks": [{"label": 1, "accesses": WINDOW * 19, "first_touches": 150_000, "loads": [9, 8, 7, 6]},
                      {"label": 2, "accesses": WINDOW * 62, "first_touches": 160_000, "loads": [90_000, 83_000, 78_000, 60_000]}],
            "patterns": {"repeated": 805_245_201, "sequential": 374_407_568, "strided": 31_864_991, "irregular": 159_649_166},
            "threads_peak": 1, "threads_lost": 0, "threads_started": 3, "processes_started": 1, "signals": {"handled": 1, "sent": 0},
            "system_calls": [{"name": name, "calls": calls, "errors": at} for at, (name, calls) in
                             enumerate([("read", 9_411), ("mmap", 320), ("munmap", 96), ("openat", 28), ("futex", 7), ("brk", 5)])],
            "vdso_calls": [{"name": "gettimeofday", "calls": 2, "errors": 0}],
            "functions": [{"name": name, "file": file, "accesses": accesses, **volume(accesses * 6, accesses * 2),
                           "loads": loads_at(accesses // 8)}
                          for name, file, accesses in (("gemm_nn", "libdarknet.so", 900_000_000),
                                                       ("im2col_cpu", "libdarknet.so", 210_000_000),
                                                       ("forward_maxpool_layer", "libdarknet.so", 30_000_000),
                                                       ("+0x1234", "libm.so.6", 9_000_000))],
            "objects": objects(), "layers": layers(), "allocations": {"followed": True},
            "call_paths": [{"path": one["path"], "allocations": 3, "bytes": one["bytes"] * 3, "live_bytes_max": one["bytes"],
                            "touched_bytes": one["touched_bytes"], **volume(one["read_bytes"], one["written_bytes"]),
                            "loads": one["loads"]}
                           for one in objects()[:6]],
            "small_allocations": [{"bytes_max": most, "count": 40_000 // most, "bytes": 30_000} for most in (16, 64, 256, 1024, 4095)],
            "model": {"name": "vgg-16.cfg", "layers": [], "single_pass_bytes": 6 * MIB, "least_bytes": 2 * MIB,
                      "unplanned_bytes": 640 * MIB, "recognized": {"objects": 2, "bytes": 502 * MIB, "bytes_of_all": 600 * MIB}},
            "advice": [{"what": "plan the model with Coracle for 6 MiB of secure memory",
                        "number": "the program's knee is at 110 MiB; the plan's pool takes 5.9 MiB, and 2.1 MiB would be the least",
                        "effect": "no page loads from there on; a prediction opens 528 MiB of sealed weights",
                        "checked": {"before": {"knee_bytes": 110 * MIB, "loads": loads_by_size(91_000, 84_000, 78_500, 61_000)},
                                    "after": {"knee_bytes": 6 * MIB, "pool_bytes": 5.9 * MIB, "loads": loads_by_size(0, 0, 0, 0)},
                                    "as_planned": True, "text": "moves the knee from 110 MiB to 6 MiB, as planned"}},
                       {"what": "im2col workspace of conv1_2: work on a band of it at a time",
                        "number": "110 MiB, median reuse distance 105 MiB, more than an EPC of 8 MiB",
                        "effect": "spares up to 61,000 page loads", "planned": "a ring of 4 of 224 rows", "checked": None},
                       {"what": "weights of fc6: stream them", "number": "392 MiB, each byte read once", "effect": "frees 392 MiB",
                        "checked": None}]}


# What is known only of some programs.
OPTIONAL_KEYS = ("functions", "objects", "call_paths", "small_allocations", "allocations", "layers", "timeline", "model", "plan",
                 "advice")


def plain_report():
    """Of a program of which nothing more is known than what it accesses."""
    found = {key: value for key, value in full_report().items() if key not in OPTIONAL_KEYS}
    for size in found["epc"]["sizes"]:
        del size["measured"]
    return {**found, "advice": []}


def comparison_report():
    """Of a program that leaks in one function."""
    def run(name, same):
        said = "same" if same else "differs"
        differences = {"between": ["zeros.npy", name], "instructions_count": 41,
                       "functions": [{"function": "forward_maxpool_layer", "file": "libdarknet.so", "jumps": 3, "pages": 0, "lines": 1,
                                      "accesses": 0, "runs": 7}],
                       "instructions": [{"function": "forward_maxpool_layer", "file": "libdarknet.so", "file_offset": 123_456,
                                         "differs_in": "jumps", "counts": [90_112, 90_112]}],
                       "system_calls": [{"name": "brk", "calls": [3, 4]}]}
        return {"input": name, "seconds": 2.5, "threads": [{"data_lines": {"items": 9_000_000}, "code_blocks": {"items": 777_777}}],
                "system_calls": [], "pages": "same", "lines": said, "code": said, "calls": said,
                "differences": None if same else differences}
    return {"command": ["/usr/bin/darknet", "predict", "input.npy"], "compared": "from mark 2 to mark 3", "verdict": "differs",
            "pages": "same", "lines": "differs", "code": "differs", "calls": "differs",
            "inputs": [run("zeros.npy", True), run("noise.npy", False), run("picture.npy", False)], "again": run("zeros.npy", True)}


def hostile(value):
    """Every text of the findings replaced by one that tries to leave its place."""
    if isinstance(value, dict):
        return {key: hostile(each) for key, each in value.items()}
    if isinstance(value, list):
        return [hostile(each) for each in value]
    return HOSTILE if isinstance(value, str) else value


def tables_rows(found):
    """How many rows the tables of names have."""
    return sum(len(found.get(key, [])) for key in ("system_calls", "objects", "call_paths", "functions", "layers", "mappings",
                                                   "small_allocations", "marks"))


# A person's hand: other granularity, scale, EPC size, what is blamed, sorted tables.
POKES = """
window.addEventListener("load", () => setTimeout(() => {
  const told = document.documentElement.dataset;
  const press = (tools, index) => document.querySelectorAll(`#${tools} button`)[index].click();
  const option = id => echarts.getInstanceByDom(document.getElementById(id)).getOption();
  const is = (name, holds) => { told[name] = holds ? "yes" : "no"; };
  press("paging-tools", 1);
  const says = (id, text) => document.getElementById(id).textContent.includes(text);
  is("pokeLines", option("paging-chart").xAxis[0].name === "cache" && says("paging-help", "past a cache"));
  press("reuse-tools", 1);
  is("pokeLinear", option("reuse-chart").yAxis[0].type === "value");
  press("reuse-tools", 3);
  is("pokeSampled", says("reuse-help", "Sampled at 1 %"));
  press("blame-tools", 0);
  is("pokeSize", says("objects-table", "Loads at 8 MiB"));
  is("pokeAll", document.querySelectorAll("#layers-tools button")[0].getAttribute("aria-pressed") === "true");
  press("blame-tools", 4);
  is("pokeBlame", document.getElementById("blame-what").textContent.startsWith("At 8 MiB, fc6 has"));
  document.querySelectorAll("#functions-table th button")[0].click();
  is("pokeSorted", document.querySelector("#functions-table tbody td").textContent.startsWith("+0x1234"));
  is("pokeTimeline", option("timeline-chart").series.length === 6);
  is("pokeLoads", option("timeline-chart").series.slice(1, 5).every((series, size) =>
    series.data.length === windowPages.length + 1 && series.data[21][1] === found.timeline.loads[size][21]));
  const tipOf = (id, seriesIndex, dataIndex) => {
    echarts.getInstanceByDom(document.getElementById(id)).dispatchAction({type: "showTip", seriesIndex, dataIndex});
    return (document.querySelector(`#${id} .tip`) || {}).textContent || "";
  };
  is("pokeObjectTip", tipOf("timeline-chart", 5, 1).startsWith("make_convolutional_layer"));
  is("pokeWindowTip", tipOf("timeline-chart", 0, 21).includes("working set"));
  is("pokeCurveTip", tipOf("paging-chart", 0, 9).includes("misses (LRU)"));
  press("paging-tools", 0);
  is("pokePointTip", tipOf("paging-chart", 2, 0).includes("measured loads90,960"));
  is("pokeLayerTip", tipOf("layers-chart", 0, 2).includes("entered1 time"));
  is("pokeReuseTip", tipOf("reuse-chart", 0, 3).includes("touches"));
  is("pokeMixTip", tipOf("mix-chart", 0, 0).startsWith("Memory touched"));
  is("pokeBlameTip", tipOf("blame-chart", 0, 0).includes("of all"));
}, 200));
"""


# The timeline's curves of page loads, without the point that ends each.
DRAWN_LOADS = """
window.addEventListener("load", () => setTimeout(() => {
  const drawn = echarts.getInstanceByDom(document.getElementById("timeline-chart")).getOption().series;
  document.documentElement.dataset.pokeLoads = drawn.filter(({name}) => name.startsWith("loads at"))
    .map(({data}) => data.slice(0, -1).map(point => point[1]).join(" ")).join(";");
}, 200));
"""
ALL_SECTIONS = "advice paging blame timeline layers reuse mix transitions objects paths functions mappings small marks"


class ReportPage(browser.PageTest):
    views = harness.BIN / "tests/characterization_page"
    data_id = "findings"

    def assert_draws(self, found, sections, charts):
        told = self.drawn(self.page(found))
        self.assertEqual(told.get("sections"), sections)
        self.assertEqual(int(told.get("charts", 0)), charts)
        self.assertEqual(int(told.get("rows", 0)), tables_rows(found))

    def test_draws_all_that_can_be_found(self):
        self.assert_draws(full_report(), ALL_SECTIONS, 6)

    def test_leaves_out_what_is_not_there(self):
        self.assert_draws(plain_report(), "paging timeline reuse mix transitions mappings marks", 4)
        self.assert_draws({"program": "true", "ending": "ended with exit code 0"}, "", 0)

    def test_a_sealed_model_has_layers_and_a_plan(self):
        found = {key: value for key, value in full_report().items()
                 if key not in ("objects", "call_paths", "small_allocations", "model")}
        plan = {"budget_bytes": 6 * MIB, "pool_bytes": 5 * MIB, "steps": [], "predicted_ms": 81.4}
        self.assert_draws({**found, "arguments": [], "plan": plan},
                          "advice paging blame timeline layers reuse mix transitions functions mappings marks", 6)

    def test_a_partial_run_is_labelled(self):
        path = self.page({**plain_report(), "complete": False, "ending": "interrupted"})
        self.assertIn("PARTIAL: of its first 254.3 s", self.browse(path, "--dump-dom"))

    def test_compared_inputs(self):
        found = comparison_report()
        path = self.page(found)
        told = self.drawn(path)
        self.assertEqual(told["sections"], "verdict differences")
        self.assertEqual(int(told["rows"]), 4 + 1 + 1 + 1)
        self.assertIn("depends on the input", self.browse(path, "--dump-dom"))

    def test_hostile_names_stay_text(self):
        self.assert_draws(hostile(full_report()), ALL_SECTIONS, 6)
        self.drawn(self.page(hostile(comparison_report())))

    def test_odd_findings_do_not_take_the_rest_with_them(self):
        """What a traced program made of the findings: the sections that make no sense go, and are counted."""
        head = self.head(self.page({**full_report(), "objects": [None], "layers": [7], "lines": 3,
                                    "functions": [{"name": {"toString": None, "valueOf": None}}]}))
        self.assertIn('data-drawn="yes"', head)
        self.assertIn('data-errors="1"', head)
        kept = ALL_SECTIONS.replace(" objects", "").replace(" functions", "")
        self.assertIn(f'data-sections="{kept}"', head)

    def test_answers_to_a_hand(self):
        pokes = self.poked(self.page(full_report()), POKES)
        self.assertEqual(len(pokes), 17, pokes)
        self.assertEqual(set(pokes.values()), {"yes"}, pokes)

    def test_draws_as_much_as_findings_hold(self):
        found = full_report()
        for key, most in (("objects", 256), ("layers", 200), ("functions", 64), ("call_paths", 64), ("marks", 4096)):
            found[key] = [found[key][at % len(found[key])] for at in range(most)]
        first = found["epc"]["sizes"][0]
        found["epc"]["sizes"] = [{**first, "bytes": (at + 1) * MIB} for at in range(16)]
        found["timeline"]["loads"] *= 4
        self.assert_draws(found, ALL_SECTIONS, 6)

    def test_prints(self):
        self.assert_prints(self.page(full_report()))

    def test_looks_of_both_colour_schemes(self):
        self.assert_looks_of_both_colour_schemes(self.page(full_report()))

    def test_policy_stops_requests_and_foreign_scripts(self):
        self.assert_policy_holds(self.page(full_report()))

    def test_asks_for_nothing(self):
        self.assert_asks_for_nothing(self.page(full_report()))


class CharacterizeReport(unittest.TestCase):
    """The same through `coracle characterize --report`."""

    def test_of_a_program(self):
        characterize.needs_tracer()
        page = ReportPage("drawn")
        page.setUp()
        self.addCleanup(page.doCleanups)
        path = page.folder / "out.html"
        loop = characterize.compiled_text(characterize.LOOP, "characterize_loop", "-static")
        done = harness.run_program(harness.CORACLE, "characterize", "--json", "--epc", "4MiB,16MiB", "--report", path,
                                   "--", loop, 8, 5)
        self.assertEqual(done.code, 7, str(done))
        told = page.drawn(path)
        for section in ("advice", "paging", "timeline", "reuse", "mix", "transitions", "mappings"):
            self.assertIn(section, told["sections"].split())
        self.assertEqual(int(told["rows"]), tables_rows(done.json))
        curves = page.poked(path, DRAWN_LOADS)["poke-loads"].split(";")
        self.assertEqual(curves, [" ".join(map(str, windows)) for windows in done.json["timeline"]["loads"]])
        self.assertGreater(sum(map(int, curves[0].split())), 0)


if __name__ == "__main__":
    harness.main()
