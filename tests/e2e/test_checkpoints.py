"""What the Model Zoo's page on checkpointing leaves to its links, and what Cairn adds: names,
cadence, which checkpoint is loaded, other people's files. Each test of Details runs from YAML and
from C; see test_page.py for the page itself.
"""
import datetime
import json
import os
import shutil
import subprocess
import unittest

from safetensors.numpy import save_file

import kit
from page_kit import DEFAULTS, FromC, FromYaml, PageCase, model_arrays, yaml_config

WORDS = "embedding_layer.word_embeddings.weight"
HEAD = "lm_head.weight"  # the same tensor: share_embedding_weights


def stamp(moment):
    return moment.strftime("%Y%m%d_%H%M%S")


def utc_now():
    return datetime.datetime.now(datetime.timezone.utc)


class Details:
    # ---- Cadence: (first step, steps, checkpoint.steps, eval_frequency) ----

    def cadence(self, first, steps, save, evaluate):
        """(saves, validations) of a run of @steps that starts at step @first."""
        model_dir = "cadence-%d" % len(os.listdir(self.dir))
        if first > 0:
            self.train(model_dir, num_steps=first, steps=first)
        before = self.full(model_dir) if first > 0 else []
        self.train(model_dir, num_steps=steps, steps=save, eval_frequency=evaluate)
        self.assertEqual(self.trained(model_dir), list(range(1, first + steps + 1)))
        return ([step for step in self.full(model_dir) if step not in before],
                self.validated(model_dir))

    def test_cadence_counts_from_the_start_and_the_last_step_is_saved(self):
        vectors = [
            ((0, 10, 4, None), [4, 8, 10], []),
            ((0, 10, 4, 3), [4, 8, 10], [3, 6, 9, 10]),
            ((0, 10, 4, 0.5), [4, 8, 10], [5, 10]),
            ((0, 10, 100, None), [10], []),
            ((5, 10, 4, None), [9, 13, 15], []),
            ((150, 100, 100, 50), [250], [200, 250]),
            ((0, 100, 30, 0.3), [30, 60, 90, 100], [30, 60, 90, 100]),
            ((0, 10, 5, 4), [5, 10], [4, 8, 10]),
        ]
        for vector, saves, validations in vectors:
            with self.subTest(vector=vector):
                self.assertEqual(self.cadence(*vector), (saves, validations))

    def test_a_step_that_is_saved_and_validated_is_saved_first(self):
        result = self.train("run", num_steps=4, steps=2, eval_frequency=2, eval_steps=1)
        order = [word for line in result.err.splitlines()
                 for word in ("Saving checkpoint", "Avg Eval Loss") if word in line]
        self.assertEqual(order, ["Saving checkpoint", "Avg Eval Loss"] * 2)

    def test_eval_frequency_1_is_every_step_and_1_0_the_end(self):
        each = self.train("each", num_steps=3, steps=0, eval_frequency=1, eval_steps=1)
        end = self.train("end", num_steps=3, steps=0, eval_frequency=1.0, eval_steps=1)
        self.assertEqual((self.validated("each"), self.validated("end")), ([1, 2, 3], [3]))
        notice = "eval_frequency 1 validates after every step; 1.0 does so at the end"
        self.assertEqual((notice in each.err, notice in end.err), (True, False))

    def test_a_finished_run_has_nothing_left_to_do__max_steps(self):
        self.train("run", max_steps=4, steps=2)
        before = self.snapshot("run")
        result = self.train("run", max_steps=4, steps=2)
        self.assertEqual((result.result["result"], result.step), ("complete", 4))
        self.assertIn("run is complete at step 4", result.err)
        self.assertEqual(self.snapshot("run"), before)

    def test_num_steps_trains_that_many_more_under_plain_autoload(self):
        self.train("run", num_steps=4, steps=2)
        result = self.train("run", num_steps=4, steps=2)
        self.assertEqual((result.result["result"], result.step), ("finished", 8))
        self.assertEqual(self.full("run"), [2, 4, 6, 8])
        complete = self.train("run", num_steps=4, steps=2, resume=True)
        self.assertEqual((complete.result["result"], complete.step), ("complete", 8))

    # ---- save_initial_checkpoint ----

    def test_the_initial_checkpoint_is_saved_before_the_first_step(self):
        self.train("run", num_steps=2, steps=2, save_initial_checkpoint=True)
        self.assertEqual(self.full("run"), [0, 2])
        self.assertEqual(self.values("run", "checkpoint_0.mdl")["global_step"]["value"], "0")
        # Without periodic saves too, and k counts it.
        self.train("alone", num_steps=2, steps=None, save_initial_checkpoint=True, k=1)
        self.assertEqual((self.full("alone"), self.alternatives("alone")), ([0], [0]))
        # A continued run has its first step already: it is not written twice.
        self.train("run", num_steps=2, steps=2, save_initial_checkpoint=True)
        self.assertEqual(kit.checkpoints(self.path("run")),
                         ["checkpoint_0.mdl", "checkpoint_2.mdl", "checkpoint_4.mdl"])

    # ---- Names ----

    def test_a_name_that_exists_gets_a_timestamp_in_utc_and_nothing_is_overwritten(self):
        self.train("run", num_steps=2, steps=2)
        first = kit.snapshot(self.path("run"))["checkpoint_2.mdl"]
        early = stamp(utc_now())
        program, args = self.command(self.path("run"), dict(DEFAULTS, num_steps=2, steps=2, k=1,
                                                            ckpt_path=None))
        kit.run(["TZ=Asia/Tokyo", program, *args], program="env")
        late = stamp(utc_now())
        names = [name for name in kit.checkpoints(self.path("run")) if name != "checkpoint_2.mdl"]
        self.assertEqual(len(names), 1)
        self.assertRegex(names[0], r"^checkpoint_2_\d{8}_\d{6}\.mdl$")
        self.assertTrue(early <= names[0][len("checkpoint_2_"):-len(".mdl")] <= late, names[0])
        self.assertTrue(os.path.exists(self.path("run", "model_" + names[0])))
        self.assertEqual(kit.snapshot(self.path("run"))["checkpoint_2.mdl"], first)

    def test_a_timestamp_that_exists_gets_a_number(self):
        self.train("run", num_steps=2, steps=2)
        plain = self.path("run", "checkpoint_2.mdl")
        now = utc_now()
        for seconds in range(-1, 100 + kit.TIMEOUT_S):
            moment = stamp(now + datetime.timedelta(seconds=seconds))
            os.link(plain, self.path("run", "checkpoint_2_%s.mdl" % moment))
        before = set(kit.checkpoints(self.path("run")))
        for number in (1, 2):
            self.train("run", num_steps=2, steps=2, ckpt_path=None)
            new = set(kit.checkpoints(self.path("run"))) - before
            before |= new
            self.assertEqual(len(new), 1)
            # 2 only if both saves were made in one second.
            self.assertRegex(new.pop(), r"^checkpoint_2_\d{8}_\d{6}_[1-%d]\.mdl$" % number)

    def test_the_newest_is_the_largest_step_then_timestamp_then_number(self):
        self.train("run", num_steps=6, steps=1)
        names = ["checkpoint_7.mdl", "checkpoint_7_20240101_000000_5.mdl",
                 "checkpoint_7_20250101_000000.mdl", "checkpoint_7_20250101_000000_9.mdl",
                 "checkpoint_7_20250101_000000_10.mdl"]
        no_dates = ["checkpoint_7_20259999_000000.mdl", "checkpoint_7.mdl.bak", "checkpoint_8.tmp"]
        for step, name in enumerate(names, 1):
            os.rename(self.path("run", "checkpoint_%d.mdl" % step), self.path("run", name))
        for name in no_dates:
            shutil.copy(self.path("run", "checkpoint_6.mdl"), self.path("run", name))
        os.remove(self.path("run", "checkpoint_6.mdl"))
        for step in range(5, 0, -1):
            result = self.train("run", num_steps=1, steps=0)
            self.assertEqual(result.step, step + 1)
            self.assertIn('Found latest checkpoint at "%s"' % self.path("run", names[step - 1]),
                          result.err)
            os.remove(self.path("run", names[step - 1]))
        fresh = self.train("run", num_steps=1, steps=0)
        self.assertIn("fresh start", fresh.err)

    def test_a_name_with_zeros_is_a_number(self):
        name = "c_{step:04d}.mdl"
        self.train("run", num_steps=2, steps=1, checkpoint_name=name)
        os.rename(self.path("run", "c_0001.mdl"), self.path("run", "c_10000.mdl"))
        result = self.train("run", num_steps=1, steps=0, checkpoint_name=name)
        self.assertRegex(result.err, r'Found latest checkpoint at ".*/c_10000\.mdl"')

    # ---- Which checkpoint is loaded ----

    def test_autoload_table(self):
        self.train("run", num_steps=6, steps=3)
        path = self.path("run", "checkpoint_3.mdl")
        rows = [({}, True, 6), ({}, False, 0),
                ({"ckpt_path": path}, True, 3), ({"ckpt_path": path}, False, 3),
                ({"ckpt_path": None}, True, 0), ({"ckpt_path": None}, False, 0)]
        for ckpt, autoload, start in rows:
            with self.subTest(ckpt=ckpt, autoload=autoload):
                result = self.train("run", num_steps=1, steps=0,
                                    autoload_last_checkpoint=autoload, **ckpt)
                self.assertEqual(result.step, start + 1)
                self.assertEqual(self.metrics("run").raw[-1]["step"], start + 1)
                self.assertEqual("No checkpoint was provided." in result.err, start == 0)
                self.assertEqual("fresh start" in result.err, start == 0)
        self.assertEqual(self.full("run"), [3, 6])

    def test_a_checkpoint_of_another_model_dir_begins_a_new_run_with_its_parent_recorded(self):
        self.train("source", num_steps=4, steps=2)
        path = self.path("source", "checkpoint_4.mdl")
        result = self.train("run", num_steps=2, steps=2, ckpt_path=path)
        self.assertEqual(result.step, 6)  # global_step is among the states loaded.
        self.assertIn("new run from %s: loaded model, optimizer" % path, result.err)
        parent, run = (self.run_facts(name) for name in ("source", "run"))
        self.assertEqual(run["parent_run_id"], parent["run_id"])
        self.assertNotEqual(run["run_id"], parent["run_id"])
        self.assertEqual(run["first_step"], "4")
        self.assertEqual(run["loaded"], {"path": path, "states": None})
        # The next process continues it.
        again = self.train("run", num_steps=2, steps=2)
        self.assertIn("continues run %s" % run["run_id"], again.err)
        self.assertEqual(self.run_facts("run")["run_id"], run["run_id"])

    def run_facts(self, model_dir):
        with open(self.path(model_dir, "run.json"), encoding="utf-8") as file:
            return json.load(file)

    def test_autoload_without_any_checkpoint_is_a_fresh_start(self):
        result = self.train("run", num_steps=1, steps=0)
        self.assertIn('No checkpoints were found in "%s"' % self.path("run"), result.err)
        self.assertEqual(result.step, 1)

    def test_only_alternatives_are_a_fresh_start_said_in_one_line(self):
        self.train("run", num_steps=4, steps=2, k=1)
        for step in (2, 4):
            os.remove(self.path("run", "checkpoint_%d.mdl" % step))
        result = self.train("run", num_steps=1, steps=0)
        said = [line for line in result.err.splitlines() if "lternative" in line]
        self.assertEqual(len(said), 1)
        self.assertIn("Only alternative checkpoints (2)", said[0])
        self.assertIn("fresh start", result.err)
        self.assertEqual(result.step, 1)

    def test_an_alternative_is_never_autoloaded__all_states(self):
        self.train("run", num_steps=4, steps=2, k=1, checkpoint_states="all")
        os.remove(self.path("run", "checkpoint_4.mdl"))
        result = self.train("run", num_steps=1, steps=0)
        self.assertEqual(result.step, 3)
        # Asked for, it is as good as a full one.
        named = self.train("run", num_steps=1, steps=0,
                           ckpt_path=self.path("run", "all_checkpoint_4.mdl"))
        self.assertEqual(named.step, 5)

    def test_checkpoint_root_elsewhere(self):
        root = self.path("elsewhere", "root")
        self.train("run", num_steps=6, steps=2, checkpoint_root=root, n=2, k=3)
        self.assertEqual((self.full(root), self.alternatives(root)), ([4, 6], [6]))
        self.assertEqual(self.full("run"), [])
        with open(self.path("run", "checkpoints_index.yaml"), encoding="utf-8") as index:
            self.assertEqual(index.read(), '- "%s/checkpoint_4.mdl"\n- "%s/checkpoint_6.mdl"\n'
                             % (root, root))
        result = self.train("run", num_steps=2, steps=2, checkpoint_root=root)
        self.assertEqual(result.step, 8)
        self.assertIn("continues run", result.err)
        # model_dir and checkpoint_root count together.
        os.rename(os.path.join(root, "checkpoint_8.mdl"), self.path("run", "checkpoint_8.mdl"))
        result = self.train("run", num_steps=1, steps=0, checkpoint_root=root)
        self.assertEqual(result.step, 9)

    # ---- Other people's files ----

    def plain(self, name, arrays):
        save_file(arrays, self.path(name))
        return self.path(name)

    def loaded(self, path, expect=kit.OK, **settings):
        """(model tensors that a run from @path starts with, its messages)."""
        model_dir = "from-%d" % len(os.listdir(self.dir))
        result = self.train(model_dir, expect, num_steps=1, steps=0, save_initial_checkpoint=True,
                            ckpt_path=path, **settings)
        if expect != kit.OK:
            return None, result.err
        self.assertEqual(result.step, 1)
        return self.tensors("model", model_dir, "checkpoint_0.mdl"), result.err

    def test_a_plain_safetensors_file_is_accepted__with_each_prefix(self):
        self.train("run", num_steps=2, steps=2)
        ours = self.tensors("model", "run", "checkpoint_2.mdl")
        arrays = model_arrays(self.path("run", "checkpoint_2.mdl"))
        for prefix in ("model.", "", "model.model."):
            with self.subTest(prefix=prefix):
                path = self.plain("plain%s.safetensors" % prefix,
                                  {prefix + name: array for name, array in arrays.items()})
                model, said = self.loaded(path)
                self.assertEqual(model, ours)
                self.assertIn("has no digests", said)
                self.assertIn("loaded model; fresh: optimizer", said)

    def test_a_tied_tensor_is_accepted_under_either_name(self):
        self.train("run", num_steps=2, steps=2)
        ours = self.tensors("model", "run", "checkpoint_2.mdl")
        arrays = model_arrays(self.path("run", "checkpoint_2.mdl"))
        words = arrays.pop(WORDS)
        self.assertNotIn(HEAD, arrays)
        for number, tied in enumerate(({WORDS: words}, {HEAD: words},
                                       {WORDS: words, HEAD: words})):
            with self.subTest(names=sorted(tied)):
                model, _ = self.loaded(self.plain("tied%d" % number, dict(arrays, **tied)))
                self.assertEqual(model, ours)
        different = self.plain("different", dict(arrays, **{WORDS: words, HEAD: words + 1}))
        for tolerant in (False, True):
            _, said = self.loaded(different, kit.CHECKPOINT,
                                  disable_strict_checkpoint_loading=tolerant)
            self.assertIn(HEAD, said)

    def test_a_plain_file_with_one_key_more_or_less_follows_strictness(self):
        self.train("run", num_steps=2, steps=2)
        arrays = model_arrays(self.path("run", "checkpoint_2.mdl"))
        more = self.plain("more", dict(arrays, **{"something.else": arrays["ln_f.bias"]}))
        less = self.plain("less", {name: a for name, a in arrays.items() if name != "ln_f.bias"})
        for path, key in ((more, "something.else"), (less, "ln_f.bias")):
            _, said = self.loaded(path, kit.CHECKPOINT)
            self.assertIn(key, said)
            model, said = self.loaded(path, disable_strict_checkpoint_loading=True)
            self.assertIn(key, said)
            self.assertEqual(model["ln_f.weight"], arrays["ln_f.weight"].tobytes())

    def test_load_checkpoint_states_needs_a_state_that_the_file_has(self):
        self.train("run", num_steps=2, steps=2, k=1)
        result = self.train("new", kit.CHECKPOINT, num_steps=1, steps=0,
                            load_checkpoint_states="model,optimizer",
                            ckpt_path=self.path("run", "model_checkpoint_2.mdl"))
        self.assertIn("has no state 'optimizer'; it has: model", result.err)

    def test_a_state_that_does_not_exist_is_told_before_the_first_step(self):
        for settings in ({"load_checkpoint_states": "modle"},
                         {"k": 5, "checkpoint_states": "modle"}):
            result = self.train("run", kit.USAGE, num_steps=1, steps=1, **settings)
            self.assertIn("modle", result.err)
            self.assertFalse(os.path.exists(self.path("run")))  # refused before anything is made

    def test_load_checkpoint_states_acts_on_autoload_too_and_the_start_names_resume(self):
        settings = {"num_steps": 4, "steps": 2, "load_checkpoint_states": "model"}
        self.train("run", **settings)
        over = self.train("run", **settings)
        self.assertEqual(over.step, 4)
        self.assertEqual(over.err.count("STARTING OVER"), 1)
        self.assertIn("new run from %s" % self.path("run", "checkpoint_4.mdl"), over.err)
        on = self.train("run", resume=True, max_steps=6, **dict(settings, num_steps=None))
        self.assertEqual(on.step, 6)
        self.assertRegex(on.err, "--resume decides what is loaded; LoadCheckpointStates .* is not")

    # ---- KeepNCheckpoints ----

    def test_keep_n_leaves_checkpoints_of_other_runs_alone(self):
        self.train("run", num_steps=4, steps=1)
        others = self.snapshot("run")
        result = self.train("run", num_steps=4, steps=1, n=1, ckpt_path=None)
        self.assertIn("KeepNCheckpoints: keeping 1; found 0 of this run", result.err)
        now = self.snapshot("run")
        names = kit.checkpoints(self.path("run"))
        self.assertEqual(len(names), 4 + 1)
        for step in range(1, 5):
            name = "checkpoint_%d.mdl" % step
            self.assertEqual(now[name], others[name])

    def test_keep_n_counts_the_initial_checkpoint(self):
        self.train("run", num_steps=4, steps=2, n=2, save_initial_checkpoint=True)
        self.assertEqual(self.full("run"), [2, 4])
        self.train("more", num_steps=4, steps=2, n=3, save_initial_checkpoint=True)
        self.assertEqual(self.full("more"), [0, 2, 4])


