"""cairn checkpoint convert: to and from GGUF files."""
import json
import os
import unittest

import numpy
from safetensors.numpy import load_file, save_file

import gguf_kit
import kit

HERE = os.path.dirname(os.path.abspath(__file__))
FIXTURES = os.path.join(HERE, "..", "interop")
TOKENIZERS = os.path.join(HERE, "..", "numeric", "tokenizers")
F32, F16, BF16 = 0, 1, 30


def fixture(name):
    return os.path.join(FIXTURES, name)


def tokenizer(name):
    return os.path.join(TOKENIZERS, name + ".json")


def interleaved(matrix, heads):
    """Rows of transformers' Llama, where halves of a head are paired, as llama.cpp has them."""
    half = matrix.shape[0] // heads // 2
    return matrix.reshape(heads, 2, half, -1).swapaxes(1, 2).reshape(matrix.shape)


class GgufCase(kit.Case):
    def convert(self, source, name, to, *options, expect=kit.OK):
        done = kit.run(["checkpoint", "convert", source, self.path(name), "--to", to, "--json",
                        *options], expect=expect)
        if expect != kit.OK:
            self.assertFalse(os.path.exists(self.path(name)))
        self.assertEqual([], [n for n in os.listdir(self.path("")) if n.endswith(".part")])
        return done

    def gguf(self, source, *options):
        said = self.convert(source, "model.gguf", "gguf", *options).json()
        self.assertGreaterEqual(said["positions"], 128)
        file = gguf_kit.File(self.path("model.gguf"))
        self.assertEqual((3, said["tensors"]), (file.version, len(file.tensors)))
        self.assertLess(file.rest, 32)
        os.rename(self.path("model.gguf"), self.path("last.gguf"))
        return said, file

    def assert_tensors(self, expected, file, rounded=None):
        self.assertEqual(sorted(expected), sorted(file.tensors))
        for name, tensor in expected.items():
            matrix = tensor.ndim == 2 and name != "position_embd.weight"
            if rounded is not None and matrix:
                tensor = rounded(tensor)
            numpy.testing.assert_array_equal(tensor, file.tensors[name], name)


def bf16(array):
    """Rounded to nearest, ties to even."""
    bits = array.astype("<f4").view("<u4")
    return (((bits + 0x7fff + (bits >> 16 & 1)) >> 16) << 16).view("<f4")


