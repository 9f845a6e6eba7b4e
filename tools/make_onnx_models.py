#!/usr/bin/python3
"""Writes ONNX models of well-known shapes with seeded random weights.

    tools/make_onnx_models.py OUTDIR [NAME...]

NAME is one of resnet50, alexnet, vgg16, mobilenetv2, yolov3, tiny_cnn; all of them if none is given. NAME_batch is the same
network with an open batch dimension; in NAME_subnormal every second weight of the convolutions is subnormal. The same
name gives the same bytes on every run on a machine: each model has its own seed. The tests' own copy of the smallest
is made by

    tools/make_onnx_models.py tests/data tiny_cnn

Weights are He-initialised. Every node is also computed, in numpy, on a few synthetic images, and batch-norm
statistics and biases are drawn around what comes out (as in Mishkin and Matas, All You Need Is a Good Init, ICLR 2016).
So activations keep a standard deviation near 1 through all layers, and logits depend on the input.
Needs python3-numpy and python3-onnx.
"""

import collections
import math
import os
import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 13
IR_VERSION = 7
# The sum of a residual block grows by its branch: 16 branches of this scale keep it below 2.
RESIDUAL_BRANCH_SCALE = 0.4
LOGIT_STD = 2.0
# Of each of four scales of detail: with it a smooth image varies as much as a normalised photograph.
SMOOTH_AMPLITUDE = 1.5
# The synthetic images are at most this large: the statistics hold at any size, and computing them takes time.
SYNTHETIC_SIZE_MAX = 112
# For networks that halve a map five times and double it again.
SYNTHETIC_SIZE_OF_32 = 96

# A tensor of the graph: its name, and what it holds for the synthetic images, N,C,H,W or N,C.
Value = collections.namedtuple("Value", "name data")


def synthetic_images(shape, random, size_max):
    """Four images of mean 0, from white noise to smooth: nets fitted on one kind answer others too loudly."""
    channels = shape[1]
    height, width = (min(size, size_max) for size in shape[2:])
    images = []
    for noise in (1.0, 0.6, 0.3, 0.1):
        image = noise * random.uniform(-1, 1, (channels, height, width))
        for cells in (2, 5, 12, 30):
            grid = random.uniform(-1, 1, (channels, cells + 1, cells + 1))
            image += SMOOTH_AMPLITUDE * (1 - noise) * interpolate(grid, height, width)
        images.append(image)
    return np.stack(images).astype(np.float32)


def interpolate(grid, height, width):
    """`grid` (C, rows, columns) resized to `height` x `width`, linearly."""
    rows = np.linspace(0, grid.shape[1] - 1.001, height)
    columns = np.linspace(0, grid.shape[2] - 1.001, width)
    top, left = rows.astype(int), columns.astype(int)
    below, right = (rows - top)[:, None], columns - left
    upper = grid[:, top][:, :, left] * (1 - right) + grid[:, top][:, :, left + 1] * right
    lower = grid[:, top + 1][:, :, left] * (1 - right) + grid[:, top + 1][:, :, left + 1] * right
    return upper * (1 - below) + lower * below


def windows(data, kernel, stride, pad, fill):
    """For each tap of the kernel: (row, column, the N,C,H,W array that the tap reads)."""
    padded = np.pad(data, ((0, 0), (0, 0), (pad, pad), (pad, pad)), constant_values=fill)
    height = (padded.shape[2] - kernel) // stride + 1
    width = (padded.shape[3] - kernel) // stride + 1
    for row in range(kernel):
        for column in range(kernel):
            yield row, column, padded[:, :, row : row + stride * height : stride,
                                      column : column + stride * width : stride][:, :, :height, :width]


