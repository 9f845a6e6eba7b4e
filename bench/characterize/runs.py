"""What the study traces: networks at input sizes, the engines that run them and the spans that are followed, each as a command."""

import pathlib
import re
import sys

BENCH = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(BENCH / "epc_sweep"), str(BENCH / "networks")]
import darknet_onnx  # pylint: disable=wrong-import-position
import networks  # pylint: disable=wrong-import-position
from subjects import darknet_cfg, make_weights, onnxruntime_library, succeed  # pylint: disable=wrong-import-position

ENGINES = ("darknet", "onnxruntime", "coracle")
# steady: the second of two predictions. whole: a process that starts, predicts once and ends.
SPANS = ("steady", "whole")
NETWORKS = ("rnn", "alexnet", "vgg-16", "resnet50", "darknet19", "yolov3-tiny")
# NETWORK or NETWORK@SIDE of its square input.
CASES = NETWORKS
QUICK_CASES = ("rnn", "alexnet@67", "vgg-16@32", "resnet50@64", "darknet19@64", "yolov3-tiny@96")
# onnxruntime's build for npm reports on its user from a thread of its own, whose calls follow the clock, which runs many times as long in a
# trace as in a prediction.
ENVIRONMENT = {"onnxruntime": {"ORT_DISABLE_TELEMETRY": "1"}}
# Marks of the second prediction (docs/epcrun.md): 2i as prediction i begins, 2i + 1 as it ends.
FROM_MARK, TO_MARK = 2, 3


def scaled_cfg(text, side):
    """The network for inputs of `side` x `side`; what a crop layer leaves shrinks with them."""
    full = int(re.search(r"^width\s*=\s*(\d+)", text, re.MULTILINE).group(1))
    text = re.sub(r"^(width|height)\s*=.*", rf"\1={side}", text, count=2, flags=re.MULTILINE)
    return re.sub(r"^(crop_width|crop_height)\s*=\s*(\d+)", lambda found: f"{found[1]}={int(found[2]) * side // full}", text,
                  flags=re.MULTILINE)


class Case:
    """One network at one size, and its files. `name`: NETWORK or NETWORK@SIDE."""

    def __init__(self, name, arguments):
        self.name = name
        self.network, _, side = name.partition("@")
        self.arguments = arguments
        self.bin = networks.ROOT / arguments.build / "bin"
        self.folder = arguments.outdir / "models"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.cfg = darknet_cfg(self.network)
        text = self.cfg.read_text(encoding="utf-8")
        self.weights = arguments.weights_folder / f"{self.network}.weights"
        if side:
            self.cfg = self.folder / f"{name}.cfg"
            networks.write(self.cfg, scaled_cfg(text, int(side)))
            if "[connected]" in text:  # their size follows the input's
                self.weights = self.folder / f"{name}.weights"

    def make_weights(self):
        make_weights(self.bin, self.cfg, self.weights)

    def onnx(self):
        """The same network for onnxruntime, with the same weights."""
        path = self.folder / f"{self.name}.onnx"
        if not path.exists():
            self.make_weights()
            darknet_onnx.convert(self.cfg, self.weights, path)
        return path

    def sealed(self):
        """In fp32, as the others compute. A recurrent network is sealed as the ONNX model, whose state is an input: Coracle's reader of
        Darknet files takes it as zeros, which would spare a third of the weights."""
        path, key = self.folder / f"{self.name}.sealed", self.folder / "owner.key"
        if not key.exists():
            succeed([self.bin / "coracle", "keygen", "-o", key])
        if not path.exists():
            self.make_weights()
            model = [self.onnx()] if self.recurrent() else [self.cfg, "--weights-file", self.weights]
            succeed([self.bin / "coracle", "seal", *model, "-o", path, "--key", key, "--weights", "fp32"])
        return [path, "--key", key]

    def recurrent(self):
        return "[rnn]" in self.cfg.read_text(encoding="utf-8")

    def darknet(self, predictions):
        self.make_weights()
        return [self.bin / "bench/darknet_host", "--cfg", self.cfg, "--weights", self.weights, "--threads", 1, "--quick-start",
                "--repeat", predictions]

    def onnxruntime(self, predictions):
        return [self.bin / "bench/ort_host", "--library", onnxruntime_library(), "--model", self.onnx(), "--threads", 1, "--repeat",
                predictions]

    def coracle(self, span):
        """A sealed model is traced by name; its process as a whole as any other program's."""
        memory = ["--memory", self.arguments.memory]
        if span == "steady":
            return [*self.sealed(), *memory]
        inputs = self.inputs()
        return ["--", self.bin / "coracle", "run", *self.sealed(), *memory, *inputs]

    def inputs(self):
        """Options of `coracle run` with noise for each input of the network."""
        import numpy
        import onnx
        options = []
        for one in onnx.load(str(self.onnx())).graph.input:
            shape = [dimension.dim_value for dimension in one.type.tensor_type.shape.dim]
            path = self.folder / f"{self.name}.{one.name}.npy"
            numpy.save(path, numpy.random.default_rng(1).uniform(0, 1, shape).astype(numpy.float32))
            options += ["--input", f"{one.name}={path}" if self.recurrent() else path]
        return options

    def command(self, engine, span):
        """The whole command, but for --json and --report."""
        command = [self.bin / "coracle", "characterize", "--epc", self.arguments.epc]
        if self.arguments.measure:
            command.append("--measure")
        if engine == "coracle":
            return command + self.coracle(span)
        if span == "steady":
            command += ["--from-mark", FROM_MARK, "--to-mark", TO_MARK]
            if self.arguments.advice and engine == "darknet":
                command += ["--model", self.cfg, "--weights-file", self.weights]
            elif self.arguments.advice:
                command += ["--model", self.onnx()]
        predictions = 2 if span == "steady" else 1
        return command + ["--", *(self.darknet(predictions) if engine == "darknet" else self.onnxruntime(predictions))]
