"""Which checkpoints stay: rules, pins, prune; saves by the clock and on request; failed starts."""
import json
import os
import shutil
import unittest

import kit

VAL = 2  # a validation every two steps


class RetentionCase(kit.Case):
    def setUp(self):
        super().setUp()
        self.model_dir = self.path("m")

    def config(self, **init):
        changes = {"loop": {"max_steps": 12, "eval_frequency": VAL, "eval_steps": 1},
                   "checkpoint": {"steps": 2}}
        return self.write_config(kit.tiny_config(self.text, **kit.merge(changes, init)))

    def train(self, *more, expect=kit.OK, **init):
        return self.fit(self.config(**init), self.model_dir, *more, expect=expect)

    def file(self, step):
        return os.path.join(self.model_dir, "checkpoint_%d.mdl" % step)

    def steps(self):
        return [int(name[len("checkpoint_"):-len(".mdl")])
                for name in kit.checkpoints(self.model_dir)]

    def losses(self):
        """{step: validation loss} of those that stand in notes."""
        result = {}
        for step in self.steps():
            path = self.file(step) + ".notes.json"
            if os.path.exists(path):
                with open(path, encoding="utf-8") as file:
                    result[step] = json.load(file).get("val_loss")
        return result

    def prune(self, *more, expect=kit.OK):
        return kit.run(["checkpoint", "prune", self.model_dir, *more], expect)

    def verdicts(self, *more):
        """{step: (verdict, reasons)} of a dry run."""
        said = self.prune("--dry-run", "--json", *more).json()
        self.assertTrue(said["dry_run"])
        self.assertEqual(0, said["deleted"])
        doomed = [entry for entry in said["checkpoints"] if entry["verdict"] == "delete"]
        self.assertEqual((len(doomed), sum(entry["bytes"] for entry in doomed)),
                         (said["to_delete"], said["to_delete_bytes"]))
        return {entry["step"]: (entry["verdict"], entry["reasons"])
                for entry in said["checkpoints"]}


class KeepTest(RetentionCase):
    def test_callback_and_prune_agree(self):
        """What KeepNCheckpoints leaves is what a prune with the same rules would leave."""
        self.train(callbacks=[])
        self.assertEqual([2, 4, 6, 8, 10, 12], self.steps())
        losses = self.losses()
        self.assertEqual(self.steps(), sorted(losses))
        best = min(losses, key=lambda step: (losses[step], -step))
        rules = ["--n", "2", "--every", "6", "--best", "1"]
        before = kit.snapshot(self.model_dir)
        verdicts = self.verdicts(*rules)
        self.assertEqual(before, kit.snapshot(self.model_dir))
        expected = {step: [] for step in self.steps()}
        for step, reasons in expected.items():
            if step > 8:
                reasons.append("newest 2")
            if step % 6 == 0:
                reasons.append("every 6 steps")
            if step == best:
                reasons.append("best 1 by val_loss")
        self.assertEqual({step: ("keep", reasons) if reasons else ("delete", ["no rule keeps it"])
                          for step, reasons in expected.items()}, verdicts)
        self.prune(*rules)
        pruned = self.steps()
        self.assertEqual([step for step, reasons in expected.items() if reasons], pruned)
        self.assertEqual("deleted 0 of %d files\n" % len(pruned),
                         self.prune(*rules).out.splitlines(True)[-1])
        shutil.rmtree(self.model_dir)
        self.train(callbacks=[{"KeepNCheckpoints": {"n": 2, "every": 6, "best": 1}}])
        self.assertEqual(pruned, self.steps())

    def test_best_by_max_keeps_the_worst_loss(self):
        self.train(callbacks=[{"KeepNCheckpoints": {"n": 1, "best": 1, "mode": "max"}}])
        first = self.steps()[0]
        self.assertEqual([first, 12], self.steps())
        self.assertEqual(max(self.losses().values()), self.losses()[first])

    def test_minutes_go_by_the_times_of_the_files(self):
        self.train()
        for step in self.steps():
            os.utime(self.file(step), (1.7e9 + 600 * step, 1.7e9 + 600 * step))
        self.prune("--n", "1", "--minutes", "60")
        self.assertEqual([2, 8, 12], self.steps())

    def test_other_rules_without_n_are_refused(self):
        result = self.train(callbacks=[{"KeepNCheckpoints": {"best": 3}}], expect=kit.USAGE)
        self.assertIn("give n too", result.err)
        self.assertFalse(os.path.exists(self.model_dir))

    def test_foreign_alternative_damaged_and_renamed_files_are_left_alone(self):
        self.train(callbacks=[{"SaveCheckpointState": {"k": 1}}])
        other = self.path("other")
        self.fit(self.config(seed=5), other)
        shutil.copy(os.path.join(other, "checkpoint_4.mdl"),
                    os.path.join(self.model_dir, "checkpoint_3.mdl"))
        os.rename(self.file(2), os.path.join(self.model_dir, "good.mdl"))
        with open(self.file(4), "r+b") as file:
            file.truncate(5000)
        said = self.prune("--n", "1", "--json").json()
        left = [os.path.basename(entry["path"]) for entry in said["checkpoints"]
                if entry["verdict"] == "leave"]
        self.assertEqual(["checkpoint_3.mdl", "checkpoint_4.mdl", "good.mdl"]
                         + ["model_checkpoint_%d.mdl" % step for step in (10, 12, 2, 4, 6, 8)],
                         left)
        self.assertEqual([3, 4, 12], self.steps())
        self.assertEqual(3, said["deleted"])
        self.assertEqual(6, len(kit.checkpoints(self.model_dir, "model_checkpoint_")))

    def test_a_pinned_checkpoint_stays_while_the_fit_runs(self):
        config = self.config(loop={"max_steps": 400}, logging={"log_steps": 1},
                             callbacks=[{"KeepNCheckpoints": {"n": 2}}])
        with kit.Running(self.fit_args(config, self.model_dir)) as running:
            self.assertTrue(running.wait_for(r"Saved checkpoint .*checkpoint_4\.mdl"))
            step = self.steps()[-1]
            kit.run(["checkpoint", "pin", self.file(step)])
            self.assertIn("held by process", self.prune("--n", "1", expect=kit.LOCKED).err)
            verdict, reasons = self.verdicts("--n", "1")[step]
            self.assertEqual(("keep", True), (verdict, "pinned" in reasons))
            done = running.finish()
        self.assertEqual(kit.OK, done.code, done.err)
        self.assertEqual([step, 398, 400], self.steps())
        kit.run(["checkpoint", "unpin", self.file(step)])
        self.prune("--n", "2")
        self.assertEqual([398, 400], self.steps())


