"""Several trainers, validate_all, the folder of a process, time limits, contradictions."""
import json
import os
import re
import shutil
import signal
import unittest

import kit


class TrainerCase(kit.Case):
    def config(self, **init):
        changes = {"loop": {"max_steps": 8, "eval_frequency": 4}, "checkpoint": {"steps": 4}}
        return kit.tiny_config(self.text, **kit.merge(changes, init))

    def with_two_loaders(self, config):
        """@config whose fit has two validation loaders; the first sees half as much."""
        loader = config["trainer"]["fit"]["val_dataloader"]
        other = dict(loader, val_fraction=loader["val_fraction"] / 2)
        config["trainer"]["fit"]["val_dataloader"] = [other, loader]
        return config

    def same_files(self, expected, actual):
        """Checkpoints and metrics of two model_dirs are equal, bit for bit."""
        self.assertEqual(kit.checkpoints(expected), kit.checkpoints(actual))
        for name in kit.checkpoints(expected):
            self.assertEqual(kit.tensors(os.path.join(expected, name)),
                             kit.tensors(os.path.join(actual, name)), name)
        self.assertEqual(kit.read_metrics(expected).bits(), kit.read_metrics(actual).bits())


class ListTest(TrainerCase):
    """trainer: [{trainer: ...}, ...]"""

    def config_of_two(self, **second):
        """The second goes on from the first, with another schedule."""
        first = self.config()
        changes = {"loop": {"max_steps": 14}, "checkpoint": {"steps": 3}}
        return {"trainer": [first, self.config(**kit.merge(changes, second))]}

    def test_they_run_in_order_and_each_says_its_result(self):
        path = self.write_config(self.config_of_two())
        done = self.fit(path, self.path("run"))
        lines = done.out.splitlines()
        self.assertEqual(2, len(lines))
        self.assertRegex(lines[0], r"^result=finished step=8 checkpoint=\S+_8.mdl "
                                   r"reason=max_steps trainer=1/2$")
        self.assertRegex(lines[1], r"^result=finished step=14 checkpoint=\S+_14.mdl "
                                   r"reason=max_steps$")
        self.assertLess(done.err.index("Trainer 1 of 2"), done.err.index("Trainer 2 of 2"))
        # The second counts from where the first ended.
        self.assertEqual(["checkpoint_%d.mdl" % step for step in (4, 8, 11, 14)],
                         kit.checkpoints(self.path("run")))
        again = self.fit(path, self.path("run"), "--resume")
        self.assertEqual(["complete", "complete"],
                         re.findall(r"^result=(\w+)", again.out, re.MULTILINE))
        self.assertEqual(14, again.step)

    def test_a_killed_list_goes_on_where_it_was__in_each_trainer(self):
        path = self.write_config(self.config_of_two(model={"dropout_rate": 0.1}))
        self.fit(path, self.path("whole"))
        for step in (2, 6, 9, 13):
            with self.subTest(step=step):
                run = self.path("run%d" % step)
                with kit.Running(self.fit_args(path, run, "--resume")) as running:
                    self.assertTrue(running.wait_for(r"Train.*Step=%d," % step))
                    self.assertTrue(running.kill())
                done = self.fit(path, run, "--resume")
                self.assertEqual(14, done.step)
                self.same_files(self.path("whole"), run)

    def test_a_list_that_ended_between_two_trainers_begins_the_second(self):
        config = self.config_of_two()
        whole = self.write_config(config, "whole.yaml")
        self.fit(whole, self.path("whole"))
        first = self.write_config({"trainer": config["trainer"][:1]}, "first.yaml")
        self.fit(first, self.path("run"))
        done = self.fit(whole, self.path("run"), "--resume")
        self.assertIn("trainer 2 of the file has not started yet; an ordinary start", done.err)
        self.same_files(self.path("whole"), self.path("run"))

    def test_a_signal_ends_all_of_them(self):
        path = self.write_config(self.config_of_two())
        with kit.Running(self.fit_args(path, self.path("run"))) as running:
            self.assertTrue(running.wait_for(r"Train.*Step=1,"))
            running.signal(signal.SIGTERM)
            done = running.finish()
        self.assertEqual(kit.STOPPED, done.code)
        self.assertEqual("SIGTERM", done.result["reason"])
        self.assertEqual(1, len(done.out.splitlines()))
        self.assertNotIn("Trainer 2 of 2", done.err)

    def test_a_failure_ends_all_of_them_with_its_exit_code(self):
        config = self.config_of_two()
        config["trainer"][0]["trainer"]["fit"]["ckpt_path"] = self.path("missing.mdl")
        done = self.fit(self.write_config(config), self.path("run"), expect=kit.CHECKPOINT)
        self.assertEqual("failed", done.result["result"])
        self.assertEqual(1, len(done.out.splitlines()))

    def test_all_of_the_file_is_checked_before_the_first_runs(self):
        config = self.config_of_two(loop={"max_stepz": 3})
        config["trainer"][0]["trainer"]["init"]["seed"] = "x"
        done = self.fit(self.write_config(config), self.path("run"), expect=kit.USAGE)
        self.assertIn("max_stepz", done.err)
        self.assertIn("trainer.init.seed", done.err)
        self.assertFalse(os.path.exists(self.path("run")))

    def test_flags_and_set_mean_every_trainer__an_index_means_one(self):
        path = self.write_config(self.config_of_two())
        done = self.fit(path, self.path("run"), "--set", "trainer.init.loop.max_steps=3",
                        "--set", "trainer.1.trainer.init.loop.max_steps=5")
        self.assertEqual(["3", "5"], re.findall(r"step=(\d+)", done.out))

    def test_what_is_no_list_of_trainers(self):
        for trainers in ([], [{"fit": {}}], [{"trainer": self.config()["trainer"], "x": 1}], ["a"]):
            with self.subTest(trainers=trainers):
                done = self.fit(self.write_config({"trainer": trainers}), self.path("run"),
                                expect=kit.USAGE)
                self.assertRegex(done.err, r"params.yaml:\d+:\d+: ")


