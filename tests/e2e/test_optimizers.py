"""Every optimizer and parameter groups from a YAML; an interrupted run equals the uninterrupted."""
import os
import re
import unittest

import numpy

import kit

STEPS = 8

# Options that give an optimizer all the state that it can have.
OPTIMIZERS = {
    "AdamW": {"weight_decay": 0.1, "amsgrad": True},
    "Adam": {"weight_decay": 0.1},
    "SGD": {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
    "Adafactor": {"lr": 0.1, "beta1": 0.9},
    "Lion": {"weight_decay": 0.1},
    "Lamb": {"weight_decay": 0.1},
    "Muon": {},
    "RMSprop": {"momentum": 0.5, "centered": True},
    "NAdam": {},
    "RAdam": {"betas": [0.9, 0.9]},
    "Adagrad": {"lr_decay": 0.1},
    "Adamax": {},
    "Adadelta": {},
    "ASGD": {"t0": 2},
    "Rprop": {},
}
RATE = [{"LinearLR": {"initial_learning_rate": 0.02, "end_learning_rate": 0.001, "total_iters": 9}}]


def largest_difference(a, b):
    return float(abs(numpy.frombuffer(a, "<f4") - numpy.frombuffer(b, "<f4")).max())


class OptimizersTest(kit.Case):
    def setUp(self):
        super().setUp()
        self.text = kit.corpus(self.path("small.txt"), size=2400)

    def config(self, optimizer=None, **init):
        changes = {"loop": {"max_steps": STEPS}, "checkpoint": {"steps": 4}, "schedulers": RATE}
        config = kit.tiny_config(self.text, val=False, **kit.merge(changes, init))
        if optimizer is not None:
            config["trainer"]["init"]["optimizer"] = optimizer
        return config

    def fit(self, config, folder, *more):
        name = self.write_config(config, folder + ".yaml")
        model_dir = self.path(folder)
        kit.run(self.fit_args(name, model_dir, *more))
        return model_dir

    def test_each_goes_on_from_a_checkpoint_with_the_same_bits(self):
        for name, options in OPTIMIZERS.items():
            with self.subTest(name):
                config = self.config(optimizer={name: options})
                whole = self.fit(config, name)
                stopped = kit.merge(config, {"trainer": {"init": {"loop": {"max_steps": 4}}}})
                half = self.fit(stopped, name + "_half")
                self.fit(config, name + "_half", "--resume")
                self.assertEqual(kit.read_metrics(whole).bits(), kit.read_metrics(half).bits())
                last = "checkpoint_%d.mdl" % STEPS
                self.assertEqual(kit.tensors(os.path.join(whole, last)),
                                 kit.tensors(os.path.join(half, last)))
                first = kit.tensors(os.path.join(whole, "checkpoint_4.mdl"))
                self.assertNotEqual(first, kit.tensors(os.path.join(whole, last)))

    def test_groups__have_rates_of_their_own(self):
        """With the rate of all but the tagged parameters at 0 only those change."""
        config = self.config(
            checkpoint={"save_initial_checkpoint": True},
            optimizer={"AdamW": {"weight_decay": 0.1,
                                 "params": [{"params": "*ffn*weight", "tag": "ffn"}]}},
            schedulers=[{"ConstantLR": {"learning_rate": 0.01, "param_group_tags": "ffn"}},
                        {"ConstantLR": {"learning_rate": 0.0, "param_group_tags": [None]}},
                        {"CosineDecayWD": {"initial_val": 0.1, "end_val": 0.0, "total_iters": 8}}])
        folder = self.fit(config, "groups")
        before = kit.tensors(os.path.join(folder, "checkpoint_0.mdl"))
        after = kit.tensors(os.path.join(folder, "checkpoint_%d.mdl" % STEPS))
        changed = {name for name in before if name.startswith("model.") and
                   before[name] != after[name]}
        self.assertEqual({name for name in before if name.startswith("model.") and
                          "ffn" in name and name.endswith("weight")}, changed)
        self.assertEqual(2, len(changed))

    def test_globs_that_match_nothing__are_refused_before_anything_is_written(self):
        config = self.config(optimizer={"AdamW": {"params": [{"params": "*nothing", "tag": "a"}]}})
        name = self.write_config(config)
        done = kit.run(["fit", name, "-o", self.path("none")], kit.USAGE)
        self.assertRegex(done.err, r"no parameter matches '\*nothing' of optimizer\.params")
        self.assertFalse(os.path.exists(self.path("none")))

    def test_mup__divides_the_rates_of_the_matrices_of_the_decoder_by_the_width(self):
        """hidden_size 16 over 4 and filter_size 32 over 4 make factors of 1/4 and 1/8."""
        init = {"model": {"mup_base_hidden_size": 4, "mup_base_filter_size": 4,
                          "nonlinearity": "swiglu", "initializer_range": 0.5},
                "checkpoint": {"steps": 1, "save_initial_checkpoint": True},
                "loop": {"max_steps": 1}, "precision": None,
                "schedulers": [{"ConstantLR": {"learning_rate": 0.5}}]}
        ours = self.config(optimizer={"SGD": {"lr": 1.0}}, **init)
        undone = dict.fromkeys(("decoder_attention", "decoder_input_ffn", "decoder_output_ffn"), 1)
        plain = self.config(optimizer={"SGD": {"lr": 1.0, "adjust_learning_rate": undone}}, **init)
        before, after = (kit.tensors(os.path.join(self.fit(ours, "mup"), "checkpoint_%d.mdl" % i))
                         for i in (0, 1))
        other = kit.tensors(os.path.join(self.fit(plain, "plain"), "checkpoint_1.mdl"))
        factors = set()
        for name in [name for name in before if name.startswith("model.")]:
            start, end, full = (numpy.frombuffer(tensors[name], "<f4").astype("f8")
                                for tensors in (before, after, other))
            factor = (0.125 if "ffn.ffn.1" in name else 0.25) if re.search(
                r"decoder\.layers.*(attn|ffn).*weight$", name) else 1.0
            factors.add(factor)
            numpy.testing.assert_allclose(end - start, factor * (full - start), rtol=1e-3,
                                          atol=2e-7, err_msg=name)
            if factor < 1.0:
                self.assertGreater(abs(full - start).max(), 1e-5, name)
        self.assertEqual({1.0, 0.25, 0.125}, factors)
        rates = kit.read_metrics(self.path("mup")).steps[1]
        self.assertEqual([0.5, 0.125, 0.0625, 0.5],
                         [float(rates["lr/%d" % group]) for group in range(4)])

    def test_globs_that_match_nothing__are_named_with_their_place(self):
        for options, globs in (({"params": [{"params": "*bias", "tag": "b"},
                                            {"params": ["*nothing", "*none"], "tag": "a"}]},
                                "*nothing"),
                               ({"adjust_learning_rate": {"*no_such": 0.5}}, "*no_such")):
            path = self.write_config(self.config(optimizer={"AdamW": options}))
            done = kit.run(["fit", path, "-o", self.path("none")], kit.USAGE)
            match = re.search(r"(\S+params\.yaml):(\d+):(\d+): no parameter matches '(\S+)'",
                              done.err)
            self.assertEqual((path, globs), (match.group(1), match.group(4)), done.err)
            with open(path, encoding="utf-8") as file:
                line = file.read().splitlines()[int(match.group(2)) - 1]
            self.assertRegex(line[int(match.group(3)) - 1:], r"^(\[|\"\*no_such)")

    def test_clipping_by_value_and_by_norm__is_refused_with_its_place(self):
        config = self.config(precision={"max_gradient_norm": 1.0, "max_gradient_value": 0.5})
        done = kit.run(["fit", self.write_config(config), "-o", self.path("x")], kit.USAGE)
        self.assertRegex(done.err, r":\d+:\d+: trainer\.init\.precision: .*max_gradient_value")

    def test_clipping_by_value__bounds_what_sgd_does(self):
        config = self.config(checkpoint={"save_initial_checkpoint": True},
                             precision={"max_gradient_norm": None, "max_gradient_value": 1e-4},
                             optimizer={"SGD": {"lr": 1.0}}, schedulers=None)
        folder = self.fit(config, "clipped")
        losses = kit.read_metrics(folder)
        self.assertEqual(STEPS, max(losses.steps))
        before = kit.tensors(os.path.join(folder, "checkpoint_0.mdl"))
        after = kit.tensors(os.path.join(folder, "checkpoint_%d.mdl" % STEPS))
        most = max(largest_difference(before[name], after[name]) for name in before
                   if name.startswith("model."))
        self.assertGreater(most, 0.0)
        self.assertLessEqual(most, STEPS * 1e-4 * 1.01)


if __name__ == "__main__":
    unittest.main()
