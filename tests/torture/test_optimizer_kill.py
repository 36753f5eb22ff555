"""SIGKILL at random moments of a fit, with every optimizer: `--resume` then does what the
uninterrupted run does."""
import os
import random
import re
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import kit  # pylint: disable=wrong-import-position
from test_optimizers import OPTIMIZERS, RATE  # pylint: disable=wrong-import-position

SEED = int(os.environ.get("CAIRN_TEST_SEED", random.SystemRandom().randrange(1 << 32)))
KILLS = 12 if os.environ.get("TORTURE") == "1" else 2
SAVE_STEPS = 3
STEPS = 8 + 16 * KILLS
START = r"fresh start|continues run"


class OptimizerKill(kit.Case):
    def setUp(self):
        super().setUp()
        self.text = kit.corpus(self.path("small.txt"), size=2400)

    def config(self, name):
        config = kit.tiny_config(self.text, val=False, loop={"max_steps": STEPS},
                                 checkpoint={"steps": SAVE_STEPS}, schedulers=RATE)
        config["trainer"]["init"]["optimizer"] = {name: OPTIMIZERS[name]}
        return self.write_config(config, name + ".yaml")

    def kill(self, args, rng, kills_left):
        """One process up to a random place, so near that those after it have room too."""
        with kit.Running(args) as running:
            self.assertTrue(running.wait_for(START), running.lines)
            match = re.search(r"at step (\d+)$", running.lines[-1])
            start = int(match.group(1)) if match else 0
            room = (STEPS - 1 - start) // kills_left - kit.Running.AHEAD - SAVE_STEPS
            place = "Step=%d," % (start + rng.randint(1, max(room, 1)))
            self.assertTrue(running.wait_for("Train.*" + place), (place, running.lines))
            kind = rng.choice(["", "Saving checkpoint", "Saved checkpoint"])
            if kind:
                self.assertTrue(running.wait_for(kind), running.lines)
            self.assertTrue(running.kill(), (place, kind, running.lines[-3:]))
        return "%s %s" % (place, kind or "a step")

    def same(self, expected, actual):
        self.assertEqual(kit.read_metrics(expected).bits(), kit.read_metrics(actual).bits())
        self.assertEqual(kit.checkpoints(expected), kit.checkpoints(actual))
        for name in kit.checkpoints(expected):
            for key in ("cairn.state_digest", "cairn.values"):
                self.assertEqual(kit.metadata(os.path.join(expected, name))[key],
                                 kit.metadata(os.path.join(actual, name))[key], name)

    def test_each_ends_as_the_uninterrupted_run_does(self):
        tried = 0
        for name in OPTIMIZERS:
            rng = random.Random("%d %s" % (SEED, name))
            config = self.config(name)
            args = self.fit_args(config, self.path(name), "--resume")
            places = [self.kill(args, rng, KILLS - i) for i in range(KILLS)]
            with self.subTest(name, seed=SEED, places=places):
                self.assertEqual(STEPS, kit.run(args).step)
                self.fit(config, self.path(name + "_whole"))
                self.same(self.path(name + "_whole"), self.path(name))
            tried += KILLS
        print("torture: SIGKILL at random moments of cairn fit, all optimizers, then --resume "
              "tried=%d lost=0 seed=%d" % (tried, SEED))

    def test_none_is_left_out(self):
        schema = kit.run(["config", "schema"]).json()
        self.assertEqual(set(OPTIMIZERS), classes_of(schema, "AdamW"))


def classes_of(schema, known):
    """Names of the classes of the list in which @known stands."""
    if isinstance(schema, dict):
        if known in schema.get("properties", {}):
            return set(schema["properties"])
        schema = schema.values()
    if not isinstance(schema, (list, type({}.values()))):
        return set()
    return next(filter(None, (classes_of(item, known) for item in schema)), set())


if __name__ == "__main__":
    unittest.main()