class ExportTest(GgufCase):
    def gpt2_tensors(self):
        theirs = load_file(os.path.join(fixture("gpt2"), "model.safetensors"))
        names = {"wte": "token_embd", "wpe": "position_embd", "ln_f": "output_norm",
                 "attn.c_attn": "attn_qkv", "attn.c_proj": "attn_output", "ln_1": "attn_norm",
                 "ln_2": "ffn_norm", "mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down"}
        out = {}
        for name, tensor in theirs.items():
            module, kind = name.removeprefix("transformer.").rsplit(".", 1)
            layer = ""
            if module.startswith("h."):
                _, number, module = module.split(".", 2)
                layer = "blk.%s." % number
            conv = tensor.ndim == 2 and (".c_" in module)
            out["%s%s.%s" % (layer, names[module], kind)] = tensor.T if conv else tensor
        return out

    def llama_tensors(self):
        theirs = load_file(os.path.join(fixture("llama"), "model.safetensors"))
        names = {"embed_tokens": "token_embd", "norm": "output_norm", "lm_head": "output",
                 "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
                 "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
                 "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
                 "mlp.up_proj": "ffn_up", "mlp.gate_proj": "ffn_gate", "mlp.down_proj": "ffn_down"}
        heads = {"attn_q": 4, "attn_k": 2}
        out = {}
        for name, tensor in theirs.items():
            module, kind = name.removeprefix("model.").rsplit(".", 1)
            layer = ""
            if module.startswith("layers."):
                _, number, module = module.split(".", 2)
                layer = "blk.%s." % number
            ours = names[module]
            if ours in heads:
                tensor = interleaved(tensor, heads[ours])
            out["%s%s.%s" % (layer, ours, kind)] = tensor
        # Heads of 8, base 500000, of Llama 3: factor 8, 1 to 4, 64 positions before.
        angles = 500000.0 ** -(numpy.arange(4) / 4.0)
        waves = 2 * numpy.pi / angles
        smooth = (64 / waves - 1) / 3
        scaled = numpy.where(waves < 16, angles, numpy.where(
            waves > 64, angles / 8, (1 - smooth) * angles / 8 + smooth * angles))
        out["rope_freqs.weight"] = (angles / scaled).astype(numpy.float32)
        return out

    def test_a_gpt2_is_written_as_llama_cpp_reads_it(self):
        said, file = self.gguf(fixture("gpt2"))
        self.assertEqual(0.0, said["max_difference"])
        self.assert_tensors(self.gpt2_tensors(), file)
        epsilon = file.keys.pop("gpt2.attention.layer_norm_epsilon")
        self.assertAlmostEqual(1e-5, epsilon, delta=1e-12)
        self.assertEqual({
            "general.architecture": "gpt2", "general.type": "model", "general.file_type": 0,
            "gpt2.vocab_size": 256, "gpt2.context_length": 128, "gpt2.embedding_length": 24,
            "gpt2.block_count": 2, "gpt2.feed_forward_length": 96,
            "gpt2.attention.head_count": 3, "tokenizer.ggml.model": "no_vocab"}, file.keys)

    def test_a_llama_is_written_as_llama_cpp_reads_it(self):
        said, file = self.gguf(fixture("llama"))
        self.assertEqual(0.0, said["max_difference"])
        expected = self.llama_tensors()
        stretches = expected.pop("rope_freqs.weight")
        numpy.testing.assert_allclose(file.tensors.pop("rope_freqs.weight"), stretches, rtol=1e-6)
        self.assert_tensors(expected, file)
        self.assertEqual(
            ["llama", 4, 2, 8, 500000.0, 256, 32],
            [file.keys[key] for key in (
                "general.architecture", "llama.attention.head_count",
                "llama.attention.head_count_kv", "llama.rope.dimension_count",
                "llama.rope.freq_base", "llama.context_length", "llama.embedding_length")])
        # llama.cpp would divide by it once more, whatever the type is.
        self.assertNotIn("llama.rope.scaling.factor", file.keys)

    def test_matrices_are_rounded_and_the_rest_stays(self):
        for name, number, kind, rounded in (
                ("f16", 1, F16, lambda a: a.astype("<f2")), ("bf16", 32, BF16, bf16)):
            said, file = self.gguf(fixture("gpt2"), "--dtype", name)
            self.assertEqual(number, file.keys["general.file_type"])
            self.assert_tensors(self.gpt2_tensors(), file, rounded)
            self.assertEqual(
                {name: kind if tensor.ndim == 2 and name != "position_embd.weight" else F32
                 for name, tensor in file.tensors.items()}, file.types)
            self.assertLess(0.0, said["max_difference"])
            self.assertLess(said["max_difference"], 0.02 * said["largest_logit"])

    def test_a_model_trained_here_goes_out_and_comes_back_bit_for_bit(self):
        config = self.write_config(kit.tiny_config(
            self.text, val=False, loop={"max_steps": 2, "eval_frequency": 0}))
        self.fit(config, self.path("m"))
        done = self.convert(self.path("m/checkpoint_2.mdl"), "out.gguf", "gguf")
        self.assertIn("gelu_new", done.err)  # It has gelu, which llama.cpp does not compute.
        self.convert(self.path("out.gguf"), "ours", "cairn")
        first = kit.tensors(self.path("m/checkpoint_2.mdl"))
        back = kit.tensors(self.path("ours/checkpoint_0.mdl"))
        for name, tensor in back.items():
            if name.startswith("model."):
                self.assertEqual(first[name], tensor, name)
        text = ["generate", "-p", "ta ", "-n", "20", "-t", "0", "--checkpoint_path"]
        self.assertEqual(kit.run([*text, self.path("m/checkpoint_2.mdl")]).out,
                         kit.run([*text, self.path("ours/checkpoint_0.mdl")]).out)

    def test_a_sliding_window_is_kept_and_told(self):
        with open(os.path.join(fixture("llama"), "config.json"), encoding="utf-8") as file:
            config = json.load(file)
        os.mkdir(self.path("mistral"))
        os.link(os.path.join(fixture("llama"), "model.safetensors"),
                self.path("mistral/model.safetensors"))
        with open(self.path("mistral/config.json"), "w", encoding="utf-8") as file:
            json.dump({**config, "model_type": "mistral", "sliding_window": 20}, file)
        done = self.convert(self.path("mistral"), "out.gguf", "gguf")
        self.assertIn("longer than 20 tokens", done.err)
        self.convert(self.path("out.gguf"), "back", "hf")
        with open(self.path("back/config.json"), encoding="utf-8") as file:
            self.assertEqual(20, json.load(file)["sliding_window"])


