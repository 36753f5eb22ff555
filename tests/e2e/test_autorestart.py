"""autorestart: a crashed fit is started again and ends as if nothing had happened."""
import glob
import json
import os
import select
import signal
import unittest

import kit

PLUGIN = os.path.join(os.environ.get("CAIRN_PLUGINS", ""), "crash.so")
STEPS = 60


def child_of(pid):
    """Process number of the only child of @pid, once it has one."""
    while True:
        with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as file:
            children = file.read().split()
        if children:
            return int(children[0])


def status_of(pid, key):
    with open("/proc/%d/status" % pid, encoding="ascii") as file:
        for line in file:
            if line.startswith(key + ":"):
                return line.split()[1]
    raise AssertionError(key)


def is_pending(pid, number):
    """Whether a signal was sent to the process and not taken by it yet."""
    return bool(int(status_of(pid, "ShdPnd"), 16) >> (number - 1) & 1)


def is_in_call(pid, number, argument=None):
    """Whether the process waits in that system call of x86-64."""
    with open("/proc/%d/syscall" % pid, encoding="ascii") as file:
        words = file.read().split()
    return words[:1] == [str(number)] and argument in (None, words[1])


class RestartCase(kit.Case):
    def config(self, crashes=(), restarts=2, always=False, name="params.yaml", **init):
        init = kit.merge({
            "model": {"dropout_rate": 0.1},
            "loop": {"max_steps": STEPS, "eval_frequency": 7},
            "checkpoint": {"steps": 5},
            "plugins": [PLUGIN],
            "callbacks": [{"Crash": {"steps": list(crashes), "memory": self.path("memory"),
                                     "is_always": always}}],
            "autorestart": {"max_num_restarts": restarts, "backoff": 0},
        }, init)
        return self.write_config(kit.tiny_config(self.text, **init), name)

    def whole(self, **init):
        """The model_dir of the run without crashes."""
        self.fit(self.config(name="whole.yaml", autorestart=None, **init), self.path("whole"))
        return self.path("whole")

    def summary(self, model_dir):
        """The attempts that were written down; None if nothing was."""
        folders = glob.glob(os.path.join(model_dir, "*_restartable"))
        if not folders:
            return None
        self.assertEqual(1, len(folders))
        self.assertEqual(["params.yaml", "run.log", "summary.json"], sorted(os.listdir(folders[0])))
        with open(os.path.join(folders[0], "summary.json"), encoding="utf-8") as file:
            return json.load(file)["attempts"]

    def same_run(self, expected, actual):
        want, got = kit.read_metrics(expected), kit.read_metrics(actual)
        self.assertEqual(want.bits(), got.bits())
        last = "checkpoint_%d.mdl" % STEPS
        self.assertEqual(kit.tensors(os.path.join(expected, last)),
                         kit.tensors(os.path.join(actual, last)))
        self.assertEqual(kit.values(os.path.join(expected, last)),
                         kit.values(os.path.join(actual, last)))
        self.assertEqual(sorted(kit.checkpoints(expected)), sorted(kit.checkpoints(actual)))


