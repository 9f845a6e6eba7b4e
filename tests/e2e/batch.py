"""`coracle batch`: exactly one line for each file of a folder, whatever ends the program, with the answers of `coracle run`."""

import json
import os
import random
import shutil
import signal
import subprocess
import time

import numpy as np

import harness

TINY_SHAPE = (1, 3, 32, 32)


def read_lines(path):
    """{file: its line}; each file has one."""
    lines = {}
    for text in path.read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        assert line["file"] not in lines, f"two lines for {line['file']}"
        lines[line["file"]] = line
    return lines


class BatchTest(harness.CoracleTest):
    def setUp(self):
        super().setUp()
        self.inputs = self.folder / "inputs"
        self.inputs.mkdir()
        self.results = self.folder / "results.jsonl"

    def batch_command(self, sealed, *options):
        return ["batch", sealed, self.inputs, "--key", self.key, "--output", self.results, *options]

    def batch(self, sealed, *options):
        return self.coracle(*self.batch_command(sealed, *options))

    def make_inputs(self, count, different=20):
        """`count` inputs of the tiny network, `different` of which differ."""
        tensors = np.random.default_rng(3).uniform(-1, 1, (different, *TINY_SHAPE)).astype(np.float32)
        for i in range(count):
            path = self.inputs / f"x{i:05}.npy"
            if i < different:
                np.save(path, tensors[i])
            else:
                os.link(self.inputs / f"x{i % different:05}.npy", path)
        return [f"x{i:05}.npy" for i in range(count)]

    def start(self, sealed, *options):
        process = subprocess.Popen([str(part) for part in (harness.CORACLE, *self.batch_command(sealed, *options))],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def wait_for_bytes(self, process, count):
        """Until the results have so many bytes. False if the program ended before."""
        while process.poll() is None:
            if self.results.exists() and self.results.stat().st_size >= count:
                return True
            time.sleep(0.001)
        return False


class Answers(BatchTest):
    """Those of single predictions."""

    def test_tensors_and_answers(self):
        sealed = self.seal(harness.TINY_CNN, "--decode", "topk")
        files = self.make_inputs(40)
        out = self.folder / "out"
        done = self.succeed("batch", sealed, self.inputs, "--key", self.key, "--output", f"{out}/", "--memory", "1MiB", "--top", 3, "--json")
        self.assertEqual((done.json["inputs"], done.json["failed"], done.json["answered_before"]), (40, 0, 0))
        self.assertLessEqual(done.json["leased_peak_bytes"], harness.MIB)
        lines = read_lines(out / "results.jsonl")
        self.assertEqual(sorted(lines), files)
        for file in files[:20]:
            report, arrays = self.run_sealed(sealed, self.inputs / file, "--top", 3)
            self.assertEqual(lines[file]["outputs"], report["outputs"])
            for name, values in arrays.items():
                stored = np.load(out / file / f"{harness.file_stem(name)}.npy")
                self.assertEqual((stored.shape, stored.tobytes()), (values.shape, values.tobytes()))
        for file in files[20:]:
            self.assertEqual(lines[file]["outputs"], lines[files[files.index(file) % 20]]["outputs"])

    def test_images(self):
        shutil.copy(harness.needs_file(harness.DARKNET / "data/dog.jpg", "darknet"), self.inputs)
        shutil.copy(harness.DARKNET / "data/eagle.jpg", self.inputs)
        sealed = self.seal(harness.generated_onnx("mobilenetv2"), "--preprocess", "imagenet", "--decode", "topk")
        self.assertEqual(self.batch(sealed, "--memory", "16MiB").code, 0)
        for file, line in read_lines(self.results).items():
            report, _ = self.run_sealed(sealed, self.inputs / file)
            self.assertEqual(line["outputs"], report["outputs"])
            self.assertGreater(line["latency_ms"], 0)

    def test_results_beside_the_folder(self):
        sealed = self.seal(harness.TINY_CNN)
        self.make_inputs(3)
        self.succeed("batch", sealed, f"{self.inputs}/", "--key", self.key)
        self.assertEqual(len(read_lines(self.folder / "inputs.jsonl")), 3)


class Interrupted(BatchTest):
    def finish(self, sealed, files, *options):
        done = self.batch(sealed, "--json", *options)
        self.assertEqual(done.code, 0, str(done))
        self.assertEqual((done.json["inputs"], done.json["failed"]), (len(files), 0))
        lines = read_lines(self.results)
        self.assertEqual(sorted(lines), files)
        return done.json, lines

    def test_killed_again_and_again(self):
        sealed = self.seal(harness.TINY_CNN, "--decode", "topk")
        files = self.make_inputs(4000)
        options = ("--memory", "512KiB", "--threads", 2)
        chance = random.Random(7)
        kills, before = 0, 0
        for _ in range(6):
            process = self.start(sealed, *options)
            if not self.wait_for_bytes(process, before + chance.randrange(1, 60_000)):
                break
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
            text = self.results.read_bytes()
            self.assertGreaterEqual(len(text), before)  # nothing that was written is lost
            before = len(text)
        self.assertGreaterEqual(kills, 2)
        whole = text[:text.rindex(b"\n") + 1]
        report, lines = self.finish(sealed, files, *options)
        self.assertTrue(self.results.read_bytes().startswith(whole))
        self.assertEqual(report["answered_before"], whole.count(b"\n"))
        for i, file in enumerate(files[:20]):
            truth, _ = self.run_sealed(sealed, self.inputs / file)
            for same in files[i::20]:
                self.assertEqual(lines[same]["outputs"], truth["outputs"])

    def test_stopped_by_ctrl_c(self):
        sealed = self.seal(harness.TINY_CNN)
        files = self.make_inputs(20_000)
        process = self.start(sealed)
        self.assertTrue(self.wait_for_bytes(process, 5000))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 1, err)
        self.assertEqual(out, "")
        self.assertEqual(len(err.splitlines()), 1, err)
        lines = read_lines(self.results)
        self.assertIn(f"stopped with {len(lines)} of 20000 inputs answered", err)
        report, _ = self.finish(sealed, files)
        self.assertEqual(report["answered_before"], len(lines))

    def test_a_finished_batch_has_nothing_to_do(self):
        sealed = self.seal(harness.TINY_CNN)
        files = self.make_inputs(5)
        self.finish(sealed, files)
        text = self.results.read_bytes()
        report, _ = self.finish(sealed, files)
        self.assertEqual((report["answered_before"], self.results.read_bytes()), (5, text))
        np.save(self.inputs / "y.npy", np.zeros(TINY_SHAPE, np.float32))
        report, _ = self.finish(sealed, [*files, "y.npy"])
        self.assertEqual(report["answered_before"], 5)


