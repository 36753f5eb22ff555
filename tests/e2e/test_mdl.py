"""Checkpoints of the Model Zoo (HDF5 .mdl): real ones, saved by its own Trainer, and hostile ones
(tests/interop/make_mdl.py)."""
import array
import gzip
import hashlib
import json
import os
import re
import unittest

import kit

FIXTURES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "interop", "mdl")
HAS_HDF5 = os.path.exists(os.path.join(os.path.dirname(kit.BIN), "cairn-hdf5"))
LINE = r"cairn: [^\n]*\n"
SAVED, STEPS, BATCH, LENGTH = 4, 6, 4, 16

# What each file of bad/ is told.
REASONS = {
    "big_endian": "not stored as what its metadata say",
    "deep": "tree of keys is none, or too deep",
    "empty_key": "a key is empty or too long",
    "external_link": "is a link to elsewhere",
    "external_storage": "is stored in other files",
    "filter": "is packed with filter 32015",
    "group": "is no data set",
    "huge_chunk": "has chunks over 256 MiB",
    "negative_step": "its global_step is -3",
    "new_version": "is of format 0.7, which is newer",
    "no_data": "has no data set 'model.ln_f.weight'",
    "no_json": "is no JSON",
    "no_metadata": "has no 'model.more.__metadata__'",
    "no_model": "holds no tensor of a model",
    "no_type": "nothing says what 'model.ln_f.weight' is",
    "not_finished": "not written to its end",
    "old_version": "is of format 0.4, whose parts are pickled",
    "other_file": "reaches for other files",
    "other_shape": "has not the shape that its metadata say",
    "other_type": "not stored as what its metadata say",
    "packed_lie": "the data of 'model.ln_f.weight' cannot be read",
    "packed_wild": "the data of 'model.ln_f.weight' cannot be read",
    "slash": "with a slash in its name",
    "soft_link": "is a link to elsewhere",
    "tied_to_itself": "is tied to what is not there",
    "tied_to_nothing": "is tied to what is not there",
    "twice": "holds 'model.ln_f.weight' twice",
    "unknown_type": "as DeferredGraphTensor, which is not read",
    "virtual": "is a virtual data set",
    "wild_fill": "is too large",
}
UNSUPPORTED = ("new_version", "old_version", "unknown_type")
PACKED = ("packed_lie", "packed_wild")  # found when the tensor is read


def expected(name):
    with open(os.path.join(FIXTURES, "expected.json"), encoding="utf-8") as file:
        return json.load(file)[name]


@unittest.skipUnless(HAS_HDF5, "this build lacks HDF5")
class MdlCase(kit.Case):
    def unpack(self, name, to="theirs.mdl"):
        path = self.path(to)
        with gzip.open(os.path.join(FIXTURES, name + ".mdl.gz")) as file, open(path, "wb") as out:
            out.write(file.read())
        return path

    def config(self, model, path, first=SAVED, **init):
        """Goes on where the Model Zoo stopped: its data from step @first on, its schedule."""
        os.makedirs(self.path("tokens"), exist_ok=True)
        ids = [(7 * i * i + 3 * i) % 50 for i in range(LENGTH * 64 + 1)]
        with open(self.path("tokens/ids.bin"), "wb") as file:
            array.array("H", ids[first * BATCH * LENGTH:]).tofile(file)
        config = kit.tiny_config("", val=False)
        config["trainer"]["init"].update({
            "model_dir": self.path("run"), "model": model, "checkpoint": {"steps": 2},
            "loop": {"max_steps": STEPS, "eval_frequency": 0}, "precision": {},
            "schedulers": [{"SequentialLR": {"milestones": [2], "schedulers": [
                {"LinearLR": {"initial_learning_rate": 0.0, "end_learning_rate": 0.01,
                              "total_iters": 2}},
                {"CosineDecayLR": {"initial_learning_rate": 0.01, "end_learning_rate": 0.001,
                                   "total_iters": 4}}]}}]})
        config["trainer"]["init"].update(init)
        config["trainer"]["fit"] = {"ckpt_path": path, "train_dataloader": {
            "data_processor": "TokenBinDataProcessor", "data_dir": self.path("tokens"),
            "max_sequence_length": LENGTH, "batch_size": BATCH, "shuffle": False}}
        return self.write_config(config)

    def losses(self):
        with open(self.path("run/metrics.jsonl"), encoding="utf-8") as file:
            return [line["loss"] for line in map(json.loads, file) if "loss" in line]


