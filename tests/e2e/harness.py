"""What every end-to-end test uses: the programs under test, reference engines, cached models, comparison.

A test file is a unittest module. `tests/e2e/X.py Class.test_method` runs one test, and exits 77 if all that ran was skipped,
saying why. From the environment: CORACLE_BIN (folder of `coracle`), CORACLE_E2E_CACHE (generated models),
CORACLE_ASSETS (as tools/fetch_assets lays out), CORACLE_MODELS (optional further models), CORACLE_SLOW=1.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import numpy as np

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("CORACLE_BIN") or SOURCE / "build/release/bin")
CACHE = pathlib.Path(os.environ.get("CORACLE_E2E_CACHE") or BIN.parent / "e2e-cache")
ASSETS = pathlib.Path(os.environ.get("CORACLE_ASSETS") or SOURCE / "build/assets")
MODELS = pathlib.Path(os.environ.get("CORACLE_MODELS") or SOURCE.parent / "shared/models")
DARKNET = pathlib.Path("/usr/share/darknet")
SLOW = os.environ.get("CORACLE_SLOW", "0") not in ("", "0")

CORACLE = BIN / "coracle"
MIB = 1 << 20
# What a process needs beside its budget: the program itself, its libraries, stacks.
PROCESS_BYTES = 16 * MIB
PARITY = 1e-4
PARITY_WINOGRAD = 1e-3  # of a model that was sealed without --exact
PROGRAM_SECONDS = 1200
EXIT_SKIPPED = 77

OCR_DET = "ocr/ch_PP-OCRv4_det_infer.onnx"
OCR_REC = "ocr/ch_PP-OCRv4_rec_infer.onnx"
OCR_CLS = "ocr/ch_ppocr_mobile_v2.0_cls_infer.onnx"
TINY_CNN = SOURCE / "tests/data/tiny_cnn.onnx"


class Finished:
    """How a program ended. A negative code is the signal that killed it."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    @property
    def json(self):
        return json.loads(self.out)

    def __str__(self):
        return f"exit {self.code}\nstdout: {self.out[:2000]}\nstderr: {self.err[:2000]}"


def run_program(*arguments, cwd=None, environment=None):
    done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True, errors="replace", cwd=cwd,
                          env={**os.environ, **(environment or {})}, timeout=PROGRAM_SECONDS, check=False)
    return Finished(done.returncode, done.stdout, done.stderr)


def wait_until_it_works(process):
    """Until a process has computed for so long that its start must be behind it."""
    ticks = 0.3 * os.sysconf("SC_CLK_TCK")
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        if int(fields[11]) + int(fields[12]) >= ticks:
            return
        time.sleep(0.02)
    raise AssertionError(f"the program did not get to work; exit code {process.poll()}")


LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.ptrace.argtypes = [ctypes.c_long] * 4
PTRACE_TRACEME, PTRACE_CONT, PTRACE_SETOPTIONS, PTRACE_O_TRACEEXIT = 0, 7, 0x4200, 0x40
STOPPED_AT_EXIT = signal.SIGTRAP | (6 << 8)


