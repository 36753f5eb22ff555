"""Bad input: a message that names place and remedy, the exit code that the manual promises, and
nothing changed on disk."""
import os
import re
import resource
import signal
import subprocess
import unittest

import kit

LOCK_FILE = ".cairn.lock"


class BadInputCase(kit.Case):
    def setUp(self):
        super().setUp()
        self.model_dir = self.path("m")

    def config(self, **init):
        changes = {"loop": {"max_steps": 6, "eval_frequency": 0}, "checkpoint": {"steps": 2}}
        return kit.tiny_config(self.text, **kit.merge(changes, init))

    def refused(self, code, args, *patterns):
        """Runs `cairn @args`, which must end with @code, say each of @patterns, and change nothing.

        The lock file, in which a process writes its number, is not looked at.
        """
        before = self.files()
        done = kit.run(args, code)
        for pattern in patterns:
            self.assertRegex(done.err, pattern)
        self.assertEqual(before, self.files())
        self.assertNotRegex(done.err, r"Assertion|Sanitizer|\(nil\)|\(null\)")
        if args[:1] == ["fit"] and done.out:
            self.assertEqual("failed", done.result["result"])
        return done

    def files(self):
        return {name: digest for name, digest in kit.snapshot(self.dir).items()
                if os.path.basename(name) != LOCK_FILE}

    def refused_config(self, config, *patterns, code=kit.USAGE, more=()):
        """A fit with @config (a dict or a text) is refused before it makes the model_dir."""
        path = self.write_config(config)
        done = self.refused(code, self.fit_args(path, self.model_dir, *more), *patterns)
        self.assertFalse(os.path.exists(self.model_dir))
        return done