def convolve(data, weights, stride, groups):
    """Sums of a convolution: dense, or depthwise where groups is the number of channels."""
    kernel = weights.shape[2]
    sums = 0
    for row, column, taps in windows(data, kernel, stride, kernel // 2, 0):
        if groups == 1:
            batch, channels, height, width = taps.shape
            product = np.ascontiguousarray(weights[:, :, row, column]) @ taps.reshape(batch, channels, height * width)
            sums = sums + product.reshape(batch, -1, height, width)
        else:
            sums = sums + weights[:, 0, row, column].reshape(1, -1, 1, 1) * taps
    return sums


def by_channel(vector, data):
    """`vector` shaped to broadcast over the channels of `data`."""
    return np.asarray(vector, dtype=np.float32).reshape((1, -1) + (1,) * (data.ndim - 2))


class GraphBuilder:
    """Appends nodes to one graph; every method takes and returns Values."""

    def __init__(self, name, input_shape, seed, size_max=SYNTHETIC_SIZE_MAX):
        self.name = name
        self.random = np.random.default_rng(seed)
        self.nodes = []
        self.initializers = {}
        self.input_info = helper.make_tensor_value_info("input", TensorProto.FLOAT, input_shape)
        self.input = Value("input", synthetic_images(input_shape, self.random, size_max))

    def add(self, op_type, inputs, label, data, **attributes):
        """`inputs` are names; `data` is what the node computes."""
        output = f"{label}_out"
        self.nodes.append(helper.make_node(op_type, inputs, [output], name=label, **attributes))
        return Value(output, data)

    def constant(self, label, array):
        array = np.ascontiguousarray(array, dtype=np.float32)
        self.initializers[label] = numpy_helper.from_array(array, label)
        return label

    def normal(self, shape, deviation):
        return self.random.standard_normal(shape, dtype=np.float32) * np.float32(deviation)

    def moments(self, data):
        """Mean and deviation of each channel. No deviation is below the layer's own: a channel that hardly
        answers these images may answer another, and must not be blown up."""
        axes = (0,) + tuple(range(2, data.ndim))
        deviation = data.std(axis=axes)
        return data.mean(axis=axes), np.maximum(deviation, math.sqrt(np.mean(np.square(deviation))))

    def conv(self, value, label, filters, kernel, stride=1, groups=1, bias=False):
        """A convolution with 'same' padding for odd kernels. With a bias, results have deviation 1."""
        fan_in = value.data.shape[1] // groups * kernel * kernel
        weights = self.normal((filters, value.data.shape[1] // groups, kernel, kernel),
                              math.sqrt(2 / fan_in))
        sums = convolve(value.data, weights, stride, groups)
        inputs = [value.name, f"{label}.weight"]
        if bias:
            weights, sums = self.fit_bias(label, weights, sums, 1.0)
            inputs.append(f"{label}.bias")
        self.constant(f"{label}.weight", weights)
        pad = kernel // 2
        return self.add("Conv", inputs, label, sums, kernel_shape=[kernel, kernel],
                        strides=[stride, stride], pads=[pad] * 4, group=groups)

    def fit_bias(self, label, weights, sums, deviation):
        """Adds the constant `label`.bias; returns the weights and the results, scaled to `deviation`."""
        mean, sum_deviation = self.moments(sums)
        gain = deviation / sum_deviation
        bias = self.normal(len(mean), 0.3 * deviation) - mean * gain
        self.constant(f"{label}.bias", bias)
        weights = weights * gain.reshape((-1,) + (1,) * (weights.ndim - 1))
        return weights, sums * by_channel(gain, sums) + by_channel(bias, sums)

    def batch_norm(self, value, label, scale=1.0):
        """The result has a standard deviation near `scale`."""
        mean, deviation = self.moments(value.data)
        count = len(mean)
        mean = mean + self.normal(count, 0.2) * deviation
        variance = np.square(deviation) * self.random.uniform(0.7, 1.5, count).astype(np.float32)
        gamma = scale * self.random.uniform(0.7, 1.3, count).astype(np.float32)
        beta = self.normal(count, 0.2 * scale)
        inputs = [value.name]
        for suffix, array in (("gamma", gamma), ("beta", beta), ("mean", mean), ("var", variance)):
            inputs.append(self.constant(f"{label}.{suffix}", array))
        slope = gamma / np.sqrt(variance)
        data = (value.data - by_channel(mean, value.data)) * by_channel(slope, value.data)
        return self.add("BatchNormalization", inputs, label, data + by_channel(beta, data),
                        epsilon=1e-5)

    def relu(self, value, label):
        return self.add("Relu", [value.name], label, np.maximum(value.data, 0))

    def relu6(self, value, label):
        bounds = [self.constant("relu6.min", 0), self.constant("relu6.max", 6)]
        return self.add("Clip", [value.name] + bounds, label, np.clip(value.data, 0, 6))

    def leaky_relu(self, value, label):
        return self.add("LeakyRelu", [value.name], label, np.where(value.data > 0, value.data, 0.1 * value.data),
                        alpha=0.1)

    def upsample(self, value, label):
        """Twice as large, each pixel repeated."""
        scales = self.constant("upsample.scales", [1, 1, 2, 2])
        return self.add("Resize", [value.name, "", scales], label, value.data.repeat(2, axis=2).repeat(2, axis=3),
                        mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")

    def add_values(self, left, right, label):
        return self.add("Add", [left.name, right.name], label, left.data + right.data)

    def concat(self, values, label):
        data = np.concatenate([value.data for value in values], axis=1)
        return self.add("Concat", [value.name for value in values], label, data, axis=1)

    def max_pool(self, value, label, kernel, stride, pad):
        data = None
        for _, _, taps in windows(value.data, kernel, stride, pad, -np.inf):
            data = taps if data is None else np.maximum(data, taps)
        return self.add("MaxPool", [value.name], label, data, kernel_shape=[kernel, kernel],
                        strides=[stride, stride], pads=[pad] * 4)

    def dropout(self, value, label):
        """Inference leaves training_mode out, which makes it the identity."""
        return self.add("Dropout", [value.name], label, value.data)

    def flatten(self, value, size=1):
        """Flattens a map that is `size` x `size` at the full size of the input."""
        nearest = np.arange(size) * value.data.shape[2] // size
        data = value.data[:, :, nearest][:, :, :, nearest]
        return self.add("Flatten", [value.name], "flatten", data.reshape(len(data), -1), axis=1)

    def global_pool_flatten(self, value):
        pooled = value.data.mean(axis=(2, 3), keepdims=True)
        return self.flatten(self.add("GlobalAveragePool", [value.name], "avgpool", pooled))

    def gemm(self, value, label, filters, deviation=1.0):
        """Fully connected; results have standard deviation near `deviation`."""
        weights = self.normal((filters, value.data.shape[1]), math.sqrt(2 / value.data.shape[1]))
        weights, sums = self.fit_bias(label, weights, value.data @ weights.T, deviation)
        inputs = [value.name, self.constant(f"{label}.weight", weights), f"{label}.bias"]
        return self.add("Gemm", inputs, label, sums, transB=1)

    def logits(self, value, label, filters):
        return self.gemm(value, label, filters, LOGIT_STD)

    def softmax(self, value):
        shifted = np.exp(value.data - value.data.max(axis=1, keepdims=True))
        data = shifted / shifted.sum(axis=1, keepdims=True)
        return self.add("Softmax", [value.name], "softmax", data, axis=1)

    def model(self, result):
        """The graph whose one output, `output`, is `result`: the last value made."""
        self.nodes[-1].output[0] = "output"
        return self.finish({"output": [1] + list(result.data.shape[1:])})

    def finish(self, outputs):
        """The graph with these outputs: their shapes by name."""
        infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()]
        graph = helper.make_graph(self.nodes, self.name, [self.input_info], infos,
                                  list(self.initializers.values()))
        model = helper.make_model(graph, producer_name="make_onnx_models",
                                  opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version = IR_VERSION
        onnx.checker.check_model(model)
        return model


def bottleneck(graph, value, label, width, stride):
    """ResNet v1.5's block: the stride is in the 3x3 (He et al. 2015; v1.5 as in torchvision)."""
    out = graph.conv(value, f"{label}.conv1", width, 1)
    out = graph.relu(graph.batch_norm(out, f"{label}.bn1"), f"{label}.relu1")
    out = graph.conv(out, f"{label}.conv2", width, 3, stride)
    out = graph.relu(graph.batch_norm(out, f"{label}.bn2"), f"{label}.relu2")
    out = graph.conv(out, f"{label}.conv3", 4 * width, 1)
    out = graph.batch_norm(out, f"{label}.bn3", RESIDUAL_BRANCH_SCALE)
    if stride != 1 or value.data.shape[1] != 4 * width:
        value = graph.conv(value, f"{label}.downsample.conv", 4 * width, 1, stride)
        value = graph.batch_norm(value, f"{label}.downsample.bn")
    return graph.relu(graph.add_values(out, value, f"{label}.add"), f"{label}.relu3")


def make_resnet50():
    graph = GraphBuilder("resnet50", [1, 3, 224, 224], seed=50)
    value = graph.conv(graph.input, "conv1", 64, 7, 2)
    value = graph.relu(graph.batch_norm(value, "bn1"), "relu1")
    value = graph.max_pool(value, "maxpool", 3, 2, 1)
    for stage, (width, blocks) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3)), start=1):
        for block in range(blocks):
            stride = 2 if stage > 1 and block == 0 else 1
            value = bottleneck(graph, value, f"layer{stage}.{block}", width, stride)
    return graph.model(graph.logits(graph.global_pool_flatten(value), "fc", 1000))