class CrashTest(RestartCase):
    def test_crashes_of_every_kind_leave_no_trace_in_the_result(self):
        crashes = ["3:kill", "18:segv", "29:abort", "41:exit", "52:io", "58:other"]
        # On a slow machine an attempt may end before its first save is durable.
        done = self.fit(self.config(crashes, restarts=9), self.path("run"))
        self.assertEqual("finished", done.result["result"])
        self.assertEqual(1, len(done.out.splitlines()), done.out)
        self.same_run(self.whole(), self.path("run"))
        attempts = self.summary(self.path("run"))
        self.assertEqual(["SIGKILL", "SIGSEGV", "SIGABRT", None, None, None, None],
                         [attempt["signal"] for attempt in attempts])
        self.assertEqual([None, None, None, 1, 5, 1, 0],
                         [attempt["exit_code"] for attempt in attempts])
        self.assertEqual([False] + [True] * 6, [attempt["resume"] for attempt in attempts])
        self.assertEqual([2, 17, 28, 40, 51, 57, 60],
                         [attempt["last_step"] for attempt in attempts])
        self.assertEqual(["restarted"] * 6 + ["finished"],
                         [attempt["outcome"] for attempt in attempts])
        for before, after in zip(attempts, attempts[1:]):
            self.assertEqual(before["checkpoint_step"] or 0, after["first_step"])
            self.assertLess(before["started"], before["ended"])
            self.assertLessEqual(before["ended"], after["started"])

    def test_a_total_that_counts_from_the_start_stays_what_it_was(self):
        first = self.config(name="first.yaml", loop={"max_steps": 13}, autorestart=None)
        self.fit(first, self.path("run"))
        more = {"loop": {"max_steps": None, "num_steps": 20}}
        done = self.fit(self.config(["18:kill", "27:segv"], **more), self.path("run"))
        self.assertEqual(("finished", 33), (done.result["result"], done.step))

    def test_a_crash_before_training_does_not_go_on_with_an_older_run(self):
        old = self.config(name="old.yaml", loop={"max_steps": 20}, autorestart=None)
        self.fit(old, self.path("run"))
        config = self.config(["start:kill", "start:segv"])
        done = self.fit(config, self.path("run"), "--set", "trainer.fit.ckpt_path=null")
        attempts = self.summary(self.path("run"))
        self.assertEqual([False, False, False], [attempt["resume"] for attempt in attempts])
        self.assertEqual([None, None, 0], [attempt["first_step"] for attempt in attempts])
        self.assertEqual(STEPS, done.step)

    def test_progress_sets_the_count_to_zero(self):
        """One restart without progress is allowed, and there are three with it."""
        crashes = ["12:kill", "24:kill", "36:kill", "48:kill"]
        done = self.fit(self.config(crashes, restarts=1, checkpoint={"asynchronous": False}),
                        self.path("run"))
        self.assertEqual("finished", done.result["result"])
        self.assertEqual([1, 0, 0, 0, 0], [attempt["failures_without_progress"]
                                           for attempt in self.summary(self.path("run"))])

    def test_a_plugin_that_calls_exit_is_a_crash(self):
        done = self.fit(self.config(["8:exit0"]), self.path("run"))
        self.assertEqual(("finished", 2), (done.result["result"],
                                           len(self.summary(self.path("run")))))


class SeveralTest(RestartCase):
    """A file with two trainers."""

    def several(self, second_restarts=2):
        trainers = []
        for name, crashes, restarts in (("one", ["8:kill"], 2),
                                        ("two", ["start:kill", "12:segv"], second_restarts)):
            trainers.append(kit.tiny_config(
                self.text, model_dir=self.path(name), plugins=[PLUGIN],
                loop={"max_steps": 20}, checkpoint={"steps": 5, "asynchronous": False},
                callbacks=[{"Crash": {"steps": crashes, "memory": self.path(name + ".memory")}}],
                autorestart=restarts and {"max_num_restarts": restarts, "backoff": 0}))
            trainers[-1]["trainer"]["fit"]["ckpt_path"] = None
        return self.write_config({"trainer": trainers}, "several.yaml")

    def test_each_goes_on_with_its_own_run(self):
        # What lies in the folder of the second trainer is an older run; it must not be resumed.
        old = self.write_config(kit.tiny_config(self.text, seed=3, loop={"max_steps": 15}))
        self.fit(old, self.path("two"))
        done = kit.run(["fit", self.several(), "--threads", "1"])
        lines = done.out.splitlines()
        self.assertEqual(2, len(lines), done.out)
        self.assertRegex(lines[0], r"^result=finished step=20 .* trainer=1/2$")
        self.assertRegex(lines[1], r"^result=finished step=20 \S+two\S+ reason=max_steps$")
        fresh = self.write_config(kit.tiny_config(self.text, loop={"max_steps": 20}), "fresh.yaml")
        self.fit(fresh, self.path("whole"))
        for name in ("one", "two"):
            newest = kit.checkpoints(self.path(name))[-1]
            self.assertEqual(kit.tensors(self.path("whole", "checkpoint_20.mdl")),
                             kit.tensors(self.path(name, newest)))

    def test_all_of_a_file_have_it_or_none(self):
        config = self.several(second_restarts=None)
        done = kit.run(["fit", config], expect=kit.USAGE)
        self.assertRegex(done.err, r"this trainer has no autorestart, but another has")


