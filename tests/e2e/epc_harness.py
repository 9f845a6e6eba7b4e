"""What the tests of epcrun share: programs to run inside, and how.

CORACLE_EPCRUN names another epcrun than the one in CORACLE_BIN.
"""

import json
import os
import pathlib
import re
import subprocess
import tempfile
import time
import unittest

import harness
import secure_pages

EPCRUN = pathlib.Path(os.environ.get("CORACLE_EPCRUN") or harness.BIN / "epcrun")
PROGRAMS = harness.SOURCE / "tests/programs"
PYTHON = "/usr/bin/python3"


def compiled(name):
    return harness.compiled(PROGRAMS / f"{name}.c", name, "-pthread")


class ProcessOf:
    """A grandchild, for harness.wait_until_it_works."""

    def __init__(self, pid):
        self.pid = pid

    def poll(self):
        return None if secure_pages.states(self.pid) else 0


class EpcTest(unittest.TestCase):
    """A test with a temporary folder and what runs programs inside."""

    def setUp(self):
        if not EPCRUN.exists():
            self.fail(f"{EPCRUN} is not there: build first, or set CORACLE_BIN")
        harness.CACHE.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(prefix="epcrun-", dir=harness.CACHE)
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        probe = harness.run_program(EPCRUN, "-q", "--size", "unlimited", "--", "/bin/true")
        if probe.code == 1 and re.search("userfaultfd|Dispatch", probe.err):
            self.skipTest(probe.err.strip())
        self.assertEqual(probe.code, 0, str(probe))

    def inside(self, size, *words, options=(), **how):
        """Runs a program inside. Returns how it ended, and the statistics."""
        path = self.folder / "stats.json"
        path.unlink(missing_ok=True)
        done = harness.run_program(EPCRUN, "-q", "--size", size, "--json", path, *options, "--", *words, **how)
        return done, json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    def start(self, size, *words, options=(), **how):
        """Starts a program inside; it is ended with the test. Returns epcrun's process."""
        process = subprocess.Popen([str(w) for w in (EPCRUN, "-q", "--size", size, *options, "--", *words)],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace", **how)

        def end():
            process.terminate()  # passed on to the program; then epcrun tidies up
            try:
                process.communicate(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()

        self.addCleanup(end)
        return process

    def program_of(self, epcrun):
        """The PID of the program that an epcrun has started."""
        children = pathlib.Path(f"/proc/{epcrun.pid}/task/{epcrun.pid}/children")
        end = time.monotonic() + 30
        while time.monotonic() < end and epcrun.poll() is None:
            found = [int(word) for word in children.read_text(encoding="ascii").split()]
            if found:
                return found[0]
            time.sleep(0.01)
        self.fail(f"no program was started: {epcrun.communicate()}")

    def running(self, size, *words, options=()):
        """Starts a program inside and waits until its start is behind it. Returns (epcrun's process, the program's PID)."""
        epcrun = self.start(size, *words, options=options)
        pid = self.program_of(epcrun)
        harness.wait_until_it_works(ProcessOf(pid))
        return epcrun, pid

    def assert_same_inside(self, size, *words, ignore=None, swaps=True):
        """A program's exit code and output with and without the limit."""
        def text(done):
            return re.sub(ignore, "", done.out) if ignore else done.out

        outside = harness.run_program(*words)
        done, stats = self.inside(size, *words)
        self.assertEqual((done.code, text(done)), (outside.code, text(outside)), done.err)
        self.assertLessEqual(stats["resident_peak_bytes"], stats["limit_bytes"])
        if swaps:
            self.assertGreater(stats["loads"], 0, "all of it fits: the test shows nothing")
        return stats
