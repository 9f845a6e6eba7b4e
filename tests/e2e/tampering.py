"""A sealed model that is not what its owner sealed: one line, exit 1, no output, no crash. Whoever changed what."""

import os
import signal
import struct
import subprocess

import numpy as np

import harness

HEADER_BYTES = 128
TAMPERED = ("tampered",)
# docs/formats/sealed-model.md: errors that come before any key is used ...
BEFORE_ANY_KEY = ("malformed", "unsupported", "invalid_argument")
# ... from these fields of the header: magic, version, suite, manifest offset and bytes.
PLAIN_FIELDS = set(range(16)) | set(range(112, 128))


class Tampering(harness.CoracleTest):
    def setUp(self):
        super().setUp()
        self.sealed = self.seal(harness.TINY_CNN)
        self.x = self.random_input((1, 3, 32, 32))
        self.bytes = bytearray(self.sealed.read_bytes())
        self.manifest_offset, self.manifest_bytes = struct.unpack_from("<QQ", self.bytes, 112)
        self.assertEqual(self.manifest_offset + self.manifest_bytes + 16, len(self.bytes))
        self.random = np.random.default_rng(2026)

    def check_refused(self, changed, what, codes=TAMPERED, verbs=("run", "check"), key=None):
        path = self.folder / "changed.sealed"
        path.write_bytes(changed)
        return [self.check_line(verb, path, what, codes, key or self.key) for verb in verbs]

    def check_line(self, verb, path, what, codes, key, *options):
        output = self.folder / "never.npy"
        if verb == "run":
            options = ("--input", self.x, "--output", output, *options)
        done = self.coracle(verb, path, "--key", key, "--json", *options)
        line = self.assert_one_line(done, 1)
        self.assertEqual(list(done.json), ["error"], what)
        self.assertIn(done.json["error"]["code"], codes, f"{what}: {done}")
        self.assertFalse(output.exists(), f"{what}: an output was written")
        return line

    def flipped(self, position, bit=None):
        changed = bytearray(self.bytes)
        changed[position] ^= 1 << (int(self.random.integers(8)) if bit is None else bit)
        return changed

    def test_each_byte_of_the_header(self):
        for position in range(HEADER_BYTES):
            codes = TAMPERED + BEFORE_ANY_KEY if position in PLAIN_FIELDS else TAMPERED
            self.check_refused(self.flipped(position), f"header byte {position}", codes)

    def test_bytes_of_the_manifest(self):
        end = len(self.bytes)
        positions = {self.manifest_offset, end - 16, end - 1}
        positions |= set(self.random.integers(self.manifest_offset, end, 400 if harness.SLOW else 60).tolist())
        for position in sorted(positions):
            self.check_refused(self.flipped(position), f"manifest byte {position}", verbs=("run",))

    def test_bytes_of_the_weights(self):
        positions = {HEADER_BYTES, self.manifest_offset - 1}
        positions |= set(self.random.integers(HEADER_BYTES, self.manifest_offset, 800 if harness.SLOW else 100).tolist())
        for position in sorted(positions):
            self.check_refused(self.flipped(position), f"weight byte {position}")

    def test_bytes_of_the_weights_in_read_mode(self):
        path = self.folder / "changed.sealed"
        for position in self.random.integers(HEADER_BYTES, self.manifest_offset, 20).tolist():
            path.write_bytes(self.flipped(position))
            for threads in (1, 2):
                self.check_line("run", path, f"weight byte {position}", TAMPERED, self.key, "--blob", "read", "--threads",
                                threads)

    def test_nobody_learns_which_check_failed(self):
        """One message for the key, the manifest and the weights, whoever asks."""
        cases = {"key": (self.bytes, self.make_key("other.key")), "commitment": (self.flipped(80), None),
                 "manifest": (self.flipped(self.manifest_offset), None), "weights": (self.flipped(HEADER_BYTES), None),
                 "last weights": (self.flipped(self.manifest_offset - 1), None)}
        lines = {what: self.check_refused(changed, what, key=key) for what, (changed, key) in cases.items()}
        distinct = {line for both in lines.values() for line in both}
        self.assertEqual(len(distinct), 1, "\n".join(f"{what}: {both}" for what, both in lines.items()))

    def test_truncation(self):
        lengths = {1, 8, 64, 127, 128, 129, self.manifest_offset, self.manifest_offset + self.manifest_bytes,
                   len(self.bytes) - 64, len(self.bytes) - 16, len(self.bytes) - 1}
        lengths |= set(self.random.integers(1, len(self.bytes), 30).tolist())
        for length in sorted(lengths):
            self.check_refused(self.bytes[:length], f"cut to {length} bytes", TAMPERED + BEFORE_ANY_KEY)

    def test_appended_bytes(self):
        for extra in (b"\0", b"\0" * 16, b"\0" * 64, bytes(self.bytes), bytes(self.bytes[-16:])):
            self.check_refused(self.bytes + extra, f"{len(extra)} bytes appended", TAMPERED + BEFORE_ANY_KEY)

    def test_swapped_weights(self):
        """Equal lengths exchanged wherever chunks may lie: chunks begin at multiples of 64."""
        starts = range(HEADER_BYTES, self.manifest_offset - 128, 1024)
        for first, second in zip(starts, list(starts)[1:]):
            changed = bytearray(self.bytes)
            changed[first:first + 64], changed[second:second + 64] = changed[second:second + 64], changed[first:first + 64]
            self.check_refused(changed, f"64 bytes of {first} and {second} exchanged")

    def test_splices_from_another_seal(self):
        """The same model under the same key, sealed again: an older version's parts fit nowhere."""
        other = self.seal(harness.TINY_CNN, name="other.sealed").read_bytes()
        self.assertEqual(len(other), len(self.bytes))
        self.assertNotEqual(other[16:32], self.bytes[16:32], "two seals have one model id")
        parts = {"header": (0, HEADER_BYTES), "model id": (16, 32), "salt": (48, 80), "commitment": (80, 112),
                 "weights": (HEADER_BYTES, self.manifest_offset), "first weights": (HEADER_BYTES, HEADER_BYTES + 1024),
                 "manifest": (self.manifest_offset, len(other)), "manifest's tag": (len(other) - 16, len(other)),
                 "salt and commitment": (48, 112), "all but the manifest": (0, self.manifest_offset)}
        for name, (begin, end) in parts.items():
            changed = bytearray(self.bytes)
            changed[begin:end] = other[begin:end]
            self.check_refused(changed, f"{name} of another seal")

    def test_wrong_key(self):
        self.check_refused(self.bytes, "wrong key", verbs=("run", "check", "inspect", "plan"), key=self.make_key("other.key"))

    def test_unchanged(self):
        self.succeed("check", self.sealed, "--key", self.key)


