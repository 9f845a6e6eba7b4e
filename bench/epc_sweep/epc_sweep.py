#!/usr/bin/python3
"""Unmodified darknet, unmodified onnxruntime and Coracle within enclave page caches of many sizes: JSON, tables and a plot.

    bench/epc_sweep/epc_sweep.py OUTDIR [--quick] [--only darknet/darknet19,onnx/resnet50] [--sizes 8,93,unlimited]
                                 [--threads 1] [--build build/release]

Each engine runs under `epcrun --size S` and, in turn with it, in plain memory: ratios are those of neighbours in time. Coracle's --memory
is S less the working set that it prints itself for that budget. Figures are medians of 3 predictions or more where one takes under
20 s, else of one, after one or several that are not counted. Results are kept in OUTDIR/epc_sweep.json as they come: a run that was interrupted goes
on where it stopped. The tables (epc_sweep.md) and the plot (epc_sweep.svg; needs python3-matplotlib) are written again each time.

Models are made where they are missing, in build/models: tools/make_onnx_models.py, and make_darknet_weights for the configurations of
the package darknet. --weights-folder and --models name folders that have them already. All of it takes some hours, --quick under 3 minutes.
"""

import argparse
import json
import pathlib
import signal
import statistics
import sys
import tempfile
import time

from engine import Engine, EngineFailed, loads_by_prediction
import pages
from subjects import MIB, QUICK_NETWORKS, WORKING_SET_BYTES_MAX, Network, all_networks, networks, shown

SIZES = ("8", "16", "32", "64", "93", "128", "256", "unlimited")
QUICK_SIZES = ("8", "32", "unlimited")
ENGINES = ("reference", "fp32", "auto")
# Predictions of an engine at one size: at least three, more of them if they are quick, one if they are slow.
ROUNDS_MIN, ROUNDS_MAX, ROUNDS_SECONDS = 3, 15, 3
SLOW_SECONDS, QUICK_SLOW_SECONDS = 20, 5
# Before them, unmeasured: what an engine's start left in the EPC is pushed out.
WARM_UPS_MAX, WARM_UP_SECONDS = 4, 5


def warm_up(engine):
    """Milliseconds of the last of them."""
    end = time.monotonic() + WARM_UP_SECONDS
    for _ in range(WARM_UPS_MAX):
        last_ms = engine.predict()
        if time.monotonic() >= end:
            break
    return last_ms


def rounds_of(prediction_ms, quick):
    if prediction_ms >= (QUICK_SLOW_SECONDS if quick else SLOW_SECONDS) * 1000:
        return 1
    return max(ROUNDS_MIN, min(ROUNDS_MAX, int(ROUNDS_SECONDS * 1000 / prediction_ms)))


class PlainMemory:
    """Each engine in plain memory with all that it wants, for the time that one network takes. Started when first asked for."""

    def __init__(self, network):
        self.network = network
        self.engines = {}

    def predict(self, name):
        if name not in self.engines:
            folder = self.network.folder / f"plain-{name}"
            folder.mkdir()
            self.engines[name] = Engine(self.network.command(name), folder=folder)
            self.engines[name].predict()
        return self.engines[name].predict()

    def close(self):
        for engine in self.engines.values():
            engine.close()


def working_set(network, weights, memory):
    """What Coracle says that it touches beside its pool, in plain memory."""
    folder = network.folder / "probe"
    folder.mkdir(exist_ok=True)
    engine = Engine(network.coracle_command(weights, memory), folder=folder)
    try:
        engine.predict()
        touched = engine.ask("working_set")["working_set_bytes"]
    finally:
        engine.close()
    return touched


def coracle_memory(network, weights, size_bytes):
    """The budget that fills an EPC of this size: the size less the working set, which depends a little on the budget."""
    touched = working_set(network, weights, size_bytes - WORKING_SET_BYTES_MAX)
    while True:
        again = working_set(network, weights, size_bytes - touched)
        if again <= touched:
            return size_bytes - touched
        touched = again


def start(network, name, size_bytes, arguments):
    memory = "unlimited" if size_bytes is None or name == "reference" else coracle_memory(network, name, size_bytes)
    folder = network.folder / f"epc-{name}"
    folder.mkdir(exist_ok=True)
    engine = Engine(network.command(name, memory), arguments.epcrun, size_bytes, folder)
    return engine, memory


def measure_engine(network, name, size_bytes, plain, arguments):
    """One engine at one size: its times, and those of the plain ones that it is compared with, in the same rounds."""
    engine = None
    try:
        engine, memory = start(network, name, size_bytes, arguments)
        result = {"engine": name, "command": shown(engine.command), "memory_bytes": None if memory == "unlimited" else memory}
        result.update(take_turns(engine, name, plain, arguments))
        stats = engine.close()
    except EngineFailed as error:
        return {"engine": name, "failed": str(error)}
    finally:
        if engine is not None:
            engine.kill()
    result["loads"] = loads_by_prediction(stats)[-len(result["ms"]):]
    result["epcrun"] = {key: value for key, value in stats.items() if key not in ("marks", "threads", "program")}
    return result


