"""A budget is kept, whatever it is, and never changes a bit of the answer."""

import json

import numpy as np

import harness
from harness import MIB

IMAGE_224 = (1, 3, 224, 224)


def budgets_between(least, most, count):
    """`count` budgets from the least to one that changes nothing, evenly by ratio."""
    return [least] + [int(least * (most / least) ** (i / (count - 1))) for i in range(1, count - 1)] + [max(most, least + 1)]


class SameBytes(harness.CoracleTest):
    """At every budget, thread count, blob mode and repetition, sealed as users seal: with Winograd's algorithms."""

    def check(self, model, name, shape):
        x = self.random_input(shape)
        sealed = self.seal(model, "--shape", f"{name}={'x'.join(map(str, shape))}", exact=False)
        self.check_sealed(sealed, x)
        return sealed

    def check_sealed(self, sealed, x):
        unlimited = self.plan(sealed)
        budgets = budgets_between(unlimited["least_budget_bytes"], unlimited["pool_bytes"], 12 if harness.SLOW else 4)
        _, expected = self.run_sealed(sealed, x)
        for budget in [*budgets, "unlimited"]:
            for threads, blob, repeat in ((1, "view", 1), (2, "view", 3), (1, "read", 3), (2, "read", 1)):
                options = ("--memory", budget, "--threads", threads, "--blob", blob, "--repeat", repeat)
                report, outputs = self.run_sealed(sealed, x, *options)
                self.check_measured(report, budget, options)
                for output, values in expected.items():
                    self.assertEqual(outputs[output].tobytes(), values.tobytes(), f"{output} with {options}")
        print(f"{sealed.name}: the same bytes at {len(budgets) + 1} budgets from {budgets[0]} to {budgets[-1]} bytes")

    def check_measured(self, report, budget, options):
        self.assertEqual(report["measured"]["pool_peak_bytes"], report["plan"]["pool_bytes"], options)
        self.assertIn(report["measured"]["heap_peak_bytes"], (0, None), options)
        if budget != "unlimited":
            self.assertLessEqual(report["plan"]["pool_bytes"], budget, options)
            self.assertLessEqual(report["measured"]["secure_rss_bytes"], budget + harness.PROCESS_BYTES, options)

    def test_tiny_cnn(self):
        self.check(harness.TINY_CNN, "input", (1, 3, 32, 32))

    def test_ocr_recogniser(self):
        self.check(harness.needs_asset(harness.OCR_REC), "x", (1, 3, 48, 320))

    def test_ocr_detector(self):
        self.check(harness.needs_asset(harness.OCR_DET), "x", (1, 3, 320, 320))

    def test_mobilenet(self):
        self.check(harness.generated_onnx("mobilenetv2"), "input", IMAGE_224)

    def test_resnet50(self):
        sealed = self.check(harness.generated_onnx("resnet50"), "input", IMAGE_224)
        self.assertIn("winograd4", self.algorithms(sealed))

    def test_yolo_fastest(self):
        cfg = harness.needs_model("yolo-fastest-1.1-xl.cfg")
        sealed = self.seal(cfg, "--weights-file", harness.needs_model("yolo-fastest-1.1-xl.weights"))
        self.check_sealed(sealed, self.random_input((1, 3, 320, 320), low=0.0))

    def test_a_hundred_times(self):
        """A hundred predictions in one process are as the first."""
        x = self.random_input((1, 3, 32, 32))
        sealed = self.seal(harness.TINY_CNN)
        _, once = self.run_sealed(sealed, x)
        _, often = self.run_sealed(sealed, x, "--repeat", 100, "--threads", 2)
        for output, values in once.items():
            self.assertEqual(often[output].tobytes(), values.tobytes())


