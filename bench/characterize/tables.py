"""The study's runs as Markdown tables and as a plot. A cell is empty where a report does not have it."""

import figures
from figures import MIB
from runs import CASES, ENGINES, QUICK_CASES, SPANS, networks

# A memory-encryption engine sees what caches of this size let through.
CACHES_MIB = (1, 8, 32)
# Sizes with a column of their own; the knee and the plot have all.
COLUMNS = tuple(size * MIB for size in (4, 8, 16, 32, 64, 128, 256))
DETAILED = tuple(size * MIB for size in (4, 8, 32))
COLOURS = {"darknet": "#c53030", "onnxruntime": "#b7791f", "coracle": "#2b6cb0"}
SHOWN_MOST = 5


def count(number):
    return "" if number is None else f"{number:,.0f}"


def mebibytes(size):
    """Three digits, of MiB or GiB."""
    if size is None:
        return ""
    if size >= 1000 * MIB:
        return f"{size / MIB / 1024:.3g} GiB"
    return f"{size / MIB:.3g} MiB" if size >= 0.1 * MIB else f"{size / 1024:.3g} KiB"


def percent(part, whole):
    return "" if not whole else f"{100 * part / whole:.3g} %"


def entries(kept, span=None):
    """Runs in the order of the study: by network, then by engine."""
    for case in dict.fromkeys([*CASES, *QUICK_CASES, *sorted(entry["case"] for entry in kept.values())]):
        for engine in ENGINES:
            for one in SPANS:
                entry = kept.get(f"{case}.{engine}.{one}")
                if entry is not None and "report" in entry and span in (None, one):
                    yield entry


