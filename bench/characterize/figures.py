"""Figures of one run, from the report that `coracle characterize --json` prints. What a report does not have is None."""

PAGE_BYTES, LINE_BYTES = 4096, 64
MIB = 1 << 20
SUMMED = ("bytes", "touched_bytes", "read_bytes", "written_bytes")
# Kinds of memory that no enclave page cache is charged for (docs/epcrun.md).
OUTSIDE = ("file", "shared")


def level(report, granule_bytes):
    return next((one for one in report["reuse"] if one["granule_bytes"] == granule_bytes), None)


def quantile_bytes(one, share):
    """The distance that this share of all touches stays below, in bytes; None if it takes the first touches too."""
    wanted, seen = share * one["touches"], 0
    for begin, weight in one["histogram"]:
        seen += weight
        if seen >= wanted:
            return (begin + 1) * one["granule_bytes"]
    return None


def misses(one, capacity_bytes):
    """Touches that an LRU memory of this size would miss, first touches included."""
    found = one["touches"]
    for capacity, count in one["miss_curve"]:
        if capacity * one["granule_bytes"] > capacity_bytes:
            break
        found = count
    return found


def returns(one, capacity_bytes):
    """The same without first touches."""
    return misses(one, capacity_bytes) - one["cold"]


def footprint_bytes(report):
    """Distinct pages that an enclave would hold and the span touches; what is given back and mapped again counts again. By kind of memory;
    a planned pool's pages hold one kind after the other and count once, by mapping."""
    parts = report["mappings"] if "plan" in report else report["memory"]
    return sum(part["touched_bytes"] for part in parts if part["kind"] not in OUTSIDE)


def outside_bytes(report):
    """The same of pages that stay outside: read-only files (libraries, models, a sealed model's ciphertext) and shared memory."""
    return sum(kind["touched_bytes"] for kind in report["memory"] if kind["kind"] in OUTSIDE)


def idle_bytes(report):
    """Allocations that stand and that the span does not touch."""
    if "objects" not in report:
        return None
    return sum(thing["bytes"] for thing in report["objects"] if thing["touched_bytes"] == 0 and thing.get("freed_at") is None)


def knee_bytes(report):
    """The least of the simulated memories that loads no more than a tenth of the footprint."""
    for size in sorted(report["epc"]["sizes"], key=lambda one: one["bytes"]):
        if size["loads"] * PAGE_BYTES <= footprint_bytes(report) / 10:
            return size["bytes"]
    return None


def working_set_bytes(report):
    """(mean, most) of a window of accesses, and its length."""
    windows = report["working_set"]
    pages = windows["pages"] or [0]
    return sum(pages) / len(pages) * PAGE_BYTES, max(pages) * PAGE_BYTES, windows["window_accesses"]


def traffic_bytes(report, cache_bytes):
    """What a memory-encryption engine behind an LRU cache of lines would read and write back at most once each."""
    lines = level(report, LINE_BYTES)
    return None if lines is None else misses(lines, cache_bytes) * LINE_BYTES


def accessed_bytes(report):
    return report["accesses"]["read_bytes"] + report["accesses"]["written_bytes"]


def transitions(report):
    """(system calls, {name: calls}), but for the marks of predictions, which are ours."""
    calls = {call["name"]: call["calls"] for call in report["system_calls"] if call["name"] != "prctl"}
    return sum(calls.values()), dict(sorted(calls.items(), key=lambda item: -item[1]))


def epc(report, size_bytes):
    return next((size for size in report["epc"]["sizes"] if size["bytes"] == size_bytes), None)


def size_index(report, size_bytes):
    return next((index for index, size in enumerate(report["epc"]["sizes"]) if size["bytes"] == size_bytes), None)


def writers(thing):
    return [one["function"] for one in thing.get("writers", [])]


def role(thing):
    """What an allocation is for: as the model's layers say, else as it is used within the span."""
    if thing.get("role"):
        return thing["role"]
    if thing["touched_bytes"] == 0:
        return "untouched"
    names = writers(thing)
    if any("im2col" in name.lower() for name in names):
        return "im2col workspace"
    # Neighbours on an allocation's first and last page may write a little.
    if thing["written_bytes"] * 16 < thing["touched_bytes"]:
        return "only read (weights)"
    return "written and read (activations)"


def loads_by_role(report, size_bytes):
    """{role: page loads} of allocations; "other" is what lies in none."""
    index, total = size_index(report, size_bytes), epc(report, size_bytes)
    if not report.get("objects") or index is None:
        return None
    found = {}
    for thing in report["objects"]:
        found[role(thing)] = found.get(role(thing), 0) + thing["loads"][index]
    found["other"] = max(0, total["loads"] - sum(found.values()))
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def grouped(things, name):
    """Allocations of one name and role as one: [{"name", "role", "count", "bytes", ..., "loads", "writers", "readers"}]."""
    found = {}
    for thing in things:
        key = (name(thing), role(thing))
        group = found.setdefault(key, {"name": key[0], "role": key[1], "count": 0, "loads": [0] * len(thing["loads"]), "writers": {},
                                       "readers": {}, **dict.fromkeys(SUMMED, 0)})
        group["count"] += 1
        group["loads"] = [ours + theirs for ours, theirs in zip(group["loads"], thing["loads"])]
        for what in SUMMED:
            group[what] += thing[what]
        for what in ("writers", "readers"):
            for one in thing.get(what, []):
                group[what][one["function"]] = group[what].get(one["function"], 0) + one["bytes"]
    return list(found.values())
