"""Classes from shared objects: what a good one brings, what is said of a bad one; examples."""
import csv
import json
import os
import re
import shutil
import signal
import subprocess
import unittest

import kit

PLUGINS = os.environ.get("CAIRN_PLUGINS", "")
EXAMPLES = os.environ.get("CAIRN_EXAMPLES", "")
SOURCES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "examples")


def place_of(path, what):
    """"file:LINE:COLUMN" of the first @what in a file, as messages give it."""
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if what in line:
                return "%s:%d:%d" % (path, number, line.index(what) + 1)
    raise AssertionError("%s is not in %s" % (what, path))


class PluginCase(kit.Case):
    def config(self, plugins, **init):
        return self.write_config(kit.tiny_config(self.text, plugins=plugins, val=False, **init))

    def plugin(self, name):
        return os.path.join(PLUGINS, name + ".so")

    def refused(self, config, *patterns, code=kit.USAGE):
        """Runs the fit, which must end with @code and touch nothing; all patterns are said."""
        done = self.fit(config, self.path("run"), expect=code)
        for pattern in patterns:
            self.assertRegex(done.err, pattern)
        self.assertFalse(os.path.exists(self.path("run")))
        self.assertEqual("failed", done.result["result"])
        return done


class FaultTest(PluginCase):
    def check(self, name, pattern):
        config = self.config([self.plugin(name)])
        done = self.refused(config, pattern)
        self.assertIn(place_of(config, '"' + self.plugin(name)), done.err)

    def test_another_size_or_version_is_refused(self):
        self.check("faulty_size", r"compiled for another cairn: .*build it again")
        self.check("faulty_abi", r"compiled for another cairn: version 2 .*here version 1")

    def test_an_object_without_the_function_is_refused(self):
        self.check("faulty_symbol", r"is no plugin: it has no function cairn_plugin_get")
        self.check("faulty_null", r"cairn_plugin_get returned nothing")

    def test_an_object_that_needs_more_than_there_is_is_refused(self):
        self.check("faulty_undefined", r"cannot be loaded: .*cairn_of_the_future")

    def test_an_option_table_in_disorder_is_refused(self):
        self.check("faulty_field", r"option 1 of Fails \(small\): its field has not the type")
        self.check("faulty_help", r"Fails\.number: its help is not a sentence")
        self.check("faulty_default", r"Fails\.number: its default is not allowed")

    def test_a_class_in_disorder_is_refused(self):
        self.check("faulty_make", r"the class Made has no function that makes it")
        self.check("faulty_kind", r"a class of a kind that this version lacks")

    def test_a_name_that_is_taken_is_refused(self):
        self.check("faulty_taken", r"the library has a callback KeepNCheckpoints itself")
        self.check("faulty_twice", r"another plugin has a callback Fails already")

    def test_a_plugin_twice_is_refused_at_the_second_place(self):
        path = self.plugin("crash")
        config = self.config(["./x.so", path])
        shutil.copy(path, self.path("x.so"))
        done = self.refused(config, r"another plugin has a callback Crash already")
        self.assertIn(place_of(config, '"' + path), done.err)

    def test_a_missing_file_is_named_with_its_place(self):
        config = self.config(["./absent.so"])
        done = self.refused(config, r"there is no plugin '%s/\./absent\.so'" % self.dir)
        self.assertIn(place_of(config, '"./absent.so'), done.err)

    def test_a_file_that_is_no_object_is_refused(self):
        self.refused(self.config(["text.txt"]), r"cannot be loaded: .*text\.txt")

    def test_a_path_that_is_no_text_is_refused(self):
        self.refused(self.config([{"a": 1}]), r"trainer\.init\.plugins")

    def test_a_maker_that_fails_is_named_and_its_status_counts(self):
        config = self.config([self.plugin("faulty_none")], callbacks=[{"Fails": {"number": 3}}])
        self.refused(config, r"callback Fails: .*as asked")


