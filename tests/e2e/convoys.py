"""Several inputs through the network together: the bytes of single predictions, and every weight opened once for all."""

import numpy as np

import harness
from harness import MIB

IMAGE_224 = (1, 3, 224, 224)


class SameBytes(harness.CoracleTest):
    """Of a convoy and of its inputs one by one, whatever its length, the budget and the threads."""

    def inputs(self, shape, count):
        random = np.random.default_rng(5)
        return [self.save(random.uniform(-1, 1, shape), f"x{i}.npy") for i in range(count)]

    def run_convoy(self, sealed, files, *options):
        """{output: array} of one `coracle run` with all files."""
        more = [word for file in files[1:] for word in ("--input", file)]
        report, outputs = self.run_sealed(sealed, files[0], *more, "--batch", len(files), *options)
        self.assertEqual(report["plan"]["batch"], len(files))
        return report, outputs

    def check(self, sealed, shape, counts, budgets):
        files = self.inputs(shape, max(counts))
        singles = [self.run_sealed(sealed, file)[1] for file in files]
        for count in counts:
            for budget in budgets(count):
                for threads in (1, 2):
                    options = ("--memory", budget, "--threads", threads)
                    report, outputs = self.run_convoy(sealed, files[:count], *options)
                    if budget != "unlimited":
                        self.assertLessEqual(report["plan"]["pool_bytes"], budget, options)
                    for name, values in outputs.items():
                        expected = np.concatenate([single[name] for single in singles[:count]])
                        self.assertEqual(values.shape, expected.shape)
                        self.assertEqual(values.tobytes(), expected.tobytes(), f"{name}, {count} inputs, {options}")

    def test_tiny_cnn(self):
        sealed = self.seal(harness.TINY_CNN)

        def budgets(count):
            plan = self.plan(sealed, "--batch", count)
            least = plan["least_budget_bytes"]
            return [least, least * 3 // 2, least * 4, "unlimited"]

        self.check(sealed, (1, 3, 32, 32), (1, 2, 3, 8), budgets)

    def test_ocr_recogniser(self):
        sealed = self.seal(harness.needs_asset(harness.OCR_REC), "--shape", "x=1x3x48x320")
        self.check(sealed, (1, 3, 48, 320), (3,), lambda count: [8 * MIB, "unlimited"])

    def test_resnet50(self):
        harness.needs_slow()
        sealed = self.seal(harness.generated_onnx("resnet50"))
        self.check(sealed, IMAGE_224, (2, 8), lambda count: [MIB, 16 * MIB])

    def test_one_byte_less_is_refused(self):
        sealed = self.seal(harness.TINY_CNN)
        least = self.plan(sealed, "--batch", 8)["least_budget_bytes"]
        self.succeed("plan", sealed, "--key", self.key, "--batch", 8, "--memory", least)
        refused = self.coracle("plan", sealed, "--key", self.key, "--batch", 8, "--memory", least - 1)
        self.assertIn("needs", self.assert_one_line(refused, 1))


class Plans(harness.CoracleTest):
    def test_each_weight_is_opened_once_for_all(self):
        sealed = self.seal(harness.generated_onnx("resnet50"))
        plan = self.plan(sealed, "--batch", 8, "--memory", "16MiB", "--pin", "none")
        self.assertEqual(plan["batch"], 8)
        opened = sum(step["opened_bytes"] for step in plan["steps"])
        self.assertLessEqual(opened, self.sealing["weight_bytes"] * 1.3)
        self.assertEqual({step["turns"] for step in plan["steps"]}, {"one by one", "together"})
        self.assertAlmostEqual(plan["predicted_ms_per_input"] * 8, plan["predicted_ms"])

    def test_each_input_as_often_as_the_batch_says(self):
        sealed = self.seal(harness.TINY_CNN)
        x = self.random_input((1, 3, 32, 32))
        run = ("run", sealed, "--key", self.key, "--batch", 2)
        self.assertIn("1 of 2 inputs", self.assert_one_line(self.coracle(*run, "--input", x)))
        self.assertIn("more than 2 times", self.assert_one_line(self.coracle(*run, *["--input", x] * 3)))
        self.assert_one_line(self.coracle(*run, *["--input", x] * 2, "--draw", self.folder / "drawn.png"))
        self.succeed(*run, *["--input", x] * 2)


class Bench(harness.CoracleTest):
    def bench(self, model, *options):
        harness.needs_host("ort_host")
        library = harness.needs_asset("ort/libonnxruntime.so.1")
        return self.coracle("bench", model, "--against", "ort", "--rounds", 5, "--ort-library", library, "--json", *options)

    def test_beside_onnxruntime(self):
        done = self.bench(harness.generated_onnx("tiny_cnn_batch"), "--shape", "input=1x3x32x32", "--batch", 4, "--memory",
                          "256KiB")
        self.assertEqual(done.code, 0, str(done))
        self.assertEqual([(run["engine"], run["batch"]) for run in done.json["runs"]], [("onnxruntime", 4), ("coracle", 4)])

    def test_a_file_that_fixes_its_batch(self):
        done = self.bench(harness.TINY_CNN, "--batch", 4, "--memory", "256KiB")
        self.assertNotEqual(done.code, 0, str(done))
        self.assertIn("the file fixes axis 0 of input 'input'", done.err)


if __name__ == "__main__":
    harness.main()