class RealTest(MdlCase):
    def goes_on(self, name):
        facts = expected(name)
        result = kit.run(["fit", self.config(facts["model"], self.unpack(name))])
        self.assertEqual(result.step, STEPS)
        self.assertIn("loaded model, optimizer, schedulers, global_step", result.err)
        self.assertIn("the checkpoint has no digests", result.err)
        losses = self.losses()
        self.assertEqual(len(losses), STEPS - SAVED)
        for ours, theirs in zip(losses, facts["losses"][SAVED:]):
            self.assertLess(abs(ours - theirs), 1e-6 * theirs)

    def test_a_run_of_gpt2_goes_on_with_the_losses_of_the_model_zoo(self):
        self.goes_on("gpt2")

    def test_a_run_of_llama_goes_on_with_the_losses_of_the_model_zoo(self):
        self.goes_on("llama")

    def test_every_tensor_of_model_and_optimizer_is_the_same_bits(self):
        facts = expected("gpt2")
        path = self.config(facts["model"], self.unpack("gpt2"),
                           checkpoint={"steps": 2, "save_initial_checkpoint": True})
        kit.run(["fit", path])
        ours = kit.tensors(self.path("run/checkpoint_4.mdl"))
        theirs = facts["tensors"]
        decayed = [name for name in facts["parameters"]
                   if "bias" not in name and "norm" not in name and "ln_f" not in name]
        order = decayed + [name for name in facts["parameters"] if name not in decayed]
        self.assertEqual(len(ours), 3 * len(order))
        for i, name in enumerate(order):
            self.assertEqual(hashlib.sha256(ours["model." + name]).hexdigest(),
                             theirs["model.model." + name])
            for moment in ("exp_avg", "exp_avg_sq"):
                self.assertEqual(
                    hashlib.sha256(ours["optimizer.%s.%s" % (name, moment)]).hexdigest(),
                    theirs["optimizer.state.%d.%s" % (i, moment)])

    def test_both_convert_and_the_tensors_are_the_same_bits(self):
        for name in ("gpt2", "llama"):
            facts = expected(name)
            source = self.unpack(name)
            result = kit.run(["checkpoint", "convert", source, self.path(name), "--to", "cairn"])
            self.assertIn("max |difference| 0 ", result.out)
            ours = kit.tensors(self.path(name, "checkpoint_0.mdl"))
            self.assertEqual(len(ours), len(facts["parameters"]))
            for key, data in ours.items():
                self.assertEqual(hashlib.sha256(data).hexdigest(), facts["tensors"]["model." + key])
            kit.run(["checkpoint", "convert", source, self.path(name + "-hf"), "--to", "hf"])

    def test_generate_reads_one(self):
        for name in ("gpt2", "llama"):
            source = self.unpack(name)
            kit.run(["checkpoint", "convert", source, self.path(name), "--to", "cairn"])
            texts = [kit.run(["generate", "--checkpoint_path", path, "--tokenizer", "bytes",
                              "--prompt", "!!", "-n", 8]).out
                     for path in (source, self.path(name, "checkpoint_0.mdl"))]
            self.assertEqual(texts[0], texts[1])

    def test_other_kinds_of_what_it_stores(self):
        facts = expected("kinds")
        kit.run(["checkpoint", "convert", self.unpack("kinds"), self.path("kinds"), "--to",
                 "cairn"])
        ours = kit.tensors(self.path("kinds/checkpoint_0.mdl"))
        for name, digest in facts.items():
            name = name.replace("lm_head", "embedding_layer.word_embeddings")
            self.assertEqual(hashlib.sha256(ours["model." + name]).hexdigest(), digest)
        self.assertEqual(array.array("f", ours["model.ln_f.bias"]).tolist(), [0.5] * 8)