class CommandTest(RetentionCase):
    def test_text_of_prune(self):
        self.train(loop={"max_steps": 6, "eval_frequency": 0})
        dry = self.prune("--n", "1", "--dry_run").out.splitlines()
        self.assertEqual(["delete  checkpoint_2.mdl             no rule keeps it",
                          "delete  checkpoint_4.mdl             no rule keeps it",
                          "keep    checkpoint_6.mdl             newest 1"], dry[:-1])
        size = os.path.getsize(self.file(2))
        self.assertEqual("would delete 2 of 3 files, %d bytes" % (2 * size), dry[-1])
        self.assertEqual([2, 4, 6], self.steps())
        self.assertEqual(dry[:-1] + ["deleted 2 of 3 files"],
                         self.prune("-n", "1").out.splitlines())
        self.assertEqual([6], self.steps())

    def test_wrong_use_of_prune(self):
        self.train(loop={"max_steps": 2})
        before = kit.snapshot(self.dir)
        for more in ([], ["--n", "0"], ["--best", "2"], ["--n", "-1"],
                     ["--n", "1", "--mode", "mid"], ["--n", "1", "--minutes", "-3"],
                     ["--n", "1", "--minutes", "nan"]):
            with self.subTest(more):
                self.prune(*more, expect=kit.USAGE)
        kit.run(["checkpoint", "prune", self.path("absent"), "--n", "1"], kit.CHECKPOINT)
        os.mkdir(self.path("empty"))
        for more in ([], ["--dry-run"]):
            kit.run(["checkpoint", "prune", self.path("empty"), "--n", "1", *more], kit.CHECKPOINT)
        os.rmdir(self.path("empty"))
        after = kit.snapshot(self.dir)
        lock = os.path.join("m", ".cairn.lock")  # Names the last process.
        before.pop(lock)
        after.pop(lock)
        self.assertEqual(before, after)
        with open(os.path.join(self.model_dir, "run.json"), "w", encoding="ascii") as file:
            file.write("{")
        self.prune("--n", "1", expect=kit.CHECKPOINT)
        self.assertEqual([2], self.steps())

    def test_pins_and_losses_are_listed(self):
        self.train(loop={"max_steps": 4})
        self.assertEqual(self.file(2) + ": pinned\n",
                         kit.run(["checkpoint", "pin", self.file(2)]).out)
        losses = self.losses()
        listed = kit.run(["checkpoint", "list", self.model_dir, "--json"]).json()
        self.assertEqual([(True, losses[2]), (False, losses[4])],
                         [(entry["pinned"], entry["val_loss"]) for entry in listed])
        text = kit.run(["checkpoint", "list", self.model_dir]).out.splitlines()
        self.assertEqual(["val_loss", "pinned"], text[0].split()[4:6])
        self.assertEqual([["%.6g" % losses[2], "pinned"], ["%.6g" % losses[4], "-"]],
                         [line.split()[4:6] for line in text[1:]])
        info = kit.run(["checkpoint", "info", self.file(2), "--json"]).json()
        self.assertEqual((losses[2], True), (info["notes"]["val_loss"], info["notes"]["pinned"]))
        self.assertIn('"pinned": true', kit.run(["checkpoint", "info", self.file(2)]).out)
        self.assertEqual({"path": self.file(2), "pinned": False},
                         kit.run(["checkpoint", "unpin", self.file(2), "--json"]).json())
        self.assertFalse(kit.run(["checkpoint", "list", self.model_dir, "--json"]).json()[0]
                         ["pinned"])

    def test_notes_that_are_no_numbers_or_damaged_are_shown_as_they_are(self):
        self.train(loop={"max_steps": 4, "eval_frequency": 0})
        with open(self.file(2) + ".notes.json", "w", encoding="ascii") as file:
            file.write('{"val_loss": "nan"}')
        with open(self.file(4) + ".notes.json", "w", encoding="ascii") as file:
            file.write('{"val_loss": ')
        done = kit.run(["checkpoint", "list", self.model_dir, "--json"])
        self.assertEqual(["nan", None], [entry["val_loss"] for entry in done.json()])
        self.assertIn("checkpoint_4.mdl.notes.json' is damaged", done.err)
        self.assertIsNone(kit.run(["checkpoint", "info", self.file(4), "--json"]).json()["notes"])
        self.assertEqual(["protected: its notes cannot be read"],
                         self.verdicts("--n", "1", "--best", "1")[4][1][1:])

    def test_pin_of_what_is_not_there(self):
        self.train(loop={"max_steps": 2})
        done = kit.run(["checkpoint", "pin", self.file(9), self.file(2)], kit.CHECKPOINT)
        self.assertEqual(self.file(2) + ": pinned\n", done.out)
        kit.run(["checkpoint", "pin", self.text], kit.CHECKPOINT)
        kit.run(["checkpoint", "pin"], kit.USAGE)


