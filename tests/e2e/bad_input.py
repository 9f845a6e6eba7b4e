"""Bad input: one clear line, exit 1 or 2, nothing half-written."""

import os
import shutil
import signal
import stat
import struct
import subprocess
import time

import numpy as np
import onnx
import onnx.numpy_helper
from onnx import TensorProto, helper

import harness

VERBS = ("keygen", "seal", "check", "inspect", "plan", "run", "bench")
FLOAT = TensorProto.FLOAT


def png_header(width, height):
    """The start of a PNG file that claims a size, and has no pixels."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + b"\0\0\0\0"


class BadInputTest(harness.CoracleTest):
    def check_refused(self, *arguments, codes=(1, 2), says="coracle"):
        """Runs a verb that must refuse in one line that has `says`, and must leave the folder as it was."""
        before = sorted(p.name for p in self.folder.iterdir())
        done = self.coracle(*arguments)
        line = self.assert_one_line(done, *codes)
        self.assertRegex(line, says)
        self.assertEqual(done.out, "")
        self.assertEqual(sorted(p.name for p in self.folder.iterdir()), before, "something was left behind")
        return line

    def refuse_seal(self, model, *options, codes=(1, 2), says="coracle"):
        return self.check_refused("seal", model, "-o", self.folder / "never.sealed", "--key", self.key, *options, codes=codes,
                                  says=says)

    def write(self, name, content):
        path = self.folder / name
        path.write_bytes(content)
        return path

    def model(self, nodes, inputs=(("x", (1, 3, 8, 8)),), outputs=(("y", None),), constants=(), name="model.onnx"):
        """Writes an ONNX model; constants: (name, array)."""
        graph = helper.make_graph(
            list(nodes), "g", [helper.make_tensor_value_info(n, FLOAT, shape) for n, shape in inputs],
            [helper.make_tensor_value_info(n, FLOAT, shape) for n, shape in outputs],
            [onnx.numpy_helper.from_array(array, n) for n, array in constants])
        path = self.folder / name
        path.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)]).SerializeToString())
        return path


class Files(BadInputTest):
    def test_missing(self):
        for name in ("no.onnx", "no/such/folder/m.onnx"):
            self.refuse_seal(self.folder / name, codes=(1,), says=name)
        for verb in ("check", "inspect", "plan"):
            self.check_refused(verb, self.folder / "no.sealed", "--key", self.key, codes=(1,), says="no.sealed")

    def test_directory(self):
        for name in ("d.onnx", "d.sealed"):
            (self.folder / name).mkdir()
        self.refuse_seal(self.folder / "d.onnx", says="directory|folder")
        for verb in ("check", "inspect", "plan"):
            self.check_refused(verb, self.folder / "d.sealed", "--key", self.key, says="directory|folder")
        self.check_refused("check", self.folder / "d.sealed", "--key", self.folder / "d.sealed", says="directory|folder")

    def test_empty(self):
        self.refuse_seal(self.write("e.onnx", b""), says="empty")
        for verb in ("check", "inspect", "plan"):
            self.check_refused(verb, self.write("e.sealed", b""), "--key", self.key, says="empty")

    def test_wrong_magic(self):
        junk = self.write("junk.sealed", b"\x7fELF" + bytes(4096))
        for verb in ("check", "inspect", "plan"):
            self.check_refused(verb, junk, "--key", self.key, codes=(1,), says="sealed")
        self.refuse_seal(self.write("junk.onnx", b"\x7fELF" + bytes(4096)), codes=(1,), says="ONNX")
        self.refuse_seal(self.write("junk.txt", b"hello"), codes=(1, 2), says="onnx")
        self.check_refused("check", harness.TINY_CNN, "--key", self.key, codes=(1,), says="sealed")

    def test_unreadable(self):
        if os.geteuid() == 0:
            self.skipTest("root may read everything")
        secret = self.write("secret.onnx", harness.TINY_CNN.read_bytes())
        secret.chmod(0)
        self.refuse_seal(secret, codes=(1,), says="secret.onnx")

    def test_cut_onnx(self):
        whole = harness.TINY_CNN.read_bytes()
        for length in (1, 10, 100, 1000, len(whole) // 2, len(whole) - 1):
            self.refuse_seal(self.write("cut.onnx", whole[:length]), codes=(1,), says="cut.onnx")

    def test_endless_file(self):
        """A device that never ends must not be swallowed."""
        (self.folder / "zero.onnx").symlink_to("/dev/zero")
        self.refuse_seal(self.folder / "zero.onnx", codes=(1, 2))

    def test_keys(self):
        sealed = self.seal(harness.TINY_CNN)
        for content in (b"", b"junk", self.key.read_bytes()[:-8], self.key.read_bytes() + b"more", bytes(64), bytes(100000)):
            self.check_refused("check", sealed, "--key", self.write("bad.key", content), says="bad.key")
            self.check_refused("seal", harness.TINY_CNN, "-o", self.folder / "n.sealed", "--key", self.folder / "bad.key",
                               says="bad.key")
        self.check_refused("check", sealed, "--key", self.folder / "no.key", codes=(1,), says="no.key")
        self.check_refused("inspect", sealed, says="key")


class Models(BadInputTest):
    def test_ten_gigabyte_dimension(self):
        relu = helper.make_node("Relu", ["x"], ["y"], name="huge")
        self.refuse_seal(self.model([relu], inputs=(("x", (1, 3, 10_000_000_000, 8)),)), codes=(1,), says="dimension|large")
        self.refuse_seal(self.model([relu], inputs=(("x", (1, 3, 1 << 20, 1 << 20)),)), codes=(1,))
        self.refuse_seal(self.model([relu], inputs=(("x", (1, 3, None, None)),)), "--shape", "x=1x3x10000000000x8",
                         says="dimension|shape")

    def test_constant_that_claims_ten_gigabytes(self):
        tensor = TensorProto(name="w", data_type=FLOAT, dims=[2_500_000_000], raw_data=b"\0" * 16)
        graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "g",
                                  [helper.make_tensor_value_info("x", FLOAT, [1])],
                                  [helper.make_tensor_value_info("y", FLOAT, None)], [tensor])
        self.refuse_seal(self.write("claims.onnx", helper.make_model(graph).SerializeToString()), codes=(1,))

    def test_negative_dimension(self):
        relu = helper.make_node("Relu", ["x"], ["y"])
        self.refuse_seal(self.model([relu], inputs=(("x", (1, 3, -5, 8)),)), codes=(1,), says="-5|negative|dimension")
        self.refuse_seal(self.model([relu]), "--shape", "x=1x3x-8x8", says="shape")

    def test_shape_that_does_not_fit(self):
        relu = helper.make_node("Relu", ["x"], ["y"])
        model = self.model([relu])
        for shape in ("x=1x3x9x9", "x=1x3x8", "nobody=1x3x8x8", "x=", "=1x3", "x", "x=1x3x0x8", "x=axb"):
            self.refuse_seal(model, "--shape", shape, says="shape|input")
        self.refuse_seal(self.model([relu], inputs=(("x", (1, 3, None, None)),)), says="--shape")

    def test_cyclic_graph(self):
        nodes = [helper.make_node("Add", ["x", "b"], ["a"], name="first"), helper.make_node("Relu", ["a"], ["b"], name="second"),
                 helper.make_node("Relu", ["b"], ["y"], name="third")]
        self.refuse_seal(self.model(nodes), codes=(1,), says="cycle|its own output")

    def test_input_that_nobody_makes(self):
        self.refuse_seal(self.model([helper.make_node("Add", ["x", "ghost"], ["y"])]), codes=(1,), says="ghost")

    def test_unsupported_operator_is_named(self):
        node = helper.make_node("Einsum", ["x", "x"], ["y"], name="my_einsum", equation="bchw,bchw->bc")
        line = self.refuse_seal(self.model([node]), codes=(1,), says="Einsum.*my_einsum.*not supported")
        self.assertIn("Conv", line, "the line should say what is supported")

    def test_unsupported_operator_of_another_domain(self):
        node = helper.make_node("Gelu", ["x"], ["y"], name="my_gelu", domain="com.example")
        self.refuse_seal(self.model([node]), codes=(1,), says="Gelu.*my_gelu.*com.example")

    def test_line_breaks_in_names(self):
        """A name from the file must not write further lines, or colours, on a terminal."""
        node = helper.make_node("Nope", ["x"], ["y"], name="a\ncoracle: all is well\x1b[31m")
        line = self.refuse_seal(self.model([node]), codes=(1,))
        self.assertNotIn("\x1b", line)

    def test_model_of_no_layers(self):
        """Odd, but well formed: every verb takes it."""
        sealed = self.seal(self.model([helper.make_node("Identity", ["x"], ["y"])]))
        x = self.random_input((1, 3, 8, 8))
        _, outputs = self.run_sealed(sealed, x)
        self.assertTrue(np.array_equal(outputs["y"], np.load(x)))
        for verb in ("check", "inspect", "plan"):
            self.succeed(verb, sealed, "--key", self.key)
            self.succeed(verb, sealed, "--key", self.key, "--json")

    def test_nan_weights_are_kept(self):
        weights = np.ones((4, 3, 1, 1), np.float32)
        weights[2, 1] = np.nan
        model = self.model([helper.make_node("Conv", ["x", "w"], ["y"])], constants=[("w", weights)])
        _, outputs = self.run_sealed(self.seal(model), self.random_input((1, 3, 8, 8)))
        self.assertTrue(np.isnan(outputs["y"][:, 2]).all())
        self.assertTrue(np.isfinite(np.delete(outputs["y"], 2, axis=1)).all())

    def test_infinite_weights_are_kept(self):
        model = self.model([helper.make_node("Add", ["x", "w"], ["y"])], constants=[("w", np.full((1,), np.inf, np.float32))])
        _, outputs = self.run_sealed(self.seal(model), self.random_input((1, 3, 8, 8)))
        self.assertTrue(np.isposinf(outputs["y"]).all())

    def test_external_data_that_is_missing_or_elsewhere(self):
        for location in ("no.bin", "../../../../etc/passwd", "/etc/passwd"):
            tensor = TensorProto(name="w", data_type=FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
            tensor.external_data.add(key="location", value=location)
            graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "g",
                                      [helper.make_tensor_value_info("x", FLOAT, [4])],
                                      [helper.make_tensor_value_info("y", FLOAT, [4])], [tensor])
            self.refuse_seal(self.write("external.onnx", helper.make_model(graph).SerializeToString()), codes=(1,))

    def test_external_data(self):
        (self.folder / "w.bin").write_bytes(np.arange(4, dtype="<f4").tobytes())
        tensor = TensorProto(name="w", data_type=FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
        tensor.external_data.add(key="location", value="w.bin")
        graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "g",
                                  [helper.make_tensor_value_info("x", FLOAT, [4])],
                                  [helper.make_tensor_value_info("y", FLOAT, [4])], [tensor])
        path = self.write("external.onnx", helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)]).SerializeToString())
        _, outputs = self.run_sealed(self.seal(path), self.save(np.ones(4)))
        self.assertEqual(outputs["y"].tolist(), [1, 2, 3, 4])


class DarknetModels(BadInputTest):
    CFG = "[net]\nwidth=8\nheight=8\nchannels=3\n\n[convolutional]\nfilters=2\nsize=1\nstride=1\nactivation=linear\n"

    def weights(self, floats):
        return self.write("w.weights", struct.pack("<iiiq", 0, 2, 0, 0) + np.ones(floats, "<f4").tobytes())

    def refuse_cfg(self, text, floats=8, says="coracle"):
        cfg = self.write("m.cfg", text.encode())
        self.refuse_seal(cfg, "--weights-file", self.weights(floats), says=says)

    def test_good_one(self):
        cfg = self.write("m.cfg", self.CFG.encode())
        _, outputs = self.run_sealed(self.seal(cfg, "--weights-file", self.weights(8)), self.save(np.ones((1, 3, 8, 8))))
        self.assertTrue((list(outputs.values())[0] == 4).all())

    def test_no_weights_file(self):
        cfg = self.write("m.cfg", self.CFG.encode())
        self.refuse_seal(cfg, codes=(2,), says="--weights-file")
        self.refuse_seal(cfg, "--weights-file", self.folder / "no.weights", codes=(1,), says="no.weights")

    def test_weights_of_another_network(self):
        self.refuse_cfg(self.CFG, floats=7, says="w.weights.*bytes")
        self.refuse_cfg(self.CFG, floats=9, says="w.weights.*bytes")

    def test_bad_cfg(self):
        self.refuse_cfg("", says="m.cfg")
        self.refuse_cfg("filters=2\n", says="m.cfg")
        self.refuse_cfg(self.CFG.replace("[convolutional]", "[crnn]"), says="crnn.*supported")
        self.refuse_cfg(self.CFG.replace("width=8", "width=10000000000"), says="width")
        self.refuse_cfg(self.CFG.replace("width=8", "width=-8"), says="width")
        self.refuse_cfg(self.CFG.replace("filters=2", "filters=0"), says="filters")
        self.refuse_cfg(self.CFG.replace("filters=2", "filters=two"), says="filters")
        self.refuse_cfg(self.CFG + "[route]\nlayers=5\n", says="layer|route")
        self.refuse_cfg(self.CFG.replace("linear", "nonsense"), says="nonsense")


class RunInputs(BadInputTest):
    def setUp(self):
        super().setUp()
        self.sealed = self.seal(harness.TINY_CNN, "--preprocess", "imagenet")
        self.good = self.random_input((1, 3, 32, 32))

    def refuse_run(self, *options, codes=(1, 2), says="coracle"):
        return self.check_refused("run", self.sealed, "--key", self.key, *options, codes=codes, says=says)

    def test_wrong_name(self):
        self.refuse_run("--input", f"nobody={self.good}", says="input")
        self.refuse_run("--input", f"input={self.good}", "--input", f"input={self.good}", says="twice")

    def test_wrong_shape(self):
        for shape in ((1, 3, 32, 31), (3, 32, 32), (1, 32, 32, 3), (2, 3, 32, 32), (0,), ()):
            self.refuse_run("--input", self.random_input(shape, "wrong.npy"), says="wrong.npy")
        self.write("short.raw", bytes(100))
        self.refuse_run("--input", self.folder / "short.raw", says="short.raw")

    def test_wrong_dtype(self):
        for dtype in ("u1", "i2", "i4", "i8", "f8", "f2"):
            np.save(self.folder / "wrong.npy", np.zeros((1, 3, 32, 32), dtype=dtype))
            self.refuse_run("--input", self.folder / "wrong.npy", says="wrong.npy.*takes float32")
        for dtype in (">f4", "c8", "O", "S4", "M8[s]"):
            np.save(self.folder / "wrong.npy", np.zeros((1, 3, 32, 32), dtype=dtype))
            self.refuse_run("--input", self.folder / "wrong.npy", says="wrong.npy.*element type")
        np.save(self.folder / "wrong.npy", np.asfortranarray(np.zeros((1, 3, 32, 32), np.float32)))
        self.refuse_run("--input", self.folder / "wrong.npy", says="wrong.npy.*Fortran")

    def test_bad_npy(self):
        whole = self.good.read_bytes()
        for content in (b"", whole[:5], whole[:100], whole[:-4], whole + b"more", b"\x93NUMPY\x09\x00" + whole[8:],
                        whole.replace(b"(1, 3, 32, 32)", b"(1, 3, 32, -2)")):
            self.refuse_run("--input", self.write("bad.npy", content), says="bad.npy")
        self.refuse_run("--input", self.folder / "no.npy", codes=(1,), says="no.npy")

    def test_unreadable_image(self):
        page = (harness.SOURCE / "examples/images/page.png").read_bytes()
        for name, content in (("bad.png", b""), ("bad.png", b"not an image"), ("bad.png", page[:1000]),
                              ("bad.jpg", b"\xff\xd8\xff\xe0" + bytes(100)), ("bad.bmp", b"BM" + bytes(50)),
                              ("bad.png", png_header(1 << 30, 1 << 30)), ("bad.png", png_header(0, 0))):
            self.refuse_run("--input", self.write(name, content), says=name)
        self.refuse_run("--input", self.folder / "no.png", codes=(1,), says="no.png")
        (self.folder / "d.png").mkdir()
        self.refuse_run("--input", self.folder / "d.png", says="d.png")

    def test_image_for_a_model_without_preprocessing(self):
        self.sealed = self.seal(harness.TINY_CNN)
        self.refuse_run("--input", harness.SOURCE / "examples/images/page.png", says="preprocess")

    def test_output_that_cannot_be_written(self):
        for output in ("no/such/folder/y.npy", "owner.key/y.npy"):
            self.refuse_run("--input", self.good, "--output", self.folder / output, says="y.npy|owner.key|folder")
        self.refuse_run("--input", self.good, "--output", self.folder / "y.txt", says="y.txt")
        self.refuse_run("--input", self.good, "--draw", self.folder / "y.png", says="--draw")

    def test_full_disk(self):
        if not os.path.exists("/dev/full"):
            self.skipTest("no /dev/full")
        with open("/dev/full", "w", encoding="ascii") as full:
            done = subprocess.run([harness.CORACLE, "run", self.sealed, "--key", self.key, "--input", self.good, "--json"],
                                  stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        self.assert_one_line(harness.Finished(done.returncode, "", done.stderr), 1)


class Usage(BadInputTest):
    def test_help_has_an_example(self):
        for verb in ((), *((verb,) for verb in VERBS)):
            done = self.coracle(*verb, "--help")
            self.assertEqual(done.code, 0, verb)
            self.assertEqual(done.err, "", verb)
            self.assertRegex(done.out, r"Examples?:\n +coracle ", verb)

    def test_wrong_usage(self):
        sealed = self.seal(harness.TINY_CNN)
        x = self.random_input((1, 3, 32, 32))
        run = ("run", sealed, "--key", self.key, "--input", x)
        for arguments in ((), ("nonsense",), ("run",), ("run", sealed), ("run", "--key", self.key), ("keygen",), ("seal",),
                          (*run, "--unknown"), (*run, "--threads", "0"), (*run, "--threads", "two"), (*run, "--repeat", "0"),
                          (*run, "--blob", "nonsense"), (*run, "extra"), ("seal", harness.TINY_CNN, "--unknown"),
                          ("seal", harness.TINY_CNN, "-o", self.folder / "n.sealed", "--key", self.key, "--weights", "fp7"),
                          ("seal", harness.TINY_CNN, "-o", self.folder / "n.sealed", "--key", self.key, "--max-error", "-1")):
            done = self.coracle(*arguments)
            self.assertEqual(done.code, 2, f"{arguments}: {done}")
            self.assertEqual(done.out, "", arguments)
            self.assertTrue(done.err.strip(), arguments)

    def test_budget_nonsense(self):
        sealed = self.seal(harness.TINY_CNN)
        x = self.random_input((1, 3, 32, 32))
        for memory in ("", "much", "8MB", "8 M iB", "-1", "8MiBMiB", "1.5", "0x10", "99999999999999999999", "99999999999GiB",
                       "nan", "inf"):
            self.check_refused("run", sealed, "--key", self.key, "--input", x, "--memory", memory, codes=(2,), says="--memory")
            self.check_refused("plan", sealed, "--key", self.key, "--memory", memory, codes=(2,), says="--memory")

    def test_seal_options(self):
        for options in (("--preprocess", "nonsense"), ("--decode", "nonsense"), ("--decode", "yolo"),
                        ("--decode", "ctc:no.txt"), ("--labels", "no.txt"), ("--preprocess", "no.json")):
            self.refuse_seal(harness.TINY_CNN, *options)
        junk = self.write("junk.json", b'{"nonsense": 1}')
        self.refuse_seal(harness.TINY_CNN, "--preprocess", junk)

    def test_json_errors(self):
        done = self.coracle("check", self.folder / "no.sealed", "--key", self.key, "--json")
        self.assert_one_line(done, 1)
        self.assertEqual(done.json["error"]["code"], "not_found")
        self.assertIn("no.sealed", done.json["error"]["message"])


class Writing(BadInputTest):
    def test_keygen_never_overwrites(self):
        self.assertEqual(stat.S_IMODE(self.key.stat().st_mode), 0o600)
        before = self.key.read_bytes()
        self.check_refused("keygen", "-o", self.key, codes=(1,), says="owner.key")
        self.assertEqual(self.key.read_bytes(), before)
        self.assertNotEqual(self.make_key("second.key").read_bytes(), before)
        (self.folder / "dangling.key").symlink_to(self.folder / "target")
        self.check_refused("keygen", "-o", self.folder / "dangling.key", says="dangling.key")
        self.check_refused("keygen", "-o", self.folder / "no/such/folder/k.key", codes=(1,))

    def test_keygen_is_private_whatever_the_umask(self):
        done = subprocess.run(["sh", "-c", f"umask 0; '{harness.CORACLE}' keygen -o open.key"], cwd=self.folder,
                              capture_output=True, check=False)
        self.assertEqual(done.returncode, 0)
        self.assertEqual(stat.S_IMODE((self.folder / "open.key").stat().st_mode), 0o600)

    def test_seal_into_a_missing_folder(self):
        self.check_refused("seal", harness.TINY_CNN, "-o", self.folder / "no/such/folder/m.sealed", "--key", self.key, codes=(1,))
        self.check_refused("seal", harness.TINY_CNN, "-o", self.folder, "--key", self.key)

    def test_seal_onto_what_is_no_file(self):
        """A pipe or a device in the file's place (-o /dev/null) must not be replaced by a file."""
        pipe = self.folder / "pipe.sealed"
        os.mkfifo(pipe)
        done = self.coracle("seal", harness.TINY_CNN, "-o", pipe, "--key", self.key)
        self.assertTrue(stat.S_ISFIFO(pipe.stat().st_mode), "the pipe was replaced by a file")
        self.assert_one_line(done)

    def test_refused_seal_leaves_the_old_file(self):
        sealed = self.seal(harness.TINY_CNN)
        before = sealed.read_bytes()
        cut = self.write("cut.onnx", harness.TINY_CNN.read_bytes()[:5000])
        self.check_refused("seal", cut, "-o", sealed, "--key", self.key, codes=(1,))
        self.assertEqual(sealed.read_bytes(), before)

    def test_seal_onto_its_own_model(self):
        """The model is not lost, whatever the answer."""
        model = self.folder / "own.onnx"
        shutil.copy(harness.TINY_CNN, model)
        done = self.coracle("seal", model, "-o", model, "--key", self.key)
        if done.code == 0:
            self.succeed("check", model, "--key", self.key)
        else:
            self.assert_one_line(done)
            self.assertEqual(model.read_bytes(), harness.TINY_CNN.read_bytes())

    def check_interrupted(self, model, number, delay):
        before = sorted(p.name for p in self.folder.iterdir())
        sealing = subprocess.Popen([harness.CORACLE, "seal", model, "-o", self.folder / "big.sealed", "--key", self.key],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        time.sleep(delay)
        sealing.send_signal(number)
        sealing.communicate(timeout=120)
        if sealing.returncode == 0:
            (self.folder / "big.sealed").unlink()
            return False
        self.assertEqual(sealing.returncode, -number)
        self.assertEqual(sorted(p.name for p in self.folder.iterdir()), before)
        return True

    def test_interrupted_seal_leaves_no_file(self):
        model = harness.generated_onnx("vgg16")
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            hits = sum(self.check_interrupted(model, number, delay) for delay in (0.1, 0.3, 0.6, 1.0))
            self.assertGreater(hits, 0, "no signal came in time")


if __name__ == "__main__":
    harness.main()
