#!/usr/bin/python3
"""What storing weights in fewer bits loses: uniform steps beside tables of levels, on the weights of ONNX models.

    bench/kernels/weight_codes.py MODEL.onnx...

For each matrix of at least 16,384 weights (outputs x inputs): the RMS of the error over the RMS of the weights. Tables hold the levels
that least-squares clustering (Lloyd) finds. The means over matrices, weighted by their size, are what docs/adr/0011 quotes.
Needs python3-numpy and python3-onnx.
"""

import sys

import numpy as np
import onnx
from onnx import numpy_helper

LEAST_WEIGHTS = 16384
GROUP = 32


def matrices(path):
    """Weights of convolutions and fully connected layers, an output's beside each other."""
    model = onnx.load(path).graph
    arrays = {tensor.name: tensor for tensor in model.initializer}
    for node in model.node:
        if node.op_type not in ("Conv", "Gemm", "MatMul") or len(node.input) < 2 or node.input[1] not in arrays:
            continue
        weight = numpy_helper.to_array(arrays[node.input[1]])
        if weight.dtype != np.float32 or weight.ndim < 2 or weight.size < LEAST_WEIGHTS:
            continue
        transposed = node.op_type == "MatMul" or (
            node.op_type == "Gemm" and not any(a.name == "transB" and a.i for a in node.attribute))
        rows = weight.T if transposed else weight.reshape(weight.shape[0], -1)
        if rows.shape[1] >= 2 * GROUP:
            yield node.name, rows[:, :rows.shape[1] // GROUP * GROUP].astype(np.float64)


def error_of(weights, restored):
    return float(np.sqrt(np.mean((weights - restored) ** 2) / np.mean(weights**2)))


def uniform(rows, low, high, shares):
    """Each row at the scale, of some shares of the one that its largest weight needs, that loses least."""
    largest = np.abs(rows).max(axis=1, keepdims=True)
    best = np.zeros_like(rows)
    least = np.full((rows.shape[0], 1), np.inf)
    for share in shares:
        for sign in ((1, -1) if -low > high else (1,)):
            scale = np.where(largest > 0, sign * share * largest / max(high, 1), 1)
            restored = np.clip(np.rint(rows / scale), low, high) * scale
            error = ((rows - restored) ** 2).sum(axis=1, keepdims=True)
            better = error < least
            best, least = np.where(better, restored, best), np.where(better, error, least)
    return best


def table(rows, levels, rounds=25):
    """Each row with levels of its own."""
    restored = np.empty_like(rows)
    for i, row in enumerate(rows):
        centres = np.linspace(row.min(), row.max(), levels)
        for _ in range(rounds):
            nearest = np.searchsorted((centres[1:] + centres[:-1]) / 2, row)
            sums, counts = np.bincount(nearest, row, levels), np.bincount(nearest, minlength=levels)
            centres = np.sort(np.where(counts > 0, sums / np.maximum(counts, 1), centres))
        restored[i] = centres[np.searchsorted((centres[1:] + centres[:-1]) / 2, row)]
    return restored


def codes(rows):
    """{name: (bits a weight, restored weights)}."""
    inputs = rows.shape[1]
    groups = rows.reshape(-1, GROUP)
    shares8 = (1, 0.94, 0.88, 0.82, 0.76, 0.7)
    shares4 = np.linspace(0.85, 1.5, 14)
    return {
        "int8, scale a channel": (8 + 16 / inputs, uniform(rows, -127, 127, shares8)),
        "6 bits, scale a channel": (6 + 16 / inputs, uniform(rows, -32, 31, shares8)),
        "6 bits, table a channel": (6 + 64 * 16 / inputs, table(rows, 64)),
        "6 bits, scale for 32": (6 + 16 / GROUP, uniform(groups, -32, 31, shares8).reshape(rows.shape)),
        "4 bits, scale a channel": (4 + 16 / inputs, uniform(rows, -8, 7, shares4)),
        "4 bits, table a channel": (4 + 16 * 16 / inputs, table(rows, 16)),
        "int4, scale for 32": (4 + 16 / GROUP, uniform(groups, -8, 7, shares4).reshape(rows.shape)),
    }


def main(paths):
    if not paths:
        sys.exit(__doc__)
    for path in paths:
        sums, sizes = {}, 0
        for _, rows in matrices(path):
            sizes += rows.size
            for name, (bits, restored) in codes(rows).items():
                total = sums.setdefault(name, [0.0, 0.0])
                total[0] += bits * rows.size
                total[1] += error_of(rows, restored) ** 2 * rows.size
        print(f"{path}: {sizes} weights")
        for name, (bits, squares) in sums.items():
            print(f"  {name:26} {bits / sizes:5.2f} bits  error {np.sqrt(squares / sizes):.4f}")


if __name__ == "__main__":
    main(sys.argv[1:])
