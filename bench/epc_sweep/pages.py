"""The sweep's results as tables and as a plot."""

import math

from subjects import all_networks, networks

SIZES = ("8", "16", "32", "64", "93", "128", "256", "unlimited")
PAGE_BYTES = 4096
NAMES = {"fp32": "coracle fp32", "auto": "coracle auto"}
COLOURS = {"reference": "#c53030", "fp32": "#90b4d8", "auto": "#2b6cb0"}
# Where a size stands on the logarithmic axis; "unlimited" stands one step to the right of the largest.
PLACES = {size: math.log2(512 if size == "unlimited" else int(size)) for size in SIZES}
MARKERS = {"reference": "o", "fp32": "s", "auto": "D"}


def engine_name(entry, engine):
    return entry["reference"] if engine == "reference" else NAMES[engine]


def by_network(kept):
    """{network: {size: entry}}, sizes ascending."""
    found = {name: {size: kept[f"{name} {size}"] for size in SIZES if f"{name} {size}" in kept} for name in all_networks()}
    return {name: entries for name, entries in found.items() if entries}


def result_of(entry, engine):
    return next(result for result in entry["engines"] if result["engine"] == engine)


def sizes_in(kept):
    return [size for size in SIZES if any(entry["size"] == size for entry in kept.values())]


def rows(kept, engines, cell):
    """A table: a row for each network and engine, a column for each size; `cell(entry, result)` says what stands there."""
    sizes = sizes_in(kept)
    lines = ["| network | engine | " + " | ".join(size if size == "unlimited" else f"{size} MiB" for size in sizes) + " |",
             "|---" * (len(sizes) + 2) + "|"]
    for name, entries in by_network(kept).items():
        for engine in engines:
            cells = []
            for size in sizes:
                result = result_of(entries[size], engine) if size in entries else None
                cells.append("" if result is None else "failed" if "failed" in result else cell(entries[size], result))
            lines.append(f"| {name} | {engine_name(next(iter(entries.values())), engine)} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def count(number):
    return f"{number:,.0f}"


def tables(kept):
    def over_coracle(entry, result):
        auto = result_of(entry, "auto")
        return "" if "failed" in auto else f"{result['median_ms'] / auto['median_ms']:.1f}"

    def swap(_, result):
        cost = result["epcrun"].get("swap")
        return f"{cost['total_us']:.1f}" if cost else ""

    return "\n".join([
        "Time in an EPC of this size over the same engine's time in plain memory (medians of neighbours in time):\n",
        rows(kept, ("reference", "fp32", "auto"), lambda _, result: f"{result['slowdown']:.2f}"),
        "Coracle's time over that of its own fp32 weights, all open, in plain memory:\n",
        rows(kept, ("fp32", "auto"), lambda _, result: f"{result['of_fp32_plain']:.2f}"),
        "The other engine's time over `coracle auto`'s in an EPC of the same size:\n",
        rows(kept, ("reference",), over_coracle),
        "Pages loaded in one prediction (median; `most` of all where it differs):\n",
        rows(kept, ("reference", "fp32", "auto"), loads_cell),
        "What the engine would keep of secure memory, its start included, MiB:\n",
        rows(kept, ("reference", "fp32", "auto"), lambda _, result: f"{result['epcrun']['peak_wanted_bytes'] / 2**20:.0f}"),
        "A page swap, us in the pager (the whole run, its start included):\n",
        rows(kept, ("reference",), swap)])


def loads_cell(_, result):
    median, most = result["loads_median"], result["loads_most"]
    return count(median) if median == most else f"{count(median)} (most {count(most)})"


def write_all(kept, outdir):
    networks.write(outdir / "epc_sweep.md", tables(kept))


def draw_network(axes, name, entries, sizes):
    for engine in ("reference", "fp32", "auto"):
        points = [(PLACES[size], result_of(entries[size], engine)) for size in sizes if size in entries]
        points = [(place, result["slowdown"]) for place, result in points if "failed" not in result]
        axes.plot(*zip(*points) if points else ([], []), marker=MARKERS[engine], markersize=4, color=COLOURS[engine],
                  label=engine_name(next(iter(entries.values())), engine))
    axes.axhline(1, color="#888", linewidth=0.8)
    axes.set_title(name, fontsize=9)
    axes.set_yscale("log")
    axes.grid(True, axis="y", color="#e2e2e2", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def plot(kept, path):
    pyplot = networks.pyplot_or_none()
    if pyplot is None:
        return
    from matplotlib import ticker
    found, sizes = by_network(kept), sizes_in(kept)
    columns = min(4, len(found))
    lines = math.ceil(len(found) / columns)
    figure, grid = pyplot.subplots(lines, columns, figsize=(3.1 * columns, 2.5 * lines + 0.6), sharex=True, sharey=True, squeeze=False)
    for axes in grid.flat[len(found):]:
        axes.set_visible(False)
    for axes, (name, entries) in zip(grid.flat, found.items()):
        draw_network(axes, name, entries, sizes)
        axes.xaxis.set_tick_params(labelbottom=True)
        labels = ["no limit" if size == "unlimited" else size for size in sizes]
        axes.set_xticks([PLACES[size] for size in sizes], labels, fontsize=7, rotation=45)
        axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_locator(ticker.NullLocator())
        axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}x"))
        axes.tick_params(axis="y", labelsize=7)
        axes.legend(frameon=False, fontsize=6.5, loc="upper right")
    figure.supxlabel("size of the EPC, MiB", fontsize=9)
    figure.supylabel("time / the same engine's in plain memory", fontsize=9)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
