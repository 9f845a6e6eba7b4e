#!/usr/bin/python3
"""A Darknet network with its weights as an ONNX model, so that onnxruntime runs the very network that darknet does.

    bench/characterize/darknet_onnx.py NETWORK.cfg NETWORK.weights OUT.onnx

Layers: convolutional, connected, maxpool, avgpool, shortcut, route, upsample, crop, dropout, softmax, rnn; of a yolo layer the raw head
that it reads. Batch norms are folded into weights, as onnxruntime folds them too. A rnn layer's state is an input and an output of the
model: darknet keeps it itself. The formulas are those of Darknet's *_layer.c, the order of the weights that of parser.c.
Needs python3-numpy and python3-onnx.
"""

import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 13
IR_VERSION = 7
# blas.c, normalize_cpu
NORMALIZE_EPSILON = 1e-6
ACTIVATIONS = {"linear": None, "relu": ("Relu", {}), "leaky": ("LeakyRelu", {"alpha": 0.1}), "logistic": ("Sigmoid", {}),
               "tanh": ("Tanh", {})}


def read_cfg(path):
    """[(kind, {key: value})] of its sections."""
    sections = []
    for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines():
        line = line.split("#")[0].split(";")[0].strip()
        if line.startswith("["):
            sections.append((line.strip("[]"), {}))
        elif "=" in line:
            key, value = line.split("=", 1)
            sections[-1][1][key.strip()] = value.strip()
    return sections


class Weights:
    """The floats of a .weights file, in order."""

    def __init__(self, path):
        major, minor, _ = np.fromfile(path, np.int32, 3)
        self.values = np.fromfile(path, np.float32, offset=20 if major * 10 + minor >= 2 and major < 1000 else 16)
        self.transposed = major > 1000 or minor > 1000  # of connected layers: inputs x outputs
        self.at = 0

    def take(self, *shape):
        count = int(np.prod(shape))
        if self.at + count > self.values.size:
            sys.exit("the weights file is too short for this network")
        self.at += count
        return self.values[self.at - count:self.at].reshape(shape)

    def normalization(self, count):
        """(mean, factor) of a batch norm."""
        scale, mean, variance = (self.take(count) for _ in range(3))
        return mean, scale / (np.sqrt(variance) + NORMALIZE_EPSILON)


