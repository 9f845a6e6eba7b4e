"""`coracle compare`: what it says of two models is what running them one by one would show."""

import numpy as np

import harness
from harness import MIB

SHAPE = (1, 3, 32, 32)
LINE = harness.SOURCE / "examples/images/line.png"


class CompareTest(harness.CoracleTest):
    def inputs(self, *names):
        """A folder of files that are copied there, by name."""
        folder = self.folder / "inputs"
        folder.mkdir(exist_ok=True)
        for name in names:
            (folder / name.name).write_bytes(name.read_bytes())
        return folder

    def random_inputs(self, count, shape=SHAPE):
        folder = self.inputs()
        for i in range(count):
            np.save(folder / f"{i:02}.npy", np.random.default_rng(i).uniform(-1, 1, shape).astype(np.float32))
        return folder

    def compare(self, a, b, folder, *options):
        return self.succeed("compare", a, b, "--key", self.key, "--inputs", folder, "--json", *options).json


class Reports(CompareTest):
    def test_a_model_agrees_with_itself(self):
        sealed = self.seal(harness.TINY_CNN)
        report = self.compare(sealed, sealed, self.random_inputs(3), "--memory", "1MiB", "--repeat", 2)
        self.assertEqual(report["inputs"], 3)
        self.assertEqual(report["top1_agreement"], 1)
        self.assertEqual([(o["relative_error"], o["largest_error"]) for o in report["outputs"]], [(0, 0)])
        for side in (report["a"], report["b"]):
            self.assertEqual(side["file_bytes"], sealed.stat().st_size)
            self.assertLessEqual(side["pool_bytes"], MIB)
            self.assertLess(side["resident_bytes"], MIB + harness.PROCESS_BYTES)
            self.assertGreater(side["min_ms"], 0)
            self.assertLessEqual(side["min_ms"], side["median_ms"])
        self.assertGreater(report["time_ratio"], 0)

    def test_errors_are_those_of_the_outputs(self):
        """Two models of the same ports and other weights, each under its own key."""
        other_key = self.make_key("other.key")
        a = self.seal(harness.TINY_CNN, name="a.sealed")
        b = self.folder / "b.sealed"
        self.succeed("seal", self.other_weights(), "-o", b, "--key", other_key)
        folder = self.random_inputs(4)
        report = self.compare(a, b, folder, "--key-b", other_key)
        outputs = [[], []]
        for path in sorted(folder.iterdir()):
            for sealed, key, values in ((a, self.key, outputs[0]), (b, other_key, outputs[1])):
                y = self.folder / "y.npy"
                self.succeed("run", sealed, "--key", key, "--input", path, "--output", y)
                values.append(np.load(y).astype(np.float64).ravel())
        a, b = (np.array(values) for values in outputs)
        error = report["outputs"][0]
        self.assertAlmostEqual(error["relative_error"], np.sqrt(((a - b) ** 2).sum() / (a ** 2).sum()), places=6)
        self.assertAlmostEqual(error["largest_error"], np.abs(a - b).max() / np.abs(a).max(), places=6)
        self.assertAlmostEqual(report["top1_agreement"], (a.argmax(1) == b.argmax(1)).mean(), places=6)

    def other_weights(self):
        import onnx
        import onnx.numpy_helper
        model = onnx.load(harness.TINY_CNN)
        for weight in model.graph.initializer:
            array = onnx.numpy_helper.to_array(weight)
            if array.dtype == np.float32 and array.ndim > 1:
                noise = np.random.default_rng(5).normal(0, 0.2 * array.std(), array.shape)
                weight.CopyFrom(onnx.numpy_helper.from_array((array + noise).astype(np.float32), weight.name))
        path = self.folder / "other.onnx"
        onnx.save(model, path)
        return path

    def test_text_for_people(self):
        sealed = self.seal(harness.TINY_CNN)
        done = self.succeed("compare", sealed, sealed, "--key", self.key, "--inputs", self.random_inputs(1))
        self.assertIn("the same top 1 in 1 of 1", done.out)
        self.assertIn("times as long as A", done.out)


