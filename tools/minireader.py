#!/usr/bin/env python3
"""A second reader of checkpoints, from docs/format/checkpoint.md alone, with Python's own library.

    minireader.py [--quick] FILE...

Prints one JSON object a file: path, ok, code ("OK" or an error of [CF-60]), problem, kind, states
and the tensors. --quick reads the header only; otherwise every digest is checked too. Exit code 0,
or 3 if a file is refused. It shares no line with src/format: where the two differ, one of them or
the specification is wrong. Slow on purpose: it is short, and reads what is not huge.
"""
import argparse
import json
import os
import re
import stat
import struct
import sys

HEADER_MAX = 100_000_000
CHUNK = 4 << 20
NAME_MAX = 4096
TENSORS_MAX, AXES_MAX, KEYS_MAX, RANK_MAX, DEPTH_MAX = 1_000_000, 16_777_216, 262_144, 64, 8
DIGEST_AT, DIGEST_SIZE = 48, 32
MAJOR = 1
DIGEST_BEFORE = b'{"__metadata__":{"cairn.header_digest":"'

BITS = {"BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "I16": 16,
        "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "I64": 64, "U64": 64,
        "F64": 64, "C64": 64, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6}

FOREIGN = (b"PK\x03\x04", b"\x80\x02", b"\x89HDF", b"GGUF", b"\x1f\x8b", b"<!DOCTYP", b"<!doctyp",
           b"<html", b"<HTML", b"version ")

ALWAYS_THERE = ("cairn.format", "cairn.kind", "cairn.step", "cairn.run_id", "cairn.save_counter",
                "cairn.states", "cairn.state_digest", "cairn.written_by", "cairn.aliases",
                "cairn.values", "cairn.tensor_digests", "cairn.chunk_digests")


class Refused(Exception):
    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


# --- XXH3, 128 bits, seed 0 (xxHash specification, XXH3 algorithm overview) ---------------------

M32, M64 = (1 << 32) - 1, (1 << 64) - 1
P32 = (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D)
P64 = (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63,
       0x27D4EB2F165667C5)
MX1, MX2 = 0x165667919E3779F9, 0x9FB21C651E98DF25
SECRET = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671f"
    "cb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c"
    "3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8"
    "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364"
    "eac5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e"
    "2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e")
STRIPE, STRIPES_IN_BLOCK = 64, 16
STRIPE_KEYS = [struct.unpack_from("<8Q", SECRET, 8 * i) for i in range(STRIPES_IN_BLOCK)]


def u32(data, at):
    return struct.unpack_from("<I", data, at)[0]


def u64(data, at):
    return struct.unpack_from("<Q", data, at)[0]


def swap32(x):
    return int.from_bytes(x.to_bytes(4, "little"), "big")


def swap64(x):
    return int.from_bytes(x.to_bytes(8, "little"), "big")


def avalanche(h):
    h ^= h >> 37
    h = h * MX1 & M64
    return h ^ h >> 32


def avalanche_xxh64(h):
    h ^= h >> 33
    h = h * P64[1] & M64
    h ^= h >> 29
    h = h * P64[2] & M64
    return h ^ h >> 32


def fold(a, b):
    product = a * b
    return (product ^ product >> 64) & M64


def mix16(data, at, key):
    return fold(u64(data, at) ^ u64(SECRET, key), u64(data, at + 8) ^ u64(SECRET, key + 8))


def mix32(acc, data, first, second, key):
    low, high = acc
    low = (low + mix16(data, first, key)) & M64
    low ^= (u64(data, second) + u64(data, second + 8)) & M64
    high = (high + mix16(data, second, key + 16)) & M64
    high ^= (u64(data, first) + u64(data, first + 8)) & M64
    return low, high


def end_of_middle(acc, size):
    low, high = acc
    return (avalanche((low + high) & M64),
            -avalanche((low * P64[0] + high * P64[3] + size * P64[1]) & M64) & M64)


