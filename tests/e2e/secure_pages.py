"""Secure memory of a process as the kernel sees it: /proc/PID/smaps and /proc/PID/pagemap, nothing of epcrun's own.

Secure are the pages that are present
  - in mappings that are registered with userfaultfd (VmFlags "um"): what epcrun pages, and
  - anonymous (copied on write) in private mappings of files other than libepcrun.so: written data of the program and its
    libraries, which is pinned.
All else that is private and anonymous is the emulator's own (`own_bytes`): its tables, the sealed pages, its threads' signal
stacks. A process should be stopped while it is looked at (`stopped`): otherwise a page may be seen twice on its way.
"""

import contextlib
import os
import pathlib
import re
import signal
import time

import numpy as np

PAGE = 4096
PRESENT, FILE_OR_SHARED = np.uint64(1 << 63), np.uint64(1 << 61)
HEADER = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ (\d+) *(.*)$")


class Mapping:
    def __init__(self, match):
        self.begin, self.end = int(match[1], 16), int(match[2], 16)
        self.permissions, self.inode, self.name = match[3], int(match[4]), match[5]
        self.flags = set()

    @property
    def registered(self):
        return "um" in self.flags

    @property
    def private_file(self):
        return self.inode != 0 and self.permissions[3] == "p"

    @property
    def anonymous(self):
        return self.inode == 0 and self.permissions[3] == "p" and self.name not in ("[vvar]", "[vdso]", "[vvar_vclock]", "[vsyscall]")


def mappings(pid):
    found = []
    for line in pathlib.Path(f"/proc/{pid}/smaps").read_text(encoding="utf-8", errors="replace").splitlines():
        header = HEADER.match(line)
        if header:
            found.append(Mapping(header))
        elif line.startswith("VmFlags:"):
            found[-1].flags = set(line.split()[1:])
        elif line.startswith("Rss:"):
            found[-1].resident_bytes = int(line.split()[1]) * 1024
    return found


def page_entries(pagemap, mapping):
    pagemap.seek(mapping.begin // PAGE * 8)
    return np.frombuffer(pagemap.read((mapping.end - mapping.begin) // PAGE * 8), dtype=np.uint64)


class SecurePages:
    """What process `pid` has present now."""

    def __init__(self, pid):
        self.paged_bytes = self.pinned_bytes = self.own_bytes = 0
        with open(f"/proc/{pid}/pagemap", "rb", buffering=0) as pagemap:
            for mapping in mappings(pid):
                if mapping.registered:
                    self.paged_bytes += PAGE * np.count_nonzero(page_entries(pagemap, mapping) & PRESENT)
                elif mapping.private_file and "libepcrun.so" not in mapping.name and mapping.resident_bytes:
                    entries = page_entries(pagemap, mapping) & (PRESENT | FILE_OR_SHARED)
                    self.pinned_bytes += PAGE * np.count_nonzero(entries == PRESENT)
                elif mapping.anonymous:
                    self.own_bytes += mapping.resident_bytes

    @property
    def bytes(self):
        return self.paged_bytes + self.pinned_bytes


def sealed_store(pid):
    """The host's memory that evicted pages lie in: the largest mapping that is not registered and left out of core dumps.
    [begin, end) of what is present: its slots are taken from the first one on."""
    store = max((m for m in mappings(pid) if m.anonymous and "dd" in m.flags), key=lambda m: m.end - m.begin)
    return store.begin, store.begin + store.resident_bytes


def states(pid):
    """One letter, as in ps, for each thread; none if there is no such process."""
    found = set()
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found.add(task.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[0])
    return found


def send(number, pids):
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


@contextlib.contextmanager
def stopped(*pids):
    """All threads of these processes stand still within. Gives False if one of them has ended."""
    send(signal.SIGSTOP, pids)
    try:
        while any(states(pid) - set("TtZX") for pid in pids):
            time.sleep(0.0005)
        yield all(states(pid) and states(pid) <= set("Tt") for pid in pids)
    finally:
        send(signal.SIGCONT, pids)
