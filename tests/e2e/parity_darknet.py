"""Darknet models answer as Debian's libdarknet does: at the last layers and every head, before and after it.

Generated weights are random but sane (make_darknet_weights). Within 1e-4 of each layer's largest magnitude, without
--exact 1e-3.
"""

import re

import numpy as np

import harness

HEADS = ("softmax", "yolo", "region", "detection")


def network_shape(cfg):
    text = cfg.read_text(encoding="ascii")
    return (1, *(int(re.search(rf"^{key}\s*=\s*(\d+)", text, re.M)[1]) for key in ("channels", "height", "width")))


class DarknetTest(harness.CoracleTest):
    def check(self, cfg, weights, bound=harness.PARITY, exact=True):
        """Compares all layers that darknet_host gives: heads, and what feeds them."""
        x = self.random_input(network_shape(cfg), low=0.0)
        theirs = harness.darknet(cfg, weights, x, self.folder / "darknet")
        layers = {name: re.fullmatch(r"layer_(\d+)_(\w+)", name).groups() for name in theirs if name != "output"}
        self.assertTrue(layers, f"{cfg.stem} has no head: {sorted(theirs)}")
        before = [index for index, kind in layers.values() if kind not in HEADS]
        options = [word for index in before for word in ("--output-layer", index)]
        sealed = self.seal(cfg, "--weights-file", weights, *options, exact=exact)
        self.assertEqual("winograd4" in self.algorithms(sealed), not exact)
        _, ours = self.run_sealed(sealed, x)
        names = {name: f"{kind}_{index}" if kind in HEADS else f"layer_{index}" for name, (index, kind) in layers.items()}
        self.assertEqual(sorted(ours), sorted(names.values()))
        for name, output in names.items():
            self.assert_close(ours[output], theirs[name], f"{cfg.stem} {name} {theirs[name].shape}", bound)

    def debian(self, name, **how):
        harness.needs_host("make_darknet_weights")
        cfg = harness.needs_file(harness.DARKNET / f"cfg/{name}.cfg", "darknet")
        self.check(cfg, harness.generated_weights(cfg), **how)


class Recurrent(harness.CoracleTest):
    """rnn, gru and lstm layers: what Darknet answers first, from a state of zeros."""

    INPUTS, OUTPUTS = 23, (17, 9)

    def connected(self, inputs, outputs, normalize):
        """A connected layer's values in the order of a .weights file."""
        draw = self.random
        values = [draw.normal(0, 0.3, outputs), draw.normal(0, inputs**-0.5, inputs * outputs)]
        if normalize:
            values += [draw.uniform(0.5, 1.5, outputs), draw.normal(0, 0.3, outputs), draw.uniform(0.5, 1.5, outputs)]
        return values

    def layer(self, kind, inputs, outputs, normalize):
        if kind == "rnn":
            sizes = [inputs, outputs, outputs]
        else:
            gates = {"gru": 3, "lstm": 4}[kind]
            sizes = [outputs] * gates + [inputs] * gates
        return [values for size in sizes for values in self.connected(size, outputs, normalize)]

    def check(self, kind, normalize, option=""):
        self.random = np.random.default_rng(5)
        sizes = (self.INPUTS, *self.OUTPUTS)
        cfg, weights = self.folder / "net.cfg", self.folder / "net.weights"
        section = f"[{kind}]\nbatch_normalize={normalize}\n{option}output="
        cfg.write_text(f"[net]\nheight=1\nwidth=1\nchannels={self.INPUTS}\ntime_steps=1\n\n"
                       + "\n\n".join(f"{section}{outputs}" for outputs in self.OUTPUTS) + "\n", encoding="ascii")
        values = [v for inputs, outputs in zip(sizes, sizes[1:]) for v in self.layer(kind, inputs, outputs, normalize)]
        header = np.array([0, 2, 0, 0, 0], np.int32)
        weights.write_bytes(header.tobytes() + np.concatenate(values).astype(np.float32).tobytes())
        x = self.random_input((1, self.INPUTS, 1, 1))
        expected = harness.darknet(cfg, weights, x, self.folder / "darknet")["output"]
        _, ours = self.run_sealed(self.seal(cfg, "--weights-file", weights), x)
        self.assert_close(ours[f"{kind}_1"], expected, f"{kind} normalize={normalize} {option.strip()}")

    def test_rnn(self):
        for normalize in (0, 1):
            self.check("rnn", normalize, "activation=leaky\n")

    def test_gru(self):
        for normalize in (0, 1):
            self.check("gru", normalize)
            self.check("gru", normalize, "tanh=1\n")

    def test_lstm(self):
        for normalize in (0, 1):
            self.check("lstm", normalize)