class ConfigTest(BadInputCase):
    def test_no_file(self):
        self.refused(kit.USAGE, self.fit_args(self.path("none.yaml"), self.model_dir),
                     r"none\.yaml", r"No such file")

    def test_file_is_a_folder(self):
        self.refused(kit.USAGE, self.fit_args(self.dir, self.model_dir), re.escape(self.dir))

    def test_empty_file(self):
        for text in ("", "# nothing but a comment\n", "---\n"):
            self.refused_config(text, r"params\.yaml", r"'trainer' section")

    def test_file_too_long(self):
        self.refused_config("#" * (2 << 20), r"params\.yaml", r"larger than 1048576 bytes")

    def test_file_is_not_text(self):
        with open(self.path("params.yaml"), "wb") as file:
            file.write(b"trainer: \xff\xfe\n")
        self.refused(kit.USAGE, self.fit_args(self.path("params.yaml"), self.model_dir),
                     r"params\.yaml")

    def test_tab_indentation(self):
        self.refused_config("trainer:\n\tinit:\n\t\tseed: 1\n", r"params\.yaml:2:1", r"tab")

    def test_unknown_key(self):
        config = self.config()
        text = kit.json.dumps(config, indent=1).replace('"weight_decay"', '"weigth_decay"')
        line = [i for i, each in enumerate(text.splitlines(), 1) if "weigth_decay" in each][0]
        self.refused_config(text, r"params\.yaml:%d:\d+: .*weigth_decay" % line,
                            r"'weight_decay'")

    def test_unknown_key_of_each_section(self):
        for change in ({"loop": {"max_step": 3}}, {"checkpoint": {"step": 3}},
                       {"model": {"hidden_sizes": 3}}, {"logging": {"log_step": 1}},
                       {"precision": {"max_gradient": 1}}, {"sead": 4},
                       {"callbacks": [{"KeepNCheckpoints": {"m": 1}}]},
                       {"callbacks": [{"KeepNCheckpoint": {"n": 1}}]},
                       {"optimizer": {"AdamX": {}}}, {"schedulers": [{"CosineLR": {}}]}):
            with self.subTest(change):
                self.refused_config(self.config(**change), r"params\.yaml:\d+:\d+: ")

    def test_wrong_type(self):
        for change, named in (({"model": {"hidden_size": "wide"}}, "hidden_size"),
                              ({"model": {"hidden_size": [16]}}, "hidden_size"),
                              ({"loop": {"max_steps": 2.5}}, "max_steps"),
                              ({"loop": [1]}, "loop"),
                              ({"checkpoint": {"autoload_last_checkpoint": "perhaps"}},
                               "autoload_last_checkpoint"),
                              ({"seed": "one"}, "seed"),
                              ({"callbacks": {"n": 1}}, "callbacks")):
            with self.subTest(change):
                self.refused_config(self.config(**change), r"params\.yaml:\d+:\d+: .*" + named)

    def test_several_errors_are_all_listed(self):
        self.refused_config(self.config(loop={"max_steps": "x"}, checkpoint={"stepz": 1}),
                            r"max_steps", r"'steps'", r"2 errors")

    def test_negative_steps(self):
        self.refused_config(self.config(checkpoint={"steps": -1}), r":\d+:\d+: .*steps", r"-1")
        self.refused_config(self.config(loop={"max_steps": -1}), r":\d+:\d+: .*max_steps", r"-1")
        self.refused_config(self.config(loop={"eval_frequency": -1}), r"eval_frequency", r"-1")

    def test_checkpoint_name_without_step(self):
        for name in ("model.mdl", "{step}_{step}.mdl", "{epoch}_{step}.mdl", "a/{step}.mdl", ""):
            with self.subTest(name):
                self.refused_config(self.config(checkpoint={"checkpoint_name": name}),
                                    r"checkpoint_name|name", r"\{step\}")

    def test_loop_without_end(self):
        self.refused_config(self.config(loop={"max_steps": None}), r"max_steps", r"num_epochs")

    def test_two_limits_that_exclude_each_other(self):
        self.refused_config(self.config(loop={"num_steps": 3, "num_epochs": 1}),
                            r"num_steps.*num_epochs")

    def test_share_above_one_as_eval_frequency(self):
        self.refused_config(self.config(loop={"eval_frequency": 1.5}), r"eval_frequency", r"1\.5")

    def test_heads_that_do_not_divide_the_width(self):
        self.refused_config(self.config(model={"num_heads": 3}), r"num_heads")

    def test_section_missing(self):
        config = self.config()
        del config["trainer"]["fit"]
        self.refused_config(config, r"trainer\.fit")
        self.refused_config({"trainer": {"fit": {}}}, r":\d+:\d+: trainer\.init is missing")
        self.refused_config({"runconfig": {}}, r"layout of before the Trainer")

    def test_optimizer_missing(self):
        self.refused_config(self.config(optimizer=None), r":\d+:\d+: trainer\.init\.optimizer",
                            r"AdamW")

    def test_duplicate_key(self):
        self.refused_config("trainer:\n  init: {seed: 1, seed: 2}\n", r"params\.yaml:2:\d+",
                            r"seed")

    def test_set_with_a_bad_path(self):
        for assignment, pattern in (("trainer.init.loop.max_step=3", r"max_steps"),
                                    ("trainer.init.lop.max_steps=3", r"loop"),
                                    ("trainer.init.seed.x=3", r"seed"),
                                    ("no-value", r"no-value"), ("=3", r"=3"),
                                    ("trainer.init.loop.max_steps=[", r"max_steps")):
            with self.subTest(assignment):
                self.refused_config(self.config(), pattern, more=("--set", assignment))

    def test_device_that_is_not_there(self):
        self.refused_config(self.config(), r"CPU.*GPU", more=("--target_device", "GPU"))

    def test_feature_that_is_not_there(self):
        for change, named in (({"sparsity": 0.5}, "sparsity"), ({"autorestart": {}}, "autorestart"),
                              ({"schedulers": [{"LambdaLR": {}}]}, "LambdaLR"),
                              ({"model": {"name": "bert"}}, "bert")):
            with self.subTest(named):
                self.refused_config(self.config(**change), r":\d+:\d+: .*" + named)