def short_hash(data):
    """(low, high) for at most 16 bytes."""
    size = len(data)
    if size > 8:
        low_flip = u64(SECRET, 32) ^ u64(SECRET, 40)
        high_flip = u64(SECRET, 48) ^ u64(SECRET, 56)
        first, last = u64(data, 0), u64(data, size - 8)
        product = (first ^ last ^ low_flip) * P64[0]
        low, high = product & M64, product >> 64
        low = (low + ((size - 1) << 54)) & M64
        last ^= high_flip
        high = (high + last + (last & M32) * (P32[1] - 1)) & M64
        low ^= swap64(high)
        product = low * P64[1]
        return avalanche(product & M64), avalanche(((product >> 64) + high * P64[1]) & M64)
    if size >= 4:
        keyed = (u32(data, 0) + (u32(data, size - 4) << 32)) ^ u64(SECRET, 16) ^ u64(SECRET, 24)
        product = keyed * (P64[0] + (size << 2))
        low, high = product & M64, product >> 64
        high = (high + (low << 1)) & M64
        low ^= high >> 3
        low ^= low >> 35
        low = low * MX2 & M64
        return low ^ low >> 28, avalanche(high)
    if size > 0:
        low = data[0] << 16 | data[size >> 1] << 24 | data[size - 1] | size << 8
        swapped = swap32(low)
        high = (swapped << 13 | swapped >> 19) & M32
        return (avalanche_xxh64(low ^ u32(SECRET, 0) ^ u32(SECRET, 4)),
                avalanche_xxh64(high ^ u32(SECRET, 8) ^ u32(SECRET, 12)))
    return (avalanche_xxh64(u64(SECRET, 64) ^ u64(SECRET, 72)),
            avalanche_xxh64(u64(SECRET, 80) ^ u64(SECRET, 88)))


