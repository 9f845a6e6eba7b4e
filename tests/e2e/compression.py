"""`coracle seal --compress`: what is coded, that predictions stay the same, and what is refused."""

import harness


class Compression(harness.CoracleTest):
    def setUp(self):
        super().setUp()
        self.x = self.random_input((1, 3, 32, 32))

    def seal_as(self, *options):
        sealed = self.folder / ("-".join(options).strip("-") + ".sealed")
        report = self.succeed("seal", harness.TINY_CNN, "-o", sealed, "--key", self.key, "--json", *options).json
        return sealed, report["compression"]

    def test_max_makes_a_smaller_file_that_answers_the_same(self):
        plain, none = self.seal_as("--compress", "none")
        coded, most = self.seal_as("--compress", "max")
        self.assertEqual((none["mode"], none["chunks_coded"], none["bytes_after"]), ("none", 0, none["bytes_before"]))
        self.assertEqual(most["bytes_before"], none["bytes_before"])
        self.assertGreater(most["chunks_coded"], 0)
        self.assertLess(most["bytes_after"], most["bytes_before"])
        self.assertEqual(plain.stat().st_size - coded.stat().st_size, most["bytes_before"] - most["bytes_after"])
        _, truth = self.run_sealed(plain, self.x)
        for options in ((), ("--memory", "1MiB"), ("--threads", "2"), ("--blob", "read")):
            _, answer = self.run_sealed(coded, self.x, *options)
            for name, values in truth.items():
                self.assertEqual(answer[name].tobytes(), values.tobytes(), options)
        self.assertTrue(self.succeed("check", coded, "--key", self.key, "--json").json["ok"])

    def test_auto_codes_for_slow_storage_and_for_no_other(self):
        for options in ((), ("--storage-gbps", "1000")):
            _, weights = self.seal_as("--compress", "auto", *options)
            self.assertEqual(weights["chunks_coded"], 0, options)
        _, slow = self.seal_as("--compress", "auto", "--storage-gbps", "0.001")
        self.assertGreater(slow["chunks_coded"], 0)
        self.assertEqual(slow["storage_gbps"], 0.001)
        self.assertGreater(slow["decode_gbps"], 0)

    def test_inspect_shows_both_sizes(self):
        coded, weights = self.seal_as("--compress", "max")
        report = self.succeed("inspect", coded, "--key", self.key, "--json").json
        self.assertEqual(report["weight_bytes"], weights["bytes_before"])
        self.assertEqual(report["sealed_weight_bytes"], weights["bytes_after"])
        self.assertEqual(sum(layer["sealed_weight_bytes"] for layer in report["layers"]), weights["bytes_after"])
        self.assertIn("sealed)", self.succeed("inspect", coded, "--key", self.key).out)

    def test_a_changed_coded_weight_is_tampered(self):
        coded, _ = self.seal_as("--compress", "max")
        changed = bytearray(coded.read_bytes())
        changed[200] ^= 1
        coded.write_bytes(changed)
        self.assert_one_line(self.coracle("check", coded, "--key", self.key), 1, 3)

    def test_wrong_options_write_nothing(self):
        sealed = self.folder / "x.sealed"
        for options in (("--compress", "most"), ("--compress", "auto", "--storage-gbps", "0"),
                        ("--compress", "auto", "--storage-gbps", "fast"), ("--compress", "max", "--storage-gbps", "1"),
                        ("--storage-gbps", "1")):
            done = self.coracle("seal", harness.TINY_CNN, "-o", sealed, "--key", self.key, *options)
            self.assertEqual(done.code, 2, str(done))
            self.assertIn("--storage-gbps" if len(options) > 2 else options[0], done.err)
            self.assertFalse(sealed.exists())
        self.assert_one_line(done, 2)


if __name__ == "__main__":
    harness.main()
