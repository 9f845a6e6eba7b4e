"""The page of `coracle plan --report` in headless Chromium: it draws all that the plan has, offline, without an error."""

import browser
import harness
from browser import HOSTILE

KIB, MIB = 1024, harness.MIB
# Convolutions of a network of VGG-16's shape: (name, rows in, channels out); the pools between are part of what precedes.
VGG = [("conv1_1", 224, 64), ("conv1_2", 224, 64), ("conv2_1", 112, 128), ("conv2_2", 112, 128), ("conv3_1", 56, 256),
       ("conv3_2", 56, 256), ("conv3_3", 56, 256), ("conv4_1", 28, 512), ("conv4_2", 28, 512), ("conv4_3", 28, 512),
       ("conv5_1", 14, 512), ("conv5_2", 14, 512), ("conv5_3", 14, 512)]


def packed(buffers):
    """Gives each buffer the lowest offset at which it meets no other; returns the pool's bytes."""
    placed = []
    for buffer in sorted(buffers, key=lambda b: -b["bytes"]):
        others = sorted((o["offset"], o["offset"] + o["bytes"]) for o in placed
                        if o["first_step"] <= buffer["last_step"] and buffer["first_step"] <= o["last_step"])
        offset = 0
        for begin, end in others:
            if offset + buffer["bytes"] <= begin:
                break
            offset = max(offset, (end + 63) // 64 * 64)
        buffer["offset"] = offset
        placed.append(buffer)
    return max(b["offset"] + b["bytes"] for b in buffers)


def buffer(name, kind, size, first, last, why):
    return {"name": name, "kind": kind, "offset": 0, "bytes": size, "first_step": first, "last_step": last, "why": why}


def step(form, layers, size, opened, ms, **more):
    return {"form": form, "layers": layers, "bands": 1, "weights": "streamed", "workers": 1, "bytes": size,
            "opened_bytes": opened, "spilled_bytes": 0, "predicted_ms": ms, **more}


def plan_of(steps, buffers, budget):
    pool = packed(buffers)
    return {"model": "vgg16.sealed", "budget_bytes": budget, "least_budget_bytes": int(2.1 * MIB),
            "single_pass_budget_bytes": int(6.4 * MIB), "live_load_bound_bytes": int(pool * 0.985), "pool_bytes": pool,
            "workspace_bytes": 192 * KIB, "threads": 1, "predicted_ms": sum(s["predicted_ms"] for s in steps),
            "plan_ms": 3.7, "rates": {"fma_gflops": 171.3, "aead_gbps": 8.42}, "steps": steps, "buffers": buffers}


def vgg_plan(measured=True):
    """A cascade over the first seven layers, the rest layer by layer with streamed weights: as a real plan looks."""
    steps = [step("cascade", [name for name, _, _ in VGG[:7]], 5 * MIB, 6_900_000, 81.4, bands=224, weights="held")]
    buffers = [buffer("input rows", "source", 224 * 3 * 4 * 5, -1, 0, "row source: 5 of 224 rows of the image are open"),
               buffer("counters", "counters", 4 * KIB, -1, 17, "the expected counter of each spilled block"),
               buffer("weight slot 0", "slot", 128 * KIB, 0, 16, "worker 0 opens a chunk of weights here"),
               buffer("workspace 0", "workspace", 64 * KIB, 0, 16, "packing of worker 0"),
               buffer("fc8 weights", "pinned", 640 * KIB, -1, 17, "kept open between predictions: memory was left over")]
    for index, (name, rows, channels) in enumerate(VGG[:7]):
        buffers.append(buffer(f"{name} rows", "ring", rows * channels * 4 * (4 if index else 3), 0, 0,
                              f"ring of 4 of {rows} rows: the next layer reads a window of 3"))
        buffers.append(buffer(f"{name} weights", "held", min(9 * channels * channels * 4, 600 * KIB), 0, 0,
                              "held open while the cascade's rows flow past"))
    for index, (name, rows, channels) in enumerate(VGG[6:]):
        last = index + 1
        buffers.append(buffer(f"{name} output", "tensor", (rows // 2) ** 2 * channels * 4, index, last,
                              f"written by {name}, read whole by what follows"))
    for index, (name, _, _) in enumerate(VGG[7:], start=1):
        steps.append(step("layer", [name], int(2.2 * MIB), 9 * 512 * 512 * 4, 21.5 - index))
    for name, opened in (("fc6", 411_041_792), ("fc7", 67_108_864), ("fc8", 0)):
        steps.append(step("layer", [name], 900 * KIB, opened, max(opened / 8.4e6, 0.3),
                          weights="streamed" if opened else "pinned"))
        buffers.append(buffer(f"{name} output", "tensor", 16 * KIB, len(steps) - 1, len(steps), f"{name}'s scores"))
    for name in ("relu_a", "relu_b", "relu_c", "relu_d", "relu_e", "relu_f"):
        steps.append(step("band", [name], 300 * KIB, 0, 0.05, weights="none", bands=4))
    steps.append(step("layer", ["prob"], 8 * KIB, 0, 0.004, weights="none"))
    buffers.append(buffer("prob", "sink", 4 * KIB, len(steps) - 1, len(steps), "the answer, sealed by rows"))
    for index, each in enumerate(steps):
        each["spilled_bytes"] = 802_816 if index == 0 else 0
        if measured:
            each["measured_ms"] = each["predicted_ms"] * (0.94 + 0.05 * (index % 4) + (0.3 if index == 12 else 0))
    made = plan_of(steps, buffers, 8 * MIB)
    made["sweep"] = [{"budget_bytes": int(size * MIB), "predicted_ms": made["predicted_ms"] * factor,
                      "pool_bytes": int(size * 0.99 * MIB), "knee": knee}
                     for size, factor, knee in ((2.1, 3.4, False), (2.4, 2.3, True), (3.0, 2.15, False), (3.6, 1.9, False),
                                                (4.2, 1.32, True), (5.0, 1.25, False), (6.4, 1.07, True), (8.0, 1.0, False),
                                                (12.0, 0.97, False), (16.0, 0.96, False), (24.5, 0.95, False))]
    return made


def large_plan(count=2000, step_count=500):
    """As many rectangles as the largest networks have."""
    kinds = ["tensor", "ring", "source", "sink", "slot", "workspace", "held", "staging"]
    buffers = [buffer(f"layer_{i} rows", kinds[i * 7 % 8], 512 * (1 + i * 37 % 61), first := i * step_count // count,
                      min(first + 1 + i * 13 % 9, step_count - 1), "") for i in range(count)]
    steps = [step("layer", [f"layer_{i}"], 100 * KIB, 4 * KIB, 0.1 + i % 7 / 10) for i in range(step_count)]
    return plan_of(steps, buffers, None)


def hostile_plan():
    """Names and reasons that try to leave their place."""
    made = plan_of([step("layer", [HOSTILE], KIB, 0, 1.0)], [buffer(HOSTILE, "tensor", KIB, 0, 0, HOSTILE),
                                                             buffer("b", HOSTILE, KIB, -1, 1, HOSTILE)], MIB)
    return {**made, "model": HOSTILE, "rates": {HOSTILE: 1.0}}


# A person's hand: walks to a hostile buffer, zooms into a corner, chooses a step, changes the axis, filters, sorts.
POKES = """
window.addEventListener("load", () => setTimeout(() => {
  const told = document.documentElement.dataset, map = document.getElementById("map"), stage = map.firstElementChild;
  const chart = echarts.getInstanceByDom(map);
  const zoomed = () => chart.getOption().dataZoom.map(zoom => Math.round(zoom.end - zoom.start)).join(" ");
  const mouse = (type, x, y, buttons) => {
    const box = stage.getBoundingClientRect();
    for (const target of [stage, document]) {
      target.dispatchEvent(new MouseEvent(type, {clientX: box.left + x, clientY: box.top + y, buttons, bubbles: true}));
    }
  };
  map.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowRight"}));
  map.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowRight"}));
  told.pokeTip = map.querySelector(".tip b").textContent === plan.buffers[0].name ? "yes" : "no";
  told.pokeSaid = document.getElementById("map-said").textContent.startsWith(plan.buffers[0].name) ? "yes" : "no";
  mouse("mousemove", 300, 100, 0); mouse("mousedown", 300, 100, 1); mouse("mousemove", 380, 160, 1);
  mouse("mousemove", 500, 250, 1); mouse("mouseup", 500, 250, 0);
  const close = zoomed();
  told.pokeZoom = close !== "100 100" ? "yes" : "no";
  document.querySelector("#steps tbody tr").click();
  told.pokeChosen = document.querySelector("#steps tbody tr").getAttribute("aria-selected");
  told.pokeStays = zoomed() === close ? "yes" : "no";
  document.getElementById("whole-map").click();
  told.pokeWhole = zoomed() === "100 100" ? "yes" : "no";
  document.getElementById("by-time").click();
  told.pokeTime = document.getElementById("by-time").getAttribute("aria-pressed");
  document.querySelector("#kinds button").click();
  told.pokeHidden = document.querySelector("#kinds button").getAttribute("aria-pressed") === "false" ? "yes" : "no";
  document.querySelectorAll("#steps th button")[1].click();
  told.pokeSorted = document.querySelectorAll("#steps th")[1].getAttribute("aria-sort") === "ascending" ? "yes" : "no";
  const filter = document.getElementById("step-filter");
  filter.value = "no such layer";
  filter.dispatchEvent(new Event("input"));
  told.pokeFiltered = document.querySelector("#steps tbody tr").hidden ? "yes" : "no";
}, 200));
"""


class PlanPage(browser.PageTest):
    views = harness.BIN / "tests/plan_views"
    data_id = "plan"

    def assert_draws(self, plan):
        path = self.page(plan)
        told = self.drawn(path)
        self.assertEqual(int(told["rectangles"]), len(plan["buffers"]))
        self.assertEqual(int(told["step-rows"]), len(plan["steps"]))
        self.assertEqual(int(told["curve-points"]), len(plan.get("sweep", [])))
        return path

    def test_draws_every_buffer_step_and_budget(self):
        self.assert_draws(vgg_plan())

    def test_draws_two_thousand_rectangles(self):
        self.assert_draws(large_plan())

    def test_a_plan_without_steps_is_a_page_too(self):
        self.assert_draws({**vgg_plan(), "steps": [], "buffers": [], "sweep": []})

    def test_hostile_names_stay_text(self):
        self.assert_draws(hostile_plan())

    def test_answers_to_mouse_and_keyboard(self):
        pokes = self.poked(self.page(hostile_plan()), POKES)
        self.assertEqual(len(pokes), 10, pokes)
        self.assertLessEqual(set(pokes.values()), {"yes", "true"}, pokes)

    def test_prints(self):
        self.assert_prints(self.page(vgg_plan()))

    def test_looks_of_both_colour_schemes(self):
        self.assert_looks_of_both_colour_schemes(self.page(vgg_plan()))

    def test_policy_stops_requests_and_foreign_scripts(self):
        self.assert_policy_holds(self.page(vgg_plan()))

    def test_asks_for_nothing(self):
        self.assert_asks_for_nothing(self.page(vgg_plan()))


class PlanReport(harness.CoracleTest):
    """The same through `coracle plan --report`."""

    def test_of_a_sealed_model(self):
        if "--report" not in self.coracle("plan", "--help").out:
            self.skipTest("this coracle has no plan --report")
        browser.browser()
        sealed = self.seal(harness.TINY_CNN)
        path = self.folder / "plan.html"
        planned = self.plan(sealed, "--report", path)
        page = PlanPage("drawn")
        page.setUp()
        self.addCleanup(page.doCleanups)
        told = page.drawn(path)
        self.assertEqual(int(told["rectangles"]), len(planned["buffers"]))
        self.assertEqual(int(told["step-rows"]), len(planned["steps"]))
        self.assertGreater(int(told["curve-points"]), 0)


if __name__ == "__main__":
    harness.main()