class GiveUpTest(RestartCase):
    def test_without_progress_it_gives_up_after_the_allowed_restarts(self):
        config = self.config(["8:segv"], always=True, checkpoint={"asynchronous": False})
        done = self.fit(config, self.path("run"), expect=kit.FAILED)
        attempts = self.summary(self.path("run"))
        self.assertEqual([1, 2, 3], [attempt["failures_without_progress"] for attempt in attempts])
        self.assertEqual(["restarted", "restarted", "given up"],
                         [attempt["outcome"] for attempt in attempts])
        newest = os.path.join(self.path("run"), "checkpoint_5.mdl")
        self.assertEqual({"result": "failed", "step": "7", "checkpoint": newest,
                          "reason": "SIGSEGV"}, done.result)
        self.assertEqual(1, len(done.out.splitlines()))
        self.assertRegex(done.err, r"given up: 3 failures without a new checkpoint")

    def test_the_last_exit_code_is_that_of_the_program(self):
        config = self.config(["8:io"], always=True, restarts=1, checkpoint={"asynchronous": False})
        done = self.fit(config, self.path("run"), expect=kit.IO)
        self.assertEqual(("failed", "CAIRN_EIO"), (done.result["result"], done.result["reason"]))
        self.assertEqual(2, len(self.summary(self.path("run"))))

    def test_no_restarts_is_an_ordinary_fit(self):
        self.fit(self.config(["8:kill"], restarts=0), self.path("run"), expect=-signal.SIGKILL)
        self.assertIsNone(self.summary(self.path("run")))

    def test_a_wrong_configuration_is_not_tried_again_and_leaves_nothing(self):
        config = self.config(loop={"max_step": 3})
        done = self.fit(config, self.path("run"), expect=kit.USAGE)
        self.assertFalse(os.path.exists(self.path("run")))
        self.assertEqual(1, len(done.out.splitlines()))
        self.assertEqual(1, done.err.count("unknown key 'max_step'"), done.err)

    def test_wrong_data_a_wrong_configuration_and_a_wrong_number_are_not_tried_again(self):
        for way, code in (("data", kit.DATA), ("config", kit.USAGE), ("nonfinite", kit.NONFINITE)):
            run = self.path(way)
            self.fit(self.config(["8:" + way], always=True), run, expect=code)
            self.assertEqual(["not restarted"], [entry["outcome"] for entry in self.summary(run)])

    def test_a_held_model_dir_is_not_tried_again(self):
        config = self.config()
        with kit.Running(self.fit_args(config, self.path("run"))) as running:
            self.assertTrue(running.wait_for(r"Step=3,"))
            done = self.fit(self.config(name="b.yaml"), self.path("run"), expect=kit.LOCKED)
            self.assertNotIn("starting again", done.err)

    def test_a_wrong_autorestart_is_reported(self):
        for value, pattern in (({}, "lacks 'max_num_restarts'"),
                               ({"max_num_restarts": -1}, "at least 0"),
                               ({"max_num_restart": 1}, "did you mean 'max_num_restarts'")):
            config = self.write_config(kit.tiny_config(self.text, autorestart=value))
            done = self.fit(config, self.path("run"), expect=kit.USAGE)
            self.assertRegex(done.err, pattern)

    def test_the_flag_of_attempts_is_for_no_one_else(self):
        done = self.fit(self.config(), self.path("run"), "--attempt", "0", expect=kit.USAGE)
        self.assertRegex(done.err, "--attempt is for autorestart itself")


