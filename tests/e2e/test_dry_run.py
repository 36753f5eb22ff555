"""cairn fit --dry_run: finds what would fail, tells what would happen, leaves nothing."""
import json
import os
import re
import shutil
import signal
import unittest

import kit

# Rows of the table are logged while callbacks are started: more lines than a process gets ahead.
SLOWED = [{"CountParams": {}}]


class DryRunCase(kit.Case):
    def config(self, **init):
        changes = {"loop": {"max_steps": 8, "eval_frequency": 4}, "checkpoint": {"steps": 4}}
        return kit.tiny_config(self.text, **kit.merge(changes, init))

    def dry_run(self, config, model_dir, *more, expect=kit.OK):
        """The result; nothing at all may have changed below self.dir."""
        path = config if isinstance(config, str) else self.write_config(config)
        before = kit.snapshot(self.dir)
        done = self.fit(path, model_dir, "--dry_run", *more, expect=expect)
        self.assertEqual(before, kit.snapshot(self.dir))
        return done

    def found(self, config, model_dir, *more):
        return self.dry_run(config, model_dir, "--json", *more).json()


class PlanTest(DryRunCase):
    def test_the_plan_is_what_the_fit_does(self):
        config = self.write_config(self.config(
            callbacks=[{"KeepNCheckpoints": {"n": 2}},
                       {"SaveCheckpointState": {"k": 1, "checkpoint_states": "model"}}],
            checkpoint={"steps": 2}))
        found = self.found(config, self.path("run"))
        self.fit(config, self.path("run"))
        names = kit.checkpoints(self.path("run"))
        sizes = [os.path.getsize(self.path("run", name)) for name in names]
        self.assertEqual(("tried", 0, 8, "max_steps", None), tuple(
            found[key] for key in ("result", "step", "end_step", "limit", "checkpoint")))
        self.assertEqual(4, found["saves"])
        self.assertEqual(sizes[-1], found["save_bytes"])
        metrics = kit.read_metrics(self.path("run"))
        self.assertEqual(len(metrics.validations), found["validations"])
        self.assertEqual(float(metrics.steps[1]["loss"]), found["loss"])
        # While the newest is written the oldest is there still; alternatives stay for ever.
        most = sum(os.path.getsize(self.path("run", name)) for name in os.listdir(self.path("run"))
                   if name.endswith(".mdl")) + found["save_bytes"]
        self.assertLessEqual(most - 4096 * 8, found["disk_bytes"])
        self.assertLessEqual(found["disk_bytes"], most + 4096 * 8)
        self.assertEqual(4 * 16 * 8, found["tokens"])
        for key in ("disk_room", "memory_room", "memory_bytes", "step_seconds", "seconds",
                    "validation_seconds"):
            self.assertGreater(found[key], 0, key)
        self.assertGreaterEqual(found["seconds"], found["step_seconds"] * 8)
        plan = found["memory_plan"]
        self.assertEqual(plan["total"], sum(plan.values()) - plan["total"])
        for key in ("parameters", "gradients", "optimizer", "training", "validation", "staging"):
            self.assertGreater(plan[key], 0, key)

    def test_gradient_checkpointing_is_planned_with_less__and_the_fit_says_the_same(self):
        config = self.write_config(self.config(model={"num_hidden_layers": 4}))
        again = ("--set", "trainer.init.model.gradient_checkpointing=true")
        plain = self.found(config, self.path("run"))["memory_plan"]
        less = self.found(config, self.path("run"), *again)["memory_plan"]
        self.assertLess(less["training"], 0.6 * plain["training"])
        self.assertEqual(plain["total"] - plain["training"], less["total"] - less["training"])
        done = self.fit(config, self.path("run"), *again)
        self.assertRegex(done.err, "(?m)plan: %.2f KiB of memory, free are .*, activations %.2f KiB"
                         % (less["total"] / 1024, less["training"] / 1024))

    def test_copies_in_bfloat16_are_planned(self):
        config = self.write_config(self.config())
        exact = self.found(config, self.path("run"))["memory_plan"]
        rounded = ("--set", "trainer.init.precision={enabled: true, fp16_type: bfloat16}")
        plan = self.found(config, self.path("run"), *rounded)["memory_plan"]
        self.assertEqual(0, exact["copies"])
        self.assertGreater(plan["copies"], 0.4 * plan["parameters"])
        self.assertLessEqual(plan["copies"], 0.5 * plan["parameters"])
        self.assertEqual(plan["total"], sum(plan.values()) - plan["total"])

    def test_parameters_are_counted_as_CountParams_does(self):
        config = self.write_config(self.config(callbacks=[{"CountParams": {}}]))
        found = self.found(config, self.path("run"))
        done = self.fit(config, self.path("run"))
        self.assertIn("{:,}".format(found["parameters"]), done.err)

    def test_the_text_says_the_same(self):
        done = self.dry_run(self.config(), self.path("run"))
        for pattern in (r"starts from +nothing, step 0", r"steps +8 \(1 to 8, max_steps\)",
                        r"saves +2, of \S+ KiB each", r"validations +2", r"parameters +\d+",
                        r"tokens +512 \(64 a step\)", r"disk +at most \S+ KiB more; \S+ \S+ free",
                        r"memory +\S+ MiB; \S+ \S+ free",
                        r"planned +\S+ KiB: parameters .*, activations .*, those of validation ",
                        r"time +about .* s", r"loss +5\.\d+"):
            self.assertRegex(done.out, r"(?m)^  " + pattern)
        self.assertEqual({"result": "tried", "step": "0", "checkpoint": "none",
                          "reason": "dry_run"}, done.result)

    def test_a_fit_after_it_is_as_without_it(self):
        config = self.write_config(self.config(model={"dropout_rate": 0.1}))
        self.fit(config, self.path("plain"))
        self.dry_run(config, self.path("run"))
        self.fit(config, self.path("run"))
        self.assertEqual(kit.read_metrics(self.path("plain")).bits(),
                         kit.read_metrics(self.path("run")).bits())

    def test_its_name_in_cszoo(self):
        done = self.fit(self.write_config(self.config()), self.path("run"), "--validate_only")
        self.assertEqual("tried", done.result["result"])
        self.assertFalse(os.path.exists(self.path("run")))

    def test_json_is_for_dry_runs(self):
        done = self.fit(self.write_config(self.config()), self.path("run"), "--json",
                        expect=kit.USAGE)
        self.assertIn("--json goes with --dry_run", done.err)

    def test_without_validation_data_there_is_no_validation_loss(self):
        config = kit.tiny_config(self.text, val=False, loop={"max_steps": 3})
        found = self.found(config, self.path("run"))
        self.assertEqual((0, None, 0), (found["validations"], found["val_loss"],
                                        found["validation_seconds"]))

    def test_autorestart_does_not_count(self):
        config = self.config(autorestart={"max_num_restarts": 3})
        self.assertEqual("tried", self.found(config, self.path("run"))["result"])


