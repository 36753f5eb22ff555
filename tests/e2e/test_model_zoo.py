"""Configurations with the keys of the Model Zoo's own: read as they are, trained when they are made
small enough, refused by name where a feature is lacking; and its older layout, converted."""
import glob
import json
import os
import re
import unittest

import yaml

import kit

HERE = os.path.dirname(os.path.abspath(__file__))
REFUSED = {"gpt3_static_sparsity.yaml": (11, "sparsity"),
           "gpt3_dynamic_sparsity.yaml": (8, "sparsity")}

# A model that trains a step in a millisecond, whatever the file says of its size.
SMALL = {"vocab_size": 256, "hidden_size": 32, "num_hidden_layers": 1, "num_heads": 4,
         "filter_size": 64, "max_position_embeddings": 16}
SMALL_IF_GIVEN = {"rotary_dim": 8, "extra_attention_params": {"num_kv_groups": 2},
                  "attention_sliding_window_length": 4, "attention_sink_tokens": 2}


def configurations():
    return sorted(glob.glob(os.path.join(HERE, "model_zoo", "*.yaml")))


def load(path):
    with open(path, encoding="utf-8") as file:
        return yaml.safe_load(file)


def first_trainer(config):
    trainer = config["trainer"]
    return trainer[0]["trainer"] if isinstance(trainer, list) else trainer


def problems(result):
    """(line, text) of each error about a place in the file."""
    return [(int(line), text) for line, text in
            re.findall(r"\.yaml:(\d+):\d+: (.*)", "\n".join(
                line for line in result.err.splitlines()
                if " ERROR: " in line or line.startswith("cairn: ")))]


