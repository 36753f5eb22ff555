#!/usr/bin/env python3
"""Makes the malformed golden files and expected.json: make_golden.py [--check]

With --check nothing is written, and anything that would be is an error. Golden files are never
edited: a file that is there and would come out differently is an error, and nothing is written
then. New cases get new names. What lies in good/ was written once by Cairn itself (see README.md)
and is only listed here, with what damage made of it.

The cases are numbered as in [CF-60] of docs/format/checkpoint.md. Those that need a large file, a
path of another kind or a race (46, 50, 51, 52) are made by the tests.
"""
import json
import os
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def word(length):
    return struct.pack("<Q", length)


def raw(header, data=b""):
    """A file with the header as it is given, text or bytes."""
    header = header.encode() if isinstance(header, str) else header
    return word(len(header)) + header + data


def tensor(shape="[4]", offsets="[0,4]", dtype='"U8"', more=""):
    return '{"dtype":%s,"shape":%s,"data_offsets":%s%s}' % (dtype, shape, offsets, more)


def one(*args, **fields):
    """A file of one tensor "a"; @size bytes of data, 4 unless told."""
    size = fields.pop("size", 4)
    return raw('{"a":%s}' % tensor(*args, **fields), bytes(size))


def table(ends, size):
    """A file of byte tensors "a", "b" ... at (begin, end)."""
    return raw("{" + ",".join('"%c":%s' % (97 + i, tensor("[%d]" % (end - begin),
                                                          "[%d,%d]" % (begin, end)))
                              for i, (begin, end) in enumerate(ends)) + "}", bytes(size))


def named(name):
    return raw("{%s:%s}" % (json.dumps(name), tensor()), bytes(4))


def metadata(value):
    return raw('{"__metadata__":%s,"a":%s}' % (value, tensor()), bytes(4))


GOOD = one()


def length_cases():
    yield 1, "empty", "E_TRUNCATED", b""
    yield 2, "one_byte", "E_TRUNCATED", b"\x08"
    yield 2, "seven_bytes", "E_TRUNCATED", b"PK\x03\x04xxx"
    yield 3, "no_header", "E_TRUNCATED_HEADER", word(60)
    yield 4, "length_zero", "E_JSON", word(0)
    yield 4, "length_zero_and_data", "E_JSON", word(0) + b"{}"
    yield 5, "length_above_limit", "E_HEADER_TOO_LARGE", word(100_000_001) + b"{}"
    yield 6, "length_max", "E_HEADER_TOO_LARGE", word(2**64 - 1) + b"{}"
    yield 6, "length_half", "E_HEADER_TOO_LARGE", word(2**63) + b"{}"
    yield 6, "length_wraps", "E_HEADER_TOO_LARGE", word(2**64 - 8) + b"{}"
    yield 7, "length_one_too_long", "E_TRUNCATED_HEADER", word(3) + b"{}"
    yield 8, "zip", "E_NOT_SAFETENSORS", b"PK\x03\x04\x00\x00\x08\x08\x00\x00archive/data.pkl"
    yield 8, "pickle", "E_NOT_SAFETENSORS", b"\x80\x02}q\x00(X\x05\x00\x00\x00modelq\x01"
    yield 8, "gzip", "E_NOT_SAFETENSORS", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03xxxxxxxx"
    yield 8, "hdf5", "E_NOT_SAFETENSORS", b"\x89HDF\r\n\x1a\n\x00\x00\x00\x00\x00\x08\x08\x00"
    yield 8, "gguf", "E_NOT_SAFETENSORS", b"GGUF\x03\x00\x00\x00\x10\x00\x00\x00\x00\x00\x00\x00"
    yield 8, "html", "E_NOT_SAFETENSORS", b"<!DOCTYPE html><html><body>404</body></html>"
    yield 8, "lfs", "E_NOT_SAFETENSORS", b"version https://git-lfs.github.com/spec/v1\noid sha256:0"


