"""A prediction's process has no importer in it; sealing a large model streams."""

import pathlib
import re
import shutil
import subprocess

import harness

OWNER_SIDE = re.compile(r"protobuf|onnx", re.I)


def libraries_of(program):
    return subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout


class AddressSpace(harness.CoracleTest):
    def test_libraries(self):
        if shutil.which("ldd") is None:
            self.skipTest("no ldd")
        self.assertNotRegex(libraries_of(harness.CORACLE), OWNER_SIDE)
        self.assertRegex(libraries_of(harness.BIN / "coracle-compile"), OWNER_SIDE)

    def test_no_schema_linked_statically(self):
        for program, expected in (("coracle", False), ("coracle-compile", True)):
            content = (harness.BIN / program).read_bytes()
            self.assertEqual(b"ModelProto" in content, expected, program)

    def test_maps_of_a_running_prediction(self):
        sealed = self.seal(harness.TINY_CNN)
        process = subprocess.Popen([str(word) for word in (harness.CORACLE, "run", sealed, "--key", self.key, "--input",
                                                           self.random_input((1, 3, 32, 32)), "--repeat", 1000000)],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            harness.wait_until_it_works(process)
            maps = pathlib.Path(f"/proc/{process.pid}/maps").read_text(encoding="utf-8")
        finally:
            process.kill()
            process.wait()
        self.assertIn("m.sealed", maps, "the prediction had not begun")
        self.assertNotRegex(maps, OWNER_SIDE)
        self.assertIsNone(re.search(r"^\S+ .wx", maps, re.M), "memory that is writable and executable")


class Sealing(harness.CoracleTest):
    def test_vgg16_streams(self):
        """Never three copies of the weights: below 2.2 times the model's bytes, pages of the mapped model included."""
        self.check(harness.generated_onnx("vgg16"))

    def test_darknet_vgg16_streams(self):
        cfg = harness.needs_file(harness.DARKNET / "cfg/vgg-16.cfg", "darknet")
        weights = harness.generated_weights(cfg)
        self.check(cfg, weights, "--weights-file", weights)

    def check(self, model, bulk=None, *options):
        code, peak = harness.peak_resident_bytes(harness.BIN / "coracle-compile", "seal", model, "-o", self.folder / "m.sealed",
                                                 "--key", self.key, *options)
        ratio = peak / (bulk or model).stat().st_size
        print(f"{model.name}: sealing takes {ratio:.2f} times the model's bytes")
        self.assertEqual(code, 0)
        self.assertGreater(ratio, 0)
        self.assertLess(ratio, 2.2)

    def test_two_seals_differ(self):
        """Fresh salt and model id at every seal: nothing of the second is the first's but the clear header fields."""
        first, second = (self.seal(harness.TINY_CNN, name=name).read_bytes() for name in ("a.sealed", "b.sealed"))
        self.assertEqual(len(first), len(second))
        same = sum(a == b for a, b in zip(first[128:], second[128:]))
        self.assertLess(same, len(first) / 64)
        self.assertNotIn(b"tiny_cnn", first)


if __name__ == "__main__":
    harness.main()
