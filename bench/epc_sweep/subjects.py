"""What the sweep runs: networks, and the engines that run them, each as a command."""

import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "networks"))
import networks  # pylint: disable=wrong-import-position

DARKNET = pathlib.Path("/usr/share/darknet/cfg")
DARKNET_NETWORKS = ("alexnet", "vgg-16", "resnet50", "resnet152", "densenet201", "darknet19", "darknet53", "extraction", "yolov3-tiny",
                    "rnn")
ONNX_NETWORKS = ("resnet50", "vgg16", "mobilenetv2")
QUICK_NETWORKS = ("darknet/yolov3-tiny", "onnx/mobilenetv2")
MIB = 1 << 20
# The bound on what `coracle` touches beside its pool: the first guess, from which its own figure is found.
WORKING_SET_BYTES_MAX = 2 * MIB


def all_networks():
    return [f"darknet/{name}" for name in DARKNET_NETWORKS] + [f"onnx/{name}" for name in ONNX_NETWORKS]


def succeed(command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(str(part) for part in command)}\n{done.stderr}")


def onnxruntime_library():
    library = os.environ.get("CORACLE_ORT_LIBRARY") or networks.ASSETS / "ort/libonnxruntime.so.1"
    if not pathlib.Path(library).exists():
        sys.exit(f"{library} is not there: run tools/fetch_assets ort, or set CORACLE_ORT_LIBRARY")
    return library


def darknet_cfg(stem):
    cfg = DARKNET / f"{stem}.cfg"
    if not cfg.exists():
        sys.exit(f"{cfg} is not there: install the package darknet")
    return cfg


def make_weights(binaries, cfg, weights):
    """Of a Darknet network, if they are not there yet."""
    if weights.exists():
        return
    weights.parent.mkdir(parents=True, exist_ok=True)
    part = weights.with_suffix(".part")
    succeed([binaries / "bench/make_darknet_weights", "--cfg", cfg, "--seed", "1", "--output", part])
    os.replace(part, weights)


class Network:
    """One network and its files. `name`: darknet/NAME or onnx/NAME."""

    def __init__(self, name, arguments, folder):
        self.name = name
        self.kind, _, self.stem = name.partition("/")
        self.bin = networks.ROOT / arguments.build / "bin"
        self.threads = arguments.threads
        self.folder = folder
        self.key = folder / "owner.key"
        self.reference = "darknet" if self.kind == "darknet" else "onnxruntime"
        if self.kind == "darknet":
            self.cfg = darknet_cfg(self.stem)
            self.weights = arguments.weights_folder / f"{self.stem}.weights"
            make_weights(self.bin, self.cfg, self.weights)
            self.model = [self.cfg, "--weights-file", self.weights]
        else:
            networks.MODELS = arguments.models
            self.model = [networks.model_path(self.stem)]

    def seal(self):
        """Once for each kind of weights, with a key that lives as long as the folder."""
        succeed([self.bin / "coracle", "keygen", "-o", self.key])
        for weights in ("fp32", "auto"):
            succeed([self.bin / "coracle", "seal", *self.model, "-o", self.sealed(weights), "--key", self.key, "--weights", weights])

    def sealed(self, weights):
        return self.folder / f"{weights}.sealed"

    def reference_command(self):
        if self.kind == "darknet":
            return [self.bin / "bench/darknet_host", "--cfg", self.cfg, "--weights", self.weights, "--threads", self.threads, "--serve"]
        return [self.bin / "bench/ort_host", "--library", onnxruntime_library(), "--model", self.model[0], "--threads",
                self.threads, "--serve"]

    def coracle_command(self, weights, memory):
        return [self.bin / "coracle", "bench-worker", self.sealed(weights), "--key", self.key, "--memory", memory, "--threads",
                self.threads]

    def command(self, engine, memory="unlimited"):
        """`engine`: reference, fp32 or auto (Coracle with such weights)."""
        return self.reference_command() if engine == "reference" else self.coracle_command(engine, memory)


def shown(command):
    """A command as others can repeat it: without this machine's folders."""
    return " ".join(str(part).replace(str(networks.ROOT) + "/", "") for part in command)
