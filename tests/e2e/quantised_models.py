"""Models that come quantised answer as ONNX Runtime does: QLinearConv bit for bit, ConvInteger within its masks."""

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper

import budgets
import harness

MOBILENET = "mobilenet_v2_1.0_224_quant_int8.onnx"
LOGITS = "DequantizeLinear_98"  # float32, of the classifier's integers
ISNET_SMALL = "isnet/isnet_small.onnx"
NODE_TESTS = "/usr/share/libonnx-testdata/data/node"
# Operators that compute on integers: nothing in them rounds to anything but whole numbers.
EXACT_CASES = ("basic_convinteger", "convinteger_with_padding", "convinteger_without_padding", "dequantizelinear",
               "dequantizelinear_axis", "dynamicquantizelinear", "dynamicquantizelinear_max_adjusted",
               "dynamicquantizelinear_min_adjusted", "matmulinteger", "qlinearconv", "qlinearmatmul_2D",
               "quantizelinear", "quantizelinear_axis")


def pictures():
    """Every picture that is there."""
    found = []
    for name in ("cat.bmp", "hot_dog.jpg", "dog.jpg", "eagle.jpg", "giraffe.jpg", "horses.jpg", "person.jpg"):
        for folder in (harness.MODELS, harness.DARKNET / "data"):
            path = folder / name
            if path.exists():
                found.append(path)
                break
    return found


class MobileNet(harness.CoracleTest):
    """Sums are exact, and what is between them is defined to the bit: there is no room for another answer."""

    def with_outputs(self, name, operators):
        """The model with the results of `operators` as outputs beside its own."""
        model = onnx.load(harness.needs_model(MOBILENET))
        for node in model.graph.node:
            if node.op_type in operators or node.output[0] == LOGITS:
                value = onnx.helper.make_tensor_value_info(node.output[0], onnx.TensorProto.FLOAT, None)
                model.graph.output.append(value)
        path = self.folder / name
        onnx.save(model, path)
        return path

    def check(self, x):
        sealed = self.seal(self.with_outputs("ours.onnx", ()))
        _, ours = self.run_sealed(sealed, {"image": x})
        # Where nobody sees the sums of residuals, ONNX Runtime replaces Dequantize, Add and Quantize by a formula of
        # its own (QLinearAdd), which rounds otherwise now and then. As outputs they are computed as the model says.
        theirs = harness.onnxruntime(self.with_outputs("theirs.onnx", ("Add",)), {"image": x}, self.folder / "ort")
        np.testing.assert_array_equal(ours[LOGITS], theirs[LOGITS])
        self.assert_close(ours["prob"], theirs["prob"], "probabilities")

    def test_noise(self):
        for seed in range(3):
            noise = np.random.default_rng(seed).uniform(-1, 1, (1, 3, 224, 224)).astype(np.float32)
            self.check(self.save(noise, f"noise{seed}.npy"))

    def test_pictures(self):
        harness.needs_model(MOBILENET)
        try:
            from PIL import Image
        except ImportError:
            self.skipTest("python3-pil is not installed")
        if not pictures():
            self.skipTest("there are no pictures: set CORACLE_MODELS")
        for path in pictures():
            with Image.open(path) as picture:
                pixels = np.asarray(picture.convert("RGB").resize((224, 224)), np.float32)
            self.check(self.save(pixels.transpose(2, 0, 1)[None] / 127.5 - 1, f"{path.stem}.npy"))



class SameBytes(budgets.SameBytes):
    """Integer sums, too, are the same at every budget, thread count and way of reading."""

    def test_mobilenet(self):
        self.check_sealed(self.seal(harness.needs_model(MOBILENET)), self.random_input((1, 3, 224, 224)))

    def test_resnet50(self):
        inputs = self.folder / "inputs"
        inputs.mkdir()
        np.save(inputs / "a.npy", np.random.default_rng(9).uniform(-1, 1, (1, 3, 224, 224)).astype(np.float32))
        sealed = self.seal(harness.generated_onnx("resnet50"), "--quantize-activations", inputs)
        self.check_sealed(sealed, self.random_input((1, 3, 224, 224)))

    test_tiny_cnn = test_ocr_recogniser = test_ocr_detector = test_yolo_fastest = test_a_hundred_times = None


class IsNet(harness.CoracleTest):
    """Ranges that are found from the data depend on float32 sums; the mask must not."""

    def test_mask_slow(self):
        harness.needs_slow()
        model = harness.needs_asset(ISNET_SMALL)
        y, x = np.mgrid[0:1024, 0:1024].astype(np.float32)
        # A bright disc with a rim on a dark gradient, as a thing before a background.
        inside = (np.hypot(x - 480, y - 560) < 260).astype(np.float32)
        image = np.stack([0.2 + 0.6 * inside, 0.3 * y / 1024 + 0.5 * inside, 0.1 + 0.2 * inside]) - 0.5
        image = self.save(image[None].astype(np.float32))
        _, ours = self.run_sealed(self.seal(model), {"input": image}, "--memory", "32MiB")
        theirs = harness.onnxruntime(model, {"input": image}, self.folder / "ort")
        masks = [answer["output"] > 0.5 for answer in (ours, theirs)]
        union = np.logical_or(*masks).sum()
        self.assertGreater(union, 0)
        self.assertGreaterEqual(np.logical_and(*masks).sum() / union, 0.99)


class NodeTests(harness.CoracleTest):
    def stored(self, folder, name):
        tensor = onnx.TensorProto()
        tensor.ParseFromString((folder / "test_data_set_0" / f"{name}.pb").read_bytes())
        return onnx.numpy_helper.to_array(tensor)

    def check_case(self, folder):
        """All inputs but the first are constants, as in real models; integers are given and come as float32."""
        model = onnx.load(folder / "model.onnx")
        values = list(model.graph.input)
        for i, value in enumerate(values[1:], start=1):
            model.graph.initializer.append(onnx.numpy_helper.from_array(self.stored(folder, f"input_{i}"), value.name))
            model.graph.input.remove(value)
        path = self.folder / f"{folder.name}.onnx"
        onnx.save(model, path)
        sealed = self.seal(path)
        x = self.save(self.stored(folder, "input_0").astype(np.float32))
        _, ours = self.run_sealed(sealed, {values[0].name: x})
        for i, output in enumerate(model.graph.output):
            expected = self.stored(folder, f"output_{i}").astype(np.float32)
            np.testing.assert_array_equal(ours[output.name], expected, f"{folder.name} {output.name}")

    def test_quantised_operators(self):
        root = harness.needs_file(NODE_TESTS, "libonnx-testdata")
        for case in EXACT_CASES:
            with self.subTest(case):
                self.check_case(root / f"test_{case}")


if __name__ == "__main__":
    harness.main()