class RealModels(CompareTest):
    def test_classifiers_on_pictures(self):
        model = harness.needs_model("squeezenet_v1.0_imagenet.onnx")
        folder = self.inputs(harness.needs_model("cat.bmp"), harness.needs_model("hot_dog.jpg"))
        options = ("--preprocess", "caffe", "--decode", "topk")
        exact = self.seal(model, *options, name="exact.sealed")
        fast = self.seal(model, *options, name="fast.sealed", exact=False)
        report = self.compare(exact, fast, folder, "--memory", "8MiB")
        self.assertEqual(report["top1_agreement"], 1)
        self.assertLess(report["outputs"][0]["relative_error"], harness.PARITY_WINOGRAD)

    def test_detectors_on_pictures(self):
        cfg = harness.needs_model("yolo-fastest-1.1-xl.cfg")
        weights = harness.needs_model("yolo-fastest-1.1-xl.weights")
        folder = self.inputs(*(harness.needs_file(harness.DARKNET / "data" / name, "darknet")
                               for name in ("dog.jpg", "person.jpg")))
        options = ("--weights-file", weights, "--preprocess", "darknet", "--decode", "yolo")
        exact = self.seal(cfg, *options, name="exact.sealed")
        fast = self.seal(cfg, *options, name="fast.sealed", exact=False)
        found = self.compare(exact, fast, folder)["detections"]
        self.assertGreater(found["matched"], 2)
        self.assertEqual((found["only_a"], found["only_b"]), (0, 0))
        self.assertLess(found["largest_score_difference"], 1e-3)


    def test_recognisers_on_a_line(self):
        keys = harness.needs_asset("ocr/ppocr_keys_v1.txt")
        options = ("--shape", "x=1x3x48x640", "--preprocess", "ocr", "--decode", f"ctc:{keys}")
        model = harness.needs_asset(harness.OCR_REC)
        exact = self.seal(model, *options, name="exact.sealed")
        fast = self.seal(model, *options, name="fast.sealed", exact=False)
        self.assertEqual(self.compare(exact, fast, self.inputs(LINE))["text_agreement"], 1)


class Refusals(CompareTest):
    def setUp(self):
        super().setUp()
        self.sealed = self.seal(harness.TINY_CNN)

    def refusal(self, folder, *options, other=None):
        done = self.coracle("compare", self.sealed, other or self.sealed, "--key", self.key, "--inputs", folder, *options)
        return self.assert_one_line(done)

    def test_folders_that_are_none(self):
        self.assertIn("no such folder", self.refusal(self.folder / "none"))
        self.assertIn("is empty", self.refusal(self.inputs()))

    def test_nothing_is_passed_over(self):
        folder = self.random_inputs(1)
        (folder / "labels.txt").write_text("a\n", encoding="ascii")
        self.assertIn("labels.txt is no input", self.refusal(folder))

    def test_an_input_of_another_shape(self):
        self.assertIn("takes 1x3x32x32", self.refusal(self.random_inputs(1, (1, 3, 32, 31))))

    def test_an_image_without_preprocessing(self):
        self.assertIn("--preprocess", self.refusal(self.inputs(LINE)))

    def test_a_budget_that_is_too_small(self):
        self.assertIn("needs", self.refusal(self.random_inputs(1), "--memory", "1KiB"))

    def test_models_of_other_ports(self):
        model = harness.needs_model("squeezenet_v1.0_imagenet.onnx")
        other = self.seal(model, name="other.sealed")
        self.assertIn("cannot be compared", self.refusal(self.random_inputs(1), other=other))

    def test_the_wrong_key(self):
        done = self.coracle("compare", self.sealed, self.sealed, "--key", self.key, "--key-b", self.make_key("b.key"),
                            "--inputs", self.random_inputs(1))
        self.assert_one_line(done)


if __name__ == "__main__":
    harness.main()