class Refusal(harness.CoracleTest):
    """One byte less than the least budget is refused, before anything runs."""

    def check(self, model, name, shape):
        x = self.random_input(shape)
        sealed = self.seal(model, "--shape", f"{name}={'x'.join(map(str, shape))}")
        least = self.plan(sealed)["least_budget_bytes"]
        self.run_sealed(sealed, x, "--memory", least)
        for budget in (least - 1, least // 2, 1):
            self.check_refused(sealed, x, least, budget)

    def check_refused(self, sealed, x, least, budget):
        output = self.folder / "refused.npy"
        for threads in (1, 2):
            done = self.coracle("run", sealed, "--key", self.key, "--memory", budget, "--input", x, "--output", output,
                                "--threads", threads, "--json")
            line = self.assert_one_line(done, 1)
            self.assertRegex(line, r"needs [\d.]+ (B|KiB|MiB|GiB).* \(layer .+\), has [\d.]+ (B|KiB|MiB|GiB)")
            needed, available = (line.split(word)[1].split("(")[0].strip(" ,") for word in ("needs", "has"))
            self.assertNotEqual(needed, available, f"{line}: who reads this sees no lack (least {least}, had {budget})")
            self.assertEqual(done.json["error"]["code"], "out_of_budget")
            self.assertFalse(output.exists())
        planned = self.coracle("plan", sealed, "--key", self.key, "--memory", budget)
        self.assertEqual(self.assert_one_line(planned, 1), line)

    def test_tiny_cnn(self):
        self.check(harness.TINY_CNN, "input", (1, 3, 32, 32))

    def test_ocr_recogniser(self):
        self.check(harness.needs_asset(harness.OCR_REC), "x", (1, 3, 48, 320))

    def test_mobilenet(self):
        self.check(harness.generated_onnx("mobilenetv2"), "input", IMAGE_224)


class Limits(harness.CoracleTest):
    """Large models in small budgets: what is measured, from inside and from outside."""

    def check(self, sealed, x, budget_mib):
        budget = budget_mib * MIB
        weight_bytes = self.sealing["weight_bytes"]
        expected = None
        for threads in (1, 2):
            for blob in ("view", "read"):
                options = ("--memory", f"{budget_mib}MiB", "--threads", threads, "--blob", blob, "--pin", "none")
                report, outputs = self.run_sealed(sealed, x, *options, "--repeat", 2)
                self.check_measured(report, budget, weight_bytes, options)
                values = [array.tobytes() for array in outputs.values()]
                expected = expected or values
                self.assertEqual(values, expected, options)
            self.check_from_outside(sealed, x, budget, threads, report["measured"]["outside_bytes"])

    def check_measured(self, report, budget, weight_bytes, options):
        measured, plan = report["measured"], report["plan"]
        print(options[3:], plan, measured)
        self.assertEqual(report["budget_bytes"], budget)
        self.assertEqual(measured["pool_peak_bytes"], plan["pool_bytes"], options)
        self.assertLessEqual(plan["pool_bytes"], budget, options)
        self.assertIn(measured["heap_peak_bytes"], (0, None), options)
        self.assertLessEqual(measured["secure_rss_bytes"], budget + harness.PROCESS_BYTES, options)
        self.assertGreaterEqual(measured["decrypted_bytes"], weight_bytes, options)
        self.assertEqual(measured["host_calls"] > 0, "read" in options, options)

    def check_from_outside(self, sealed, x, budget, threads, outside_bytes):
        code, peak = harness.peak_resident_bytes(harness.CORACLE, "run", sealed, "--key", self.key, "--input", x, "--memory",
                                                 budget, "--threads", threads, "--blob", "read", "--repeat", 2, "--pin", "none")
        print(f"VmHWM {peak / MIB:.1f} MiB in a budget of {budget / MIB:.0f} MiB, {threads} threads")
        self.assertEqual(code, 0)
        self.assertGreater(peak, 0)
        # Sealed rows lie in host memory, which the process shares (RssShmem); VmHWM counts it too.
        self.assertLessEqual(peak - outside_bytes, budget + harness.PROCESS_BYTES)

    def test_vgg16_in_32_mib(self):
        sealed = self.seal(harness.generated_onnx("vgg16"))
        self.assertGreater(self.sealing["weight_bytes"], 500 * MIB)
        x = self.random_input(IMAGE_224)
        self.check(sealed, x, 32)

    def test_resnet50_in_12_mib(self):
        self.check(self.seal(harness.generated_onnx("resnet50")), self.random_input(IMAGE_224), 12)

    def test_ocr_detector_of_a_page_in_56_mib(self):
        sealed = self.seal(harness.needs_asset(harness.OCR_DET), "--shape", "x=1x3x960x960", "--preprocess", "ocr-det",
                           "--decode", "heatmap")
        self.check(sealed, harness.SOURCE / "examples/images/page.png", 56)

    def test_ocr_recogniser_in_16_mib(self):
        sealed = self.seal(harness.needs_asset(harness.OCR_REC), "--shape", "x=1x3x48x640", "--preprocess", "ocr")
        self.check(sealed, harness.SOURCE / "examples/images/line.png", 16)


class Quiet(harness.CoracleTest):
    """While it predicts the process allocates nothing and calls nobody: malloc and more, interposed by a preloaded library."""

    REPEAT = 64

    def check(self, sealed, shape, *options):
        library = harness.compiled(harness.SOURCE / "tests/e2e/malloc_watch.c", "malloc_watch.so", "-shared", "-fPIC")
        x = self.folder / "x.raw"
        np.random.default_rng(1).uniform(-1, 1, shape).astype("<f4").tofile(x)
        watch = self.folder / "watch.json"
        done = self.coracle("run", sealed, "--key", self.key, "--input", x, "--repeat", self.REPEAT, *options,
                            environment={"LD_PRELOAD": str(library), "MALLOC_WATCH_REPORT": str(watch)})
        self.assertEqual(done.code, 0, str(done))
        report = json.loads(watch.read_text(encoding="ascii"))
        print(options, report)
        self.assertEqual(report["predictions"], self.REPEAT)
        self.assertGreater(report["all_allocations"], 10, "nothing was interposed")
        self.assertEqual(report["with_allocations"], 0)
        return report

    def check_views(self, sealed, shape):
        for threads in (1, 2):
            report = self.check(sealed, shape, "--threads", threads)
            self.assertEqual(report["with_calls"], 0)
        # In read mode each prediction reads its chunks, and does nothing else.
        report = self.check(sealed, shape, "--blob", "read", "--pin", "none")
        self.assertEqual(report["with_calls"], report["predictions"])

    def test_tiny_cnn(self):
        self.check_views(self.seal(harness.TINY_CNN), (1, 3, 32, 32))

    def test_mobilenet(self):
        self.check_views(self.seal(harness.generated_onnx("mobilenetv2")), IMAGE_224)

    def test_ocr_recogniser(self):
        sealed = self.seal(harness.needs_asset(harness.OCR_REC), "--shape", "x=1x3x48x320")
        self.check_views(sealed, (1, 3, 48, 320))


if __name__ == "__main__":
    harness.main()
