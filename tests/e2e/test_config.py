"""What is made from the option tables: the schema, the completions, the manual pages."""
import json
import os
import re
import shutil
import subprocess
import sys
import unittest

import fastjsonschema
import yaml

import kit

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
GENERATE = os.path.join(ROOT, "tools", "generate.py")


class FloatLoader(yaml.SafeLoader):
    """As editors read YAML: 1e-4 is a number."""


FloatLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789"))


def load(path):
    with open(path, encoding="utf-8") as file:
        return yaml.load(file, FloatLoader)


class SchemaTest(kit.Case):
    def setUp(self):
        super().setUp()
        self.schema = kit.run(["config", "schema"]).json()
        self.validate = fastjsonschema.compile(self.schema, use_default=False)

    def refuse(self, config):
        with self.assertRaises(fastjsonschema.JsonSchemaException):
            self.validate(config)

    def test_it_takes_our_configurations(self):
        self.validate(kit.tiny_config(self.text))
        for name in ("demo.yaml", "demo_finetune.yaml"):
            self.validate(load(os.path.join(ROOT, "configs", name)))

    def test_it_takes_class_names_in_any_case_and_bare(self):
        config = kit.tiny_config(self.text, callbacks=["checkloss", {"KEEPNCHECKPOINTS": {"n": 3}}],
                                 loggers=[{"TensorBoardLogger": None}])
        config["trainer"]["init"]["optimizer"] = {"adamw": {"weight_decay": 0.1}}
        self.validate(config)
        self.fit(self.write_config(config), self.path("run"), "--set",
                 "trainer.init.loop.max_steps=1")

    def test_it_refuses_what_the_program_refuses(self):
        for changes in ({"loop": {"max_step": 5}}, {"loop": {"max_steps": -1}},
                        {"loop": {"max_steps": "many"}}, {"optimizer": {"AdamV": {}}},
                        {"optimizer": {"AdamW": {"weigth_decay": 0.1}}}, {"sparsity": 0.5},
                        {"model": {"position_embedding_type": "alibi"}}, {"modeldir": "x"},
                        {"callbacks": [{"SaveCheckpointState": {"checkpoint_states": "model"}}]},
                        {"checkpoint": {"when_busy": "never"}}):
            with self.subTest(changes):
                config = kit.tiny_config(self.text, **changes)
                if "optimizer" in changes:
                    config["trainer"]["init"]["optimizer"] = changes["optimizer"]
                self.refuse(config)
                self.fit(self.write_config(config), self.path("run"), expect=kit.USAGE)

    def test_every_example_of_the_reference_is_taken(self):
        folder = os.path.join(ROOT, "docs", "reference")
        count = 0
        for name in sorted(os.listdir(folder)):
            if not name.endswith(".md"):
                continue
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                blocks = re.findall(r"```yaml\n(trainer:.*?)```", file.read(), re.DOTALL)
            for block in blocks:
                with self.subTest(name):
                    self.validate(yaml.load(block, FloatLoader))
                    count += 1
        self.assertGreater(count, 10)


class GeneratedTest(kit.Case):
    def generate(self, *more):
        return subprocess.run([sys.executable, GENERATE, kit.BIN, "--root", self.dir, *more],
                              stdout=subprocess.PIPE, check=False, text=True)

    def test_a_change_is_noticed(self):
        os.remove(self.text)
        self.assertEqual(0, self.generate().returncode)
        self.assertEqual(0, self.generate("--check").returncode)
        page = self.path("docs", "reference", "loop.md")
        with open(page, encoding="utf-8") as file:
            text = file.read()
        with open(page, "w", encoding="utf-8") as file:
            file.write(text.replace("`max_steps`", "`max_step`"))
        result = self.generate("--check")
        self.assertEqual(1, result.returncode)
        self.assertIn("+| `max_steps`", result.stdout)
        self.assertEqual(0, self.generate().returncode)
        with open(self.path("share", "man", "cairn-old.1"), "w", encoding="utf-8"):
            pass
        self.assertIn("cairn-old.1: nothing makes it", self.generate("--check").stdout)


class CompletionTest(kit.Case):
    def complete(self, *words):
        script = ('source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _cairn; '
                  'printf "%s\\n" "${COMPREPLY[@]}"')
        path = os.path.join(ROOT, "share", "completions", "cairn.bash")
        result = subprocess.run([shutil.which("bash"), "-c", script, "bash", path, "cairn", *words],
                                cwd=self.dir, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                check=True, text=True)
        self.assertEqual("", result.stderr)
        return sorted(result.stdout.split())

    def test_commands_options_and_values(self):
        os.mkdir(self.path("runs"))
        self.write_config({}, "params.yaml")
        for words, expected in (
                (("fi",), ["fit"]),
                (("checkpoint", "p"), ["pin", "prune"]),
                (("fit", "--res"), ["--resume"]),
                (("fit", "params.yaml", "--logging", "W"), ["WARNING"]),
                (("fit", "pa"), ["params.yaml"]),
                (("fit", "-o", ""), ["runs"]),
                (("validate", "--checkpoint_path", "te"), ["text.txt"]),
                (("help", "keep"), ["keep_n_checkpoints"]),
                (("config", "sch"), ["schema"])):
            with self.subTest(words):
                self.assertEqual(expected, self.complete(*words))

    def test_every_option_that_acts_is_offered(self):
        described = json.loads(kit.run(["--help=json"]).out)
        offered = self.complete("fit", "--")
        for option in described["commands"][0]["help"]["options"]:
            self.assertEqual(option["kind"] not in ("no effect", "refused"),
                             "--" + option["name"] in offered, option)


if __name__ == "__main__":
    unittest.main()
