"""Processes that start on one model_dir at once: one trains, the others say who does."""
import concurrent.futures
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import kit  # pylint: disable=wrong-import-position

PROCESSES = 8
SAVED = re.compile(r"Saved checkpoint \S*/checkpoint_(\d+)\.mdl")
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

    def start(self, number):
        """A process whose messages go to a file, so that nobody waits for a reader."""
        with open(self.path("err%d" % number), "wb") as err:
            return subprocess.Popen(
                [kit.BIN, "fit", self.params, "-o", self.model_dir, "--resume", "--threads", "1"],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=err,
                env=kit.environment())

    def messages(self, number):
        with open(self.path("err%d" % number), encoding="utf-8", errors="replace") as file:
            return file.read()

    def wait_for_a_save(self, number):
        """A run stopped before its first step saves nothing, which would prove nothing."""
        until = time.monotonic() + kit.TIMEOUT_S
        while not SAVED.search(self.messages(number)):
            self.assertLess(time.monotonic(), until, "the process that trains saved nothing")
            time.sleep(0.01)

    def one_round(self):
        """Starts all; returns the step at which the one that trained was stopped."""
        started = [self.start(number) for number in range(PROCESSES)]
        try:
            with concurrent.futures.ThreadPoolExecutor(PROCESSES) as pool:
                ends = {pool.submit(process.wait, kit.TIMEOUT_S): number
                        for number, process in enumerate(started)}
                try:
                    refused = concurrent.futures.as_completed(ends, kit.TIMEOUT_S)
                    codes = [(ends[end], end.result())
                             for end in itertools.islice(refused, PROCESSES - 1)]
                finally:
                    left = [process for process in started if process.returncode is None]
                    if len(left) == 1:
                        self.wait_for_a_save(started.index(left[0]))
                    for process in left:
                        process.send_signal(signal.SIGTERM)
            self.assertEqual([kit.LOCKED] * (PROCESSES - 1), [code for _, code in codes])
            self.assertEqual([kit.STOPPED], [process.returncode for process in left])
            for number, _ in codes:
                self.assertRegex(self.messages(number), r"process %d\b" % left[0].pid)
        finally:
            for process in started:
                process.kill()
                process.wait()
        trained = self.messages(started.index(left[0]))
        return int(SAVED.findall(trained)[-1])

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