class OptionTest(PluginCase):
    def crash_config(self, options):
        return self.config([self.plugin("crash")], callbacks=[{"Crash": options}])

    def test_wrong_options_are_reported_with_place_and_all_at_once(self):
        config = self.crash_config({"memry": "x", "is_always": "perhaps"})
        done = self.refused(config, r"unknown key 'memry' in trainer\.init\.callbacks\.Crash; did "
                                    r"you mean 'memory'", r"Crash lacks 'memory'",
                            r"Crash\.is_always")
        self.assertIn(place_of(config, '"memry'), done.err)
        self.assertIn(place_of(config, '"perhaps'), done.err)

    def test_a_slip_in_a_class_of_a_plugin_is_seen(self):
        config = self.config([self.plugin("crash")], callbacks=[{"Crahs": {"memory": "x"}}])
        self.refused(config, r"unknown callback 'Crahs'.*did you mean 'Crash'")

    def test_defaults_aliases_and_the_path_are_in_the_resolved_parameters(self):
        shutil.copy(self.plugin("crash"), self.path("here.so"))
        config = self.config(["./here.so"], loop={"max_steps": 2},
                             callbacks=[{"Crash": {"memory": "m", "always": True}}])
        # From another folder: paths are relative to that of the configuration.
        os.mkdir(self.path("elsewhere"))
        kit.run(self.fit_args(config, self.path("run")), cwd=self.path("elsewhere"))
        init = json.loads(kit.metadata(self.path("run", "checkpoint_2.mdl"))["cairn.params"])
        init = init["trainer"]["init"]
        self.assertEqual([{"Crash": {"memory": "m", "is_always": True, "steps": []}}],
                         [c for c in init["callbacks"] if "Crash" in c])
        self.assertEqual([os.path.realpath(self.path("here.so"))], init["plugins"])

    def test_set_reaches_the_options_of_a_plugin(self):
        config = self.crash_config({"memory": self.path("memory")})
        done = self.fit(config, self.path("run"), "--set",
                        "trainer.init.callbacks.Crash.steps=['3:data']", expect=kit.DATA)
        self.assertRegex(done.err, r"Crash\.on_train_batch_end: as asked")


class OptimizerTest(PluginCase):
    def test_it_does_what_the_library_s_own_does(self):
        """Without momentum and decay SGD goes the same way, but for rounding."""
        same = {"loop": {"max_steps": 30}, "schedulers": [{"ConstantLR": {"learning_rate": 0.05}}]}
        runs = {}
        for name in ("Descent", "SGD"):
            config = kit.tiny_config(self.text, val=False, plugins=[self.plugin("descent")], **same)
            config["trainer"]["init"]["optimizer"] = {name: {"lr": 0.5}}
            config = self.write_config(config)
            self.fit(config, self.path(name))
            runs[name] = [float(entry["loss"]) for _, entry in
                          sorted(kit.read_metrics(self.path(name)).steps.items())]
        for own, ours in zip(runs["Descent"], runs["SGD"]):
            self.assertAlmostEqual(own, ours, places=4)
        self.assertLess(runs["Descent"][-1], runs["Descent"][0])
        self.assertEqual("30", kit.values(self.path("Descent", "checkpoint_30.mdl"))
                         ["optimizer"]["steps"])


class ExampleCase(kit.Case):
    """The files of examples/ in a folder of their own, as a user has them after compiling."""

    def setUp(self):
        super().setUp()
        for name in ("callback", "logger", "model"):
            shutil.copy(os.path.join(EXAMPLES, name + ".so"), self.dir)
            shutil.copy(os.path.join(SOURCES, name + ".yaml"), self.dir)

    def fit_here(self, name, run, *more, expect=kit.OK):
        return kit.run(self.fit_args(name + ".yaml", run, *more), expect, cwd=self.dir)

    def metrics(self, run):
        return kit.read_metrics(self.path(run))


class CallbackExampleTest(ExampleCase):
    def test_it_ends_the_run_when_the_mean_is_low_enough(self):
        done = self.fit_here("callback", "run")
        self.assertEqual(("finished", "mean_loss"), (done.result["result"], done.result["reason"]))
        steps = self.metrics("run").steps
        means = [float(steps[step]["mean_loss"]) for step in sorted(steps)]
        self.assertEqual(done.step, len(means))
        self.assertLessEqual(means[-1], 2.5)
        self.assertGreater(min(means[:-1]), 2.5)

    def test_its_state_comes_back(self):
        more = ["--set", "trainer.init.callbacks.MeanLoss.goal=null",
                "--set", "trainer.init.loop.max_steps=40",
                "--set", "trainer.init.checkpoint.steps=10",
                "--set", "trainer.init.logging.log_steps=1"]
        self.fit_here("callback", "whole", *more)
        with kit.Running(self.fit_args("callback.yaml", "parts", *more), cwd=self.dir) as running:
            self.assertTrue(running.wait_for_saved(10, 13))
            self.assertTrue(running.kill())
        self.fit_here("callback", "parts", "--resume", *more)
        means = [{step: entry["mean_loss"] for step, entry in self.metrics(run).steps.items()}
                 for run in ("whole", "parts")]
        self.assertEqual(means[0], means[1])
        self.assertEqual(40, len(means[0]))
        self.assertEqual(kit.values(self.path("whole", "checkpoint_40.mdl")),
                         kit.values(self.path("parts", "checkpoint_40.mdl")))


