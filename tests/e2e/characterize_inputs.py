"""`coracle characterize --compare-inputs`: Coracle touches the same addresses whatever its input is, and programs that do
not are found out, with the function that is to blame."""

import pathlib
import subprocess
import tempfile
import unittest

import numpy as np

import characterize
import harness
import parity_sequences
import quantised_models

LEAKS = r"""
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
/* leaks HOW FILE: depends on the file's first byte in some way. */
#define NOINLINE __attribute__((noinline))
static unsigned char table[1 << 16] __attribute__((aligned(4096)));
static volatile unsigned sum;
NOINLINE static void look_up_in_line(unsigned x) { sum += table[x % 16]; }
NOINLINE static void look_up_lines(unsigned x) { sum += table[64 * (x % 16)]; }
NOINLINE static void look_up_pages(unsigned x) { sum += table[4096 * (x % 16)]; }
NOINLINE static void write_or_read(unsigned x) { if (x & 1) *(volatile unsigned char*)table = 1; else sum += table[0]; }
NOINLINE __attribute__((aligned(64))) static void go_one_way(void) { sum += 1; }
NOINLINE __attribute__((aligned(64))) static void go_other_way(void) { sum += 3; }
NOINLINE __attribute__((aligned(64))) static void branch_by_bits(unsigned x) {
  for (int bit = 0; bit < 8; ++bit) {
    if (x >> bit & 1) go_one_way(); else go_other_way();
  }
}
NOINLINE __attribute__((aligned(64))) static void skip_by_bits(unsigned x) {
#pragma GCC unroll 1
  for (int bit = 0; bit < 8; ++bit) {
    if (x >> bit & 1) __asm__ volatile("nop; nop");
  }
}
NOINLINE static void loop_by_bits(unsigned x) {
  while (x != 0) { sum += x; x >>= 1; }
}
NOINLINE static void look_up_by_time(void) {
  struct timespec now;
  for (int i = 0; i < 64; ++i) {
    clock_gettime(CLOCK_MONOTONIC, &now);
    sum += table[64 * (now.tv_nsec / 256 % 64)];
  }
}
int main(int count, char** words) {
  unsigned char x = 0;
  const char* how = words[1];
  int file = open(words[count - 1], O_RDONLY);
  if (file < 0 || read(file, &x, 1) != 1) return 3;
  if (strcmp(how, "before") == 0) look_up_pages(x);
  prctl(0x45504352, 6, 0, 0, 0);
  for (int i = 0; i < 100; ++i) {
    if (strcmp(how, "line") == 0) look_up_in_line(x);
    if (strcmp(how, "lines") == 0) look_up_lines(x);
    if (strcmp(how, "pages") == 0) look_up_pages(x);
    if (strcmp(how, "writes") == 0) write_or_read(x);
    if (strcmp(how, "branch") == 0) branch_by_bits(x);
    if (strcmp(how, "skip") == 0) skip_by_bits(x);
    if (strcmp(how, "loop") == 0) loop_by_bits(x);
  }
  if (strcmp(how, "calls") == 0) syscall(x == 0x55 ? SYS_getppid : SYS_getpid);
  prctl(0x45504352, 7, 0, 0, 0);
  if (strcmp(how, "after") == 0) look_up_pages(x);
  if (strcmp(how, "time") == 0) look_up_by_time();
  if (strcmp(how, "stdin") == 0) return read(0, &x, 1) == 1 && x == 'x' ? 0 : 4;
  if (strcmp(how, "fork") == 0 && fork() == 0) _exit(0);
  if (strcmp(how, "fail") == 0) return 5;
  if (strcmp(how, "abort") == 0) abort();
  return 0;
}
"""


def compare(inputs, *words, options=()):
    return harness.run_program(harness.CORACLE, "characterize", "--json", "--compare-inputs", *inputs, *options, "--", *words)