def text_cases():
    yield 9, "byte_ff", "E_UTF8", raw(b'{"\xff":%s}' % tensor().encode(), bytes(4))
    yield 9, "overlong", "E_UTF8", raw(b'{"\xc0\xaf":%s}' % tensor().encode(), bytes(4))
    yield 9, "surrogate", "E_UTF8", raw(b'{"\xed\xa0\x80":%s}' % tensor().encode(), bytes(4))
    yield 9, "cut", "E_UTF8", raw(b"{}\xc3")
    yield 10, "byte_order_mark", "E_JSON", raw(b"\xef\xbb\xbf{}")
    yield 11, "space_first", "OK", raw(' {"a":%s}' % tensor(), bytes(4))
    yield 11, "newlines_first", "OK", raw('\n\t\r {"a":%s}' % tensor(), bytes(4))
    yield 12, "array", "E_JSON_TYPE", raw("[]")
    yield 12, "string", "E_JSON_TYPE", raw('"x"')
    yield 12, "null", "E_JSON_TYPE", raw("null")
    yield 12, "number", "E_JSON_TYPE", raw("1")
    yield 13, "letters_after", "E_JSON_TRAILING", raw("{}x")
    yield 13, "object_after", "E_JSON_TRAILING", raw("{} {}")
    yield 13, "nul_padding", "E_JSON_TRAILING", raw("{}\0\0\0\0\0\0")
    broken = {"unterminated_object": '{"a":' + tensor(), "unterminated_string": '{"a',
              "trailing_comma": '{"a":%s,}' % tensor(), "comment": "{/**/}",
              "single_quotes": "{'a':1}", "nan": '{"a":NaN}', "infinity": '{"a":Infinity}',
              "control_character": '{"a\n":%s}' % tensor(), "escape": '{"\\x":%s}' % tensor(),
              "lone_surrogate": '{"\\ud800":%s}' % tensor(),
              "low_surrogate": '{"\\udc00":%s}' % tensor()}
    for name, text in broken.items():
        yield 14, name, "E_JSON", raw(text, bytes(4))
    yield 15, "arrays", "E_JSON_DEPTH", one(more=',"x":' + "[" * 4000 + "]" * 4000)
    yield 15, "objects", "E_JSON_DEPTH", one(more=',"x":' + '{"a":' * 1000 + "1" + "}" * 1000)
    yield 15, "eight_are_allowed", "OK", one(more=',"x":' + "[" * 6 + "]" * 6)


def member_cases():
    a = tensor()
    yield 16, "name_twice", "E_DUPLICATE_NAME", raw('{"a":%s,"a":%s}' % (a, a), bytes(4))
    yield 16, "empty_tensor_twice", "E_DUPLICATE_NAME", raw(
        '{"a":%s,"a":%s}' % (tensor("[0]", "[0,0]"), tensor("[0]", "[0,0]")))
    yield 17, "name_escaped", "E_DUPLICATE_NAME", raw('{"a":%s,"\\u0061":%s}' % (a, a), bytes(4))
    yield 18, "dtype_twice", "E_DUPLICATE_FIELD", one(more=',"dtype":"U8"')
    yield 18, "metadata_twice", "E_DUPLICATE_FIELD", raw(
        '{"__metadata__":{},"__metadata__":{},"a":%s}' % a, bytes(4))
    yield 18, "metadata_key_twice", "E_DUPLICATE_FIELD", metadata('{"k":"1","\\u006b":"2"}')
    for name, value in {"number": "1", "array": "[]", "inner_number": '{"k":1}',
                        "inner_object": '{"k":{}}', "inner_null": '{"k":null}'}.items():
        yield 19, name, "E_METADATA_TYPE", metadata(value)
    yield 20, "metadata_is_a_tensor", "E_METADATA_TYPE", metadata(tensor())
    yield 21, "metadata_null", "OK", metadata("null")
    for name, value in {"number": "1", "array": "[]", "null": "null", "empty": "{}"}.items():
        yield 22, name, "E_TENSOR_FIELDS", raw('{"a":%s}' % value)
    for name, fields in {"no_dtype": '"shape":[4],"data_offsets":[0,4]',
                         "no_shape": '"dtype":"U8","data_offsets":[0,4]',
                         "no_offsets": '"dtype":"U8","shape":[4]'}.items():
        yield 22, name, "E_TENSOR_FIELDS", raw('{"a":{%s}}' % fields, bytes(4))
    yield 23, "unknown_fields", "OK", one(more=',"x":1,"y":{"z":[null,true,-1.5e3]},"x":2')
    for name, value in {"unknown": '"F128"', "lower_case": '"f32"', "empty": '""', "number": "1",
                        "null": "null"}.items():
        yield 24, name, "E_DTYPE", one(dtype=value)


