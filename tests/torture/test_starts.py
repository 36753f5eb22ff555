"""Processes that start on one model_dir at once: one trains, the others say who does."""
import concurrent.futures
import contextlib
import json
import os
import re
import signal
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import kit  # pylint: disable=wrong-import-position

PROCESSES = 8
SAVED = r"Saved checkpoint \S*/checkpoint_(\d+)\.mdl"
ROUNDS = 50 if os.environ.get("TORTURE") == "1" else 3


class Starts(kit.Case):
    def setUp(self):
        super().setUp()
        callbacks = [{"KeepNCheckpoints": {"n": 2}}]
        # Long enough that nobody comes to the end before it is asked to stop.
        self.params = self.write_config(kit.tiny_config(
            self.text, val=False, loop={"max_steps": 1 << 40}, checkpoint={"steps": 20},
            callbacks=callbacks))
        self.model_dir = self.path("m")

    def start(self):
        return kit.Running(["fit", self.params, "-o", self.model_dir, "--resume", "--threads", "1"])

    def one_round(self):
        """Starts all; returns the step at which the one that trained was stopped."""
        with contextlib.ExitStack() as stack:
            started = [stack.enter_context(self.start()) for _ in range(PROCESSES)]
            with concurrent.futures.ThreadPoolExecutor(PROCESSES) as pool:
                # A run stopped before its first save would prove nothing.
                has_saved = list(pool.map(lambda one: one.wait_for(SAVED), started))
                self.assertEqual(1, sum(has_saved))
                trains = started[has_saved.index(True)]
                trains.signal(signal.SIGTERM)
                ends = list(pool.map(lambda one: one.finish(), started))
            for one, end in zip(started, ends):
                self.assertEqual(kit.STOPPED if one is trains else kit.LOCKED, end.code)
                if one is not trains:
                    self.assertRegex(end.err, r"process %d\b" % trains.process.pid)
            return int(re.findall(SAVED, ends[started.index(trains)].err)[-1])

    def check(self, step):
        """All there is is whole, the newest is where training stopped, nothing is left over."""
        names = os.listdir(self.model_dir)
        self.assertIn("checkpoint_%d.mdl" % step, names)
        self.assertEqual([], [name for name in names if name.endswith(".part")])
        for name in kit.checkpoints(self.model_dir):
            kit.run(["checkpoint", "verify", os.path.join(self.model_dir, name)])
        with open(os.path.join(self.model_dir, "run.json"), encoding="utf-8") as file:
            return json.load(file)["run_id"]

    def test_one_of_eight_trains_and_the_others_exit_with_8(self):
        steps, runs = [0], set()
        for _ in range(ROUNDS):
            steps.append(self.one_round())
            # It went on from the round before.
            self.assertGreater(steps[-1], steps[-2])
            runs.add(self.check(steps[-1]))
        self.assertEqual(1, len(runs))
        print("torture: %d processes start on one model_dir tried=%d lost=0"
              % (PROCESSES, ROUNDS))


if __name__ == "__main__":
    unittest.main()
