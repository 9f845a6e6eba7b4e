"""`coracle characterize M.sealed`: the engine traced while it predicts, by layer and by kind of data of its plan."""

import numpy as np

import harness
from characterize import needs_tracer

PAGE = 4096
POOL_KINDS = ("weights", "activations", "workspace")


def layers_of(plan):
    return [layer for step in plan["steps"] for layer in step["layers"]]


def by_kind(entries):
    return {entry["kind"]: entry for entry in entries}


class CharacterizeSealed(harness.CoracleTest):
    def setUp(self):
        needs_tracer()
        super().setUp()
        self.sealed = self.seal(harness.TINY_CNN)

    def characterize(self, *options):
        return self.succeed("characterize", self.sealed, "--key", self.key, "--json", *options).json

    def test_layers_and_kinds_of_data_are_the_plans(self):
        found = self.characterize("--pin", "none", "--epc", "1MiB,8MiB")
        self.assertEqual(found["ending"], "ended with exit code 0")
        self.assertTrue(found["complete"])
        # The plan's layers, in its order, each entered by at least one action.
        self.assertEqual([layer["name"] for layer in found["layers"]], layers_of(found["plan"]))
        for layer in found["layers"]:
            self.assertGreaterEqual(layer["entered"], 1, layer["name"])
            self.assertGreater(layer["accesses"], 0, layer["name"])
            self.assertEqual(len(layer["loads"]), 2, layer["name"])
        kinds = by_kind(found["memory"])
        for kind in (*POOL_KINDS, "stack"):
            self.assertIn(kind, kinds)
            self.assertGreater(kinds[kind]["read_bytes"], 0, kind)
        # All steps are one layer here; what each opens is written once, and read at least once.
        layers = {layer["name"]: by_kind(layer["kinds"]) for layer in found["layers"]}
        for step in found["plan"]["steps"]:
            self.assertEqual(len(step["layers"]), 1)
            weights = layers[step["layers"][0]].get("weights", {"written_bytes": 0, "read_bytes": 0})
            self.assertEqual(weights["written_bytes"], step["opened_bytes"], step["layers"])
            self.assertGreaterEqual(weights["read_bytes"], step["opened_bytes"], step["layers"])
        text = self.succeed("characterize", self.sealed, "--key", self.key).out
        for part in ("planned for unlimited memory", "page loads in an EPC of", "bytes read, written", "stem", "softmax",
                     "(no layer)"):
            self.assertIn(part, text)

    def test_half_the_memory_is_not_exceeded(self):
        whole = self.plan(self.sealed, "--pin", "none")
        budget = max(whole["pool_bytes"] // 2, whole["least_budget_bytes"])
        self.assertLess(budget, whole["pool_bytes"])
        found = self.characterize("--pin", "none", "--memory", str(budget))
        self.assertEqual(found["plan"]["budget_bytes"], budget)
        self.assertLessEqual(found["plan"]["pool_bytes"], budget)
        self.assertEqual(set(layers_of(found["plan"])), {layer["name"] for layer in found["layers"]})
        # A page may hold a tensor in one step and weights in another: it counts for both.
        pool_bytes = -(-found["plan"]["pool_bytes"] // PAGE) * PAGE
        for kind, entry in by_kind(found["memory"]).items():
            if kind in POOL_KINDS:
                self.assertLessEqual(entry["touched_bytes"], pool_bytes, kind)
        pool_volume = sum(by_kind(found["memory"])[kind]["written_bytes"] for kind in POOL_KINDS)
        pools = [m for m in found["mappings"] if m["kind"] == "anonymous" and m["written_bytes"] >= pool_volume]
        self.assertEqual([m["touched_bytes"] for m in pools], [pool_bytes])

    def test_pinned_weights_are_read_and_not_opened(self):
        found = self.characterize()
        self.assertGreater(found["plan"]["pinned_bytes"], 0)
        weights = by_kind(found["memory"])["weights"]
        self.assertEqual(weights["written_bytes"], 0)
        self.assertGreaterEqual(weights["read_bytes"], found["plan"]["pinned_bytes"])
        # Of the first prediction they are not.
        first = self.characterize("--from-mark", "0", "--to-mark", "1")
        self.assertEqual(by_kind(first["memory"])["weights"]["written_bytes"], found["plan"]["pinned_bytes"])

    def test_qemu_predicts_what_the_machine_does(self):
        x = self.random_input((1, 3, 32, 32))
        _, ours = self.run_sealed(self.sealed, x)
        out = self.folder / "under_qemu.npy"
        harness.run_reference("qemu-x86_64", harness.CORACLE, "run", self.sealed, "--key", self.key, "--input", x, "--output", out)
        (native,) = ours.values()
        self.assert_close(np.load(out), native, "AVX2 under QEMU beside this machine's own kernels", bound=1e-5)

    def test_refusals_are_one_line(self):
        refused = self.coracle("characterize", self.sealed, "--key", self.key, "--memory", "1KiB")
        self.assertIn("needs", self.assert_one_line(refused))
        other = self.coracle("characterize", self.sealed, "--key", self.make_key("other.key"))
        self.assertIn("key", self.assert_one_line(other))
        self.assertIn("--key", self.assert_one_line(self.coracle("characterize", self.sealed)))
        self.assertIn("--model", self.assert_one_line(
            self.coracle("characterize", self.sealed, "--key", self.key, "--model", harness.TINY_CNN)))
        nothing = self.coracle("characterize", self.sealed, "--key", self.key, "--input", self.folder / "nothing.npy")
        self.assertIn("nothing.npy", self.assert_one_line(nothing))


if __name__ == "__main__":
    harness.main()
