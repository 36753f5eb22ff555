"""Texts to tokens and back: cairn data prepare, cairn generate --tokenizer."""
import os
import shutil
import unittest

import numpy

import kit

FIXTURES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "numeric", "tokenizers")


def fixture(name):
    return os.path.abspath(os.path.join(FIXTURES, name))


def ids_of(name):
    return numpy.loadtxt(fixture(name), dtype=numpy.int64).tolist()


class PrepareTest(kit.Case):
    def prepare(self, *args, expect=kit.OK):
        return kit.run(["data", "prepare", *args], expect=expect)

    def write(self, name, content):
        with open(self.path(name), "wb") as file:
            file.write(content)
        return self.path(name)

    def tokens(self, name, dtype="<u2"):
        return numpy.fromfile(self.path(name), dtype=dtype).tolist()

    def files(self):
        """Of ours; the text that every case has is left out."""
        return sorted(name for name in os.listdir(self.path("")) if ".bin" in name)

    def test_files_of_nanogpt_hold_the_ids_of_each_text_and_its_end(self):
        done = self.prepare(fixture("text.txt"), fixture("text.txt"), "-o", self.path("a.bin"),
                            "--tokenizer", fixture("llama3.json"), "--append_eos", "--json").json()
        expected = ids_of("llama3.text.ids") + [0]
        self.assertEqual(2 * expected, self.tokens("a.bin"))
        self.assertEqual((2 * len(expected), "uint16", 707, 0),
                         (done["tokens"], done["dtype"], done["vocab_size"], done["eos_id"]))
        self.assertEqual(["a.bin"], self.files())

    def test_models_of_sentencepiece_and_their_folder_are_tokenizers(self):
        os.mkdir(self.path("model"))
        shutil.copy(fixture("sp_bpe.model"), self.path("model", "tokenizer.model"))
        for tokenizer in (fixture("sp_bpe.model"), self.path("model")):
            done = self.prepare(fixture("text.txt"), "-o", self.path("a.bin"), "-t", tokenizer,
                                "--append_eos", "--overwrite", "--json").json()
            self.assertEqual(ids_of("sp_bpe.text.ids") + [2], self.tokens("a.bin"))
            self.assertEqual((620, 2), (done["vocab_size"], done["eos_id"]))

    def test_a_text_that_nothing_divides_is_the_same_as_in_parts(self):
        line = b"The quick brown fox, WE'LL 12345. "
        for tokenizer in ("sp_bpe.model", "llama2.json"):
            self.prepare(self.write("line", line), "-o", self.path("a.bin"), "-t",
                         fixture(tokenizer), "--overwrite")
            self.prepare(self.write("lines", line * 200000), "-o", self.path("b.bin"), "-t",
                         fixture(tokenizer), "--overwrite")
            # The space that is put before the first is the one behind the others.
            one, all_ = self.tokens("a.bin")[:-1], self.tokens("b.bin")[:-1]
            self.assertEqual(200000 * len(one), len(all_), tokenizer)
            self.assertTrue((numpy.array(all_).reshape(200000, -1) == one).all(), tokenizer)

    def test_files_of_llm_c_have_its_header(self):
        for dtype, magic, version in (("uint16", 20240520, 1), ("uint32", 20240801, 7)):
            self.prepare(fixture("text.txt"), "-o", self.path("a.bin"), "-t", fixture("gpt2.json"),
                         "--format", "llmc", "--dtype", dtype, "--overwrite")
            expected = ids_of("gpt2.text.ids")
            header = numpy.fromfile(self.path("a.bin"), dtype="<i4", count=256).tolist()
            self.assertEqual([magic, version, len(expected)] + 253 * [0], header)
            rest = numpy.fromfile(self.path("a.bin"), dtype="<u%d" % (int(dtype[4:]) // 8),
                                  offset=1024).tolist()
            self.assertEqual(expected, rest)

    def test_a_text_larger_than_the_buffers_is_the_same_as_in_parts(self):
        text = self.write("text", b"".join(b"%d is a number, " % i for i in range(120000)))
        self.assertGreater(os.path.getsize(text), 2 << 20)
        self.prepare(text, "-o", self.path("a.bin"), "-t", fixture("gpt2.json"))
        with open(text, "rb") as file:
            content = file.read()
        cuts = [content.index(b" is", at) for at in range(0, len(content) - 99, 400000)] + [None]
        parts = [self.write("part%d" % i, content[0 if i == 0 else cut:cuts[i + 1]])
                 for i, cut in enumerate(cuts[:-1])]
        self.prepare(*parts, "-o", self.path("b.bin"), "-t", fixture("gpt2.json"))
        self.assertEqual(self.tokens("a.bin"), self.tokens("b.bin"))

    def test_the_end_of_the_text_goes_to_the_validation_file_from_a_line_on(self):
        text = self.write("text", b"0123456\n" * 10 + b"x" * 16 + b"\n" + b"end\n")
        self.prepare(text, "-o", self.path("train.bin"), "-t", "bytes", "--val_fraction", "0.15",
                     "--val_output", self.path("val.bin"))
        # 101 bytes: the cut is at 101 - 15 = 86, within the line of x.
        self.assertEqual(b"0123456\n" * 10 + b"x" * 16 + b"\n", bytes(self.tokens("train.bin")))
        self.assertEqual(b"end\n", bytes(self.tokens("val.bin")))

    def test_a_cut_at_a_line_end_stays_there(self):
        first, second = self.write("1", b"a\n" * 40), self.write("2", b"b\n" * 10)
        self.prepare(first, second, "-o", self.path("train.bin"), "-t", "bytes",
                     "--val_fraction", "0.2", "--val_output", self.path("val.bin"), "--append_eos")
        self.assertEqual(b"a\n" * 40 + b"\0", bytes(self.tokens("train.bin")))
        self.assertEqual(b"b\n" * 10 + b"\0", bytes(self.tokens("val.bin")))

    def test_ill_formed_text_is_refused_by_file_and_byte_or_replaced(self):
        text = fixture("invalid.txt")
        args = (text, "-o", self.path("a.bin"), "-t", fixture("gpt2.json"))
        refused = self.prepare(*args, expect=kit.DATA)
        self.assertIn(text, refused.err)
        self.assertIn("no UTF-8 at byte 0", refused.err)
        self.assertEqual([], self.files())
        done = self.prepare(*args, "--replace_invalid", "--json").json()
        self.assertEqual(ids_of("gpt2.invalid.ids"), self.tokens("a.bin"))
        with open(text, "rb") as file:
            self.assertEqual(file.read().decode(errors="replace").count("\ufffd"), done["replaced"])

    def test_what_is_wrong_is_said_and_no_file_appears(self):
        text = self.write("text", b"abc\n")
        bin_path = self.path("a.bin")
        cases = [
            (("none.txt", "-o", bin_path, "-t", "bytes"), kit.DATA, "none.txt"),
            ((self.path(""), "-o", bin_path, "-t", "bytes"), kit.DATA, "Is a directory"),
            ((text, "-o", bin_path, "-t", "none.json"), kit.DATA, "none.json"),
            ((text, "-o", bin_path, "-t", text), kit.DATA, "no JSON"),
            ((text, "-o", bin_path), kit.USAGE, "--tokenizer is missing"),
            ((text, "-t", "bytes"), kit.USAGE, "--output is missing"),
            ((text, "-o", bin_path, "-t", "bytes", "--dtype", "int8"), kit.USAGE, "int8"),
            ((text, "-o", bin_path, "-t", "bytes", "--format", "x"), kit.USAGE, "format is 'x'"),
            ((text, "-o", bin_path, "-t", "bytes", "--val_fraction", "0.5"), kit.USAGE,
             "go together"),
            ((text, "-o", bin_path, "-t", "bytes", "--val_fraction", "1.5", "--val_output", "b"),
             kit.USAGE, "below 1"),
            ((text, "-o", bin_path, "-t", "bytes", "--append_eos", "--eos_token", "</s>"),
             kit.USAGE, "'</s>'"),
            ((text, "-o", self.path("no/a.bin"), "-t", "bytes"), kit.IO, "open the folder"),
            ((text, "-o", bin_path, "-t", "bytes", "--val_fraction", "0.1", "--val_output",
              self.path("b.bin")), kit.DATA, "no tokens for"),
            ((self.write("empty", b""), "-o", bin_path, "-t", "bytes"), kit.DATA, "no tokens for"),
        ]
        for args, code, words in cases:
            with self.subTest(args[1:]):
                self.assertIn(words, self.prepare(*args, expect=code).err)
                self.assertEqual([], self.files())

    def test_a_file_that_is_there_stays_unless_it_may_be_replaced(self):
        text = self.write("text", b"abc\n")
        self.write("a.bin", b"old")
        args = (text, "-o", self.path("a.bin"), "-t", "bytes")
        self.assertIn("is there already", self.prepare(*args, expect=kit.IO).err)
        with open(self.path("a.bin"), "rb") as file:
            self.assertEqual(b"old", file.read())
        self.prepare(*args, "--overwrite")
        self.assertEqual(b"abc\n", bytes(self.tokens("a.bin")))


class GenerateTest(kit.Case):
    def test_a_prompt_is_encoded_and_the_text_decoded(self):
        config = self.write_config(kit.tiny_config(self.text, **{
            "model": {"vocab_size": 707}, "loop": {"max_steps": 2}, "checkpoint": {"steps": 2}}))
        self.fit(config, self.path("m"))
        args = ["generate", "--checkpoint_path", self.path("m", "checkpoint_2.mdl"), "-n", "200",
                "-t", "1", "-s", "3", "--tokenizer", fixture("gpt2.json")]
        prompt = "été <|endoftext|>"
        out = kit.run([*args, "--prompt", prompt]).out
        self.assertTrue(out.startswith(prompt))
        # The model is nearly untrained, and two thirds of the tokens have two bytes or more.
        self.assertGreater(len(out.encode()), len(prompt.encode()) + 300)
        self.assertIn("no UTF-8", kit.run([*args, "--prompt", b"\xff".decode(
            errors="surrogateescape")], expect=kit.DATA).err)

    def test_a_model_of_sentencepiece_encodes_and_decodes(self):
        config = self.write_config(kit.tiny_config(self.text, **{
            "model": {"vocab_size": 620}, "loop": {"max_steps": 2}, "checkpoint": {"steps": 2}}))
        self.fit(config, self.path("m"))
        args = ["generate", "--checkpoint_path", self.path("m", "checkpoint_2.mdl"), "-n", "100",
                "-t", "1", "-s", "3", "--tokenizer", fixture("sp_bpe.model")]
        out = kit.run([*args, "--prompt", "été <s>"]).out
        self.assertTrue(out.startswith("été <s>"))
        self.assertNotIn("\u2581", out)
        self.assertGreater(len(out), 100)
        # A prompt cannot name <s>.
        begun = kit.run([*args, "--prompt", "It", "--add_bos", "--json"]).json()
        alone = kit.run([*args, "--prompt", "It", "--json"]).json()
        self.assertEqual(alone["prompt_tokens"] + 1, begun["prompt_tokens"])

    def test_a_prompt_that_the_model_has_no_tokens_for_is_refused(self):
        config = self.write_config(kit.tiny_config(self.text, **{
            "loop": {"max_steps": 2}, "checkpoint": {"steps": 2}}))
        self.fit(config, self.path("m"))
        wrong = kit.run(["generate", "--checkpoint_path", self.path("m", "checkpoint_2.mdl"),
                         "--tokenizer", fixture("gpt2.json"), "--prompt", "<|pad|>"],
                        expect=kit.USAGE)
        self.assertIn("vocab_size is 256", wrong.err)


if __name__ == "__main__":
    unittest.main()
