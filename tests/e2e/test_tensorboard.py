"""TensorBoard's own reader finds in the event files what metrics.jsonl says, and nothing else."""
import glob
import json
import math
import os
import re
import unittest

import numpy
from tensorboard.backend.event_processing import event_accumulator, event_file_loader

import kit

STEPS = 60
KILLS_AT = (13, 27, 44)
# Metrics of metrics.jsonl that have another name in the event files.
TRAIN_NAMES = {"lr": "lr/0"}


def read_scalars(folder):
    """{tag: [(step, value), ...]} of a folder of event files, as TensorBoard shows them."""
    events = event_accumulator.EventAccumulator(
        folder, size_guidance={event_accumulator.SCALARS: 0})
    events.Reload()
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)]
            for tag in events.Tags()["scalars"]}


def expected_scalars(model_dir):
    """The same of metrics.jsonl, after its resume records, with the names of the event files."""
    metrics = kit.read_metrics(model_dir)
    result = {}
    for step, entry in sorted(metrics.steps.items()):
        names = {name: name for name in entry if name != "step"}
        names.update({name: to for name, to in TRAIN_NAMES.items()
                      if name in entry and to not in entry})
        if "lr/0" in entry:
            names.pop("lr", None)
        for name, tag in names.items():
            result.setdefault(tag, []).append((step, number(entry[name])))
    for step, entry in sorted(metrics.validations.items()):
        for name, value in entry.items():
            if name == "step":
                continue
            bare, loader = re.fullmatch(r"(.*?)(?:/([1-9]\d*))?", name).groups()
            tag = "validate_%s/%s" % (loader or 0, "loss" if bare == "val_loss" else bare)
            result.setdefault(tag, []).append((step, number(value)))
    return result


def number(text):
    """What a 32-bit float, which is all that the format keeps, makes of it."""
    return float(numpy.float32(float(text)))


class TensorBoardTest(kit.Case):
    def config(self, **init):
        config = kit.tiny_config(self.text, **kit.merge(
            {"loop": {"max_steps": STEPS, "eval_frequency": 7, "eval_steps": 2},
             "checkpoint": {"steps": 5}}, init))
        fit = config["trainer"]["fit"]
        fit["val_dataloader"] = [fit["val_dataloader"],
                                 kit.merge(fit["val_dataloader"], {"batch_size": 2})]
        return self.write_config(config)

    def same(self, folder, model_dir):
        found, expected = read_scalars(folder), expected_scalars(model_dir)
        self.assertEqual(sorted(expected), sorted(found))
        for tag, points in found.items():
            self.assertEqual(expected[tag], points, tag)
            steps = [step for step, value in points]
            self.assertEqual(sorted(set(steps)), steps, tag)

    def test_events_are_the_metrics_after_three_overlapping_crashes(self):
        run_dir = self.path("run")
        args = self.fit_args(self.config(), run_dir, "--resume")
        for step in KILLS_AT:
            with kit.Running(args) as running:
                self.assertTrue(running.wait_for(r"Train.*Step=%d," % step), running.lines)
                self.assertTrue(running.kill())
        kit.run(args)
        raw = kit.read_metrics(run_dir).raw
        resumes = [i for i, entry in enumerate(raw) if entry.get("event") == "resume"]
        self.assertEqual(len(KILLS_AT), len(resumes))
        # Processes did steps that the next ones did again, unless killed right after a save.
        again = [raw[i - 1]["step"] - raw[i]["step"] for i in resumes]
        self.assertGreaterEqual(min(again), 0)
        self.assertGreater(max(again), 0)
        files = sorted(os.listdir(os.path.join(run_dir, "events")))
        self.assertEqual(len(KILLS_AT) + 1, len(files))
        self.same(os.path.join(run_dir, "events"), run_dir)
        scalars = read_scalars(os.path.join(run_dir, "events"))
        self.assertEqual(list(range(1, STEPS + 1)), [step for step, value in scalars["loss"]])
        self.assertEqual([7, 14, 21, 28, 35, 42, 49, 56, 60],
                         [step for step, value in scalars["validate_1/loss"]])

    def test_a_new_run_in_the_folder_takes_the_place_of_the_old_one(self):
        run_dir = self.path("run")
        self.fit(self.config(loop={"max_steps": 20}), run_dir)
        self.fit(self.config(loop={"max_steps": 9}, checkpoint={
            "autoload_last_checkpoint": False}), run_dir)
        self.same(os.path.join(run_dir, "events"), run_dir)
        scalars = read_scalars(os.path.join(run_dir, "events"))
        self.assertEqual(list(range(1, 10)), [step for step, value in scalars["loss"]])

    def test_a_cut_record_costs_only_itself(self):
        run_dir = self.path("run")
        self.fit(self.config(loop={"max_steps": 10}), run_dir)
        path, = glob.glob(os.path.join(run_dir, "events", "*"))
        os.truncate(path, os.path.getsize(path) - 3)
        before = kit.snapshot(os.path.join(run_dir, "events"))
        self.fit(self.config(loop={"max_steps": 12}), run_dir)
        after = kit.snapshot(os.path.join(run_dir, "events"))
        self.assertEqual(before, {name: after[name] for name in before})
        steps = [step for step, value in read_scalars(os.path.join(run_dir, "events"))["loss"]]
        self.assertEqual(list(range(1, 13)), steps)

    def test_a_file_begins_with_its_version_and_the_start_of_its_steps(self):
        run_dir = self.path("run")
        self.fit(self.config(loop={"max_steps": 10}), run_dir)
        self.fit(self.config(loop={"max_steps": 12}), run_dir)
        paths = sorted(glob.glob(os.path.join(run_dir, "events", "*")))
        starts = []
        for path in paths:
            events = list(event_file_loader.RawEventFileLoader(path).Load())
            parsed = [event_file_loader.event_pb2.Event.FromString(event) for event in events[:2]]
            self.assertEqual("brain.Event:2", parsed[0].file_version)
            self.assertEqual(parsed[1].session_log.START, parsed[1].session_log.status)
            starts.append(parsed[1].step)
        self.assertEqual([0, 11], starts)

    def test_legacy_folders(self):
        run_dir = self.path("run")
        self.fit(self.config(loggers=[{"TensorBoardLogger": {"legacy_event_dirs": True}}]),
                 run_dir)
        self.assertFalse(os.path.exists(os.path.join(run_dir, "events")))
        expected = expected_scalars(run_dir)
        self.assertEqual(expected["loss"], read_scalars(os.path.join(run_dir, "train"))["loss"])
        self.assertEqual(
            {re.sub("^validate_0/", "", tag): points for tag, points in expected.items()
             if tag.startswith("validate_")}, read_scalars(os.path.join(run_dir, "eval")))


