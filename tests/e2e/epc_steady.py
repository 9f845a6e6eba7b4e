"""In a secure memory of its pool and its printed working set, a model predicts without a single page being loaded.

epcrun is the judge: it counts every page of Coracle's memory that is not present, whoever touches it.
"""

import json

import numpy as np

import harness
from harness import MIB

WORKING_SET_BYTES_MAX = 2 * MIB
PAGE_BYTES = 4096
EPC_BYTES_MIN = 1 * MIB  # what epcrun accepts
# The first predictions still meet what sealing, planning and starting left behind, and push it out.
PREDICTIONS, STEADY = 16, 10


def epcrun():
    path = harness.BIN / "epcrun"
    if not path.exists():
        raise harness.unittest.SkipTest("epcrun was not built")
    done = harness.run_program(path, "--size", "8MiB", "--quiet", "--", "/bin/true")
    if done.code == 1:
        raise harness.unittest.SkipTest(f"epcrun is refused here: {done.err.strip()}")
    return path


def loads_by_prediction(stats):
    """From the marks that `coracle run` sets as a prediction begins (even labels) and ends (odd)."""
    loads = {mark["label"]: mark["loads"] for mark in stats["marks"]}
    return [loads[label + 1] - loads[label] for label in sorted(loads) if label % 2 == 0]


def whole_pages(count):
    return -(-count // PAGE_BYTES) * PAGE_BYTES


class ZeroLoads(harness.CoracleTest):
    """With `--memory B`, under `epcrun --size` of B and the working set that the same run prints outside."""

    def run_in_epc(self, size_bytes, budget, sealed, x, options):
        """Its report, and the loads of each prediction."""
        stats = self.folder / "stats.json"
        done = harness.run_program(epcrun(), "--size", size_bytes, "--json", stats, "--quiet", "--", harness.CORACLE, "run", sealed,
                                   "--key", self.key, "--input", x, "--memory", budget, "--repeat", PREDICTIONS, "--output",
                                   f"{self.folder}/inside/", "--json", *options)
        self.assertEqual(done.code, 0, str(done))
        counted = json.loads(stats.read_text(encoding="utf-8"))
        self.assertLessEqual(counted["resident_peak_bytes"], size_bytes)
        loads = loads_by_prediction(counted)
        self.assertEqual(len(loads), PREDICTIONS)
        return done.json, loads

    def run_outside(self, budget, sealed, x, options):
        """The plan's pool, in whole pages, and the working set."""
        report = self.succeed("run", sealed, "--key", self.key, "--json", "--input", x, "--memory", budget, "--repeat", 5, "--output",
                              f"{self.folder}/outside/", *options).json
        return whole_pages(report["plan"]["pool_bytes"]), report["measured"]["working_set_bytes"]

    def check(self, budget, sealed, x, *options):
        """The budget is made as small as the plan's pool, so that there is nothing to spare. Returns it and the EPC's size."""
        pool, _ = self.run_outside(budget, sealed, x, options)
        _, working_set = self.run_outside(pool, sealed, x, options)
        self.assertLessEqual(working_set, WORKING_SET_BYTES_MAX)
        size = whole_pages(pool + working_set)
        self.assertGreaterEqual(size, EPC_BYTES_MIN)
        report, loads = self.run_in_epc(size, pool, sealed, x, options)
        print(f"{sealed.name} in {budget}: budget {pool} (pool {report['plan']['pool_bytes']}), beside it {working_set}; loads {loads}")
        self.assertEqual(loads[-STEADY:], [0] * STEADY)
        for output in report["outputs"]:
            name = f"{harness.file_stem(output['name'])}.npy"
            self.assertEqual(np.load(self.folder / "inside" / name).tobytes(), np.load(self.folder / "outside" / name).tobytes())
        return pool, size

    def test_mobilenet(self):
        sealed = self.seal(harness.generated_onnx("mobilenetv2"), weights="auto", exact=False)
        x = self.random_input((1, 3, 224, 224))
        for budget in ("2MiB", "8MiB", "unlimited"):
            self.check(budget, sealed, x)

    def test_mobilenet_with_spilled_rows_and_two_workers(self):
        sealed = self.seal(harness.generated_onnx("mobilenetv2"))
        budget = self.plan(sealed, "--threads", 2)["least_budget_bytes"] * 3 // 2
        self.check(budget, sealed, self.random_input((1, 3, 224, 224)), "--threads", 2)

    def test_a_picture_is_decoded_once(self):
        """What it became waits sealed, outside: predicting again decodes nothing and keeps nothing of it."""
        sealed = self.seal(harness.generated_onnx("mobilenetv2"), "--preprocess", "imagenet", weights="auto", exact=False)
        self.check("8MiB", sealed, harness.needs_file("/usr/share/darknet/data/dog.jpg", "darknet"))

    def test_less_memory_is_noticed(self):
        """The same check sees loads where a quarter of the memory is missing: it is not blind."""
        sealed = self.seal(harness.generated_onnx("mobilenetv2"))
        x = self.random_input((1, 3, 224, 224))
        budget, size = self.check("4MiB", sealed, x)
        _, loads = self.run_in_epc(whole_pages(size * 3 // 4), budget, sealed, x, ())
        self.assertGreater(min(loads[-STEADY:]), 0)

    def test_large_networks(self):
        harness.needs_slow()
        for name, shape in (("resnet50", (1, 3, 224, 224)), ("vgg16", (1, 3, 224, 224)), ("yolov3", (1, 3, 416, 416))):
            sealed = self.seal(harness.generated_onnx(name), weights="auto", exact=False)
            for budget in ("8MiB", "32MiB"):
                self.check(budget, sealed, self.random_input(shape))


if __name__ == "__main__":
    harness.main()
