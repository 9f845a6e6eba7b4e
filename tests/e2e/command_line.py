"""What scripts depend on: the keys of --json, and where files go."""

import harness
from harness import MIB


class Json(harness.CoracleTest):
    def setUp(self):
        super().setUp()
        self.sealed = self.seal(harness.TINY_CNN)
        self.x = self.random_input((1, 3, 32, 32))

    def assert_has(self, keys, where):
        self.assertEqual([key for key in keys.split() if key not in where], [], f"missing of {sorted(where)}")

    def test_run(self):
        report, _ = self.run_sealed(self.sealed, self.x, "--memory", "1MiB", "--repeat", 5)
        self.assert_has("outputs latency_ms budget_bytes plan measured", report)
        self.assert_has("name shape dtype", report["outputs"][0])
        self.assert_has("pool_bytes workspace_bytes steps", report["plan"])
        self.assert_has("pool_peak_bytes heap_peak_bytes secure_rss_bytes decrypted_bytes decrypt_ms spilled_bytes host_calls",
                        report["measured"])
        latency = report["latency_ms"]
        self.assertLessEqual(0, latency["min"])
        self.assertLessEqual(latency["min"], latency["median"])
        self.assertLessEqual(latency["median"], latency["max"])
        self.assertEqual(report["budget_bytes"], MIB)

    def test_plan(self):
        plan = self.plan(self.sealed, "--memory", "1MiB", "--sweep")
        self.assert_has("least_budget_bytes single_pass_budget_bytes live_load_bound_bytes pool_bytes predicted_ms plan_ms "
                        "steps sweep", plan)
        self.assert_has("form layers bands weights bytes predicted_ms", plan["steps"][0])
        self.assert_has("budget_bytes predicted_ms", plan["sweep"][0])
        self.assertLessEqual(plan["live_load_bound_bytes"], plan["pool_bytes"])
        self.assertLessEqual(plan["least_budget_bytes"], plan["single_pass_budget_bytes"])

    def test_plan_of_a_plain_model_is_that_of_the_sealed(self):
        ours = self.plan(self.sealed, "--memory", "1MiB")
        plain = self.succeed("plan", harness.TINY_CNN, "--exact", "--weights", "fp32", "--json", "--memory", "1MiB").json
        for key in ("least_budget_bytes", "live_load_bound_bytes"):
            self.assertEqual(ours[key], plain[key])

    def test_inspect(self):
        for arguments in ((harness.TINY_CNN, "--exact", "--weights", "fp32"), (self.sealed, "--key", self.key)):
            report = self.succeed("inspect", *arguments, "--json").json
            self.assert_has("name inputs outputs weight_bytes unplanned_peak_bytes least_budget_bytes layers", report)
            self.assertEqual(report["least_budget_bytes"], self.plan(self.sealed)["least_budget_bytes"])

    def test_check_and_seal(self):
        self.assert_has("sealed_file layers weight_bytes file_bytes inputs outputs", self.sealing)
        self.assertEqual(self.sealing["file_bytes"], self.sealed.stat().st_size)
        report = self.succeed("check", self.sealed, "--key", self.key, "--json").json
        self.assertTrue(report["ok"])
        self.assertEqual(len(report["identity"]), 64)

    def test_keygen(self):
        report = self.succeed("keygen", "-o", self.folder / "second.key", "--json").json
        self.assertTrue(report)
        self.assertNotIn((self.folder / "second.key").read_text(encoding="ascii").split()[-1], str(report), "the key itself")

    def test_bench(self):
        harness.needs_host("ort_host")
        library = harness.needs_asset("ort/libonnxruntime.so.1")
        report = self.succeed("bench", harness.TINY_CNN, "--memory", "64KiB,unlimited", "--against", "ort", "--rounds", 5,
                              "--ort-library", library, "--json").json
        self.assert_has("runs machine", report)
        self.assert_has("fma_gflops aead_gbps read_gbps", report["machine"])
        self.assertEqual(len(report["runs"]), 3)
        for run in report["runs"]:
            self.assert_has("engine budget_bytes threads median_ms min_ms secure_rss_bytes ratio_to_first", run)
        self.assertEqual(report["runs"][0]["ratio_to_first"], 1)


class Outputs(harness.CoracleTest):
    def test_one_file_or_a_folder(self):
        sealed = self.seal(harness.TINY_CNN)
        x = self.random_input((1, 3, 32, 32))
        run = ("run", sealed, "--key", self.key, "--input", x, "--output")
        self.succeed(*run, self.folder / "y.npy")
        self.succeed(*run, f"{self.folder}/made/")
        (self.folder / "there").mkdir()
        self.succeed(*run, self.folder / "there")
        contents = {(self.folder / name).read_bytes() for name in ("y.npy", "made/output.npy", "there/output.npy")}
        self.assertEqual(len(contents), 1)

    def test_sealed_file_does_not_depend_on_the_folder(self):
        """A relative path, from another folder; a name with spaces and an equals sign."""
        sealed = self.seal(harness.TINY_CNN, name="a = b.sealed")
        x = self.random_input((1, 3, 32, 32), "in = put.npy")
        done = self.coracle("run", sealed.name, "--key", self.key.name, "--input", f"./{x.name}", "--output", "y.npy",
                            cwd=self.folder)
        self.assertEqual(done.code, 0, str(done))
        self.assertTrue((self.folder / "y.npy").exists())


if __name__ == "__main__":
    harness.main()
