"""cairn config check, show and diff."""
import json
import os
import re

import yaml

import kit

BAD = """\
trainer:
  init:
    seed: 1
    seed: 2
    modl_dir: x
    model: {name: gpt2, hidden_size: 30, num_heads: 4, vocab_size: many}
    optimizer:
      AdamW: {lr: 3e-4x, weigth_decay: 0.1, betas: [0.9, 2.0]}
    schedulers:
    - StepLR: {initial_learning_rate: 0.1, gamma: 0.5}
    precision: {max_gradient_norm: 1.0, max_gradient_value: 2.0}
    loop: {num_steps: 5, num_epochs: 2}
    callbacks:
    - KeepNCheckpoint: {n: 3}
    - SaveCheckpointState: {k: 2, checkpoint_states: model, checkpoint_name: x}
  fit:
    train_dataloader: {data_dir: x, batch_size: 0}
    ckpt_pth: x
  validate: {}
"""
BAD_LINES = (
    r"4:5: duplicate key 'seed' \(first at line 3\)",
    r"5:5: unknown key 'modl_dir' in trainer\.init; did you mean 'model_dir'\?",
    r"6:68: trainer\.init\.model\.vocab_size must be an integer, not 'many'",
    r"8:19: trainer\.init\.optimizer\.AdamW\.lr must be a number, not '3e-4x'",
    r"8:26: unknown key 'weigth_decay' in trainer\.init\.optimizer\.AdamW; "
    r"did you mean 'weight_decay'\?",
    r"8:58: trainer\.init\.optimizer\.AdamW\.betas is 2\.0; it must be from 0 to .*",
    r"10:15: trainer\.init\.schedulers\.StepLR lacks 'step_size', which has no default",
    r"11:61: .* clipped by max_gradient_norm or max_gradient_value, not by both",
    r"12:38: trainer\.init\.loop: loop has both num_steps and num_epochs; give one of them",
    r"14:7: unknown callback 'KeepNCheckpoint' .*did you mean 'KeepNCheckpoints'\?",
    r"15:7: .*checkpoint_name 'x' lacks the field .*",
    r"17:49: trainer\.fit\.train_dataloader\.batch_size is 0; it must be from 1 to .*",
    r"18:5: unknown key 'ckpt_pth' in trainer\.fit; did you mean 'ckpt_path'\?",
    r"19:13: trainer\.validate\.val_dataloader is missing",
)


class ConfigCase(kit.Case):
    def config(self, **init):
        return kit.tiny_config(self.text, **init)

    def check(self, *args, expect=kit.OK):
        before = kit.snapshot(self.dir)
        done = kit.run(["config", "check", *args], expect)
        self.assertEqual(before, kit.snapshot(self.dir))
        return done


