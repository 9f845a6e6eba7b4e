"""epcrun as a command: how it ends, what it refuses, what it says."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import termios
import time

import numpy as np

import harness
import secure_pages
from epc_harness import EPCRUN, PYTHON, EpcTest, compiled
from harness import MIB


class Endings(EpcTest):
    def test_the_programs_own_exit_code(self):
        for code in (0, 7, 255):
            done, stats = self.inside("8MiB", "/bin/sh", "-c", f"exit {code}")
            self.assertEqual((done.code, stats["exit_code"], stats["signal"]), (code, code, None))

    def test_a_signal(self):
        done, stats = self.inside("8MiB", PYTHON, "-c", "import os; os.abort()")
        self.assertEqual((done.code, stats["signal"]), (128 + signal.SIGABRT, signal.SIGABRT))

    def test_memory_that_is_gone(self):
        path = self.folder / "file"
        path.write_bytes(bytes(4096))
        code = f"import mmap\nfile = open({str(path)!r}, 'r+b')\nmapped = mmap.mmap(file.fileno(), 4096)\nfile.truncate(0)\nmapped[0]"
        done, stats = self.inside("8MiB", PYTHON, "-c", code)
        self.assertEqual((done.code, stats["signal"]), (128 + signal.SIGBUS, signal.SIGBUS))
        self.assertRegex(done.err, r"epcrun: SIGBUS ends the program: there is no memory at 0x[0-9a-f]+,")

    def test_killed_by_force(self):
        path = self.folder / "stats.json"
        epcrun, pid = self.running("8MiB", compiled("patterns"), 64, 2, 60, options=("--json", path))
        os.kill(pid, signal.SIGKILL)
        epcrun.communicate(timeout=30)
        self.assertEqual(epcrun.returncode, 128 + signal.SIGKILL)
        stats = json.loads(path.read_text(encoding="utf-8"))
        self.assertEqual(stats["signal"], signal.SIGKILL)
        self.assertGreater(stats["loads"], 0)
        self.assertEqual(list(self.folder.glob("*.tmp")), [])

    def test_epcrun_itself_killed(self):
        epcrun, pid = self.running("8MiB", compiled("patterns"), 64, 2, 60)
        epcrun.kill()
        end = time.monotonic() + 10
        while time.monotonic() < end and secure_pages.states(pid) - {"Z", "X"}:
            time.sleep(0.05)
        self.assertLessEqual(secure_pages.states(pid), {"Z", "X"}, "the program lives on")

    def test_signals_to_epcrun_reach_the_program(self):
        code = "import signal, sys, time\nsignal.signal(signal.SIG, lambda *_: sys.exit(3))\nprint(1, flush=True)\ntime.sleep(60)"
        for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1"):
            with self.subTest(name):
                epcrun = self.start("16MiB", PYTHON, "-c", code.replace("SIG,", f"{name},"))
                self.assertEqual(epcrun.stdout.readline(), "1\n")
                epcrun.send_signal(getattr(signal, name))
                epcrun.communicate(timeout=30)
                self.assertEqual(epcrun.returncode, 3)

    def test_ctrl_c(self):
        """The terminal signals both at once; the program decides, and is not signalled twice."""
        code = ("import signal, sys, time\nseen = []\nsignal.signal(signal.SIGINT, lambda *_: seen.append(1))\n"
                "print(1, flush=True)\nend = time.time() + 1\nwhile time.time() < end: time.sleep(0.1)\nsys.exit(len(seen))")
        leader, terminal = os.openpty()

        def own_terminal():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        process = subprocess.Popen([EPCRUN, "-q", "--size", "16MiB", "--", PYTHON, "-c", code], stdin=terminal, stdout=terminal,
                                   stderr=terminal, preexec_fn=own_terminal)
        os.close(terminal)
        self.addCleanup(os.close, leader)
        self.addCleanup(process.kill)
        self.assertIn(b"1", os.read(leader, 100))
        os.write(leader, b"\x03")
        self.assertEqual(process.wait(timeout=30), 1)


class Refusals(EpcTest):
    def refused(self, code, what, *words):
        done = harness.run_program(EPCRUN, *words)
        self.assertEqual(done.code, code, str(done))
        self.assertEqual(len(done.err.splitlines()), 1, str(done))
        self.assertTrue(done.err.startswith("epcrun: "), str(done))
        self.assertIn(what, done.err)

    def test_wrong_usage(self):
        for words, what in (((), "--size is missing"), (("--size", "8MiB"), "which program?"),
                            (("--size", "8", "--", "true"), "whole number of pages"),
                            (("--size", "4KiB", "--", "true"), "less than 1 MiB"),
                            (("--size", "8MiB", "--page", "2MiB", "--", "true"), "an EPC page is 4KiB"),
                            (("--size", "8MiB", "--nonsense", "--", "true"), "--nonsense"),
                            (("--size", "8MiB", "--quota", "1MiB", "--", "true"), "add --share")):
            self.refused(2, what, *words)

    def test_what_is_not_there_or_not_a_program(self):
        plain = self.folder / "plain"
        plain.write_text("text", encoding="ascii")
        self.refused(127, "not found", "--size", "8MiB", "--", "no-such-program")
        self.refused(127, "not found", "--size", "8MiB", "--", self.folder / "nothing")
        self.refused(126, "not an executable", "--size", "8MiB", "--", plain)
        plain.chmod(0o755)
        self.refused(126, "neither an ELF program nor a script", "--size", "8MiB", "--", plain)

    def test_a_statically_linked_program(self):
        compiler = shutil.which("cc")
        program = self.folder / "static"
        source = self.folder / "static.c"
        source.write_text("int main(void) { return 0; }\n", encoding="ascii")
        if compiler is None or harness.run_program(compiler, "-static", "-o", program, source).code != 0:
            self.skipTest("no compiler that links statically")
        self.refused(1, "statically linked", "--size", "8MiB", "--", program)

    def test_too_little_address_space(self):
        """Found out by the library, within the program's process."""
        path = self.folder / "stats.json"
        done = harness.run_program("/bin/sh", "-c", f"ulimit -v 60000; exec {EPCRUN} -q --size 8MiB --json {path} -- /bin/true")
        self.assertEqual(done.code, 1, str(done))
        self.assertRegex(done.err, r"^epcrun: .*address space.*\n$")
        stats = json.loads(path.read_text(encoding="utf-8"))
        self.assertEqual((stats["state"], stats["exit_code"]), ("refused", 1))

    def test_itself(self):
        self.refused(1, "limits do not nest", "-q", "--size", "16MiB", "--", EPCRUN, "--size", "8MiB", "--", "/bin/true")

    def test_statistics_that_could_not_be_written(self):
        self.refused(1, "--json", "-q", "--size", "8MiB", "--json", self.folder / "no/such/folder.json", "--", "/bin/true")

    def test_help_says_what_it_is_not(self):
        done = harness.run_program(EPCRUN, "--help")
        self.assertEqual(done.code, 0)
        for words in ("Examples:", "not: an enclave", "Nothing is isolated", "Not charged: code"):
            self.assertIn(words, done.out.replace("\n", " "))