class RunThatIsThereTest(DryRunCase):
    def test_it_starts_where_the_fit_would(self):
        config = self.write_config(self.config(callbacks=[{"KeepNCheckpoints": {"n": 1}}]))
        self.fit(config, self.path("run"))
        more = ("--set", "trainer.init.loop.max_steps=20")
        found = self.found(config, self.path("run"), *more)
        self.assertEqual((8, 20, 3), (found["step"], found["end_step"], found["saves"]))
        self.assertRegex(found["checkpoint"], r"checkpoint_8\.mdl$")
        self.assertEqual("complete", self.found(config, self.path("run"), "--resume")["result"])
        self.assertIn("nothing is left to do", self.dry_run(config, self.path("run")).out)

    def test_leftovers_of_a_kill_and_what_is_to_be_deleted_stay(self):
        # A deletion that a kill cut off is made up for by a fit, and not by a dry run.
        config = self.write_config(self.config())
        self.fit(config, self.path("run"))
        left = self.path("run", ".checkpoint_8.mdl.0123456789abcdef.part")
        shutil.copy(self.path("run", "checkpoint_8.mdl"), left)
        keep = self.write_config(self.config(callbacks=[{"KeepNCheckpoints": {"n": 1}}],
                                             loop={"max_steps": 20}), "keep.yaml")
        self.dry_run(keep, self.path("run"), "--resume")
        self.fit(keep, self.path("run"), "--resume")
        self.assertEqual(["checkpoint_20.mdl"], kit.checkpoints(self.path("run")))
        self.assertFalse(os.path.exists(left))

    def test_it_does_not_count_as_a_start_that_failed(self):
        config = self.write_config(self.config())
        self.fit(config, self.path("run"))
        for _ in range(4):
            done = self.dry_run(config, self.path("run"), "--set", "trainer.init.loop.max_steps=20")
            self.assertNotRegex(done.err, "WARNING|ERROR")
        done = self.fit(config, self.path("run"), "--set", "trainer.init.loop.max_steps=20")
        self.assertNotIn("STARTS", done.err)

    def test_a_held_model_dir(self):
        config = self.write_config(self.config(loop={"max_steps": 100000}))
        with kit.Running(self.fit_args(config, self.path("run"))) as running:
            self.assertTrue(running.wait_for(r"Train.*Step=1,"))
            done = self.fit(config, self.path("run"), "--dry_run", expect=kit.LOCKED)
            self.assertIn("is held by process %d" % running.process.pid, done.err)
            running.kill()


