"""The files: what others can read, what damage is noticed, what survives a move."""
import json
import os
import random
import re
import shutil
import unittest

import numpy
import safetensors

import kit

PAD = "__pad__"
SMALL_ALIGN, LARGE_ALIGN, LARGE = 64, 4096, 65536
SEED = int(os.environ.get("CAIRN_TEST_SEED", random.SystemRandom().randrange(1 << 32)))


def info(path):
    return kit.run(["checkpoint", "info", path, "--json", "-l"]).json()


def verify(*paths):
    """(exit code, one dict a file) of `cairn checkpoint verify --json`."""
    done = kit.run(["checkpoint", "verify", "--json", *paths], expect=None)
    return done.code, [json.loads(line) for line in done.out.splitlines()]


class FilesCase(kit.Case):
    def setUp(self):
        super().setUp()
        self.model_dir = self.path("m")

    def config(self, **init):
        changes = {"loop": {"max_steps": 6, "eval_frequency": 0}, "checkpoint": {"steps": 2}}
        return kit.tiny_config(self.text, **kit.merge(changes, init))

    def train(self, *more, **init):
        self.config_path = self.write_config(self.config(**init))
        self.fit(self.config_path, self.model_dir, *more)
        return [os.path.join(self.model_dir, name) for name in sorted(os.listdir(self.model_dir))
                if name.endswith(".mdl")]


class FormatTest(FilesCase):
    def test_every_checkpoint_opens_with_safetensors_and_holds_what_info_says(self):
        paths = self.train(callbacks=[
            {"SaveCheckpointState": {"k": 2, "checkpoint_states": "model"}},
            {"SaveCheckpointState": {"k": 3, "checkpoint_states": "model,optimizer"}}])
        self.assertEqual(["checkpoint_2.mdl", "checkpoint_4.mdl", "checkpoint_6.mdl",
                          "model_checkpoint_4.mdl", "model_checkpoint_6.mdl",
                          "model_optimizer_checkpoint_6.mdl"],
                         [os.path.basename(path) for path in paths])
        for path in paths:
            with self.subTest(path):
                self.check_against_safetensors(path)

    def check_against_safetensors(self, path):
        said = info(path)
        raw = kit.tensors(path)
        with safetensors.safe_open(path, framework="numpy") as file:
            names = [name for name in file.keys() if not name.startswith(PAD)]
            self.assertEqual(sorted(names), sorted(tensor["name"] for tensor in said["tensors"]))
            for tensor in said["tensors"]:
                array = file.get_tensor(tensor["name"])
                self.assertEqual(("F32", numpy.float32), (tensor["dtype"], array.dtype))
                self.assertEqual(tensor["shape"], list(array.shape))
                self.assertEqual(tensor["bytes"], array.nbytes)
                self.assertEqual(raw[tensor["name"]], array.tobytes())
                self.assertTrue(numpy.isfinite(array).all())
            metadata = file.metadata()
        self.assertEqual("full" if os.path.basename(path).startswith("checkpoint") else
                         "alternative", said["kind"])
        self.assertEqual(os.path.getsize(path), said["bytes"])
        for key in ("step", "run_id", "save_counter", "states", "state_digest", "kind", "format"):
            self.assertEqual(metadata["cairn." + key], str(said[key]), key)
        states = {name.split(".")[0] for name in names}
        self.assertEqual(states, states & set(said["states"].split(",")))

    def test_text_of_info_lists_tensors_with_their_shapes(self):
        path = self.train()[0]
        self.assertIn("model.ln_f.weight F32 [16]",
                      kit.run(["checkpoint", "info", path, "-l"]).out)
        self.assertNotIn("ln_f", kit.run(["checkpoint", "info", path]).out)

    def test_layout__no_holes_aligned_tensors_zero_padding_whole_regions(self):
        """With tensors of 64 KiB and more too."""
        self.train(model={"hidden_size": 64, "filter_size": 256}, loop={"max_steps": 2})
        path = os.path.join(self.model_dir, "checkpoint_2.mdl")
        entries, start = kit.header(path)
        entries.pop("__metadata__")
        with open(path, "rb") as file:
            content = file.read()
        ordered = sorted(entries.items(), key=lambda item: item[1]["data_offsets"])
        end = 0
        larges = 0
        regions = []
        for name, entry in ordered:
            begin = entry["data_offsets"][0]
            self.assertEqual(end, begin, name)
            end = entry["data_offsets"][1]
            if name.startswith(PAD):
                self.assertEqual(("U8", [end - begin]), (entry["dtype"], entry["shape"]))
                self.assertEqual(bytes(end - begin), content[start + begin:start + end])
                continue
            is_large = end - begin >= LARGE
            larges += is_large
            self.assertEqual(0, (start + begin) % (LARGE_ALIGN if is_large else SMALL_ALIGN), name)
            state = name.split(".")[0]
            if not regions or regions[-1][0] != state:
                self.assertEqual(0, begin % LARGE_ALIGN, name)
                regions.append((state, []))
            regions[-1][1].append(name)
        self.assertEqual(0, start % LARGE_ALIGN)
        self.assertEqual(0, end % LARGE_ALIGN)
        self.assertEqual(len(content), start + end)
        self.assertGreaterEqual(larges, 4)
        self.assertEqual(["model", "optimizer"], [state for state, _ in regions])
        of_model = [name.split(".", 1)[1] for name in regions[0][1]]
        of_optimizer = [name.split(".", 1)[1].rsplit(".", 1)[0] for name in regions[1][1]]
        self.assertEqual(of_model, list(dict.fromkeys(of_optimizer)))

    def test_tied_weights_are_stored_once(self):
        path = self.train()[0]
        names = kit.tensors(path)
        self.assertNotIn("model.lm_head.weight", names)
        aliases = json.loads(kit.metadata(path)["cairn.aliases"])["model"]
        self.assertIn("model." + aliases["lm_head.weight"], names)

    def test_state_digest_says_whether_states_are_equal(self):
        first = [info(path)["state_digest"] for path in self.train()]
        self.model_dir = self.path("again")
        again = [info(path)["state_digest"] for path in self.train()]
        self.model_dir = self.path("other")
        other = [info(path)["state_digest"] for path in self.train(seed=12)]
        self.assertEqual(first, again)
        self.assertEqual(6, len(set(first + other)))