class CheckTest(ConfigCase):
    def test_all_that_is_wrong_is_told_at_once_and_by_place(self):
        path = self.write_config(BAD)
        done = self.check(path, expect=kit.USAGE)
        lines = done.out.splitlines()
        self.assertEqual(len(BAD_LINES) + 1, len(lines), done.out)
        for line, expected in zip(lines, BAD_LINES):
            self.assertRegex(line, "^" + re.escape(path) + ":" + expected + "$")
        self.assertEqual("%s: %d errors" % (path, len(BAD_LINES)), lines[-1])
        self.assertEqual("", done.err)

    def test_fit_tells_the_same(self):
        path = self.write_config(BAD.replace("  validate: {}\n", ""))
        told = self.fit(path, self.path("run"), expect=kit.USAGE).err.splitlines()
        errors = [line for line in told if "ERROR" in line]
        self.assertEqual(len(BAD_LINES) - 1, len(errors))
        for line, expected in zip(errors, BAD_LINES):
            self.assertRegex(line, re.escape(path) + ":" + expected + "$")
        self.assertFalse(os.path.exists(self.path("run")))

    def test_the_same_as_json(self):
        path = self.write_config(BAD)
        report = self.check(path, "--json", expect=kit.USAGE).json()
        self.assertFalse(report["ok"])
        self.assertEqual(len(BAD_LINES), report["error_count"])
        for error, expected in zip(report["errors"], BAD_LINES):
            self.assertEqual(path, error["file"])
            self.assertRegex("%(line)d:%(column)d: %(text)s" % error, "^" + expected + "$")

    def test_a_good_file_is_said_to_be_good(self):
        path = self.write_config(self.config())
        self.assertRegex(self.check(path).out, r"params\.yaml: ok: \d+ values given, \d+ defaults$")
        report = self.check(path, "--json").json()
        self.assertTrue(report["ok"])
        self.assertEqual([], report["errors"])
        self.assertGreater(report["given"], 20)
        self.assertGreater(report["defaults"], 40)

    def test_several_files_are_all_checked(self):
        paths = [self.write_config(self.config(), "good.yaml"), self.path("none.yaml"),
                 self.write_config(self.config(seed=-1), "bad.yaml")]
        done = self.check(*paths, "--json", expect=kit.USAGE)
        reports = [json.loads(line) for line in done.out.splitlines()]
        self.assertEqual(paths, [report["file"] for report in reports])
        self.assertEqual([0, 1, 1], [report["error_count"] for report in reports])
        self.assertIn("No such file", reports[1]["errors"][0]["text"])

    def test_what_a_verb_needs(self):
        config = self.config()
        config["trainer"]["validate"] = {
            "val_dataloader": config["trainer"]["fit"].pop("val_dataloader")}
        del config["trainer"]["fit"]
        del config["trainer"]["init"]["optimizer"]
        path = self.write_config(config)
        self.check(path)
        self.check(path, "--verb", "validate")
        done = self.check(path, "--verb", "fit", expect=kit.USAGE)
        self.assertIn("optimizer is missing", done.out)
        self.assertIn("the section trainer.fit is missing; `cairn fit` needs it", done.out)
        self.assertIn("'fight' is none of fit, validate, validate_all",
                      self.check(path, "--verb", "fight", expect=kit.USAGE).err)

    def test_assignments_and_flags_are_checked_too(self):
        path = self.write_config(self.config())
        done = self.check(path, "--set", "trainer.init.loop.max_step=20", "--set",
                          "trainer.init.callbacks.KeepNCheckpoints.n=0",
                          expect=kit.USAGE)
        self.assertIn("--set trainer.init.loop.max_step: unknown key 'max_step' in "
                      "trainer.init.loop; did you mean 'max_steps'?\n", done.out)
        self.assertIn("--set trainer.init.callbacks.KeepNCheckpoints.n: ", done.out)
        self.assertRegex(self.check(path, "--max_time", "soon", expect=kit.USAGE).out,
                         "^--max_time: trainer.init.loop: .*soon")

    def test_a_schedule_of_another_length_is_noticed(self):
        path = self.write_config(self.config(loop={"max_steps": 100}))
        self.assertRegex(self.check(path).out,
                         r"SequentialLR is 60 steps long, the training 100; its last value holds "
                         r"for the rest \(notice\)\n")
        path = self.write_config(self.config(loop={"max_steps": 60}))
        self.assertNotIn("steps long", self.check(path).out)

    def test_bombs_are_refused_in_one_line(self):
        deep = "[" * 100000
        laughs = "a0: &a0 [%s]\n" % ",".join("x" * 9)
        for i in range(1, 1500):
            laughs += "a%d: &a%d [%s]\n" % (i, i, ",".join(["*a%d" % (i - 1)] * 9))
        self.assertGreater(len(laughs), 100000 - 20000)
        for text, expected in ((deep, "nested deeper than 32 levels"),
                               (laughs, "more than 100000 values")):
            done = self.check(self.write_config(text), expect=kit.USAGE)
            self.assertIn(expected, done.out)
            self.assertEqual(2, len(done.out.splitlines()))


class ShowTest(ConfigCase):
    def test_every_value_has_its_origin(self):
        path = self.write_config(self.config())
        args = ["config", "show", path, "--set", "trainer.init.seed=3", "-o", "elsewhere",
                "--load_checkpoint_states", "model",
                "--set", "trainer.init.callbacks.KeepNCheckpoints.n=5"]
        text = kit.run(args).out
        shown = yaml.safe_load(text)["trainer"]["init"]
        self.assertEqual(3, shown["seed"])
        self.assertEqual("elsewhere", shown["model_dir"])
        self.assertEqual(1, shown["loop"]["grad_accum_steps"])
        self.assertIn({"LoadCheckpointStates": {"load_checkpoint_states": "model"}},
                      shown["callbacks"])
        for line in text.splitlines():
            if not re.search(r"(:|-)$", line):
                self.assertRegex(line, r"  # (default|--set|--model_dir|--load_checkpoint_states|"
                                 + re.escape(path) + r":\d+)$")
        self.assertRegex(text, r"\n    seed: 3 +# --set\n")
        self.assertRegex(text, r"\n    model_dir: \"elsewhere\" +# --model_dir\n")
        self.assertRegex(text, r"\n      grad_accum_steps: 1 +# default\n")
        values = {value["path"]: value for value in json.loads(kit.run(args + ["--json"]).out)}
        self.assertEqual({"path": "trainer.init.seed", "value": 3, "origin": "--set"},
                         values["trainer.init.seed"])
        self.assertEqual("default", values["trainer.init.loop.grad_accum_steps"]["origin"])
        max_steps = values["trainer.init.loop.max_steps"]
        self.assertEqual(("file", path), (max_steps["origin"], max_steps["file"]))
        with open(path, encoding="utf-8") as file:
            line = file.read().splitlines()[max_steps["line"] - 1]
        self.assertEqual("60", line[max_steps["column"] - 1:][:2])

    def test_each_path_can_be_set(self):
        path = self.write_config(self.config())
        for value in json.loads(kit.run(["config", "show", path, "--json"]).out):
            if value["path"].startswith("trainer.init.optimizer"):
                kit.run(["config", "check", path, "--set",
                         "%s=%s" % (value["path"], json.dumps(value["value"]))])

    def test_what_is_wrong_is_told_as_by_fit(self):
        done = kit.run(["config", "show", self.write_config(BAD)], kit.USAGE)
        self.assertEqual("", done.out)
        self.assertIn("weigth_decay", done.err)


