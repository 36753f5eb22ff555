"""cairn generate: prompts, what comes out, models of other programs."""
import json
import os
import shutil
import string
import subprocess
import unittest

import kit

FIXTURES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "interop")
TOKENIZERS = os.path.join(FIXTURES, "..", "numeric", "tokenizers")


def generate(path, *options, expect=kit.OK):
    return kit.run(["generate", "--checkpoint_path", path, "--threads", "1", *options],
                   expect=expect)


class PromptTest(kit.Case):
    def setUp(self):
        super().setUp()
        config = self.write_config(kit.tiny_config(
            self.text, val=False, loop={"max_steps": 20, "eval_frequency": 0},
            checkpoint={"steps": 20}))
        self.fit(config, self.path("m"))
        self.model = self.path("m/checkpoint_20.mdl")

    def one(self, prompt, *options):
        out = generate(self.model, "-p", prompt, "-n", "12", *options).out
        self.assertTrue(out.startswith(prompt) and out.endswith("\n"))
        return out

    def test_each_of_several_prompts_is_continued_as_if_it_were_alone(self):
        prompts = ["ta ", "", "the sin", "ta "]
        together = generate(self.model, "-n", "12", "-s", "4", "--repetition_penalty", "1.3",
                            *[word for p in prompts for word in ("-p", p)]).out
        alone = [self.one(p, "-s", "4", "--repetition_penalty", "1.3") for p in prompts]
        self.assertEqual("\n".join(alone), together)
        self.assertEqual(alone[0], alone[3])

    def test_a_prompt_comes_from_a_file_or_standard_input_as_it_is(self):
        text = "ta in\nsin "
        with open(self.path("prompt"), "w", encoding="ascii") as file:
            file.write(text)
        expected = self.one(text)
        self.assertEqual(expected, generate(self.model, "-n", "12", "-f", self.path("prompt")).out)
        done = subprocess.run([kit.BIN, "generate", "--checkpoint_path", self.model, "-n", "12",
                               "-f", "-"], input=text.encode(), stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, env=kit.environment(),
                              timeout=kit.TIMEOUT_S, check=True)
        self.assertEqual(expected, done.stdout.decode(errors="replace"))
        both = generate(self.model, "-n", "12", "-f", self.path("prompt"), "-p", "a").out
        self.assertEqual(self.one("a") + "\n" + expected, both)

    def test_a_prompt_that_is_no_text_is_refused(self):
        for content, words in ((b"a\0b", "no text"), (b"a" * ((1 << 20) + 1), "larger than")):
            with open(self.path("prompt"), "wb") as file:
                file.write(content)
            done = generate(self.model, "-f", self.path("prompt"), expect=kit.USAGE)
            self.assertIn(words, done.err)
        self.assertIn("absent", generate(self.model, "-f", self.path("absent"),
                                         expect=kit.USAGE).err)

    def test_json_has_a_line_for_each_prompt(self):
        lines = [json.loads(line) for line in generate(
            self.model, "-p", "ta \"", "-p", "in", "-n", "12", "-t", "0", "--json"
        ).out.splitlines()]
        plain = generate(self.model, "-p", "ta \"", "-p", "in", "-n", "12", "-t", "0").out
        self.assertEqual(["ta \"", "in"], [line["prompt"] for line in lines])
        for line in lines:
            self.assertEqual((12, "max_tokens"), (line["tokens"], line["reason"]))
            self.assertEqual(len(line["prompt"]), line["prompt_tokens"])
        self.assertEqual("\n".join(line["prompt"] + line["text"] + "\n" for line in lines), plain)

    def test_json_says_that_a_stop_text_came(self):
        whole = json.loads(generate(self.model, "-p", "ta ", "-n", "30", "--json").out)["text"]
        stop = next(whole[i:i + 2] for i in range(5, 28) if whole[i:i + 2].isprintable())
        line = json.loads(generate(self.model, "-p", "ta ", "-n", "30", "--json", "--stop",
                                   stop).out)
        self.assertEqual(("stop", whole[:whole.index(stop)]), (line["reason"], line["text"]))
        self.assertLessEqual(line["tokens"], whole.index(stop) + 2)

    def test_a_text_beyond_the_longest_sequence_goes_on_and_says_so_once(self):
        done = generate(self.model, "-p", "ta ", "-n", "60", "-t", "0")  # It sees 16 tokens.
        self.assertEqual(3 + 60 + 1, len(done.out))
        self.assertEqual(1, done.err.count("longer than the 16 tokens"))
        self.assertEqual("", generate(self.model, "-p", "ta ", "-n", "13").err)


