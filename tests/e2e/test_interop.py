"""cairn checkpoint convert: from and to Hugging Face folders."""
import json
import os
import shutil
import unittest

import numpy
from safetensors.numpy import load_file, save_file

import kit

FIXTURES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "interop")


class InteropCase(kit.Case):
    def convert(self, source, name, to, expect=kit.OK):
        path = self.path(name)
        done = kit.run(["checkpoint", "convert", source, path, "--to", to, "--json"],
                       expect=expect)
        if expect != kit.OK:
            self.assertFalse(os.path.exists(path))
            self.assertEqual([], [n for n in os.listdir(os.path.dirname(path))
                                  if n.endswith(".part")])
        return done if expect != kit.OK else done.json()

    def copy(self, fixture):
        """A copy of a fixture that a test may damage."""
        path = self.path("copy")
        shutil.copytree(os.path.join(FIXTURES, fixture), path)
        return path


class RoundTripTest(InteropCase):
    def check(self, fixture):
        said = self.convert(os.path.join(FIXTURES, fixture), "ours", "cairn")
        self.assertEqual(0.0, said["max_difference"])
        self.assertGreaterEqual(said["positions"], 128)
        said = self.convert(self.path("ours/checkpoint_0.mdl"), "theirs", "hf")
        self.assertEqual(0.0, said["max_difference"])
        self.assertEqual(["config.json", "model.safetensors"],
                         sorted(os.listdir(self.path("theirs"))))
        return load_file(self.path("theirs/model.safetensors"))

    def test_a_gpt2_comes_back_bit_for_bit(self):
        self.check_equal("gpt2")

    def test_a_llama_comes_back_bit_for_bit(self):
        self.check_equal("llama")

    def check_equal(self, fixture):
        back = self.check(fixture)
        first = load_file(os.path.join(FIXTURES, fixture, "model.safetensors"))
        self.assertEqual(sorted(first), sorted(back))
        for name, tensor in first.items():
            numpy.testing.assert_array_equal(tensor, back[name], name)

    def test_several_files_in_bf16_become_one_in_f32(self):
        back = self.check("llama_sharded")
        with open(os.path.join(FIXTURES, "llama_sharded", "model.safetensors.index.json"),
                  encoding="utf-8") as file:
            self.assertEqual(sorted(json.load(file)["weight_map"]), sorted(back))
        self.assertEqual({numpy.dtype("float32")}, {tensor.dtype for tensor in back.values()})

    def test_half_precision_is_read_exactly(self):
        folder = self.copy("gpt2")
        path = os.path.join(folder, "model.safetensors")
        halves = {name: tensor.astype(numpy.float16) for name, tensor in load_file(path).items()}
        halves["transformer.ln_f.bias"][:6] = [6e-8, -6e-8, 65504.0, -0.0, 6.1e-5, 1.0]
        save_file(halves, path, metadata={"format": "pt"})
        self.convert(folder, "ours", "cairn")
        self.convert(self.path("ours/checkpoint_0.mdl"), "theirs", "hf")
        back = load_file(self.path("theirs/model.safetensors"))
        for name, tensor in halves.items():
            numpy.testing.assert_array_equal(tensor.astype(numpy.float32), back[name], name)

    def test_files_of_the_bare_model_are_read_too(self):
        folder = self.copy("gpt2")
        path = os.path.join(folder, "model.safetensors")
        tensors = {name.removeprefix("transformer."): tensor
                   for name, tensor in load_file(path).items()}
        tensors["h.0.attn.bias"] = numpy.ones((1, 1, 128, 128), numpy.float32)
        save_file(tensors, path)
        self.convert(folder, "ours", "cairn")


class FineTuneTest(InteropCase):
    def test_a_converted_model_is_fine_tuned_continues_a_text_and_goes_back(self):
        self.convert(os.path.join(FIXTURES, "llama"), "ours", "cairn")
        params = self.path("ours/params.yaml")
        with open(params, encoding="utf-8") as file:
            self.assertRegex(file.read(),
                             r"(?s)num_kv_groups: 2.*original_max_position_embeddings: 64")
        changes = ["--set", "trainer.init.loop.max_steps=3", "--set",
                   "trainer.fit.train_dataloader.data_dir=" + self.text, "--set",
                   "trainer.fit.train_dataloader.batch_size=2"]
        done = kit.run(["fit", params, *changes])
        self.assertIn("result=finished step=3", done.out)
        self.assertIn("loaded model", done.err)
        tuned = self.path("ours/model_dir/checkpoint_3.mdl")
        first = kit.tensors(self.path("ours/checkpoint_0.mdl"))
        last = kit.tensors(tuned)
        self.assertTrue(any(first[name] != last[name] for name in first
                            if name.startswith("model.")))
        text = kit.run(["generate", "--checkpoint_path", self.path("ours/checkpoint_0.mdl"),
                        "--prompt", "ab", "-n", "4", "-t", "0"]).out
        self.assertTrue(text.startswith("ab"))
        said = self.convert(tuned, "theirs", "hf")
        self.assertEqual(0.0, said["max_difference"])

    def test_a_model_trained_here_goes_out_and_comes_back(self):
        config = self.write_config(kit.tiny_config(
            self.text, val=False, loop={"max_steps": 2, "eval_frequency": 0},
            model={"nonlinearity": "gelu_new"}))
        self.fit(config, self.path("m"))
        self.convert(self.path("m/checkpoint_2.mdl"), "theirs", "hf")
        self.convert(self.path("theirs"), "ours", "cairn")
        first = kit.tensors(self.path("m/checkpoint_2.mdl"))
        back = kit.tensors(self.path("ours/checkpoint_0.mdl"))
        for name, tensor in back.items():
            if name.startswith("model."):
                self.assertEqual(first[name], tensor, name)


