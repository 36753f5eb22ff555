"""Lora: adapters of low rank beside a frozen model."""
import os
import unittest

import numpy
from safetensors.numpy import load_file

import kit

LINEAR = {"r": 2, "alpha": 8, "target_modules": ["TransformerDecoderLayer", "Linear"]}


class LoraTest(kit.Case):
    def setUp(self):
        super().setUp()
        self.base = self.path("base")
        done = kit.run(self.fit_args(self.config("base.yaml"), self.base))
        self.base_file = done.result["checkpoint"]

    def config(self, name, params=None, ckpt_path=None, lora=None, **init):
        """Steps 1 to 20, of adapters with @params or of the whole model."""
        callbacks = [{"LoadCheckpointStates": {"load_checkpoint_states": "model"}}]
        if params is not None:
            callbacks += [{"Lora": {"lora_params": params, **(lora or {})}},
                          {"SaveCheckpointState": {"k": 1, "checkpoint_states": "lora"}}]
        changes = {"loop": {"max_steps": 20, "eval_frequency": 10}, "callbacks": callbacks,
                   "schedulers": [{"ConstantLR": {"learning_rate": 0.02}}]}
        config = kit.tiny_config(self.text, **kit.merge(changes, init))
        if ckpt_path is not None:
            config["trainer"]["fit"]["ckpt_path"] = ckpt_path
        return self.write_config(config, name)

    def train(self, name="lora", params=LINEAR, **init):
        config = self.config(name + ".yaml", params, self.base_file, **init)
        return config, kit.run(self.fit_args(config, self.path(name)))

    def val_loss(self, config, path):
        done = kit.run(["validate", config, "-o", self.path("nothing"), "--threads", "1",
                        "--checkpoint_path", path])
        return float(dict(f.partition("=")[::2] for f in done.out.split())["val_loss"]), done.err

    def noted(self, step):
        return float(kit.read_metrics(self.path("lora")).validations[step]["val_loss"])

    def text_of(self, path, *more):
        return kit.run(["generate", "--checkpoint_path", path, "--threads", "1", "-p", "a", "-n",
                        "60", *more]).out

    def test_adapters_alone_are_trained_and_make_small_files(self):
        _, done = self.train()
        full = load_file(self.path("lora/checkpoint_20.mdl"))
        alone = load_file(self.path("lora/lora_checkpoint_20.mdl"))
        before = load_file(self.base_file)
        names = {n for n in full if not n.startswith("__pad__")}
        states = {state: {n for n in names if n.startswith(state + ".")}
                  for state in ("model", "lora", "optimizer")}
        self.assertEqual({n for n in before if n.startswith("model.")}, states["model"])
        for name in states["model"]:
            numpy.testing.assert_array_equal(before[name], full[name])
        self.assertEqual(states["lora"], {n for n in alone if not n.startswith("__pad__")})
        layer = "transformer_decoder.layers.0."
        self.assertIn("lora." + layer + "self_attn.proj_q_dense_layer.lora_A", states["lora"])
        self.assertEqual(12, len(states["lora"]))
        self.assertEqual({"optimizer." + n[5:] + m for n in states["lora"]
                          for m in (".exp_avg", ".exp_avg_sq")}, states["optimizer"])
        trained = sum(full[n].size for n in states["lora"])
        every = trained + sum(full[n].size for n in states["model"])
        self.assertIn("Lora: 6 adapters; trainable %d of %s parameters" %
                      (trained, format(every, ",")), done.err)
        self.assertLess(os.path.getsize(self.path("lora/lora_checkpoint_20.mdl")),
                        os.path.getsize(self.path("lora/checkpoint_20.mdl")) / 3)

    def test_a_start_from_a_base_says_that_adapters_are_fresh(self):
        _, done = self.train()
        self.assertRegex(done.err, "loaded model; fresh: lora, optimizer")
        self.assertIn("no adapters were loaded from " + self.base_file, done.err)

    def test_base_and_adapters_apart_are_what_they_are_together(self):
        config, _ = self.train()
        together = self.path("lora/checkpoint_20.mdl")
        alone = self.path("lora/lora_checkpoint_20.mdl")
        apart = self.config("apart.yaml", LINEAR, lora={"ckpt_path": alone})
        expected, _ = self.val_loss(config, together)
        loss, err = self.val_loss(apart, self.base_file)
        self.assertEqual(expected, loss)
        self.assertIn("Lora: adapters loaded from " + alone, err)
        base_loss, err = self.val_loss(config, self.base_file)
        self.assertIn("no adapters were loaded", err)
        self.assertEqual(base_loss, self.val_loss(self.config("b.yaml"), self.base_file)[0])
        self.assertNotEqual(expected, base_loss)
        self.assertEqual(self.noted(20), expected)

        text = self.text_of(together)
        self.assertEqual(text, self.text_of(self.base_file, "--lora_path", alone))
        self.assertNotEqual(text, self.text_of(self.base_file))

    def test_a_checkpoints_own_adapters_come_before_those_of_ckpt_path(self):
        self.train()
        config = self.config("both.yaml", LINEAR,
                             lora={"ckpt_path": self.path("lora/lora_checkpoint_20.mdl")})
        loss, err = self.val_loss(config, self.path("lora/checkpoint_10.mdl"))
        self.assertEqual(self.noted(10), loss)
        self.assertIn("has adapters of its own", err)

    def test_without_the_callback_adapters_are_left_out_aloud(self):
        self.train()
        _, err = self.val_loss(self.config("b.yaml"), self.path("lora/checkpoint_20.mdl"))
        self.assertIn("has adapters (state lora) that are left out", err)

    def test_merged_weights_give_the_same_model(self):
        config, _ = self.train()
        plain = self.config("b.yaml")
        expected, _ = self.val_loss(config, self.path("lora/checkpoint_20.mdl"))
        kit.run(["checkpoint", "convert", self.path("lora/checkpoint_20.mdl"), self.path("own"),
                 "--to", "cairn"])
        kit.run(["checkpoint", "convert", self.base_file, self.path("other"), "--to", "cairn",
                 "--lora_path", self.path("lora/lora_checkpoint_20.mdl")])
        merged = [self.path(folder, "checkpoint_0.mdl") for folder in ("own", "other")]
        self.assertEqual(kit.tensors(merged[0]), kit.tensors(merged[1]))
        self.assertEqual({"model"}, {n.partition(".")[0] for n in kit.tensors(merged[0])})
        loss, err = self.val_loss(plain, merged[0])
        self.assertAlmostEqual(expected, loss, delta=1e-6)
        self.assertNotIn("adapters", err)
        self.assertEqual(self.text_of(self.path("lora/checkpoint_20.mdl"), "-t", "0"),
                         self.text_of(merged[0], "-t", "0"))
        kit.run(["checkpoint", "convert", self.path("lora/checkpoint_20.mdl"), self.path("hf"),
                 "--to", "hf"])
        kit.run(["checkpoint", "convert", merged[0], self.path("hf2"), "--to", "hf"])
        self.assertEqual(kit.tensors(self.path("hf/model.safetensors")),
                         kit.tensors(self.path("hf2/model.safetensors")))

    def test_averages_are_of_what_is_trained(self):
        self.train(callbacks=[{"LoadCheckpointStates": {"load_checkpoint_states": "model"}},
                              {"Lora": {"lora_params": LINEAR}}, {"EMA": {"decay": 0.5}}])
        tensors = kit.tensors(self.path("lora/checkpoint_20.mdl"))
        self.assertEqual({n[5:] for n in tensors if n.startswith("lora.")},
                         {n[4:] for n in tensors if n.startswith("ema.")})

    def test_in_bfloat16_it_is_trained_and_validated_with_averages_too(self):
        callbacks = [{"LoadCheckpointStates": {"load_checkpoint_states": "model"}},
                     {"Lora": {"lora_params": LINEAR}}, {"EMA": {"decay": 0.5}}]
        self.train(callbacks=callbacks)
        self.train("half", callbacks=callbacks, precision={"enabled": True})
        single = kit.read_metrics(self.path("lora")).validations
        half = kit.read_metrics(self.path("half")).validations
        self.assertEqual(sorted(single), sorted(half))
        for step, noted in half.items():
            self.assertNotEqual(single[step]["val_loss"], noted["val_loss"])
            self.assertAlmostEqual(1.0, float(noted["val_loss"]) / float(single[step]["val_loss"]),
                                   delta=0.01)

    def test_what_cannot_be_is_refused(self):
        for params, lora, words in (
                ({"r": 0}, {}, "r is 0"),
                ({"r": 2, "target_modules": ["proj_q"]}, {}, "lora_params 1 means no layer"),
                ({"r": 2, "fan_in_fan_out": True}, {}, r"weights stored as \[in, out\]"),
                ({"rank": 2}, {}, "rank"),
                ([], {}, "lora_params is empty"),
                (LINEAR, {"ckpt_path": self.base_file}, "has no state 'lora'"),
                ({**LINEAR, "r": 4}, {"ckpt_path": self.path("lora/lora_checkpoint_20.mdl")},
                 "lora_A' is F32")):
            if "r" in params and params["r"] == 4:
                self.train()
            config = self.config("bad.yaml", params, self.base_file, lora)
            done = kit.run(self.fit_args(config, self.path("bad")), expect=None)
            self.assertIn(done.code, (kit.USAGE, kit.CHECKPOINT), done.err)
            self.assertRegex(done.err, words)
        config = self.config("bad.yaml", LINEAR, None,
                             {"ckpt_path": self.path("lora/lora_checkpoint_20.mdl")})
        done = kit.run(self.fit_args(config, self.path("bad")), expect=kit.USAGE)
        self.assertIn("give fit.ckpt_path", done.err)

    def test_merge_weights_is_accepted_with_a_notice(self):
        _, done = self.train(params={**LINEAR, "merge_weights": True})
        self.assertIn("merge_weights", done.err)


if __name__ == "__main__":
    unittest.main()