class ConfigurationTest(kit.Case):
    def small_args(self, path):
        """--set for a run of two steps on a small text; the rest of the file stays."""
        trainer = first_trainer(load(path))
        model, fit = trainer["init"]["model"], trainer["fit"]
        small = dict(SMALL, **{key: value for key, value in SMALL_IF_GIVEN.items()
                               if model.get(key)})
        data = {"data_processor": "TextDataProcessor", "data_dir": self.text,
                "max_sequence_length": 16, "batch_size": 2}
        sets = {"init.model." + key: value for key, value in small.items()}
        sets["fit.train_dataloader"] = data
        if "val_dataloader" in fit:
            sets["fit.val_dataloader"] = data
        sets["init.loop"] = {"max_steps": 2, "eval_steps": 1, "eval_frequency": 2}
        args = []
        for key, value in sets.items():
            args += ["--set", "trainer.%s=%s" % (key, json.dumps(value))]
        return args

    def test_there_are_at_least_twelve(self):
        self.assertGreaterEqual(len(configurations()), 12)

    def test_each_trains_with_all_its_keys_once_it_is_small(self):
        for path in configurations():
            name = os.path.basename(path)
            if name in REFUSED:
                continue
            with self.subTest(name):
                done = self.fit(path, self.path(name), *self.small_args(path))
                self.assertIn(done.result["result"], ("finished", "complete"))
                self.assertEqual(2, done.step)

    def test_as_it_is_only_the_data_are_missing(self):
        for path in configurations():
            name = os.path.basename(path)
            if name in REFUSED:
                continue
            with self.subTest(name):
                done = self.fit(path, self.path(name), expect=kit.DATA)
                self.assertRegex(done.err, r"cairn: .*train_dataloader: data_dir .*: No such file")
                self.assertFalse(os.path.exists(self.path(name)))

    def test_a_check_of_all_sections_finds_nothing(self):
        for path in configurations():
            name = os.path.basename(path)
            with self.subTest(name):
                expect = kit.USAGE if name in REFUSED else kit.OK
                done = kit.run(["config", "check", "--json", path], expect)
                self.assertEqual([REFUSED[name][0]] if name in REFUSED else [],
                                 [error["line"] for error in done.json()["errors"]])

    def test_a_key_without_effect_is_told_once(self):
        path = os.path.join(HERE, "model_zoo", "llama3_long_context.yaml")
        told = self.fit(path, self.path("run"), *self.small_args(path)).err
        for key in ("correct_bias", "csx.debug.compile_crd_memory_gi",
                    "csx.debug.execute_crd_memory_gi", "backend_type"):
            self.assertEqual(1, len(re.findall(r"\b%s\b.*(no effect|on the CPU)" % re.escape(key),
                                               told)), key)
        path = os.path.join(HERE, "model_zoo", "gpt3_micro_batches.yaml")
        told = self.fit(path, self.path("run2"), *self.small_args(path)).err
        self.assertEqual(1, told.count("backend.cluster_config has no effect: it concerns"))

    def test_what_is_lacking_is_refused_at_its_line_by_name(self):
        for name, (line, feature) in REFUSED.items():
            with self.subTest(name):
                path = os.path.join(HERE, "model_zoo", name)
                done = self.fit(path, self.path(name), *self.small_args(path), expect=kit.USAGE)
                found = [(at, text) for at, text in problems(done) if "lacks" in text]
                self.assertEqual(1, len(found), done.err)
                self.assertEqual(line, found[0][0])
                self.assertIn("this version lacks " + feature, found[0][1])

    def test_lacking_parts_of_the_model_and_the_backend_are_refused_by_name(self):
        path = os.path.join(HERE, "model_zoo", "gpt2_all_model_keys.yaml")
        for key, value, words in (
                ("model.moe", {"num_experts": 8}, "mixtures of experts"),
                ("model.memory_tokens", {"memory_tokens_enabled": True}, "memory tokens"),
                ("model.final_logit_softcapping", 30.0, "soft capping of the logits"),
                ("model.rel_distance_mode", "capped", "capped or grouped relative distances"),
                ("model.cross_attention_layers", [1], "cross attention"),
                ("backend.compile_only", True, "compiling without running"),
                ("backend.enable_distributed", True, "training on several devices")):
            with self.subTest(key):
                done = self.fit(path, self.path("run"), *self.small_args(path), "--set",
                                "trainer.init.%s=%s" % (key, json.dumps(value)), expect=kit.USAGE)
                self.assertIn("trainer.init.%s: this version lacks %s" % (key, words), done.err)

    def test_a_backend_key_that_does_not_exist_is_refused(self):
        path = os.path.join(HERE, "model_zoo", "llama2.yaml")
        done = self.fit(path, self.path("run"), *self.small_args(path), "--set",
                        "trainer.init.backend.cluster_confg={}", expect=kit.USAGE)
        self.assertIn("did you mean 'cluster_config'?", done.err)

    def test_the_older_factor_of_the_logits_acts(self):
        config = kit.tiny_config(self.text, val=False, loop={"max_steps": 1},
                                 model={"output_logits_scale": 1e-9})
        self.fit(self.write_config(config), self.path("run"))
        step = kit.read_metrics(self.path("run")).steps[1]
        self.assertAlmostEqual(5.545177, float(step["loss"]), places=5)  # ln 256
        config["trainer"]["init"]["model"].update(mup_base_hidden_size=8, mup_base_filter_size=16)
        done = self.fit(self.write_config(config), self.path("both"), expect=kit.USAGE)
        self.assertIn("output_logits_scale is the older form", done.err)