class SignalTest(RestartCase):
    def start(self, **more):
        return kit.Running(self.fit_args(self.config(), self.path("run"), "--resume"), **more)

    def stopped(self, done, reason):
        self.assertEqual(kit.STOPPED, done.code, done.err)
        self.assertEqual(("stopped", reason), (done.result["result"], done.result["reason"]))
        self.assertEqual(1, len(done.out.splitlines()))
        kit.run(["checkpoint", "verify", done.result["checkpoint"]])

    def finish(self, stopped_at=None):
        self.fit(self.config(), self.path("run"), "--resume")
        whole = self.whole()
        if stopped_at is not None and stopped_at % 5 != 0:  # A save that the whole run has not.
            os.unlink(os.path.join(self.path("run"), "checkpoint_%d.mdl" % stopped_at))
        self.same_run(whole, self.path("run"))

    def test_sigterm_to_the_parent_saves_and_can_be_resumed(self):
        with self.start() as running:
            self.assertTrue(running.wait_for(r"Step=12,"))
            running.signal(signal.SIGTERM)
            done = running.finish()
        self.stopped(done, "SIGTERM")
        self.finish(done.step)

    def test_sigint_to_the_whole_group_counts_once(self):
        """A terminal sends it to parent and child; two would end the child at once."""
        with self.start(new_session=True) as running:
            self.assertTrue(running.wait_for(r"Step=12,"))
            os.killpg(running.process.pid, signal.SIGINT)
            done = running.finish()
        self.stopped(done, "SIGINT")

    def test_a_second_sigint_ends_at_once(self):
        with self.start() as running:
            self.assertTrue(running.wait_for(r"Step=3,"))
            parent, child = running.process.pid, child_of(running.process.pid)
            # Its messages are not read now, so it cannot come to its end between the two.
            while not is_in_call(child, 1, "0x2"):  # write
                pass
            running.signal(signal.SIGINT)
            while is_pending(parent, signal.SIGINT):  # Two that wait would be one.
                pass
            running.signal(signal.SIGINT)
            done = running.finish()
        self.assertEqual(130, done.code, done.err)
        self.assertEqual("failed", done.result["result"])

    def test_a_stop_cuts_the_wait_for_a_restart_short(self):
        config = self.config(["8:kill"], autorestart={"backoff": 3600})
        with kit.Running(self.fit_args(config, self.path("run"))) as running:
            self.assertTrue(running.wait_for(r"starting again in 3600 s \(1 of 2"))
            running.signal(signal.SIGTERM)
            done = running.finish()
        # The attempt that gets it has nothing new to save.
        self.assertEqual(kit.STOPPED, done.code, done.err)
        self.assertEqual(("stopped", "SIGTERM"), (done.result["result"], done.result["reason"]))
        self.finish()

    def test_sigusr1_to_the_parent_saves(self):
        config = self.config(checkpoint={"steps": STEPS})
        with kit.Running(self.fit_args(config, self.path("run"))) as running:
            self.assertTrue(running.wait_for(r"Step=5,"))
            running.signal(signal.SIGUSR1)
            self.assertTrue(running.wait_for(r"Saved checkpoint"))
            done = running.finish()
        self.assertEqual("finished", done.result["result"])
        self.assertEqual(2, len(kit.checkpoints(self.path("run"))))

    def test_the_child_ends_with_its_parent(self):
        with self.start() as running:
            self.assertTrue(running.wait_for_saved(5, 7))
            child = os.pidfd_open(child_of(running.process.pid))
            self.addCleanup(os.close, child)
            running.process.kill()
            # Its messages are not read now, so it cannot come to its end by itself.
            poll = select.poll()
            poll.register(child, select.POLLIN)
            self.assertTrue(poll.poll(kit.TIMEOUT_S * 1000 // 6), "the child lives on")
        self.finish()  # The lock is free, and nothing is lost.

    def test_the_parent_starts_no_thread(self):
        with self.start() as running:
            self.assertTrue(running.wait_for(r"Step=3,"))
            self.assertEqual("1", status_of(running.process.pid, "Threads"))


if __name__ == "__main__":
    unittest.main()
