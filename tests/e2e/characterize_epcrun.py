"""`coracle characterize --measure`: page loads as predicted from a trace, beside those that epcrun counts."""

import os
import pathlib
import shutil
import signal
import subprocess
import time

import harness
from epc_harness import EPCRUN, EpcTest
from characterize import compiled_text, needs_tracer
from harness import MIB

PAGE = 4096
ERROR_MAX = 0.1
# turns MIB TURNS [HOW]: fills memory, then walks through it so many times, each turn between marks 2i and 2i + 1.
TURNS = r"""
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>
int main(int count, char** words) {
  size_t bytes = (size_t)atoi(words[1]) << 20;
  int turns = atoi(words[2]);
  const char* how = count > 3 ? words[3] : "";
  volatile char* memory = malloc(bytes);
  unsigned sum = 0;
  if (strcmp(how, "fails-inside") == 0 && prctl(0x45504352, 99, 0, 0, 0) == 0) return 9;
  memset((char*)memory, 1, bytes);
  for (int turn = 0; turn < turns; ++turn) {
    prctl(0x45504352, 2L * turn, 0, 0, 0);
    /* The first half twice as often. */
    for (size_t i = 0; i < bytes; i += 512) sum += (unsigned)memory[i] + (unsigned)memory[i / 2];
    prctl(0x45504352, 2L * turn + 1, 0, 0, 0);
  }
  if (strcmp(how, "sleeps-inside") == 0 && prctl(0x45504352, 99, 0, 0, 0) == 0) sleep(60);
  return (int)(sum % 2) + 7;
}
"""


