"""`coracle seal --quantize-activations`: the integer network is about the float one, and says how far it is from it."""

import numpy as np

import harness

SHAPE = (1, 3, 32, 32)


class QuantizeTest(harness.CoracleTest):
    def pictures(self, *paths):
        folder = self.folder / "pictures"
        folder.mkdir(exist_ok=True)
        for path in paths:
            (folder / path.name).write_bytes(path.read_bytes())
        return folder

    def tensors(self, name, seeds, shape=SHAPE):
        folder = self.folder / name
        folder.mkdir()
        for seed in seeds:
            np.save(folder / f"{seed:03}.npy", np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32))
        return folder

    def seal_both(self, model, calibration, *options, quantize=()):
        """Sealed in float32 and on integers, and what the latter's sealing said of its errors."""
        plain = self.seal(model, *options, name="plain.sealed")
        integer = self.seal(model, *options, "--quantize-activations", calibration, *quantize, name="integer.sealed",
                            exact=False)
        return plain, integer, self.sealing["quantization"]

    def compare(self, plain, integer, folder, *options):
        report = self.succeed("compare", plain, integer, "--key", self.key, "--inputs", folder, "--json", *options).json
        print({key: report.get(key) for key in ("outputs", "top1_agreement", "text_agreement", "detections", "time_ratio")})
        return report


class Small(QuantizeTest):
    def test_report_and_compare_agree(self):
        folder = self.tensors("calibration", range(8))
        plain, integer, report = self.seal_both(harness.TINY_CNN, folder)
        self.assertEqual(report["inputs"], 8)
        self.assertTrue(report["layers"])
        for layer in report["layers"]:
            self.assertLess(layer["relative_error"], 0.1, layer["name"])
        compared = self.compare(plain, integer, folder)
        # The same inputs through a session: the same bits, so the same errors.
        for said, found in zip(report["outputs"], compared["outputs"]):
            self.assertEqual(said["name"], found["name"])
            self.assertAlmostEqual(said["relative_error"], found["relative_error"], places=4)
        self.assertAlmostEqual(report["top1_agreement"], compared["top1_agreement"], places=6)

    def test_inputs_that_calibration_did_not_see(self):
        plain, integer, _ = self.seal_both(harness.TINY_CNN, self.tensors("calibration", range(16)))
        compared = self.compare(plain, integer, self.tensors("others", range(100, 116)))
        self.assertLess(compared["outputs"][0]["relative_error"], 0.1)

    def test_every_budget_gives_the_same_bytes(self):
        _, integer, _ = self.seal_both(harness.TINY_CNN, self.tensors("calibration", range(4)))
        x = self.random_input(SHAPE)
        least = self.plan(integer)["least_budget_bytes"]
        results = {self.run_sealed(integer, x, "--memory", budget, "--threads", threads)[1]["output"].tobytes()
                   for budget in (least, 2 * least, "unlimited") for threads in (1, 2)}
        self.assertEqual(len(results), 1)

    def test_minmax(self):
        folder = self.tensors("calibration", range(4))
        _, _, report = self.seal_both(harness.TINY_CNN, folder, quantize=("--calibration", "minmax"))
        self.assertLess(report["outputs"][0]["relative_error"], 0.1)


class RealModels(QuantizeTest):
    def check_classifier(self, model, preprocess, top_error):
        folder = self.pictures(harness.needs_model("cat.bmp"), harness.needs_model("hot_dog.jpg"))
        plain, integer, _ = self.seal_both(harness.needs_model(model), folder, "--preprocess", preprocess, "--decode", "topk")
        report = self.compare(plain, integer, folder)
        self.assertEqual(report["top1_agreement"], 1)
        self.assertLess(report["outputs"][0]["relative_error"], top_error)
        self.assertLess(report["b"]["file_bytes"], 0.3 * report["a"]["file_bytes"])

    def test_squeezenet(self):
        self.check_classifier("squeezenet_v1.0_imagenet.onnx", "caffe", 0.2)

    def test_mobilenet(self):
        self.check_classifier("mobilenet_v2_1.0_224_quant_fp32.onnx", "tf", 0.3)

    def test_detector(self):
        cfg = harness.needs_model("yolo-fastest-1.1-xl.cfg")
        weights = harness.needs_model("yolo-fastest-1.1-xl.weights")
        folder = self.pictures(*(harness.needs_file(harness.DARKNET / "data" / name, "darknet")
                                 for name in ("dog.jpg", "person.jpg", "horses.jpg")))
        plain, integer, _ = self.seal_both(cfg, folder, "--weights-file", weights, "--preprocess", "darknet", "--decode", "yolo")
        found = self.compare(plain, integer, folder)["detections"]
        self.assertGreater(found["matched"], 2 * (found["only_a"] + found["only_b"]))


class Refusals(QuantizeTest):
    def refusal(self, *options):
        done = self.coracle("seal", harness.TINY_CNN, "-o", self.folder / "m.sealed", "--key", self.key, *options)
        self.assertFalse((self.folder / "m.sealed").exists())
        return self.assert_one_line(done)

    def test_calibration_folders(self):
        self.assertIn("no such folder", self.refusal("--quantize-activations", self.folder / "none"))
        self.assertIn("is empty", self.refusal("--quantize-activations", self.tensors("empty", [])))
        self.assertIn("takes 1x3x32x32", self.refusal("--quantize-activations", self.tensors("odd", [1], (1, 3, 32, 31))))
        stray = self.tensors("stray", [1])
        (stray / "labels.txt").write_text("a\n", encoding="ascii")
        self.assertIn("labels.txt is no input", self.refusal("--quantize-activations", stray))

    def test_an_unreadable_file(self):
        folder = self.tensors("calibration", [1])
        (folder / "z.npy").write_bytes(b"not a tensor")
        self.assertIn("z.npy", self.refusal("--quantize-activations", folder))

    def test_values_that_are_not_finite(self):
        folder = self.tensors("calibration", [1])
        np.save(folder / "z.npy", np.full(SHAPE, np.inf, np.float32))
        self.assertIn("not finite", self.refusal("--quantize-activations", folder))

    def test_weights_of_another_type(self):
        self.assertIn("--weights int8", self.refusal("--quantize-activations", self.tensors("some", [1]), "--weights", "int8"))


if __name__ == "__main__":
    harness.main()
