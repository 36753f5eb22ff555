"""An interrupted run does what the uninterrupted one does, to the last bit."""
import json
import os
import random
import re
import shutil
import signal
import sys
import unittest

import kit

SEED = int(os.environ.get("CAIRN_TEST_SEED", random.SystemRandom().randrange(1 << 32)))
SAVE_STEPS = 5
EVAL_STEPS = 7
STEPS = 60
START_LINE = r"fresh start|continues run|new run"


class ResumeCase(kit.Case):
    def setUp(self):
        super().setUp()
        # 22 batches and a rest make an epoch: 60 steps cross several epoch ends. A validation has
        # more batches, so more lines, than a process may be ahead of its reader.
        self.text = kit.corpus(self.path("small.txt"), size=2400)

    def config(self, train=None, **init):
        config = kit.tiny_config(self.text, **init)
        loaders = config["trainer"]["fit"]
        for loader in loaders.values():
            loader["val_fraction"] = 0.4
        loaders["train_dataloader"].update(train or {})
        return config

    def standard(self, **init):
        changes = {"loop": {"max_steps": STEPS, "eval_frequency": EVAL_STEPS},
                   "checkpoint": {"steps": SAVE_STEPS}}
        return self.config(**kit.merge(changes, init))

    def same_run(self, expected, actual, more_saves=()):
        """Losses, rates, validations, saves, alternatives, what is left of them, and the final
        state of two model_dirs are equal.

        @more_saves: steps that only @actual has saved, since a signal asked for it.
        """
        want, got = kit.read_metrics(expected), kit.read_metrics(actual)
        self.assertEqual(want.bits(), got.bits())
        extra = tuple("checkpoint_%d.mdl" % step for step in more_saves)
        index = {"checkpoints_index.yaml"}  # Made by the first save.
        left = [name for name in os.listdir(actual) if not name.startswith(extra)]
        self.assertEqual(set(os.listdir(expected)) | (index if extra else set()), set(left))
        self.assertEqual(set(extra), set(extra) & set(os.listdir(actual)))
        names = [name for name in left if name.endswith(".mdl")]
        for name in names:
            self.same_checkpoint(os.path.join(expected, name), os.path.join(actual, name),
                                 ["cairn.save_counter"] if not extra else [])
        last = kit.checkpoints(expected)[-1:] + [
            name for name in names if name.endswith("_checkpoint_%d.mdl" % STEPS)]
        for name in last:
            self.assertEqual(kit.tensors(os.path.join(expected, name)),
                             kit.tensors(os.path.join(actual, name)))

    def same_checkpoint(self, expected, actual, more_keys=()):
        for key in ("cairn.state_digest", "cairn.values", "cairn.step", "cairn.states",
                    "cairn.kind", *more_keys):
            self.assertEqual(kit.metadata(expected)[key], kit.metadata(actual)[key],
                             "%s of %s" % (key, actual))
        self.assertEqual(read_notes(expected), read_notes(actual), actual)