class Measured(EpcTest):
    def setUp(self):
        needs_tracer()
        super().setUp()
        if EPCRUN != harness.BIN / "epcrun":
            self.skipTest("coracle runs the epcrun beside it, not CORACLE_EPCRUN")
        self.turns = compiled_text(TURNS, "characterize_turns")

    def characterize(self, *words, epc="4MiB,16MiB", options=(), program=harness.CORACLE):
        return harness.run_program(program, "characterize", "--json", "--granularity", "4KiB", "--epc", epc, *options,
                                   "--measure", "--", *words)

    def assert_close_at_each_size(self, found):
        for size in found["epc"]["sizes"]:
            measured = size["measured"]
            print(f"{size['bytes'] // MIB} MiB: {size['loads']} loads predicted, {measured['loads']} measured, LRU {size['lru_loads']}")
            self.assertNotIn("error", measured)
            self.assertGreater(measured["loads"], 0)
            self.assertLess(abs(size["loads"] - measured["loads"]), ERROR_MAX * measured["loads"])
            self.assertAlmostEqual(measured["difference"], size["loads"] / measured["loads"] - 1, places=9)
            self.assertLess(abs(size["evictions"] - measured["evictions"]), ERROR_MAX * measured["evictions"])

    def test_a_loop_larger_than_the_epc(self):
        done = self.characterize(self.turns, 24, 3)
        self.assertEqual(done.code, 7, str(done))
        self.assert_close_at_each_size(done.json)
        for size in done.json["epc"]["sizes"]:
            self.assertAlmostEqual(size["measured"]["first_touches"], 24 * MIB // PAGE, delta=100)

    def test_one_turn_between_marks(self):
        done = self.characterize(self.turns, 24, 3, options=("--from-mark", "2", "--to-mark", "3"))
        self.assertEqual(done.code, 7, str(done))
        # A turn loads the half that is walked in small steps too, and no more than twice all.
        for size in done.json["epc"]["sizes"]:
            measured = size["measured"]
            self.assertEqual(measured["first_touches"], 0)
            self.assertGreater(measured["loads"], (24 * MIB - size["bytes"]) // PAGE)
            self.assertLess(measured["loads"], 2 * 24 * MIB // PAGE)
        self.assert_close_at_each_size(done.json)

    def test_a_loop_that_nearly_fits(self):
        """Some pages more or less make the difference between no loads and all: what is charged must be known to the page."""
        done = self.characterize(self.turns, 8, 5, epc=",".join(f"{8192 + 64 * step}KiB" for step in range(6)))
        for size in done.json["epc"]["sizes"]:
            measured = size["measured"]["loads"]
            print(f"{size['bytes'] // 1024} KiB: {size['loads']} loads predicted, {measured} measured, LRU {size['lru_loads']}")
            # An eighth of a megabyte's worth of loads in each of five turns, or 10 %.
            self.assertLess(abs(size["loads"] - measured), max(ERROR_MAX * measured, 5 * 32))

    def test_what_fits_loads_hardly_anything(self):
        done = self.characterize(self.turns, 4, 2, epc="16MiB")
        size, = done.json["epc"]["sizes"]
        self.assertLess(size["measured"]["loads"], 64)
        self.assertLess(size["loads"], 64)

    def test_the_table_shows_both(self):
        done = harness.run_program(harness.CORACLE, "characterize", "--granularity", "4KiB", "--epc", "4MiB,8MiB", "--measure", "--",
                                   self.turns, 16, 2)
        self.assertEqual(done.code, 7, str(done))
        head = next(line for line in done.out.splitlines() if line.startswith("EPC"))
        for column in ("loads predicted", "loads measured", "difference", "loads (LRU)"):
            self.assertIn(column, head)
        row = next(line for line in done.out.splitlines() if line.startswith("4 MiB"))
        self.assertRegex(row, r"[+-]\d+\.\d\d %")

    def test_without_epcrun_nothing_is_traced(self):
        alone = self.folder / "bin"
        alone.mkdir()
        for name in ("coracle", "coracle-characterize", "libcoracle_tracer.so"):
            shutil.copy(harness.BIN / name, alone)
        begin = time.monotonic()
        done = self.characterize(self.turns, 64, 1000, program=alone / "coracle")
        self.assertEqual(done.code, 1, str(done))
        self.assertIn("epcrun is not beside coracle", done.err)
        self.assertLess(time.monotonic() - begin, 60)

    def test_a_program_that_fails_under_epcrun(self):
        """The rest of the report is there, and each size says what went wrong."""
        done = self.characterize(self.turns, 2, 1, "fails-inside")
        self.assertEqual(done.code, 7, str(done))
        for size in done.json["epc"]["sizes"]:
            self.assertEqual(size["measured"], {"error": "it ended with 9 under epcrun, and with 7 when it was traced"})

    def test_a_program_that_epcrun_refuses(self):
        static = compiled_text(TURNS, "characterize_turns_static", "-static")
        done = self.characterize(static, 2, 1)
        self.assertEqual(done.code, 7, str(done))
        for size in done.json["epc"]["sizes"]:
            self.assertIn("static", size["measured"]["error"])

    def interrupted(self, *words, when):
        """The report of a run that gets Ctrl-C a second after `when` is true of it."""
        words = [harness.CORACLE, "characterize", "--json", "--granularity", "4KiB", "--epc", "4MiB,16MiB", "--measure", "--", *words]
        run = subprocess.Popen([str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               start_new_session=True)
        self.addCleanup(run.stdout.close)
        self.addCleanup(run.stderr.close)
        try:
            deadline = time.monotonic() + 120
            while not when(run) and time.monotonic() < deadline:
                time.sleep(0.1)
            time.sleep(1)
            # As a terminal does: to all of its processes.
            os.killpg(run.pid, signal.SIGINT)
            out, err = run.communicate(timeout=60)
        finally:
            if run.poll() is None:
                os.killpg(run.pid, signal.SIGKILL)
        return harness.Finished(run.returncode, out, err).json

    def test_ctrl_c_while_measuring_keeps_the_report(self):
        found = self.interrupted(self.turns, "1", "1", "sleeps-inside", when=lambda run: self.runs(run, "epcrun"))
        self.assertTrue(found["complete"])
        for size in found["epc"]["sizes"]:
            self.assertEqual(size["measured"], {"error": "interrupted"})

    def test_ctrl_c_while_tracing_measures_nothing(self):
        found = self.interrupted(self.turns, "64", "100000", when=lambda run: self.runs(run, "qemu-x86_64"))
        self.assertFalse(found["complete"])
        self.assertEqual(found["ending"], "interrupted")
        for size in found["epc"]["sizes"]:
            self.assertEqual(size["measured"], {"error": "interrupted"})

    @staticmethod
    def runs(run, name):
        """Whether a child of it is `name`, with the program."""
        children = pathlib.Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text(encoding="ascii").split()
        for child in children:
            command = pathlib.Path(f"/proc/{child}/cmdline").read_text(encoding="utf-8")
            if f"{name}\0" in command and "characterize_turns" in command:
                return True
        return False


class Hosts(EpcTest):
    """What the reference engines' programs offer to a tracer."""

    def marks(self, *words):
        done, stats = self.inside("64MiB", *words)
        self.assertEqual(done.code, 0, str(done))
        return done.json, [mark["label"] for mark in stats["marks"]]

    def darknet(self, *options):
        """The marks it made, and its outputs."""
        cfg = harness.needs_file(harness.DARKNET / "cfg/tiny.cfg", "darknet")
        harness.needs_host("make_darknet_weights")
        report, labels = self.marks(harness.needs_host("darknet_host"), "--cfg", cfg, "--weights", harness.generated_weights(cfg),
                                    "--output", self.folder / "out", *options)
        return labels, [pathlib.Path(output["file"]).read_bytes() for output in report["outputs"]]

    def test_darknets_quick_start_predicts_the_same(self):
        labels, outputs = self.darknet()
        self.assertEqual(labels, [0, 1])
        self.assertEqual(self.darknet("--quick-start"), ([0, 1], outputs))
        self.assertEqual(self.darknet("--quick-start", "--repeat", 2), ([0, 1, 2, 3], outputs))

    def test_onnxruntime_repeats(self):
        words = (harness.needs_host("ort_host"), "--library", harness.needs_asset("ort/libonnxruntime.so.1"), "--model",
                 harness.TINY_CNN)
        self.assertEqual(self.marks(*words)[1], [0, 1])
        self.assertEqual(self.marks(*words, "--repeat", 3)[1], [0, 1, 2, 3, 4, 5])


if __name__ == "__main__":
    harness.main()