class Converter:
    """One network. A layer's method takes its options and the value before it, and returns its own."""

    def __init__(self, cfg, weights):
        (_, self.net), *self.layers = read_cfg(cfg)
        self.weights = Weights(weights)
        self.nodes, self.constants, self.inputs, self.outputs = [], [], [], []
        self.values = []  # by layer
        self.shapes = {}  # C,H,W or (features,) by value
        self.layer = 0

    def number(self, options, key, otherwise):
        return int(options.get(key, otherwise))

    def constant(self, name, array):
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def emit(self, kind, inputs, shape, **attributes):
        name = f"layer{self.layer}_{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        self.shapes[name] = tuple(shape)
        return name

    def activated(self, value, options, otherwise="logistic"):
        found = ACTIVATIONS.get(options.get("activation", otherwise), "unknown")
        if found == "unknown":
            sys.exit(f"layer {self.layer}: activation {options['activation']} is not converted")
        return value if found is None else self.emit(found[0], [value], self.shapes[value], **found[1])

    def tensor(self, listed, name, shape):
        """An input or an output of the model."""
        listed.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, *shape]))
        self.shapes[name] = tuple(shape)
        return name

    def convolutional(self, options, value):
        channels, height, width = self.shapes[value]
        filters, size, stride = (self.number(options, key, 1) for key in ("filters", "size", "stride"))
        groups = self.number(options, "groups", 1)
        pad = size // 2 if self.number(options, "pad", 0) else self.number(options, "padding", 0)
        bias = self.weights.take(filters)
        mean, factor = None, None
        if self.number(options, "batch_normalize", 0):
            mean, factor = self.weights.normalization(filters)
        kernel = self.weights.take(filters, channels // groups, size, size)
        if factor is not None:
            kernel, bias = kernel * factor[:, None, None, None], bias - mean * factor
        rows, columns = ((length + 2 * pad - size) // stride + 1 for length in (height, width))
        inputs = [value, self.constant(f"layer{self.layer}_weight", kernel), self.constant(f"layer{self.layer}_bias", bias)]
        out = self.emit("Conv", inputs, (filters, rows, columns), kernel_shape=[size, size], strides=[stride, stride],
                        pads=[pad] * 4, group=groups)
        return self.activated(out, options)

    def flat(self, value):
        count = int(np.prod(self.shapes[value]))
        return value if self.shapes[value] == (count,) else self.emit("Flatten", [value], (count,), axis=1)

    def dense(self, part, options, value, outputs):
        inputs = self.shapes[value][0]
        bias = self.weights.take(outputs)
        weight = self.weights.take(inputs, outputs).T if self.weights.transposed else self.weights.take(outputs, inputs)
        if self.number(options, "batch_normalize", 0):
            mean, factor = self.weights.normalization(outputs)
            weight, bias = weight * factor[:, None], bias - mean * factor
        names = [self.constant(f"layer{self.layer}{part}_weight", weight), self.constant(f"layer{self.layer}{part}_bias", bias)]
        return self.activated(self.emit("Gemm", [value, *names], (outputs,), transB=1), options)

    def connected(self, options, value):
        return self.dense("", options, self.flat(value), self.number(options, "output", 1))

    def rnn(self, options, value):
        """rnn_layer.c: state = f(input(x)) + f(self(state)); f(output(state))."""
        outputs = self.number(options, "output", 1)
        before = self.tensor(self.inputs, f"state{self.layer}", (outputs,))
        ours = self.dense("_input", options, self.flat(value), outputs)
        theirs = self.dense("_self", options, before, outputs)
        state = self.emit("Add", [ours, theirs], (outputs,))
        self.tensor(self.outputs, state, (outputs,))
        return self.dense("_output", options, state, outputs)

    def maxpool(self, options, value):
        channels, height, width = self.shapes[value]
        stride = self.number(options, "stride", 1)
        size = self.number(options, "size", stride)
        padding = self.number(options, "padding", size - 1)
        before, after = padding // 2, padding - padding // 2
        rows, columns = ((length + padding - size) // stride + 1 for length in (height, width))
        return self.emit("MaxPool", [value], (channels, rows, columns), kernel_shape=[size, size], strides=[stride, stride],
                         pads=[before, before, after, after])

    def avgpool(self, _, value):
        return self.emit("GlobalAveragePool", [value], (self.shapes[value][0], 1, 1))

    def crop(self, options, value):
        channels, height, width = self.shapes[value]
        rows, columns = self.number(options, "crop_height", 1), self.number(options, "crop_width", 1)
        top, left = (height - rows) // 2, (width - columns) // 2
        out = self.slice(value, [0, top, left], [channels, top + rows, left + columns], [1, 1, 1])
        if self.number(options, "noadjust", 0):
            return out
        two, one = (self.constant(f"layer{self.layer}_{name}", np.float32(number)) for name, number in (("two", 2), ("one", 1)))
        doubled = self.emit("Mul", [out, two], self.shapes[out])
        return self.emit("Sub", [doubled, one], self.shapes[out])

    def slice(self, value, begin, end, steps):
        names = [self.constant(f"layer{self.layer}_{what}{len(self.nodes)}", np.array(numbers, np.int64))
                 for what, numbers in (("begin", begin), ("end", end), ("axes", [1, 2, 3]), ("steps", steps))]
        shape = [-(-(last - first) // step) for first, last, step in zip(begin, end, steps)]
        return self.emit("Slice", [value, *names], shape)

    def shortcut(self, options, value):
        """shortcut_cpu of blas.c: of a larger or wider layer, the common channels of every so-manieth row and column."""
        index = int(options["from"])
        other = self.values[index if index >= 0 else self.layer + index]
        shape, target = self.shapes[other], self.shapes[value]
        if shape != target:
            stride, channels = shape[1] // target[1], min(shape[0], target[0])
            other = self.slice(other, [0, 0, 0], [channels, shape[1], shape[2]], [1, stride, stride])
            if channels < target[0]:
                pads = self.constant(f"layer{self.layer}_pads", np.array([0, 0, 0, 0, 0, target[0] - channels, 0, 0], np.int64))
                other = self.emit("Pad", [other, pads], target)
        return self.activated(self.emit("Add", [value, other], target), options, "linear")

    def route(self, options, _):
        found = [int(index) for index in options["layers"].split(",")]
        parts = [self.values[index if index >= 0 else self.layer + index] for index in found]
        if len(parts) == 1:
            return parts[0]
        channels = sum(self.shapes[part][0] for part in parts)
        return self.emit("Concat", parts, (channels, *self.shapes[parts[0]][1:]), axis=1)

    def upsample(self, options, value):
        stride = self.number(options, "stride", 2)
        channels, height, width = self.shapes[value]
        scales = self.constant(f"layer{self.layer}_scales", np.array([1, 1, stride, stride], np.float32))
        return self.emit("Resize", [value, "", scales], (channels, height * stride, width * stride), mode="nearest",
                         coordinate_transformation_mode="asymmetric", nearest_mode="floor")

    def dropout(self, _, value):
        return value

    def softmax(self, _, value):
        return self.emit("Softmax", [value], self.shapes[value], axis=1)

    def yolo(self, _, value):
        self.tensor(self.outputs, value, self.shapes[value])
        return value

    def convert(self):
        sizes = [self.number(self.net, key, 0) for key in ("channels", "height", "width")]
        value = self.tensor(self.inputs, "x", sizes if sizes[1] else [self.number(self.net, "inputs", 0)])
        for self.layer, (kind, options) in enumerate(self.layers):
            method = getattr(self, kind, None)
            if kind not in ("convolutional", "connected", "rnn", "maxpool", "avgpool", "crop", "shortcut", "route", "upsample",
                            "dropout", "softmax", "yolo") or method is None:
                sys.exit(f"layer {self.layer}: [{kind}] is not converted")
            value = method(options, value)
            self.values.append(value)
        if self.layers[-1][0] != "yolo":
            self.tensor(self.outputs, value, self.shapes[value])
        if self.weights.at != self.weights.values.size:
            sys.exit(f"{self.weights.values.size - self.weights.at} weights are left over")
        graph = helper.make_graph(self.nodes, "darknet", self.inputs, self.outputs, self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION,
                                 producer_name="coracle bench/characterize")


def convert(cfg, weights, path):
    """Writes the model; it appears complete or not at all."""
    part = pathlib.Path(path).with_suffix(".part")
    onnx.save(Converter(cfg, weights).convert(), str(part))
    part.replace(path)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    convert(*sys.argv[1:])