class TokenizerTest(GgufCase):
    def model(self, vocab_size):
        config = self.write_config(kit.tiny_config(
            self.text, val=False, loop={"max_steps": 1, "eval_frequency": 0},
            model={"vocab_size": vocab_size}))
        self.fit(config, self.path("m"))
        return self.path("m/checkpoint_1.mdl")

    def check(self, name, pre):
        said, file = self.gguf(self.model(710), "--tokenizer", tokenizer(name))
        self.assertEqual(0.0, said["max_difference"])
        with open(tokenizer(name), encoding="utf-8") as json_file:
            theirs = json.load(json_file)
        added = {item["id"]: item for item in theirs["added_tokens"]}
        words = {id_: word for word, id_ in theirs["model"]["vocab"].items()}
        words.update({id_: item["content"] for id_, item in added.items()})
        words.update({id_: "[PAD%d]" % id_ for id_ in range(len(words), 710)})
        self.assertEqual([words[i] for i in range(710)], file.keys["tokenizer.ggml.tokens"])
        kinds = [5 if i >= 707 else 1 if i not in added else 3 if added[i]["special"] else 4
                 for i in range(710)]
        self.assertEqual(kinds, file.keys["tokenizer.ggml.token_type"])
        self.assertEqual([m if isinstance(m, str) else " ".join(m)
                          for m in theirs["model"]["merges"]], file.keys["tokenizer.ggml.merges"])
        self.assertEqual(("gpt2", pre), (file.keys["tokenizer.ggml.model"],
                                         file.keys["tokenizer.ggml.pre"]))
        self.assertEqual(words[file.keys["tokenizer.ggml.eos_token_id"]], "<|endoftext|>")

    def test_the_tokens_and_merges_of_a_gpt2_go_along(self):
        self.check("gpt2", "gpt-2")

    def test_the_tokens_and_merges_of_a_llama_3_go_along(self):
        self.check("llama3", "llama-bpe")

    def test_bytes_are_a_vocabulary_without_merges(self):
        _, file = self.gguf(fixture("gpt2"), "--tokenizer", "bytes")
        self.assertEqual([], file.keys["tokenizer.ggml.merges"])
        tokens = file.keys["tokenizer.ggml.tokens"]
        self.assertEqual((256, "A", "\u0120", "\u0100"),
                         (len(set(tokens)), tokens[65], tokens[32], tokens[0]))

    def test_a_tokenizer_that_does_not_go_is_refused(self):
        small = fixture("gpt2")
        for name, source, code, words in (
                ("gpt2", small, kit.CHECKPOINT, "707 tokens"),
                ("digits", small, kit.USAGE, "no name for"),
                ("prefix_space", small, kit.USAGE, "no name for"),
                ("neox", small, kit.USAGE, "no name for"),
                ("llama2", small, kit.USAGE, "BPE of characters"),
                ("unigram", small, kit.USAGE, "Unigram of characters"),
                ("absent", small, kit.DATA, "absent.json")):
            done = self.convert(source, "out.gguf", "gguf", "--tokenizer", tokenizer(name),
                                expect=code)
            self.assertIn(words, done.err)