class DiffTest(ConfigCase):
    def diff(self, a, b, *more, expect=kit.FAILED):
        return kit.run(["config", "diff", a, b, *more], expect)

    def test_two_spellings_of_one_configuration_are_the_same(self):
        a = self.write_config(self.config(callbacks=["CheckLoss", {"KeepNCheckpoints": {"n": 3}}]),
                              "a.yaml")
        config = self.config(loop={"grad_accum_steps": 1.0},
                             callbacks=[{"keepncheckpoints": {"n": "3"}}, {"CheckLoss": {}}],
                             checkpoint={"autoload_last_checkpoint": "yes"})
        text = json.dumps(config).replace('"weight_decay": 0.1', '"lr": 1e-3, "weight_decay": 1e-1')
        self.assertEqual("", self.diff(a, self.write_config(text, "b.yaml"), expect=kit.OK).out)

    def test_differences_are_told_with_paths_that_can_be_set(self):
        a = self.write_config(self.config(callbacks=[{"KeepNCheckpoints": {"n": 3}}],
                                          loop={"eval_frequency": 1}), "a.yaml")
        b = self.write_config(self.config(callbacks=[{"SkipSamples": {"n": 2}},
                                                     {"KeepNCheckpoints": {"n": 4}}],
                                          loop={"eval_frequency": 1.0}), "b.yaml")
        self.assertEqual([
            "trainer.init.loop.eval_frequency: 1 -> 1.0",
            "trainer.init.callbacks.KeepNCheckpoints.n: 3 -> 4",
            "trainer.init.callbacks.SkipSamples.n: (absent) -> 2"],
            self.diff(a, b).out.splitlines())
        told = self.diff(a, b, "--json").json()
        self.assertEqual((a, b), (told["a"], told["b"]))
        self.assertEqual({"path": "trainer.init.callbacks.SkipSamples.n", "in_a": False,
                          "in_b": True, "a": None, "b": 2}, told["differences"][2])
        changed = self.path("set.yaml")
        shown = kit.run(["config", "show", a] + [
            arg for each in told["differences"]
            for arg in ("--set", "%s=%s" % (each["path"], json.dumps(each["b"])))]).out
        with open(changed, "w", encoding="utf-8") as file:
            file.write(shown)
        self.diff(changed, b, expect=kit.OK)

    def test_defaults_of_what_only_one_has_are_not_told(self):
        a = self.write_config(self.config(callbacks=[{"KeepNCheckpoints": {"n": 3}}],
                                          autorestart={"max_num_restarts": 2}), "a.yaml")
        b = self.write_config(self.config(), "b.yaml")
        self.assertEqual(["trainer.init.callbacks.KeepNCheckpoints.n: (absent) -> 3",
                          "trainer.init.autorestart.max_num_restarts: (absent) -> 2"],
                         self.diff(b, a).out.splitlines())

    def test_a_checkpoint_is_compared_by_what_it_was_trained_with(self):
        a = self.write_config(self.config(loop={"max_steps": 2}), "a.yaml")
        self.fit(a, self.path("run"))
        saved = self.path("run", "checkpoint_2.mdl")
        self.assertEqual("trainer.init.model_dir: \"%s\" -> (absent)\n" % self.path("run"),
                         self.diff(saved, a).out)
        shown = self.path("shown.yaml")
        with open(shown, "w", encoding="utf-8") as file:
            file.write(kit.run(["config", "show", a, "-o", self.path("run"), "--set",
                                "trainer.init.seed=12"]).out)
        self.assertEqual("trainer.init.seed: 11 -> 12\n", self.diff(saved, shown).out)

    def test_what_cannot_be_compared(self):
        a = self.write_config(self.config(), "a.yaml")
        self.diff(a, self.path("none"), expect=kit.USAGE)
        self.assertRegex(self.diff(a, a, expect=kit.OK).err, "^$")
        self.diff(a, self.write_config(BAD, "b.yaml"), expect=kit.USAGE)
        with open(self.path("cut.mdl"), "wb") as file:
            file.write(b"\x10\0\0\0\0\0\0\0{\"a\"")
        self.diff(a, self.path("cut.mdl"), expect=kit.CHECKPOINT)


if __name__ == "__main__":
    kit.unittest.main()