class CadenceTest(RetentionCase):
    def test_minutes_save_without_steps(self):
        result = self.train(checkpoint={"steps": None, "minutes": 1e-9},
                            loop={"max_steps": 3, "eval_frequency": 0},
                            callbacks=[{"KeepNCheckpoints": {"n": 2}},
                                       {"SaveCheckpointState": {"k": 2}}])
        self.assertEqual([2, 3], self.steps())
        self.assertEqual(["model_checkpoint_2.mdl", "model_checkpoint_3.mdl"],
                         kit.checkpoints(self.model_dir, "model_checkpoint_"))
        self.assertEqual("3", result.result["step"])
        self.assertNotIn("the end will not be saved", result.err)

    def test_long_minutes_save_the_last_step(self):
        self.train(checkpoint={"steps": None, "minutes": 1000}, loop={"max_steps": 3})
        self.assertEqual([3], self.steps())

    def test_touching_save_now_saves(self):
        config = self.config(checkpoint={"steps": None}, loop={"max_steps": 400},
                             logging={"log_steps": 1})
        with kit.Running(self.fit_args(config, self.model_dir)) as running:
            self.assertTrue(running.wait_for("Step=2,"))
            with open(os.path.join(self.model_dir, "save-now"), "w", encoding="ascii"):
                pass
            self.assertTrue(running.wait_for("Saved checkpoint"))
            running.finish()
        self.assertEqual(1, len(self.steps()))
        self.assertEqual([], [name for name in os.listdir(self.model_dir) if "save-now" in name])


class StartsTest(RetentionCase):
    def test_the_fourth_start_after_three_failed_ones_is_told(self):
        self.train(loop={"max_steps": 4})
        notes = self.file(4) + ".notes.json"
        with open(notes, encoding="ascii") as file:
            facts = json.load(file)
        with open(notes, "w", encoding="ascii") as file:
            json.dump(dict(facts, starts=3), file)
        result = self.train(loop={"max_steps": 6})
        self.assertIn("ERROR:   THE LAST 3 STARTS from %s ended" % self.file(4), result.err)
        self.assertIn("The next older one is %s (step 2)" % self.file(2), result.err)
        with open(notes, encoding="ascii") as file:
            self.assertEqual(facts, json.load(file))

    def test_a_killed_start_is_counted_before_the_file_is_loaded(self):
        self.train(loop={"max_steps": 4, "eval_frequency": 0})
        # Each changed value is a message, so the process cannot come to its first step meanwhile.
        config = self.config(
            loop={"max_steps": 10 ** 6, "eval_frequency": 0},
            optimizer={"AdamW": {"betas": [0.8, 0.9], "weight_decay": 0.2, "eps": 1e-5}},
            schedulers=[{"LinearLR": {"initial_learning_rate": 0.01, "end_learning_rate": 0.001,
                                      "total_iters": 10}}],
            precision={"max_gradient_norm": 2.0, "log_loss_scale": True},
            logging={"log_steps": 1, "log_level": "INFO"}, checkpoint={"steps": 3})
        with kit.Running(self.fit_args(config, self.model_dir)) as running:
            self.assertTrue(running.wait_for("Loading weights from checkpoint"))
            with open(self.file(4) + ".notes.json", encoding="ascii") as file:
                self.assertEqual({"starts": 1}, json.load(file))
            self.assertTrue(running.kill())


if __name__ == "__main__":
    unittest.main()