class ForeignTest(kit.Case):
    def fixture(self, name):
        return os.path.join(FIXTURES, name)

    def expected(self, name):
        with open(os.path.join(self.fixture(name), "expected.txt"), encoding="ascii") as file:
            lines = {line.split()[0]: line.split()[1:] for line in file}
        return ([int(i) for i in lines["tokens"][:8]], [int(i) for i in lines["greedy"]])

    def spelled(self, name, ids):
        """A folder whose tokenizer has a letter for each of @ids, and the other bytes for the
        other ids of 256; returns the letters."""
        shutil.copytree(self.fixture(name), self.path(name))
        with open(os.path.join(TOKENIZERS, "gpt2.json"), encoding="utf-8") as file:
            tokenizer = json.load(file)
        letter_of = dict(zip(dict.fromkeys(ids), string.ascii_letters))
        words = [word for word in tokenizer["model"]["vocab"]
                 if len(word) == 1 and word not in letter_of.values()]
        vocab = {letter: i for i, letter in letter_of.items()}
        vocab.update(zip(words, (i for i in range(256) if i not in letter_of)))
        self.assertEqual(256, len(vocab))
        tokenizer["model"] = {"type": "BPE", "vocab": vocab, "merges": []}
        tokenizer["added_tokens"] = []
        with open(self.path(name, "tokenizer.json"), "w", encoding="utf-8") as file:
            json.dump(tokenizer, file)
        return "".join(letter_of[i] for i in ids)

    def test_a_hugging_face_folder_gives_the_greedy_text_of_transformers(self):
        for name in ("gpt2", "llama", "llama_sharded"):
            prompt, greedy = self.expected(name)
            text = self.spelled(name, prompt + greedy)
            out = generate(self.path(name), "-n", len(greedy), "-t", "0", "-p",
                           text[:len(prompt)]).out
            self.assertEqual(text + "\n", out)

    def test_the_ways_to_a_model_give_the_same_text(self):
        for name in ("gpt2", "llama"):
            kit.run(["checkpoint", "convert", self.fixture(name), self.path("ours"), "--to",
                     "cairn"])
            kit.run(["checkpoint", "convert", self.fixture(name), self.path("m.gguf"), "--to",
                     "gguf"])
            options = ["--tokenizer", "bytes", "-p", "ta ", "-n", "40", "-s", "3", "--json"]
            texts = {json.loads(generate(path, *options).out)["text"] for path in (
                self.fixture(name), self.path("m.gguf"), self.path("ours/checkpoint_0.mdl"))}
            self.assertEqual(1, len(texts))
            shutil.rmtree(self.path("ours"))
            os.remove(self.path("m.gguf"))

    def test_without_a_tokenizer_the_model_of_others_is_refused(self):
        self.assertIn("tokenizer.json", generate(self.fixture("gpt2"), expect=kit.USAGE).err)
        self.assertIn("not there", generate(self.path("none"), expect=kit.CHECKPOINT).err)
        done = generate(TOKENIZERS, "--tokenizer", "bytes", expect=kit.CHECKPOINT)
        self.assertIn("config.json", done.err)


if __name__ == "__main__":
    unittest.main()