def table(title, head, rows):
    rows = [row for row in rows if row is not None]
    if not rows:
        return ""
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    return "\n".join([title, "", *lines, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"


def name(entry):
    partial = "" if entry["report"].get("complete", True) else " (partial)"
    return [entry["case"], entry["engine"] + partial]


def summary(kept, span):
    def row(entry):
        report = entry["report"]
        chosen = [figures.epc(report, size) for size in DETAILED]
        once = report["lines"]
        return [*name(entry), f"{report['accesses']['count'] / 1e6:,.1f}", mebibytes(figures.footprint_bytes(report)), knee(report),
                *(load_cell(size) for size in chosen), percent(once["once"], sum(once.values())),
                count(figures.transitions(report)[0])]
    return table(f"In short ({span}).",
                 ["network", "engine", "accesses, million", "pages touched inside", "knee",
                  *(f"page loads in {mebibytes(size)}" for size in DETAILED), "lines whose bytes are touched once", "system calls"],
                 map(row, entries(kept, span)))


def knee(report):
    largest = max(size["bytes"] for size in report["epc"]["sizes"])
    return mebibytes(figures.knee_bytes(report)) or f"> {mebibytes(largest)}"


def volume(kept, span):
    def row(entry):
        report = entry["report"]
        accesses, patterns = report["accesses"], report["patterns"]
        walked = sum(patterns.values())
        return [*name(entry), f"{accesses['count'] / 1e6:,.1f}", mebibytes(accesses["read_bytes"]), mebibytes(accesses["written_bytes"]),
                *(percent(patterns[key], walked) for key in ("repeated", "sequential", "strided", "irregular")),
                count(report["seconds"])]
    return table(f"Accesses ({span}): an instruction's next access is at the same address, next to it, at the same stride or elsewhere.",
                 ["network", "engine", "accesses, million", "read", "written", "repeated", "sequential", "strided", "irregular",
                  "traced in, s"], map(row, entries(kept, span)))


def transitions(kept, span):
    def row(entry):
        total, calls = figures.transitions(entry["report"])
        most = ", ".join(f"{calls[key]:,} {key}" for key in list(calls)[:SHOWN_MOST])
        clocks = sum(call["calls"] for call in entry["report"]["vdso_calls"])
        return [*name(entry), count(total), most, count(clocks), count(entry["report"]["threads_started"])]
    return table(f"Transitions ({span}): system calls, which leave an enclave (without prctl, which only marks predictions).",
                 ["network", "engine", "system calls", "most of them", "clock reads", "threads started"],
                 map(row, entries(kept, span)))


def memory(kept, span):
    def row(entry):
        report = entry["report"]
        mean, most, window = figures.working_set_bytes(report)
        return [*name(entry), mebibytes(figures.footprint_bytes(report)), mebibytes(figures.outside_bytes(report)),
                mebibytes(figures.level(report, figures.PAGE_BYTES)["cold"] * figures.PAGE_BYTES), mebibytes(figures.idle_bytes(report)),
                mebibytes(mean), mebibytes(most), f"{window / 1e6:.3g}", knee(report)]
    return table(f"Memory ({span}). *Inside*: distinct pages that an enclave would hold; *outside*: of read-only files and shared memory; "
                 "*knee*: the least of the simulated EPCs that loads at most a tenth of the pages inside.",
                 ["network", "engine", "touched inside", "outside", "of both for the first time", "allocated and not touched",
                  "working set, mean", "most", "of a window of, million accesses", "knee"], map(row, entries(kept, span)))


def reuse(kept, span, granule_bytes):
    def row(entry):
        one = figures.level(entry["report"], granule_bytes)
        if one is None:
            return None
        shares = [mebibytes(figures.quantile_bytes(one, share)) or "first" for share in (0.5, 0.9, 0.99, 0.999)]
        longest = mebibytes((one["histogram"][-1][0] + 1) * granule_bytes) if one["histogram"] else ""
        beyond = [percent(figures.returns(one, size * MIB), one["touches"]) for size in (8, 32)]
        return [*name(entry), count(one["touches"]), count(one["cold"]), *shares, longest, *beyond]
    what = "pages" if granule_bytes == figures.PAGE_BYTES else f"lines of {granule_bytes} bytes"
    return table(f"Reuse at {what} ({span}): distances (distinct bytes touched since) that so many touches stay within, and how many are beyond.",
                 ["network", "engine", "touches", "first touches", "50 %", "90 %", "99 %", "99.9 %", "longest", "> 8 MiB", "> 32 MiB"],
                 map(row, entries(kept, span)))


def lines_and_traffic(kept, span):
    def row(entry):
        lines = entry["report"]["lines"]
        total = sum(lines.values())
        accessed = figures.accessed_bytes(entry["report"])
        past = [figures.traffic_bytes(entry["report"], size * MIB) for size in CACHES_MIB]
        return [*name(entry), *(percent(lines[key], total) for key in ("once", "twice", "many")), mebibytes(accessed),
                *("" if size is None else f"{mebibytes(size)} ({percent(size, accessed)})" for size in past)]
    return table(f"Lines ({span}): how often their bytes are accessed, and what caches leave for a memory-encryption engine (LRU; share of "
                 "the bytes accessed).",
                 ["network", "engine", "once", "twice", "more often", "bytes accessed", *(f"past {size} MiB" for size in CACHES_MIB)],
                 map(row, entries(kept, span)))


def sizes(kept):
    """Those that tables have columns for."""
    every = sorted({size["bytes"] for entry in kept.values() if "report" in entry for size in entry["report"]["epc"]["sizes"]})
    return [size for size in every if size in COLUMNS] or every


def load_cell(size):
    if size is None:
        return ""
    measured = size.get("measured") or {}
    if measured.get("loads") is None:
        return count(size["loads"])
    difference = "" if measured.get("difference") is None else f", {100 * measured['difference']:+.1f} %"
    return f"{count(size['loads'])} ({count(measured['loads'])}{difference})"


def loads(kept, span):
    every = sizes(kept)
    return table(f"Page loads ({span}) in an EPC of so many bytes, predicted; in brackets what epcrun counted, and the difference.",
                 ["network", "engine", *(mebibytes(size) for size in every)],
                 ([*name(entry), *(load_cell(figures.epc(entry["report"], size)) for size in every)] for entry in entries(kept, span)))


def loads_by_role(kept, span, size_bytes):
    def row(entry):
        found = figures.loads_by_role(entry["report"], size_bytes)
        total = figures.epc(entry["report"], size_bytes)
        if found is None or total is None:
            return None
        shares = ", ".join(f"{key} {percent(loads, total['loads'])}" for key, loads in found.items() if loads)
        return [*name(entry), count(total["loads"]), shares]
    return table(f"Which buffers cause the loads ({span}, EPC of {mebibytes(size_bytes)}).",
                 ["network", "engine", "loads", "shares"], map(row, entries(kept, span)))


def object_name(thing):
    """As the model's layers call it, else by where it was allocated."""
    return thing["layer"] if thing.get("layer") else " < ".join(thing["path"][:2]) or "unknown"


def most(functions):
    """The two that moved most bytes, without those that moved less than a tenth of them."""
    total = sum(functions.values())
    named = [name for name, size in sorted(functions.items(), key=lambda item: -item[1])[:2] if size * 10 >= total]
    return ", ".join(named)


def objects(kept, span, size_bytes):
    def rows(entry):
        index = figures.size_index(entry["report"], size_bytes)
        things = figures.grouped(entry["report"].get("objects") or [], object_name)
        if index is None:
            return
        for thing in sorted(things, key=lambda one: -one["loads"][index])[:SHOWN_MOST]:
            loads = thing["loads"][index]
            if loads == 0:
                return
            yield [*name(entry), thing["name"], count(thing["count"]), thing["role"], mebibytes(thing["bytes"]),
                   mebibytes(thing["read_bytes"]), mebibytes(thing["written_bytes"]), most(thing["writers"]), most(thing["readers"]),
                   count(loads), percent(loads, figures.epc(entry["report"], size_bytes)["loads"]),
                   f"{loads * figures.PAGE_BYTES / max(1, thing['touched_bytes']):.2g}"]
    return table(f"Allocations with most loads ({span}, EPC of {mebibytes(size_bytes)}), those of one call path and use together.",
                 ["network", "engine", "allocated by", "how many", "use", "bytes", "read", "written", "written by", "read by", "loads",
                  "share", "loads of a page"],
                 (row for entry in entries(kept, span) for row in rows(entry)))


def functions(kept, span, size_bytes):
    def row(entry):
        found = entry["report"].get("functions")
        index = figures.size_index(entry["report"], size_bytes)
        if not found or index is None:
            return None
        accesses = entry["report"]["accesses"]["count"]
        total = figures.epc(entry["report"], size_bytes)["loads"]
        by_accesses = sorted(found, key=lambda one: -one["accesses"])[:3]
        by_loads = [one for one in sorted(found, key=lambda one: -one["loads"][index])[:3] if one["loads"][index]]
        return [*name(entry), ", ".join(f"{one['name']} {percent(one['accesses'], accesses)}" for one in by_accesses),
                ", ".join(f"{one['name']} {percent(one['loads'][index], total)}" for one in by_loads)]
    return table(f"Functions ({span}): shares of the accesses, and of the loads in {mebibytes(size_bytes)}.",
                 ["network", "engine", "by accesses", "by loads"], map(row, entries(kept, span)))


def moved(volume):
    return volume["read_bytes"] + volume["written_bytes"]


def kinds(kept, span):
    def row(entry):
        accessed = figures.accessed_bytes(entry["report"])
        found = sorted(entry["report"]["memory"], key=moved, reverse=True)[:SHOWN_MOST]
        return [*name(entry), ", ".join(f"{kind['kind']} {percent(moved(kind), accessed)}" for kind in found)]
    return table(f"Kinds of memory ({span}): shares of the bytes accessed.", ["network", "engine", "kinds"],
                 map(row, entries(kept, span)))


def layers(kept, span, size_bytes):
    def rows(entry):
        found = entry["report"].get("layers") or []
        index = figures.size_index(entry["report"], size_bytes)
        accessed = figures.accessed_bytes(entry["report"])
        if index is None:
            return
        for one in sorted(found, key=moved, reverse=True)[:SHOWN_MOST]:
            yield [*name(entry), one["name"], percent(moved(one), accessed), mebibytes(one["touched_bytes"]),
                   count(one["loads"][index]),
                   ", ".join(f"{kind['kind']} {mebibytes(moved(kind))}" for kind in sorted(one["kinds"], key=moved, reverse=True)[:4])]
    return table(f"The {SHOWN_MOST} layers with most bytes accessed ({span}).",
                 ["network", "engine", "layer", "of all bytes", "touched", f"loads in {mebibytes(size_bytes)}", "by kind"],
                 (row for entry in entries(kept, span) for row in rows(entry)))


def advice(kept):
    lines = []
    for entry in entries(kept, "steady"):
        for one in entry["report"].get("advice") or []:
            checked = (one.get("checked") or {}).get("text")
            lines.append(f"- **{entry['case']}, {entry['engine']}**: {one['what']}. {one['number']}; {one['effect']}."
                         + (f" Checked: {checked}." if checked else ""))
    return "\n".join(["What `coracle characterize` advised, and what came of it.", "", *lines]) + "\n" if lines else ""


def commands(kept):
    lines = [entry["command"] for entry in entries(kept)]
    failed = [f"- {entry['case']}, {entry['engine']}, {entry['span']}: {entry['failed']}" for entry in kept.values() if "failed" in entry]
    text = "\n".join(["Each row is one of these runs.", "", "```", *lines, "```"]) + "\n" if lines else ""
    return text + ("\n".join(["", "Not there:", "", *failed]) + "\n" if failed else "")


def all_tables(kept):
    parts = []
    for span in SPANS:
        parts += [summary(kept, span), volume(kept, span), transitions(kept, span), memory(kept, span), reuse(kept, span, figures.PAGE_BYTES),
                  reuse(kept, span, figures.LINE_BYTES), lines_and_traffic(kept, span), loads(kept, span), kinds(kept, span)]
        detailed = [size for size in sizes(kept) if size in DETAILED] or sizes(kept)[:1]
        for size in detailed:
            parts += [loads_by_role(kept, span, size), objects(kept, span, size)]
        for size in detailed[:1]:
            parts += [functions(kept, span, size), layers(kept, span, size)]
    return "\n".join(part for part in [*parts, advice(kept), commands(kept)] if part)


def plot(kept, path):
    """Loads of a steady prediction over the size of the EPC: a panel for each network."""
    found = {}
    for entry in entries(kept, "steady"):
        found.setdefault(entry["case"], []).append(entry)
    pyplot = networks.pyplot_or_none()
    if pyplot is None or not found:
        return
    from matplotlib import ticker
    columns = min(3, len(found))
    lines = -(-len(found) // columns)
    figure, grid = pyplot.subplots(lines, columns, figsize=(3.1 * columns, 2.5 * lines + 0.6), sharex=True, squeeze=False)
    for axes in grid.flat[len(found):]:
        axes.set_visible(False)
    for axes, (case, runs) in zip(grid.flat, found.items()):
        for entry in runs:
            points = [(size["bytes"] / MIB, size["loads"] * figures.PAGE_BYTES / MIB)
                      for size in sorted(entry["report"]["epc"]["sizes"], key=lambda size: size["bytes"])]
            axes.plot(*zip(*points), color=COLOURS[entry["engine"]], label=entry["engine"], linewidth=1.3, marker="o", markersize=2.5)
        axes.set_title(case, fontsize=9)
        axes.set_xscale("log", base=2)
        axes.set_yscale("symlog", linthresh=1)
        axes.set_ylim(bottom=0, top=2 * axes.get_ylim()[1])
        axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
        axes.grid(True, axis="y", color="#e2e2e2", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        axes.xaxis.set_tick_params(labelbottom=True)
        axes.set_xticks([4, 16, 64, 256], ["4", "16", "64", "256"], fontsize=7)
        axes.tick_params(axis="y", labelsize=7)
        axes.legend(frameon=False, fontsize=6.5)
    figure.supxlabel("size of the EPC, MiB", fontsize=9)
    figure.supylabel("pages loaded in a steady prediction, MiB", fontsize=9)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