def peak_resident_bytes(*arguments):
    """Runs a program and reads its VmHWM, from outside, at the moment that it exits. Returns (its exit code, bytes).

    Not wait4's ru_maxrss: that one is never below what its parent, this interpreter, had when it forked.
    """
    program = subprocess.Popen([str(a) for a in arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               preexec_fn=lambda: LIBC.ptrace(PTRACE_TRACEME, 0, 0, 0))
    _, status = os.waitpid(program.pid, 0)
    if LIBC.ptrace(PTRACE_SETOPTIONS, program.pid, 0, PTRACE_O_TRACEEXIT) != 0:
        program.kill()
        raise unittest.SkipTest("ptrace is not allowed here")
    deliver, peak = 0, 0
    while not os.WIFEXITED(status) and not os.WIFSIGNALED(status):
        if status >> 8 == STOPPED_AT_EXIT:
            text = pathlib.Path(f"/proc/{program.pid}/status").read_text(encoding="ascii", errors="replace")
            peak = int(re.search(r"^VmHWM:\s*(\d+) kB$", text, re.M)[1]) * 1024
        LIBC.ptrace(PTRACE_CONT, program.pid, 0, deliver)
        _, status = os.waitpid(program.pid, 0)
        deliver = os.WSTOPSIG(status) if os.WIFSTOPPED(status) and status >> 8 != STOPPED_AT_EXIT else 0
    program.returncode = os.waitstatus_to_exitcode(status)
    return program.returncode, peak


def run_reference(*arguments):
    """A reference engine or generator, which must succeed. Returns its JSON line, if it prints one."""
    done = run_program(*arguments)
    if done.code != 0:
        raise RuntimeError(f"{arguments[0]} failed: {done}")
    return json.loads(done.out) if done.out.startswith("{") else None


class CoracleTest(unittest.TestCase):
    """A test with a temporary folder and an owner key in it."""

    sealing = None  # what the last `coracle seal --json` said

    def setUp(self):
        if not CORACLE.exists():
            self.fail(f"{CORACLE} is not there: build first, or set CORACLE_BIN")
        CACHE.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(prefix="run-", dir=CACHE)
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.key = self.make_key("owner.key")

    def make_key(self, name):
        self.succeed("keygen", "-o", self.folder / name)
        return self.folder / name

    def coracle(self, *arguments, **options):
        return run_program(CORACLE, *arguments, **options)

    def succeed(self, *arguments):
        done = self.coracle(*arguments)
        self.assertEqual(done.code, 0, f"{' '.join(map(str, arguments))}: {done}")
        return done

    def seal(self, model, *options, name="m.sealed", exact=True, weights="fp32"):
        """Seals in fp32 and exactly, as parity needs, unless told otherwise. Returns the sealed file's path."""
        sealed = self.folder / name
        sealed.unlink(missing_ok=True)
        done = self.succeed("seal", model, "-o", sealed, "--key", self.key, "--weights", weights, "--json",
                            *(("--exact",) if exact else ()), *options)
        self.sealing = done.json
        return sealed

    def algorithms(self, sealed):
        """The algorithms of a sealed model's convolutions."""
        layers = self.succeed("inspect", sealed, "--key", self.key, "--json").json["layers"]
        return {layer["algorithm"] for layer in layers if layer["algorithm"] is not None}

    def run_sealed(self, sealed, inputs, *options):
        """One `coracle run --json`. Returns its JSON and {output name: array}."""
        results = pathlib.Path(tempfile.mkdtemp(dir=self.folder))
        done = self.succeed("run", sealed, "--key", self.key, "--json", "--output", f"{results}/",
                            *input_options(inputs), *options)
        report = done.json
        arrays = {o["name"]: np.load(results / f"{file_stem(o['name'])}.npy") for o in report["outputs"]}
        shutil.rmtree(results)
        return report, arrays

    def plan(self, sealed, *options):
        return self.succeed("plan", sealed, "--key", self.key, "--json", *options).json

    def save(self, array, name="x.npy"):
        path = self.folder / name
        np.save(path, np.asarray(array, dtype=np.float32, order="C"))
        return path

    def random_input(self, shape, name="x.npy", low=-1.0, high=1.0):
        return self.save(np.random.default_rng(1).uniform(low, high, shape), name)

    def assert_one_line(self, done, *codes):
        """A refusal: one line for a person, an exit code, no crash."""
        self.assertIn(done.code, codes or (1, 2), str(done))
        lines = done.err.splitlines()
        self.assertEqual(len(lines), 1, f"not one line: {done}")
        self.assertTrue(lines[0].startswith("coracle: "), str(done))
        return lines[0]

    def assert_close(self, ours, theirs, what, bound=PARITY):
        """max |difference| <= bound of the largest magnitude of `theirs`."""
        self.assertEqual(ours.size, theirs.size, what)
        self.assertTrue(np.isfinite(theirs).all(), f"{what}: the reference is not finite")
        worst = relative_difference(ours, theirs)
        print(f"{what}: {worst:.2e} of the largest magnitude")
        self.assertLessEqual(worst, bound, what)


def relative_difference(ours, theirs):
    ours, theirs = ours.astype(np.float64).ravel(), theirs.astype(np.float64).ravel()
    largest = np.abs(theirs).max(initial=0)
    difference = np.abs(ours - theirs).max(initial=0)
    return float(difference / largest) if largest > 0 else float(difference)


def input_options(inputs):
    """`inputs`: a path for the only input, or {name: path}."""
    if not isinstance(inputs, dict):
        return ["--input", inputs]
    return [word for name, path in inputs.items() for word in ("--input", f"{name}={path}")]


def file_stem(output_name):
    return output_name.replace("/", "_")


def needs_asset(name):
    path = ASSETS / name
    if not path.exists():
        raise unittest.SkipTest(f"{name} is not among the assets: run tools/fetch_assets")
    return path


def needs_model(name):
    path = MODELS / name
    if not path.exists():
        raise unittest.SkipTest(f"{name} is not there: set CORACLE_MODELS to a folder that has it")
    return path


def needs_file(path, package):
    if not pathlib.Path(path).exists():
        raise unittest.SkipTest(f"{path} is not there: install {package}")
    return pathlib.Path(path)


def needs_slow():
    if not SLOW:
        raise unittest.SkipTest("slow: set CORACLE_SLOW=1")


def needs_host(name):
    path = BIN / "bench" / name
    if not path.exists():
        raise unittest.SkipTest(f"{name} was not built")
    return path


def onnxruntime(model, inputs, folder):
    """{output name: array} as ONNX Runtime computes them. `inputs`: {name: .npy path}."""
    host, library = needs_host("ort_host"), needs_asset("ort/libonnxruntime.so.1")
    report = run_reference(host, "--library", library, "--model", model, "--output", folder, *input_options(inputs))
    return {output["name"]: np.load(output["file"]) for output in report["outputs"]}


def darknet(cfg, weights, input_path, folder):
    """{"output" or "layer_INDEX_TYPE": array}: each head, what feeds it, and the last layer, as Darknet computes them."""
    report = run_reference(needs_host("darknet_host"), "--cfg", cfg, "--weights", weights, "--input", input_path,
                           "--output", folder)
    return {output["name"]: np.load(output["file"]) for output in report["outputs"]}


@contextlib.contextmanager
def cache_entry(name):
    """Holds an entry of the cache, which tests that run at once share. Yields its path."""
    path = CACHE / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{path}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield path


def generated_onnx(name):
    """A model that tools/make_onnx_models.py writes: resnet50, vgg16 or mobilenetv2."""
    with cache_entry(f"onnx/{name}.onnx") as path:
        if not path.exists():
            part = path.parent / f"{name}.part"
            run_reference("/usr/bin/python3", SOURCE / "tools/make_onnx_models.py", part, name)
            os.replace(part / path.name, path)
            shutil.rmtree(part)
        return path


def generated_weights(cfg):
    """Random but sane weights for a Darknet cfg."""
    generator = needs_host("make_darknet_weights")
    with cache_entry(f"darknet/{pathlib.Path(cfg).stem}.weights") as path:
        if not path.exists():
            part = f"{path}.part"
            run_reference(generator, "--cfg", cfg, "--output", part)
            os.replace(part, path)
        return path


def compiled(source, name, *options):
    """A small C source of these tests, compiled once. Skips where there is no compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise unittest.SkipTest("no C compiler (cc)")
    with cache_entry(name) as path:
        if not path.exists() or path.stat().st_mtime < source.stat().st_mtime:
            run_reference(compiler, "-O2", "-Wall", *options, "-o", f"{path}.part", source, "-ldl")
            os.replace(f"{path}.part", path)
        return path


class SkipReport(unittest.TextTestResult):
    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        print(f"skipped: {reason}")


def main():
    """Runs the calling module's tests; CTest wants to hear if nothing but skips came of it."""
    sys.stdout.reconfigure(line_buffering=True)
    runner = unittest.TextTestRunner(verbosity=2, resultclass=SkipReport)
    result = unittest.main(module="__main__", exit=False, testRunner=runner).result
    if not result.wasSuccessful() or result.testsRun == 0:
        sys.exit(1)
    sys.exit(EXIT_SKIPPED if len(result.skipped) >= result.testsRun else 0)
