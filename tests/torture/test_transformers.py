"""Our exports loaded by transformers, and its models by us, live.

Needs a Python with torch and transformers: CAIRN_TRANSFORMERS_PYTHON, else the one that runs this.
Skipped without.
"""
import os
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "e2e"))
import kit  # pylint: disable=wrong-import-position

PYTHON = os.environ.get("CAIRN_TRANSFORMERS_PYTHON") or sys.executable
LIVE = os.path.join(HERE, "..", "interop", "live.py")
PARITY = os.environ.get("CAIRN_PARITY")
TIMEOUT_S = 600


def has(*modules):
    return subprocess.run([PYTHON, "-c", "import " + ", ".join(modules)], capture_output=True,
                          timeout=TIMEOUT_S, check=False).returncode == 0


def live(*arguments):
    subprocess.run([PYTHON, LIVE, *arguments], check=True, capture_output=True, timeout=TIMEOUT_S)


@unittest.skipUnless(PARITY and has("torch", "transformers"), "needs torch and transformers")
class Transformers(kit.Case):
    def convert(self, source, name, to):
        kit.run(["checkpoint", "convert", source, self.path(name), "--to", to])

    def test_exports_load_in_transformers_and_give_our_logits_and_greedy_tokens(self):
        made = self.path("made")
        os.mkdir(made)
        live("make", made)
        exports = []
        for kind in sorted(os.listdir(made)):
            self.convert(os.path.join(made, kind), "ours_" + kind, "cairn")
            self.convert(self.path("ours_%s/checkpoint_0.mdl" % kind), "back_" + kind, "hf")
            exports.append(self.path("back_" + kind))
        self.assertEqual(7, len(exports))
        config = self.write_config(kit.tiny_config(
            self.text, val=False, loop={"max_steps": 3, "eval_frequency": 0},
            model={"max_position_embeddings": 128}))
        self.fit(config, self.path("m"))
        self.convert(self.path("m/checkpoint_3.mdl"), "trained", "hf")
        exports.append(self.path("trained"))
        live("expect", *exports)
        kinds = [os.path.join(made, kind) for kind in os.listdir(made)]
        live("expect", *kinds)
        done = subprocess.run([PARITY, *exports, *kinds], capture_output=True, timeout=TIMEOUT_S,
                              check=False)
        self.assertEqual(0, done.returncode, done.stderr.decode())

    @unittest.skipUnless(has("gguf", "accelerate"), "needs gguf and accelerate")
    def test_gguf_files_load_in_transformers_and_give_the_logits_of_what_they_were_made_of(self):
        made = self.path("made")
        os.mkdir(made)
        live("make", made)
        for kind in ("gpt2_long", "llama_plain"):
            path = self.path(kind + ".gguf")
            kit.run(["checkpoint", "convert", os.path.join(made, kind), path, "--to", "gguf",
                     "--tokenizer", "bytes"])
            live("gguf", os.path.join(made, kind), path)


if __name__ == "__main__":
    unittest.main()