def make_alexnet():
    """Krizhevsky 2014 (One weird trick), laid out as in torchvision, but for the first layer's padding: 5, not 2."""
    graph = GraphBuilder("alexnet", [1, 3, 224, 224], seed=12)
    value = graph.input
    for index, (filters, kernel, stride, pool) in enumerate(((64, 11, 4, True), (192, 5, 1, True), (384, 3, 1, False),
                                                             (256, 3, 1, False), (256, 3, 1, True))):
        label = f"features.{index}"
        value = graph.relu(graph.conv(value, label, filters, kernel, stride, bias=True), f"{label}.relu")
        if pool:
            value = graph.max_pool(value, f"{label}.pool", 3, 2, 0)
    value = graph.flatten(value, 6)
    for index in (1, 4):
        value = graph.dropout(value, f"classifier.{index}.dropout")
        value = graph.relu(graph.gemm(value, f"classifier.{index}", 4096), f"classifier.{index}.relu")
    return graph.model(graph.logits(value, "classifier.6", 1000))


def make_vgg16():
    """Simonyan and Zisserman 2014, configuration D, laid out as in torchvision."""
    graph = GraphBuilder("vgg16", [1, 3, 224, 224], seed=16)
    value = graph.input
    layout = (64, 64, "pool", 128, 128, "pool", 256, 256, 256, "pool", 512, 512, 512, "pool", 512, 512, 512,
              "pool")
    for index, step in enumerate(layout):
        label = f"features.{index}"
        if step == "pool":
            value = graph.max_pool(value, label, 2, 2, 0)
        else:
            value = graph.relu(graph.conv(value, label, step, 3, bias=True), f"{label}.relu")
    value = graph.flatten(value, 7)
    for index in (0, 3):
        value = graph.relu(graph.gemm(value, f"classifier.{index}", 4096), f"classifier.{index}.relu")
        value = graph.dropout(value, f"classifier.{index}.dropout")
    return graph.model(graph.logits(value, "classifier.6", 1000))