def take_turns(engine, name, plain, arguments):
    beside = [name] if name in ("reference", "fp32") else [name, "fp32"]
    times = {other: [] for other in beside}
    rounds = rounds_of(warm_up(engine), arguments.quick)
    for _ in range(rounds):
        engine.predict()
        for other in beside:
            times[other].append(plain.predict(other))
    return {"warm_up_ms": engine.times_ms[:-rounds], "ms": engine.times_ms[-rounds:], "plain_ms": times}


def summarised(result):
    """Adds medians: milliseconds, and ratios of neighbours in time."""
    if "failed" in result:
        return result
    result["median_ms"] = statistics.median(result["ms"])
    result["slowdown"] = ratio(result, result["engine"])
    if result["engine"] != "reference":
        result["of_fp32_plain"] = ratio(result, "fp32")
    result["loads_median"] = statistics.median(result["loads"])
    result["loads_most"] = max(result["loads"])
    return result


def ratio(result, other):
    return statistics.median(ours / theirs for ours, theirs in zip(result["ms"], result["plain_ms"][other]))


class Progress:
    """A line for each measurement, with the time that is left at this pace."""

    def __init__(self, total):
        self.total, self.done, self.begin = total, 0, time.monotonic()

    def tell(self, text):
        self.done += 1
        left = (time.monotonic() - self.begin) / self.done * (self.total - self.done)
        print(f"[{self.done}/{self.total}, about {left / 60:.0f} min left] {text}", file=sys.stderr, flush=True)


def describe(entry, result):
    name = pages.engine_name(entry, result["engine"])
    if "failed" in result:
        return f"{name} failed: {result['failed']}"
    return f"{name} {result['median_ms']:.0f} ms ({result['slowdown']:.2f}x, {result['loads_median']:.0f} loads)"


def measure_network(name, sizes, kept, keep, progress, arguments):
    with tempfile.TemporaryDirectory(prefix="sweep-", dir=arguments.outdir) as folder:
        network = Network(name, arguments, pathlib.Path(folder))
        network.seal()
        plain = PlainMemory(network)
        try:
            for size in sizes:
                size_bytes = None if size == "unlimited" else int(size) * MIB
                results = [summarised(measure_engine(network, engine, size_bytes, plain, arguments)) for engine in ENGINES]
                entry = {"network": name, "size": size, "threads": int(arguments.threads), "reference": network.reference,
                         "engines": results}
                kept[f"{name} {size}"] = entry
                keep()
                progress.tell(f"{name} in {size}: {', '.join(describe(entry, result) for result in results)}")
        finally:
            plain.close()


def complete(entry):
    """What failed is tried again in the next run."""
    return entry is not None and not any("failed" in result for result in entry["engines"])


def measure(arguments):
    path = arguments.outdir / "epc_sweep.json"
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    missing = {name: [size for size in arguments.sizes if not complete(kept.get(f"{name} {size}"))] for name in arguments.only}
    progress = Progress(sum(len(sizes) for sizes in missing.values()))

    def keep():
        networks.write(path, json.dumps(kept, indent=1))
        pages.write_all(kept, arguments.outdir)

    for name, sizes in missing.items():
        if sizes:
            measure_network(name, sizes, kept, keep, progress, arguments)
    pages.write_all(kept, arguments.outdir)
    pages.plot(kept, arguments.outdir / "epc_sweep.svg")
    print((arguments.outdir / "epc_sweep.md").read_text(encoding="utf-8"), end="")


def list_of(text, known, what, parser):
    items = text.split(",")
    for item in items:
        if item not in known:
            parser.error(f"{what} {item}: it is one of {', '.join(known)}")
    return items


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("outdir", type=pathlib.Path)
    parser.add_argument("--quick", action="store_true", help="two small networks at three sizes, fewer predictions")
    parser.add_argument("--only", help="networks, separated by commas")
    parser.add_argument("--sizes", help="EPC sizes in MiB or unlimited, separated by commas")
    parser.add_argument("--threads", default="1")
    parser.add_argument("--epcrun", type=pathlib.Path, help="default: as built")
    parser.add_argument("--weights-folder", type=pathlib.Path, default=networks.MODELS, help="of NAME.weights")
    parser.add_argument("--models", type=pathlib.Path, default=networks.MODELS, help="of NAME.onnx")
    parser.add_argument("--build", default="build/release")
    arguments = parser.parse_args()
    arguments.only = list_of(arguments.only or ",".join(QUICK_NETWORKS if arguments.quick else all_networks()), all_networks(), "--only",
                             parser)
    arguments.sizes = list_of(arguments.sizes or ",".join(QUICK_SIZES if arguments.quick else SIZES), SIZES, "--sizes", parser)
    arguments.epcrun = arguments.epcrun or networks.ROOT / arguments.build / "bin/epcrun"
    if not arguments.epcrun.exists():
        parser.error(f"{arguments.epcrun} is not there: build first, or give --epcrun")
    arguments.outdir.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended; the next run goes on from here"))  # and engines with it
    measure(arguments)


if __name__ == "__main__":
    main()
