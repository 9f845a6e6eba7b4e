"""`coracle characterize --model`: buffers called by the model's layers, advice on them, and the plan tried in their place."""

import re

import harness
from characterize import needs_tracer
from harness import MIB


def small_vgg(cfg, side, divisor):
    """Debian's vgg-16.cfg with another input size, fewer filters and small connected layers."""
    text = cfg.read_text(encoding="ascii")
    text = re.sub(r"^(height|width|crop_height|crop_width)\s*=.*$", rf"\1={side}", text, flags=re.M)
    text = re.sub(r"^filters\s*=\s*(\d+)$", lambda match: f"filters={int(match[1]) // divisor}", text, flags=re.M)
    return re.sub(r"^output\s*=\s*4096$", "output=512", text, flags=re.M)


class CharacterizeAdvice(harness.CoracleTest):
    def setUp(self):
        needs_tracer()
        super().setUp()

    def test_vgg16_in_darknet_is_told_by_its_layers_and_its_plan_moves_the_knee(self):
        host = harness.needs_host("darknet_host")
        harness.needs_host("make_darknet_weights")
        original = harness.needs_file(harness.DARKNET / "cfg/vgg-16.cfg", "darknet")
        cfg = self.folder / "small-vgg-16.cfg"
        cfg.write_text(small_vgg(original, side=64, divisor=4), encoding="ascii")
        weights = harness.generated_weights(cfg)
        # The second prediction: a steady one.
        done = self.succeed("characterize", "--json", "--epc", "1MiB,2MiB,4MiB,32MiB", "--from-mark", "2", "--to-mark", "3",
                            "--model", cfg, "--weights-file", weights, "--", host, "--quick-start", "--repeat", "2", "--cfg", cfg,
                            "--weights", weights)
        found = done.json
        roles = {(o.get("role"), o.get("layer")): o for o in found["objects"]}
        im2col = roles["im2col workspace", "convolution 2 (conv1_2), 3x3x16 at 64x64"]
        self.assertEqual(im2col["bytes"], 9 * 16 * 64 * 64 * 4)
        self.assertEqual(roles["output", "convolution 1 (conv1_1)"]["bytes"], 16 * 64 * 64 * 4)
        self.assertEqual(roles["weights", "connected layer 1 (fc6)"]["bytes"], 128 * 4 * 512 * 4)

        advice = found["advice"]
        for name in ("im2col workspace (largest: convolution 2 (conv1_2)", "convolution 1 (conv1_1)", "connected layer 1 (fc6)"):
            self.assertTrue(any(name in one["what"] for one in advice), f"{name}: {[one['what'] for one in advice]}")
        im2col = next(one for one in advice if one["what"].startswith("im2col workspace"))
        self.assertIn("never made", im2col["planned"])
        self.assertNotIn("not_checked", found["model"])
        checked = advice[0]["checked"]
        print(checked["text"])
        self.assertTrue(checked["as_planned"], checked)
        self.assertLess(checked["after"]["knee_bytes"], checked["before"]["knee_bytes"])
        self.assertLessEqual(checked["after"]["pool_bytes"], found["model"]["single_pass_bytes"])
        for before, after in zip(checked["before"]["loads"], checked["after"]["loads"]):
            self.assertEqual(before["epc_bytes"], after["epc_bytes"])
            self.assertLessEqual(after["loads"], before["loads"])
        # What holds the pool and what is beside it loads nothing.
        self.assertLess(checked["after"]["pool_bytes"] + checked["after"]["beside_bytes"], 32 * MIB)
        self.assertEqual(checked["after"]["loads"][-1]["loads"], 0)

    def test_a_wrong_model_is_refused_before_the_trace(self):
        missing = self.folder / "missing.onnx"
        done = self.coracle("characterize", "--model", missing, "--", "/bin/sleep", "30")
        self.assertNotEqual(done.code, 0, str(done))
        self.assertIn("missing.onnx", done.err)

    def test_a_program_that_has_nothing_of_the_model_says_so(self):
        done = self.succeed("characterize", "--model", harness.TINY_CNN, "--epc", "256KiB,8MiB", "--", "/bin/echo", "hello")
        self.assertIn("model tiny_cnn.onnx", done.out)
        self.assertIn("moves the knee", done.out)


if __name__ == "__main__":
    harness.main()
