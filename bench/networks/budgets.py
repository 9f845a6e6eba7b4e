#!/usr/bin/python3
"""Networks sealed as by default (--weights auto) at many budgets, beside the same network in fp32 with all weights open: JSON and tables.

    bench/networks/budgets.py OUTDIR [--quick] [--threads 1] [--only vgg16,darknet19] [--build build/release]

Each network is one interleaved run of `coracle bench`, whose command is kept with it. Results are kept in OUTDIR/budgets.json as they
come: a run that was interrupted goes on where it stopped. Models are made where they are missing (tools/make_onnx_models.py;
make_darknet_weights for the configurations of the package darknet). The tables (budgets.md) are written again each time.
"""

import argparse
import json
import pathlib
import subprocess
import sys

import networks

DARKNET = pathlib.Path("/usr/share/darknet/cfg")
BUDGETS = ("4MiB", "6MiB", "8MiB", "16MiB", "32MiB", "64MiB", "93MiB", "128MiB", "256MiB")
NETWORKS = ("vgg16", "alexnet", "resnet50", "darknet19", "darknet53", "yolov3-tiny")
# These are made as ONNX too, so that onnxruntime runs them beside.
FROM_ONNX = ("vgg16", "alexnet", "resnet50")


def model_arguments(name, build):
    if name in FROM_ONNX:
        return [networks.model_path(name)]
    weights = networks.MODELS / f"{name}.weights"
    if not weights.exists():
        networks.MODELS.mkdir(parents=True, exist_ok=True)
        subprocess.run([build / "bin/bench/make_darknet_weights", "--cfg", DARKNET / f"{name}.cfg", "--seed", "1", "--output", weights],
                       check=True)
    return [DARKNET / f"{name}.cfg", "--weights-file", weights]


def measure(arguments):
    build = networks.ROOT / arguments.build
    kept_path = arguments.outdir / "budgets.json"
    kept = json.loads(kept_path.read_text(encoding="utf-8")) if kept_path.exists() else {}
    for name in NETWORKS:
        if name in kept or (arguments.only and name not in arguments.only.split(",")):
            continue
        print(name, file=sys.stderr)
        against = "fp32,ort" if name in FROM_ONNX else "fp32"
        command = [build / "bin/coracle", "bench", *model_arguments(name, build), "--against", against, "--memory",
                   ",".join((*BUDGETS, "unlimited")), "--threads", arguments.threads, "--seconds", 5 if arguments.quick else 40]
        report = networks.run_json(command + ["--json"])
        report["command"] = " ".join(str(part).replace(str(networks.ROOT) + "/", "") for part in command)
        kept[name] = report
        networks.write(kept_path, json.dumps(kept, indent=1))
    return kept


def table(kept):
    names = ["network", *BUDGETS, "unlimited"]
    lines = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    for name, report in kept.items():
        ours = [run for run in report["runs"] if run["engine"] == "coracle"]
        unlimited = ours[-1]["ratio_to_first"]
        cells = [f"**{run['ratio_to_first']:.2f}** ({run['ratio_to_first'] / unlimited:.2f})" for run in ours]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("outdir", type=pathlib.Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--threads", default="1")
    parser.add_argument("--only", default="")
    parser.add_argument("--build", default="build/release")
    arguments = parser.parse_args()
    arguments.outdir.mkdir(parents=True, exist_ok=True)
    text = table(measure(arguments))
    networks.write(arguments.outdir / "budgets.md", text)
    print(text, end="")


if __name__ == "__main__":
    main()
