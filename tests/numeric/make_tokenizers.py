#!/usr/bin/env python3
"""Makes tests/numeric/tokenizers/: small tokenizers of the Python packages `tokenizers` and
`sentencepiece`, a text in many scripts, the ids that the packages give for it, and, of those whose
tokens are no bytes, the text that they make of these ids. Kept in the repository, so that the tests
need no package; run it again only to change them:

    pip install tokenizers==0.23.3 sentencepiece==0.2.3
    python tests/numeric/make_tokenizers.py [NAME...]

The characters of the text were all in Unicode before 2021: later ones are letters to one library
and nothing to another.
"""
import json
import os
import random
import sys
import tempfile

import sentencepiece
from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers,
                        processors, trainers)

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


def corpus_of_characters():
    """No zeros: they would be words, which a JSON text cannot name here."""
    for line in corpus():
        yield line.replace("\0", "")


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


def neox():
    """As GPT-NeoX: NFC, and runs of spaces that are found in the normalized text."""
    tokenizer = make(byte_level(use_regex=True))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    tokenizer.add_tokens([AddedToken(" " * n, normalized=True) for n in range(4, 1, -1)])
    tokenizer.add_tokens([AddedToken("cafe\u0301", normalized=True)])
    return tokenizer


MARK = "\u2581"
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def characters(vocab_size, first):
    """Words and merges of characters, behind the tokens of @first."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement=MARK)
    tokenizer.train_from_iterator(corpus_of_characters(), trainers.BpeTrainer(
        vocab_size=vocab_size, min_frequency=2, show_progress=False, special_tokens=first,
        limit_alphabet=90))
    model = json.loads(tokenizer.to_str())["model"]
    return model["vocab"], [tuple(pair) for pair in model["merges"]]


def template():
    return processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])


def llama2(new=False):
    """As Llama 2, and as Mistral and newer conversions have the same."""
    vocab, merges = characters(520, ["<unk>", "<s>", "</s>"] + BYTES)
    tokenizer = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True,
                                     byte_fallback=True, ignore_merges=new))
    if new:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement=MARK, split=False,
                                                           prepend_scheme="first")
    else:
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend(MARK),
                                                     normalizers.Replace(" ", MARK)])
    tokenizer.decoder = decoders.Sequence([
        decoders.Replace(MARK, " "), decoders.ByteFallback(), decoders.Fuse(),
        decoders.Strip(" ", 1, 0)])
    tokenizer.post_processor = template()
    for word in ("<unk>", "<s>", "</s>"):
        tokenizer.add_special_tokens([AddedToken(word, normalized=False, special=True)])
    tokenizer.add_tokens([AddedToken("<tool>", normalized=True),
                          AddedToken("x</", normalized=False)])
    return tokenizer


def unigram(byte_fallback=False):
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement=MARK)
    tokenizer.train_from_iterator(corpus_of_characters(), trainers.UnigramTrainer(
        vocab_size=420, show_progress=False, special_tokens=["<pad>", "<unk>"], unk_token="<unk>"))
    model = json.loads(tokenizer.to_str())["model"]
    vocab = [(word, score) for word, score in model["vocab"]
             if len(word) > 1 or ord(word) < 0x3000]
    if byte_fallback:
        vocab += [(name, 0.0) for name in BYTES]
    tokenizer.model = models.Unigram(vocab, unk_id=1, byte_fallback=byte_fallback)
    tokenizer.decoder = decoders.Metaspace(replacement=MARK)
    return tokenizer


def folded():
    """Normalizers in a row, words first, then Metaspace: as XLNet and Albert, in parts."""
    tokenizer = unigram()
    tokenizer.normalizer = normalizers.Sequence([
        normalizers.Strip(), normalizers.Replace(Regex(" {2,}"), " "),
        normalizers.Replace("``", '"'), normalizers.NFKD(), normalizers.StripAccents(),
        normalizers.Lowercase()])
    tokenizer.pre_tokenizer = sequence(pre_tokenizers.WhitespaceSplit(),
                                       pre_tokenizers.Metaspace(replacement=MARK))
    tokenizer.add_tokens([AddedToken("THE", normalized=True)])
    return tokenizer


def words():
    """Words apart and unknown characters, each for itself."""
    vocab, merges = characters(300, ["[UNK]"])
    tokenizer = Tokenizer(models.BPE(vocab, merges, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = sequence(pre_tokenizers.Whitespace(), pre_tokenizers.Punctuation(),
                                       pre_tokenizers.Digits(individual_digits=False))
    return tokenizer


def behaviors():
    """What a Split may do with what it finds."""
    tokenizer = unigram(byte_fallback=True)
    tokenizer.normalizer = normalizers.NFD()
    tokenizer.pre_tokenizer = sequence(
        pre_tokenizers.Split(Regex("[.,]"), "merged_with_previous"),
        pre_tokenizers.Split("(", "merged_with_next"),
        pre_tokenizers.Split(Regex("[a-c]"), "contiguous"),
        pre_tokenizers.Split("=", "removed"),
        pre_tokenizers.Split("|", "isolated"),
        pre_tokenizers.Metaspace(replacement=MARK, prepend_scheme="never"))
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(
        replacement=MARK, prepend_scheme="never")])
    return tokenizer


RULES = """\
3000\t20
A0\t20
9\t20
A\t20
D\t20
200B\t
FF01\t21
FB01\t66 69
BD\t31 2044 32
65 301\tE9
65 323\t1EB9
65 323 301\t1EB9 301
2026\t2E 2E 2E
2167\t56 49 49 49
2009\t20
2028\t20 20
"""


def train(**options):
    """A model of SentencePiece; its file."""
    with tempfile.TemporaryDirectory() as folder:
        rules, text = os.path.join(folder, "rules.tsv"), os.path.join(folder, "text")
        with open(rules, "w", encoding="ascii") as file:
            file.write(RULES)
        with open(text, "w", encoding="utf-8") as file:
            file.write("".join(corpus_of_characters()))
        if options.pop("has_rules", False):
            options["normalization_rule_tsv"] = rules
        sentencepiece.SentencePieceTrainer.train(
            input=text, model_prefix=os.path.join(folder, "m"), num_threads=1,
            minloglevel=2, character_coverage=0.98, **options)
        with open(os.path.join(folder, "m.model"), "rb") as file:
            return file.read()


MODELS = {
    "sp_unigram": lambda: train(
        model_type="unigram", vocab_size=360, has_rules=True, control_symbols=["<|pad|>", "</x>"],
        user_defined_symbols=["<tool>", "x</", "a a"]),
    "sp_bpe": lambda: train(
        model_type="bpe", vocab_size=620, normalization_rule_name="identity", byte_fallback=True,
        remove_extra_whitespaces=False, split_digits=True, allow_whitespace_only_pieces=True,
        user_defined_symbols=["<tool>", "x</"]),
    "sp_suffix": lambda: train(
        model_type="unigram", vocab_size=620, has_rules=True, byte_fallback=True,
        treat_whitespace_as_suffix=True, unk_surface="?"),
    "sp_plain": lambda: train(
        model_type="bpe", vocab_size=420, has_rules=True, add_dummy_prefix=False),
}

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


TOKENIZERS.update({
    "neox": neox, "llama2": llama2, "mistral": lambda: llama2(new=True), "unigram": unigram,
    "folded": folded, "words": words, "behaviors": behaviors,
})
# Their tokens are bytes, so the text is what it was; or they have no decoder.
WITHOUT_TEXT = {"gpt2", "prefix_space", "llama3", "digits", "neox", "words"}


def write(name, mode, content):
    encoding = None if "b" in mode else "utf-8"
    with open(os.path.join(HERE, name), mode, encoding=encoding) as file:
        file.write(content)


def main():
    os.makedirs(HERE, exist_ok=True)
    invalid = b"\n".join(INVALID) + b" end\xe2\x82"
    write("text.txt", "wb", TEXT.encode())
    write("invalid.txt", "wb", invalid)
    texts = (("text", TEXT), ("invalid", invalid.decode(errors="replace")))
    for name in sys.argv[1:] or [*TOKENIZERS, *MODELS]:
        if name in MODELS:
            model = MODELS[name]()
            write(name + ".model", "wb", model)
            tokenizer = sentencepiece.SentencePieceProcessor(model_proto=model)
        else:
            tokenizer = TOKENIZERS[name]()
            tokenizer.save(os.path.join(HERE, name + ".json"), pretty=False)
        for label, text in texts:
            if name in MODELS:
                ids = tokenizer.encode(text)
                back = tokenizer.decode(ids)
            else:
                ids = tokenizer.encode(text, add_special_tokens=False).ids
                back = tokenizer.decode(ids, skip_special_tokens=False)
            write(f"{name}.{label}.ids", "w", "".join(f"{number}\n" for number in ids))
            if name not in WITHOUT_TEXT and label == "text":
                write(f"{name}.{label}.out", "wb", back.encode())


if __name__ == "__main__":
    main()
