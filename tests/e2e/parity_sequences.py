"""Recurrent layers and attention answer as ONNX Runtime does, and with the same bits under every budget."""

import itertools

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import harness

OPSET = 13
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}


class Model:
    """A graph under construction. Weights come from one seed, so that a model is the same on every run."""

    def __init__(self):
        self.random = np.random.default_rng(7)
        self.nodes, self.constants, self.inputs, self.outputs = [], [], [], []

    def input(self, name, shape):
        self.inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        return name

    def constant(self, array):
        name = f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def weights(self, *shape):
        return self.constant(self.random.normal(0, 0.7 / np.sqrt(shape[-1]), shape).astype(np.float32))

    def node(self, kind, inputs, outputs=None, **attributes):
        names = outputs or [f"{kind}{len(self.nodes)}"]
        self.nodes.append(helper.make_node(kind, inputs, names, **attributes))
        return names[0]

    def output(self, *names):
        self.outputs += [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names]

    def save(self, path, opset=OPSET):
        graph = helper.make_graph(self.nodes, "sequences", self.inputs, self.outputs, self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
        model.ir_version = 7
        onnx.save(model, path)
        return path


def recurrent(kind, steps, batch, inputs, hidden, direction="forward", bias=True, states=None, clip=None, **attributes):
    """One layer with all its outputs. `states`: None, "constant" or "input"."""
    model = Model()
    directions = 2 if direction == "bidirectional" else 1
    sums = GATES[kind] * hidden
    operands = [model.input("x", [steps, batch, inputs]), model.weights(directions, sums, inputs),
                model.weights(directions, sums, hidden), model.weights(directions, 2 * sums) if bias else "", ""]
    names = ["h0", "c0"] if kind == "LSTM" else ["h0"]
    for name in names if states else []:
        shape = [directions, batch, hidden]
        one = model.random.uniform(-1, 1, [directions, 1, hidden]).astype(np.float32)
        operands.append(model.input(name, shape) if states == "input" else model.constant(np.broadcast_to(one, shape)))
    if clip:
        attributes["clip"] = clip
    outputs = ["y", "y_h", "y_c"] if kind == "LSTM" else ["y", "y_h"]
    model.node(kind, operands, outputs, hidden_size=hidden, direction=direction, **attributes)
    model.output(*outputs)
    return model


def dense(model, x, inputs, outputs):
    weight = model.random.normal(0, 1 / np.sqrt(inputs), (inputs, outputs)).astype(np.float32)
    product = model.node("MatMul", [x, model.constant(weight)])
    return model.node("Add", [product, model.weights(outputs)])


def transformer_block(batch, tokens, heads, channels, mask=None):
    """Self-attention and a feed-forward layer as PyTorch writes them. `mask`: None, "constant" (causal) or "input"."""
    model = Model()
    width = channels // heads
    x = model.input("x", [batch, tokens, channels])

    def split_heads(y, perm):
        y = model.node("Reshape", [y, model.constant(np.array([batch, tokens, heads, width], np.int64))])
        return model.node("Transpose", [y], perm=perm)

    q = split_heads(dense(model, x, channels, channels), [0, 2, 1, 3])
    k = split_heads(dense(model, x, channels, channels), [0, 2, 3, 1])
    v = split_heads(dense(model, x, channels, channels), [0, 2, 1, 3])
    scores = model.node("MatMul", [q, k])
    scores = model.node("Div", [scores, model.constant(np.float32(np.sqrt(width)))])
    if mask == "constant":
        causal = np.triu(np.full((1, 1, tokens, tokens), -10000, np.float32), 1)
        scores = model.node("Add", [scores, model.constant(causal)])
    elif mask == "input":
        scores = model.node("Add", [scores, model.input("mask", [batch, 1, 1, tokens])])
    y = model.node("MatMul", [model.node("Softmax", [scores], axis=-1), v])
    y = model.node("Transpose", [y], perm=[0, 2, 1, 3])
    y = model.node("Reshape", [y, model.constant(np.array([batch, tokens, channels], np.int64))])
    y = model.node("Add", [x, dense(model, y, channels, channels)])
    wide = model.node("Relu", [dense(model, y, channels, 4 * channels)])
    y = model.node("Add", [y, dense(model, wide, 4 * channels, channels)])
    model.nodes.append(helper.make_node("Identity", [y], ["y"]))
    model.output("y")
    return model


class Sequences(harness.CoracleTest):
    def check(self, model, what, opset=OPSET):
        path = model.save(self.folder / "model.onnx", opset)
        random = np.random.default_rng(3)
        inputs = {}
        for value in model.inputs:
            shape = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
            low = -4 if value.name == "mask" else -1
            inputs[value.name] = self.save(random.uniform(low, 1, shape), f"{value.name}.npy")
        sealed = self.seal(path)
        _, ours = self.run_sealed(sealed, inputs)
        theirs = harness.onnxruntime(path, inputs, self.folder / "ort")
        self.assertEqual(sorted(ours), sorted(theirs))
        for name, expected in theirs.items():
            self.assertEqual(ours[name].shape, expected.shape, name)
            self.assert_close(ours[name], expected, f"{what} {name} {expected.shape}", 2e-5)
        self.check_budgets(sealed, inputs, ours)

    def check_budgets(self, sealed, inputs, expected):
        """The same bits with the least memory, between, and with two threads."""
        least = self.plan(sealed)["least_budget_bytes"]
        for options in (["--memory", str(least)], ["--memory", str(least * 3 // 2)], ["--threads", "2"]):
            _, ours = self.run_sealed(sealed, inputs, *options)
            for name, array in expected.items():
                self.assertEqual(ours[name].tobytes(), array.tobytes(), f"{name} with {options}")

    def test_lstm(self):
        for direction, states in itertools.product(("forward", "reverse", "bidirectional"), (None, "constant", "input")):
            self.check(recurrent("LSTM", 9, 1, 20, 37, direction, states=states), f"LSTM {direction} {states}")

    def test_gru(self):
        for direction, after in itertools.product(("forward", "reverse", "bidirectional"), (0, 1)):
            model = recurrent("GRU", 9, 1, 20, 37, direction, states="input", linear_before_reset=after)
            self.check(model, f"GRU {direction} {after}")

    def test_rnn(self):
        for direction in ("forward", "reverse", "bidirectional"):
            self.check(recurrent("RNN", 9, 1, 20, 37, direction, states="constant"), f"RNN {direction}")

    def test_batches(self):
        for kind in GATES:
            self.check(recurrent(kind, 6, 5, 11, 18, "bidirectional", states="input"), f"{kind} of 5 sequences")

    def test_one_step_and_no_bias(self):
        for kind in GATES:
            self.check(recurrent(kind, 1, 1, 11, 18, bias=False), f"{kind} of 1 step")

    def test_clip(self):
        for kind in GATES:
            self.check(recurrent(kind, 6, 1, 11, 18, clip=0.3), f"{kind} with clipped gates")

    def test_long_sequence(self):
        self.check(recurrent("LSTM", 300, 1, 64, 128, "bidirectional"), "LSTM of 300 steps")

    def test_attention(self):
        for batch, mask in itertools.product((1, 2), (None, "constant", "input")):
            self.check(transformer_block(batch, 50, 4, 96, mask), f"attention, {batch} sequences, mask {mask}")

    def test_attention_of_many_tokens(self):
        self.check(transformer_block(1, 400, 6, 192), "attention over 400 tokens")


class Refusals(harness.CoracleTest):
    def refused(self, model, pattern, opset=OPSET):
        path = model.save(self.folder / "model.onnx", opset)
        done = self.coracle("seal", path, "-o", self.folder / "m.sealed", "--key", self.key)
        self.assertRegex(self.assert_one_line(done), pattern)

    def test_other_activations(self):
        self.refused(recurrent("LSTM", 3, 1, 4, 5, activations=["Sigmoid", "Relu", "Tanh"]), "default activations")

    def test_coupled_gates(self):
        self.refused(recurrent("LSTM", 3, 1, 4, 5, input_forget=1), "coupled input and forget")

    def test_peepholes(self):
        model = recurrent("LSTM", 3, 1, 4, 5)
        model.nodes[0].input.extend(["", "", model.weights(1, 15)])
        self.refused(model, "peepholes")

    def test_short_sequences(self):
        model = recurrent("GRU", 3, 2, 4, 5)
        model.nodes[0].input[4] = model.constant(np.array([3, 2], np.int32))
        self.refused(model, "shorter than its input")


if __name__ == "__main__":
    harness.main()
