"""Callbacks and precision: what a run with all of them does, interrupted or not."""
import json
import math
import os
import random
import re
import sys

import kit

SEED = int(os.environ.get("CAIRN_TEST_SEED", random.SystemRandom().randrange(1 << 32)))
EVAL_STEPS = 7
STEPS = 60
LARGEST = 2.0 ** 126


class Case(kit.Case):
    def setUp(self):
        super().setUp()
        self.text = kit.corpus(self.path("small.txt"), size=2400)

    def config(self, **init):
        changes = {"loop": {"max_steps": STEPS, "eval_frequency": EVAL_STEPS},
                   "checkpoint": {"steps": 5}}
        config = kit.tiny_config(self.text, **kit.merge(changes, init))
        for loader in config["trainer"]["fit"].values():
            loader["val_fraction"] = 0.4
        return config

    def run_config(self, name, expect=kit.OK, more=(), **init):
        """Fits a configuration in a model_dir of its own; (result, model_dir)."""
        path = self.write_config(self.config(**init), name + ".yaml")
        return self.fit(path, self.path(name), *more, expect=expect), self.path(name)


def read_json(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


# ---- Everything at once, interrupted --------------------------------------------------------

class ResumeTest(Case):
    """All default callbacks, averages, early stopping and dynamic loss scaling."""

    def everything(self):
        return self.config(
            # With this weight gradients overflow at the largest scale, and at no small one.
            model={"dropout_rate": 0.1, "loss_scaling": "batch_size", "loss_weight": 500.0},
            precision={"fp16_type": "float16", "loss_scaling_factor": "dynamic",
                       "initial_loss_scale": LARGEST, "max_loss_scale": LARGEST,
                       "steps_per_increase": 2},
            callbacks=[{"EMA": {"decay": 0.9, "every": 2, "start_step": 3}},
                       {"EMA": {"decay": 0.5, "validate": False}},
                       # The loss only falls. The first steps overflow, so the averages are first
                       # validated at step 14, and the validation of step 56 is the sixth miss.
                       {"EarlyStopping": {"monitor": "ema/val_loss", "mode": "max",
                                          "patience": 6}},
                       {"EarlyStopping": {"monitor": "loss", "patience": 50}},
                       {"SkipSamples": {"n": 3}},
                       {"SaveCheckpointState": {"k": 2, "checkpoint_states": "ema"}},
                       {"NormTensorListener": {"tensor_names": ["ln_f*", "attention.*"]}}])

    def kill_some(self, args):
        """Kills at random lines; says where."""
        rng = random.Random(SEED)
        places = []
        for step in (3, 24, 45) if kit.SLOW else (3, 10, 18, 26, 36, 45):
            with kit.Running(args) as running:
                self.assertTrue(running.wait_for(r"Step=%d," % step), (places, running.lines))
                for _ in range(rng.randint(0, 12)):
                    self.assertTrue(running.wait_for(r"Step=|Sav"), (places, running.lines[-3:]))
                places.append(running.lines[-1].partition(":   ")[2][:50])
                self.assertTrue(running.kill(), places)
        return places

    def test_a_killed_run_equals_an_uninterrupted_one__with_everything(self):
        path = self.write_config(self.everything())
        whole, parts = self.path("whole"), self.path("parts")
        first = self.fit(path, whole)
        self.assertEqual(("finished", "56", "early_stop"), tuple(
            first.result[key] for key in ("result", "step", "reason")))
        args = self.fit_args(path, parts, "--resume")
        places = self.kill_some(args)
        print("CAIRN_TEST_SEED=%d; killed at: %s" % (SEED, "; ".join(places)), file=sys.stderr)
        last = kit.run(args)
        self.assertEqual("early_stop", last.result["reason"])
        self.assertEqual(56, last.step)
        self.same_files(whole, parts)
        self.check_scale(whole)
        self.check_averages(whole)
        # What was stopped early is over, also for --resume.
        before = kit.snapshot(parts)
        again = kit.run(args)
        self.assertEqual(("complete", "56", "early_stop"), tuple(
            again.result[key] for key in ("result", "step", "reason")))
        after = kit.snapshot(parts)
        for name, digest in before.items():
            if name.endswith((".mdl", ".json", ".jsonl")):
                self.assertEqual(digest, after[name], name)

    def same_files(self, whole, parts):
        self.assertEqual(kit.read_metrics(whole).bits(), kit.read_metrics(parts).bits())
        for prefix in ("checkpoint_", "ema_"):
            names = kit.checkpoints(whole, prefix)
            self.assertEqual(names, kit.checkpoints(parts, prefix))
            for name in names:
                old, new = (os.path.join(folder, name) for folder in (whole, parts))
                for key in ("cairn.state_digest", "cairn.values", "cairn.step", "cairn.states"):
                    self.assertEqual(kit.metadata(old)[key], kit.metadata(new)[key], (name, key))
                notes = [path + ".notes.json" for path in (old, new)]
                self.assertEqual(os.path.exists(notes[0]), os.path.exists(notes[1]), name)
                if os.path.exists(notes[0]):
                    self.assertEqual(read_json(notes[0]), read_json(notes[1]), name)
        keys = ("model_wise_params_norm", "model_wise_grad_norm", "per_layer_grad_norm/layer_0",
                "norm/__all__", "loss_scale", "lr/0", "lr/1")
        for step, entry in kit.read_metrics(whole).steps.items():
            other = kit.read_metrics(parts).steps[step]
            self.assertEqual([entry[key] for key in keys], [other[key] for key in keys], step)

    def check_scale(self, model_dir):
        values = kit.values(os.path.join(model_dir, "checkpoint_56.mdl"))["grad_scaler"]
        skipped = int(values["num_skipped_steps"])
        self.assertGreater(skipped, 2)
        # The scheduler has counted the other steps only.
        schedulers = kit.values(os.path.join(model_dir, "checkpoint_56.mdl"))["schedulers"]
        self.assertEqual(56 - skipped, int(schedulers["0.last_epoch"]))
        steps = kit.read_metrics(model_dir).steps
        self.assertEqual(list(range(1, 57)), sorted(steps))

    def check_averages(self, model_dir):
        """The file with the averages alone has the model's tensors in the model's order."""
        entries = kit.header(os.path.join(model_dir, "ema_checkpoint_10.mdl"))[0]
        names = [name for name in entries if name.startswith("ema.")]
        model = [name for name in kit.header(os.path.join(model_dir, "checkpoint_10.mdl"))[0]
                 if name.startswith("model.")]
        self.assertEqual([name.partition(".")[2] for name in model],
                         [name.partition(".")[2] for name in names])


# ---- Averages -------------------------------------------------------------------------------

class EmaTest(Case):
    def test_averages_are_those_of_the_weights_of_each_step(self):
        """From the checkpoints of all steps, in float64."""
        _, run = self.run_config("ema", loop={"max_steps": 9, "eval_frequency": 0},
                                 checkpoint={"steps": 1},
                                 callbacks=[{"EMA": {"decay": 0.75, "every": 2, "start_step": 3}}])
        average = None
        for step in range(1, 10):
            tensors = kit.tensors(os.path.join(run, "checkpoint_%d.mdl" % step))
            weights = floats(tensors, "model.")
            if step >= 3 and average is None:
                average = weights
            elif average is not None and step % 2 == 0:
                average = {name: [e + 0.25 * (w - e) for e, w in zip(average[name], weights[name])]
                           for name in average}
            if average is not None:
                saved = floats(tensors, "ema.")
                self.assertEqual(sorted(average), sorted(saved))
                for name, numbers in saved.items():
                    worst = max(abs(a - b) for a, b in zip(average[name], numbers))
                    self.assertLess(worst, 1e-6, (step, name))

    def test_a_validation_with_averages_is_that_of_a_model_with_them(self):
        """A file in which the averages stand for the model is validated by itself."""
        _, run = self.run_config("ema", loop={"max_steps": 20, "eval_frequency": 20},
                                 checkpoint={"steps": 20}, callbacks=[{"EMA": {"decay": 0.9}}])
        metrics = kit.read_metrics(run).validations[20]
        plain, averaged = float(metrics["val_loss"]), float(metrics["ema/val_loss"])
        self.assertNotEqual(plain, averaged)
        path = os.path.join(run, "checkpoint_20.mdl")
        swapped = self.path("swapped.safetensors")
        write_plain(swapped, path, "ema.", "model.")
        config = self.config()
        config["trainer"]["fit"]["ckpt_path"] = swapped
        validate = kit.run(["validate", self.write_config(config, "v.yaml"), "-o",
                            self.path("none"), "--checkpoint_path", swapped, "--threads", "1"])
        match = re.search(r"Avg Eval Loss: ([\d.]+)", validate.err)
        self.assertEqual("%.5f" % averaged, match.group(1))

    def test_validation_without_averages_on_request(self):
        _, run = self.run_config("off", loop={"max_steps": 5, "eval_frequency": 5},
                                 callbacks=[{"EMA": {"validate": False}}])
        self.assertNotIn("ema/val_loss", kit.read_metrics(run).validations[5])


def floats(tensors, prefix):
    import struct  # pylint: disable=import-outside-toplevel
    return {name[len(prefix):]: struct.unpack("<%df" % (len(data) // 4), data)
            for name, data in tensors.items() if name.startswith(prefix)}


def write_plain(path, source, old, new):
    """A safetensors file without metadata: the tensors @old... of @source as @new..."""
    entries, start = kit.header(source)
    chosen, data = {}, b""
    with open(source, "rb") as file:
        for name, entry in entries.items():
            if name.startswith(old):
                begin, end = entry["data_offsets"]
                file.seek(start + begin)
                data += file.read(end - begin)
                chosen[new + name[len(old):]] = {
                    "dtype": entry["dtype"], "shape": entry["shape"],
                    "data_offsets": [len(data) - (end - begin), len(data)]}
    text = json.dumps(chosen).encode()
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text + data)


# ---- The default set ------------------------------------------------------------------------

def performance(model_dir):
    """Paths of performance.json, one of each process."""
    logs = os.path.join(model_dir, "cairn_logs")
    paths = [os.path.join(logs, name, "performance.json") for name in os.listdir(logs)]
    return [path for path in paths if os.path.exists(path) and not os.path.islink(
        os.path.dirname(path))]


class DefaultsTest(Case):
    DEFAULTS = {"ComputeNorm": "model_wise_params_norm", "LogOptimizerParamGroup": "lr/0",
                "RateProfiler": "avg_steps_per_sec", "DurationProfiler": "time_remaining"}

    def metrics(self, name, **init):
        result, run = self.run_config(name, loop={"max_steps": 4, "eval_frequency": 4}, **init)
        metrics = kit.read_metrics(run)
        return set(metrics.steps[4]) | set(metrics.validations[4]), run, result

    def test_they_are_there_and_null_removes_each(self):
        seen, run, _ = self.metrics("defaults")
        self.assertLessEqual(set(self.DEFAULTS.values()) | {"eval/accuracy"}, seen)
        self.assertEqual([4], [read_json(path)["steps"] for path in performance(run)])
        none = [{name: None} for name in list(self.DEFAULTS) + [
            "ModelEvalMetrics", "SavePerformanceData", "CheckLoss", "ModelZooParamsMetadata"]]
        seen, run, result = self.metrics("none", callbacks=none)
        self.assertEqual(set(), seen & (set(self.DEFAULTS.values()) | {"eval/accuracy"}))
        self.assertEqual([], performance(run))
        self.assertNotIn("not needed", result.err)

    def test_a_bare_name_and_empty_options_ask_for_it(self):
        seen, _, _ = self.metrics("bare", callbacks=["ComputeNorm", {"RateProfiler": {}}])
        self.assertLessEqual({"model_wise_params_norm", "avg_steps_per_sec"}, seen)

    def test_keys_of_groups_are_checked_before_training(self):
        result, run = self.run_config("keys", kit.USAGE,
                                      callbacks=[{"LogOptimizerParamGroup": {"keys": "momentum"}}])
        self.assertIn("unknown key 'momentum'", result.err)
        self.assertFalse(os.path.exists(run))

    def test_perplexity_is_the_exponential_of_the_validation_loss(self):
        _, run = self.run_config("ppl", loop={"max_steps": 10, "eval_frequency": 10})
        metrics = kit.read_metrics(run).validations[10]
        self.assertAlmostEqual(math.exp(float(metrics["val_loss"])),
                               float(metrics["eval/lm_perplexity"]), places=3)
        self.assertTrue(0.0 <= float(metrics["eval/accuracy"]) <= 1.0)

    def test_metrics_of_validations_can_choose_what_is_kept(self):
        _, run = self.run_config(
            "best", loop={"max_steps": 40, "eval_frequency": 5}, checkpoint={"steps": 5},
            callbacks=[{"KeepNCheckpoints": {"n": 1, "best": 1, "metric": "eval/accuracy",
                                             "mode": "max"}}])
        accuracies = {step: float(entry["eval/accuracy"])
                      for step, entry in kit.read_metrics(run).validations.items()}
        kept = {int(re.findall(r"\d+", name)[0]) for name in kit.checkpoints(run)}
        best = max(accuracies.values())
        self.assertIn(best, [accuracies[step] for step in kept])


# ---- Faults ---------------------------------------------------------------------------------

class FaultTest(Case):
    def test_dynamic_scaling_ends_the_run_when_it_would_fall_below_its_least(self):
        result, run = self.run_config(
            "least", kit.NONFINITE, checkpoint={"steps": 1},
            precision={"fp16_type": "float16", "loss_scaling_factor": "dynamic",
                       "initial_loss_scale": 2.0 ** 10, "min_loss_scale": 2.0 ** 9,
                       "max_gradient_norm": None},
            schedulers=[{"ConstantLR": {"learning_rate": 1e6}}], callbacks=[{"CheckLoss": None}])
        self.assertIn("may not become smaller than precision.min_loss_scale 512", result.err)
        self.assertIn("its update is skipped", result.err)
        self.assertTrue(kit.checkpoints(run))

    def test_a_loss_that_is_no_number_stops_also_with_dynamic_scaling(self):
        result, _ = self.run_config(
            "loss", kit.NONFINITE,
            precision={"fp16_type": "float16", "loss_scaling_factor": "dynamic",
                       "max_gradient_norm": None},
            schedulers=[{"ConstantLR": {"learning_rate": 1e6}}])
        self.assertRegex(result.err, r"the loss of step \d+ is (nan|inf)")
        # It says how to go on behind the samples.
        match = re.search(r"(\d+) samples had been streamed, (\d+) of them since the newest "
                          r"checkpoint.*SkipSamples: {n: (\d+)}", result.err)
        self.assertEqual(match.group(2), match.group(3))
        self.assertEqual(0, int(match.group(1)) % 4)

    def test_the_checker_names_operation_and_tensor(self):
        for callback in ({"NaNChecker": {}}, {"GlobalFlags": {"cairn.check_finite": True}}):
            result, _ = self.run_config(
                "nan" + "".join(callback), kit.NONFINITE, precision={"max_gradient_norm": None},
                schedulers=[{"ConstantLR": {"learning_rate": 1e6}}], callbacks=[callback])
            self.assertRegex(result.err,
                             r"(forward|backward) of [a-z ]+ '\S+': .* is the first tensor that "
                             r"is not finite, (nan|-?inf) at \[\d+\]\[\d+\]")

    def test_the_checker_can_end_a_run_that_is_sound(self):
        result, _ = self.run_config("sound", callbacks=[{"NaNChecker": {"num_steps": 3}}])
        self.assertEqual(("3", "nan_checker"), (result.result["step"], result.result["reason"]))

    def test_skipped_samples_are_left_out_once(self):
        _, whole = self.run_config("skip", loop={"max_steps": 6, "eval_frequency": 0},
                                   callbacks=[{"SkipSamples": {"n": 8}}])
        values = kit.values(os.path.join(whole, "checkpoint_6.mdl"))
        self.assertEqual("32", values["dataloader"]["samples_streamed"])
        result, _ = self.run_config("skip", loop={"max_steps": 8, "eval_frequency": 0},
                                    callbacks=[{"SkipSamples": {"n": 8}}])
        self.assertNotIn("left out", result.err)
        _, plain = self.run_config("plain", loop={"max_steps": 8, "eval_frequency": 0})
        tail = kit.values(os.path.join(whole, "checkpoint_8.mdl"))
        head = kit.values(os.path.join(plain, "checkpoint_8.mdl"))
        self.assertEqual("40", tail["dataloader"]["samples_streamed"])
        self.assertEqual("32", head["dataloader"]["samples_streamed"])

    def test_contradictions_are_refused_before_anything_is_made(self):
        for number, (init, says) in enumerate((
                ({"precision": {"max_gradient_norm": 1.0, "max_gradient_value": 1.0}},
                 "max_gradient_norm or max_gradient_value, not by both"),
                ({"precision": {"loss_scaling_factor": "automatic"}},
                 "'automatic'; it must be a number above 0, or dynamic"),
                ({"precision": {"fp16_type": "cbfloat16"}},
                 "cbfloat16 needs loss_scaling_factor: dynamic"),
                ({"callbacks": [{"EMA": {"decay": 1.0}}]}, "decay is 1"),
                ({"callbacks": [{"ScopedTrainFlags": {"cairn.check_finte": True}}]},
                 "did you mean 'cairn.check_finite'"),
                ({"callbacks": [{"NormTensorListener": {}}]}, "tensor_names"))):
            name = "wrong%d" % number
            result, run = self.run_config(name, kit.USAGE, **init)
            self.assertIn(says, result.err)
            self.assertEqual([], kit.checkpoints(run) if os.path.exists(run) else [])

    def test_hardware_flags_and_16_bits_are_told_once(self):
        result, _ = self.run_config(
            "notices", loop={"max_steps": 1, "eval_frequency": 0},
            precision={"enabled": True, "fp16_type": "bfloat16", "loss_scaling_factor": "dynamic",
                       "precision_opt_level": 1, "min_loss_scale": 2.0},
            callbacks=[{"GlobalFlags": {"csx.performance.micro_batch_size": "auto"}}])
        self.assertEqual(1, result.err.count("csx.performance.micro_batch_size has no effect"))
        self.assertEqual(1, result.err.count("loss_scaling_factor has no effect with fp16_type"))
        self.assertEqual(1, result.err.count("precision_opt_level has no effect"))
        self.assertEqual(1, result.err.count("min_loss_scale has no effect without a dynamic"))
        self.assertNotIn("computes in float32", result.err)
        self.assertLessEqual(result.err.count("bfloat16 is emulated"), 1)
        self.assertNotIn("WRONG", result.err)

    def test_other_16_bit_types_are_computed_in_float32_and_say_so(self):
        for fp16_type in ("float16", "cbfloat16"):
            result, _ = self.run_config(
                fp16_type, loop={"max_steps": 1, "eval_frequency": 0},
                precision={"enabled": True, "fp16_type": fp16_type,
                           "loss_scaling_factor": "dynamic"})
            self.assertEqual(1, result.err.count("computes in float32, not in " + fp16_type))


# ---- Precision without a scaler changes nothing --------------------------------------------

class PrecisionTest(Case):
    def losses(self, name, **precision):
        _, run = self.run_config(name, loop={"max_steps": 20, "eval_frequency": 0},
                                 precision=precision)
        return kit.read_metrics(run).bits()

    def test_a_power_of_two_changes_no_bit(self):
        plain = self.losses("plain")
        self.assertEqual(plain, self.losses("static", fp16_type="float16",
                                            loss_scaling_factor=1024.0))
        self.assertEqual(plain, self.losses("dynamic", fp16_type="float16",
                                            loss_scaling_factor="dynamic"))

    def test_bfloat16_acts_if_it_is_enabled_and_only_then(self):
        plain = self.losses("plain")
        self.assertEqual(plain, self.losses("disabled", fp16_type="bfloat16"))
        half = self.losses("half", enabled=True, fp16_type="bfloat16")
        self.assertEqual(half, self.losses("again", enabled=True))
        self.assertNotEqual(plain, half)

    def test_a_validation_of_its_own_computes_as_the_one_of_the_run(self):
        _, run = self.run_config("half", loop={"max_steps": 4, "eval_frequency": 4},
                                 precision={"enabled": True})
        in_run = float(kit.read_metrics(run).validations[4]["val_loss"])
        for enabled in (True, False):
            result = kit.run(
                ["validate", self.path("half.yaml"), "-o", run, "--checkpoint_path",
                 os.path.join(run, "checkpoint_4.mdl"), "--set",
                 "trainer.init.precision.enabled=%s" % str(enabled).lower()])
            alone = float(re.search(r"val_loss=(\S+)", result.out).group(1))
            self.assertEqual(enabled, alone == in_run)

    def test_clipping_by_value_acts(self):
        plain = self.losses("plain", max_gradient_norm=None)
        self.assertNotEqual(plain, self.losses("clipped", max_gradient_norm=None,
                                               max_gradient_value=1e-3))
        self.assertEqual(plain, self.losses("loose", max_gradient_norm=None,
                                            max_gradient_value=1e3))

    def test_the_loss_scale_is_logged_if_it_is_dynamic_or_on_request(self):
        for precision, is_logged in (({}, False), ({"log_loss_scale": True}, True),
                                     ({"fp16_type": "float16", "loss_scaling_factor": "dynamic"},
                                      True),
                                     ({"fp16_type": "float16", "loss_scaling_factor": "dynamic",
                                       "log_loss_scale": False}, False)):
            name = "log%d" % len(os.listdir(self.dir))
            _, run = self.run_config(name, loop={"max_steps": 2, "eval_frequency": 0},
                                     precision=precision)
            self.assertEqual(is_logged, "loss_scale" in kit.read_metrics(run).steps[2], precision)


if __name__ == "__main__":
    kit.unittest.main()
