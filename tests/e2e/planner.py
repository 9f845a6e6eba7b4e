"""The least budgets that the planner promises, run at exactly that many bytes."""

import harness
from harness import MIB

IMAGE_224 = (1, 3, 224, 224)


class LeastBudgets(harness.CoracleTest):
    """Both figures of a network are at most what is known to be reachable, and are kept."""

    def check(self, sealed, x, single_pass_mib, least_mib, count=6):
        planned = self.plan(sealed, "--pin", "none")
        least, single = planned["least_budget_bytes"], planned["single_pass_budget_bytes"]
        print(f"{sealed.name}: least {least / MIB:.3f} MiB, single pass {single / MIB:.3f}, layer by layer {planned['pool_bytes'] / MIB:.3f}")
        self.assertLessEqual(least, least_mib * MIB)
        self.assertLessEqual(single, single_pass_mib * MIB)
        _, expected = self.run_sealed(sealed, x, "--pin", "none")
        count = 20 if harness.SLOW else count
        budgets = [least, single, *(int(least * (2 * single / least) ** (i / (count - 2))) for i in range(1, count - 1))]
        for budget in budgets:
            report, outputs = self.run_sealed(sealed, x, "--memory", budget, "--pin", "none")
            self.assertLessEqual(report["measured"]["pool_peak_bytes"], budget)
            self.assertLessEqual(report["measured"]["secure_rss_bytes"], budget + harness.PROCESS_BYTES)
            for output, values in expected.items():
                self.assertEqual(outputs[output].tobytes(), values.tobytes(), f"{output} at {budget} bytes")
            if budget == single:  # each weight once, nothing spilled
                self.assertEqual(report["measured"]["decrypted_bytes"], self.sealing["weight_bytes"])
                self.assertEqual(report["measured"]["spilled_bytes"], 0)
        refused = self.coracle("run", sealed, "--key", self.key, "--input", x, "--memory", least - 1)
        self.assert_one_line(refused, 1)

    def test_resnet50(self):
        self.check(self.seal(harness.generated_onnx("resnet50"), "--exact"), self.random_input(IMAGE_224), 5.0, 2.8)

    def test_mobilenetv2(self):
        self.check(self.seal(harness.generated_onnx("mobilenetv2"), "--exact"), self.random_input(IMAGE_224), 0.85, 0.65)

    def test_vgg16(self):
        self.check(self.seal(harness.generated_onnx("vgg16"), "--exact"), self.random_input(IMAGE_224), 6.6, 2.5)

    def test_ocr_detector_of_a_page(self):
        sealed = self.seal(harness.needs_asset(harness.OCR_DET), "--shape", "x=1x3x960x960", "--exact")
        self.check(sealed, self.random_input((1, 3, 960, 960)), 32, 32, count=4)


class Pinning(harness.CoracleTest):
    """Weights that memory left over keeps are opened once, not at every prediction."""

    def test_pinned_weights_are_not_opened_again(self):
        sealed = self.seal(harness.generated_onnx("mobilenetv2"))
        x = self.random_input(IMAGE_224)
        _, expected = self.run_sealed(sealed, x, "--pin", "none")
        opened = []
        for memory in ("1MiB", "8MiB", "unlimited"):
            report, outputs = self.run_sealed(sealed, x, "--memory", memory, "--repeat", 2)
            opened.append(report["measured"]["decrypted_bytes"])
            for output, values in expected.items():
                self.assertEqual(outputs[output].tobytes(), values.tobytes(), memory)
        print(f"opened in the second prediction: {opened}")
        self.assertGreater(opened[0], opened[1])
        self.assertEqual(opened[2], 0)


class Measured(harness.CoracleTest):
    """Predicted beside measured, and the sweep."""

    def test_every_step_is_measured(self):
        sealed = self.seal(harness.TINY_CNN)
        planned = self.plan(sealed, "--memory", "64KiB", "--measure", "--sweep")
        self.assertGreater(planned["measured_ms"], 0)
        for step in planned["steps"]:
            self.assertGreater(step["measured_ms"], 0, step)
            self.assertGreater(step["predicted_ms"], 0, step)
        budgets = [point["budget_bytes"] for point in planned["sweep"]]
        times = [point["predicted_ms"] for point in planned["sweep"]]
        self.assertEqual(budgets, sorted(budgets))
        self.assertEqual(budgets[0], planned["least_budget_bytes"])
        for before, after in zip(times, times[1:]):
            self.assertLessEqual(after, before * 1.02)


if __name__ == "__main__":
    harness.main()