class ValidateAllTest(TrainerCase):
    def setUp(self):
        super().setUp()
        self.run_dir = self.path("run")
        config = self.with_two_loaders(self.config(
            callbacks=[{"SaveCheckpointState": {"k": 1, "checkpoint_states": "model"}}]))
        self.params = config
        self.fit(self.write_config(config), self.run_dir)
        metrics = kit.read_metrics(self.run_dir)
        self.noted = {step: [float(entry["val_loss"]), float(entry["val_loss/1"])]
                      for step, entry in metrics.validations.items()}

    def validate_all(self, section=None, *more, expect=kit.OK):
        config = kit.merge(self.params, {})
        if section is not None:
            section.setdefault("val_dataloaders", config["trainer"]["fit"]["val_dataloader"])
            config["trainer"]["validate_all"] = section
        return kit.run(["validate_all", self.write_config(config, "all.yaml"), "-o", self.run_dir,
                        "--threads", "1", "--json", *more], expect)

    def found(self, done):
        """[(file name, loader, val_loss)]"""
        entries = [json.loads(line) for line in done.out.splitlines()]
        return [(entry["checkpoint"] and os.path.basename(entry["checkpoint"]), entry["loader"],
                 entry["val_loss"]) for entry in entries]

    def all_of(self, *steps, name="checkpoint_%d.mdl"):
        return [(name % step, loader, self.noted[step][loader])
                for step in steps for loader in (0, 1)]

    def test_every_checkpoint_and_every_loader(self):
        before = kit.snapshot(self.dir)
        done = self.validate_all()
        self.assertEqual(self.all_of(4, 8), self.found(done))
        after = kit.snapshot(self.dir)
        after.pop("all.yaml")
        self.assertEqual(before, after)

    def test_ckpt_paths__text_list_pattern_null_and_the_flag(self):
        def path(name):
            return os.path.join(self.run_dir, name)
        rows = [({"ckpt_paths": path("checkpoint_8.mdl")}, self.all_of(8)),
                ({"ckpt_paths": path("checkpoint_*")}, self.all_of(4, 8)),
                ({"ckpt_paths": [path("checkpoint_8.mdl"), path("model_checkpoint_?.mdl")]},
                 self.all_of(8) + self.all_of(4, 8, name="model_checkpoint_%d.mdl"))]
        for section, expected in rows:
            with self.subTest(section=section):
                self.assertEqual(expected, self.found(self.validate_all(section)))
        done = self.validate_all({"ckpt_paths": None})
        self.assertEqual([(None, 0), (None, 1)], [entry[:2] for entry in self.found(done)])
        done = self.validate_all(None, "--checkpoint_path", path("checkpoint_4.mdl"))
        self.assertEqual(self.all_of(4), self.found(done))

    def test_one_loader_as_a_map(self):
        loader = self.params["trainer"]["fit"]["val_dataloader"][0]
        done = self.validate_all({"val_dataloaders": loader})
        self.assertEqual(self.all_of(4, 8)[::2], self.found(done))

    def test_nothing_to_load_is_said(self):
        missing = os.path.join(self.run_dir, "checkpoint_9*")
        done = self.validate_all({"ckpt_paths": missing}, expect=kit.CHECKPOINT)
        self.assertIn("no file matches '%s'" % missing, done.err)
        done = self.validate_all({}, "--set",
                                 "trainer.init.checkpoint.autoload_last_checkpoint=false",
                                 expect=kit.CHECKPOINT)
        self.assertIn("ckpt_paths", done.err)

    def test_a_damaged_checkpoint_ends_it_after_the_results_before(self):
        path = os.path.join(self.run_dir, "checkpoint_8.mdl")
        kit.flip_bit(path, 8 * (kit.header(path)[1] + 100))
        done = self.validate_all(expect=kit.CHECKPOINT)
        self.assertEqual(self.all_of(4), self.found(done))

    def test_lines_for_people(self):
        path = self.write_config(self.params)
        done = kit.run(["validate_all", path, "-o", self.run_dir, "--threads", "1"])
        self.assertRegex(done.out.splitlines()[0], r"^checkpoint=\S+checkpoint_4.mdl loader=0 "
                                                   r"step=4 val_loss=\S+ tokens=\d+ batches=\d+$")

    def test_several_trainers(self):
        path = self.write_config({"trainer": [self.params, self.params]})
        done = kit.run(["validate_all", path, "-o", self.run_dir, "--threads", "1", "--json"])
        self.assertEqual(self.all_of(4, 8) * 2, self.found(done))