class DataTest(BadInputCase):
    def refused_data(self, *patterns, train=None, **init):
        config = self.config(**init)
        config["trainer"]["fit"]["train_dataloader"].update(train or {})
        return self.refused_config(config, *patterns, code=kit.DATA)

    def test_no_such_file(self):
        self.refused_data(r"none\.txt", train={"data_dir": self.path("none.txt")})

    def test_empty_file(self):
        with open(self.path("empty.txt"), "wb"):
            pass
        self.refused_data(r"empty\.txt|data", train={"data_dir": self.path("empty.txt")})

    def test_empty_folder(self):
        os.mkdir(self.path("folder"))
        self.refused_data(r"folder", train={"data_dir": self.path("folder")})

    def test_vocabulary_too_small(self):
        self.refused_data(r"vocab_size is 100", r"at least 1\d\d|at least 256",
                          model={"vocab_size": 100})

    def test_sequence_longer_than_positions(self):
        self.refused_data(r"max_sequence_length is 32", r"max_position_embeddings is 16",
                          train={"max_sequence_length": 32})

    def test_batch_larger_than_the_data(self):
        self.refused_data(r"batch_size", train={"batch_size": 5000})

    def test_sequence_longer_than_the_data(self):
        self.refused_data(r"max_sequence_length", train={"max_sequence_length": 100000},
                          model={"max_position_embeddings": 100000})

    def test_validation_data_missing(self):
        config = self.config()
        config["trainer"]["fit"]["val_dataloader"]["data_dir"] = self.path("none.txt")
        self.refused_config(config, r"val_dataloader", r"none\.txt", code=kit.DATA)

    def test_epoch_shorter_than_the_accumulation(self):
        self.refused_config(self.config(loop={"max_steps": None, "num_epochs": 1,
                                              "grad_accum_steps": 1000}), r"grad_accum_steps")


class FolderTest(BadInputCase):
    def test_model_dir_below_a_file(self):
        path = self.write_config(self.config())
        self.refused(kit.IO, self.fit_args(path, os.path.join(self.text, "m")),
                     re.escape(self.text), r"Not a directory", r"set model_dir")

    def test_model_dir_that_cannot_be_made(self):
        path = self.write_config(self.config())
        self.refused(kit.IO, self.fit_args(path, "/proc/cairn/m"), r"/proc/cairn",
                     r"set model_dir")

    def test_second_process_on_the_same_model_dir(self):
        path = self.write_config(self.config(loop={"max_steps": 500}, checkpoint={"steps": 500}))
        with kit.Running(self.fit_args(path, self.model_dir)) as running:
            self.assertTrue(running.wait_for("Step=2,"))
            second = kit.run(self.fit_args(path, self.model_dir), kit.LOCKED)
            self.assertRegex(second.err,
                             r"held by process %d on \S+; wait for it, or choose another"
                             % running.process.pid)
            # It may be asked what is there all the same.
            kit.run(["checkpoint", "list", self.model_dir])
            self.assertTrue(running.kill())
        self.assertEqual([], kit.checkpoints(self.model_dir))
        # A killed process leaves no lock behind.
        self.fit(path, self.model_dir, "--set", "trainer.init.loop.max_steps=3")

    def test_disk_full(self):
        """A file that cannot be written in full is never seen, and a later start goes on."""
        path = self.write_config(self.config())
        self.fit(path, self.model_dir, "--set", "trainer.init.loop.max_steps=4")
        process = subprocess.run(
            [kit.BIN] + self.fit_args(path, self.model_dir, "--resume"), stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, preexec_fn=limit_file_size, check=False, timeout=kit.TIMEOUT_S,
            env=kit.environment())
        done = kit.Result(process.returncode, process.stdout.decode(), process.stderr.decode())
        self.assertEqual(kit.IO, done.code, done.err)
        self.assertEqual("failed", done.result["result"])
        self.assertRegex(done.err, r"checkpoint_6\.mdl|step 6")
        self.assertEqual(["checkpoint_2.mdl", "checkpoint_4.mdl"],
                         kit.checkpoints(self.model_dir))
        self.assertEqual([], [name for name in os.listdir(self.model_dir)
                              if name.endswith(".part")])
        self.assertEqual(6, self.fit(path, self.model_dir, "--resume").step)

    def test_disk_full__every_progress_line_says_so_and_metrics_too(self):
        path = self.write_config(self.config(checkpoint={"asynchronous": False}))
        self.fit(path, self.model_dir, "--set", "trainer.init.loop.max_steps=4")
        process = subprocess.run(
            [kit.BIN] + self.fit_args(path, self.model_dir, "--resume", "--set",
                                      "trainer.init.loop.max_steps=8"),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=limit_file_size,
            check=False, timeout=kit.TIMEOUT_S, env=kit.environment())
        lines = [line for line in process.stderr.decode().splitlines() if "Train Device" in line]
        self.assertEqual(kit.IO, process.returncode, lines)
        marked = [re.search(r"Step=(\d+)", line).group(1) for line in lines
                  if re.search(r"WARNING: +\| LAST SAVE FAILED \(1 in a row\) \| Train", line)]
        self.assertEqual(["7", "8"], marked, lines)
        self.assertEqual(4, len(lines))
        failed = [entry for entry in kit.read_metrics(self.model_dir).saves
                  if entry["event"] == "checkpoint_failed"]
        self.assertEqual([6, 8], [entry["step"] for entry in failed])
        for entry in failed:
            self.assertIsNone(entry["path"])
            self.assertIn("CAIRN_ENOSPACE", entry["error"])
        done = self.fit(path, self.model_dir, "--resume")
        self.assertNotIn("LAST SAVE FAILED", done.err)

    def test_standard_output_full(self):
        path = self.write_config(self.config())
        with open("/dev/full", "wb") as full:
            process = subprocess.run([kit.BIN] + self.fit_args(path, self.model_dir), stdout=full,
                                     stderr=subprocess.PIPE, check=False, timeout=kit.TIMEOUT_S,
                                     env=kit.environment())
        self.assertEqual(kit.IO, process.returncode, process.stderr)
        self.assertIn(b"standard output", process.stderr)