def shape_cases():
    for name, axis in {"negative": "-4", "point": "4.0", "exponent": "4e0", "leading_zero": "04",
                       "text": '"4"', "null": "null", "true": "true", "array": "[4]"}.items():
        yield 25, name, "E_NUMBER", one("[%s]" % axis)
    yield 25, "no_array", "E_NUMBER", one("4")
    yield 25, "leading_zero_elsewhere", "E_NUMBER", one(more=',"x":00')
    yield 26, "two_to_64", "E_NUMBER", one("[18446744073709551616]")
    yield 26, "endless", "E_NUMBER", one("[%s]" % ("1" * 400))
    yield 27, "product_wraps", "E_OVERFLOW", one("[2,18446744073709551614]")
    yield 28, "bits_wrap", "E_OVERFLOW", one("[2,9223372036854775807]", dtype='"F32"')
    yield 28, "bits_wrap_to_four", "E_OVERFLOW", one("[2305843009213693952,8]")
    for name, shape in {"first": "[0,%d,%d]", "middle": "[%d,0,%d]", "last": "[%d,%d,0]"}.items():
        yield 29, "zero_" + name, "E_OVERFLOW", one(shape % (2**63, 2**63), "[0,0]", size=0)
    yield 29, "zero_that_fits", "OK", one("[1099511627776,0,1048576]", "[0,0]", size=0)
    yield 30, "rank_65", "E_RANK", one("[4%s]" % (",1" * 64))
    yield 30, "rank_64_is_allowed", "OK", one("[4%s]" % (",1" * 63))
    for name, offsets in {"none": "[]", "one": "[0]", "three": "[0,4,4]", "text": '["0","4"]',
                          "negative": "[-4,0]", "point": "[0,4.0]", "object": '{"0":4}',
                          "null": "null", "two_to_64": "[0,18446744073709551616]"}.items():
        yield 31, name, "E_OFFSETS", one(offsets=offsets)
    yield 32, "begin_above_end", "E_OFFSETS", one(offsets="[4,0]")


def coverage_cases():
    yield 33, "end_beyond_data", "E_OUT_OF_RANGE", table([(0, 4), (8, 12)], 8)
    yield 33, "overlap_beyond_data", "E_OUT_OF_RANGE", table([(0, 8), (4, 12)], 8)
    yield 34, "hole_at_start", "E_HOLE", table([(8, 12)], 12)
    yield 35, "hole_between", "E_HOLE", table([(0, 4), (8, 12)], 12)
    yield 36, "overlap_of_one", "E_OVERLAP", table([(0, 8), (7, 15)], 15)
    yield 36, "overlap_of_all", "E_OVERLAP", table([(0, 8), (0, 8)], 8)
    yield 37, "zip_appended", "E_TRAILING_DATA", GOOD + b"PK\x03\x04" + bytes(20)
    yield 37, "one_byte_more", "E_TRAILING_DATA", GOOD + b"\0"
    for missing in (1, 2, 4096):
        whole = table([(0, 4), (4, 8192)], 8192)
        yield 38, "short_by_%d" % missing, "E_TRUNCATED_DATA", whole[:-missing]
    yield 39, "too_few_bytes", "E_SIZE_MISMATCH", one("[1000,1000]", dtype='"F32"')
    yield 39, "too_many_bytes", "E_SIZE_MISMATCH", one("[3]")
    yield 40, "f4", "E_SUBBYTE", one("[3]", "[0,2]", '"F4"', size=2)
    yield 40, "f6", "E_SUBBYTE", one("[3]", "[0,3]", '"F6_E2M3"', size=3)
    yield 40, "f4_of_whole_bytes", "OK", one("[8]", dtype='"F4"')
    step = 2**61 - 1
    yield 41, "eight_large", "E_OVERFLOW", table([(i * step, (i + 1) * step) for i in range(8)]
                                                 + [(8 * step, 8 * step + 8)], 4)
    yield 41, "end_and_header_wrap", "E_OVERFLOW", table([(0, 2**61 - 1), (2**64 - 9, 2**64 - 9)],
                                                         4)
    yield 42, "empty_tensors", "OK", table([(0, 0), (0, 4), (4, 4), (4, 8), (8, 8), (8, 8)], 8)
    yield 42, "empty_listed_last", "OK", table([(0, 4), (4, 8), (4, 4), (0, 0)], 8)
    yield 43, "empty_inside", "E_OVERLAP", table([(0, 8), (4, 4)], 8)
    yield 44, "rank_0", "OK", one("[]", dtype='"F32"')
    yield 45, "nothing", "OK", raw("{}")
    yield 45, "nothing_but_metadata", "OK", raw('{"__metadata__":{"format":"pt"}}')


