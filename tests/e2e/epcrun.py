"""Unmodified programs answer under epcrun's limit as they do without, bit for bit."""

import hashlib
import random
import re
import shutil

import numpy as np

import harness
from epc_harness import PYTHON, EpcTest, compiled
from harness import MIB


class Unmodified(EpcTest):
    """Programs that know nothing of epcrun, some of them other people's."""

    def test_patterns_from_four_threads(self):
        done, stats = self.inside("8MiB", compiled("patterns"), 64, 4, 0)
        self.assertEqual(done.code, 0, str(done))
        self.assertIn(" 0 wrong", done.out)
        self.assertGreater(stats["loads"], 64 * MIB // 4096)
        self.assertGreaterEqual(stats["threads_peak"], 5)

    def test_a_gibibyte_for_ten_minutes(self):
        harness.needs_slow()
        done, stats = self.inside("16MiB", compiled("patterns"), 1024, 4, 600)
        self.assertEqual(done.code, 0, str(done))
        self.assertIn(" 0 wrong", done.out)
        self.assertLessEqual(stats["resident_peak_bytes"], 16 * MIB)
        print(done.out, {key: stats[key] for key in ("loads", "evictions", "swap")})

    def test_malloc_from_eight_threads(self):
        done, stats = self.inside("8MiB", compiled("malloc_stress"), 8, 20000 if harness.SLOW else 1500)
        self.assertEqual(done.code, 0, str(done))
        self.assertIn(" 0 wrong", done.out)
        self.assertGreater(stats["loads"], 1000)

    def test_buffers_that_the_kernel_reads_and_writes(self):
        done, stats = self.inside("8MiB", compiled("kernel_buffers"), self.folder, 16)
        self.assertEqual(done.code, 0, str(done))
        self.assertTrue(done.out.endswith("all ok\n"), str(done))
        self.assertGreater(stats["loads"], 10000)

    def test_children(self):
        done, stats = self.inside("8MiB", compiled("children"), 16)
        self.assertEqual(done.code, 5, str(done))
        self.assertIn("ok exec, still process itself", done.out)
        self.assertGreaterEqual(stats["children"], 7)
        self.assertEqual(len(re.findall("runs? outside", done.err)), 1, f"one warning: {done.err}")

    def test_darknet(self):
        harness.needs_host("make_darknet_weights")
        cfg = harness.needs_file(harness.DARKNET / "cfg/tiny.cfg", "darknet")
        weights = harness.generated_weights(cfg)
        x = self.folder / "x.npy"
        np.save(x, np.random.default_rng(1).uniform(0, 1, (1, 3, 224, 224)).astype(np.float32))
        self.assert_same_arrays("16MiB", harness.needs_host("darknet_host"), "--cfg", cfg, "--weights", weights,
                                "--input", x)

    def test_the_darknet_program(self):
        program = shutil.which("darknet")
        if program is None:
            self.skipTest("darknet is not there: install darknet")
        cfg = harness.needs_file(harness.DARKNET / "cfg/tiny.cfg", "darknet")
        weights = harness.generated_weights(cfg)
        picture = harness.needs_file(harness.DARKNET / "data/dog.jpg", "darknet")
        labels = harness.needs_file(harness.DARKNET / "cfg/imagenet1k.data", "darknet")
        # It prints how long it took, and looks for its names beside the working folder.
        outside = harness.run_program(program, "classifier", "predict", labels, cfg, weights, picture, cwd=harness.DARKNET)
        if outside.code != 0:
            self.skipTest(f"darknet does not run here: {outside}")
        done, stats = self.inside("16MiB", program, "classifier", "predict", labels, cfg, weights, picture,
                                  cwd=harness.DARKNET)
        timing = r"[0-9.]+ seconds"
        self.assertEqual((done.code, re.sub(timing, "", done.out)), (0, re.sub(timing, "", outside.out)), str(done))
        self.assertGreater(stats["loads"], 0)

    def test_onnxruntime(self):
        host, library = harness.needs_host("ort_host"), harness.needs_asset("ort/libonnxruntime.so.1")
        model = harness.generated_onnx("mobilenetv2")
        x = self.folder / "x.npy"
        np.save(x, np.random.default_rng(1).uniform(-1, 1, (1, 3, 224, 224)).astype(np.float32))
        self.assert_same_arrays("16MiB", host, "--library", library, "--model", model, "--input", f"input={x}")

    def assert_same_arrays(self, size, *words):
        """A reference host answers in .npy files: bit for bit the same."""
        outside = self.folder / "outside"
        within = self.folder / "inside"
        harness.run_reference(*words, "--output", outside)
        done, stats = self.inside(size, *words, "--output", within)
        self.assertEqual(done.code, 0, str(done))
        self.assertGreater(stats["loads"], 0)
        names = sorted(path.name for path in outside.iterdir())
        self.assertTrue(names)
        for name in names:
            self.assertEqual((within / name).read_bytes(), (outside / name).read_bytes(), name)

    def test_numpy(self):
        code = ("import hashlib, numpy as np\n"
                "x = np.random.default_rng(1).normal(size=(1500, 1500))\n"
                "for _ in range(3): x = np.tanh(x @ x[::-1] / 40)\n"
                "print(hashlib.sha256(np.sort(x, axis=0).tobytes()).hexdigest())\n")
        self.assert_same_inside("32MiB", PYTHON, "-c", code)

    def test_openssl(self):
        program = shutil.which("openssl")
        if program is None:
            self.skipTest("openssl is not there: install openssl")
        data = self.folder / "data"
        data.write_bytes(random.Random(1).randbytes(20 * MIB))
        self.assert_same_inside("8MiB", program, "dgst", "-sha256", data, swaps=False)
        done, stats = self.inside("8MiB", program, "speed", "-seconds", "1", "-bytes", "16384", "sha256")
        self.assertEqual(done.code, 0, str(done))
        self.assertIn("sha256", done.out)
        self.assertLessEqual(stats["resident_peak_bytes"], 8 * MIB)

    def test_coracle(self):
        sealed, key = self.folder / "m.sealed", self.folder / "o.key"
        x = self.folder / "x.npy"
        np.save(x, np.random.default_rng(1).uniform(-1, 1, (1, 3, 32, 32)).astype(np.float32))
        harness.run_reference(harness.CORACLE, "keygen", "-o", key)
        harness.run_reference(harness.CORACLE, "seal", harness.TINY_CNN, "-o", sealed, "--key", key)
        answers = []
        for size in ("unlimited", "8MiB"):
            output = self.folder / f"{size}.npy"
            done, _ = self.inside(size, harness.CORACLE, "run", sealed, "--key", key, "--input", x, "--memory", "1MiB",
                                  "--output", output)
            self.assertEqual(done.code, 0, str(done))
            answers.append(hashlib.sha256(output.read_bytes()).hexdigest())
        self.assertEqual(*answers)

    def test_a_script(self):
        script = self.folder / "script.py"
        script.write_text(f"#!{PYTHON}\nimport sys\nx = list(range(10**6))\nprint(sum(x), sys.argv[1:])\n", encoding="ascii")
        script.chmod(0o755)
        self.assert_same_inside("16MiB", script, "--size", "1")

    def test_node(self):
        program = shutil.which("node")
        if program is None:
            self.skipTest("node is not there")
        code = "const a = []; for (let i = 0; i < 2e6; ++i) a.push({i}); console.log(a.length, a[12345].i)"
        done, stats = self.inside("64MiB", program, "-e", code)
        if done.code != 0:  # refused, which must be clear
            self.assertEqual(done.code, 1, str(done))
            self.assertRegex(done.err, r"^epcrun: .+\n$")
            self.assertEqual(stats["state"], "refused")
        else:
            self.assertEqual(done.out, "2000000 12345\n")


if __name__ == "__main__":
    harness.main()