class LoadersTest(TrainerCase):
    def test_a_validation_cut_off_in_its_second_loader_is_made_up_for_whole(self):
        path = self.write_config(self.with_two_loaders(self.config()))
        self.fit(path, self.path("whole"))
        run = self.path("run")
        with kit.Running(self.fit_args(path, run, "--resume")) as running:
            self.assertTrue(running.wait_for("Evaluation completed successfully!"))
            running.signal(signal.SIGTERM)
            stopped = running.finish()
        self.assertEqual(kit.STOPPED, stopped.code)
        done = self.fit(path, run, "--resume")
        # The second loader has more batches than the process may be ahead of its reader.
        self.assertEqual(4, stopped.step)
        self.assertIn("the validation of step 4 is missing; running it first", done.err)
        self.same_files(self.path("whole"), run)
        for name in kit.checkpoints(run):
            with open(os.path.join(run, name + ".notes.json"), encoding="utf-8") as file:
                notes = json.load(file)
            self.assertLessEqual({"val_loss", "val_loss/1"}, set(notes))


class FolderTest(TrainerCase):
    """model_dir/cairn_logs/<date>_<time>/"""

    def test_run_log_holds_what_went_to_standard_error(self):
        done = self.fit(self.write_config(self.config()), self.path("run"))
        with open(self.path("run", "latest_run.log"), encoding="utf-8") as file:
            log = file.read()
        self.assertEqual(self.texts(done.err), self.texts(log))
        self.assertIn("Trainer Fit Summary", log)
        self.assertIn("Train Device=CPU, Step=8,", log)

    def test_the_last_words_of_a_failed_run_are_in_its_log(self):
        config = self.config(loop={"max_steps": 20},
                             schedulers=[{"ConstantLR": {"learning_rate": 1e6}}],
                             optimizer={"AdamW": {"weight_decay": 1e6}})
        done = self.fit(self.write_config(config), self.path("run"), expect=kit.NONFINITE)
        with open(self.path("run", "latest_run.log"), encoding="utf-8") as file:
            last = file.read().splitlines()[-1]
        self.assertEqual(done.err.splitlines()[-1].replace("cairn: ", ""),
                         last.split(" ERROR:   ", 1)[1])

    def texts(self, log):
        """The lines without their times, which the two take one after the other."""
        lines = log.splitlines()
        for line in lines:
            self.assertRegex(line, r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+:   ")
        return [line.split(" ", 2)[2] for line in lines]

    def test_trainer_params_alone_make_the_same_run(self):
        for name in ("trainer_params.yaml", "user_params.yaml"):
            with self.subTest(name=name):
                run, again = self.path("run-" + name), self.path("again-" + name)
                self.fit(self.write_config(self.config(model={"dropout_rate": 0.1})), run, "--set",
                         "trainer.init.loop.max_steps=6")
                self.fit(os.path.join(run, "cairn_logs", "latest", name), again)
                self.assertEqual("checkpoint_6.mdl", kit.checkpoints(again)[-1])
                self.same_files(run, again)

    def test_trainer_params_have_every_default_and_user_params_none(self):
        self.fit(self.write_config(self.config()), self.path("run"))
        with open(self.path("run", "cairn_logs", "latest", "trainer_params.yaml"),
                  encoding="utf-8") as file:
            resolved = file.read()
        with open(self.path("run", "cairn_logs", "latest", "user_params.yaml"),
                  encoding="utf-8") as file:
            given = file.read()
        for line in ("grad_accum_steps: 1", "when_busy: \"wait\"", "log_steps: 1", "eps: 1.0e-06"):
            self.assertIn("  %s\n" % line, resolved)
            self.assertNotIn(line, given)
        for line in ("max_steps: 8", "hidden_size: 16"):
            self.assertIn("  %s\n" % line, resolved)
            self.assertIn("  %s\n" % line, given)

    def test_a_moved_model_dir_resumes_and_its_links_lead_to_its_files(self):
        path = self.write_config(self.config(loop={"max_steps": 30, "eval_frequency": 6},
                                             model={"dropout_rate": 0.1}))
        self.fit(path, self.path("whole"))
        with kit.Running(self.fit_args(path, self.path("run"), "--resume")) as running:
            self.assertTrue(running.wait_for_saved(4, 6))
            self.assertTrue(running.kill())
        os.mkdir(self.path("elsewhere"))
        shutil.move(self.path("run"), self.path("elsewhere", "moved"))
        moved = self.path("elsewhere", "moved")
        for link in ("latest_run.log", os.path.join("cairn_logs", "latest")):
            self.assertFalse(os.path.isabs(os.readlink(os.path.join(moved, link))))
            self.assertTrue(os.path.realpath(os.path.join(moved, link)).startswith(moved + os.sep))
        before = os.path.realpath(os.path.join(moved, "latest_run.log"))
        done = self.fit(path, moved, "--resume")
        self.assertIn("continues run", done.err)
        self.same_files(self.path("whole"), moved)
        self.assertNotEqual(before, os.path.realpath(os.path.join(moved, "latest_run.log")))
        self.assertTrue(os.path.exists(before))

    def test_a_model_dir_that_takes_no_folder_is_no_reason_to_stop(self):
        os.mkdir(self.path("run"))
        with open(self.path("run", "cairn_logs"), "w", encoding="utf-8"):
            pass
        done = self.fit(self.write_config(self.config()), self.path("run"))
        self.assertEqual(1, done.err.count("the run goes on without its log"))
        self.assertEqual("finished", done.result["result"])


class MaxTimeTest(TrainerCase):
    def test_max_time_stops_like_a_signal_and_resume_goes_on(self):
        path = self.write_config(self.config(loop={"max_steps": 1000000, "eval_frequency": 0},
                                             checkpoint={"steps": 100000},
                                             logging={"log_steps": 1000}))
        done = self.fit(path, self.path("run"), "--max_time", "1.5", "--resume",
                        expect=kit.STOPPED)
        self.assertEqual(("stopped", "max_time"), (done.result["result"], done.result["reason"]))
        self.assertEqual("checkpoint_%d.mdl" % done.step,
                         os.path.basename(done.result["checkpoint"]))
        self.assertIn("time limit: 1.5", done.err)
        on = self.fit(path, self.path("run"), "--resume", "--set",
                      "trainer.init.loop.max_steps=%d" % (done.step + 2))
        self.assertIn("continues run", on.err)
        self.assertEqual(done.step + 2, on.step)

    def test_max_time_in_the_file(self):
        path = self.write_config(self.config(loop={"max_time": "0:00:01"}))
        done = self.fit(path, self.path("run"), expect=kit.STOPPED)
        self.assertEqual("max_time", done.result["reason"])

    def test_max_time_alone_leaves_the_loop_at_one_epoch(self):
        config = self.config()
        del config["trainer"]["init"]["loop"]
        done = self.fit(self.write_config(config), self.path("run"), "--max_time", "1h")
        self.assertEqual("num_epochs", done.result["reason"])

    def test_what_is_no_time(self):
        path = self.write_config(self.config(loop={"max_time": "soon"}))
        done = self.fit(path, self.path("run"), expect=kit.USAGE)
        self.assertRegex(done.err, r"params.yaml:\d+:\d+: .*max_time is 'soon'")
        done = self.fit(self.write_config(self.config()), self.path("run"), "--max_time", "1x",
                        expect=kit.USAGE)
        self.assertIn("max_time is '1x'", done.err)


class ContradictionTest(TrainerCase):
    """Options that make no sense together are named with their place, before anything is made."""

    def refused(self, option, text, **loop):
        path = self.write_config(self.config(loop=loop))
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
        numbers = [i + 1 for i, line in enumerate(lines) if '"%s"' % option in line]
        done = self.fit(path, self.path("run"), expect=kit.USAGE)
        self.assertRegex(done.err, r"params\.yaml:%d:\d+: trainer\.init\.loop: .*%s"
                         % (numbers[0], text))
        self.assertFalse(os.path.exists(self.path("run")))

    def test_without_the_data(self):
        self.refused("num_epochs", "both num_steps and num_epochs", num_steps=3, num_epochs=1)
        self.refused("eval_frequency", r"eval_frequency is 1\.5", eval_frequency=1.5)
        self.refused("loop", "the loop has no end", max_steps=None)

    def test_with_the_data(self):
        self.refused("steps_per_epoch", "an epoch of the training data has 84 steps",
                     steps_per_epoch=85)
        self.refused("grad_accum_steps", "fewer than grad_accum_steps 100", grad_accum_steps=100,
                     max_steps=None, num_epochs=1)


if __name__ == "__main__":
    unittest.main()
