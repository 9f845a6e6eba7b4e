"""The demonstration's two models on its two images: the text is read, the page's heat map is drawn."""

import struct
import zlib

import numpy as np

import harness

LINE = harness.SOURCE / "examples/images/line.png"
PAGE = harness.SOURCE / "examples/images/page.png"
LINE_TEXT = "Small boats carry great cargo 2026"


def read_png(path):
    """(height, width, channels) and the decoded scan lines' bytes of an 8-bit PNG, to be sure that it is a whole one."""
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n", path
    chunks, at = [], 8
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8:at + 8 + length]
        assert zlib.crc32(kind + body) == struct.unpack_from(">I", data, at + 8 + length)[0], f"{path}: {kind}"
        chunks.append((kind, body))
        at += 12 + length
    assert chunks[-1][0] == b"IEND", path
    width, height, depth, color = struct.unpack_from(">IIBB", chunks[0][1])
    pixels = zlib.decompress(b"".join(body for kind, body in chunks if kind == b"IDAT"))
    channels = {0: 1, 2: 3, 6: 4}[color]
    assert depth == 8 and len(pixels) == height * (1 + width * channels), path
    return (height, width, channels), pixels


class Recogniser(harness.CoracleTest):
    def setUp(self):
        super().setUp()
        keys = harness.needs_asset("ocr/ppocr_keys_v1.txt")
        self.sealed = self.seal(harness.needs_asset(harness.OCR_REC), "--shape", "x=1x3x48x640", "--preprocess", "ocr",
                                "--decode", f"ctc:{keys}")

    def test_reads_the_line(self):
        drawn = self.folder / "drawn.png"
        report, _ = self.run_sealed(self.sealed, LINE, "--memory", "4MiB", "--draw", drawn)
        output = report["outputs"][0]
        self.assertEqual(output["text"], LINE_TEXT)
        self.assertGreater(output["score"], 0.9)
        self.assertEqual(output["dtype"], "float32")
        read_png(drawn)

    def test_prints_the_line(self):
        done = self.succeed("run", self.sealed, "--key", self.key, "--memory", "4MiB", "--input", LINE)
        self.assertIn(LINE_TEXT, done.out)
        self.assertEqual(done.err, "")

    def test_reads_the_line_without_exact(self):
        sealed = self.folder / "fast.sealed"
        self.succeed("seal", harness.needs_asset(harness.OCR_REC), "-o", sealed, "--key", self.key, "--shape", "x=1x3x48x640",
                     "--preprocess", "ocr", "--decode", f"ctc:{harness.needs_asset('ocr/ppocr_keys_v1.txt')}")
        report, _ = self.run_sealed(sealed, LINE, "--memory", "4MiB")
        self.assertEqual(report["outputs"][0]["text"], LINE_TEXT)


class Detector(harness.CoracleTest):
    def test_heat_map_of_the_page(self):
        sealed = self.seal(harness.needs_asset(harness.OCR_DET), "--shape", "x=1x3x960x960", "--preprocess", "ocr-det",
                           "--decode", "heatmap")
        drawn = self.folder / "heatmap.png"
        report, outputs = self.run_sealed(sealed, PAGE, "--memory", "24MiB", "--draw", drawn)
        heatmap = report["outputs"][0]["heatmap"]
        self.assertEqual((heatmap["width"], heatmap["height"]), (960, 960))
        self.assertEqual(read_png(drawn)[0][:2], (960, 960))
        values = next(iter(outputs.values())).reshape(960, 960)
        self.assertAlmostEqual(heatmap["max"], float(values.max()), places=5)
        self.assert_finds_text(values)

    def assert_finds_text(self, values):
        """The title is text; the margins are not."""
        self.assertGreater(values[85:96, 300:660].mean(), 0.5)
        for margin in (values[:40], values[920:], values[:, :40], values[:, 920:]):
            self.assertLess(margin.max(), 0.3)
        self.assertTrue(np.isfinite(values).all())


if __name__ == "__main__":
    harness.main()
