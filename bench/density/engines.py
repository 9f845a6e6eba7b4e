"""The engines of density.py: processes that wait for orders on their standard input, each in an EPC of `epcrun`.

An engine is made for a number of clients, all its processes started and warm. `measure(seconds)` lets every client ask again as soon as
it is answered, and returns for each [latencies in ms, seconds from its first question to its last answer].
"""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import threading
import time

EPC_BYTES = 93 << 20


class Process:
    """A host program under epcrun that answers each line with a line of JSON."""

    def __init__(self, epcrun, epc, stats, command):
        self.stats = stats
        self.command = [str(part) for part in (epcrun, "--size", "93MiB", *epc, "--json", stats, "--quiet", "--", *command)]
        self.log = open(f"{stats}.log", "w+", encoding="utf-8", errors="replace")
        # A group of their own: epcrun and its program are then killed together.
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True,
                                        process_group=0)

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            self.fail("it ended")
        answer = json.loads(line)
        if "error" in answer:
            self.fail(answer["error"])
        return answer

    def fail(self, reason):
        self.log.seek(0)
        tail = "".join(self.log.readlines()[-3:])
        raise RuntimeError(f"{' '.join(self.command)}: {reason}\n{tail}")

    def ask(self, order):
        self.process.stdin.write(f"{order}\n")
        self.process.stdin.flush()
        return self.read()

    def cpu_seconds(self):
        """Of the program under epcrun so far."""
        ticks = 0
        for child in pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text(encoding="ascii").split():
            fields = pathlib.Path(f"/proc/{child}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def stop(self):
        """Returns epcrun's statistics."""
        self.process.stdin.close()  # the end of input ends the program
        self.process.wait(timeout=300)
        self.process.stdout.close()
        self.log.close()
        with open(self.stats, encoding="utf-8") as file:
            statistics = json.load(file)
        os.remove(self.stats)
        os.remove(f"{self.stats}.log")
        return statistics

    def kill(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def at_once(actions):
    """Runs them in threads of their own; the first that fails ends all."""
    results, failures = [None] * len(actions), []

    def run(index):
        try:
            results[index] = actions[index]()
        except Exception as failure:  # pylint: disable=broad-except  # handed to the caller
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(actions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return results


class Engine:
    """Processes under epcrun."""

    def __init__(self, name, processes):
        self.name, self.processes = name, processes
        for process in processes:
            process.read()  # ready

    def cpu_seconds(self):
        return sum(process.cpu_seconds() for process in self.processes)

    def stop(self):
        return at_once([process.stop for process in self.processes])

    def kill(self):
        for process in self.processes:
            process.kill()


class OneEach(Engine):
    """A process for each client, which predicts when it is told to."""

    def measure(self, seconds):
        start = time.monotonic()

        def client(process):
            latencies = []
            while not latencies or time.monotonic() - start < seconds:
                asked = time.monotonic()
                process.ask("run")
                latencies.append(1000 * (time.monotonic() - asked))
            return latencies, time.monotonic() - start

        return at_once([lambda process=process: client(process) for process in self.processes])


class Scheduled(Engine):
    """density_host: a scheduler in each process, and the clients with it."""

    def __init__(self, name, processes, clients):
        super().__init__(name, processes)
        self.clients, self.answers = clients // len(processes), []

    def measure(self, seconds):
        answers = at_once([lambda process=process: process.ask(f"load {self.clients} {seconds}") for process in self.processes])
        self.answers += answers
        return [(client["latencies_ms"], client["seconds"]) for answer in answers for client in answer["clients"]]