class ListTest(DryRunCase):
    def test_each_trainer_is_tried__a_checkpoint_may_be_still_to_come(self):
        second = self.config(loop={"max_steps": 14})
        second["trainer"]["fit"]["ckpt_path"] = self.path("run", "checkpoint_8.mdl")
        config = self.write_config({"trainer": [self.config(), second]})
        done = self.dry_run(config, self.path("run"), "--json")
        first, last = [json.loads(line) for line in done.out.splitlines()]
        self.assertEqual((1, 2, 8), (first["trainer"], first["trainers"], first["end_step"]))
        self.assertEqual((2, 2, 14), (last["trainer"], last["trainers"], last["end_step"]))
        self.assertIn("an earlier trainer must write it", done.err)


class FailureTest(DryRunCase):
    def fails(self, code, config, *more, model_dir="run"):
        path = self.write_config(config)
        done = self.dry_run(path, self.path(model_dir), *more, expect=code)
        self.assertEqual("failed", done.result["result"])
        told = json.loads(self.dry_run(path, self.path(model_dir), *more, "--json",
                                       expect=code).out)
        self.assertEqual(("failed", code, done.result["reason"]),
                         (told["result"], told["exit_code"], told["reason"]))
        self.assertIn(told["message"], done.err)
        return done

    def test_usage_and_configuration(self):
        self.fails(kit.USAGE, self.config(loop={"max_step": 3}))
        done = self.fit(self.path("x.yaml"), "run", "--dry_run", "--json", "--target_device", "GPU",
                        expect=kit.USAGE)
        self.assertEqual(("failed", "usage"), (done.json()["result"], done.json()["reason"]))

    def test_data(self):
        config = self.config()
        config["trainer"]["fit"]["val_dataloader"]["data_dir"] = self.path("missing")
        self.fails(kit.DATA, config)
        failed = self.fails(kit.DATA, self.config(model={"vocab_size": 100}))
        self.assertIn("vocab_size", failed.err)

    def test_checkpoints(self):
        self.fails(kit.CHECKPOINT, self.config(), "--checkpoint_path", self.path("no.mdl"))
        self.fit(self.write_config(self.config()), self.path("run"))
        more = ("--set", "trainer.init.loop.max_steps=20")
        for name in kit.checkpoints(self.path("run")):
            kit.flip_bit(self.path("run", name), 8 * 20000)
        self.assertIn("damaged", self.fails(kit.CHECKPOINT, self.config(), *more).err)

    def test_a_folder_that_cannot_be_made(self):
        for key in ("model_dir", "checkpoint_root"):
            with self.subTest(key):
                more = [] if key == "model_dir" else [
                    "--set", "trainer.init.checkpoint.checkpoint_root=%s/x" % self.text]
                self.fails(kit.IO, self.config(), *more,
                           model_dir="text.txt/run" if key == "model_dir" else "a/b/run")

    def test_a_loss_that_is_not_finite(self):
        # The last checkpoint before a fit ended so: its weights give no loss.
        rate = [{"ConstantLR": {"learning_rate": 1e6}}]
        self.fit(self.write_config(self.config(schedulers=rate, checkpoint={"steps": 1})),
                 self.path("run"), expect=kit.NONFINITE)
        done = self.fails(kit.NONFINITE, self.config())
        self.assertIn("training batch 1", done.err)

    def test_folders_made_for_it_go_and_those_that_were_there_stay(self):
        os.mkdir(self.path("a"))
        self.dry_run(self.config(), self.path("a", "b", "c"), "--set",
                     "trainer.init.checkpoint.checkpoint_root=%s" % self.path("a", "b", "d", "e"))
        self.assertEqual([], os.listdir(self.path("a")))

    def test_a_signal_ends_it_and_nothing_is_left(self):
        for number, name in ((signal.SIGINT, "SIGINT"), (signal.SIGTERM, "SIGTERM")):
            with self.subTest(name):
                config = self.write_config(self.config(callbacks=SLOWED))
                before = kit.snapshot(self.dir)
                args = self.fit_args(config, self.path("run"), "--dry_run")
                with kit.Running(args) as running:
                    self.assertTrue(running.wait_for(r"training data"))
                    running.signal(number)
                    done = running.finish()
                self.assertEqual(kit.FAILED, done.code)
                self.assertTrue(re.search(r"stopped before its end \(%s\)" % name, done.err))
                self.assertEqual("CAIRN_ECANCELED", done.result["reason"])
                self.assertEqual(before, kit.snapshot(self.dir))


if __name__ == "__main__":
    unittest.main()
