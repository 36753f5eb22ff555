"""Two readers, one specification: the program and tools/minireader.py agree on every file.

The second reader was written from docs/format/checkpoint.md alone. Where the two differ, one of
them or the specification is wrong.
"""
import json
import os
import random
import re
import struct
import subprocess
import sys
import unittest

import kit

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
GOLDEN = os.path.join(ROOT, "tests", "golden")
MINIREADER = os.path.join(ROOT, "tools", "minireader.py")
sys.path.insert(0, os.path.join(ROOT, "tools"))
import minireader  # pylint: disable=wrong-import-position

MUTATIONS_EACH = 100


def verify(paths):
    """What `checkpoint verify --json` says of each file."""
    result = kit.run(["checkpoint", "verify", "--json", *paths], expect=None)
    lines = [json.loads(line) for line in result.out.splitlines()]
    assert [line["path"] for line in lines] == list(paths), result.err
    assert result.code == (kit.OK if all(line["ok"] for line in lines) else kit.CHECKPOINT)
    return lines


def info(path):
    return kit.run(["checkpoint", "info", "--json", path]).json()


def good(name):
    with open(os.path.join(GOLDEN, "good", name), "rb") as file:
        return file.read()


# ---- Mutations: each takes and gives the bytes of a file ------------------------------------

def split(content):
    """(header, data) of a good file."""
    end = 8 + struct.unpack_from("<Q", content)[0]
    return content[8:end], content[end:]


def join(header, data):
    return struct.pack("<Q", len(header)) + header + data


def mutate_bytes(rng, content):
    """Any bytes, anywhere."""
    at = rng.randrange(len(content) + 1)
    size = rng.choice((1, 1, 2, 8, 64))
    kind = rng.randrange(4)
    if kind == 0:
        return content[:at] + content[at + size:]
    if kind == 1:
        return content[:at] + rng.randbytes(size) + content[at:]
    if kind == 2:
        return content[:rng.randrange(len(content))]
    at = rng.randrange(len(content))
    return content[:at] + bytes([content[at] ^ 1 << rng.randrange(8)]) + content[at + 1:]


def mutate_text(rng, header):
    """One change of a header, such as another writer might make: often still a good header."""
    text = header.rstrip(b" ")
    number = rng.choice(list(re.finditer(rb"[0-9]+", text)))
    member = rng.choice(list(re.finditer(rb'"([^"\\]+)":', text)))
    change = rng.randrange(8)
    if change == 0:
        value = rng.choice((b"0", b"1", b"2", b"3", b"4", b"8", b"64", b"00", b"01", b"-1", b"1.0",
                            b"%d" % rng.randrange(2**65)))
        text = text[:number.start()] + value + text[number.end():]
    elif change == 1:
        text = text[:member.start()] + rng.choice((b'"x":', b'"\\u006d":', b'"dtype":',
                                                   b'"__pad__.9":', b'"cairn.new":', b'"model.x":',
                                                   b'"cairn.step":')) + text[member.end():]
    elif change == 2:
        at = rng.choice([m.end() for m in re.finditer(rb"[{,:\[]", text)])
        text = text[:at] + rng.choice((b" ", b"\n\t", b"null", b"{}", b'"x":"y",', b'"x":1,',
                                       b"[],")) + text[at:]
    elif change == 3:
        at = rng.choice([m.start() for m in re.finditer(rb"[{}\[\],:]", text)])
        text = text[:at] + text[at + 1:]
    elif change == 4:
        dtype = rng.choice(list(re.finditer(rb'"(F32|U8|BF16|I64|F16|I8|BOOL|F64)"', text)))
        text = text[:dtype.start()] + rng.choice((b'"F32"', b'"I32"', b'"U8"', b'"f32"', b'"I8"',
                                                  b'"F8_E4M3"', b'"F4"')) + text[dtype.end():]
    elif change == 5:
        pairs = list(re.finditer(rb'"[^"\\]+":"(?:[^"\\]|\\.)*",', text))
        pair = rng.choice(pairs)
        text = text[:pair.start()] + text[pair.end():]
    elif change == 6:
        pairs = list(re.finditer(rb'"[^"\\]+":"(?:[^"\\]|\\.)*",', text))
        first, second = rng.choice(pairs), rng.choice(pairs)
        text = text[:first.start()] + second.group(0) + text[first.start():]
    else:
        inner = rng.choice(list(re.finditer(rb'\\"([^"\\]*)\\"', text)))
        text = text[:inner.start(1)] + rng.choice((b"", b"model", b"x", b"0", b"00", b"a" * 32,
                                                   b"\\\\u0000", b"\\u0000", b"ab" * 32)) + \
            text[inner.end(1):]
    return text


