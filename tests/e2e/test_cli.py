"""Every command, as `cairn --help=json` lists them: its help, its example, its mistakes."""
import re
import shlex
import unittest

import kit

LINES_MAX, COLUMNS_MAX = 40, 100


def walk(described, path=()):
    """(path, command) of each command, groups left out."""
    for command in described["commands"]:
        inner = path + (command["name"],)
        if "commands" in command["help"]:
            yield from walk(command["help"], inner)
        else:
            yield inner, command["help"]


def groups(described, path=()):
    """(path, names of its commands) of the program and of each group."""
    yield path, [command["name"] for command in described["commands"]]
    for command in described["commands"]:
        if "commands" in command["help"]:
            yield from groups(command["help"], path + (command["name"],))


class CommandLineTest(kit.Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.described = kit.run(["--help=json"]).json()
        cls.commands = list(walk(cls.described))

    def refused(self, args, *patterns):
        done = kit.run(args, expect=kit.USAGE)
        for pattern in patterns:
            self.assertRegex(done.err, pattern)
        return done

    def options(self, *kinds):
        for path, command in self.commands:
            for option in command["options"]:
                if option["kind"] in kinds:
                    yield path, option

    def test_all_commands_are_walked(self):
        names = {" ".join(path) for path, _ in self.commands}
        self.assertLessEqual({"fit", "validate", "validate_all", "config schema", "generate",
                              "help", "checkpoint list", "checkpoint prune"}, names)

    def test_help_fits_a_screen_and_exits_0(self):
        for path, _ in self.commands + [(path, None) for path, _ in groups(self.described)]:
            with self.subTest(path):
                done = kit.run([*path, "--help"])
                lines = done.out.splitlines()
                self.assertEqual("", done.err)
                self.assertLessEqual(len(lines), LINES_MAX)
                self.assertLessEqual(max(map(len, lines)), COLUMNS_MAX)
                self.assertTrue(lines[0].startswith("usage: " + " ".join(("cairn",) + path)))
                self.assertRegex(lines[-1], "^example: " + " ".join(("cairn",) + path))
                self.assertEqual(done.out, kit.run([*path, "-h"]).out)

    def test_help_comes_also_behind_other_arguments(self):
        for path, command in self.commands:
            with self.subTest(path):
                args = [*path] + ["x"] * command["positional_max"]
                self.assertIn("usage: ", kit.run([*args[:8], "--help"]).out)

    def test_help_names_every_option_that_acts(self):
        for path, option in self.options("flag", "text", "texts", "count", "number"):
            with self.subTest(path=path, option=option["name"]):
                self.assertRegex(kit.run([*path, "--help"]).out,
                                 r"(?m)^  (-\w, |    )--%s( |$)" % option["name"])

    def test_examples_use_options_that_there_are(self):
        for path, command in self.commands:
            names = {option["name"] for option in command["options"]}
            for word in shlex.split(command["example"]):
                if word.startswith("--"):
                    with self.subTest(path=path, word=word):
                        self.assertIn(word[2:].split("=")[0].replace("-", "_"), names)

    def test_a_misspelt_option_is_answered_with_the_nearest(self):
        for path, command in self.commands:
            for option in command["options"]:
                name = option["name"]
                if len(name) < 6:  # Short ones are near to several.
                    continue
                for wrong in (name + name[-1], name[:2] + name[3:]):
                    with self.subTest(path=path, wrong=wrong):
                        self.refused([*path, "--" + wrong],
                                     r"unknown option '--%s'; did you mean '--%s'\?"
                                     % (wrong, name), "usage: cairn " + " ".join(path))

    def test_an_option_that_is_like_none_is_refused_with_the_usage(self):
        for path, _ in self.commands:
            with self.subTest(path):
                done = self.refused([*path, "--xyzzy_plugh"], "unknown option '--xyzzy_plugh'",
                                    "usage: cairn " + " ".join(path))
                self.assertNotIn("did you mean", done.err)

    def test_a_misspelt_command_is_answered_with_the_nearest(self):
        for path, names in groups(self.described):
            for name in names:
                with self.subTest(path=path, name=name):
                    self.refused([*path, name + "x"], r"did you mean '%s'\?" % name)
            self.refused([*path, "xyzzy_plugh"], "there is no command '.*xyzzy_plugh'")

    def test_a_group_alone_and_the_program_alone_list_their_commands(self):
        for path, names in groups(self.described):
            with self.subTest(path):
                done = self.refused([*path], "usage: ")
                for name in names:
                    self.assertRegex(done.err, r"(?m)^  %s\b" % name)

    def test_a_misspelt_section_is_answered_with_the_nearest(self):
        listed = re.findall(r"(?m)^  (\S+) ", kit.run(["help"]).out)
        self.assertGreater(len(listed), 20)
        for name in listed:
            if len(name) < 6:
                continue
            with self.subTest(name):
                self.refused(["help", name + name[-1]], r"did you mean '%s'\?" % re.escape(name))

    def test_an_option_without_its_value_is_refused(self):
        for path, option in self.options("text", "texts", "count", "number"):
            with self.subTest(path=path, option=option["name"]):
                self.refused([*path, "--" + option["name"]], "--%s needs a value" % option["name"])

    def test_a_flag_takes_no_value(self):
        for path, option in self.options("flag"):
            with self.subTest(path=path, option=option["name"]):
                self.refused([*path, "--%s=yes" % option["name"]],
                             "--%s takes no value" % option["name"])

    def test_a_number_is_a_number(self):
        for path, option in self.options("count", "number"):
            for value in ("x", "1x", ""):
                with self.subTest(path=path, option=option["name"], value=value):
                    self.refused([*path, "--%s=%s" % (option["name"], value)],
                                 "--%s: '%s' is no" % (option["name"], value))

    def test_too_few_and_too_many_arguments_are_refused(self):
        for path, command in self.commands:
            with self.subTest(path):
                usage = "usage: cairn " + " ".join(path)
                if command["positional_max"] < 8:
                    self.refused([*path] + ["x"] * (command["positional_max"] + 1),
                                 "unexpected argument 'x'", usage)
                if not re.search(r"\[SECTION\]", command["usage"]) and command["positional_max"]:
                    self.refused([*path], "an argument is missing", usage,
                                 "example: cairn " + " ".join(path))


class CszooTest(kit.Case):
    """What is typed by habit after `cszoo`: it acts, is noticed once, or is told the right way."""
    VERBS = ("fit", "validate", "validate_all")
    CLUSTER = {"num_csx": "4", "job_labels": "a=b c=d", "job_priority": "p1",
               "mount_dirs": "/a /b", "python_paths": "/a /b", "credentials_path": "/c",
               "mgmt_address": "host:1", "mgmt_namespace": "n", "debug_args": "a=1",
               "debug_args_path": "/d", "ini": "a=1 b=2"}
    REFUSED = {"compile_only": "fit PARAMS.yaml --dry_run",
               "max_steps": "--set trainer.init.loop.max_steps=VALUE",
               "num_steps": "--set trainer.init.loop.num_steps=VALUE",
               "num_epochs": "--set trainer.init.loop.num_epochs=VALUE",
               "eval_steps": "--set trainer.init.loop.eval_steps=VALUE",
               "eval_frequency": "--set trainer.init.loop.eval_frequency=VALUE",
               "checkpoint_steps": "--set trainer.init.checkpoint.steps=VALUE",
               "seed": "--set trainer.init.seed=VALUE", "params": "cairn fit PARAMS.yaml",
               "mode": "fit, validate or validate_all",
               "disable_strict_checkpoint_loading":
                   "--set trainer.init.checkpoint.disable_strict_checkpoint_loading=true"}

    def test_flags_of_clusters_get_one_notice_each(self):
        path = self.write_config(kit.tiny_config(self.text, loop={"max_steps": 1}))
        run = self.path("run")
        self.fit(path, run)
        flags = [word for name, values in self.CLUSTER.items()
                 for word in ["--" + name] + values.split()]
        for verb in self.VERBS:
            with self.subTest(verb):
                done = kit.run([verb, *flags, path, "-o", run, "--threads", "1"])
                for name in self.CLUSTER:
                    self.assertEqual(1, done.err.count("--%s has no effect" % name), name)

    def test_flags_that_are_refused_name_the_right_way_in_a_line(self):
        for verb in self.VERBS:
            for name, way in self.REFUSED.items():
                with self.subTest(verb=verb, name=name):
                    done = kit.run([verb, "params.yaml", "--" + name, "1"], expect=kit.USAGE)
                    self.assertIn(way, done.err)
                    self.assertTrue(done.err.startswith("cairn: --%s: " % name))
                    self.assertEqual(1, len(done.err.splitlines()))
        for verb in self.VERBS[1:]:
            self.assertIn("fit PARAMS.yaml --dry_run",
                          kit.run([verb, "p.yaml", "--validate_only"], expect=kit.USAGE).err)

    def test_the_way_that_is_named_is_one(self):
        path = self.write_config(kit.tiny_config(self.text))
        keys = [(way[len("--set "):].replace("VALUE", "3"))
                for way in self.REFUSED.values() if way.startswith("--set ") and "num_" not in way]
        self.assertEqual(6, len(keys))
        sets = [word for key in keys for word in ("--set", key)]
        done = self.fit(path, self.path("run"), *sets,
                        "--set", "trainer.init.loop.eval_frequency=0")
        self.assertEqual(3, done.step)

    def test_devices(self):
        path = self.write_config(kit.tiny_config(self.text, loop={"max_steps": 1}))
        for name in ("CPU", "cpu"):
            self.fit(path, self.path("run" + name), "--target_device", name)
        for name in ("GPU", "CSX"):
            done = self.fit(path, self.path("no"), "--target_device", name, expect=kit.USAGE)
            self.assertIn("CPU, not on '%s'; leave the flag out" % name, done.err)

    def test_dashes_are_underscores_and_values_may_stand_behind_an_equals_sign(self):
        path = self.write_config(kit.tiny_config(self.text, loop={"max_steps": 1}))
        done = kit.run(["fit", path, "--model-dir=" + self.path("run"), "--disable-version-check",
                        "--threads=1", "--logging=warning"])
        self.assertEqual(1, done.step)
        self.assertEqual("", done.err)


if __name__ == "__main__":
    unittest.main()