def limit_file_size():
    """As a full disk: no file of this process may grow beyond 40,000 bytes."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40000, 40000))


class CheckpointTest(BadInputCase):
    """A model_dir with checkpoints of steps 2, 4 and 6."""

    def setUp(self):
        super().setUp()
        self.config_path = self.write_config(self.config())
        self.fit(self.config_path, self.model_dir)
        self.more = ["--set", "trainer.init.loop.max_steps=8"]

    def checkpoint(self, step):
        return os.path.join(self.model_dir, "checkpoint_%d.mdl" % step)

    def damage(self, step):
        """Flips one bit of a weight."""
        path = self.checkpoint(step)
        entries, start = kit.header(path)
        weight = entries["model.embedding_layer.word_embeddings.weight"]
        kit.flip_bit(path, 8 * (start + weight["data_offsets"][0] + 1000))

    def refused_fit(self, code, *args, config=None, patterns=()):
        return self.refused(code, self.fit_args(config or self.config_path, self.model_dir, *args),
                            *patterns)

    def test_damaged_newest__the_older_one_is_taken_and_both_are_named(self):
        self.damage(6)
        done = self.fit(self.config_path, self.model_dir, *self.more)
        self.assertRegex(done.err, r"ERROR.*checkpoint_6\.mdl.*damaged")
        self.assertRegex(done.err, r"continues run \w+ from \S+checkpoint_4\.mdl at step 4")
        self.assertEqual(8, done.step)

    def test_damaged_newest__resume_takes_the_older_one_too(self):
        self.damage(6)
        done = self.fit(self.config_path, self.model_dir, "--resume", *self.more)
        self.assertRegex(done.err, r"checkpoint_6\.mdl.*damaged")
        self.assertRegex(done.err, r"continues run \w+ from \S+checkpoint_4\.mdl at step 4")
        self.assertEqual(8, done.step)

    def test_truncated_and_empty_newest__the_older_one_is_taken(self):
        with open(self.checkpoint(6), "wb"):
            pass
        os.truncate(self.checkpoint(4), os.path.getsize(self.checkpoint(4)) - 1)
        done = self.fit(self.config_path, self.model_dir, *self.more)
        self.assertRegex(done.err, r"checkpoint_6\.mdl.*damaged")
        self.assertRegex(done.err, r"checkpoint_4\.mdl.*damaged")
        self.assertRegex(done.err, r"continues run \w+ from \S+checkpoint_2\.mdl at step 2")

    def test_all_damaged__never_a_fresh_start(self):
        for step in (2, 4, 6):
            self.damage(step)
        patterns = (r"checkpoint_2\.mdl.*damaged", r"checkpoint_6\.mdl.*damaged",
                    r"all 3 checkpoints in '%s' are damaged" % re.escape(self.model_dir),
                    r"ckpt_path: null")
        for args in (self.more, self.more + ["--resume"]):
            with self.subTest(args):
                self.refused_fit(kit.CHECKPOINT, *args, patterns=patterns)

    def test_all_damaged__ckpt_path_null_starts_from_scratch(self):
        for step in (2, 4, 6):
            self.damage(step)
        config = self.config()
        config["trainer"]["fit"]["ckpt_path"] = None
        done = self.fit(self.write_config(config), self.model_dir)
        self.assertIn("fresh start", done.err)
        self.assertEqual(6, done.step)
        self.assertEqual(6, len(kit.checkpoints(self.model_dir)))

    def test_damaged_checkpoint_that_was_asked_for(self):
        self.damage(6)
        self.refused_fit(kit.CHECKPOINT, "--checkpoint_path", self.checkpoint(6), *self.more,
                         patterns=(r"checkpoint_6\.mdl", r"tensor|digest|damaged"))

    def test_missing_checkpoint_that_was_asked_for(self):
        self.refused_fit(kit.CHECKPOINT, "--checkpoint_path", self.path("none.mdl"),
                         patterns=(r"none\.mdl",))

    def test_checkpoint_that_is_no_checkpoint(self):
        self.refused_fit(kit.CHECKPOINT, "--checkpoint_path", self.text, patterns=(r"text\.txt",))
        self.refused_fit(kit.CHECKPOINT, "--checkpoint_path", self.model_dir,
                         patterns=(re.escape(self.model_dir),))

    def test_incompatible_checkpoint__an_error_at_once(self):
        config = self.write_config(self.config(model={"hidden_size": 32}), "wide.yaml")
        done = self.refused_fit(kit.CHECKPOINT, config=config,
                                patterns=(r"checkpoint_6\.mdl", r"shape|\[256, 16\]"))
        self.assertNotIn("checkpoint_4.mdl", done.err)
        self.assertNotIn("no digests", done.err)
        self.refused_fit(kit.CHECKPOINT, "--resume", *self.more, config=config,
                         patterns=(r"checkpoint_6\.mdl",))

    def test_damaged_run_json__resume_says_so_and_an_ordinary_start_goes_on(self):
        with open(os.path.join(self.model_dir, "run.json"), "w", encoding="ascii") as file:
            file.write('{"format": 1, "run')
        self.refused_fit(kit.CHECKPOINT, "--resume", *self.more, patterns=(r"run\.json",))
        self.assertEqual(8, self.fit(self.config_path, self.model_dir, *self.more).step)

    def test_validate_never_falls_back(self):
        args = ["validate", self.config_path, "-o", self.model_dir, "--threads", "1"]
        self.assertIn("step=6 ", kit.run(args).out)
        self.damage(6)
        for more in ([], ["--checkpoint_path", self.checkpoint(6)]):
            with self.subTest(more):
                done = self.refused(kit.CHECKPOINT, args + more, r"checkpoint_6\.mdl")
                self.assertEqual("", done.out)
        good = kit.run(args + ["--checkpoint_path", self.checkpoint(4)])
        self.assertIn("step=4 ", good.out)

    def test_validate_without_a_model_dir(self):
        self.refused(kit.CHECKPOINT, ["validate", self.config_path, "-o", self.path("none")],
                     r"none")
        self.assertFalse(os.path.exists(self.path("none")))

    def test_load_of_a_state_that_does_not_exist(self):
        for fresh in ([], ["--set", "trainer.fit.ckpt_path=null"]):
            with self.subTest(fresh):
                self.refused_fit(kit.USAGE, "--load_checkpoint_states", "modl", *self.more, *fresh,
                                 patterns=(r"LoadCheckpointStates", r"'modl'", r"model"))

    def test_checkpoint_commands_on_bad_files(self):
        self.damage(6)
        os.truncate(self.checkpoint(4), 5)
        for args, pattern in ((["info", self.path("none.mdl")], r"none\.mdl"),
                              (["info", self.text], r"text\.txt"),
                              (["info", self.checkpoint(4)], r"checkpoint_4\.mdl"),
                              (["list", self.path("none")], r"none"),
                              (["verify", self.path("none.mdl")], r"none\.mdl"),
                              (["verify", self.checkpoint(2), self.checkpoint(6)],
                               r"checkpoint_6\.mdl")):
            with self.subTest(args):
                self.refused(kit.CHECKPOINT, ["checkpoint"] + args, pattern)
        self.refused(kit.CHECKPOINT,
                     ["generate", "--checkpoint_path", self.checkpoint(6), "--prompt", "a"],
                     r"checkpoint_6\.mdl")


class LossTest(BadInputCase):
    def test_non_finite_loss__the_last_good_checkpoint_stays_the_latest(self):
        config = self.write_config(self.config(
            loop={"max_steps": 20},
            schedulers=[{"SequentialLR": {"schedulers": [
                {"ConstantLR": {"learning_rate": 0.01, "total_iters": 5}},
                {"ConstantLR": {"learning_rate": 1e6}}]}}],
            optimizer={"AdamW": {"weight_decay": 1e6}}))
        done = kit.run(self.fit_args(config, self.model_dir), kit.NONFINITE)
        self.assertRegex(done.err, r"the (loss|gradient norm) of step \d+ is (nan|-?inf); .*"
                                   r"learning rate")
        self.assertEqual("failed", done.result["result"])
        names = kit.checkpoints(self.model_dir)
        self.assertEqual("checkpoint_4.mdl", names[1])
        self.assertEqual(names[-1], os.path.basename(done.result["checkpoint"]))
        # No later step than the last good one was recorded, and all that was saved is finite.
        self.assertLessEqual(max(kit.read_metrics(self.model_dir).steps), done.step)
        for name in names:
            path = os.path.join(self.model_dir, name)
            kit.run(["checkpoint", "verify", path])
            self.assertTrue(is_finite(path), name)


def is_finite(path):
    import numpy
    return all(numpy.isfinite(numpy.frombuffer(data, dtype="<f4")).all()
               for data in kit.tensors(path).values())


class UsageTest(BadInputCase):
    def test_unknown_command(self):
        self.refused(kit.USAGE, ["fitt"], r"'fitt'.*did you mean 'fit'")
        self.refused(kit.USAGE, ["checkpoint", "lst", "x"], r"'checkpoint lst'", r"list DIR")
        self.refused(kit.USAGE, ["checkpoint"], r"usage")
        self.refused(kit.USAGE, [], r"usage")

    def test_unknown_option(self):
        path = self.write_config(self.config())
        self.refused_config(self.config(), r"'--resum'", r"'--resume'", more=("--resum",))
        self.refused_config(self.config(), r"--model_dir", more=("--modeldir=x",))
        self.refused(kit.USAGE, ["checkpoint", "list", "--jason", self.dir], r"'--json'")
        self.refused(kit.USAGE, ["validate", path, "--resume"], r"--resume")

    def test_missing_argument(self):
        self.refused(kit.USAGE, ["fit"], r"argument is missing", r"usage: cairn fit")
        self.refused(kit.USAGE, ["checkpoint", "info"], r"usage")
        path = self.write_config(self.config())
        self.refused(kit.USAGE, ["fit", path, "--model_dir"], r"--model_dir needs a value")

    def test_argument_too_many(self):
        path = self.write_config(self.config())
        self.refused(kit.USAGE, ["fit", path, "more.yaml"], r"more\.yaml")

    def test_wrong_number(self):
        for value in ("many", "-1", "1.5", "", "99999999999999999999"):
            with self.subTest(value):
                self.refused_config(self.config(), r"--threads", more=("--threads=" + value,))
        self.refused_config(self.config(), r"--threads", r"4096", more=("--threads", "5000"))
        self.refused_config(self.config(), r"--logging", r"DEBUG", more=("--logging", "LOUD"))

    def test_help_is_on_standard_output(self):
        for args in (["--help"], ["fit", "--help"], ["checkpoint", "--help"],
                     ["checkpoint", "list", "-h"], ["generate", "--help"], ["help"]):
            with self.subTest(args):
                done = kit.run(args)
                self.assertRegex(done.out, r"usage: cairn|`cairn help")
                self.assertEqual("", done.err)


if __name__ == "__main__":
    unittest.main()
