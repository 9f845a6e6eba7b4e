"""One engine that predicts when it is asked to, in plain memory or within an EPC of epcrun.

Every engine speaks the protocol of the reference hosts: a JSON object a line, {"ready": true} first, then one for each `run`.
"""

import contextlib
import json
import os
import select
import signal
import subprocess
import time

# A prediction or a start that takes longer is given up: the engine then counts as failed at this size.
ANSWER_SECONDS = 1800
END_SECONDS = 60


class EngineFailed(Exception):
    """The engine ended, hung or said something else; the text says which, in one line."""


def last_words(lines, code):
    """How a program ended, and the last of the lines that it wrote to stderr."""
    lines = [line.strip() for line in lines if line.strip()]
    return f"exit {code}: {lines[-1] if lines else 'it said nothing'}"


class Engine:
    """A running process. `stats` is None, or the file that epcrun writes its statistics to."""

    def __init__(self, command, epcrun=None, size_bytes=None, folder=None):
        self.command = [str(part) for part in command]
        self.stats = None
        if epcrun is not None:
            self.stats = folder / "stats.json"
            self.stats.unlink(missing_ok=True)
            size = "unlimited" if size_bytes is None else str(size_bytes)
            self.command = [str(epcrun), "--size", size, "--json", str(self.stats), "--quiet", "--", *self.command]
        self.errors = open(folder / "stderr.txt", "w+", encoding="utf-8", errors="replace")
        # A session of its own: what epcrun started must end with it.
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors,
                                        start_new_session=True)
        self.unread = b""
        self.times_ms = []
        try:
            self.read_answer()
        except EngineFailed:
            self.kill()
            raise

    def read_answer(self):
        end = time.monotonic() + ANSWER_SECONDS
        pipe = self.process.stdout.fileno()
        while b"\n" not in self.unread:
            ready, _, _ = select.select([pipe], [], [], max(0, end - time.monotonic()))
            if not ready:
                raise EngineFailed(f"no answer within {ANSWER_SECONDS} s")
            part = os.read(pipe, 65536)
            if not part:
                raise EngineFailed(self.last_words())
            self.unread += part
        line, _, self.unread = self.unread.partition(b"\n")
        return json.loads(line)

    def last_words(self):
        self.process.wait()
        self.errors.seek(0)
        return last_words(self.errors, self.process.returncode)

    def ask(self, line):
        try:
            self.process.stdin.write(f"{line}\n".encode())
            self.process.stdin.flush()
        except BrokenPipeError as error:
            raise EngineFailed(self.last_words()) from error
        return self.read_answer()

    def predict(self):
        """Milliseconds of one prediction."""
        answer = self.ask("run")
        if "ms" not in answer:
            raise EngineFailed(json.dumps(answer))
        self.times_ms.append(answer["ms"])
        return answer["ms"]

    def close(self):
        """Ends the engine in order. Returns epcrun's statistics; None in plain memory."""
        try:
            self.process.stdin.write(b"quit\n")
            self.process.stdin.close()
            self.process.wait(END_SECONDS)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            pass
        self.kill()
        if self.stats is None:
            return None
        if not self.stats.exists():
            raise EngineFailed("epcrun left no statistics")
        return json.loads(self.stats.read_text(encoding="utf-8"))

    def kill(self):
        """Whatever is left of it. May be called again."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        for file in (self.process.stdin, self.process.stdout, self.errors):
            with contextlib.suppress(BrokenPipeError):
                file.close()


def loads_by_prediction(stats):
    """Pages loaded in each prediction: from the marks that the engines set as one begins (even labels) and ends (odd)."""
    loads = {mark["label"]: mark["loads"] for mark in stats["marks"]}
    return [loads[label + 1] - loads[label] for label in sorted(loads) if label % 2 == 0 and label + 1 in loads]