def middle_hash(data):
    """(low, high) for 17 to 240 bytes."""
    size = len(data)
    acc = (size * P64[0] & M64, 0)
    if size <= 128:
        for i in range((size - 1) // 32, -1, -1):
            acc = mix32(acc, data, 16 * i, size - 16 * (i + 1), 32 * i)
        return end_of_middle(acc, size)
    for at in range(0, 128, 32):
        acc = mix32(acc, data, at, at + 16, at)
    acc = avalanche(acc[0]), avalanche(acc[1])
    for at in range(128, size // 32 * 32, 32):
        acc = mix32(acc, data, at, at + 16, at - 128 + 3)
    acc = mix32(acc, data, size - 16, size - 32, 136 - 17 - 16)
    return end_of_middle(acc, size)


def accumulate(acc, words, keys):
    for i in range(8):
        word = words[i]
        key = word ^ keys[i]
        acc[i ^ 1] += word
        acc[i] += (key & M32) * (key >> 32)


def merged(acc, key, start):
    for i in range(0, 8, 2):
        start += fold(acc[i] ^ u64(SECRET, key + 8 * i), acc[i + 1] ^ u64(SECRET, key + 8 * i + 8))
    return avalanche(start & M64)


def long_hash(data):
    """(low, high) for more than 240 bytes."""
    size = len(data)
    acc = [P32[2], P64[0], P64[1], P64[2], P64[3], P32[1], P64[4], P32[0]]
    scramble_keys = struct.unpack_from("<8Q", SECRET, len(SECRET) - STRIPE)
    for stripe in range((size - 1) // STRIPE):
        index = stripe % STRIPES_IN_BLOCK
        if index == 0 and stripe > 0:
            acc = [((a & M64) ^ (a & M64) >> 47 ^ key) * P32[0] & M64
                   for a, key in zip(acc, scramble_keys)]
        accumulate(acc, struct.unpack_from("<8Q", data, stripe * STRIPE), STRIPE_KEYS[index])
    if (size - 1) // STRIPE % STRIPES_IN_BLOCK == 0 and size > STRIPE * STRIPES_IN_BLOCK:
        acc = [((a & M64) ^ (a & M64) >> 47 ^ key) * P32[0] & M64
               for a, key in zip(acc, scramble_keys)]
    accumulate(acc, struct.unpack_from("<8Q", data, size - STRIPE),
               struct.unpack_from("<8Q", SECRET, len(SECRET) - STRIPE - 7))
    acc = [a & M64 for a in acc]
    return (merged(acc, 11, size * P64[0] & M64),
            merged(acc, len(SECRET) - STRIPE - 11, ~(size * P64[1]) & M64))


def xxh3_128(data):
    """The digest in canonical order: 16 bytes."""
    size = len(data)
    low, high = (short_hash if size <= 16 else middle_hash if size <= 240 else long_hash)(data)
    return struct.pack(">QQ", high, low)


# --- JSON: strict, with every pair of an object kept [CF-51], [CF-52] ---------------------------

class Number(str):
    """A number as it is written; what it may be depends on its place."""


class Parser:
    NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
    PLAIN = re.compile(r'[^"\\\x00-\x1f]*')
    SPACE = re.compile(r"[ \t\n\r]*")
    HEX4 = re.compile(r"[0-9a-fA-F]{4}")
    ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r",
               "t": "\t"}
    WORDS = (("true", True), ("false", False), ("null", None))

    def __init__(self, text):
        self.text, self.at = text, 0

    def fail(self, text, code="E_JSON"):
        raise Refused(code, f"{text} at character {self.at} of the JSON text")

    def space(self):
        self.at = self.SPACE.match(self.text, self.at).end()

    def peek(self):
        return self.text[self.at:self.at + 1]

    def take(self, char):
        if self.peek() != char:
            self.fail(f"expected '{char}'")
        self.at += 1

    def document(self):
        self.space()
        value = self.value(1)
        self.space()
        if self.at != len(self.text):
            self.fail("something follows the value", "E_JSON_TRAILING")
        return value

    def value(self, depth):
        char = self.peek()
        if char in ("{", "["):
            if depth > DEPTH_MAX:
                self.fail("nested too deep", "E_JSON_DEPTH")
            return self.object(depth) if char == "{" else self.array(depth)
        if char == '"':
            return self.string()
        if char == "-" or char.isdigit() and char.isascii():
            return self.number()
        for word, value in self.WORDS:
            if self.text.startswith(word, self.at):
                self.at += len(word)
                return value
        return self.fail("expected a value")

    def object(self, depth):
        pairs = []
        self.take("{")
        self.space()
        while self.peek() != "}":
            if pairs:
                self.take(",")
                self.space()
            name = self.string()
            self.space()
            self.take(":")
            self.space()
            pairs.append((name, self.value(depth + 1)))
            self.space()
        self.at += 1
        return pairs

    def array(self, depth):
        values = Array()
        self.take("[")
        self.space()
        while self.peek() != "]":
            if values:
                self.take(",")
                self.space()
            values.append(self.value(depth + 1))
            self.space()
        self.at += 1
        return values

    def number(self):
        match = self.NUMBER.match(self.text, self.at)
        if match is None:
            self.fail("not a number")
        after = self.text[match.end():match.end() + 1]
        if match.group(0) in ("0", "-0") and after.isdigit():
            self.fail("a number with a leading zero", "E_NUMBER")
        self.at = match.end()
        return Number(match.group(0))

    def string(self):
        parts = []
        self.take('"')
        while True:
            match = self.PLAIN.match(self.text, self.at)
            parts.append(match.group(0))
            self.at = match.end()
            char = self.peek()
            if char == '"':
                self.at += 1
                return "".join(parts)
            if char != "\\":
                self.fail("a string that does not end, or a control character in it")
            self.at += 1
            parts.append(self.escape())

    def escape(self):
        char = self.peek()
        self.at += 1
        if char in self.ESCAPES and char:
            return self.ESCAPES[char]
        if char != "u":
            self.fail("an unknown escape")
        unit = self.unit()
        if 0xD800 <= unit < 0xDC00 and self.text.startswith("\\u", self.at):
            self.at += 2
            low = self.unit()
            if 0xDC00 <= low < 0xE000:
                return chr(0x10000 + (unit - 0xD800 << 10) + low - 0xDC00)
        if 0xD800 <= unit < 0xE000:
            self.fail("half a surrogate pair")
        return chr(unit)

    def unit(self):
        match = self.HEX4.match(self.text, self.at)
        if match is None:
            self.fail("an escape without four digits")
        self.at = match.end()
        return int(match.group(0), 16)


class Array(list):
    """A JSON array; a plain list is an object's pairs."""


def is_object(value):
    return isinstance(value, list) and not isinstance(value, Array)


def is_text(value):
    return isinstance(value, str) and not isinstance(value, Number)


def count_of(value):
    """A count below 2^64 [CF-53], else None."""
    if isinstance(value, Number) and value.isdigit() and len(value) <= 20 and int(value) <= M64:
        return int(value)
    return None


# --- The header: contents and coverage [CF-50] --------------------------------------------------

class Tensor:
    def __init__(self, name, dtype, shape, begin, end):
        self.name, self.dtype, self.shape, self.begin, self.end = name, dtype, shape, begin, end
        self.digest = None

    @property
    def is_pad(self):
        return self.name.startswith("__pad__.")


def read_metadata(value):
    if value is None:
        return {}
    if not is_object(value) or not all(is_text(text) for _, text in value):
        raise Refused("E_METADATA_TYPE", "__metadata__ is no object of strings")
    if len(value) > KEYS_MAX:
        raise Refused("E_TOO_MANY", "too many metadata keys")
    metadata = dict(value)
    if len(metadata) != len(value):
        raise Refused("E_DUPLICATE_FIELD", "a metadata key twice")
    return metadata


def read_shape(value, name):
    if not isinstance(value, Array):
        raise Refused("E_NUMBER", f"{name!a}: the shape is no array")
    if len(value) > RANK_MAX:
        raise Refused("E_RANK", f"{name!a}: {len(value)} axes")
    shape = [count_of(axis) for axis in value]
    if None in shape:
        raise Refused("E_NUMBER", f"{name!a}: an axis is no count")
    return shape


def read_tensor(name, value, data_start):
    if len(name.encode()) > NAME_MAX or "\0" in name:
        raise Refused("E_NAME", f"a name of {len(name)} characters, or with a NUL")
    if not is_object(value):
        raise Refused("E_TENSOR_FIELDS", f"{name!a} is no object")
    fields = {}
    for field, content in value:
        if field in ("dtype", "shape", "data_offsets"):
            if field in fields:
                raise Refused("E_DUPLICATE_FIELD", f"{name!a}: {field} twice")
            fields[field] = content
    if len(fields) != 3:
        raise Refused("E_TENSOR_FIELDS", f"{name!a} lacks a field")
    dtype = fields["dtype"]
    if not is_text(dtype) or dtype not in BITS:
        raise Refused("E_DTYPE", f"{name!a}: an unknown dtype")
    shape = read_shape(fields["shape"], name)
    offsets = fields["data_offsets"]
    counts = [count_of(x) for x in offsets] if isinstance(offsets, Array) else []
    if len(counts) != 2 or None in counts or counts[0] > counts[1]:
        raise Refused("E_OFFSETS", f"{name!a}: its offsets are wrong")
    begin, end = counts
    if end + data_start > M64:
        raise Refused("E_OVERFLOW", f"{name!a}: its end is beyond 64 bits")
    bits = BITS[dtype]
    for axis in shape:
        bits *= axis or 1
    if bits > M64:
        raise Refused("E_OVERFLOW", f"{name!a}: its size is beyond 64 bits")
    bits = 0 if 0 in shape else bits
    if bits % 8:
        raise Refused("E_SUBBYTE", f"{name!a}: {bits} bits are no whole bytes")
    if end - begin != bits // 8:
        raise Refused("E_SIZE_MISMATCH", f"{name!a}: {end - begin} bytes, {bits // 8} in its shape")
    return Tensor(name, dtype, shape, begin, end)


def check_coverage(tensors, data_size):
    """[CF-7]; tensors are in order of their data."""
    fault, covered = None, 0
    for tensor in tensors:
        if tensor.begin != covered and fault is None:
            fault = ("E_HOLE", "hole") if tensor.begin > covered else ("E_OVERLAP", "overlap")
            fault = fault[0], f"{fault[1]} before {tensor.name!a}"
        covered = max(covered, tensor.end)
    if covered > data_size:
        if fault is not None:
            raise Refused("E_OUT_OF_RANGE", "a tensor ends beyond the data")
        raise Refused("E_TRUNCATED_DATA", f"{covered - data_size} bytes are missing")
    if fault is not None:
        raise Refused(*fault)
    if covered < data_size:
        raise Refused("E_TRAILING_DATA", f"{data_size - covered} bytes follow the last tensor")


def parse_header(header, size):
    """(metadata, tensors in order of their data) from the header's bytes and the file's size."""
    try:
        text = header.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused("E_UTF8", f"no UTF-8 at byte {error.start} of the header") from None
    top = Parser(text).document()
    if not is_object(top):
        raise Refused("E_JSON_TYPE", "the header is no object")
    metadata, tensors, names = None, [], set()
    for name, value in top:
        if name == "__metadata__":
            if metadata is not None:
                raise Refused("E_DUPLICATE_FIELD", "__metadata__ twice")
            metadata = read_metadata(value)
            continue
        if name in names:
            raise Refused("E_DUPLICATE_NAME", f"{name!a} twice")
        names.add(name)
        tensors.append(read_tensor(name, value, 8 + len(header)))
    if len(tensors) > TENSORS_MAX or sum(len(tensor.shape) for tensor in tensors) > AXES_MAX:
        raise Refused("E_TOO_MANY", "too many tensors or axes")
    tensors.sort(key=lambda tensor: (tensor.begin, tensor.end))
    check_coverage(tensors, size - 8 - len(header))
    return metadata or {}, tensors


def length_of_header(first, size):
    if size < 8:
        raise Refused("E_TRUNCATED", f"{size} bytes are no safetensors file")
    length = u64(first, 0)
    is_odd = length > HEADER_MAX or length > size - 8 or first[8:9] not in b"{ \t\n\r"
    if is_odd and first.startswith(FOREIGN):
        raise Refused("E_NOT_SAFETENSORS", f"it begins with {first[:8]!r}")
    if length > HEADER_MAX:
        raise Refused("E_HEADER_TOO_LARGE", f"a header of {length} bytes")
    if length > size - 8:
        raise Refused("E_TRUNCATED_HEADER", f"a header of {length} bytes in {size}")
    if length == 0:
        raise Refused("E_JSON", "an empty header")
    return length


# --- Our metadata and digests (sections 3 and 4) ------------------------------------------------

def damaged(text):
    raise Refused("E_METADATA", text)


def decimal(text, key):
    value = count_of(Number(text))
    if value is None or str(value) != text:
        damaged(f"{key} is no decimal number")
    return value


def is_hex(text, digits):
    return re.fullmatch("[0-9a-f]{%d}" % digits, text, re.ASCII) is not None


def has_nul(pairs):
    return any("\0" in text for pair in pairs for text in pair)


def object_in(metadata, key):
    try:
        value = Parser(metadata[key]).document()
    except Refused as refused:
        damaged(f"{key}: {refused}")
    if not is_object(value) or len({name for name, _ in value}) != len(value):
        damaged(f"{key} is no JSON object with names that differ")
    return value


def pairs_in(metadata, key):
    value = object_in(metadata, key)
    if not all(is_text(text) for _, text in value) or has_nul(value):
        damaged(f"{key} is no object of strings without NUL")
    return dict(value)


def pairs_by_state(metadata, key):
    result = {}
    for state, pairs in object_in(metadata, key):
        if not is_object(pairs) or not all(is_text(text) for _, text in pairs) or has_nul(pairs):
            damaged(f"{key}: {state!a} is no object of strings without NUL")
        result[state] = dict(pairs)
        if len(result[state]) != len(pairs):
            damaged(f"{key}: a name twice in {state!a}")
    return result


def check_header_digest(first, header):
    found = header[DIGEST_AT - 8:DIGEST_AT - 8 + DIGEST_SIZE]
    zeroed = first + header[:DIGEST_AT - 8] + b"0" * DIGEST_SIZE + header[DIGEST_AT - 8 +
                                                                            DIGEST_SIZE:]
    if (not header.startswith(DIGEST_BEFORE) or header[72:73] != b'"'
            or xxh3_128(zeroed).hex().encode() != found):
        raise Refused("E_HEADER_DIGEST", "the header does not have its digest")


def check_ours(metadata, tensors):
    """What [CF-20] to [CF-25] ask of a file of ours; gives each tensor its digest."""
    version = re.fullmatch(r"([1-9][0-9]*)\.(0|[1-9][0-9]*)", metadata.get("cairn.format", ""),
                           re.ASCII)
    if version is None:
        damaged("cairn.format is no version")
    major, _ = (decimal(number, "cairn.format") for number in version.groups())
    try:
        check_metadata(metadata, tensors)
    except Refused as refused:
        if refused.code == "E_METADATA" and major > MAJOR:
            raise Refused("E_VERSION", f"format {version.group(0)}: {refused}") from None
        raise


def check_metadata(metadata, tensors):
    for key in ALWAYS_THERE:
        if key not in metadata:
            damaged(f"{key} is missing")
    if metadata["cairn.kind"] not in ("full", "alternative"):
        damaged("cairn.kind is neither full nor alternative")
    decimal(metadata["cairn.step"], "cairn.step")
    decimal(metadata["cairn.save_counter"], "cairn.save_counter")
    for key in ("cairn.run_id", "cairn.state_digest"):
        if not is_hex(metadata[key], 32):
            damaged(f"{key} is not 32 digits")
    states = metadata["cairn.states"].split(",") if metadata["cairn.states"] else []
    if len(set(states)) != len(states) or not all(
            re.fullmatch("[A-Za-z0-9_]+", state, re.ASCII) and
            state not in ("__metadata__", "__pad__") for state in states):
        damaged("cairn.states is no list of names")
    values, aliases = (pairs_by_state(metadata, key) for key in ("cairn.values", "cairn.aliases"))
    if set(values) != set(states) or not set(aliases) <= set(states):
        damaged("values or aliases of other states than cairn.states")
    take_digests(metadata, [tensor for tensor in tensors if not tensor.is_pad], states)


def take_digests(metadata, tensors, states):
    digests, chunks = (pairs_in(metadata, key) for key in ("cairn.tensor_digests",
                                                           "cairn.chunk_digests"))
    if set(digests) != {tensor.name for tensor in tensors}:
        damaged("cairn.tensor_digests does not list the tensors")
    large = {tensor.name: -(-(tensor.end - tensor.begin) // CHUNK) for tensor in tensors
             if tensor.end - tensor.begin > CHUNK}
    if set(chunks) != set(large):
        damaged("cairn.chunk_digests does not list the tensors of two chunks and more")
    hashed = []
    for tensor in tensors:
        if tensor.name.split(".", 1)[0] not in states or "." not in tensor.name:
            damaged(f"{tensor.name!a} is of no state of the file")
        if not is_hex(digests[tensor.name], 32):
            damaged(f"{tensor.name!a}: its digest is not 32 digits")
        tensor.digest = digests[tensor.name]
        tensor.chunks = None
        if tensor.name in large:
            if not is_hex(chunks[tensor.name], 32 * large[tensor.name]):
                damaged(f"{tensor.name!a}: its chunks' digests have a wrong form")
            tensor.chunks = bytes.fromhex(chunks[tensor.name])
            if xxh3_128(tensor.chunks).hex() != tensor.digest:
                damaged(f"{tensor.name!a}: its chunks' digests do not give its own")
        hashed.append((tensor.name.encode(), tensor))
    text = b""
    for name, tensor in sorted(hashed, key=lambda pair: pair[0]):
        dtype = tensor.dtype.encode()
        text += struct.pack("<I", len(name)) + name + struct.pack("<I", len(dtype)) + dtype
        text += struct.pack("<I", len(tensor.shape))
        text += struct.pack("<%dQ" % len(tensor.shape), *tensor.shape)
        text += bytes.fromhex(tensor.digest)
    if xxh3_128(text).hex() != metadata["cairn.state_digest"]:
        raise Refused("E_STATE_DIGEST", "the tensors' digests do not give the state digest")


def check_data(file, data_start, tensors):
    """Digests of the tensors, zeros in the pads [CF-40], [CF-41], [CF-43]."""
    for tensor in tensors:
        file.seek(data_start + tensor.begin)
        left, chunks = tensor.end - tensor.begin, b""
        while left > 0 or (chunks == b"" and not tensor.is_pad):
            piece = file.read(min(left, CHUNK))
            if len(piece) != min(left, CHUNK):
                raise Refused("E_CHANGED", "the file became shorter while it was read")
            left -= len(piece)
            if tensor.is_pad:
                if piece.count(0) != len(piece):
                    raise Refused("E_PAD", f"{tensor.name!a} is not zero")
            else:
                chunks += xxh3_128(piece)
        if not tensor.is_pad and xxh3_128(chunks).hex() != tensor.digest:
            raise Refused("E_TENSOR_DIGEST", f"{tensor.name!a} does not have its digest")


# --- A file -------------------------------------------------------------------------------------

def read_open_file(file, is_quick):
    """Facts of a good file; raises Refused."""
    status = os.fstat(file.fileno())
    size = status.st_size
    first = file.read(32)
    length = length_of_header(first, size)
    file.seek(8)
    header = file.read(length)
    if len(header) != length:
        raise Refused("E_CHANGED", "the file became shorter while it was read")
    metadata, tensors = parse_header(header, size)
    is_ours = any(key.startswith("cairn.") for key in metadata)
    if is_ours:
        check_header_digest(first[:8], header)
        check_ours(metadata, tensors)
        if not is_quick:
            check_data(file, 8 + length, tensors)
    after = os.fstat(file.fileno())
    if (after.st_size, after.st_mtime_ns) != (size, status.st_mtime_ns):
        raise Refused("E_CHANGED", "the file changed while it was read")
    return {"kind": metadata["cairn.kind"] if is_ours else "plain",
            "states": metadata.get("cairn.states", "") if is_ours else None,
            "state_digest": metadata["cairn.state_digest"] if is_ours else "",
            "tensors": [{"name": tensor.name, "dtype": tensor.dtype, "shape": tensor.shape,
                         "bytes": tensor.end - tensor.begin, "digest": tensor.digest or ""}
                        for tensor in tensors if not tensor.is_pad]}


def read_file(path, is_quick=False):
    """What main prints of one file."""
    result = {"path": path, "ok": False, "code": "OK", "problem": ""}
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise Refused("E_NOT_REGULAR", "not a regular file")
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            result.update(read_open_file(file, is_quick), ok=True)
    except Refused as refused:
        result.update(code=refused.code, problem=str(refused))
    except OSError as error:
        result.update(code="E_IO", problem=str(error))
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("files", nargs="+", metavar="FILE")
    options = parser.parse_args()
    is_good = True
    for path in options.files:
        result = read_file(path, options.quick)
        is_good = is_good and result["ok"]
        print(json.dumps(result))
    return 0 if is_good else 3


if __name__ == "__main__":
    sys.exit(main())