class CutWhileMapped(harness.CoracleTest):
    """The host cuts, or changes, the file in mid-prediction; every prediction opens every weight, pinned none."""

    def start(self, *options):
        self.sealed = self.seal(harness.needs_asset(harness.OCR_CLS), "--shape", "x=1x3x48x192")
        output = self.folder / "never.npy"
        return output, subprocess.Popen(
            [str(word) for word in (harness.CORACLE, "run", self.sealed, "--key", self.key, "--input",
                                    self.random_input((1, 3, 48, 192)), "--output", output, "--json",
                                    "--repeat", 100000, "--pin", "none", *options)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def check(self, spoil, *options):
        output, process = self.start(*options)
        try:
            harness.wait_until_it_works(process)
            spoil(self.sealed)
            out, err = process.communicate(timeout=120)
        finally:
            process.kill()
        done = harness.Finished(process.returncode, out, err)
        self.assert_one_line(done, 1)
        self.assertEqual(done.json["error"]["code"], "tampered", str(done))
        self.assertFalse(output.exists())

    def cut(self, path):
        os.truncate(path, 128)

    def overwrite(self, path):
        with open(path, "r+b") as file:
            file.seek(4096)
            file.write(os.urandom(8192))

    def test_cut(self):
        self.check(self.cut)

    def test_cut_with_two_threads(self):
        self.check(self.cut, "--threads", 2)

    def test_cut_to_nothing(self):
        self.check(lambda path: os.truncate(path, 0))

    def test_changed(self):
        self.check(self.overwrite)

    def test_changed_with_two_threads(self):
        self.check(self.overwrite, "--threads", 2)

    def test_changed_in_read_mode(self):
        self.check(self.overwrite, "--blob", "read")

    def test_cut_in_read_mode(self):
        """A short read is the host's failure, or tampering: one line either way."""
        output, process = self.start("--blob", "read")
        harness.wait_until_it_works(process)
        self.cut(self.sealed)
        out, err = process.communicate(timeout=120)
        self.assert_one_line(harness.Finished(process.returncode, out, err), 1)
        self.assertFalse(output.exists())

    def test_ended_by_a_signal(self):
        """Not caught: an operator may always end it. Nothing half-written stays."""
        output, process = self.start()
        harness.wait_until_it_works(process)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        self.assertEqual(process.returncode, -signal.SIGTERM)
        self.assertFalse(output.exists())
        self.assertEqual([p.name for p in self.folder.iterdir() if ".tmp" in p.name], [])


if __name__ == "__main__":
    harness.main()
