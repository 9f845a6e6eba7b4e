#!/usr/bin/python3
"""How inference behaves in an enclave: darknet, onnxruntime and Coracle traced on the same networks, as JSON, tables, pages and a plot.

    bench/characterize/characterize.py OUTDIR [--quick] [--only rnn,vgg-16@64] [--engines darknet,onnxruntime,coracle]
                                       [--spans steady,whole] [--measure] [--advice] [--build build/release]

Unmodified darknet and unmodified onnxruntime run the network of darknet's own configuration file with the same weights
(darknet_onnx.py makes the ONNX model), Coracle seals it in fp32. Each run is `coracle characterize` with one of
  steady   the second of two predictions, as in a process that has served for a while
  whole    a process from its start to its end, with one prediction
--measure runs each under epcrun too; --advice lets `coracle characterize` name the buffers by the model's layers and try its advice.
NETWORK@SIDE is the network for inputs of SIDE x SIDE.

OUTDIR/runs has a run's JSON and what it said, OUTDIR/pages its report. What is there is not made again, so an interrupted study goes
on where it stopped. The tables (characterize.md) and the plot (characterize_curves.svg; needs python3-matplotlib) are written again after
each run. All of it takes some two hours of one core (as much with --spans steady --measure), --quick some 20 minutes. A trace that takes longer
than --minutes is cut short and marked as partial. Needs qemu-user, darknet, python3-numpy and python3-onnx.
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import runs
import tables
from engine import last_words  # its folder: runs
from runs import CASES, ENGINES, NETWORKS, QUICK_CASES, SPANS, networks

EPC_SIZES = ",".join(f"{size}MiB" for size in (4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512))
# After Ctrl-C the tracer still settles its findings and writes them.
SETTLE_SECONDS = 120


def shown(command, arguments):
    """As others can repeat it from the project's folder: without this machine's folders, with the default of each option."""
    places = [(arguments.outdir, "OUTDIR"), (arguments.weights_folder.resolve(), "build/models"),
              (networks.ROOT / arguments.build, "build/release"), (networks.ROOT, ".")]
    library = os.environ.get("CORACLE_ORT_LIBRARY")
    if library:
        places.append((library, "build/assets/ort/libonnxruntime.so.1"))
    words = [str(part) for part in command]
    for folder, name in places:
        # On its own or as NAME=FILE.
        words = [re.sub(rf"(^|=){re.escape(str(folder))}(?=/|$)", rf"\g<1>{name}", word) for word in words]
    return " ".join(words).replace(" ./", " ")


def output_of(command, log, minutes, environment):
    """(what it prints, its exit code). Past the time it is interrupted, as by Ctrl-C, and prints what it has."""
    with subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
                          env={**os.environ, **environment}, start_new_session=True) as process:
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.communicate(timeout=minutes * 60)[0], process.returncode
            os.kill(process.pid, signal.SIGINT)
            return process.communicate(timeout=SETTLE_SECONDS)[0], process.returncode
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def trace(case, engine, span, arguments):
    """One run as it is kept: its report, or why there is none."""
    stem = f"{case.name}.{engine}.{span}"
    entry = {"case": case.name, "engine": engine, "span": span}
    command = case.command(engine, span)
    environment = runs.ENVIRONMENT.get(engine, {})
    settings = "".join(f"{name}={value} " for name, value in environment.items())
    entry["command"] = settings + shown(command, arguments)
    at = command.index("characterize") + 1
    command[at:at] = ["--json", "--report", arguments.outdir / "pages" / f"{stem}.html"]
    log_path = arguments.outdir / "runs" / f"{stem}.log"
    begin = time.monotonic()
    with open(log_path, "w", encoding="utf-8") as log:
        text, code = output_of(command, log, arguments.minutes, environment)
    entry["seconds"] = round(time.monotonic() - begin, 1)
    try:
        report = json.loads(text)
    except json.JSONDecodeError:
        report = None
    if report is None or (code != 0 and report.get("complete", True)):
        entry["failed"] = last_words(log_path.read_text(encoding="utf-8", errors="replace").splitlines(), code)
    else:
        entry["report"] = report
    return entry


def read_kept(outdir):
    """What earlier runs left. What failed is not read, and so tried again."""
    kept = {}
    for path in sorted((outdir / "runs").glob("*.json")):
        entry = json.loads(path.read_text(encoding="utf-8"))
        if "report" in entry:
            kept[path.stem] = entry
    return kept


def wanted(arguments):
    """[(case, engine, span)]: steady predictions of all before whole processes."""
    names = arguments.only or (QUICK_CASES if arguments.quick else CASES)
    return [(name, engine, span) for span in arguments.spans for name in names
            for engine in arguments.engines or ENGINES]


def write_results(kept, outdir):
    networks.write(outdir / "characterize.md", tables.all_tables(kept))
    tables.plot(kept, outdir / "characterize_curves.svg")


def study(arguments):
    kept = read_kept(arguments.outdir)
    missing = [run for run in wanted(arguments) if ".".join(run) not in kept]
    for number, (name, engine, span) in enumerate(missing, 1):
        entry = trace(runs.Case(name, arguments), engine, span, arguments)
        stem = f"{name}.{engine}.{span}"
        kept[stem] = entry
        networks.write(arguments.outdir / "runs" / f"{stem}.json", json.dumps(entry))
        write_results(kept, arguments.outdir)
        what = entry.get("failed") or f"{entry['report']['accesses']['count'] / 1e6:,.0f} million accesses"
        print(f"[{number}/{len(missing)}] {name}, {engine}, {span}: {what} ({entry['seconds']:.0f} s)", file=sys.stderr, flush=True)
    write_results(kept, arguments.outdir)
    print((arguments.outdir / "characterize.md").read_text(encoding="utf-8"), end="")


def list_of(text, known, what, parser):
    items = text.split(",")
    for item in items:
        if item.partition("@")[0] not in known or item.partition("@")[1] and not item.partition("@")[2].isdigit():
            parser.error(f"{what} {item}: it is one of {', '.join(known)}")
    return items


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("outdir", type=pathlib.Path)
    parser.add_argument("--quick", action="store_true", help="smaller inputs")
    parser.add_argument("--only", help="networks, NETWORK or NETWORK@SIDE, separated by commas")
    parser.add_argument("--engines", help="separated by commas")
    parser.add_argument("--spans", default=",".join(SPANS))
    parser.add_argument("--epc", default=EPC_SIZES, help="sizes to predict page loads for")
    parser.add_argument("--memory", default="8MiB", help="what Coracle plans for")
    parser.add_argument("--measure", action="store_true", help="run everything under epcrun too")
    parser.add_argument("--advice", action="store_true", help="name buffers by the model's layers, and try the advice")
    parser.add_argument("--minutes", type=float, default=60, help="longer traces are cut short")
    parser.add_argument("--weights-folder", type=pathlib.Path, default=networks.MODELS, help="of NAME.weights")
    parser.add_argument("--build", default="build/release")
    arguments = parser.parse_args()
    arguments.only = arguments.only and list_of(arguments.only, NETWORKS, "--only", parser)
    arguments.engines = arguments.engines and list_of(arguments.engines, ENGINES, "--engines", parser)
    arguments.spans = list_of(arguments.spans, SPANS, "--spans", parser)
    arguments.outdir = arguments.outdir.resolve()
    for folder in ("runs", "pages"):
        (arguments.outdir / folder).mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended; the next run goes on from here"))  # and what it started with it
    study(arguments)


if __name__ == "__main__":
    main()
