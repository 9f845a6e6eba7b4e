#!/usr/bin/python3
"""Whole networks, sealed and within a budget, beside unprotected onnxruntime: JSON, a table and a plot.

    bench/networks/networks.py OUTDIR [--quick] [--threads 1,2] [--only resnet50,vgg16] [--build build/release]

Each row is one interleaved run of `coracle bench`, whose command is kept with it. Results are kept in
OUTDIR/networks.json as they come: a run that was interrupted goes on where it stopped. Models are made by
tools/make_onnx_models.py and fetched by tools/fetch_assets; both are done where they are missing.
The table (networks.md) and the plot (networks.svg; needs python3-matplotlib) are written again each time.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODELS = ROOT / "build/models"
ASSETS = ROOT / "build/assets"

# Name: (model, options, budget, inputs together).
NETWORKS = {
    "ResNet-50 v1.5": ("resnet50", [], "8MiB", 1),
    "VGG-16": ("vgg16", [], "8MiB", 1),
    "MobileNetV2": ("mobilenetv2", [], "8MiB", 1),
    "YOLOv3 416": ("yolov3", [], "8MiB", 1),
    "DenseNet-121 (fr_expression)": ("face/fr_expression.onnx", [], "8MiB", 1),
    "ISNet 1024": ("isnet/isnet_medium_fp16.onnx", [], "32MiB", 1),
    "ResNet-50, 8 inputs": ("resnet50_batch", ["--shape", "input=1x3x224x224"], "16MiB", 8),
}


def model_path(model):
    """The file, made or fetched if it is not there."""
    if model.endswith(".onnx"):
        path = ASSETS / model
        if not path.exists():
            subprocess.run([ROOT / "tools/fetch_assets", "--dir", ASSETS], check=True)
        return path
    path = MODELS / f"{model}.onnx"
    if not path.exists():
        subprocess.run(["/usr/bin/python3", ROOT / "tools/make_onnx_models.py", MODELS, model], check=True)
    return path


def write(path, text):
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def run_json(command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(str(part) for part in command)}\n{done.stderr}")
    return json.loads(done.stdout)


def bench(build, model, options, memory, batch, threads, seconds, extra):
    command = [build / "bin/coracle", "bench", model_path(model), *options, "--weights", "fp32", "--memory", memory, "--against", "ort",
               "--threads", threads, "--batch", batch, "--seconds", seconds, *extra]
    report = run_json(command + ["--json"])
    report["command"] = " ".join(str(part).replace(str(ROOT) + "/", "") for part in command)
    return report


def single_pass_bytes(build, model, options, batch):
    plan = run_json([build / "bin/coracle", "plan", model_path(model), *options, "--weights", "fp32", "--batch", batch, "--json"])
    return plan["single_pass_budget_bytes"]


def measure(arguments):
    build = ROOT / arguments.build
    kept_path = arguments.outdir / "networks.json"
    kept = json.loads(kept_path.read_text(encoding="utf-8")) if kept_path.exists() else {}
    seconds = 2 if arguments.quick else 12
    for threads in arguments.threads.split(","):
        for name, (model, options, memory, batch) in NETWORKS.items():
            key = f"{name}, {threads}"
            if key in kept or (arguments.only and model not in arguments.only.split(",")):
                continue
            print(f"{name}, {threads} thread(s)", file=sys.stderr)
            opened = bench(build, model, options, memory, batch, threads, seconds, ["--pin", "none", "--beside-exact"])
            result = {"network": name, "threads": int(threads), "budget": memory, "opened": opened,
                      "single_pass_budget_bytes": single_pass_bytes(build, model, options, batch)}
            if batch == 1:
                result["pinned"] = bench(build, model, options, "unlimited", batch, threads, seconds, [])
            kept[key] = result
            write(kept_path, json.dumps(kept, indent=1))
    return kept


def engine(report, name):
    return next(run for run in report["runs"] if run["engine"] == name)


def ratio(report, name):
    return engine(report, name)["ratio_to_first"]


def over_limit(report, name):
    """The best round over the limit: both at the machine's best pace."""
    run = engine(report, name)
    return run["min_ms"] / run["limit_ms"]


def mebibytes(count):
    return f"{count / 2**20:.2f}".rstrip("0").rstrip(".") if count else "0"


def table(kept):
    lines = ["| network | threads | budget, MiB (single pass) | opened, MiB | ours / onnxruntime | `--exact` | weights pinned "
             "| time / limit: ours, exact | resident: ours, onnxruntime, MiB |",
             "|---|---|---|---|---|---|---|---|---|"]
    for result in kept.values():
        opened = result["opened"]
        ours = engine(opened, "coracle")
        pinned = f"{ratio(result['pinned'], 'coracle'):.2f}" if "pinned" in result else ""
        lines.append(
            f"| {result['network']} | {result['threads']} | {result['budget'].removesuffix('MiB')} "
            f"({mebibytes(result['single_pass_budget_bytes'])}) | {mebibytes(ours['decrypted_bytes'])} "
            f"| **{ratio(opened, 'coracle'):.2f}** | {ratio(opened, 'coracle exact'):.2f} | {pinned} "
            f"| {over_limit(opened, 'coracle'):.2f}, {over_limit(opened, 'coracle exact'):.2f} "
            f"| {mebibytes(ours['secure_rss_bytes'])}, {mebibytes(engine(opened, 'onnxruntime')['secure_rss_bytes'])} |")
    return "\n".join(lines) + "\n"


def pyplot_or_none():
    """matplotlib's, drawing without a screen; where it is not installed, says so."""
    try:
        import matplotlib
    except ImportError:
        print("python3-matplotlib is not there: no plot", file=sys.stderr)
        return None
    matplotlib.use("svg")
    from matplotlib import pyplot
    return pyplot


def plot(kept, path):
    pyplot = pyplot_or_none()
    if pyplot is None:
        return
    rows = [result for result in kept.values() if result["threads"] == 1]
    figure, axes = pyplot.subplots(figsize=(9, 0.62 * len(rows) + 1.2))
    height = 0.27
    series = (("opened at every prediction", "coracle", "opened", "#2b6cb0"),
              ("the same, --exact", "coracle exact", "opened", "#90b4d8"),
              ("weights pinned", "coracle", "pinned", "#2f855a"))
    for index, (label, name, report, colour) in enumerate(series):
        places = [place + (index - 1) * height for place, row in enumerate(rows) if report in row]
        values = [ratio(row[report], name) for row in rows if report in row]
        bars = axes.barh(places, values, height * 0.92, label=label, color=colour)
        axes.bar_label(bars, fmt="%.2f", padding=3, fontsize=8)
    axes.axvline(1, color="#555", linewidth=1)
    axes.set_yticks(range(len(rows)), [f"{row['network']} in {row['budget'].replace('MiB', ' MiB')}" for row in rows])
    axes.invert_yaxis()
    axes.set_xlim(0, 1.35)
    axes.set_xlabel("time / unprotected onnxruntime's (one thread each, one interleaved run; lower is faster)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("outdir", type=pathlib.Path)
    parser.add_argument("--quick", action="store_true", help="2 seconds a run instead of 12")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--only", help="models, separated by commas")
    parser.add_argument("--build", default="build/release")
    arguments = parser.parse_args()
    arguments.outdir.mkdir(parents=True, exist_ok=True)
    kept = measure(arguments)
    write(arguments.outdir / "networks.md", table(kept))
    plot(kept, arguments.outdir / "networks.svg")
    print(table(kept), end="")


if __name__ == "__main__":
    main()