def inverted_residual(graph, value, label, filters, stride, expansion):
    """MobileNetV2's block (Sandler et al. 2018)."""
    out = value
    if expansion != 1:
        out = graph.conv(out, f"{label}.expand", value.data.shape[1] * expansion, 1)
        out = graph.relu6(graph.batch_norm(out, f"{label}.expand_bn"), f"{label}.expand_relu")
    width = out.data.shape[1]
    out = graph.conv(out, f"{label}.depthwise", width, 3, stride, groups=width)
    out = graph.relu6(graph.batch_norm(out, f"{label}.depthwise_bn"), f"{label}.depthwise_relu")
    out = graph.conv(out, f"{label}.project", filters, 1)
    is_residual = stride == 1 and value.data.shape[1] == filters
    out = graph.batch_norm(out, f"{label}.project_bn", RESIDUAL_BRANCH_SCALE if is_residual else 1.0)
    return graph.add_values(out, value, f"{label}.add") if is_residual else out


def make_mobilenetv2():
    graph = GraphBuilder("mobilenetv2", [1, 3, 224, 224], seed=2)
    value = graph.conv(graph.input, "stem", 32, 3, 2)
    value = graph.relu6(graph.batch_norm(value, "stem_bn"), "stem_relu")
    # Table 2 of the paper: expansion, channels, repeats, stride of the first.
    table = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
             (6, 320, 1, 1))
    for row, (expansion, filters, repeats, first_stride) in enumerate(table):
        for repeat in range(repeats):
            stride = first_stride if repeat == 0 else 1
            value = inverted_residual(graph, value, f"block{row}.{repeat}", filters, stride, expansion)
    value = graph.conv(value, "head", 1280, 1)
    value = graph.relu6(graph.batch_norm(value, "head_bn"), "head_relu")
    return graph.model(graph.logits(graph.global_pool_flatten(value), "classifier", 1000))


def darknet_conv(graph, value, label, filters, kernel, stride=1, scale=1.0):
    value = graph.batch_norm(graph.conv(value, label, filters, kernel, stride), f"{label}.bn", scale)
    return graph.leaky_relu(value, f"{label}.leaky")


def yolo_neck(graph, value, label, filters):
    """Five convolutions; the last one's result also goes to the next scale."""
    for index, (width, kernel) in enumerate(((filters, 1), (2 * filters, 3)) * 2 + ((filters, 1),)):
        value = darknet_conv(graph, value, f"{label}.{index}", width, kernel)
    return value


