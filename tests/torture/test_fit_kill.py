"""SIGKILL at system calls of `cairn fit`: `--resume` then does what the uninterrupted run does."""
import os
import random
import re
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import kit  # pylint: disable=wrong-import-position

SWEEP = os.environ.get("CAIRN_SWEEP", "")
LONG = os.environ.get("TORTURE") == "1"
SEED = int(os.environ.get("CAIRN_TEST_SEED", random.SystemRandom().randrange(1 << 32)))
POINTS = 1000 if LONG else 100
STEPS = 6
SAVE_STEPS = 2
LAST = "checkpoint_%d.mdl" % STEPS


class FitKill(kit.Case):
    def setUp(self):
        super().setUp()
        if kit.SLOW:
            self.skipTest("the leak sanitizer does not work under ptrace")
        if not os.path.exists(SWEEP):
            self.skipTest("there is no sweeper: CAIRN_SWEEP")
        if self.sweep(0, "entry", ["/bin/true"])[0] == "refused":
            self.skipTest("ptrace is refused here")

    def config(self, name, callbacks):
        callbacks = callbacks + [{"SaveCheckpointState": {"k": 1, "checkpoint_states": "model"}}]
        return self.write_config(kit.tiny_config(
            self.text, loop={"max_steps": STEPS, "eval_frequency": SAVE_STEPS, "eval_steps": 2},
            checkpoint={"steps": SAVE_STEPS}, callbacks=callbacks), name)

    def sweep(self, n, side, command):
        """(killed|ended|refused, system calls, exit code, standard error) of one run."""
        process = subprocess.run([SWEEP, str(n), side, *command], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True,
                                 env=kit.environment(), timeout=kit.TIMEOUT_S)
        match = re.match(r"(\w+) calls=(\d+) code=(-?\d+)\n", process.stdout.decode())
        return (match[1], int(match[2]), int(match[3]), process.stderr.decode(errors="replace"))

    def fit_command(self, model_dir, *more):
        return [kit.BIN, "fit", self.params, "-o", model_dir, "--threads", "2", *more]

    def first_call(self, calls):
        """The first system call behind which model_dir is there: none before it can matter."""
        low, high = 1, calls
        while low < high:
            middle = (low + high) // 2
            where = self.path("bisect")
            shutil.rmtree(where, ignore_errors=True)
            self.sweep(middle, "entry", self.fit_command(where))
            if os.path.isdir(where):
                high = middle
            else:
                low = middle + 1
        return low

    def whole_files(self, model_dir):
        """Each file under a checkpoint's name is what the uninterrupted run wrote."""
        for name in os.listdir(model_dir) if os.path.isdir(model_dir) else []:
            if name.endswith(".mdl") and not name.startswith("."):
                self.assertEqual(self.expected[name], kit.tensors(os.path.join(model_dir, name)),
                                 name)

    def acknowledged(self, model_dir, messages):
        """The newest checkpoint that the killed run has called saved is there."""
        saved = re.findall(r"Saved checkpoint \S*/(checkpoint_\d+\.mdl) ", messages)
        if saved:
            self.assertIn(saved[-1], os.listdir(model_dir))

    def one_point(self, model_dir, points):
        """Kills a fit, and its resumes, at @points (system call, side); then finishes it."""
        shutil.rmtree(model_dir, ignore_errors=True)
        for number, (call, side) in enumerate(points):
            more = ["--resume"] if number else []
            end, _, code, messages = self.sweep(call, side, self.fit_command(model_dir, *more))
            self.assertIn((end, code), (("killed", -1), ("ended", 0)), messages)
            self.whole_files(model_dir)
            self.acknowledged(model_dir, messages)
        result = kit.run(self.fit_command(model_dir, "--resume")[1:])
        self.assertIn(result.result["result"], ("finished", "complete"), result.err)
        self.whole_files(model_dir)
        names = os.listdir(model_dir)
        # Also of a run whose last checkpoint was committed, which has no step left to do.
        kept = kit.checkpoints(model_dir)
        alternatives = kit.checkpoints(model_dir, "model_checkpoint_")
        self.kept_more += max(len(kept) - 2, 0)
        self.lacked += max(3 - len(alternatives), 0)
        self.assertEqual(["checkpoint_4.mdl", LAST], kept)
        self.assertEqual(["model_checkpoint_%d.mdl" % step for step in (2, 4, 6)], alternatives)
        self.assertEqual([], [name for name in names if name.endswith(".part")])
        self.assertEqual([], [name for name in names if name.endswith(".notes.json")
                              and name[:-len(".notes.json")] not in names])

    def test_resume_after_a_kill_at_sampled_system_calls(self):
        rng = random.Random(SEED)
        self.params = self.config("all.yaml", [])
        kit.run(self.fit_command(self.path("all"))[1:])
        self.expected = {name: kit.tensors(self.path("all", name))
                         for name in os.listdir(self.path("all")) if name.endswith(".mdl")}
        self.assertIn(LAST, self.expected)
        self.params = self.config("params.yaml", [{"KeepNCheckpoints": {"n": 2}}])
        end, calls, code, messages = self.sweep(0, "entry", self.fit_command(self.path("count")))
        self.assertEqual(("ended", 0), (end, code), messages)
        first = self.first_call(calls)
        self.kept_more = self.lacked = 0  # Old checkpoints kept, alternatives not written.
        lost, problem = 0, None
        for number in range(POINTS):
            # Every fifth time the start that follows is killed too.
            points = [(rng.randrange(first, calls + 1), rng.choice(["entry", "exit"]))
                      for _ in range(2 if number % 5 == 4 else 1)]
            try:
                self.one_point(self.path("killed"), points)
            except (AssertionError, OSError) as error:
                lost += 1
                problem = problem or "seed %d, %s: %s" % (SEED, points, error)
        print("torture: SIGKILL at sampled system calls of cairn fit, then --resume tried=%d "
              "lost=%d kept_more=%d alternatives_not_written=%d calls=%d..%d seed=%d"
              % (POINTS, lost, self.kept_more, self.lacked, first, calls, SEED))
        self.assertIsNone(problem)
        self.assertEqual((0, 0), (self.kept_more, self.lacked))


if __name__ == "__main__":
    unittest.main()