class Refusals(BatchTest):
    def test_inputs_that_cannot_be_read(self):
        sealed = self.seal(harness.TINY_CNN)
        self.make_inputs(4)
        np.save(self.inputs / "shape.npy", np.zeros((1, 3, 31, 32), np.float32))
        np.save(self.inputs / "type.npy", np.zeros(TINY_SHAPE, np.int32))
        (self.inputs / "broken.npy").write_bytes(b"no tensor")
        (self.inputs / "empty.png").touch()
        (self.inputs / "nowhere.npy").symlink_to("nothing")
        (self.inputs / "notes.txt").write_text("passed over", encoding="utf-8")
        (self.inputs / "folder.npy").mkdir()
        bad = {"shape.npy", "type.npy", "broken.npy", "empty.png", "nowhere.npy"}
        for _ in range(2):
            done = self.batch(sealed, "--json")
            self.assertEqual(done.code, 1, str(done))
            self.assertEqual((done.json["inputs"], done.json["failed"], done.json["passed_over"]), (9, 5, 2))
            lines = read_lines(self.results)
            self.assertEqual({file for file, line in lines.items() if "error" in line}, bad)
            for file in bad:
                self.assertIn(file, lines[file]["error"]["message"])
                self.assertNotIn("outputs", lines[file])

    def test_no_mix_of_two_batches(self):
        sealed = self.seal(harness.TINY_CNN, "--decode", "topk")
        self.make_inputs(3)
        self.assertEqual(self.batch(sealed).code, 0)
        text = self.results.read_bytes()
        self.assertIn("top differs", self.assert_one_line(self.batch(sealed, "--top", 3)))
        other = self.seal(harness.TINY_CNN, name="other.sealed")
        self.assertIn("model differs", self.assert_one_line(self.batch(other)))
        os.remove(f"{self.results}.batch")
        self.assertIn("not begun by a batch", self.assert_one_line(self.batch(sealed)))
        self.assertEqual(self.results.read_bytes(), text)

    def test_what_cannot_be_done(self):
        sealed = self.seal(harness.TINY_CNN)
        self.assertIn("holds no inputs", self.assert_one_line(self.batch(sealed)))
        self.make_inputs(2)
        self.assertIn("needs", self.assert_one_line(self.batch(sealed, "--memory", "4KiB"), 1))
        for output in (self.folder / "out.txt", f"{self.inputs}/", self.folder / "no/out.jsonl"):
            self.assert_one_line(self.coracle("batch", sealed, self.inputs, "--key", self.key, "--output", output))
        wrong = self.make_key("wrong.key")
        self.assert_one_line(self.coracle("batch", sealed, self.inputs, "--key", wrong), 1)
        self.assertFalse(self.results.exists() and self.results.stat().st_size > 0)

    def test_a_changed_model_ends_it(self):
        sealed = self.seal(harness.TINY_CNN)
        self.make_inputs(50)
        text = bytearray(sealed.read_bytes())
        text[-5000] ^= 1
        sealed.write_bytes(text)
        self.assert_one_line(self.batch(sealed), 1)
        self.assertEqual(read_lines(self.results), {})


if __name__ == "__main__":
    harness.main()
