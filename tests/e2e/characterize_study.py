"""bench/characterize: its ONNX models answer as darknet does, and one small network goes through the whole study."""

import json
import sys

import numpy as np

import harness
from characterize import needs_tracer  # before bench/characterize, whose program has the same name, is in the path

STUDY = harness.SOURCE / "bench/characterize"
sys.path.insert(0, str(STUDY))

CONVOLUTIONS = """
[net]
width=20
height=20
channels=3
[crop]
crop_width=16
crop_height=16
[convolutional]
batch_normalize=1
filters=8
size=3
stride=1
pad=1
activation=leaky
[maxpool]
size=2
stride=2
[convolutional]
filters=8
size=3
stride=1
pad=1
groups=2
activation=relu
[shortcut]
from=-2
activation=linear
[convolutional]
batch_normalize=1
filters=12
size=3
stride=2
pad=1
activation=leaky
[shortcut]
from=-2
activation=leaky
[upsample]
stride=2
[route]
layers=-1,-4
[maxpool]
size=2
stride=1
[connected]
output=24
activation=leaky
[dropout]
probability=.5
[connected]
output=10
activation=linear
[softmax]
"""
AVERAGED = """
[net]
width=12
height=12
channels=3
[convolutional]
batch_normalize=1
filters=6
size=5
stride=2
padding=1
activation=leaky
[avgpool]
[softmax]
"""
RECURRENT = """
[net]
inputs=12
time_steps=1
[rnn]
batch_normalize=1
output=16
activation=leaky
[connected]
output=8
activation=leaky
[softmax]
"""


class Study(harness.CoracleTest):
    def check_onnx(self, text, shape, states=()):
        import darknet_onnx
        cfg, weights, model = (self.folder / f"network.{end}" for end in ("cfg", "weights", "onnx"))
        cfg.write_text(text, encoding="ascii")
        harness.run_reference(harness.needs_host("make_darknet_weights"), "--cfg", cfg, "--output", weights)
        darknet_onnx.convert(cfg, weights, model)
        x = self.random_input(shape, low=0.0)
        theirs = harness.darknet(cfg, weights, x, self.folder / "darknet")["output"]
        inputs = {name: self.save(np.zeros((1, size)), f"{name}.npy") for name, size in states}
        ours = harness.onnxruntime(model, {"x": x, **inputs}, self.folder / "onnx")
        self.assert_close(list(ours.values())[-1].reshape(theirs.shape), theirs, "the last layer")

    def test_onnx_of_convolutions(self):
        self.check_onnx(CONVOLUTIONS, (1, 3, 20, 20))

    def test_onnx_of_an_average(self):
        self.check_onnx(AVERAGED, (1, 3, 12, 12))

    def test_onnx_of_a_state(self):
        self.check_onnx(RECURRENT, (1, 12), [("state0", 16)])

    def test_one_network(self):
        needs_tracer()
        for name in ("darknet_host", "ort_host", "make_darknet_weights"):
            harness.needs_host(name)
        library = harness.needs_asset("ort/libonnxruntime.so.1")
        weights = harness.generated_weights(harness.needs_file(harness.DARKNET / "cfg/yolov3-tiny.cfg", "darknet"))
        command = [STUDY / "characterize.py", self.folder / "study", "--only", "yolov3-tiny@32", "--spans", "steady", "--build",
                   harness.BIN.parent, "--weights-folder", weights.parent]
        done = harness.run_program(sys.executable, *command, environment={"CORACLE_ORT_LIBRARY": str(library)})
        self.assertEqual(done.code, 0, str(done))
        loads = {}
        for engine in ("darknet", "onnxruntime", "coracle"):
            path = self.folder / f"study/runs/yolov3-tiny@32.{engine}.steady.json"
            entry = json.loads(path.read_text(encoding="utf-8"))
            self.assertIn("report", entry, done.err)
            loads[engine] = next(size["loads"] for size in entry["report"]["epc"]["sizes"] if size["bytes"] == 8 * harness.MIB)
            self.assertIn(f"| yolov3-tiny@32 | {engine} |", done.out)
        # 34 MiB of weights, all of which an unmodified engine touches in each prediction.
        self.assertGreater(loads["darknet"], 4096)
        self.assertGreater(loads["onnxruntime"], 4096)
        self.assertLess(loads["coracle"], 512)


if __name__ == "__main__":
    harness.main()