class DetailsFromYaml(Details, FromYaml, PageCase):
    pass


class DetailsFromC(Details, FromC, PageCase):
    pass


class Validate(FromYaml, PageCase):
    """`cairn validate`: which checkpoint it takes, and that it only reads."""

    def setUp(self):
        super().setUp()
        self.train("run", num_steps=4, steps=2, eval_frequency=2, k=1)
        self.noted = {step: float(entry["val_loss"])
                      for step, entry in self.metrics("run").validations.items()}

    def section(self, ckpt, **settings):
        """Result of `validate` with a section of its own."""
        config = yaml_config(self.text, dict(DEFAULTS, **settings))
        section = dict({"val_dataloader": config["trainer"]["fit"]["val_dataloader"]}, **ckpt)
        config["trainer"]["validate"] = section
        del config["trainer"]["fit"]
        path = self.write_config(config, "validate.yaml")
        return kit.run(["validate", path, "--json", "-o", self.path("run"), "--threads", "1"])

    def test_which_checkpoint__omitted_path_null(self):
        before = kit.snapshot(self.path("run"))  # with the lock file: nothing is locked
        path = {"ckpt_path": self.path("run", "checkpoint_2.mdl")}
        rows = [({}, True, 4), ({}, False, None), (path, True, 2), (path, False, 2),
                ({"ckpt_path": None}, True, None), ({"ckpt_path": None}, False, None)]
        for ckpt, autoload, step in rows:
            with self.subTest(ckpt=ckpt, autoload=autoload):
                result = self.section(ckpt, autoload_last_checkpoint=autoload)
                found = result.json()
                self.assertEqual(found["step"], step or 0)
                self.assertEqual("No checkpoint was provided." in result.err, step is None)
                if step is None:
                    self.assertNotIn(found["val_loss"], self.noted.values())
                else:
                    self.assertEqual(found["val_loss"], self.noted[step])
        self.assertEqual(kit.snapshot(self.path("run")), before)

    def test_a_model_only_file_is_enough(self):
        result = self.section({"ckpt_path": self.path("run", "model_checkpoint_2.mdl")})
        self.assertEqual(result.json()["val_loss"], self.noted[2])
        self.assertEqual(result.json()["step"], 0)  # The file has no global_step.

    def test_only_alternatives_are_not_taken(self):
        for step in (2, 4):
            os.remove(self.path("run", "checkpoint_%d.mdl" % step))
        result = self.section({})
        self.assertIn("No checkpoint was provided.", result.err)