class Leaks(unittest.TestCase):
    """A program that leaks in one way only."""

    def setUp(self):
        characterize.needs_tracer()
        harness.CACHE.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(dir=harness.CACHE)
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        # As many bits set, and none in common.
        self.inputs = [self.folder / "first.bin", self.folder / "second.bin"]
        for path, byte in zip(self.inputs, (0x55, 0xaa)):
            path.write_bytes(bytes([byte]))
        self.program = characterize.compiled_text(LEAKS, "characterize_leaks")

    def run_leak(self, how, options=()):
        return compare(self.inputs, self.program, how, "{}", options=options)

    def find(self, how, differs, options=()):
        """Compares, and checks which of pages, lines, code and calls differ. Returns the JSON."""
        done = self.run_leak(how, options)
        self.assertEqual(done.code, 1 if differs else 0, str(done))
        found = done.json
        self.assertEqual(found["verdict"], "differs" if differs else "same", how)
        wrong = [kind for kind in ("pages", "lines", "code", "calls") if found[kind] == "differs"]
        self.assertEqual(wrong, differs, how)
        return found

    def first_function(self, found):
        differences = found["inputs"][1]["differences"]
        function, instruction = differences["functions"][0], differences["instructions"][0]
        self.assertEqual(function["function"], instruction["function"])
        self.assertEqual(function["file"], self.program.name)
        return function

    def test_within_a_line_nothing_is_seen(self):
        found = self.find("line", [])
        self.assertEqual(found["inputs"][0]["threads"], found["inputs"][1]["threads"])
        self.assertGreater(found["inputs"][0]["threads"][0]["data_lines"]["items"], 100)
        self.assertIsNone(found["inputs"][1]["differences"])

    def test_a_table_of_lines(self):
        function = self.first_function(self.find("lines", ["lines"]))
        self.assertEqual(function["function"], "look_up_lines")
        self.assertEqual((function["lines"], function["pages"], function["jumps"]), (1, 0, 0))

    def test_a_table_of_pages(self):
        function = self.first_function(self.find("pages", ["pages", "lines"]))
        self.assertEqual(function["function"], "look_up_pages")
        self.assertEqual((function["lines"], function["pages"], function["jumps"]), (0, 1, 0))

    def test_a_branch(self):
        # Both ways as often, in another order.
        function = self.first_function(self.find("branch", ["lines", "code"]))
        self.assertEqual(function["function"], "branch_by_bits")
        self.assertGreaterEqual(function["jumps"], 1)

    def test_a_branch_within_a_line(self):
        function = self.first_function(self.find("skip", ["code"]))
        self.assertEqual(function["function"], "skip_by_bits")

    def test_a_loop(self):
        found = self.find("loop", ["lines", "code"])
        self.assertEqual(self.first_function(found)["function"], "loop_by_bits")

    def test_a_write_that_depends(self):
        found = self.find("writes", ["pages", "lines", "code"])
        self.assertEqual(self.first_function(found)["function"], "write_or_read")

    def test_system_calls(self):
        found = self.find("calls", ["calls"])
        calls = {call["name"]: call["calls"] for call in found["inputs"][1]["differences"]["system_calls"]}
        self.assertEqual(calls, {"getpid": [0, 1], "getppid": [1, 0]})

    def test_only_what_lies_between_the_marks(self):
        between = ("--from-mark", "6", "--to-mark", "7")
        self.find("before", ["pages", "lines"])
        self.find("before", [], between)
        self.find("after", [], between)
        self.find("pages", ["pages", "lines"], between)

    def test_what_is_not_deterministic_cannot_be_judged(self):
        done = self.run_leak("time")
        self.assertEqual(done.code, 1, str(done))
        found = done.json
        self.assertEqual(found["verdict"], "cannot be judged")
        differences = found["again"]["differences"]
        self.assertEqual(differences["between"], [str(self.inputs[0])] * 2)
        self.assertEqual(differences["functions"][0]["function"], "look_up_by_time")

    def test_the_text_says_where(self):
        done = harness.run_program(harness.CORACLE, "characterize", "--compare-inputs", *self.inputs, "--", self.program,
                                   "lines", "{}")
        self.assertEqual(done.code, 1, str(done))
        for part in ("DEPENDS ON THE INPUT: lines (data)", "look_up_lines", f"{self.program.name}+0x", "first.bin"):
            self.assertIn(part, done.out)

    def test_each_run_reads_standard_input_anew(self):
        path = self.folder / "stdin"
        path.write_text("yx", encoding="ascii")
        with open(path, "rb") as file:
            file.seek(1)
            done = subprocess.run([harness.CORACLE, "characterize", "--compare-inputs", *self.inputs, "--",
                                           self.program, "stdin", "{}"], stdin=file, capture_output=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_options_behind_the_mark_are_the_programs_own(self):
        done = compare(self.inputs, self.program, "lines", "--key", "--no-such-option", "{}")
        self.assertEqual(done.code, 1, str(done))
        self.assertEqual(done.json["command"][1:4], ["lines", "--key", "--no-such-option"])

    def refuse(self, inputs, *words, options=()):
        done = compare(inputs, *words, options=options)
        self.assertIn(done.code, (1, 2), str(done))
        self.assertEqual(len([line for line in done.err.splitlines() if line.startswith("coracle:")]), 1, str(done))
        return done.err

    def test_refusals(self):
        program, (first, second) = self.program, self.inputs
        self.assertIn("where the input goes", self.refuse(self.inputs, program, "line"))
        self.assertIn("is not a file", self.refuse((first, self.folder / "none.bin"), program, "line", "{}"))
        other = self.folder / "x.npy"
        other.write_bytes(b"U")
        self.assertIn("different kinds", self.refuse((first, other), program, "line", "{}"))
        self.assertIn("exit code 5", self.refuse(self.inputs, program, "fail", "{}"))
        self.assertIn("signal 6", self.refuse(self.inputs, program, "abort", "{}"))
        self.assertIn("starts other processes", self.refuse(self.inputs, program, "fork", "{}"))
        self.assertIn("mark", self.refuse(self.inputs, program, "line", "{}", options=("--from-mark", "3")))
        self.assertIn("leave --measure", self.refuse(self.inputs, program, "line", "{}", options=("--measure",)))


class Oblivious(harness.CoracleTest):
    """The addresses that the engine touches depend on the model and its plan alone."""

    def setUp(self):
        characterize.needs_tracer()
        super().setUp()

    def inputs(self, shape):
        """Zeros, noise, a smooth picture with an edge, and what arithmetic treats specially."""
        random = np.random.default_rng(5)
        ramp = np.linspace(-1, 1, int(np.prod(shape))).reshape(shape)
        picture = np.sin(9 * ramp) * np.cos(40 * ramp) + (ramp > 0.3)
        odd = np.resize(np.array([1e30, -1e30, 1e-40, -0.0, 88.8, -104], np.float32), shape)
        return [self.save(array, f"{name}.npy") for name, array in
                (("zeros", np.zeros(shape)), ("noise", random.normal(0, 1, shape)), ("picture", picture), ("odd", odd))]

    def check(self, model, shape, *options, inputs=None):
        sealed = self.seal(model)
        done = self.coracle("characterize", sealed, "--key", self.key, *options, "--json", "--compare-inputs",
                            *(inputs or self.inputs(shape)))
        self.assertIn(done.code, (0, 1), str(done))
        found = done.json
        differences = [run["differences"] for run in (*found["inputs"], found["again"]) if run and run["differences"]]
        self.assertEqual((found["verdict"], differences), ("same", []))
        self.assertEqual(done.code, 0)
        touched = found["inputs"][0]["threads"][0]["data_lines"]["items"]
        print(f"{touched} lines touched, the same with {len(found['inputs'])} inputs, {options}")
        self.assertGreater(touched, 10000)

    def least(self, model):
        """A budget in which layers are cut to bands and weights stream."""
        plan = self.succeed("plan", model, "--exact", "--weights", "fp32", "--json").json
        return ("--memory", str(plan["least_budget_bytes"] * 5 // 4))

    def test_a_cnn(self):
        shape = (1, 3, 32, 32)
        self.check(harness.TINY_CNN, shape)
        self.check(harness.TINY_CNN, shape, *self.least(harness.TINY_CNN))

    def test_photographs(self):
        try:
            from PIL import Image
        except ImportError:
            self.skipTest("python3-pil is not installed")
        files = quantised_models.pictures()[:2]
        if not files:
            self.skipTest("there are no photographs: set CORACLE_MODELS")
        inputs = self.inputs((1, 3, 32, 32))[:1]
        for path in files:
            with Image.open(path) as picture:
                pixels = np.asarray(picture.convert("RGB").resize((32, 32)), np.float32)
            inputs.append(self.save(pixels.transpose(2, 0, 1)[None] / 127.5 - 1, f"{path.stem}.npy"))
        self.check(harness.TINY_CNN, (1, 3, 32, 32), inputs=inputs)

    def test_a_recurrent_model(self):
        for kind in ("LSTM", "GRU"):
            model = parity_sequences.recurrent(kind, 6, 1, 20, 24, "bidirectional").save(self.folder / f"{kind}.onnx")
            self.check(model, (6, 1, 20))

    def test_attention(self):
        model = parity_sequences.transformer_block(1, 24, 2, 32, "constant").save(self.folder / "attention.onnx")
        self.check(model, (1, 24, 32))
        self.check(model, (1, 24, 32), *self.least(model))


if __name__ == "__main__":
    harness.main()
