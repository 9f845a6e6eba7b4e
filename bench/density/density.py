#!/usr/bin/python3
"""Many predictions at once in one EPC of 93 MiB: darknet, onnxruntime and Coracle, as JSON and as a table.

    bench/density/density.py OUTDIR [--quick] [--clients 1,2,4,8,16] [--only darknet,coracle] [--build build/release]

So many clients ask for ResNet-50, each again as soon as it is answered. They are served by
  darknet         a process each (unmodified libdarknet, its resnet50.cfg), which share the EPC: `epcrun --share`
  onnxruntime     a process each (unmodified, ResNet-50 v1.5 as ONNX), the same
  processes       a Coracle process each, which share the EPC, each with a budget of its part
  coracle         one Coracle that schedules all (the same ONNX)
  coracle-models  the same, with a model of its own for each client (copies of the sealed file): no convoys
  coracle-cfg     the same as coracle, with darknet's resnet50.cfg (256x256), to stand beside darknet
All are measured in turns; a client's rate is its answers by the time of its last one. "Loads" are pages of secure memory that were opened
while it was measured, from epcrun's marks. The table also has the processor time of a prediction, which other work on the machine
changes less. A number of clients is kept in OUTDIR/density.json when all its rounds are done: a run that was
interrupted goes on where it stopped. The table (density.md) is written again each time. Models are made where they are missing.
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys

import engines

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench/networks"))
import networks  # noqa: E402  # pylint: disable=wrong-import-position

CFG = pathlib.Path("/usr/share/darknet/cfg/resnet50.cfg")
MADE = networks.MODELS / "density"
ENGINES = ("darknet", "onnxruntime", "processes", "coracle", "coracle-models", "coracle-cfg")
MIB = 1 << 20
# What a Coracle process keeps beside its scheduler's budget: heap, stacks, writable data of its libraries. 1.8 MiB with one client, 3.4 with
# eight; each further model has a runner of its own that idles, beside whose lease malloc's arenas hold up to half a MiB.
ALONE_BYTES, SCHEDULED_BYTES, MODEL_BYTES = 3 * MIB, 5 * MIB, MIB // 2
# Rounds and the least seconds of each.
FULL, QUICK = (3, 8), (1, 3)


def run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stderr}")


class Workshop:
    """Makes what the engines need, once."""

    def __init__(self, arguments):
        self.build = ROOT / arguments.build
        self.outdir = arguments.outdir
        self.epcrun = pathlib.Path(arguments.epcrun) if arguments.epcrun else self.build / "bin/epcrun"
        self.cores = len(os.sched_getaffinity(0))
        MADE.mkdir(parents=True, exist_ok=True)
        self.key = MADE / "owner.key"
        if not self.key.exists():
            run(self.build / "bin/coracle", "keygen", "-o", self.key)

    def weights(self):
        path = networks.MODELS / "resnet50.weights"
        if not path.exists():
            run(self.build / "bin/bench/make_darknet_weights", "--cfg", CFG, "--seed", "1", "--output", path)
        return path

    def sealed(self, name, *model):
        path = MADE / f"{name}.sealed"
        if not path.exists():
            run(self.build / "bin/coracle", "seal", *model, "-o", path, "--key", self.key)
        return path

    def from_onnx(self):
        return self.sealed("resnet50", networks.model_path("resnet50"))

    def copies(self, count):
        paths = [MADE / f"copy{i}.sealed" for i in range(count)]
        for path in paths:
            if not path.exists():
                shutil.copy(self.from_onnx(), path)
        return paths

    def start(self, name, index, share, command):
        epc = ("--share", f"density-{name}-{os.getpid()}") if share else ()
        return engines.Process(self.epcrun, epc, self.outdir / f"{name}-{index}.stats", command)

    def each(self, name, clients, command):
        return [self.start(name, i, clients > 1, command) for i in range(clients)]

    def host(self, memory_bytes, cores, sealed):
        models = [word for path in sealed for word in ("--model", path)]
        return [self.build / "bin/bench/density_host", *models, "--key", self.key, "--memory", memory_bytes, "--cores", cores]

    def engine(self, name, clients):
        bench, threads = self.build / "bin/bench", max(1, self.cores // clients)
        if name == "darknet":
            command = [bench / "darknet_host", "--cfg", CFG, "--weights", self.weights(), "--threads", threads, "--serve"]
            return engines.OneEach(name, self.each(name, clients, command))
        if name == "onnxruntime":
            library = networks.ASSETS / "ort/libonnxruntime.so.1"
            if not library.exists():
                run(ROOT / "tools/fetch_assets", "--dir", networks.ASSETS)
            command = [bench / "ort_host", "--library", library, "--model", networks.model_path("resnet50"), "--threads", threads, "--serve"]
            return engines.OneEach(name, self.each(name, clients, command))
        if name == "processes":
            command = self.host(engines.EPC_BYTES // clients - ALONE_BYTES, threads, [self.from_onnx()])
            return engines.Scheduled(name, self.each(name, clients, command), clients)
        sealed = {"coracle": lambda: [self.from_onnx()], "coracle-models": lambda: self.copies(clients),
                  "coracle-cfg": lambda: [self.sealed("resnet50-cfg", CFG, "--weights-file", self.weights())]}[name]()
        beside = SCHEDULED_BYTES + (len(sealed) - 1) * MODEL_BYTES
        command = self.host(engines.EPC_BYTES - beside, self.cores, sealed)
        return engines.Scheduled(name, [self.start(name, 0, False, command)], clients)


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def measured_loads(statistics):
    """Pages that were loaded between the marks of each load but the first, which warms up; None for programs without marks."""
    marks = {mark["label"]: mark["loads"] for mark in statistics["marks"]}
    if not marks:
        return None
    return sum(marks[label + 1] - marks[label] for label in marks if label % 2 == 0 and label > 0)


def summary(engine, rounds, cpu_seconds, statistics):
    latencies = [latency for clients in rounds for client in clients for latency in client[0]]
    rates = [sum(len(client[0]) / client[1] for client in clients) for clients in rounds]
    loads = [measured_loads(each) for each in statistics]
    result = {"predictions": len(latencies), "per_second": sorted(rates)[len(rates) // 2], "per_second_rounds": rates,
              "cpu_ms": 1000 * cpu_seconds / len(latencies), "p50_ms": percentile(latencies, 0.5), "p99_ms": percentile(latencies, 0.99),
              "loads_in_all": sum(each["loads"] for each in statistics), "loads_measured": None if None in loads else sum(loads),
              "resident_peak_bytes": sum(each["resident_peak_bytes"] for each in statistics),
              "wanted_peak_bytes": sum(each["peak_wanted_bytes"] for each in statistics), "command": engine.processes[0].command}
    if isinstance(engine, engines.Scheduled):
        result["convoys"] = sum(answer["convoys"] for answer in engine.answers)
        result["leased_peak_bytes"] = max(answer["leased_peak_bytes"] for answer in engine.answers)
    result["command"] = " ".join(result["command"]).replace(f"{ROOT}/", "")
    return result


def measure(workshop, names, clients, rounds, seconds):
    """{engine: its summary}, all measured in turns."""
    started = []
    try:
        for name in names:
            print(f"{clients} clients: starting {name}", file=sys.stderr)
            started.append(workshop.engine(name, clients))
            started[-1].measure(0)  # warm: pools touched, weights that stay open opened
        measured, cpu = {engine.name: [] for engine in started}, {engine.name: 0 for engine in started}
        for turn in range(rounds):
            for engine in started:
                print(f"{clients} clients: round {turn + 1}, {engine.name}", file=sys.stderr)
                before = engine.cpu_seconds()
                measured[engine.name].append(engine.measure(seconds))
                cpu[engine.name] += engine.cpu_seconds() - before
        return {engine.name: summary(engine, measured[engine.name], cpu[engine.name], engine.stop()) for engine in started}
    finally:
        for engine in started:
            engine.kill()


def table(kept):
    """Predictions a second (p50 / p99 and processor time of one in ms, loads), a row for each number of clients."""
    names = [name for name in ENGINES if any(name in row for row in kept.values())]
    lines = [f"| clients | {' | '.join(names)} | coracle / onnxruntime | coracle-cfg / darknet |", "|---" * (len(names) + 3) + "|"]
    for clients, row in sorted(kept.items(), key=lambda item: int(item[0])):
        cells = []
        for name in names:
            run_of = row.get(name)
            if run_of is None:
                cells.append("")
                continue
            loads = "" if run_of["loads_measured"] is None else f", {run_of['loads_measured']} loads"
            cells.append(f"**{run_of['per_second']:.2f}** ({run_of['p50_ms']:.0f} / {run_of['p99_ms']:.0f} ms, cpu {run_of['cpu_ms']:.0f}{loads})")
        for ours, theirs in (("coracle", "onnxruntime"), ("coracle-cfg", "darknet")):
            known = ours in row and theirs in row
            cells.append(f"{row[ours]['per_second'] / row[theirs]['per_second']:.1f}" if known else "")
        lines.append(f"| {clients} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("outdir", type=pathlib.Path)
    parser.add_argument("--quick", action="store_true", help="one short round of 1 and 8 clients")
    parser.add_argument("--clients", default="")
    parser.add_argument("--only", default=",".join(ENGINES), help="engines, with commas")
    parser.add_argument("--json", action="store_true", help="print density.json rather than the table")
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--epcrun", default="", help="another epcrun than the build's")
    arguments = parser.parse_args()
    arguments.outdir.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # the engines are ended on the way out
    names = arguments.only.split(",")
    if unknown := set(names) - set(ENGINES):
        parser.error(f"no such engine: {', '.join(unknown)}")
    rounds, seconds = QUICK if arguments.quick else FULL
    workshop = Workshop(arguments)
    kept_path = arguments.outdir / "density.json"
    kept = json.loads(kept_path.read_text(encoding="utf-8")) if kept_path.exists() else {}
    for clients in (arguments.clients or ("1,8" if arguments.quick else "1,2,4,8,16")).split(","):
        if clients not in kept or not set(names) <= set(kept[clients]):
            kept.setdefault(clients, {}).update(measure(workshop, names, int(clients), rounds, seconds))
            networks.write(kept_path, json.dumps(kept, indent=1))
    networks.write(arguments.outdir / "density.md", table(kept))
    print(json.dumps(kept, indent=1) if arguments.json else table(kept), end="")


if __name__ == "__main__":
    main()
