#!/usr/bin/env python3
"""Makes tests/numeric/tokenizers/: small tokenizers of the Python package `tokenizers`, a text in
many scripts, and the ids that the package gives for it. Kept in the repository, so that the tests
need no package; run it again only to change them:

    pip install tokenizers==0.23.3 && python tests/numeric/make_tokenizers.py

The characters of the text were all in Unicode before 2021: later ones are letters to one library
and nothing to another.
"""
import json
import os
import random

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tokenizers")
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
          r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
END = "<|endoftext|>"

TEXT = """\
The quick brown fox doesn't jump; it's WE'LL, I'd, they've 'S 'LL I'M you're.
  indented\twith\ttabs   and   runs of    spaces    \n\n\n   \n\t\n
def f(x: int) -> str:\n    return f"{x!r:>10}" if x != 0x1F else '\\\\n'  # comment\r\n\r\nend\r
Numbers 1 12 123 1234 12345 3.14159 1,000,000 1e-9 ²³ ½ Ⅻ ١٢٣ ४५६ 一二三
Ünïcödé naïve café cafe\u0301 e\u0301\u0323 a\u030a\u0301 ﬁ ß ẞ İı ŉ 'ſ 'K
Привет, мир! Как дела? Γειά σου Κόσμε. שלום עולם. مرحبا بالعالم، كيف حالك؟ سَلَامٌ
你好,世界。今天天气很好!こんにちは世界、元気ですか?カタカナ 안녕하세요 세계 𠀋𠮷野家
नमस्ते दुनिया। สวัสดีชาวโลก ตัวอย่าง ကမ္ဘာ ᚠᛇᚻ ꙮ 𐍈𐌰 𝔘𝔫𝔦 𝟘𝟙𝟚
😀😃 👍🏽 👨‍👩‍👧‍👦 🏳️‍🌈 🇩🇪🇯🇵 ❤️ ☕ ™ © € £ ¥ → ∑∫√ ≠ … — “quotes” ‘single’ «guillemets»
no-break\u00a0space thin\u2009space ideographic\u3000space line\u2028sep para\u2029sep nel\u0085x
zero\u200bwidth \u200d \ufeffbom \u180emvs soft\u00adhyphen \
\u202eright\u202c \ufffd \x00nul\x01\x1b[0m\x7f
added <|endoftext|> tokens<|endoftext|><|pad|> <tool>x</tool> <tool><tool_call> <|endoftext| > <|
aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa ================================ ..........\n
   trailing spaces   """

INVALID = [b"\xff", b"a\x80b", b"\xc0\xaf", b"\xe2\x82", b"\xe2\x82\xac\xe2\x28\xa1",
           b"\xed\xa0\x80x", b"\xf0\x9f\x98", b"\xf0\x9f\x98\x80\xf0\x9f", b"\xf4\x90\x80\x80",
           b"\xf8\x88\x80\x80\x80", b"ok \xc3\xa9 \xc3 e", b"\xe0\x80\xaf",
           b"\xf0\x80\x80\xaf\xf1\x80\x80"]


def corpus():
    rng = random.Random(3)
    words = TEXT.split()
    for _ in range(400):
        yield " ".join(rng.choice(words) for _ in range(12)) + "\n"
    yield TEXT.replace(END, "")


def make(pre_tokenizer, ignore_merges=False):
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(corpus(), trainers.BpeTrainer(
        vocab_size=700, min_frequency=2, show_progress=False, special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    tokenizer = add_word(tokenizer, "\u0120comment")
    tokenizer.add_special_tokens(["<|pad|>"])
    tokenizer.add_tokens([AddedToken("<tool"), AddedToken("<tool>", normalized=True),
                          AddedToken("<tool_call>"), AddedToken("</tool>", normalized=False),
                          AddedToken("x</")])
    return tokenizer


def add_word(tokenizer, word):
    """A word that no merges make: it counts only with ignore_merges."""
    fields = json.loads(tokenizer.to_str())
    vocab = fields["model"]["vocab"]
    assert word not in vocab
    vocab[word] = len(vocab)
    return Tokenizer.from_str(json.dumps(fields))


def byte_level(**options):
    return pre_tokenizers.ByteLevel(**{"add_prefix_space": False, "use_regex": False, **options})


def sequence(*members):
    return pre_tokenizers.Sequence(list(members))


TOKENIZERS = {
    "gpt2": lambda: make(byte_level(use_regex=True)),
    "prefix_space": lambda: make(byte_level(use_regex=True, add_prefix_space=True)),
    "llama3": lambda: make(sequence(pre_tokenizers.Split(Regex(LLAMA3), "isolated"), byte_level()),
                           ignore_merges=True),
    "digits": lambda: make(sequence(
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.Split(Regex(LLAMA3), "removed", invert=True),
        pre_tokenizers.Split("-", "isolated"),
        pre_tokenizers.Split(Regex("[^£]+"), "removed", invert=True),
        byte_level(use_regex=True))),
}


def main():
    os.makedirs(HERE, exist_ok=True)
    invalid = b"\n".join(INVALID) + b" end\xe2\x82"
    with open(os.path.join(HERE, "text.txt"), "wb") as file:
        file.write(TEXT.encode())
    with open(os.path.join(HERE, "invalid.txt"), "wb") as file:
        file.write(invalid)
    for name, build in TOKENIZERS.items():
        tokenizer = build()
        path = os.path.join(HERE, name + ".json")
        tokenizer.save(path, pretty=False)
        for text, label in ((TEXT, "text"), (invalid.decode(errors="replace"), "invalid")):
            ids = tokenizer.encode(text, add_special_tokens=False).ids
            with open(os.path.join(HERE, f"{name}.{label}.ids"), "w", encoding="ascii") as file:
                file.write("".join(f"{number}\n" for number in ids))


if __name__ == "__main__":
    main()