def mutate_plain(rng, content):
    header, data = split(content)
    if rng.randrange(4) == 0:
        return mutate_bytes(rng, content)
    return join(mutate_text(rng, header), data)


def mutate_ours(rng, content):
    """Another header, with a header digest that fits it."""
    header, data = split(content)
    text = mutate_text(rng, header)
    text += b" " * (len(header) - len(text))
    begin = minireader.DIGEST_AT - 8
    end = begin + minireader.DIGEST_SIZE
    zeroed = text[:begin] + b"0" * (end - begin) + text[end:]
    digest = minireader.xxh3_128(struct.pack("<Q", len(text)) + zeroed).hex().encode()
    return join(text[:begin] + digest + text[end:], data)


def plain_file():
    """A safetensors file of another writer."""
    entries = {"__metadata__": {"format": "pt", "note": "a \"b\""}}
    data = b""
    for name, dtype, shape, size in (("model.a", "F32", [2, 3], 24), ("b", "U8", [8], 8),
                                     ("empty", "I64", [0], 0), ("half", "BF16", [4], 8),
                                     ("optimizer.a", "F64", [], 8), ("flag", "BOOL", [1, 1], 1)):
        entries[name] = {"dtype": dtype, "shape": shape,
                         "data_offsets": [len(data), len(data) + size]}
        data += bytes(range(size))
    return join(json.dumps(entries, separators=(",", ":")).encode(), data)


# ---- Tests ----------------------------------------------------------------------------------