class DamageTest(FilesCase):
    FLIPS = 40 if kit.SLOW else 200

    def setUp(self):
        super().setUp()
        self.good = self.train()[-1]
        self.entries, self.start = kit.header(self.good)
        self.entries.pop("__metadata__")

    def owner(self, offset):
        """The entry that holds byte @offset of the file; None in the header."""
        if offset < self.start:
            return None
        return next(name for name, entry in self.entries.items()
                    if entry["data_offsets"][0] <= offset - self.start < entry["data_offsets"][1])

    def places(self):
        """Bytes to damage: first and last of the parts of the file, of some tensors, and others."""
        rng = random.Random(SEED)
        size = os.path.getsize(self.good)
        places = [0, 7, 8, 9, self.start - 1, self.start, size - 1]
        for name in rng.sample(sorted(self.entries), 10):
            begin, end = self.entries[name]["data_offsets"]
            places += [self.start + begin, self.start + end - 1]
        pads = [name for name in self.entries if name.startswith(PAD)]
        for name in pads[:10]:
            places.append(self.start + rng.randrange(*self.entries[name]["data_offsets"]))
        places += [rng.randrange(self.start) for _ in range(self.FLIPS // 4)]
        while len(places) < self.FLIPS:
            places.append(rng.randrange(self.start, size))
        return [8 * place + rng.randrange(8) for place in places]

    def test_every_flipped_bit_is_found_and_its_tensor_named(self):
        bits = self.places()
        paths = []
        for i, bit in enumerate(bits):
            paths.append(self.path("flip_%d.mdl" % i))
            shutil.copyfile(self.good, paths[-1])
            kit.flip_bit(paths[-1], bit)
        code, reports = verify(*paths)
        self.assertEqual(kit.CHECKPOINT, code)
        self.assertEqual(len(bits), len(reports))
        for bit, report in zip(bits, reports):
            self.check_report(bit // 8, report, "bit %d, CAIRN_TEST_SEED=%d: %s"
                              % (bit, SEED, report))

    def check_report(self, offset, report, message):
        self.assertFalse(report["ok"], message)
        self.assertIn(report["path"], report["problem"], message)
        owner = self.owner(offset)
        if owner is None:
            self.assertEqual([], report["damage"], message)
            return
        self.assertEqual(1, len(report["damage"]), message)
        damage = report["damage"][0]
        self.assertEqual(None if owner.startswith(PAD) else owner, damage["tensor"], message)
        self.assertLessEqual(damage["begin"], offset, message)
        self.assertGreater(damage["end"], offset, message)

    def test_damage_is_named_in_text_too(self):
        name = "model.ln_f.bias"
        begin = self.start + self.entries[name]["data_offsets"][0]
        kit.flip_bit(self.good, 8 * begin)
        done = kit.run(["checkpoint", "verify", self.good], kit.CHECKPOINT)
        self.assertIn("%s: damaged: %s, bytes %d to %d: " % (self.good, name, begin, begin + 64),
                      done.out)
        self.assertIn("damaged at 1 place", done.err)

    def test_every_truncation_is_found(self):
        size = os.path.getsize(self.good)
        lengths = [0, 1, 7, 8, 9, 100, self.start - 1, self.start, self.start + 1, size // 2,
                   size - 4096, size - 1]
        paths = []
        for length in lengths:
            paths.append(self.path("cut_%d.mdl" % length))
            shutil.copyfile(self.good, paths[-1])
            os.truncate(paths[-1], length)
        paths.append(self.path("longer.mdl"))
        shutil.copyfile(self.good, paths[-1])
        with open(paths[-1], "ab") as file:
            file.write(b"\0")
        code, reports = verify(*paths)
        self.assertEqual(kit.CHECKPOINT, code)
        self.assertEqual([False] * len(paths), [report["ok"] for report in reports], reports)

    def test_checkpoint_without_its_metadata_is_damaged_in_a_model_dir(self):
        """A plain file that bears a checkpoint's name lost its digests: never taken by itself."""
        entries, start = kit.header(self.good)
        entries.pop("__metadata__")
        text = json.dumps(entries).encode()
        with open(self.good, "rb") as file:
            data = file.read()[start:]
        with open(self.good, "wb") as file:
            file.write(len(text).to_bytes(8, "little") + text + data)
        done = self.fit(self.config_path, self.model_dir)
        self.assertRegex(done.err, r"checkpoint_6\.mdl is damaged and skipped")
        self.assertRegex(done.err, r"continues run \w+ from \S+checkpoint_4\.mdl")
        code, reports = verify(self.good)
        self.assertEqual((kit.OK, False), (code, reports[0]["has_digests"]))


class BesideTest(FilesCase):
    """Commands that read, beside a fit that writes."""

    def test_list_info_verify_and_validate_work_beside_a_running_fit(self):
        config = self.write_config(self.config(loop={"max_steps": 60}, checkpoint={"steps": 5}))
        with kit.Running(self.fit_args(config, self.model_dir)) as running:
            for step in (5, 20, 40):
                self.assertTrue(running.wait_for(r"Saved checkpoint .*checkpoint_%d\.mdl" % step))
                path = os.path.join(self.model_dir, "checkpoint_%d.mdl" % step)
                listed = kit.run(["checkpoint", "list", self.model_dir, "--json"]).json()
                self.assertEqual(list(range(5, step + 1, 5)),
                                 [each["step"] for each in listed][:step // 5])
                for each in listed:
                    self.assertEqual(("full", True, ""),
                                     (each["kind"], each["own"], each["problem"]))
                self.assertEqual(step, info(path)["step"])
                self.assertEqual(kit.OK, verify(path)[0])
                valid = kit.run(["validate", config, "-o", self.model_dir, "--threads", "1",
                                 "--checkpoint_path", path, "--json"]).json()
                self.assertEqual(step, valid["step"])
            done = running.finish()
        self.assertEqual(kit.OK, done.code, done.err)
        self.assertEqual("finished", done.result["result"])

    def test_reading_commands_write_nothing(self):
        paths = self.train()
        before = kit.snapshot(self.dir)
        kit.run(["checkpoint", "list", self.model_dir])
        kit.run(["checkpoint", "info", paths[0]])
        kit.run(["checkpoint", "verify"] + paths)
        kit.run(["validate", self.config_path, "-o", self.model_dir, "--threads", "1"])
        kit.run(["generate", "--checkpoint_path", paths[0], "--prompt", "a", "--max_tokens", "3"])
        self.assertEqual(before, kit.snapshot(self.dir))

    def test_list_says_what_is_there(self):
        self.train(callbacks=[{"SaveCheckpointState": {"k": 2}}])
        shutil.copyfile(os.path.join(self.model_dir, "checkpoint_2.mdl"),
                        os.path.join(self.model_dir, "checkpoint_2_20260311_142501.mdl"))
        os.truncate(os.path.join(self.model_dir, "checkpoint_4.mdl"), 1000)
        listed = kit.run(["checkpoint", "list", self.model_dir, "--json"]).json()
        self.assertEqual(
            [("checkpoint_2.mdl", "full", 2), ("checkpoint_2_20260311_142501.mdl", "full", 2),
             ("checkpoint_4.mdl", "damaged", 4), ("checkpoint_6.mdl", "full", 6),
             ("model_checkpoint_4.mdl", "alternative", 4),
             ("model_checkpoint_6.mdl", "alternative", 6)],
            [(os.path.basename(each["path"]), each["kind"], each["step"]) for each in listed])
        self.assertEqual([each["kind"] == "damaged" for each in listed],
                         [each["problem"] != "" for each in listed])
        text = kit.run(["checkpoint", "list", self.model_dir]).out
        for each in listed:
            self.assertRegex(text, r"%d +%s .*%s" % (each["step"], each["kind"],
                                                     os.path.basename(each["path"])))

    def test_list_of_an_empty_folder(self):
        os.mkdir(self.model_dir)
        self.assertEqual([], kit.run(["checkpoint", "list", self.model_dir, "--json"]).json())
        self.assertEqual([], os.listdir(self.model_dir))

    def test_index_names_what_is_there__relative_to_the_model_dir(self):
        self.train(callbacks=[{"KeepNCheckpoints": {"n": 2}}])
        with open(os.path.join(self.model_dir, "checkpoints_index.yaml"), encoding="utf-8") as file:
            names = re.findall(r"checkpoint_\w+\.mdl", file.read())
        self.assertEqual(["checkpoint_4.mdl", "checkpoint_6.mdl"], names)
        self.assertEqual(names, kit.checkpoints(self.model_dir))


class ReportTest(FilesCase):
    """What a run tells of its saves."""

    def check(self, is_background):
        paths = self.train(checkpoint={"asynchronous": is_background},
                           callbacks=[{"SaveCheckpointState": {"k": 3}}])
        full = [path for path in paths if os.path.basename(path).startswith("checkpoint_")]
        extra = os.path.join(self.model_dir, "model_checkpoint_6.mdl")
        saves = kit.read_metrics(self.model_dir).saves
        self.assertEqual(["checkpoint"] * 3, [entry["event"] for entry in saves])
        self.assertEqual([2, 4, 6], [entry["step"] for entry in saves])
        self.assertEqual(full, [entry["path"] for entry in saves])
        self.assertEqual([os.path.getsize(path) for path in full[:2]] +
                         [os.path.getsize(full[2]) + os.path.getsize(extra)],
                         [entry["bytes"] for entry in saves])
        for entry in saves:
            self.assertGreater(float(entry["blocked_ms"]), 0)
            self.assertGreater(float(entry["gb_per_s"]), 0)
            self.assertEqual(is_background, float(entry["background_ms"]) > 0)
            self.assertEqual(entry["step"] > 2, "percent_of_fastest" in entry)
            self.assertLessEqual(float(entry.get("percent_of_fastest", 0)), 100)
        self.assertEqual(list(range(1, 7)), sorted(kit.read_metrics(self.model_dir).steps))

    def test_metrics_have_a_line_for_each_save(self):
        self.check(True)

    def test_metrics_have_a_line_for_each_save_that_is_waited_for(self):
        self.check(False)

    def test_the_end_sums_up_what_saves_took(self):
        done = self.fit(self.write_config(self.config()), self.model_dir)
        self.assertRegex(done.err, r"Saved checkpoint \S+_4\.mdl \(.* GB/s, \d+ % of the "
                                   r"fastest save; training waited [\d.]+ ms\)")
        self.assertRegex(done.err, r"3 saves, 0 failed; training waited for each: p50 [\d.]+ ms, "
                                   r"p99 [\d.]+ ms, max [\d.]+ ms")
        self.assertRegex(done.err, r"saves wrote [\d.]+ \w+; in the background for each: p50 "
                                   r"[\d.]+ ms, p99 [\d.]+ ms, max [\d.]+ ms; p50 [\d.]+ GB/s, "
                                   r"\d+ % of the fastest \([\d.]+ GB/s\)")
        self.assertRegex(done.err, r"plan: saves write up to [\d.]+ \w+ an hour, [\d.]+ \w+ a "
                                   r"day \(a save every 2 steps of \S+ s\)")


class RepairTest(FilesCase):
    """What a crash left behind, and what a user moved."""

    def killed(self, step):
        """A run with saves every 5 steps, killed when it said that it was at @step."""
        config = self.write_config(self.config(loop={"max_steps": 20}, checkpoint={"steps": 5}))
        with kit.Running(self.fit_args(config, self.model_dir)) as running:
            self.assertTrue(running.wait_for_saved(5, step))
            self.assertTrue(running.kill())
        return config

    def check_equals_whole(self, config, model_dir):
        self.fit(config, self.path("whole"))
        self.assertEqual(kit.read_metrics(self.path("whole")).bits(),
                         kit.read_metrics(model_dir).bits())
        last = [os.path.join(folder, "checkpoint_20.mdl") for folder in
                (self.path("whole"), model_dir)]
        self.assertEqual(kit.tensors(last[0]), kit.tensors(last[1]))

    def test_metrics_with_a_cut_last_line_are_repaired_on_resume(self):
        config = self.killed(9)
        metrics = os.path.join(self.model_dir, "metrics.jsonl")
        saved = kit.checkpoints(self.model_dir)[-1]
        with open(metrics, "rb") as file:
            lines = file.read().splitlines(keepends=True)
        self.assertGreater(max(json.loads(line)["step"] for line in lines),
                           int(re.search(r"\d+", saved).group()))
        os.truncate(metrics, sum(map(len, lines)) - len(lines[-1]) // 2)
        self.fit(config, self.model_dir, "--resume")
        with open(metrics, "rb") as file:
            repaired = file.read()
        # Nothing was rewritten: the cut line has been ended, the rest follows.
        self.assertTrue(repaired.startswith(b"".join(lines[:-1])))
        got = kit.read_metrics(self.model_dir)
        self.assertEqual(1, got.unreadable)
        self.assertEqual(1, sum(entry.get("event") == "resume" for entry in got.raw))
        self.check_equals_whole(config, self.model_dir)

    def test_leftovers_of_a_crash_are_swept(self):
        config = self.killed(6)
        leftover = os.path.join(self.model_dir, ".checkpoint_5.mdl.0123456789abcdef.part")
        with open(leftover, "wb") as file:
            file.write(b"half a checkpoint")
        self.fit(config, self.model_dir, "--resume")
        self.assertEqual([], [name for name in os.listdir(self.model_dir)
                              if name.endswith(".part")])
        self.check_equals_whole(config, self.model_dir)

    def test_moved_model_dir_is_resumed(self):
        config = self.killed(7)
        moved = self.path("elsewhere", "run")
        os.mkdir(self.path("elsewhere"))
        os.rename(self.model_dir, moved)
        done = self.fit(config, moved, "--resume")
        self.assertRegex(done.err, r"continues run \w+ from %s/checkpoint_\d+\.mdl" % moved)
        self.assertFalse(os.path.exists(self.model_dir))
        self.check_equals_whole(config, moved)

    def test_moved_model_dir_is_resumed__before_the_first_save_of_its_second_start(self):
        """What a start loaded is found again, since it lies in the model_dir."""
        self.train(loop={"max_steps": 4}, checkpoint={"steps": 4})
        config = self.write_config(self.config(loop={"max_steps": 20}, checkpoint={"steps": 16}))
        with kit.Running(self.fit_args(config, self.model_dir)) as running:
            self.assertTrue(running.wait_for(r"Train.*Step=6,"))
            self.assertTrue(running.kill())
        moved = self.path("moved")
        os.rename(self.model_dir, moved)
        done = self.fit(config, moved, "--resume")
        self.assertRegex(done.err, r"continues run \w+ from %s/checkpoint_4\.mdl at step 4" % moved)
        self.assertEqual(["checkpoint_4.mdl", "checkpoint_20.mdl"], kit.checkpoints(moved))
        self.check_equals_whole(config, moved)

    def test_relative_model_dir(self):
        config = self.write_config(self.config())
        kit.run(["fit", config, "-o", "here/m", "--threads", "1"], cwd=self.dir)
        self.assertEqual(3, len(kit.checkpoints(self.path("here", "m"))))
        done = kit.run(["fit", config, "-o", "m", "--threads", "1", "--resume"],
                       cwd=self.path("here"))
        self.assertEqual("complete", done.result["result"])


if __name__ == "__main__":
    unittest.main()