class LoggerExampleTest(ExampleCase):
    def test_its_file_holds_what_metrics_jsonl_holds(self):
        self.fit_here("logger", "run", "--set", "trainer.init.loop.max_steps=20")
        with open(self.path("run", "metrics.csv"), encoding="utf-8") as file:
            rows = list(csv.reader(file, delimiter=";"))
        self.assertEqual(["step", "name", "value"], rows[0])
        written = {(int(step), name): float(value) for step, name, value in rows[1:]}
        expected = {(step, name): float(value)
                    for step, entry in self.metrics("run").steps.items()
                    for name, value in entry.items() if name != "step"}
        self.assertEqual(expected, written)
        self.assertGreaterEqual(len({step for step, _ in written}), 20)

    def test_a_dry_run_makes_no_loggers(self):
        done = self.fit_here("logger", "run", "--dry_run")
        self.assertEqual("tried", done.result["result"])
        self.assertFalse(os.path.exists(self.path("run")))


class ModelExampleTest(ExampleCase):
    def test_it_learns(self):
        done = self.fit_here("model", "run")
        self.assertEqual("max_steps", done.result["reason"])
        accuracy = [(entry["step"], float(entry["accuracy"]))
                    for entry in self.metrics("run").raw if "accuracy" in entry]
        self.assertEqual([100, 200, 300], [step for step, _ in accuracy])
        self.assertGreaterEqual(accuracy[-1][1], 0.95)  # A guess would be right in a third.

    def test_an_interrupted_run_gives_the_same_bits(self):
        more = ["--set", "trainer.init.checkpoint.steps=20",
                "--set", "trainer.init.logging.log_steps=1"]
        self.fit_here("model", "whole", *more)
        for pattern in (r"Step=33,", r"Step=150,"):
            with kit.Running(self.fit_args("model.yaml", "parts", "--resume", *more),
                             cwd=self.dir) as running:
                self.assertTrue(running.wait_for(pattern))
                running.signal(signal.SIGTERM)
                self.assertEqual(kit.STOPPED, running.finish().code)
        self.fit_here("model", "parts", "--resume", *more)
        self.assertEqual(self.metrics("whole").bits(), self.metrics("parts").bits())
        self.assertEqual(kit.tensors(self.path("whole", "checkpoint_300.mdl")),
                         kit.tensors(self.path("parts", "checkpoint_300.mdl")))

    def test_validate_uses_the_plugin_too(self):
        self.fit_here("model", "run")
        done = kit.run(["validate", "model.yaml", "-o", "run", "--json"], cwd=self.dir)
        last = [line for line in self.metrics("run").raw if "val_loss" in line][-1]
        self.assertEqual(float(last["val_loss"]), done.json()["val_loss"])

    def test_options_of_model_and_loader_are_checked(self):
        for setting, pattern in (("trainer.init.model.hidden=3", r"unknown key 'hidden'"),
                                 ("trainer.fit.train_dataloader.batch_size=0", r"batch_size"),
                                 ("trainer.fit.train_dataloader.sampels=3",
                                  r"'sampels'.*did you mean 'samples'")):
            done = self.fit_here("model", "run", "--set", setting, expect=kit.USAGE)
            self.assertRegex(done.err, pattern)

    def test_a_checkpoint_brings_no_code_along(self):
        """Who generates from a stranger's file must not run what the file names."""
        self.fit_here("model", "run")
        done = kit.run(["generate", "--checkpoint_path", self.path("run", "checkpoint_300.mdl")],
                       expect=kit.USAGE)
        self.assertRegex(done.err, r"plugins, which are not loaded because a file names them")