def value_cases():
    yield 47, "nul", "E_NAME", named("a\0b")
    yield 47, "nul_escaped_in_long", "E_NAME", named("\0" + "a" * 100)
    yield 47, "4097_bytes", "E_NAME", named("a" * 4097)
    yield 47, "4096_bytes", "OK", named("a" * 4096)
    for name, text in {"empty": "", "slash": "/", "dots": "../../etc/passwd", "newline": "a\nb",
                       "escape": "\x1b[2J", "format": "%n%s", "bidi": "\u202egnp.exe",
                       "emoji": "\U0001f600"}.items():
        yield 47, name, "OK", named(text)
    yield 48, "odd_header", "OK", raw('{"a":%s,"b":%s}' % (
        tensor("[1]", "[0,1]"), tensor("[1]", "[1,9]", '"F64"')) + " ", bytes(9))
    yield 49, "bool_of_two", "OK", one(dtype='"BOOL"')[:-4] + b"\x02\xff\x80\x01"
    yield 49, "nan", "OK", one("[1]", dtype='"F32"')[:-4] + b"\xff\xff\xff\x7f"


def damaged_cases():
    """What single bits do to files that Cairn wrote."""
    with open(os.path.join(HERE, "good", "mixed.mdl"), "rb") as file:
        good = file.read()
    start = 8 + struct.unpack_from("<Q", good)[0]
    header = json.loads(good[8:start])
    first = next(entry for name, entry in header.items()
                 if name.startswith("model.") and entry["data_offsets"][1] > 0)
    pad = next(entry for name, entry in header.items() if name.startswith("__pad__."))

    def flipped(at, bit=1):
        return good[:at] + bytes([good[at] ^ bit]) + good[at + 1:]

    yield "header_digest", "E_HEADER_DIGEST", flipped(50)
    yield "header_space", "E_JSON_TRAILING", flipped(start - 1)
    yield "header_value", "E_HEADER_DIGEST", flipped(good.index(b'"cairn.step":"') + 14)
    yield "header_digest_renamed", "E_HEADER_DIGEST", flipped(good.index(b"header_digest"))
    yield "tensor_first_bit", "E_TENSOR_DIGEST", flipped(start + first["data_offsets"][0])
    yield "tensor_last_bit", "E_TENSOR_DIGEST", flipped(start + first["data_offsets"][1] - 1, 128)
    yield "pad_first_bit", "E_PAD", flipped(start + pad["data_offsets"][0])
    yield "last_byte", "E_PAD", flipped(len(good) - 1)
    yield "cut", "E_TRUNCATED_DATA", good[:-1]
    yield "longer", "E_TRAILING_DATA", good + b"\0"
    yield "keys_only", "E_HEADER_DIGEST", raw('{"__metadata__":{"cairn.format":"1.0"}}')


def read(path):
    """The bytes of a golden file; None if there is none."""
    try:
        with open(os.path.join(HERE, path), "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def main():
    files, expected = {}, {}
    for cases in (length_cases, text_cases, member_cases, shape_cases, coverage_cases, value_cases):
        for number, name, code, content in cases():
            path = "cases/case%02d_%s.safetensors" % (number, name)
            assert path not in files, path
            files[path] = content
            expected[path] = {"case": number, "code": code}
    for name, code, content in damaged_cases():
        path = "damaged/%s.mdl" % name
        files[path] = content
        expected[path] = {"case": None, "code": code}
    for name in sorted(os.listdir(os.path.join(HERE, "good"))):
        expected["good/" + name] = {"case": None, "code": "OK"}
    lines = ",\n".join("%s: %s" % (json.dumps(path), json.dumps(expected[path]))
                       for path in sorted(expected))
    is_check = sys.argv[1:] == ["--check"]
    changed = [path for path, content in files.items() if read(path) not in (None, content)]
    if is_check:
        changed += [path for path in files if read(path) is None]
    if is_check and read("expected.json") != ("{\n%s\n}\n" % lines).encode():
        changed.append("expected.json")
    if changed:
        sys.exit("golden files are never edited, and these would be: " + ", ".join(changed))
    if is_check:
        return
    for path, content in files.items():
        full = os.path.join(HERE, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "wb") as file:
            file.write(content)
    with open(os.path.join(HERE, "expected.json"), "w", encoding="ascii") as file:
        file.write("{\n%s\n}\n" % lines)


if __name__ == "__main__":
    main()
