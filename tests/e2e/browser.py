"""Pages of the project's own (--report) in headless Chromium: what their end-to-end tests share."""

import base64
import http.server
import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import threading
import unittest

import harness

# No host name resolves, and nothing is fetched in the background.
OFFLINE = ["--host-resolver-rules=MAP * ~NOTFOUND", "--disable-background-networking"]
HOSTILE = "</script><script>document.documentElement.dataset.owned=1</script><img src=x onerror='document.documentElement" \
          ".dataset.owned=1'>\u2028\u2029&lt;\x00{{charts}}"


def browser():
    for name in ("chromium-headless-shell", "chromium-shell", "chromium"):
        if path := shutil.which(name):
            return path
    raise unittest.SkipTest("no headless Chromium: install chromium-headless-shell")


class Listener(http.server.BaseHTTPRequestHandler):
    """Answers whoever asks, and remembers that it was asked."""
    asked = []

    def do_GET(self):
        self.asked.append(self.path)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


class PageTest(unittest.TestCase):
    """A page is made by `views`, a program of bin/tests that turns JSON into it; its data stand in the element `data_id`."""
    views = None
    data_id = None

    def setUp(self):
        self.browser = browser()
        harness.needs_file(self.views, "the tests (CORACLE_TESTS=ON)")
        harness.CACHE.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(prefix="page-", dir=harness.CACHE)
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def page(self, data):
        made = subprocess.run([str(self.views)], input=json.dumps(data), capture_output=True, text=True, check=True, timeout=60)
        path = self.folder / "page.html"
        path.write_text(made.stdout, encoding="utf-8")
        return path

    def browse(self, path, *options):
        done = subprocess.run(
            [self.browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
             f"--user-data-dir={self.folder}/profile", "--virtual-time-budget=5000", *OFFLINE, *options, path.resolve().as_uri()],
            capture_output=True, text=True, errors="replace", check=False, timeout=240)
        self.assertEqual(done.returncode, 0, done.stderr[-2000:])
        return done.stdout

    def head(self, path):
        return re.search(r"<html[^>]*>", self.browse(path, "--dump-dom"))[0]

    def drawn(self, path):
        """What the page's script tells on <html> when all is drawn."""
        head = self.head(path)
        told = dict(re.findall(r'data-([a-z-]+)="([^"]*)"', head))
        self.assertEqual(told.get("drawn"), "yes", head)
        self.assertEqual(told.get("errors"), "0", head)
        self.assertNotIn("owned", told)
        return told

    def poked(self, path, script):
        """What `script` (a person's hand) tells as data-poke-..., in a page without its policy."""
        text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", path.read_text(encoding="utf-8"))
        before, _, after = text.rpartition("</body>")
        path.write_text(f"{before}<script>{script}</script></body>{after}", encoding="utf-8")
        return {name: value for name, value in self.drawn(path).items() if name.startswith("poke-")}

    def assert_prints(self, path):
        printed = self.folder / "page.pdf"
        self.browse(path, f"--print-to-pdf={printed}")
        self.assertGreater(printed.stat().st_size, 20_000)

    def assert_looks_of_both_colour_schemes(self, path):
        shots = []
        for name, scheme in (("light", "1"), ("dark", "0")):
            shot = self.folder / f"{name}.png"
            self.browse(path, f"--screenshot={shot}", "--window-size=1440,2100",
                        f"--blink-settings=preferredColorScheme={scheme}")
            self.assertGreater(shot.stat().st_size, 50_000, "an empty page?")
            shots.append(shot.read_bytes())
        self.assertNotEqual(*shots)

    def assert_policy_holds(self, path):
        """The page, with markup slipped in as if something had not been escaped: it asks nobody and runs nothing."""
        Listener.asked.clear()
        server = http.server.HTTPServer(("127.0.0.1", 0), Listener)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        address = f"http://127.0.0.1:{server.server_port}"
        slipped = (f"<img src='{address}/image'><script src='{address}/script'></script>"
                   f"<link rel='stylesheet' href='{address}/style'>"
                   f"<script>document.documentElement.dataset.owned = 1; fetch('{address}/fetch')</script>"
                   f"<iframe src='{address}/frame'></iframe><img src='x' onerror='document.documentElement.dataset.owned = 1'>")
        path.write_text(path.read_text(encoding="utf-8").replace("<main>", f"<main>{slipped}"), encoding="utf-8")
        head = self.head(path)
        self.assertIn('data-drawn="yes"', head)
        self.assertNotIn("data-owned", head)
        self.assertEqual(Listener.asked, [])

    def assert_asks_for_nothing(self, path):
        text = path.read_text(encoding="utf-8")
        self.assertEqual(re.findall(r"<script[^>]*>", text),
                         [f'<script id="{self.data_id}" type="application/json">', "<script>", "<script>"])
        markup = re.sub(r"<script[^>]*>.*?</script>", "", text, flags=re.S)
        self.assertEqual(re.findall(r"\b(?:src|href|srcset|data|action)=|url\(|@import", markup), [])
        policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)[1]
        self.assertIn("default-src 'none'", policy)
        for digest in re.findall(r"sha256-([^']*)'", policy):
            self.assertEqual(len(base64.b64decode(digest, validate=True)), 32)
        self.assertLess(len(text), 2_000_000)