class LoggersTest(kit.Case):
    def config(self, loggers):
        return self.write_config(kit.tiny_config(self.text, loop={"max_steps": 5}, loggers=loggers))

    def test_those_of_every_run_are_there_unless_they_are_removed(self):
        for name, loggers, has_lines, has_events in (
                ("none", None, True, True),
                ("named", [{"ProgressLogger": {}}, {"TensorBoardLogger": {}}], True, True),
                ("bare", ["progresslogger", "TensorBoardLogger"], True, True),
                ("no-events", [{"TensorBoardLogger": None}], True, False),
                ("no-lines", [{"ProgressLogger": None}], False, True),
                ("neither", [{"ProgressLogger": None}, {"TensorBoardLogger": None}],
                 False, False)):
            with self.subTest(name):
                run_dir = self.path(name)
                result = self.fit(self.config(loggers), run_dir)
                self.assertEqual(has_lines, "| Train Device=CPU, Step=5," in result.err)
                self.assertEqual(has_events, os.path.exists(os.path.join(run_dir, "events")))
                self.assertTrue(os.path.exists(os.path.join(run_dir, "metrics.jsonl")))

    def test_telemetry_is_noticed_and_wandb_refused(self):
        result = self.fit(self.config([{"TelemetryLogger": {"max_buffer_size": 8}}]),
                          self.path("telemetry"))
        self.assertIn("logger TelemetryLogger is not needed here and is left out", result.err)
        result = self.fit(self.config([{"WandbLogger": {"project": "x"}}]), self.path("wandb"),
                          expect=kit.USAGE)
        self.assertIn("this version lacks the logger WandbLogger", result.err)

    def test_what_a_run_prints_is_the_model_zoos(self):
        config = kit.tiny_config(self.text, loop={"max_steps": 4, "eval_frequency": 2},
                                 logging={"log_steps": 2})
        result = self.fit(self.write_config(config), self.path("run"))
        lines = [line.split("   ", 1)[1] for line in result.err.splitlines() if "   " in line]
        rate = r"\d+\.\d+|\d+e[+-]\d+"
        time = r"\d+:\d\d:\d\d"
        train = (r"\| Train Device=CPU, Step=%%d, Loss=\d+\.\d{5}, Rate=(%s) samples/sec, "
                 r"GlobalRate=(%s) samples/sec, LoopTimeRemaining=%s, TimeRemaining[=>]%s"
                 % (rate, rate, time, time))
        evals = train.replace("Train Device=CPU, Step=%d",
                              r"Eval Device=CPU, GlobalStep=%d, Batch=\d+")
        wanted = []
        for step in (2, 4):
            wanted += [train % step, r"Training completed successfully!", evals % step,
                       r"Avg Eval Loss: \d+\.\d{5}", r"Evaluation completed successfully!"]
        wanted.append(r"Processed 16 training sample\(s\) in \d+\.?\d*(e-\d+)? seconds\.")
        for pattern in wanted:
            while lines and not re.fullmatch(pattern, lines[0]):
                lines.pop(0)
            self.assertTrue(lines, pattern)

    def test_metrics_of_several_validation_loaders_share_a_line(self):
        config = kit.tiny_config(self.text, loop={"max_steps": 4, "eval_frequency": 2})
        fit = config["trainer"]["fit"]
        fit["val_dataloader"] = [fit["val_dataloader"], fit["val_dataloader"]]
        self.fit(self.write_config(config), self.path("run"))
        with open(self.path("run", "metrics.jsonl"), encoding="utf-8") as file:
            lines = [json.loads(line) for line in file]
        validations = [line for line in lines if "val_loss" in line]
        self.assertEqual([2, 4], [line["step"] for line in validations])
        for line in validations:
            self.assertEqual(line["val_loss"], line["val_loss/1"])
            self.assertTrue(math.isfinite(line["val_loss"]))


if __name__ == "__main__":
    unittest.main()