class StatesTest(MdlCase):
    def test_weights_alone_begin_at_step_0(self):
        path = self.config(expected("gpt2")["model"], self.unpack("gpt2"))
        result = kit.run(["fit", path, "--load_checkpoint_states", "model",
                          "--set", "trainer.init.loop.max_steps=1"])
        self.assertIn("loaded model; fresh: optimizer", result.err)
        self.assertEqual(result.step, 1)

    def test_a_state_that_is_not_there_is_refused_by_name(self):
        path = self.config(expected("gpt2")["model"], self.unpack("gpt2"))
        result = kit.run(["fit", path, "--load_checkpoint_states", "model,dataloader"],
                         expect=kit.CHECKPOINT)
        self.assertIn("has no state 'dataloader'; it has: model,optimizer,schedulers,global_step",
                      result.err)

    def test_an_optimizer_of_more_groups_begins_anew_and_that_is_said(self):
        path = self.config(expected("gpt2")["model"], self.unpack("groups"))
        result = kit.run(["fit", path])
        self.assertIn("The state of the optimizer in '%s' is not loaded" % self.path("theirs.mdl"),
                      result.err)
        self.assertIn("loaded model, global_step; fresh: optimizer, schedulers", result.err)

    def test_a_model_of_another_shape_is_refused(self):
        model = dict(expected("gpt2")["model"], filter_size=24)
        result = kit.run(["fit", self.config(model, self.unpack("gpt2"))], expect=kit.CHECKPOINT)
        self.assertIn("F32 [16, 8] in the file and F32 [24, 8] here", result.err)

    def test_validate_reads_it(self):
        path = self.config(expected("gpt2")["model"], self.unpack("gpt2"))
        with open(path, encoding="utf-8") as file:
            config = json.load(file)
        config["trainer"]["validate"] = {
            "ckpt_path": self.path("theirs.mdl"),
            "val_dataloader": config["trainer"].pop("fit")["train_dataloader"]}
        with open(path, "w", encoding="utf-8") as file:
            json.dump(config, file)
        self.assertIn("Loading weights from checkpoint", kit.run(["validate", path]).err)

    def test_one_in_a_model_dir_is_named_and_never_loaded_by_itself(self):
        path = self.config(expected("gpt2")["model"], None)
        os.makedirs(self.path("run"))
        self.unpack("gpt2", "run/checkpoint_4.mdl")
        with open(path, encoding="utf-8") as file:
            config = json.load(file)
        del config["trainer"]["fit"]["ckpt_path"]
        with open(path, "w", encoding="utf-8") as file:
            json.dump(config, file)
        result = kit.run(["fit", path], expect=kit.CHECKPOINT)
        self.assertRegex(result.err, r"checkpoint_4.mdl is damaged and skipped: .*HDF5")


class BadTest(MdlCase):
    def test_all_of_them_are_known(self):
        files = os.listdir(os.path.join(FIXTURES, "bad"))
        self.assertEqual(sorted(name.partition(".")[0] for name in files), sorted(REASONS))

    def refused(self, path, reason, code=kit.CHECKPOINT):
        result = kit.run(["checkpoint", "convert", path, self.path("ours"), "--to", "cairn"],
                         expect=code)
        self.assertRegex(result.err, "^%s$" % LINE)
        self.assertIn(reason, result.err)
        self.assertFalse(os.path.exists(self.path("ours")))

    def test_each_is_refused_in_one_line_that_says_why(self):
        for name, reason in REASONS.items():
            if name not in PACKED:
                with self.subTest(name):
                    self.refused(self.unpack("bad/" + name), reason,
                                 kit.USAGE if name in UNSUPPORTED else kit.CHECKPOINT)

    def test_wrongly_packed_tensors_are_refused_when_they_are_read(self):
        model = dict(expected("gpt2")["model"], hidden_size=4)
        for name in PACKED:
            path = self.config(model, self.unpack("bad/" + name), checkpoint={
                "steps": 2, "disable_strict_checkpoint_loading": True})
            result = kit.run(["fit", path], expect=kit.CHECKPOINT)
            self.assertIn(REASONS[name], result.err)

    def test_files_cut_anywhere_are_refused(self):
        with open(self.unpack("kinds"), "rb") as file:
            data = file.read()
        for size in (8, 9, 100, 512, 2048, len(data) // 3, len(data) // 2, len(data) - 1):
            with self.subTest(size):
                with open(self.path("cut.mdl"), "wb") as file:
                    file.write(data[:size])
                self.refused(self.path("cut.mdl"), "")

    def test_a_changed_byte_never_crashes_the_program(self):
        with open(self.unpack("bad/other_shape"), "rb") as file:
            data = file.read()
        for at in range(0, len(data), len(data) // 60):
            changed = bytearray(data)
            changed[at] ^= 0xFF
            with open(self.path("changed.mdl"), "wb") as file:
                file.write(changed)
            result = kit.run(["checkpoint", "convert", self.path("changed.mdl"), self.path("ours"),
                              "--to", "cairn"], expect=None)
            self.assertIn(result.code, (kit.USAGE, kit.CHECKPOINT))
            self.assertTrue(re.fullmatch(LINE, result.err), result.err)


if __name__ == "__main__":
    unittest.main()