class LoopExampleTest(kit.Case):
    PROGRAM = os.path.join(os.environ.get("CAIRN_BUILD_DIR") or os.path.dirname(kit.BIN),
                           "example_loop")

    def loop(self, *args, expect=0):
        return kit.run(list(args), expect, program=self.PROGRAM)

    def test_it_goes_on_after_a_crash_to_the_same_bits(self):
        whole, parts = self.path("whole"), self.path("parts")
        expected = self.loop(whole)
        self.assertRegex(expected.out, r"^step=200 loss=")
        self.assertLess(float(expected.out.split("loss=")[1]), 1e-6)
        for step in ("75", "130"):
            self.loop(parts, "crash=" + step, expect=-signal.SIGKILL)
        done = self.loop(parts)
        self.assertRegex(done.err, r"going on from \S+checkpoint_\d+\.mdl")
        self.assertEqual(expected.out, done.out)
        self.assertEqual(kit.tensors(os.path.join(whole, "checkpoint_200.mdl")),
                         kit.tensors(os.path.join(parts, "checkpoint_200.mdl")))

    def test_it_passes_over_a_damaged_checkpoint(self):
        folder = self.path("run")
        self.loop(folder, "crash=130", expect=-signal.SIGKILL)
        newest = os.path.join(folder, kit.checkpoints(folder)[-1])
        kit.flip_bit(newest, 8 * (os.path.getsize(newest) // 3))
        done = self.loop(folder)
        self.assertIn(newest + " is damaged", done.err)
        self.assertEqual("step=200", done.out.split()[0])


@unittest.skipIf(kit.SLOW, "an instrumented library cannot be linked by other compilers")
class InstalledTest(kit.Case):
    """`make install` gives what a user's own build needs."""

    BUILD = os.environ.get("CAIRN_BUILD_DIR", "")

    def command(self, *words, **more):
        env = dict(kit.environment(), PKG_CONFIG_PATH=self.pkgconfig, **more)
        done = subprocess.run(words, env=env, cwd=self.dir, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=300, check=False)
        self.assertEqual(0, done.returncode, "%s\n%s" % (" ".join(words), done.stdout))
        return done.stdout.strip()

    def setUp(self):
        super().setUp()
        prefix = self.path("prefix")
        self.pkgconfig = ""
        self.command("cmake", "--install", self.BUILD, "--prefix", prefix)
        for root, _, files in os.walk(prefix):
            if "cairn.pc" in files:
                self.pkgconfig = root
        self.program = os.path.join(prefix, "bin", "cairn")

    def test_the_examples_build_and_run_as_a_project_of_their_own(self):
        self.command("cmake", "-S", SOURCES, "-B", "build", "-G", "Ninja",
                     "-DCMAKE_BUILD_TYPE=Release")
        self.command("cmake", "--build", "build")
        shutil.copy(os.path.join(SOURCES, "model.yaml"), self.path("build"))
        done = kit.run(self.fit_args(self.path("build", "model.yaml"), self.path("run")),
                       program=self.program)
        self.assertEqual("finished", done.result["result"])
        loop = kit.run([self.path("loop")], program=self.path("build", "example_loop"))
        self.assertRegex(loop.out, r"^step=200 ")

    def test_the_commands_of_the_comments_work(self):
        for name in ("callback", "logger", "model", "loop"):
            with open(os.path.join(SOURCES, name + ".c"), encoding="utf-8") as file:
                line = re.search(r"^ \*     (cc .*)$", file.read(), re.MULTILINE).group(1)
            shutil.copy(os.path.join(SOURCES, name + ".c"), self.dir)
            self.command("sh", "-ec", line)
            self.assertTrue(os.path.exists(self.path(name if name == "loop" else name + ".so")))

    def test_a_program_and_a_plugin_in_cpp_build_and_run(self):
        compilers = [name for name in ("g++", "clang++-14", "clang++") if shutil.which(name)]
        self.assertIn("g++", compilers)
        source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "embed.cpp")
        flags = self.command("pkg-config", "--cflags", "--libs", "cairn").split()
        library = os.path.join(self.pkgconfig, "..")
        for compiler in compilers:
            self.command(compiler, "-std=c++17", "-Wall", "-Wextra", "-Wpedantic", "-Werror",
                         source, "-o", "embed-" + compiler, "-Wl,-rpath," + library, *flags)
            out = self.command(self.path("embed-" + compiler), self.text,
                               self.path("run-" + compiler))
            self.assertEqual("finished step=5 hooks=5", out)


if __name__ == "__main__":
    unittest.main()