class ImportTest(GgufCase):
    def test_a_gguf_file_becomes_what_it_was_made_of(self):
        for name in ("gpt2", "llama"):
            self.convert(fixture(name), name + ".gguf", "gguf")
            said = self.convert(self.path(name + ".gguf"), name, "hf").json()
            self.assertEqual(0.0, said["max_difference"])
            back = load_file(self.path(name, "model.safetensors"))
            theirs = load_file(os.path.join(fixture(name), "model.safetensors"))
            self.assertEqual(sorted(theirs), sorted(back))
            for key, tensor in theirs.items():
                numpy.testing.assert_array_equal(tensor, back[key], key)

    def test_half_precision_is_read_exactly(self):
        for dtype in ("f16", "bf16"):
            name = dtype + ".gguf"
            self.convert(fixture("llama"), name, "gguf", "--dtype", dtype)
            self.convert(self.path(name), dtype, "cairn")
            said = self.convert(self.path(dtype, "checkpoint_0.mdl"), "again" + name, "gguf",
                                "--dtype", dtype).json()
            self.assertEqual(0.0, said["max_difference"])
            with open(self.path(name), "rb") as a, open(self.path("again" + name), "rb") as b:
                self.assertEqual(a.read(), b.read())

    def test_tensors_must_be_those_of_the_metadata(self):
        self.convert(fixture("llama"), "good.gguf", "gguf")
        with open(self.path("good.gguf"), "rb") as file:
            good = file.read()
        for old, new, code, words in (
                (b"output_norm.weight", b"output_norx.weight", kit.CHECKPOINT,
                 "no tensor 'output_norm.weight'"),
                (b"blk.1.ffn_up.weight", b"blk.1.ffn_ux.weight", kit.CHECKPOINT, "ffn_up"),
                (b"\x20\0\0\0\0\0\0\0\x10\0\0\0\0\0\0\0", b"\x10\0\0\0\0\0\0\0\x20\0\0\0\0\0\0\0",
                 kit.CHECKPOINT, "has not the shape"),
                (b"\x05\0\0\0\0\0\0\0llama", b"\x05\0\0\0\0\0\0\0mamba", kit.USAGE, "mamba")):
            with open(self.path("bad.gguf"), "wb") as file:
                self.assertIn(old, good)
                file.write(good.replace(old, new, 1))
            done = self.convert(self.path("bad.gguf"), "out", "cairn", expect=code)
            self.assertIn(words, done.err)

    def test_a_weight_beyond_f16_is_refused_and_bf16_takes_it(self):
        source = load_file(os.path.join(fixture("gpt2"), "model.safetensors"))
        source["transformer.h.0.mlp.c_fc.weight"][0, 0] = 70000.0
        os.mkdir(self.path("large"))
        save_file(source, self.path("large/model.safetensors"))
        os.link(os.path.join(fixture("gpt2"), "config.json"), self.path("large/config.json"))
        done = self.convert(self.path("large"), "out.gguf", "gguf", "--dtype", "f16",
                            expect=kit.USAGE)
        self.assertIn("F16 cannot hold", done.err)
        self.convert(self.path("large"), "out.gguf", "gguf", "--dtype", "bf16")

    def test_options_that_do_not_go_together_are_told(self):
        for options, words in ((["--to", "hf", "--dtype", "f16"], "for --to gguf"),
                               (["--to", "gguf", "--dtype", "q4_0"], "f32, f16 or bf16"),
                               (["--to", "onnx"], "hf, gguf or cairn")):
            done = kit.run(["checkpoint", "convert", fixture("gpt2"), self.path("out"), *options],
                           expect=kit.USAGE)
            self.assertIn(words, done.err)


if __name__ == "__main__":
    unittest.main()
