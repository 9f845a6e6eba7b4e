"""Weights of 8 and 4 bits: real models on real images still say what fp32 says; and the bits are the same in every budget."""

import pathlib

import numpy as np

import budgets
import harness

DARKNET_IMAGES = harness.DARKNET / "data"
SKIMAGE_IMAGES = pathlib.Path("/usr/lib/python3/dist-packages/skimage/data")
# Photographs of what ImageNet's classes are about, or not: whatever is there.
PHOTOGRAPHS = [*(DARKNET_IMAGES / f"{name}.jpg" for name in ("dog", "eagle", "giraffe", "horses", "kite", "person", "scream")),
               *(SKIMAGE_IMAGES / f"{name}.png" for name in ("astronaut", "brick", "cell", "chelsea", "clock_motion", "coffee", "color",
                                                             "grass", "gravel", "ihc", "motorcycle_left", "page", "text")),
               *(SKIMAGE_IMAGES / f"{name}.jpg" for name in ("hubble_deep_field", "retina", "rocket")),
               *(harness.MODELS / name for name in ("cat.bmp", "hot_dog.jpg"))]


def relative_error(ours, theirs):
    """RMS of the difference over RMS of what it should be."""
    return float(np.sqrt(np.mean((ours - theirs) ** 2) / np.mean(theirs**2)))


class Classifiers(harness.CoracleTest):
    """The same top-1 class on every image but at most one."""

    def check(self, model, *options):
        images = [image for image in PHOTOGRAPHS if image.exists()]
        self.assertGreater(len(images), 0, "no image is there: install darknet or python3-skimage")
        answers = {}
        for weights in ("fp32", "int8", "auto", "int4"):
            sealed = self.seal(model, *options, "--decode", "topk", name=f"{weights}.sealed", weights=weights, exact=False)
            answers[weights] = [self.answer(sealed, image) for image in images]
            print(f"{model.stem} {weights}: {self.sealing['file_bytes'] / 1e6:.2f} MB")
        for weights in ("int8", "auto", "int4"):
            pairs = list(zip(answers["fp32"], answers[weights]))
            differ = [image.name for image, (plain, ours) in zip(images, pairs) if plain[0] != ours[0]]
            errors = [relative_error(ours[1], plain[1]) for plain, ours in pairs]
            print(f"{model.stem} {weights}: top-1 as fp32 on {len(images) - len(differ)} of {len(images)} images {differ}; "
                  f"output error: median {np.median(errors):.2g}, largest {max(errors):.2g}")
            self.assertLessEqual(len(differ), 1 if weights != "int4" else 2, differ)

    def answer(self, sealed, image):
        report, outputs = self.run_sealed(sealed, image)
        return report["outputs"][0]["top"][0]["index"], next(iter(outputs.values()))

    def test_squeezenet(self):
        self.check(harness.needs_model("squeezenet_v1.0_imagenet.onnx"), "--preprocess", "caffe")

    def test_mobilenet(self):
        self.check(harness.needs_model("mobilenet_v2_1.0_224_quant_fp32.onnx"), "--preprocess", "tf")


class Detector(harness.CoracleTest):
    def test_yolo_fastest_finds_the_same(self):
        cfg = harness.needs_model("yolo-fastest-1.1-xl.cfg")
        image = harness.needs_file(DARKNET_IMAGES / "dog.jpg", "darknet")
        found = {}
        for weights in ("fp32", "int8", "auto"):
            sealed = self.seal(cfg, "--weights-file", harness.needs_model("yolo-fastest-1.1-xl.weights"), "--preprocess", "darknet",
                               "--decode", "yolo", name=f"{weights}.sealed", weights=weights, exact=False)
            report, _ = self.run_sealed(sealed, image)
            found[weights] = sorted((d["label"], d["score"]) for output in report["outputs"] for d in output.get("detections", []))
            print(weights, f"{self.sealing['file_bytes'] / 1e6:.2f} MB", found[weights])
        self.assertGreaterEqual(len(found["fp32"]), 3)
        for weights in ("int8", "auto"):
            self.assertEqual([label for label, _ in found[weights]], [label for label, _ in found["fp32"]])
            for (label, ours), (_, theirs) in zip(found[weights], found["fp32"]):
                self.assertAlmostEqual(ours, theirs, delta=0.02, msg=f"{label} {weights}")


class Recogniser(harness.CoracleTest):
    def test_reads_the_same_text(self):
        keys = harness.needs_asset("ocr/ppocr_keys_v1.txt")
        line = harness.SOURCE / "examples/images/line.png"
        read = {}
        for weights in ("fp32", "int8", "auto", "int4"):
            sealed = self.seal(harness.needs_asset(harness.OCR_REC), "--shape", "x=1x3x48x640", "--preprocess", "ocr", "--decode",
                               f"ctc:{keys}", name=f"{weights}.sealed", weights=weights, exact=False)
            report, outputs = self.run_sealed(sealed, line)
            read[weights] = report["outputs"][0]["text"], next(iter(outputs.values()))
            print(weights, f"{self.sealing['file_bytes'] / 1e6:.2f} MB", read[weights][0],
                  f"output error {relative_error(read[weights][1], read['fp32'][1]):.2g}")
            self.assertEqual(read[weights][0], read["fp32"][0])


class SameBytes(budgets.SameBytes):
    """Of models whose weights are quantised, at every budget."""

    def check_types(self, types, model, name, shape):
        x = self.random_input(shape)
        for weights in types:
            sealed = self.seal(model, "--shape", f"{name}={'x'.join(map(str, shape))}", weights=weights, exact=False)
            self.assertEqual({layer["weights"] for layer in self.sealing["quantized_layers"]} - {"int8", "int4"}, set())
            self.check_sealed(sealed, x)

    def test_tiny_cnn(self):
        self.check_types(("int8", "int4", "auto"), harness.TINY_CNN, "input", (1, 3, 32, 32))

    def test_ocr_recogniser(self):
        self.check_types(("int4",), harness.needs_asset(harness.OCR_REC), "x", (1, 3, 48, 320))

    def test_resnet50(self):
        self.check_types(("auto", "int8"), harness.generated_onnx("resnet50"), "input", budgets.IMAGE_224)

    test_ocr_detector = test_mobilenet = test_yolo_fastest = test_a_hundred_times = None


class Sizes(harness.CoracleTest):
    """What the largest layers of VGG-16 shrink to."""

    def layer_mib(self, weights):
        sealed = self.seal(harness.generated_onnx("vgg16"), weights=weights, exact=False)
        layers = self.succeed("inspect", sealed, "--key", self.key, "--json").json["layers"]
        print(weights, f"{self.sealing['file_bytes'] / 1e6:.1f} MB")
        return max(layer["weight_bytes"] for layer in layers) / harness.MIB

    def test_vgg16(self):
        self.assertLessEqual(self.layer_mib("int8"), 98.1)
        self.assertLessEqual(self.layer_mib("int4"), 55.3)
        self.assertLessEqual(self.layer_mib("auto"), 98.1)
        self.assertLessEqual(self.sealing["file_bytes"], 185e6)


if __name__ == "__main__":
    harness.main()