class LegacyTest(kit.Case):
    FOLDER = os.path.join(HERE, "model_zoo_legacy")

    def old(self, name):
        return os.path.join(self.FOLDER, name + ".yaml")

    def convert(self, *args, expect=kit.OK):
        return kit.run(["config", "convert_legacy", *args], expect)

    def test_each_file_becomes_what_is_expected(self):
        names = [os.path.basename(path)[:-len(".expected.yaml")] for path in
                 glob.glob(os.path.join(self.FOLDER, "*.expected.yaml"))]
        self.assertGreaterEqual(len(names), 5)
        for name in names:
            with self.subTest(name):
                done = self.convert(self.old(name))
                self.assertEqual(load(self.old(name + ".expected")), yaml.safe_load(done.out))
                self.assertNotIn("left out", done.err)

    def test_every_key_of_the_old_layout_is_somewhere_in_the_new_one(self):
        """No text or number is lost, but `mode`; some became keys."""
        def leaves(node):
            if isinstance(node, dict):
                for value in node.values():
                    yield from leaves(value)
            elif isinstance(node, list):
                for value in node:
                    yield from leaves(value)
            elif not isinstance(node, bool) and node is not None:
                yield node
        old = load(self.old("every_key"))
        del old["runconfig"]["mode"]
        new = yaml.safe_load(self.convert(self.old("every_key")).out)
        keys = ["NormTensorListener", "SummaryTensorListener", *new["trainer"]["init"]["optimizer"]]
        kept = keys + list(leaves(new))
        for value in leaves(old):
            self.assertIn(value, kept)

    def test_the_new_file_trains(self):
        new = self.path("new.yaml")
        done = self.convert(self.old("gpt2_small"), "-o", new)
        self.assertEqual(new + "\n", done.out)
        self.assertIn("'name: gpt2'", done.err)
        args = ConfigurationTest.small_args(self, new)
        self.assertEqual(2, self.fit(new, self.path("run"), *args).step)

    def test_the_name_of_the_model_can_be_given(self):
        done = self.convert(self.old("gpt2_small"), "--model", "gpt3")
        self.assertEqual("gpt3", yaml.safe_load(done.out)["trainer"]["init"]["model"]["name"])
        self.assertEqual("", done.err)
        done = self.convert(self.old("chained_and_scaled"), "--model", "gpt3")
        self.assertEqual("llama", yaml.safe_load(done.out)["trainer"]["init"]["model"]["name"])

    def test_an_existing_file_is_left_and_a_folder_gets_a_name(self):
        new = self.write_config("mine", "new.yaml")
        done = self.convert(self.old("gpt2_small"), "-o", new, expect=kit.IO)
        self.assertIn("exists already", done.err)
        with open(new, encoding="utf-8") as file:
            self.assertEqual("mine", file.read())
        self.convert(self.old("gpt2_small"), "-o", self.dir)
        self.assertIn("trainer", load(self.path("gpt2_small_v2.yaml")))

    def test_what_has_no_place_is_told_and_left_out(self):
        old = self.write_config({"model": {"name": "gpt2"}, "runconfig": {"max_stepz": 3}, "x": 1})
        done = self.convert(old)
        self.assertIn("runconfig.max_stepz has no place", done.err)
        self.assertIn("x has no place", done.err)
        self.assertNotIn("max_stepz", done.out)

    def test_what_cannot_be_converted_is_refused_at_its_place(self):
        for text, words in (
                ("trainer: {init: {}}\n", "has a trainer already"),
                ("x: 1\n", "no file of the Model Zoo's old layout"),
                ("", "no file of the Model Zoo's old layout"),
                ("model: [1]\n", "yaml:1:8: model must be a map"),
                ("train_input: 3\n", "yaml:1:14: train_input must be a map"),
                ("eval_input: [[1]]\n", "yaml:1:14: eval_input must be a map"),
                ("optimizer: {lr: 1}\n", "yaml:1:12: optimizer has no optimizer_type"),
                ("optimizer: {optimizer_type: Adam, learning_rate: [{scheduler: Linaer}]}\n",
                 "there is no learning rate scheduler called 'Linaer'"),
                ("optimizer: {optimizer_type: Adam, learning_rate: {total_iters: 3}}\n",
                 "names no scheduler"),
                ("optimizer: {optimizer_type: Adam, learning_rate: [{scheduler: linear, "
                 "main_scheduler: chained}, {scheduler: linear, main_scheduler: sequential}]}\n",
                 "main_scheduler is 'sequential' here and 'chained' before"),
                ("runconfig: {experimental: {listeners: [{}]}}\n", "no listener_type")):
            with self.subTest(text):
                done = self.convert(self.write_config(text), expect=kit.USAGE)
                self.assertIn(words, done.err)
                self.assertEqual("", done.out)

    def test_fit_names_the_command(self):
        for verb in ("fit", "validate", "validate_all"):
            done = kit.run([verb, self.old("gpt2_small")], kit.USAGE)
            self.assertEqual(1, len(done.err.splitlines()))
            self.assertRegex(done.err, r"yaml:\d+:1: this file has the Model Zoo's layout of "
                             r"before the Trainer .* `cairn config convert_legacy \S+ -o NEW.yaml`")

    def test_a_runconfig_beside_a_trainer_is_refused_in_one_line(self):
        config = kit.tiny_config(self.text)
        config["runconfig"] = {"max_steps": 3}
        done = self.fit(self.write_config(config), self.path("run"), expect=kit.USAGE)
        self.assertEqual(1, len(done.err.splitlines()))
        self.assertIn("runconfig beside a trainer is not read here", done.err)


if __name__ == "__main__":
    unittest.main()