class Generate(FromYaml, PageCase):
    """`cairn generate` from a file with the model alone."""

    def setUp(self):
        super().setUp()
        self.train("run", num_steps=40, steps=40, k=1)
        self.model = self.path("run", "model_checkpoint_40.mdl")

    def text_of(self, *more, path=None, expect=kit.OK):
        program = [kit.BIN, "generate", "--checkpoint_path", path or self.model, "--prompt", "ta ",
                   "--max_tokens", "40", "--threads", "1", *more]
        done = subprocess.run(program, capture_output=True, env=kit.environment(), check=False,
                              timeout=kit.TIMEOUT_S)
        self.assertEqual(done.returncode, expect, done.stderr)
        return done.stdout if expect == kit.OK else done.stderr.decode()

    def test_same_seed_same_text(self):
        one = self.text_of("--seed", "5")
        self.assertEqual(one, self.text_of("--seed", "5"))
        self.assertTrue(one.startswith(b"ta "))
        self.assertEqual(len(one), len("ta ") + 40 + 1)
        self.assertNotEqual(one, self.text_of("--seed", "6"))

    def test_temperature_0_needs_no_seed(self):
        texts = {self.text_of("--temperature", "0", "--seed", str(seed)) for seed in range(4)}
        self.assertEqual(len(texts), 1)

    def test_top_k_1_is_temperature_0(self):
        self.assertEqual(self.text_of("--top_k", "1"), self.text_of("--temperature", "0"))

    def test_the_text_ends_before_a_stop_text(self):
        whole = self.text_of("--seed", "5")[len("ta "):-1]
        for at in (0, 7, 20):
            stop = whole[at:at + 3].decode("latin-1")
            if not stop.isascii() or "\0" in stop:
                continue
            ended = self.text_of("--seed", "5", "--stop", "no such text", "--stop", stop)
            self.assertEqual(ended, b"ta " + whole[:whole.index(stop.encode())] + b"\n")

    def test_options_out_of_range_are_refused(self):
        self.assertIn("top_p", self.text_of("--top_p", "2", expect=kit.USAGE))
        self.assertIn("stop text", self.text_of("--stop", "", expect=kit.USAGE))

    def test_a_full_checkpoint_gives_the_same_text(self):
        full = self.path("run", "checkpoint_40.mdl")
        self.assertEqual(self.text_of("--seed", "5", path=full), self.text_of("--seed", "5"))

    def test_a_file_without_parameters_is_refused(self):
        plain = self.path("plain.safetensors")
        save_file(model_arrays(self.model), plain)
        said = self.text_of(path=plain, expect=kit.CHECKPOINT)
        self.assertIn("holds no parameters", said)


if __name__ == "__main__":
    unittest.main()
