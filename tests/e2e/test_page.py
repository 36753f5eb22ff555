"""One test for each sentence of the Model Zoo's page on checkpointing that promises a behaviour.

A test is named after its sentence and runs twice: from YAML (`cairn fit`) and from C
(examples/trainer.c). Details that the page leaves to its links are in test_checkpoints.py.
"""
import os
import unittest

from safetensors.numpy import save_file

import kit
from page_kit import FromC, FromYaml, PageCase, model_arrays


class Page:
    # ---- Configure Trainer Checkpoint Behavior ----

    def test_you_can_control_the_cadence_at_which_you_save_checkpoints(self):
        self.train("run", num_steps=10, steps=4)
        self.assertEqual(self.full("run"), [4, 8, 10])
        self.train("rarely", num_steps=10, steps=100)
        self.assertEqual(self.full("rarely"), [10])
        result = self.train("never", num_steps=10, steps=None)
        self.assertEqual(self.full("never"), [])
        self.assertEqual(result.err.count("the end will not be saved"), 1)
        self.assertEqual(result.err.count("the end was not saved"), 1)

    def test_you_can_control_the_naming_convention_of_checkpoints_saved(self):
        self.train("run", num_steps=2, steps=1, checkpoint_name="gpt-{step}.safetensors")
        self.assertLess({"gpt-1.safetensors", "gpt-2.safetensors"},
                        set(os.listdir(self.path("run"))))
        self.train("padded", num_steps=2, steps=1, checkpoint_name="step_{step:08d}.mdl")
        self.assertLess({"step_00000001.mdl", "step_00000002.mdl"},
                        set(os.listdir(self.path("padded"))))
        # They are found again under their names.
        result = self.train("padded", num_steps=1, steps=1, checkpoint_name="step_{step:08d}.mdl")
        self.assertEqual(result.step, 3)

    # ---- Automatically Loading from the Most Recent Checkpoint ----

    def test_autoload_last_checkpoint_can_be_used_to_autoload_the_most_recent_checkpoint(self):
        self.train("run", num_steps=6, steps=3)
        off = self.train("run", num_steps=1, steps=0, autoload_last_checkpoint=False)
        self.assertEqual(off.step, 1)
        self.assertNotIn("Loading weights", off.err)
        on = self.train("run", num_steps=1, steps=0, autoload_last_checkpoint=True)
        self.assertEqual(on.step, 7)
        self.assertIn("checkpoint_6.mdl at step 6", on.err)
        # With all states, the run goes on as if it had never stopped.
        self.train("whole", num_steps=7, steps=0)
        self.assertEqual(self.metrics("run").bits()[0][7], self.metrics("whole").bits()[0][7])

    def test_the_run_will_load_from_the_checkpoint_with_the_largest_step_value(self):
        self.train("run", num_steps=5, steps=1)
        # The name decides what is newest, whatever is inside and whatever the date is.
        for inside, named in ((1, 5000), (2, 10000), (3, 15000), (4, 20000), (5, 9000)):
            os.rename(self.path("run", "checkpoint_%d.mdl" % inside),
                      self.path("run", "checkpoint_%d.mdl" % named))
        os.utime(self.path("run", "checkpoint_9000.mdl"))
        result = self.train("run", num_steps=1, steps=0)
        self.assertRegex(result.err, r'Found latest checkpoint at ".*/checkpoint_20000\.mdl"')
        # The step inside decides where the training goes on, and the difference is said.
        self.assertRegex(result.err, r"checkpoint_20000\.mdl is named for step 20000 but holds "
                                     r"step 4; training goes on at step 4")
        self.assertEqual(result.step, 5)

    def test_the_largest_step_value_is_a_number__9_against_10(self):
        self.train("run", num_steps=10, steps=1)
        os.utime(self.path("run", "checkpoint_9.mdl"))
        result = self.train("run", num_steps=1, steps=0)
        self.assertRegex(result.err, r'Found latest checkpoint at ".*/checkpoint_10\.mdl"')
        self.assertEqual(result.step, 11)
        self.assertNotIn("is named for step", result.err)

    # ---- Checkpoint Loading Strictness ----

    def strictly(self, tolerant, expect, **settings):
        model_dir = "strict-%d" % len(os.listdir(self.dir))
        return self.train(model_dir, expect, num_steps=1, steps=1,
                          disable_strict_checkpoint_loading=tolerant, **settings)

    def test_the_model_will_not_raise_an_error_if_the_checkpoint_contains_keys_not_in_it(self):
        self.train("deep", num_steps=2, steps=2, num_hidden_layers=2)
        deep = self.path("deep", "checkpoint_2.mdl")
        key = "transformer_decoder.layers.1.norm1.weight"
        strict = self.strictly(False, kit.CHECKPOINT, ckpt_path=deep)
        self.assertIn("disable_strict_checkpoint_loading: true", strict.err)
        self.assertIn("transformer_decoder.layers.1.", strict.err)
        loose = self.strictly(True, kit.OK, ckpt_path=deep)
        self.assertEqual(loose.step, 3)
        self.assertRegex(loose.err, r"model: 16 in the checkpoint but unexpected, not loaded: "
                                    r"transformer_decoder\.layers\.1\.")
        self.assertRegex(loose.err, r"optimizer: 32 in the checkpoint but unexpected")
        # What fits was loaded: the first layer of the deep model is that of the new one.
        again = self.train("again", num_steps=1, steps=0, save_initial_checkpoint=True,
                           disable_strict_checkpoint_loading=True, ckpt_path=deep)
        self.assertEqual(again.step, 3)
        theirs = self.tensors("model", "deep", "checkpoint_2.mdl")
        ours = self.tensors("model", "again", "checkpoint_2.mdl")
        self.assertIn(key, theirs)
        self.assertEqual(ours, {name: theirs[name] for name in ours})
        self.assertNotIn(key, ours)

    def test_disable_strict_checkpoint_loading_loosens_the_validation__missing_keys(self):
        self.train("flat", num_steps=2, steps=2)
        flat = self.path("flat", "checkpoint_2.mdl")
        strict = self.strictly(False, kit.CHECKPOINT, ckpt_path=flat, num_hidden_layers=2)
        self.assertIn("16 of 'model' not in the file: transformer_decoder.layers.1.", strict.err)
        loose = self.strictly(True, kit.OK, ckpt_path=flat, num_hidden_layers=2)
        self.assertEqual(loose.step, 3)
        self.assertRegex(loose.err, r"model: 16 missing in the checkpoint, kept at their start "
                                    r"value: transformer_decoder\.layers\.1\.")

    def test_disable_strict_checkpoint_loading_does_not_accept_a_wrong_shape(self):
        self.train("narrow", num_steps=2, steps=2)
        narrow = self.path("narrow", "checkpoint_2.mdl")
        for tolerant in (False, True):
            result = self.strictly(tolerant, kit.CHECKPOINT, ckpt_path=narrow, hidden_size=32)
            self.assertRegex(result.err, r"tensor 'model\.\S+' is F32 \[256, 16\] in the file and "
                                         r"F32 \[256, 32\] here")

    def test_disable_strict_checkpoint_loading_does_not_accept_what_matches_nothing(self):
        self.train("run", num_steps=2, steps=2)
        foreign = {"encoder." + name: array for name, array in
                   model_arrays(self.path("run", "checkpoint_2.mdl")).items()}
        save_file(foreign, self.path("foreign.safetensors"))
        for tolerant in (False, True):
            result = self.strictly(tolerant, kit.CHECKPOINT,
                                   ckpt_path=self.path("foreign.safetensors"))
            self.assertIn("nothing in '%s' matches" % self.path("foreign.safetensors"), result.err)

    # ---- Selective Checkpoint State Saving ----

    def test_you_can_specify_which_individual_checkpoint_states_to_be_saved(self):
        self.train("run", num_steps=2, steps=2, k=1, checkpoint_states="model,optimizer")
        self.assertEqual(self.alternatives("run", "model_optimizer"), [2])
        path = ("run", "model_optimizer_checkpoint_2.mdl")
        self.assertEqual(self.states(*path), ["model", "optimizer"])
        for state in ("model", "optimizer"):
            self.assertEqual(self.tensors(state, *path),
                             self.tensors(state, "run", "checkpoint_2.mdl"))
        self.train("every", num_steps=2, steps=2, k=1, checkpoint_states="all")
        self.assertEqual(self.states("every", "all_checkpoint_2.mdl"),
                         self.states("every", "checkpoint_2.mdl"))

    def test_save_an_alternative_checkpoint_with_a_subset_of_states_to_conserve_space(self):
        self.train("run", num_steps=4, steps=2, k=1)
        self.assertEqual(self.alternatives("run"), [2, 4])
        for step in (2, 4):
            full = ("run", "checkpoint_%d.mdl" % step)
            model = ("run", "model_checkpoint_%d.mdl" % step)
            self.assertEqual(self.states(*model), ["model"])
            self.assertEqual(kit.metadata(self.path(*model))["cairn.kind"], "alternative")
            self.assertEqual(kit.tensors(self.path(*model)),
                             {"model." + name: data
                              for name, data in self.tensors("model", *full).items()})
            # Two moments a parameter are left out: about a third is left.
            self.assertLess(os.path.getsize(self.path(*model)),
                            0.4 * os.path.getsize(self.path(*full)))

    def test_save_checkpoint_state_can_be_used_to_bypass_checkpoint_deletion_policies(self):
        self.train("run", num_steps=20, steps=2, k=2, n=1)
        self.assertEqual(self.full("run"), [20])
        self.assertEqual(self.alternatives("run"), [4, 8, 12, 16, 20])
        # Also in a run that continues, and with the states of a full one.
        self.train("all", num_steps=4, steps=2, k=1, checkpoint_states="all", n=1)
        self.train("all", num_steps=4, steps=2, k=1, checkpoint_states="all", n=1)
        self.assertEqual(self.full("all"), [8])
        self.assertEqual(self.alternatives("all", "all"), [2, 4, 6, 8])

    def test_k_refers_to_every_k_checkpoint_steps_not_every_k_steps(self):
        self.train("run", num_steps=21, steps=4, k=2)
        self.assertEqual(self.full("run"), [4, 8, 12, 16, 20, 21])
        self.assertEqual(self.alternatives("run"), [8, 16, 21])  # 21 is the last save.

    def test_k_goes_on_counting_after_an_interruption(self):
        settings = {"num_steps": 40, "steps": 2, "k": 3}
        self.train("whole", **settings)
        with self.start("run", **settings) as running:
            self.assertTrue(running.wait_for(r"Saved checkpoint .*/checkpoint_10\.mdl"))
            self.assertTrue(running.kill())
        self.train("run", resume=True, **settings)
        self.assertEqual(self.alternatives("whole"), [6, 12, 18, 24, 30, 36, 40])
        self.assertEqual(self.alternatives("run"), self.alternatives("whole"))
        self.assert_same_run("run", "whole")

    # ---- Selective Checkpoint State Loading ----

    def test_you_can_specify_which_individual_checkpoint_states_to_be_loaded(self):
        self.train("source", num_steps=6, steps=3)
        source = self.path("source", "checkpoint_6.mdl")
        self.train("run", num_steps=1, steps=0, save_initial_checkpoint=True, ckpt_path=source,
                   load_checkpoint_states="model,optimizer")
        initial = ("run", "checkpoint_0.mdl")
        for state in ("model", "optimizer"):
            self.assertEqual(self.tensors(state, *initial),
                             self.tensors(state, "source", "checkpoint_6.mdl"))
        values = self.values(*initial)
        theirs = self.values("source", "checkpoint_6.mdl")
        self.assertEqual(values["optimizer"], theirs["optimizer"])
        self.assertEqual(values["global_step"]["value"], "0")
        self.assertEqual(values["schedulers"]["0.last_epoch"], "0")
        self.assertEqual(values["dataloader"]["samples_streamed"], "0")
        # The step alone may be left out, or taken alone.
        self.train("step", num_steps=1, steps=0, save_initial_checkpoint=True, ckpt_path=source,
                   load_checkpoint_states="model,global_step")
        self.assertEqual(self.values("step", "checkpoint_6.mdl")["schedulers"]["0.last_epoch"], "0")
        self.assertEqual(self.trained("step"), [7])

    def test_perform_fine_tuning_by_loading_the_model_but_optimizer_and_step_from_scratch(self):
        self.train("source", num_steps=6, steps=3)
        source = self.path("source", "checkpoint_6.mdl")
        result = self.train("run", num_steps=2, steps=2, save_initial_checkpoint=True,
                            ckpt_path=source, load_checkpoint_states="model")
        self.assertIn("new run from %s: loaded model; fresh: optimizer, schedulers, dataloader, "
                      "global_step" % source, result.err)
        self.assert_starts_afresh("run", "source", "checkpoint_6.mdl")
        self.assertEqual(self.trained("run"), [1, 2])

    def test_load_only_the_model_state_from_any_checkpoint(self):
        self.train("source", num_steps=4, steps=4, k=1)
        runs = {"full": ("checkpoint_4.mdl", {"load_checkpoint_states": "model"}),
                "alternative": ("model_checkpoint_4.mdl", {"load_checkpoint_states": "model"}),
                "by_itself": ("model_checkpoint_4.mdl", {})}
        for run, (name, more) in runs.items():
            self.train(run, num_steps=3, steps=0, ckpt_path=self.path("source", name), **more)
        self.assert_same_run("full", "alternative")
        self.assert_same_run("full", "by_itself")
        self.train("fresh", num_steps=3, steps=0)
        self.assertNotEqual(self.metrics("full").bits(), self.metrics("fresh").bits())

    # ---- Checkpoint Deletion Policy ----

    def test_only_the_5_most_recent_checkpoints_will_be_retained(self):
        self.train("run", num_steps=20, steps=2, n=5)
        self.assertEqual(self.full("run"), [12, 14, 16, 18, 20])
        with open(self.path("run", "checkpoints_index.yaml"), encoding="utf-8") as index:
            self.assertEqual(index.read(),
                             "".join("- checkpoint_%d.mdl\n" % step for step in range(12, 22, 2)))
        # A process that continues the run counts those of the earlier one.
        result = self.train("run", num_steps=4, steps=2, n=5)
        self.assertIn("KeepNCheckpoints: keeping 5; found 5 of this run", result.err)
        self.assertEqual(self.full("run"), [16, 18, 20, 22, 24])

    def test_constrain_the_storage_while_still_allowing_for_recent_restart_points(self):
        settings = {"num_steps": 60, "steps": 3, "n": 2}
        self.train("whole", **settings)
        size = os.path.getsize(self.path("whole", "checkpoint_60.mdl"))
        with self.start("run", **settings) as running:
            self.assertTrue(running.wait_for(r"Saved checkpoint .*/checkpoint_30\.mdl"))
            self.assertTrue(running.kill())
        # At most n and the newest, which is there before the oldest goes.
        full = [name for name in os.listdir(self.path("run")) if name.endswith(".mdl")]
        self.assertIn(len(full), (2, 3))
        self.assertLessEqual(sum(os.path.getsize(self.path("run", name)) for name in full),
                             3 * size)
        last = self.full("run")[-1]
        self.assertGreaterEqual(last, 30)
        result = self.train("run", resume=True, **settings)
        self.assertIn("at step %d" % last, result.err)
        self.assertEqual(self.full("run"), [57, 60])
        self.assert_same_run("run", "whole")

    def test_checkpoints_by_save_checkpoint_state_are_ignored_by_keep_n_and_validate(self):
        self.train("run", num_steps=30, steps=2, n=3, k=5, eval_frequency=10)
        self.assertEqual(self.full("run"), [26, 28, 30])
        self.assertEqual(self.alternatives("run"), [10, 20, 30])
        noted = self.metrics("run").validations
        for step in (10, 20, 30):
            result = self.validate("--checkpoint_path",
                                   self.path("run", "model_checkpoint_%d.mdl" % step))
            self.assertEqual(kit.double_bits(result["val_loss"]),
                             kit.double_bits(noted[step]["val_loss"]))

    # ---- What's next: Fine-Tuning with Validation ----

    FINE_TUNING = {"max_steps": 42, "steps": 5, "eval_frequency": 5}

    def test_fine_tuning_run_from_a_model_checkpoint(self):
        source = self.model_checkpoint()
        result = self.train("run", ckpt_path=source, save_initial_checkpoint=True,
                            **self.FINE_TUNING)
        self.assertIn("new run from %s: loaded model; fresh: optimizer, schedulers, dataloader, "
                      "global_step" % source, result.err)
        self.assert_starts_afresh("run", "source", "model_checkpoint_6.mdl")
        self.assertEqual(self.trained("run"), list(range(1, 43)))
        self.assertEqual(self.validated("run"), [5, 10, 15, 20, 25, 30, 35, 40, 42])
        # The learning rate of t = 0 is that of a training from scratch.
        self.train("scratch", num_steps=1, steps=0)
        self.assertEqual(self.metrics("run").steps[1]["lr"], self.metrics("scratch").steps[1]["lr"])
        self.assertAlmostEqual(float(self.metrics("run").steps[1]["lr"]), 0.01)
        self.assertEqual(self.values("run", "checkpoint_5.mdl")["dataloader"]["samples_streamed"],
                         "20")

    def test_fine_tuning_run_killed_at_12_goes_on_with_resume(self):
        source = self.model_checkpoint()
        self.train("whole", ckpt_path=source, **self.FINE_TUNING)
        last = self.killed_at_12(source)
        result = self.train("run", ckpt_path=source, resume=True, **self.FINE_TUNING)
        self.assertRegex(result.err, r"continues run \w+ from .*/checkpoint_%d\.mdl at step %d\n"
                         % (last, last))
        self.assert_same_run("run", "whole")
        self.assertEqual(self.full("run"), self.full("whole"))
        self.assertEqual(kit.tensors(self.path("run", "checkpoint_42.mdl")),
                         kit.tensors(self.path("whole", "checkpoint_42.mdl")))
        complete = self.train("run", ckpt_path=source, resume=True, **self.FINE_TUNING)
        self.assertEqual(complete.result["result"], "complete")
        self.assertEqual(complete.step, 42)

    def test_fine_tuning_run_killed_at_12_starts_over_without_resume_and_says_so(self):
        source = self.model_checkpoint()
        self.train("whole", ckpt_path=source, **self.FINE_TUNING)
        last = self.killed_at_12(source)
        saved = kit.snapshot(self.path("run"))
        result = self.train("run", ckpt_path=source, **self.FINE_TUNING)
        loud = [line for line in result.err.splitlines() if "STARTING OVER" in line]
        self.assertEqual(len(loud), 1)
        self.assertIn("--resume", loud[0])
        self.assertIn("step %d " % last, loud[0])
        self.assertIn("WARNING", loud[0])
        self.assert_same_run("run", "whole")
        # What was saved before is still there, beside the new ones.
        now = kit.snapshot(self.path("run"))
        for name in kit.checkpoints(self.path("run")):
            if name in saved:
                self.assertEqual(now[name], saved[name])
        again = [name for name in kit.checkpoints(self.path("run")) if name not in saved]
        self.assertRegex(again[0], r"^checkpoint_5_\d{8}_\d{6}\.mdl$")

    def model_checkpoint(self):
        self.train("source", num_steps=6, steps=3, k=2)
        self.assertEqual(self.alternatives("source"), [6])
        return self.path("source", "model_checkpoint_6.mdl")

    def killed_at_12(self, source):
        """Kills the run after its step 12; returns the step of its last save."""
        with self.start("run", ckpt_path=source, **self.FINE_TUNING) as running:
            self.assertTrue(running.wait_for_saved(10, 12))
            self.assertTrue(running.kill())
        last = self.full("run")[-1]
        self.assertGreaterEqual(last, 10)
        return last

    def assert_starts_afresh(self, run, source, file):
        """checkpoint_0.mdl of @run has the model of the source and nothing else of it."""
        initial = (run, "checkpoint_0.mdl")
        self.assertEqual(self.tensors("model", *initial), self.tensors("model", source, file))
        moments = self.tensors("optimizer", *initial)
        self.assertEqual(len(moments), 2 * len(self.tensors("model", *initial)))
        for name, data in moments.items():
            self.assertEqual(data, bytes(len(data)), name)
        values = self.values(*initial)
        self.assertEqual({float.fromhex(values["optimizer"][name])
                          for name in ("beta1_power", "beta2_power")}, {1.0})
        self.assertEqual(values["global_step"]["value"], "0")
        self.assertEqual(values["schedulers"]["0.last_epoch"], "0")
        self.assertEqual(values["dataloader"]["samples_streamed"], "0")


class PageFromYaml(Page, FromYaml, PageCase):
    pass


class PageFromC(Page, FromC, PageCase):
    pass


class BothWays(PageCase):
    def test_the_same_settings_give_the_same_bits_from_yaml_and_from_c(self):
        settings = {"num_steps": 20, "steps": 6, "eval_frequency": 7, "k": 2, "n": 2}
        for way in (FromYaml, FromC):
            self.command = way.command.__get__(self)
            self.train(way.__name__, **settings)
        self.assert_same_run("FromYaml", "FromC")
        self.assertEqual(self.full("FromYaml"), self.full("FromC"))
        self.assertEqual(self.alternatives("FromYaml"), self.alternatives("FromC"))
        self.assertEqual(kit.tensors(self.path("FromYaml", "checkpoint_20.mdl")),
                         kit.tensors(self.path("FromC", "checkpoint_20.mdl")))


if __name__ == "__main__":
    unittest.main()