def read_notes(path):
    """The facts in the notes of a checkpoint; {} if it has none."""
    try:
        with open(path + ".notes.json", encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return {}


class Killer:
    """Kills a run at five places of which one is inside a validation and one right after a resume.

    The places are random, but so near to where the process started that it cannot reach the end.
    """

    def __init__(self, case, rng, args, resume_args, eval_steps):
        self.case = case
        self.rng = rng
        self.args = args
        self.resume_args = resume_args
        self.eval_steps = eval_steps
        self.log = []

    def kinds(self):
        kinds = ["step", "validation", "save", "step"]
        self.rng.shuffle(kinds)
        kinds.insert(self.rng.randint(1, 4), "resume")
        return kinds[:3] if kit.SLOW else kinds

    def worst(self, kind):
        """Steps that a process may do at most before a kill of this kind hits it."""
        return {"step": 1 + kit.Running.AHEAD, "save": SAVE_STEPS + kit.Running.AHEAD,
                "validation": self.eval_steps, "resume": kit.Running.AHEAD}[kind]

    def kill_all(self):
        args = self.args
        kinds = self.kinds()
        for i, kind in enumerate(kinds):
            with kit.Running(args) as running:
                self.case.assertTrue(running.wait_for(START_LINE), running.lines)
                match = re.search(r"at step (\d+)$", running.lines[-1])
                step = int(match.group(1)) if match else 0
                slack = STEPS - 1 - step - sum(self.worst(later) for later in kinds[i:])
                self.wait_for(running, kind, step, max(slack, 0) // (len(kinds) - i))
                self.case.assertTrue(running.kill(), "%s: %s" % (self.log, running.lines[-3:]))
            args = self.resume_args
            if kind == "validation":
                self.check_validation_was_cut(args)
        return self.log

    def wait_for(self, running, kind, step, slack):
        """Reads to a random place of this @kind, not more than @slack steps beyond the nearest."""
        patterns = {"step": r"Train.*Step=%d," % (step + 1 + self.rng.randint(0, slack)),
                    "save": r"Saving checkpoint at step",
                    "validation": r"Eval.*Batch=%d," % self.rng.randint(1, 4)}
        self.log.append("%s from %d" % (kind, step))
        if kind == "resume":
            return
        skipped = self.rng.randint(0, slack) if kind != "step" else 0
        if skipped > 0:
            self.read_to(running, r"Train.*Step=%d," % (step + skipped))
        self.read_to(running, patterns[kind])
        self.log[-1] += " at " + re.search(r"[Ss]tep[ =](\d+)", running.lines[-1]).group(1)

    def read_to(self, running, pattern):
        self.case.assertTrue(running.wait_for(pattern), (self.log, running.lines[-3:]))

    def check_validation_was_cut(self, args):
        metrics = kit.read_metrics(args[args.index("-o") + 1])
        self.case.assertNotIn(max(metrics.steps), metrics.validations, self.log)


class KillTest(ResumeCase):
    def check(self, name, config, eval_steps=EVAL_STEPS, prepare=None, seed_is_drawn=False,
              threads="1", resume_with=()):
        """Runs @config once in one go and once through five kills.

        @prepare: called with each model_dir before its run starts.
        @resume_with: what the later processes are told besides.
        """
        rng = random.Random("%d %s" % (SEED, name))
        whole, parts = self.path(name + "-whole"), self.path(name + "-parts")
        path = self.write_config(config, name + ".yaml")
        start = ["fit", path, "-o", parts, "--threads", threads]
        resume = start + ["--resume", *resume_with]
        if prepare is not None:
            prepare(whole)
            prepare(parts)
        # Where a run stands already, only its later processes may say --resume.
        first = start + ["--resume"] if prepare is None else start
        log = Killer(self, rng, first, resume, eval_steps).kill_all()
        print("%s: CAIRN_TEST_SEED=%d; killed at: %s" % (name, SEED, "; ".join(log)),
              file=sys.stderr)
        last = kit.run(resume)
        self.assertIn(last.result["result"], ("finished", "complete"))
        self.assertEqual(STEPS, last.step)
        if seed_is_drawn:
            with open(os.path.join(parts, "run.json"), encoding="utf-8") as file:
                config["trainer"]["init"]["seed"] = int(json.load(file)["seed"])
            path = self.write_config(config, name + "-seed.yaml")
        kit.run(["fit", path, "-o", whole, "--threads", threads])
        self.same_run(whole, parts)
        return whole

    def test_killed_run_equals_uninterrupted_run(self):
        whole = self.check("plain", self.standard())
        self.assertEqual(["checkpoint_%d.mdl" % step for step in range(5, 61, 5)],
                         kit.checkpoints(whole))
        self.assertEqual([7, 14, 21, 28, 35, 42, 49, 56, 60],
                         sorted(kit.read_metrics(whole).validations))

    def test_killed_run_equals_uninterrupted_run__with_dropout(self):
        self.check("dropout", self.standard(model={"dropout_rate": 0.1}))

    def test_killed_run_equals_uninterrupted_run__in_bfloat16(self):
        self.check("bfloat16", self.standard(precision={"enabled": True},
                                             model={"dropout_rate": 0.1}))

    def test_killed_run_equals_uninterrupted_run__with_layers_computed_again_from_then_on(self):
        self.check("again", self.standard(model={"dropout_rate": 0.1, "num_hidden_layers": 2}),
                   resume_with=("--set", "trainer.init.model.gradient_checkpointing=true"))

    def test_killed_run_equals_uninterrupted_run__with_accumulation(self):
        self.check("accumulation", self.standard(loop={"grad_accum_steps": 3},
                                                 model={"dropout_rate": 0.1}))

    def test_killed_run_equals_uninterrupted_run__with_a_rest_batch_at_each_epoch_end(self):
        config = self.standard()
        config["trainer"]["fit"]["train_dataloader"].update(
            {"drop_last": False, "shuffle_seed": 5})
        self.check("epochs", config)

    @unittest.skipIf(kit.SLOW, "the plain case stands for it")
    def test_killed_run_equals_uninterrupted_run__with_a_share_as_eval_frequency(self):
        config = self.standard(loop={"max_steps": None, "num_steps": STEPS,
                                     "eval_frequency": 0.25})
        whole = self.check("share-of-steps", config, eval_steps=15)
        self.assertEqual([15, 30, 45, 60], sorted(kit.read_metrics(whole).validations))

    @unittest.skipIf(kit.SLOW, "the plain case stands for it")
    def test_killed_run_equals_uninterrupted_run__with_epochs_as_limit(self):
        config = self.standard(loop={"max_steps": None, "num_epochs": 3, "steps_per_epoch": 20,
                                     "eval_frequency": 0.25})
        whole = self.check("share-of-epochs", config, eval_steps=15)
        self.assertEqual([15, 30, 45, 60], sorted(kit.read_metrics(whole).validations))

    def test_killed_run_equals_uninterrupted_run__with_a_drawn_seed(self):
        self.check("no-seed", self.standard(seed=None, model={"dropout_rate": 0.1}),
                   seed_is_drawn=True)

    @unittest.skipIf(kit.SLOW, "the plain case stands for it")
    def test_killed_run_equals_uninterrupted_run__with_two_threads_and_two_layers(self):
        self.check("threads", self.standard(model={"num_hidden_layers": 2}), threads="2")

    def test_killed_run_equals_uninterrupted_run__with_alternatives(self):
        for k in (1, 2):
            whole = self.check("alternatives-%d" % k, self.standard(callbacks=[
                {"SaveCheckpointState": {"k": k, "checkpoint_states": "model"}}]))
            self.assertEqual(["model_checkpoint_%d.mdl" % step
                              for step in range(5 * k, STEPS + 1, 5 * k)],
                             kit.checkpoints(whole, "model_checkpoint_"))

    def test_killed_run_equals_uninterrupted_run__with_two_kinds_of_alternatives(self):
        whole = self.check("two-alternatives", self.standard(
            model={"dropout_rate": 0.1}, callbacks=[
                {"SaveCheckpointState": {"k": 5, "checkpoint_states": "model,optimizer"}},
                {"SaveCheckpointState": {"k": 3, "checkpoint_states": "all"}},
                {"KeepNCheckpoints": {"n": 3, "every": 20, "best": 1}}]))
        self.assertEqual(["model_optimizer_checkpoint_%d.mdl" % step for step in (25, 50, 60)],
                         kit.checkpoints(whole, "model_optimizer_"))
        self.assertEqual(["all_checkpoint_%d.mdl" % step for step in (15, 30, 45, 60)],
                         kit.checkpoints(whole, "all_"))

    def test_killed_run_equals_uninterrupted_run__with_few_checkpoints_kept(self):
        whole = self.check("few", self.standard(callbacks=[
            {"SaveCheckpointState": {"k": 2, "checkpoint_states": "model"}},
            {"KeepNCheckpoints": {"n": 2}}]))
        self.assertEqual(["checkpoint_55.mdl", "checkpoint_60.mdl"], kit.checkpoints(whole))

    def test_killed_run_equals_uninterrupted_run__with_adapters(self):
        lora = {"lora_params": {"r": 2, "alpha": 4, "dropout": 0.1, "target_modules": ["Linear"]}}
        states = {"k": 1, "checkpoint_states": "lora"}
        self.check("adapters",
                   self.standard(callbacks=[{"Lora": lora}, {"SaveCheckpointState": states}]))

    def test_killed_run_equals_uninterrupted_run__that_continues_an_older_one(self):
        """Cadences count from where the run started, also after a resume."""
        first = self.write_config(self.standard(loop={"max_steps": 13}), "first.yaml")
        whole = self.check("continued",
                           self.standard(loop={"max_steps": None, "num_steps": STEPS - 13}),
                           prepare=lambda model_dir: self.fit(first, model_dir))
        saves = [5, 10, 13] + list(range(18, 60, 5)) + [60]
        self.assertEqual(["checkpoint_%d.mdl" % step for step in saves], kit.checkpoints(whole))
        self.assertEqual([7, 13, 20, 27, 34, 41, 48, 55, 60],
                         sorted(kit.read_metrics(whole).validations))


class SignalTest(ResumeCase):
    def setUp(self):
        super().setUp()
        self.config_path = self.write_config(self.standard(model={"dropout_rate": 0.1}))
        self.whole = self.path("whole")
        self.parts = self.path("parts")

    def stopped(self, pattern, number, config=None):
        """Runs to the line @pattern, sends a signal, and checks that the run stops and is saved."""
        args = self.fit_args(config or self.config_path, self.parts, "--resume")
        with kit.Running(args) as running:
            self.assertTrue(running.wait_for(pattern), running.lines)
            running.signal(number)
            done = running.finish()
        self.assertEqual(kit.STOPPED, done.code, done.err)
        self.assertEqual("stopped", done.result["result"])
        self.assertEqual(signal.Signals(number).name, done.result["reason"])
        self.assertEqual("checkpoint_%d.mdl" % done.step,
                         os.path.basename(done.result["checkpoint"]))
        kit.run(["checkpoint", "verify", done.result["checkpoint"]])
        return done.step

    def finish_and_compare(self, *stops):
        self.fit(self.config_path, self.whole)
        done = self.fit(self.config_path, self.parts, "--resume")
        self.assertEqual("finished", done.result["result"])
        scheduled = [step for step in range(SAVE_STEPS, STEPS + 1, SAVE_STEPS)]
        self.same_run(self.whole, self.parts, [step for step in stops if step not in scheduled])

    def test_sigterm_and_sigint_stop_with_a_checkpoint_and_resume_finishes(self):
        first = self.stopped(r"Step=11,", signal.SIGTERM)
        self.assertLessEqual(first, 11 + kit.Running.AHEAD)
        second = self.stopped(r"Step=31,", signal.SIGINT)
        self.assertLessEqual(second, 31 + kit.Running.AHEAD)
        self.finish_and_compare(first, second)

    def test_sigterm_in_a_validation_stops_it_and_resume_makes_up_for_it(self):
        step = self.stopped(r"Eval.*GlobalStep=21, Batch=2,", signal.SIGTERM)
        self.assertEqual(21, step)
        # A second process is stopped in the validation that it makes up for.
        self.assertEqual(step, self.stopped(r"Eval.*GlobalStep=21, Batch=2,", signal.SIGTERM))
        metrics = kit.read_metrics(self.parts)
        self.assertEqual(21, max(metrics.steps))
        self.assertEqual([7, 14], sorted(metrics.validations))
        self.finish_and_compare(step)

    def test_sigterm_in_the_last_validation_stops_it_and_resume_makes_up_for_it(self):
        self.assertEqual(STEPS, self.stopped(r"Eval.*GlobalStep=60, Batch=2,", signal.SIGTERM))
        self.fit(self.config_path, self.whole)
        done = self.fit(self.config_path, self.parts, "--resume")
        self.assertEqual("complete", done.result["result"])
        self.same_run(self.whole, self.parts)

    def test_sigterm_before_the_first_step_saves_what_is_there(self):
        with kit.Running(self.fit_args(self.config_path, self.parts, "--resume")) as running:
            self.assertTrue(running.wait_for("Looking for latest checkpoint|no run has started"))
            running.signal(signal.SIGTERM)
            done = running.finish()
        self.assertEqual(kit.STOPPED, done.code, done.err)
        self.assertTrue(os.path.exists(done.result["checkpoint"]), done.out)
        self.finish_and_compare(done.step)

    def test_sigusr1_saves_and_goes_on(self):
        config = self.write_config(self.standard(checkpoint={"steps": STEPS}), "usr1.yaml")
        with kit.Running(self.fit_args(config, self.parts)) as running:
            self.assertTrue(running.wait_for(r"Step=5,"))
            running.signal(signal.SIGUSR1)
            self.assertTrue(running.wait_for(r"Saving checkpoint at step (\d+)"))
            step = int(running.lines[-1].rsplit(" ", 1)[1])
            done = running.finish()
        self.assertEqual(kit.OK, done.code, done.err)
        self.assertEqual("finished", done.result["result"])
        self.assertLessEqual(step, 5 + kit.Running.AHEAD)
        self.fit(config, self.whole)
        self.same_run(self.whole, self.parts, [step])

    def test_sigterm_saves_without_periodic_saves(self):
        config = self.write_config(self.standard(checkpoint={"steps": None}), "none.yaml")
        step = self.stopped(r"Step=9,", signal.SIGTERM, config)
        self.assertEqual(["checkpoint_%d.mdl" % step], kit.checkpoints(self.parts))
        done = self.fit(config, self.parts, "--resume")
        self.assertIn("continues run", done.err)
        self.fit(config, self.whole)
        self.same_run(self.whole, self.parts, [step])

    @unittest.skipIf(kit.SLOW, "the thread sanitizer makes one signal of two")
    def test_second_sigint_ends_at_once(self):
        with kit.Running(self.fit_args(self.config_path, self.parts)) as running:
            self.assertTrue(running.wait_for(r"Step=3,"))
            # Its messages are not read now, so it cannot come to its end between the two.
            while not is_writing_messages(running.process.pid):
                pass
            running.signal(signal.SIGINT)
            while is_pending(running.process.pid, signal.SIGINT):
                pass
            running.signal(signal.SIGINT)
            done = running.finish()
        self.assertEqual(130, done.code, done.err)
        self.assertEqual({}, done.result)


def is_writing_messages(pid):
    """Whether the process waits in a write to standard error, which nobody reads."""
    with open("/proc/%d/syscall" % pid, encoding="ascii") as file:
        words = file.read().split()
    return words[:1] == ["1"] and words[1:2] == ["0x2"]  # write(2, ...) on x86-64


def is_pending(pid, number):
    """Whether a signal was sent to the process and not taken by it yet."""
    with open("/proc/%d/status" % pid, encoding="ascii") as file:
        pending = re.search(r"^ShdPnd:\s*(\w+)$", file.read(), re.MULTILINE).group(1)
    return bool(int(pending, 16) >> (number - 1) & 1)


class AgainTest(ResumeCase):
    """A finished run is started again."""

    def unchanged_by(self, model_dir, *args):
        before = files_of(model_dir)
        done = self.fit(*args)
        self.assertEqual("complete", done.result["result"])
        self.assertEqual(before, files_of(model_dir))
        return done

    def test_finished_run_with_max_steps_is_complete(self):
        config = self.write_config(self.config(loop={"max_steps": 8, "eval_frequency": 4},
                                               checkpoint={"steps": 5}))
        model_dir = self.path("m")
        self.fit(config, model_dir)
        for more in ([], ["--resume"]):
            done = self.unchanged_by(model_dir, config, model_dir, *more)
            self.assertIn("run is complete at step 8", done.err)
            self.assertEqual(8, done.step)
            self.assertEqual(os.path.join(model_dir, "checkpoint_8.mdl"),
                             done.result["checkpoint"])

    def test_finished_run_with_num_steps_is_complete__with_resume(self):
        config = self.write_config(self.config(loop={"max_steps": None, "num_steps": 8},
                                               checkpoint={"steps": 5}))
        model_dir = self.path("m")
        self.fit(config, model_dir)
        done = self.unchanged_by(model_dir, config, model_dir, "--resume")
        self.assertEqual(8, done.step)

    def test_finished_run_with_num_steps_trains_as_many_more__without_resume(self):
        config = self.write_config(self.config(
            loop={"max_steps": None, "num_steps": 7, "eval_frequency": 4},
            checkpoint={"steps": 3}))
        model_dir = self.path("m")
        self.assertEqual(7, self.fit(config, model_dir).step)
        again = self.fit(config, model_dir)
        self.assertRegex(again.err, r"continues run \w+ from \S+checkpoint_7.mdl at step 7")
        self.assertEqual(14, again.step)
        self.assertEqual(["checkpoint_%d.mdl" % step for step in (3, 6, 7, 10, 13, 14)],
                         kit.checkpoints(model_dir))
        self.assertEqual([4, 7, 11, 14], sorted(kit.read_metrics(model_dir).validations))
        # --resume keeps to the newer start.
        self.assertEqual(14, self.unchanged_by(model_dir, config, model_dir, "--resume").step)

    def test_run_continued_with_num_steps_equals_a_longer_one(self):
        """Continuing under autoload changes nothing either but the cadence."""
        loop = {"max_steps": None, "num_steps": 20}
        part = self.write_config(self.config(loop=loop), "part.yaml")
        whole = self.write_config(self.config(loop={"max_steps": 60}), "whole.yaml")
        for _ in range(3):
            self.fit(part, self.path("parts"))
        self.fit(whole, self.path("whole"))
        self.same_run(self.path("whole"), self.path("parts"))

    def test_start_over_is_said_aloud__without_resume(self):
        config = self.config(loop={"max_steps": 20}, checkpoint={"steps": 5})
        config["trainer"]["fit"]["ckpt_path"] = None
        path = self.write_config(config)
        with kit.Running(self.fit_args(path, self.path("m"))) as running:
            self.assertTrue(running.wait_for(r"Saved checkpoint .*checkpoint_10.mdl"))
            self.assertTrue(running.kill())
        over = self.fit(path, self.path("m"))
        self.assertRegex(over.err, r"WARNING:.*STARTING OVER at step 0 .*checkpoint_1[05].mdl.*"
                                   r"--resume")
        self.assertIn("fresh start", over.err)


class DamagedFolderTest(ResumeCase):
    """What a person or a disk did to the folder between a crash and the --resume."""

    def setUp(self):
        super().setUp()
        self.config_path = self.write_config(self.standard())
        self.whole = self.path("whole")
        self.parts = self.path("parts")

    def killed(self, config=None, saved=10):
        """A run that was killed when the checkpoint of step @saved was durable."""
        args = self.fit_args(config or self.config_path, self.parts, "--resume")
        with kit.Running(args) as running:
            self.assertTrue(running.wait_for(r"Saved checkpoint \S*_%d\.mdl" % saved))
            self.assertTrue(running.kill())

    def newest(self):
        return kit.checkpoints(self.parts)[-1]

    def same_numbers(self):
        """The metrics and the last state are those of the uninterrupted run."""
        self.fit(self.config_path, self.whole)
        self.assertEqual(kit.read_metrics(self.whole).bits(), kit.read_metrics(self.parts).bits())
        self.assertEqual(kit.tensors(os.path.join(self.whole, "checkpoint_%d.mdl" % STEPS)),
                         kit.tensors(os.path.join(self.parts, self.newest())))

    def test_resume_finds_checkpoints_of_another_checkpoint_name(self):
        self.killed()
        before = self.newest()
        renamed = self.write_config(
            self.standard(checkpoint={"checkpoint_name": "state_{step:04d}.mdl"}), "renamed.yaml")
        done = self.fit(renamed, self.parts, "--resume")
        self.assertRegex(done.err, r"continues run \w+ from \S+/%s at" % re.escape(before))
        self.assertEqual("state_0060.mdl", os.path.basename(done.result["checkpoint"]))
        self.assertIn(before, os.listdir(self.parts))
        self.fit(self.config_path, self.whole)
        self.assertEqual(kit.read_metrics(self.whole).bits(), kit.read_metrics(self.parts).bits())
        self.assertEqual(kit.tensors(os.path.join(self.whole, "checkpoint_60.mdl")),
                         kit.tensors(os.path.join(self.parts, "state_0060.mdl")))

    def test_resume_after_a_damaged_checkpoint_and_a_kill_before_the_next_save(self):
        # No process comes as far as the next save before it is killed.
        self.config_path = self.write_config(self.standard(checkpoint={"steps": 20}))
        self.killed(saved=40)
        damaged = self.newest()
        kit.flip_bit(os.path.join(self.parts, damaged), 8 * 9000)
        bytes_before = kit.snapshot(self.parts)[damaged]
        for _ in range(2):
            with kit.Running(self.fit_args(self.config_path, self.parts, "--resume")) as running:
                self.assertTrue(running.wait_for(r"%s is damaged and skipped" % re.escape(damaged)))
                self.assertTrue(running.wait_for(r"continues run \w+ from \S+ at step \d+"))
                step = int(running.lines[-1].rsplit(" ", 1)[1])
                self.assertTrue(running.wait_for(r"Step=%d," % (step + 1)))
                self.assertTrue(running.kill())
            self.assertEqual(20, step)
            self.assertEqual(["checkpoint_20.mdl", damaged], kit.checkpoints(self.parts))
        self.fit(self.config_path, self.parts, "--resume")
        self.assertEqual(bytes_before, kit.snapshot(self.parts)[damaged])
        # The step was saved again, beside the damaged file.
        self.assertEqual(2, len([name for name in kit.checkpoints(self.parts)
                                 if name.startswith(damaged[:-len(".mdl")])]))
        self.same_numbers()

    def test_resume_when_some_own_checkpoints_were_removed_by_hand(self):
        self.killed(saved=15)
        for name in kit.checkpoints(self.parts)[1:]:
            os.unlink(os.path.join(self.parts, name))
        done = self.fit(self.config_path, self.parts, "--resume")
        self.assertRegex(done.err, r"continues run \w+ from \S+checkpoint_5\.mdl at step 5")
        self.fit(self.config_path, self.whole)
        self.same_run(self.whole, self.parts)

    def test_resume_when_all_own_checkpoints_were_removed_by_hand(self):
        self.killed()
        for name in kit.checkpoints(self.parts):
            os.unlink(os.path.join(self.parts, name))
        done = self.fit(self.config_path, self.parts, "--resume")
        self.assertRegex(done.err, "fresh start again: no checkpoint of run")
        self.same_numbers()

    def test_copies_by_hand_outlive_keep_n(self):
        config = self.write_config(
            self.standard(callbacks=[{"KeepNCheckpoints": {"n": 1}}]), "keep.yaml")
        with kit.Running(self.fit_args(config, self.parts, "--resume")) as running:
            self.assertTrue(running.wait_for(r"Saved checkpoint \S*_5\.mdl"))
            self.assertTrue(running.kill())
        source = os.path.join(self.parts, self.newest())
        copies = ["good.mdl", "checkpoint_5_copy.mdl", "checkpoint_5.mdl.bak",
                  "checkpoint_99999.mdl", "5.safetensors"]
        for name in copies:
            shutil.copy(source, os.path.join(self.parts, name))
        before = kit.snapshot(self.parts)
        done = self.fit(config, self.parts, "--resume")
        self.assertEqual(STEPS, done.step)
        self.assertEqual("complete", self.fit(config, self.parts, "--resume").result["result"])
        after = kit.snapshot(self.parts)
        self.assertEqual({name: before[name] for name in copies},
                         {name: after[name] for name in copies if name in after})
        self.assertNotIn(os.path.basename(source), after)
        self.assertIn("checkpoint_%d.mdl" % STEPS, after)

    def test_a_complete_run_makes_up_for_what_a_kill_has_cut_off(self):
        config = self.write_config(self.standard(callbacks=[
            {"SaveCheckpointState": {"k": 2, "checkpoint_states": "model"}},
            {"KeepNCheckpoints": {"n": 2}}]), "cut.yaml")
        without = self.write_config(self.standard(callbacks=[
            {"SaveCheckpointState": {"k": 2, "checkpoint_states": "model"}}]), "without.yaml")
        self.fit(config, self.whole)
        for first in ([], ["--resume"]):
            shutil.rmtree(self.parts, ignore_errors=True)
            self.fit(without, self.parts)
            os.unlink(os.path.join(self.parts, "model_checkpoint_60.mdl"))
            for more in (first, ["--resume"]):
                done = self.fit(config, self.parts, *more)
                self.assertEqual("complete", done.result["result"])
                self.same_run(self.whole, self.parts)
            self.assertNotIn("ended before it had written", done.err)


def files_of(model_dir):
    """As kit.snapshot, but for the lock file, in which a process writes its number."""
    files = kit.snapshot(model_dir)
    files.pop(".cairn.lock")
    return files


if __name__ == "__main__":
    unittest.main()