class Networks(DarknetTest):
    def test_alexnet(self):
        self.debian("alexnet")

    def test_vgg_16(self):
        self.debian("vgg-16")

    def test_resnet50(self):
        self.debian("resnet50")

    def test_densenet201(self):
        self.debian("densenet201")

    def test_darknet19(self):
        self.debian("darknet19")

    def test_darknet53(self):
        self.debian("darknet53")

    def test_extraction(self):
        self.debian("extraction")

    def test_yolov2_tiny(self):
        self.debian("yolov2-tiny")

    def test_yolov3_tiny(self):
        self.debian("yolov3-tiny")

    def test_yolo_fastest(self):
        cfg = harness.needs_model("yolo-fastest-1.1-xl.cfg")
        self.check(cfg, harness.needs_model("yolo-fastest-1.1-xl.weights"))


class WinogradNetworks(DarknetTest):
    """Sealed without --exact."""

    def fast(self, name):
        self.debian(name, bound=harness.PARITY_WINOGRAD, exact=False)

    def test_fast_resnet50(self):
        self.fast("resnet50")

    def test_fast_darknet19(self):
        self.fast("darknet19")

    def test_fast_yolov3_tiny(self):
        self.fast("yolov3-tiny")

    def test_fast_vgg_16(self):
        self.fast("vgg-16")


class MoreNetworks(DarknetTest):
    """Further ones of the same layer types; slow."""

    def setUp(self):
        harness.needs_slow()
        super().setUp()

    def test_resnet18(self):
        self.debian("resnet18")

    def test_resnet34(self):
        self.debian("resnet34")

    def test_resnet101(self):
        self.debian("resnet101")

    def test_resnet152(self):
        self.debian("resnet152")

    def test_resnext50(self):
        self.debian("resnext50")

    def test_yolov2(self):
        self.debian("yolov2")

    def test_yolov3(self):
        self.debian("yolov3")


class Detection(harness.CoracleTest):
    def detect(self, picture, *options):
        cfg = harness.needs_model("yolo-fastest-1.1-xl.cfg")
        weights = harness.needs_model("yolo-fastest-1.1-xl.weights")
        picture = harness.needs_file(harness.DARKNET / "data" / picture, "darknet")
        names = harness.needs_file(harness.DARKNET / "data/coco.names", "darknet")
        sealed = self.seal(cfg, "--weights-file", weights, "--preprocess", "darknet", "--decode", "yolo", "--labels", names)
        report, _ = self.run_sealed(sealed, picture, *options)
        return [found for output in report["outputs"] for found in output.get("detections", [])]

    def test_dog_car_and_bicycle(self):
        """Debian's darknet gives dog 94 %, car 88 %, bicycle 86 %."""
        drawn = self.folder / "drawn.png"
        found = {d["label"]: d for d in self.detect("dog.jpg", "--draw", drawn)}
        print(found)
        for label, score in (("dog", 0.94), ("car", 0.88), ("bicycle", 0.86)):
            self.assertIn(label, found)
            self.assertAlmostEqual(found[label]["score"], score, delta=0.011, msg=label)
        self.assertEqual(drawn.read_bytes()[:8], b"\x89PNG\r\n\x1a\n")
        # The picture is 768x576; the dog sits left of its middle, in the lower half.
        x, y, width, height = found["dog"]["box"]
        self.assertLess(abs(x + width / 2 - 220) + abs(y + height / 2 - 380), 80)

    def test_the_picture_with_a_person(self):
        self.assertIn("person", [d["label"] for d in self.detect("person.jpg")])


if __name__ == "__main__":
    harness.main()