class RefusalTest(InteropCase):
    def refused(self, source, to, code, *parts):
        done = self.convert(source, "out", to, expect=code)
        for part in parts:
            self.assertIn(part, done.err)

    def test_what_hugging_face_cannot_express_is_said(self):
        config = self.write_config(kit.tiny_config(
            self.text, val=False, loop={"max_steps": 1, "eval_frequency": 0},
            model={"embedding_layer_norm": True}))
        self.fit(config, self.path("m"))
        self.refused(self.path("m/checkpoint_1.mdl"), "hf", kit.USAGE, "embedding_layer_norm")

    def test_nothing_is_overwritten(self):
        os.mkdir(self.path("out"))
        done = kit.run(["checkpoint", "convert", os.path.join(FIXTURES, "gpt2"), self.path("out"),
                        "--to", "cairn"], expect=kit.IO)
        self.assertIn("exists already", done.err)
        self.assertEqual([], os.listdir(self.path("out")))

    def test_tensors_must_be_those_of_the_configuration(self):
        folder = self.copy("llama")
        path = os.path.join(folder, "model.safetensors")
        tensors = load_file(path)
        norm = tensors.pop("model.norm.weight")
        save_file(tensors, path)
        self.refused(folder, "cairn", kit.CHECKPOINT, "model.norm.weight")
        save_file({**tensors, "model.norm.weight": norm, "model.more": norm}, path)
        self.refused(folder, "cairn", kit.CHECKPOINT, "model.more")
        save_file({**tensors, "model.norm.weight": norm[:-1].copy()}, path)
        self.refused(folder, "cairn", kit.CHECKPOINT, "model.norm.weight", "shape")
        save_file({**tensors, "model.norm.weight": norm.astype(numpy.float64)}, path)
        self.refused(folder, "cairn", kit.USAGE, "F64")

    def test_a_tied_head_that_differs_is_refused_and_an_equal_one_is_taken(self):
        folder = self.copy("gpt2")
        path = os.path.join(folder, "model.safetensors")
        tensors = load_file(path)
        tensors["lm_head.weight"] = tensors["transformer.wte.weight"].copy()
        save_file(tensors, path)
        self.convert(folder, "ours", "cairn")
        tensors["lm_head.weight"][0, 0] += 1
        save_file(tensors, path)
        self.refused(folder, "cairn", kit.CHECKPOINT, "lm_head.weight")

    def test_an_index_must_agree_with_its_files(self):
        folder = self.copy("llama_sharded")
        path = os.path.join(folder, "model.safetensors.index.json")
        with open(path, encoding="utf-8") as file:
            index = json.load(file)

        def with_map(**changes):
            places = {**index["weight_map"], **changes}
            with open(path, "w", encoding="utf-8") as out:
                json.dump({**index, "weight_map": {k: v for k, v in places.items() if v}}, out)

        first, last = "model-00001-of-00004.safetensors", "model-00004-of-00004.safetensors"
        name = next(k for k, v in index["weight_map"].items() if v == first)
        with_map(**{name: last})
        self.refused(folder, "cairn", kit.CHECKPOINT, name)
        with_map(**{name: None})
        self.refused(folder, "cairn", kit.CHECKPOINT, "the index names")
        with_map(**{name: "../" + first})
        self.refused(folder, "cairn", kit.CHECKPOINT, "must be a name")
        with_map(**{name: "model-00009-of-00004.safetensors"})
        self.refused(folder, "cairn", kit.CHECKPOINT, "is not there")

    def test_links_and_other_things_in_place_of_files_are_refused(self):
        folder = self.copy("llama_sharded")
        path = os.path.join(folder, "model-00001-of-00004.safetensors")
        os.rename(path, self.path("elsewhere"))
        os.symlink(self.path("elsewhere"), path)
        self.refused(folder, "cairn", kit.CHECKPOINT, "no regular file")
        os.remove(path)
        os.mkfifo(path)
        self.refused(folder, "cairn", kit.CHECKPOINT, "no regular file")

    def test_damage_is_named(self):
        folder = self.copy("gpt2")
        path = os.path.join(folder, "model.safetensors")
        os.truncate(path, os.path.getsize(path) - 1)
        self.refused(folder, "cairn", kit.CHECKPOINT, "E_TRUNCATED_DATA")
        with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as file:
            file.write('{"model_type": "bert"}')
        self.refused(folder, "cairn", kit.USAGE, "bert")

    def test_a_source_must_be_of_the_other_kind(self):
        self.refused(os.path.join(FIXTURES, "gpt2"), "hf", kit.USAGE, "is a folder")
        self.refused(self.path("absent"), "cairn", kit.CHECKPOINT, "is not there")


if __name__ == "__main__":
    unittest.main()
