"""`coracle characterize`: what it counts of programs whose behaviour is known, and how it ends."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

import harness
from harness import MIB

PAGE = 4096
LOOP = r"""
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* loop MIB TURNS: fills memory, then reads it so many times. */
int main(int count, char** words) {
  size_t bytes = (size_t)atoi(words[1]) << 20;
  int turns = atoi(words[2]);
  volatile char* memory = malloc(bytes);
  unsigned sum = 0;
  memset((char*)memory, 1, bytes);
  for (int turn = 0; turn < turns; ++turn)
    for (size_t i = 0; i < bytes; i += 64) sum += (unsigned)memory[i];
  write(1, "done\n", 5);
  return count > 3 ? (int)(sum % 256) : 7;
}
"""
ENDINGS = r"""
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
static void* idle(void* p) { return p; }
static void handle(int number) { (void)number; }
int main(int count, char** words) {
  const char* how = words[count - 1];
  if (strcmp(how, "crash") == 0) { sleep(1); *(volatile int*)16 = 1; }
  if (strcmp(how, "abort") == 0) abort();
  if (strcmp(how, "fork") == 0) {
    int status = 0;
    pid_t child = fork();
    if (child == 0) { for (volatile int i = 0; i < 1000000; ++i) {} _exit(9); }
    waitpid(child, &status, 0);
    return WEXITSTATUS(status);
  }
  if (strcmp(how, "exec") == 0) execl("/bin/true", "true", (char*)0);
  if (strcmp(how, "threads") == 0) {
    pthread_t threads[3];
    for (int i = 0; i < 3; ++i) pthread_create(&threads[i], 0, idle, 0);
    for (int i = 0; i < 3; ++i) pthread_join(threads[i], 0);
    signal(SIGUSR1, handle);
    raise(SIGUSR1);
  }
  if (strcmp(how, "forever") == 0) for (;;) { volatile char x[64]; x[0] = 1; (void)x; }
  return 0;
}
"""

ALLOCATIONS = r"""
#include <malloc.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
/* allocations: known blocks from known functions; marks 1 and 2 around the last of them. */
#define OUT_OF_LINE __attribute__((noinline))
static jmp_buf back;
void* volatile kept;
OUT_OF_LINE void jump_out(int depth) {
  volatile char frame[64];
  frame[0] = 1;
  if (depth == 0) longjmp(back, 1);
  jump_out(depth - 1);
  frame[1] = 1;
}
OUT_OF_LINE void* make_buffer(size_t bytes) {
  void* block = malloc(bytes);
  memset(block, 1, bytes);
  return block;
}
OUT_OF_LINE void* grow_buffer(void* block, size_t bytes) {
  block = realloc(block, bytes);
  memset(block, 1, bytes);
  return block;
}
OUT_OF_LINE void* make_aligned(size_t bytes) {
  void* block = 0;
  if (posix_memalign(&block, 64, bytes) != 0) abort();
  memset(block, 1, bytes);
  return block;
}
OUT_OF_LINE void small_ones(void) {
  for (int i = 0; i < 100; ++i) { kept = malloc(100); free(kept); }
}
OUT_OF_LINE void use(char* block, size_t bytes) {
  for (size_t i = 0; i < bytes; i += 64) ++((volatile char*)block)[i];
}
OUT_OF_LINE void* build(void) {
  if (setjmp(back) == 0) jump_out(20);
  kept = grow_buffer(make_buffer(100000), 300000);
  free(kept);
  free(make_aligned(50000));
  kept = calloc(3000, 4);
  free(kept);
  return make_buffer(1 << 20);
}
int main(void) {
  char* block = build();
  prctl(0x45504352, 1, 0, 0, 0);
  small_ones();
  use(block, 1 << 20);
  prctl(0x45504352, 2, 0, 0, 0);
  for (int turn = 0; turn < 10; ++turn) use(block, 1 << 20);
  free(block);
  return 3;
}
"""

PRELOADED = r"""
#include <unistd.h>
__attribute__((constructor)) static void begin(void) { write(2, "preloaded\n", 10); }
"""


def needs_tracer():
    if shutil.which("qemu-x86_64") is None:
        raise unittest.SkipTest("qemu-x86_64 is not there: install qemu-user")
    tracer = (harness.BIN / "libcoracle_tracer.so").read_bytes()
    if b"__asan_init" in tracer or b"__tsan_init" in tracer:
        raise unittest.SkipTest("a sanitizer's runtime cannot be loaded into QEMU")


def compiled_text(text, name, *options):
    with harness.cache_entry(f"{name}.c") as source:
        if not source.exists() or source.read_text(encoding="ascii") != text:
            source.write_text(text, encoding="ascii")
    return harness.compiled(source, name, *options)


def strace_counts(*command):
    """{name: calls} of `strace -c -f`, without the execve that starts the program."""
    with tempfile.NamedTemporaryFile("r", dir=harness.CACHE) as table:
        # A pipe, as under run_program: what a program writes to changes its calls.
        subprocess.run(["strace", "-c", "-f", "-o", table.name, *command], capture_output=True, timeout=120, check=False)
        rows = [line.split() for line in table.read().splitlines()]
    counts = {row[-1]: int(row[3]) for row in rows if re.fullmatch(r"[0-9.]+", row[0]) and row[-1] != "total"}
    counts.pop("execve")
    return counts


class Characterize(unittest.TestCase):
    def setUp(self):
        needs_tracer()
        harness.CACHE.mkdir(parents=True, exist_ok=True)

    def trace(self, *words, options=()):
        return harness.run_program(harness.CORACLE, "characterize", "--json", *options, "--", *words)

    def test_a_loop_is_counted_exactly(self):
        loop = compiled_text(LOOP, "characterize_loop", "-static")
        done = self.trace(loop, 8, 5, options=("--epc", "4MiB,16MiB"))
        self.assertEqual(done.code, 7, str(done))
        self.assertIn("done", done.err)
        found = done.json
        self.assertTrue(found["complete"])
        pages = 8 * MIB // PAGE
        largest = found["mappings"][0]
        self.assertAlmostEqual(largest["touched_bytes"], 8 * MIB, delta=2 * PAGE)
        self.assertAlmostEqual(largest["reads"], 5 * 8 * MIB // 64, delta=100)
        small, large = found["epc"]["sizes"]
        self.assertAlmostEqual(small["loads"], 5 * pages, delta=200)
        self.assertEqual(large["loads"], 0)
        self.assertTrue(any("give it" in advice["what"] for advice in found["advice"]))

    def test_predicted_loads_are_those_of_epcrun(self):
        epcrun = harness.BIN / "epcrun"
        if not epcrun.exists():
            self.skipTest("epcrun was not built")
        loop = compiled_text(LOOP, "characterize_shared_loop")
        found = self.trace(loop, 24, 3, options=("--epc", "4MiB,16MiB,32MiB")).json
        for size in found["epc"]["sizes"]:
            measured = pathlib.Path(tempfile.mkdtemp(dir=harness.CACHE)) / "stats.json"
            self.addCleanup(shutil.rmtree, measured.parent)
            done = harness.run_program(epcrun, "--size", f"{size['bytes'] // MIB}MiB", "--json", measured, "--", loop, 24, 3)
            self.assertEqual(done.code, 7, str(done))
            loads = json.loads(measured.read_text(encoding="ascii"))["loads"]
            print(f"{size['bytes'] // MIB} MiB: {size['loads']} loads predicted, {loads} measured")
            self.assertAlmostEqual(size["loads"], loads, delta=max(0.1 * loads, 64))

    def test_system_calls_equal_those_of_strace(self):
        if shutil.which("strace") is None:
            self.skipTest("strace is not there")
        for command in (["/bin/echo", "hello"], ["/bin/ls", "-l", str(harness.SOURCE / "docs")],
                        ["/usr/bin/sha256sum", str(harness.TINY_CNN)]):
            done = self.trace(*command)
            self.assertEqual(done.code, 0, str(done))
            ours = {call["name"]: call["calls"] for call in done.json["system_calls"]}
            # It does not return, so that strace -c does not count it.
            self.assertEqual(ours.pop("exit_group"), 1)
            self.assertEqual(ours, strace_counts(*command), command)

    def test_text_names_what_was_found(self):
        loop = compiled_text(LOOP, "characterize_loop", "-static")
        done = harness.run_program(harness.CORACLE, "characterize", "--sample", "0.1", "--granularity", "64,1KiB",
                                   "--", loop, 4, 2)
        for part in ("exit code 7", "system calls", "heap", "4 KiB", "1 KiB", "sampled", "working set", "EPC", "advice"):
            self.assertIn(part, done.out)


class Allocations(unittest.TestCase):
    """What a program allocates, and from where; and what lies between its marks."""

    def setUp(self):
        needs_tracer()
        harness.CACHE.mkdir(parents=True, exist_ok=True)

    def trace(self, *options, flags=(), name="characterize_allocations", environment=None):
        # Functions as they are written: what calls last would else jump.
        program = compiled_text(ALLOCATIONS, name, "-O1", "-fno-optimize-sibling-calls", *flags)
        done = harness.run_program(harness.CORACLE, "characterize", "--json", *options, "--", program,
                                   environment=environment)
        self.assertEqual(done.code, 3, str(done))
        return done

    def test_objects_are_known_by_who_asked_for_them(self):
        found = self.trace().json
        self.assertEqual(found["allocations"], {"followed": True})
        objects = {(one["path"][0], one["bytes"]): one for one in found["objects"]}
        for function, size, caller in (("make_buffer", 100000, "build"), ("grow_buffer", 300000, "build"),
                                       ("make_aligned", 50000, "build"), ("build", 12000, "main"),
                                       ("make_buffer", 1 << 20, "build")):
            self.assertIn((function, size), objects)
            self.assertEqual(objects[function, size]["path"][1], caller)
        large = objects["make_buffer", 1 << 20]
        self.assertEqual(large["path"][:3], ["make_buffer", "build", "main"])
        self.assertAlmostEqual(large["touched_bytes"], 1 << 20, delta=PAGE)
        # memset is the C library's own.
        self.assertEqual(large["readers"][0], {"function": "use", "bytes": 11 * (1 << 20) // 64})
        self.assertIsNotNone(large["freed_at"])
        self.assertGreater(objects["grow_buffer", 300000]["allocated_at"], objects["make_buffer", 100000]["allocated_at"])
        self.assertTrue(any(one["name"] == "use" for one in found["functions"]))

    def test_what_lies_between_two_marks(self):
        whole = self.trace().json
        found = self.trace("--from-mark", "1", "--to-mark", "2").json
        self.assertTrue(found["complete"])
        self.assertTrue(found["from_mark_seen"])
        self.assertTrue(found["to_mark_seen"])
        self.assertEqual(found["small_allocations"], [{"bytes_max": 256, "count": 100, "bytes": 10000}])
        calls = {call["name"]: call["calls"] for call in found["system_calls"]}
        self.assertEqual(calls, {"prctl": 1})
        touches = (1 << 20) // 64
        self.assertGreater(found["accesses"]["count"], 2 * touches)
        self.assertLess(found["accesses"]["count"], 3 * touches)
        self.assertLess(sum(found["patterns"].values()), 3 * touches)
        self.assertGreater(whole["accesses"]["count"], 20 * touches)

    def test_a_mark_that_never_comes_is_said(self):
        done = self.trace("--from-mark", "77", "--to-mark", "2")
        self.assertIn("never marked 77", done.err)
        self.assertIn("never marked 2 behind that", done.err)
        self.assertFalse(done.json["from_mark_seen"])
        self.assertFalse(done.json["to_mark_seen"])
        self.assertGreater(done.json["accesses"]["count"], 10000)

    def test_a_statically_linked_program_tells_nothing(self):
        found = self.trace(flags=("-static",), name="characterize_allocations_static").json
        self.assertFalse(found["allocations"]["followed"])
        self.assertIn("statically linked", found["allocations"]["why_not"])
        self.assertNotIn("small_allocations", found)

    def test_what_the_user_preloads_is_preloaded_too(self):
        library = compiled_text(PRELOADED, "characterize_preloaded", "-shared", "-fPIC")
        done = self.trace(environment={"LD_PRELOAD": str(library)})
        self.assertIn("preloaded", done.err)
        self.assertTrue(done.json["allocations"]["followed"])

    def test_a_run_can_be_repeated_address_by_address(self):
        first, second = (self.trace().json for _ in range(2))
        for key in ("accesses", "patterns", "lines", "reuse", "small_allocations"):
            self.assertEqual(first[key], second[key], key)


class Endings(unittest.TestCase):
    def setUp(self):
        needs_tracer()
        harness.CACHE.mkdir(parents=True, exist_ok=True)

    def end(self, how):
        program = compiled_text(ENDINGS, "characterize_endings", "-pthread")
        return harness.run_program(harness.CORACLE, "characterize", "--json", "--", program, how)

    def test_threads_and_signals(self):
        found = self.end("threads").json
        self.assertEqual(found["threads_started"], 3)
        self.assertEqual(found["signals"], {"handled": 1, "sent": 1})

    def test_a_child_is_counted_and_not_followed(self):
        done = self.end("fork")
        self.assertEqual(done.code, 9, str(done))
        self.assertTrue(done.json["complete"])
        self.assertEqual(done.json["processes_started"], 1)
        self.assertLess(done.json["accesses"]["count"], 1000000)

    def test_exec_is_said(self):
        done = self.end("exec")
        self.assertEqual(done.code, 0, str(done))
        self.assertIn("execve", done.json["ending"])

    def test_a_crash_leaves_a_partial_report(self):
        for how, number in (("crash", signal.SIGSEGV), ("abort", signal.SIGABRT)):
            done = self.end(how)
            self.assertEqual(done.code, 128 + number, str(done))
            self.assertFalse(done.json["complete"])
            self.assertEqual(done.json["signal"], number)
            self.assertGreater(done.json["accesses"]["count"], 10000)
            calls = {call["name"]: call["calls"] for call in done.json["system_calls"]}
            # Up to the very end.
            self.assertIn("clock_nanosleep" if how == "crash" else "tgkill", calls)

    def test_control_c_leaves_a_partial_report(self):
        program = compiled_text(ENDINGS, "characterize_endings", "-pthread")
        with subprocess.Popen([harness.CORACLE, "characterize", "--json", "--", program, "forever"],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True) as traced:
            time.sleep(3)
            os.killpg(traced.pid, signal.SIGINT)
            out, _ = traced.communicate(timeout=60)
        self.assertEqual(traced.returncode, 128 + signal.SIGINT)
        found = json.loads(out)
        self.assertEqual(found["ending"], "interrupted")
        self.assertFalse(found["complete"])
        self.assertGreater(found["accesses"]["count"], 1000)

    def test_arguments_need_not_be_text(self):
        done = subprocess.run([harness.CORACLE, "characterize", "--json", "--", "/bin/echo", b"\xff\xfe"],
                              capture_output=True, timeout=120, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout)["exit_code"], 0)

    def refuse(self, *words, environment=None):
        done = harness.run_program(harness.CORACLE, "characterize", *words, environment=environment)
        self.assertIn(done.code, (1, 2), str(done))
        self.assertEqual(len(done.err.splitlines()), 1, str(done))
        return done.err

    def test_refusals_are_one_line(self):
        self.assertIn("no such program", self.refuse("--", "no-such-program-anywhere"))
        self.assertIn("No such file", self.refuse("--", "/nowhere/at/all"))
        self.assertIn("no ELF", self.refuse("--", self.not_a_program(b"hello")))
        # A program of 64-bit ARM: its machine is 183.
        elf = bytearray(pathlib.Path("/bin/true").read_bytes()[:4096])
        elf[18:20] = b"\xb7\x00"
        self.assertIn("64-bit ARM", self.refuse("--", self.not_a_program(bytes(elf))))
        self.assertIn("--epc", self.refuse("--epc", "5000", "--", "/bin/true"))
        self.assertIn("--granularity", self.refuse("--granularity", "100", "--", "/bin/true"))
        with tempfile.TemporaryDirectory(dir=harness.CACHE) as empty:
            self.assertIn("install Debian's package qemu-user",
                          self.refuse("--", "/bin/true", environment={"PATH": empty}))

    def not_a_program(self, content):
        folder = tempfile.TemporaryDirectory(dir=harness.CACHE)
        self.addCleanup(folder.cleanup)
        path = pathlib.Path(folder.name) / "file"
        path.write_bytes(content)
        path.chmod(0o755)
        return path


if __name__ == "__main__":
    harness.main()
