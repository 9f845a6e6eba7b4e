"""bench/density's host: a scheduler under load keeps its budget, and evicts nothing in an EPC of its budget and working set."""

import json
import subprocess
import unittest

import harness
from harness import MIB

# What the process keeps beside its scheduler's budget, at most.
WORKING_SET_BYTES = 5 * MIB


class Density(harness.CoracleTest):
    def talk(self, command, orders):
        """The host's answers."""
        done = subprocess.run([str(part) for part in command], input="".join(f"{order}\n" for order in orders), capture_output=True,
                              text=True, timeout=harness.PROGRAM_SECONDS, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertTrue(answers[0]["ready"])
        self.assertEqual(len(answers), 1 + len(orders))
        return answers[1:]

    def host(self, memory, *sealed):
        models = [word for path in sealed for word in ("--model", path)]
        return [harness.needs_host("density_host"), *models, "--key", self.key, "--memory", memory, "--cores", 2]

    def test_many_clients_within_the_budget(self):
        sealed = self.seal(harness.TINY_CNN)
        other = self.seal(harness.TINY_CNN, name="other.sealed")
        for answer in self.talk(self.host(MIB, sealed, other), ["load 1 0.1", "load 16 0.2"]):
            self.assertLessEqual(answer["leased_peak_bytes"], MIB)
            for client in answer["clients"]:
                self.assertGreater(len(client["latencies_ms"]), 0)
                self.assertGreater(client["seconds"], 0)

    def test_nothing_is_evicted(self):
        epcrun = harness.BIN / "epcrun"
        if not epcrun.exists():
            raise unittest.SkipTest("epcrun was not built")
        sealed = self.seal(harness.generated_onnx("mobilenetv2"))
        memory, statistics = 24 * MIB, self.folder / "statistics.json"
        command = [epcrun, "--size", memory + WORKING_SET_BYTES, "--json", statistics, "--quiet", "--", *self.host(memory, sealed)]
        self.talk(command, ["load 8 0.5", "load 8 1", "load 3 1"])
        measured = json.loads(statistics.read_text(encoding="utf-8"))
        loads = [mark["loads"] for mark in measured["marks"]]
        self.assertEqual(len(loads), 6)
        self.assertEqual(loads[2], loads[-1])  # once warm


if __name__ == "__main__":
    harness.main()
