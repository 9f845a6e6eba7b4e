"""epcrun's limit as the kernel sees it, from outside: for one program, for several that share, and under attack."""

import contextlib
import json
import os
import pathlib
import random
import signal
import subprocess
import time

import harness
import secure_pages
from epc_harness import EPCRUN, PYTHON, EpcTest, compiled
from harness import MIB

TAMPERED = 86
TAMPERED_LINE = r"epcrun: .*did not open"


class Limit(EpcTest):
    """Looked at from outside, by /proc/PID/pagemap."""

    def watch(self, size, *words, samples):
        limit = int(size.removesuffix("MiB")) * MIB
        epcrun, pid = self.running(size, *words)
        seen = []
        while len(seen) < samples:
            with secure_pages.stopped(pid) as alive:
                if not alive:
                    break
                seen.append(secure_pages.SecurePages(pid))
            time.sleep(random.uniform(0.001, 0.02))
        self.assertGreaterEqual(len(seen), samples // 2, "it ended too soon")
        most = max(pages.bytes for pages in seen)
        print(f"{pathlib.Path(str(words[0])).name} under {size}: {len(seen)} samples, at most {most / MIB:.2f} MiB secure, of "
              f"which pinned {max(p.pinned_bytes for p in seen) / MIB:.2f}; the emulator's own {max(p.own_bytes for p in seen) / MIB:.1f}")
        self.assertLessEqual(most, limit)
        # It is not that little is present: the limit is used.
        self.assertGreater(most, limit * 3 // 4)

    def test_holds_with_four_threads(self):
        self.watch("8MiB", compiled("patterns"), 64, 4, 60, samples=200)

    def test_holds_for_python(self):
        code = "import numpy as np\nx = np.ones((4, 1 << 20))\nwhile True: x = np.roll(x, 1, axis=1) * 1.0\n"
        self.watch("16MiB", PYTHON, "-c", code, samples=100)

    def test_nothing_else_of_the_program_is_present(self):
        """What is private, anonymous and not registered is the emulator's: tables, sealed pages, stacks."""
        epcrun, pid = self.running("8MiB", compiled("patterns"), 64, 4, 60)
        with secure_pages.stopped(pid) as alive:
            self.assertTrue(alive)
            pages = secure_pages.SecurePages(pid)
            begin, end = secure_pages.sealed_store(pid)
        # A page's record is some tens of bytes; each of the six threads has a signal stack.
        self.assertLessEqual(pages.own_bytes - (end - begin), 4 * MIB)
        self.assertLessEqual(end - begin, (64 + 4) * MIB)


class Attacks(EpcTest):
    """The sealed pages lie in the host's memory, where anybody may write: here through /proc/PID/mem."""

    def setUp(self):
        super().setUp()
        self.random = random.Random(7)

    def victim(self):
        return self.running("8MiB", compiled("patterns"), 32, 1, 60)

    @contextlib.contextmanager
    def store(self, pid):
        """The store's file and [begin, end), while the program stands still."""
        with secure_pages.stopped(pid) as alive:
            self.assertTrue(alive, "the program ended by itself")
            begin, end = secure_pages.sealed_store(pid)
            with open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:
                yield memory, begin, (end - begin) // secure_pages.PAGE

    @staticmethod
    def read(memory, begin, slot):
        memory.seek(begin + slot * secure_pages.PAGE)
        return memory.read(secure_pages.PAGE)

    @staticmethod
    def write(memory, begin, slot, page):
        memory.seek(begin + slot * secure_pages.PAGE)
        memory.write(page)

    def attack_until_caught(self, attack):
        """Slots that are free, or that the program wrote anew meanwhile, tell nothing: so a few tries."""
        epcrun, pid = self.victim()
        for _ in range(20):
            attack(pid)
            with contextlib.suppress(subprocess.TimeoutExpired):
                _, err = epcrun.communicate(timeout=1.5)
                self.assertEqual(epcrun.returncode, TAMPERED, err)
                self.assertEqual(len(err.splitlines()), 1, err)
                self.assertRegex(err, TAMPERED_LINE)
                return
        self.fail("not caught")

    def test_a_flipped_bit(self):
        def flip(pid):
            with self.store(pid) as (memory, begin, slots):
                slot = self.random.randrange(slots)
                page = bytearray(self.read(memory, begin, slot))
                page[self.random.randrange(len(page))] ^= 1 << self.random.randrange(8)
                self.write(memory, begin, slot, page)

        self.attack_until_caught(flip)

    def test_two_pages_exchanged(self):
        def exchange(pid):
            with self.store(pid) as (memory, begin, slots):
                one, other = self.random.sample(range(slots), 2)
                first, second = self.read(memory, begin, one), self.read(memory, begin, other)
                self.write(memory, begin, one, second)
                self.write(memory, begin, other, first)

        self.attack_until_caught(exchange)

    def test_an_earlier_version(self):
        def replay(pid):
            with self.store(pid) as (memory, begin, slots):
                slot = self.random.randrange(slots)
                before = self.read(memory, begin, slot)
            for _ in range(100):
                time.sleep(0.02)
                with self.store(pid) as (memory, begin, _slots):
                    if self.read(memory, begin, slot) != before:
                        self.write(memory, begin, slot, before)
                        return
            self.fail("the slot was never written again")

        self.attack_until_caught(replay)

    def test_the_statistics_say_so(self):
        path = self.folder / "stats.json"
        epcrun, pid = self.running("8MiB", compiled("patterns"), 32, 1, 60, options=("--json", path))
        with self.store(pid) as (memory, begin, slots):
            for slot in range(0, slots, 3):
                self.write(memory, begin, slot, bytes(secure_pages.PAGE))
        epcrun.communicate(timeout=60)
        stats = json.loads(path.read_text(encoding="utf-8"))
        self.assertEqual((stats["state"], stats["exit_code"]), ("tampered", TAMPERED))
        self.assertIn("did not open", stats["complaint"])


class Sharing(EpcTest):
    def setUp(self):
        super().setUp()
        self.name = f"e2e-{os.getpid()}"

    def member(self, *options, mib=64, size="12MiB"):
        return self.running(size, compiled("patterns"), mib, 1, 120, options=("--share", self.name, *options))

    def secure_bytes(self, *pids):
        """Of all at one moment. Who waits at the gate is still a copy of epcrun, and no program yet."""
        with secure_pages.stopped(*pids) as alive:
            self.assertTrue(alive)
            return [0 if os.path.samefile(f"/proc/{pid}/exe", EPCRUN) else secure_pages.SecurePages(pid).bytes for pid in pids]

    def wait_for(self, what, *pids):
        """Until `what` holds of the members' secure bytes; never more than 12 MiB meanwhile."""
        end = time.monotonic() + 30
        while time.monotonic() < end:
            sizes = self.secure_bytes(*pids)
            self.assertLessEqual(sum(sizes), 12 * MIB, sizes)
            if what(sizes):
                return
            time.sleep(0.01)
        self.fail(f"it never came to that: {sizes}")

    def test_the_sum_never_exceeds_the_size(self):
        _, first_pid = self.member()
        self.wait_for(lambda sizes: sizes[0] > 11 * MIB, first_pid)
        second = self.start("12MiB", compiled("patterns"), 64, 1, 120, options=("--share", self.name))
        second_pid = self.program_of(second)
        # From the newcomer's first moment on.
        self.wait_for(lambda sizes: min(sizes) > 5 * MIB, first_pid, second_pid)
        _, third_pid = self.member("--quota", "8MiB")
        self.wait_for(lambda sizes: sizes[2] > 7 * MIB and max(sizes[:2]) <= 2 * MIB, first_pid, second_pid, third_pid)
        second.kill()
        self.wait_for(lambda sizes: sizes[0] > 3 * MIB, first_pid, third_pid)

    def test_list(self):
        _, pid = self.member("--quota", "4MiB")
        done = harness.run_program(EPCRUN, "--share", self.name, "--list")
        self.assertEqual(done.code, 0, str(done))
        self.assertRegex(done.out, rf"(?m)^ *{pid} patterns +4 MiB +4 MiB ")
        self.assertIn("of 12 MiB", done.out)

    def test_refusals(self):
        self.member("--quota", "8MiB")
        for options, size, code, what in ((("--quota", "6MiB"), "12MiB", 1, "2 runs in 12 MiB: 14 MiB are reserved"),
                                          ((), "16MiB", 2, "give --size 12 MiB")):
            done = harness.run_program(EPCRUN, "--size", size, "--share", self.name, *options, "--", "/bin/true")
            self.assertEqual(done.code, code, str(done))
            self.assertEqual(len(done.err.splitlines()), 1, str(done))
            self.assertIn(what, done.err)
        nobody = harness.run_program(EPCRUN, "--share", f"{self.name}-other", "--list")
        self.assertEqual(nobody.code, 1)

    def test_nothing_is_left_behind(self):
        epcrun, _ = self.member()
        os.kill(self.program_of(epcrun), signal.SIGKILL)
        epcrun.communicate(timeout=30)
        self.assertFalse(pathlib.Path(f"/dev/shm/epcrun-{self.name}").exists())


if __name__ == "__main__":
    harness.main()
