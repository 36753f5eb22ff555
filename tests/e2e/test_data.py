"""Data in the formats of others: token shards and the Model Zoo's HDF5 files (tests/hdf5)."""
import array
import os
import random
import signal
import unittest

import kit

HDF5 = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "hdf5")
HAS_HDF5 = os.path.exists(os.path.join(os.path.dirname(kit.BIN), "cairn-hdf5"))
STEPS = 40


def write_shard(path, count, seed, header):
    """uint16 tokens below 256, behind llm.c's header or none."""
    rng = random.Random(seed)
    with open(path, "wb") as file:
        if header:
            file.write(array.array("i", [20240520, 1, count] + [0] * 253).tobytes())
        tokens, last = [], 0
        for _ in range(count):
            last = (last + rng.choice((1, 1, 1, 2, 7))) % 256
            tokens.append(last)
        file.write(array.array("H", tokens).tobytes())


def child_of(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as file:
        return int(file.read())


def is_waiting(pid):
    """Whether the first thread of the process waits for another one."""
    with open("/proc/%d/syscall" % pid, encoding="ascii") as file:
        return file.read().split()[:1] == ["202"]  # futex on x86-64


class DataCase(kit.Case):
    def config(self, train, val=None):
        config = kit.tiny_config(self.text, val=False,
                                 loop={"max_steps": STEPS,
                                       "eval_frequency": 10 if val else 0},
                                 checkpoint={"steps": 5})
        fit = config["trainer"]["fit"]
        fit["train_dataloader"] = train
        if val:
            fit["val_dataloader"] = val
        return config

    def check_killed(self, config):
        """A run that was killed twice ends as one that was not."""
        path = self.write_config(config)
        whole, parts = self.path("whole"), self.path("parts")
        first = self.fit(path, whole)
        self.assertEqual(STEPS, first.step)
        for saved, step in ((5, 8), (20, 22)):
            with kit.Running(self.fit_args(path, parts, "--resume")) as running:
                self.assertTrue(running.wait_for_saved(saved, step), running.lines)
                self.assertTrue(running.kill())
        self.fit(path, parts, "--resume")
        self.assertEqual(kit.read_metrics(whole).bits(), kit.read_metrics(parts).bits())
        last = "checkpoint_%d.mdl" % STEPS
        self.assertEqual(kit.metadata(os.path.join(whole, last))["cairn.state_digest"],
                         kit.metadata(os.path.join(parts, last))["cairn.state_digest"])
        return kit.read_metrics(whole)


class ShardTest(DataCase):
    def shards(self):
        folder = self.path("tokens")
        os.makedirs(folder)
        write_shard(os.path.join(folder, "set_train_000000.bin"), 700, 1, True)
        write_shard(os.path.join(folder, "set_train_000001.bin"), 333, 2, True)
        write_shard(os.path.join(folder, "set_val_000000.bin"), 200, 3, False)
        return {"data_processor": "TokenBinDataProcessor", "data_dir": folder, "split": "train",
                "max_sequence_length": 16, "batch_size": 4, "shuffle": True}

    def test_killed_run_on_shards_equals_an_uninterrupted_one(self):
        train = self.shards()
        metrics = self.check_killed(self.config(
            train, kit.merge(train, {"split": "val", "shuffle": False})))
        losses = [float(metrics.steps[step]["loss"]) for step in sorted(metrics.steps)]
        self.assertLess(losses[-1], losses[0])
        self.assertEqual([10, 20, 30, 40], sorted(metrics.validations))

    def test_training_with_the_validation_shards_is_refused(self):
        train = kit.merge(self.shards(), {"split": "all"})
        result = self.fit(self.write_config(self.config(train)), self.path("m"), expect=kit.DATA)
        self.assertIn("set split to train or val", result.err)

    def test_file_that_shrinks_in_training_ends_it_with_a_checkpoint_that_goes_on(self):
        train = self.shards()
        path = self.write_config(self.config(train))
        whole, parts = self.path("whole"), self.path("parts")
        self.fit(path, whole)
        shard = os.path.join(train["data_dir"], "set_train_000000.bin")
        with open(shard, "rb") as file:
            good = file.read()
        with kit.Running(self.fit_args(path, parts)) as running:
            self.assertTrue(running.wait_for_saved(5, 8), running.lines)
            os.truncate(shard, 1100)
            result = running.finish()
        self.assertEqual(kit.DATA, result.code, result.err)
        self.assertIn("set_train_000000.bin' became shorter while it was in use", result.err)
        kit.run(["checkpoint", "verify", os.path.join(parts, kit.checkpoints(parts)[-1])])
        result = self.fit(path, parts, "--resume", expect=kit.DATA)
        self.assertIn("set_train_000000.bin'", result.err)
        with open(shard, "wb") as file:
            file.write(good)
        self.fit(path, parts, "--resume")
        self.assertEqual(kit.read_metrics(whole).bits(), kit.read_metrics(parts).bits())

    def test_batches_read_ahead_are_those_read_when_they_are_needed(self):
        train = self.shards()
        val = kit.merge(train, {"split": "val", "shuffle": False, "drop_last": False})
        runs = []
        for ahead in (0, None, 7):
            more = {"prefetch_factor": ahead}
            path = self.write_config(self.config(kit.merge(train, more), kit.merge(val, more)))
            self.fit(path, self.path("ahead_%s" % ahead))
            runs.append(kit.read_metrics(self.path("ahead_%s" % ahead)).bits())
        self.assertEqual([runs[0]] * 2, runs[1:])

    def test_tokens_beyond_the_vocabulary_are_named(self):
        train = self.shards()
        config = kit.merge(self.config(train), {"trainer": {"init": {"model": {
            "vocab_size": 100}}}})
        result = self.fit(self.write_config(config), self.path("m"), expect=kit.DATA)
        self.assertIn("is outside the vocabulary 0 ... 99", result.err)


@unittest.skipUnless(HAS_HDF5, "this build lacks HDF5")
class Hdf5Test(DataCase):
    def loader(self, name="GptHDF5MapDataProcessor", **more):
        return kit.merge({"data_processor": name, "data_dir": os.path.join(HDF5, "good", "train"),
                          "batch_size": 6, "shuffle": True, "shuffle_seed": 3, "num_workers": 8,
                          "prefetch_factor": 10, "persistent_workers": True}, more)

    def test_killed_run_on_samples_equals_an_uninterrupted_one(self):
        # 40 samples in batches of 6: the rest of an epoch begins the next.
        val = self.loader(shuffle=False, data_subset="0.5-1.0", drop_last=False, pad_last=True)
        metrics = self.check_killed(self.config(self.loader(), val))
        losses = [float(metrics.steps[step]["loss"]) for step in sorted(metrics.steps)]
        self.assertLess(losses[-1], losses[0])
        self.assertEqual([10, 20, 30, 40], sorted(metrics.validations))

    def test_killed_run_on_a_mixture_equals_an_uninterrupted_one(self):
        folder = os.path.join(HDF5, "good", "train")
        train = self.loader(shuffle=False, num_samples=50, mixture=[
            {"data_dir": [folder], "weight": 3, "data_subset": "0.0-0.5"},
            {"data_dir": folder, "weight": 1, "data_subset": "0.5-1.0"}])
        del train["data_dir"]
        self.check_killed(self.config(train))

    def test_killed_run_on_a_corpus_equals_an_uninterrupted_one(self):
        train = self.loader(data_dir=os.path.join(HDF5, "good", "corpus"), batch_size=2,
                            max_sequence_length=4)
        self.check_killed(self.config(train))

    def test_batches_read_ahead_are_those_read_when_they_are_needed(self):
        val = self.loader(shuffle=False, data_subset="0.5-1.0", drop_last=False, pad_last=True)
        runs = []
        for ahead in (0, 10):
            more = {"prefetch_factor": ahead}
            path = self.write_config(self.config(self.loader(**more), kit.merge(val, more)))
            self.fit(path, self.path("ahead_%s" % ahead))
            runs.append(kit.read_metrics(self.path("ahead_%s" % ahead)).bits())
        self.assertEqual(runs[0], runs[1])

    def test_run_whose_data_hangs_can_be_stopped_and_goes_on(self):
        path = self.write_config(self.config(self.loader()))
        whole, parts = self.path("whole"), self.path("parts")
        self.fit(path, whole)
        with kit.Running(self.fit_args(path, parts)) as running:
            self.assertTrue(running.wait_for("training data:"), running.lines)
            helper = child_of(running.process.pid)
            os.kill(helper, signal.SIGSTOP)
            try:
                self.assertTrue(running.wait_for("Train loop 1 of 1"), running.lines)
                while not is_waiting(running.process.pid):
                    pass
                running.signal(signal.SIGTERM)
                result = running.finish()
            finally:
                os.kill(helper, signal.SIGKILL)
        self.assertEqual(kit.STOPPED, result.code, result.err)
        self.assertEqual(0, result.step)
        self.fit(path, parts, "--resume")
        self.assertEqual(kit.read_metrics(whole).bits(), kit.read_metrics(parts).bits())

    def test_iterable_processor_takes_the_keys_of_public_configurations(self):
        train = self.loader("GptHDF5DataProcessor", vocab_size=256, repeat=True)
        result = self.fit(self.write_config(self.config(train)), self.path("m"))
        for key in ("num_workers", "persistent_workers", "vocab_size"):
            self.assertIn("%s has no effect" % key, result.err)
        lacking = self.loader(data_transforms=[{"name": "add_sink_tokens"}], use_vsl=True)
        result = self.fit(self.write_config(self.config(lacking)), self.path("m"),
                          expect=kit.USAGE)
        self.assertIn("data_transforms: this version lacks transforms of samples", result.err)
        self.assertIn("use_vsl: this version lacks variable sequence length", result.err)

    def test_file_of_another_layout_is_named(self):
        train = self.loader(data_dir=os.path.join(HDF5, "bad", "two_axes"))
        result = self.fit(self.write_config(self.config(train)), self.path("m"), expect=kit.DATA)
        self.assertIn("bad/two_axes/data.h5': 'data' has 2 axes", result.err)


if __name__ == "__main__":
    unittest.main()