class Statistics(EpcTest):
    def test_json(self):
        done, stats = self.inside("8MiB", compiled("patterns"), 32, 2, 0)
        self.assertEqual(done.code, 0, str(done))
        keys = ("faults loads evictions zero_fills sealed_bytes opened_bytes pager_seconds peak_wanted_bytes limit_bytes "
                "resident_peak_bytes exit_code threads marks swap children system_calls code_bytes outside_bytes")
        self.assertEqual([key for key in keys.split() if key not in stats], [])
        self.assertEqual(stats["limit_bytes"], 8 * MIB)
        self.assertEqual(stats["opened_bytes"], stats["loads"] * 4096)
        self.assertEqual(stats["sealed_bytes"], stats["evictions"] * 4096)
        self.assertGreaterEqual(stats["peak_wanted_bytes"], 32 * MIB)
        self.assertLess(stats["peak_wanted_bytes"], 40 * MIB)
        self.assertGreaterEqual(stats["faults"], stats["loads"] + stats["zero_fills"] - stats["system_calls"] * 64)
        self.assertEqual(sum(thread["loads"] for thread in stats["threads"]), stats["loads"])
        swap = stats["swap"]
        self.assertAlmostEqual(sum(swap[key] for key in ("crypto_us", "mapping_us", "rest_us")), swap["total_us"],
                               places=6)
        self.assertGreater(stats["wall_seconds"] * len(stats["threads"]), stats["pager_seconds"])

    def test_to_stdout_and_in_words(self):
        done = harness.run_program(EPCRUN, "--size", "8MiB", "--json", "-", "--", "/bin/true")
        self.assertEqual(done.json["exit_code"], 0)
        for word in ("epcrun: limit 8 MiB", "first touches", "outside: code"):
            self.assertIn(word, done.err)

    def test_no_limit_only_counts(self):
        done, stats = self.inside("unlimited", compiled("patterns"), 32, 1, 0)
        self.assertEqual(done.code, 0, str(done))
        self.assertIsNone(stats["limit_bytes"])
        self.assertEqual((stats["loads"], stats["evictions"]), (0, 0))
        self.assertGreaterEqual(stats["zero_fills"], 32 * MIB // 4096)

    def test_marks(self):
        code = "import ctypes\nc = ctypes.CDLL(None)\nfor i in (5, 6): print(c.prctl(0x45504352, i, 0, 0, 0))"
        done, stats = self.inside("16MiB", PYTHON, "-c", code)
        self.assertEqual(done.out, "0\n0\n", str(done))
        self.assertEqual([mark["label"] for mark in stats["marks"]], [5, 6])

    def test_timeline(self):
        path = self.folder / "pages.csv"
        done, stats = self.inside("8MiB", compiled("patterns"), 32, 1, 1, options=("--timeline", path))
        self.assertEqual(done.code, 0, str(done))
        lines = path.read_text(encoding="ascii").splitlines()
        self.assertEqual(lines[0], "milliseconds,resident_bytes,wanted_bytes,loads,evictions,zero_fills")
        rows = np.array([[float(word) for word in line.split(",")] for line in lines[1:]])
        self.assertGreater(len(rows), 30)
        self.assertTrue((np.diff(rows[:, 0]) > 0).all())
        self.assertLessEqual(rows[:, 1].max(), 8 * MIB)
        for column, key in ((3, "loads"), (4, "evictions"), (5, "zero_fills")):
            self.assertEqual(rows[:, column].sum(), stats[key])

    def test_charged_cycles(self):
        def seconds_a_load(*options):
            done, stats = self.inside("8MiB", compiled("patterns"), 32, 1, 0, options=options)
            self.assertEqual(done.code, 0, str(done))
            return stats["pager_seconds"] / stats["loads"], stats
        _, plain = seconds_a_load()
        charged_seconds, charged = seconds_a_load("--charge-cycles", "400000")
        self.assertEqual(plain["charged_seconds"], 0)
        self.assertGreater(charged["charged_seconds"], 0)
        self.assertGreater(charged_seconds, 0.9 * 400000 / charged["ticks_per_second"])

    def test_calibrate(self):
        path = self.folder / "calibration.json"
        done = harness.run_program(EPCRUN, "--calibrate", "--json", path)
        self.assertEqual(done.code, 0, str(done))
        print(done.out)
        self.assertIn("--charge-cycles", done.out + "--charge-cycles" * ("slower" in done.out))
        swap = json.loads(path.read_text(encoding="utf-8"))["swap"]
        self.assertAlmostEqual(swap["us"], swap["fault_us"] + swap["crypto_us"] + swap["mapping_us"], places=6)
        self.assertGreater(min(swap[key] for key in ("fault_us", "crypto_us", "mapping_us")), 0)
        self.assertLess(swap["us"], 1000)


if __name__ == "__main__":
    harness.main()