class Golden(kit.Case):
    def assert_same(self, paths):
        """Both readers accept or both refuse each file, and they see the same tensors; gives how
        many are accepted."""
        accepted = 0
        for path, ours in zip(paths, verify(paths)):
            theirs = minireader.read_file(path)
            self.assertEqual(ours["ok"], theirs["ok"],
                             "%s: %s / %s" % (path, ours["problem"], theirs["problem"]))
            code = re.search(r"\((E_[A-Z0-9_]+)\)", ours["problem"])
            if theirs["ok"]:
                accepted += 1
                facts = info(path)
                for key in ("kind", "state_digest", "tensors"):
                    self.assertEqual(facts[key], theirs[key], path)
                if theirs["kind"] != "plain":
                    self.assertEqual(facts["states"], theirs["states"], path)
            elif code is None:  # The verifier names places, not codes.
                self.assertIn(theirs["code"], ("E_TENSOR_DIGEST", "E_PAD", "E_STATE_DIGEST"), path)
        return accepted

    def test_every_golden_file_gets_its_code_from_both_readers(self):
        with open(os.path.join(GOLDEN, "expected.json"), encoding="ascii") as file:
            expected = json.load(file)
        on_disk = sorted(os.path.relpath(os.path.join(folder, name), GOLDEN)
                         for folder, _, names in os.walk(GOLDEN) for name in names
                         if name.endswith((".safetensors", ".mdl")))
        self.assertEqual(on_disk, sorted(expected))
        paths = [os.path.join(GOLDEN, name) for name in on_disk]
        for name, path, ours in zip(on_disk, paths, verify(paths)):
            code = expected[name]["code"]
            self.assertEqual(minireader.read_file(path)["code"], code, name)
            self.assertEqual(ours["ok"], code == "OK", name)
            if code not in ("OK", "E_TENSOR_DIGEST", "E_PAD"):
                self.assertIn("(%s)" % code, ours["problem"], name)
        self.assert_same(paths)

    def test_golden_files_come_out_of_their_script_unchanged(self):
        subprocess.run([sys.executable, os.path.join(GOLDEN, "make_golden.py"), "--check"],
                       check=True)

    def mutated(self, seed, content, mutate):
        """(number accepted by both readers, number refused) of mutations of @content."""
        rng = random.Random(seed)
        paths = []
        while len(paths) < MUTATIONS_EACH:
            changed = mutate(rng, content)
            if changed == content:
                continue
            paths.append(self.path("%d_%d.mdl" % (seed, len(paths))))
            with open(paths[-1], "wb") as file:
                file.write(changed)
        accepted = self.assert_same(paths)
        return accepted, len(paths) - accepted

    def test_no_changed_byte_of_a_checkpoint_passes_either_reader(self):
        self.assertEqual(self.mutated(1, good("mixed.mdl"), mutate_bytes), (0, MUTATIONS_EACH))

    def test_readers_agree_on_headers_whose_digest_was_redone(self):
        accepted, refused = self.mutated(2, good("mixed.mdl"), mutate_ours)
        self.assertGreater(accepted, 5)
        self.assertGreater(refused, 50)

    def test_readers_agree_on_files_of_other_writers(self):
        accepted, refused = self.mutated(3, plain_file(), mutate_plain)
        self.assertGreater(accepted, 5)
        self.assertGreater(refused, 50)

    def test_readers_agree_on_a_tensor_of_several_chunks(self):
        config = self.write_config(kit.tiny_config(
            self.text, val=False, loop={"max_steps": 1}, checkpoint={"steps": 1},
            model={"max_position_embeddings": 5000, "hidden_size": 256, "num_heads": 1}))
        self.fit(config, self.path("run"))
        path = self.path("run", "checkpoint_1.mdl")
        self.assertEqual(self.assert_same([path]), 1)
        name = "model.embedding_layer.position_embeddings.embed.weight"
        entries, start = kit.header(path)
        begin, end = entries[name]["data_offsets"]
        self.assertGreater(end - begin, minireader.CHUNK)
        self.assertIn(name, entries["__metadata__"]["cairn.chunk_digests"])
        kit.flip_bit(path, 8 * (start + begin + minireader.CHUNK + 3))
        self.assertEqual(self.assert_same([path]), 0)
        self.assertEqual(minireader.read_file(path)["code"], "E_TENSOR_DIGEST")

    def test_the_second_reader_prints_json_and_ends_with_its_code(self):
        bad = os.path.join(GOLDEN, "cases", "case35_hole_between.safetensors")
        for paths, code in (([self.good_path()], 0), ([self.good_path(), bad], 3)):
            process = subprocess.run([sys.executable, MINIREADER, *paths], stdout=subprocess.PIPE,
                                     check=False)
            self.assertEqual(process.returncode, code)
            lines = [json.loads(line) for line in process.stdout.splitlines()]
            self.assertEqual([line["path"] for line in lines], paths)
            self.assertEqual([line["ok"] for line in lines], [True, False][:len(paths)])

    def test_the_second_reader_refuses_what_is_no_regular_file(self):
        os.mkfifo(self.path("fifo"))
        for path in (self.path("fifo"), self.dir, "/dev/null"):
            self.assertEqual(minireader.read_file(path)["code"], "E_NOT_REGULAR")

    @staticmethod
    def good_path():
        return os.path.join(GOLDEN, "good", "mixed.mdl")


class Digests(unittest.TestCase):
    """Figures of docs/format/checkpoint.md, section 4."""

    def test_examples_of_the_specification(self):
        empty = minireader.xxh3_128(minireader.xxh3_128(b""))
        self.assertEqual(empty.hex(), "88dffc9e4422ed4caabe9acf44c07a05")
        a = (struct.pack("<I", 7) + b"model.a" + struct.pack("<I", 4) + b"BF16"
             + struct.pack("<I", 0) + bytes.fromhex("99aa06d3014798d86001c324468d497f"))
        b = (struct.pack("<I", 7) + b"model.b" + struct.pack("<I", 3) + b"F32"
             + struct.pack("<IQQ", 2, 2, 3) + bytes.fromhex("06b05ab6733a618578af5f94892f3950"))
        self.assertEqual(minireader.xxh3_128(a + b).hex(), "caac07e65545ca728bb88bab310591e5")


if __name__ == "__main__":
    unittest.main()