def make_yolov3():
    """Redmon and Farhadi 2018 at 416x416 for 80 classes: Darknet-53, three scales, raw heads."""
    graph = GraphBuilder("yolov3", [1, 3, 416, 416], seed=53, size_max=SYNTHETIC_SIZE_OF_32)
    value = darknet_conv(graph, graph.input, "stem", 32, 3)
    stages = []
    for stage, (filters, blocks) in enumerate(((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4)), start=1):
        value = darknet_conv(graph, value, f"stage{stage}", filters, 3, 2)
        for block in range(blocks):
            label = f"stage{stage}.{block}"
            branch = darknet_conv(graph, value, f"{label}.narrow", filters // 2, 1)
            branch = darknet_conv(graph, branch, f"{label}.wide", filters, 3, scale=RESIDUAL_BRANCH_SCALE)
            value = graph.add_values(value, branch, f"{label}.add")
        stages.append(value)
    outputs = {}
    for scale, (filters, size, trunk) in enumerate(((512, 13, None), (256, 26, stages[3]), (128, 52, stages[2]))):
        label = f"head{scale}"
        if trunk is not None:
            value = graph.upsample(darknet_conv(graph, value, f"{label}.route", filters, 1), f"{label}.up")
            value = graph.concat([value, trunk], f"{label}.concat")
        value = yolo_neck(graph, value, label, filters)
        wide = darknet_conv(graph, value, f"{label}.wide", 2 * filters, 3)
        graph.conv(wide, f"{label}.boxes", 255, 1, bias=True)
        outputs[f"{label}.boxes_out"] = [1, 255, size, size]
    return graph.finish(outputs)


def make_tiny_cnn():
    """About 35 KB: one of each kind of layer that tests ask for."""
    graph = GraphBuilder("tiny_cnn", [1, 3, 32, 32], seed=7)
    value = graph.conv(graph.input, "stem", 8, 3, 2)
    value = graph.relu(graph.batch_norm(value, "stem_bn"), "stem_relu")
    value = graph.conv(value, "depthwise", 8, 3, groups=8, bias=True)
    value = graph.relu(value, "depthwise_relu")
    trunk = graph.conv(value, "pointwise", 16, 1, bias=True)
    branch = graph.relu(graph.conv(trunk, "branch_a", 16, 3, bias=True), "branch_a_relu")
    branch = graph.conv(branch, "branch_b", 16, 3, bias=True)
    trunk = graph.relu(graph.add_values(trunk, branch, "residual"), "residual_relu")
    pooled = graph.max_pool(trunk, "maxpool", 2, 2, 0)
    left = graph.relu(graph.conv(pooled, "left", 16, 1, bias=True), "left_relu")
    right = graph.relu(graph.conv(pooled, "right", 16, 3, bias=True), "right_relu")
    value = graph.concat([left, right], "concat")
    logits = graph.logits(graph.global_pool_flatten(value), "fc", 10)
    return graph.model(graph.softmax(logits))


MAKERS = {
    "resnet50": make_resnet50,
    "alexnet": make_alexnet,
    "vgg16": make_vgg16,
    "mobilenetv2": make_mobilenetv2,
    "yolov3": make_yolov3,
    "tiny_cnn": make_tiny_cnn,
}


def with_open_batch(model):
    """The model for any number of inputs at a time."""
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    return model


def with_subnormal_weights(model):
    """Every second weight of the convolutions is 1e-40: arithmetic that does not flush it to zero crawls."""
    for initializer in model.graph.initializer:
        weights = numpy_helper.to_array(initializer).copy()
        if weights.ndim == 4:
            weights.reshape(-1)[::2] = 1e-40
            initializer.CopyFrom(numpy_helper.from_array(weights, initializer.name))
    return model


VARIANTS = {"_batch": with_open_batch, "_subnormal": with_subnormal_weights}


def split_name(name):
    """The network, and the suffix of a variant or nothing."""
    suffix = next((suffix for suffix in VARIANTS if name.endswith(suffix)), "")
    return name.removesuffix(suffix), suffix


def make_model(name):
    base, suffix = split_name(name)
    return VARIANTS[suffix](MAKERS[base]()) if suffix else MAKERS[base]()


def write_model(model, path):
    """Writes a temporary file beside `path`, then renames it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_bytes(model.SerializeToString(deterministic=True))
    os.replace(temporary, path)
    print(f"{path}: {path.stat().st_size} bytes", file=sys.stderr)


def main(arguments):
    if not arguments or arguments[0].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 0 if arguments and arguments[0] in ("-h", "--help") else 2
    names = arguments[1:] or list(MAKERS)
    for name in names:
        if split_name(name)[0] not in MAKERS:
            print(f"unknown model '{name}'; known: {', '.join(MAKERS)}", file=sys.stderr)
            return 2
    for name in names:
        write_model(make_model(name), pathlib.Path(arguments[0]) / f"{name}.onnx")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
