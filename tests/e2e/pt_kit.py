"""PyTorch files without PyTorch: a zip writer that can be told to lie, and the files that a reader
must refuse, each with what it must say.

    python pt_kit.py FOLDER        # writes them there, for tests/fuzz/corpus/pickle
"""
import os
import struct
import sys

PICKLE = b"\x80\x02%s."
NUMBERS = struct.pack("<6f", *range(6))


def head(name, size, method=0, flags=0):
    return struct.pack("<IHHHHHIIIHH", 0x04034b50, 20, flags, method, 0, 0, 0, size, size,
                       len(name), 0) + name


def zip_bytes(entries, directory=None, count=None, zip64=None, behind=b""):
    """@entries: (name, bytes) or (name, bytes, {what to claim}) one behind another; @directory: other
    entries that the directory names instead, as (name, size, place)."""
    data, table = b"", b""
    for name, payload, *claims in entries:
        claim = {"name": name, "size": len(payload), "place": len(data), "method": 0, "flags": 0,
                 **(claims[0] if claims else {})}
        data += head(name, len(payload), claim["method"], claim["flags"]) + payload
        table += row(claim)
    if directory is not None:
        table = b"".join(row({"name": name, "size": size, "place": place, "method": 0, "flags": 0})
                         for name, size, place in directory)
    count = len(entries) if count is None else count
    end64 = b""
    if zip64 is not None:
        numbers = {"count": count, "size": len(table), "place": len(data),
                   "record": len(data) + len(table), **zip64}
        end64 = struct.pack("<IQHHIIQQQQ", 0x06064b50, 44, 45, 45, 0, 0, numbers["count"],
                            numbers["count"], numbers["size"], numbers["place"])
        end64 += struct.pack("<IIQI", 0x07064b50, 0, numbers["record"], 1)
    end = struct.pack("<IHHHHIIH", 0x06054b50, 0, 0, count, count, len(table), len(data), 0)
    return data + table + end64 + end + behind


def row(claim):
    extra = claim.get("extra", b"")
    return struct.pack("<IHHHHHHIIIHHHHHII", 0x02014b50, 45, 45, claim["flags"], claim["method"], 0,
                       0, 0, claim["size"], claim["size"], len(claim["name"]), len(extra), 0, 0, 0,
                       0, claim["place"]) + claim["name"] + extra


def pt(instructions, storage=NUMBERS, **how):
    """A whole file with one storage "0" and this in its pickle."""
    return zip_bytes([(b"a/data.pkl", PICKLE % instructions), (b"a/data/0", storage)], **how)


def text(word):
    return b"X" + struct.pack("<I", len(word)) + word


def number(value):
    return b"\x8a\x08" + struct.pack("<q", value)


def numbers(values):
    return b"(" + b"".join(number(value) for value in values) + b"t"


def named(name):
    return b"c" + name.replace(b" ", b"\n") + b"\n"


def tensor(shape=(2, 3), strides=(3, 1), offset=0, count=6, key=b"0", kind=b"torch FloatStorage",
           more=b""):
    return (named(b"torch._utils _rebuild_tensor_v2") + b"((" + text(b"storage") + named(kind) +
            text(key) + text(b"cpu") + number(count) + b"tQ" + number(offset) + numbers(shape) +
            numbers(strides) + b"\x89" + named(b"collections OrderedDict") + b")R" + more + b"tR")


def entry(value, key=b"w"):
    return b"}" + text(key) + value + b"s"


GOOD = entry(tensor())
WHOLE = [(b"a/data.pkl", PICKLE % GOOD), (b"a/data/0", NUMBERS)]
DEEP = b"]" * 100 + b"a" * 99

# name: (bytes, a part of what is said)
HOSTILE = {
    "calls_a_program": (pt(named(b"os system") + text(b"touch /tmp/cairn-escaped") + b"\x85R"),
                        "refers to 'os.system'"),
    "names_a_program": (pt(entry(named(b"posix system"))), "refers to 'posix.system'"),
    "names_by_stack": (pt(entry(text(b"builtins") + text(b"eval") + b"\x93")),
                       "refers to 'builtins.eval'"),
    "odd_name": (pt(named(b"a\x1b[2J b")), "refers to 'a\\x1b[2J.b'"),
    "makes_an_object": (pt(named(b"collections OrderedDict") + b")\x81"), "instruction 0x81"),
    "old_instance": (pt(b"(ios\nsystem\n"), "instruction 0x69"),
    "extension": (pt(b"\x82\x01"), "instruction 0x82"),
    "attributes_of_a_tensor": (pt(entry(tensor() + b"}b")), "attributes of what has none"),
    "dictionary_of_something": (pt(named(b"collections OrderedDict") + b"]\x85R"), "damaged"),
    "calls_a_type": (pt(named(b"torch float32") + b")R"), "which is a type"),
    "calls_a_text": (pt(text(b"x") + b")R"), "damaged data.pkl"),
    "memo_far": (pt(b"}r" + b"\xff" * 4), "remembers too much"),
    "memo_absent": (pt(b"j" + b"\xff" * 4), "remembers what was not there"),
    "never_stops": (zip_bytes([(b"a/data.pkl", b"\x80\x02}")]), "damaged data.pkl: its end"),
    "more_behind": (pt(GOOD + b".N"), "something is left over"),
    "left_over": (pt(b"N" + GOOD), "something is left over"),
    "stack_empty": (pt(b"s"), "a value is missing"),
    "mark_missing": (pt(b"u"), "a mark is missing"),
    "below_the_mark": (pt(b"]N(a"), "a value is missing"),
    "text_too_long": (pt(b"X\xff\xff\xff\xff"), "a text longer than the file"),
    "text_wraps": (pt(b"\x8d" + b"\xff" * 8), "a text longer than the file"),
    "number_too_long": (pt(b"\x8b\xff\xff\xff\x7f"), "too long a number"),
    "name_without_end": (pt(b"c" + b"a" * 1000), "a name that does not end"),
    "deep": (pt(entry(DEEP)), "deep"),
    "marks_deep": (pt(b"(" * 5000), "deep"),
    "inside_itself": (pt(b"]q\x00h\x00a"), "deep"),
    "shares_too_much": (pt(b"(]q\x00Na" + b"".join(
        b"]q%c(h%ch%ch%ch%ce" % ((i + 1,) + (i,) * 4) for i in range(40)) + b"t"), "too many"),
    "future_protocol": (pt(b"\x80\x09N"), "protocol 9"),
    "nothing_named": (pt(tensor()), "without a name"),
    "key_of_no_kind": (pt(b"}N" + number(1) + b"s"), "a key that is neither"),
    "key_with_nul": (pt(entry(number(1), b"a\x00b")), "no name"),
    "key_too_long": (pt(entry(number(1), b"a" * 5000)), "no name"),
    "same_name": (pt(b"}" + text(b"a.b") + number(1) + b"s" + text(b"a") +
                     entry(number(2), b"b") + b"s"), "two things named 'a.b'"),
    "outside_the_storage": (pt(entry(tensor(offset=1))), "outside its storage"),
    "strides_outside": (pt(entry(tensor(strides=(5, 1)))), "outside its storage"),
    "shape_wraps": (pt(entry(tensor((1 << 62, 4, 4), (0, 0, 0)))), "outside its storage"),
    "strides_wrap": (pt(entry(tensor((3, 3), (1 << 62, 1 << 62)))), "outside its storage"),
    "repeats_elements": (pt(entry(tensor((7,), (0,)))), "outside its storage"),
    "negative": (pt(entry(tensor((-1, 3)))), "whole numbers"),
    "negative_offset": (pt(entry(tensor(offset=-1))), "without a shape"),
    "shape_and_strides": (pt(entry(tensor((2, 3), (1,)))), "without a shape"),
    "storage_too_short": (pt(entry(tensor(count=7))), "fewer bytes of its storage"),
    "storage_wraps": (pt(entry(tensor(count=1 << 62))), "fewer bytes of its storage"),
    "storage_absent": (pt(entry(tensor(key=b"1"))), "no entry for its storage '1'"),
    "storage_elsewhere": (pt(entry(tensor(key=b"../data.pkl"))), "no entry for its storage"),
    "storage_of_what": (pt(entry(tensor(kind=b"torch QInt8Storage"))),
                        "refers to 'torch.QInt8Storage'"),
    "no_storage": (pt(b"NQ"), "what should name a storage"),
    "zip_cut": (zip_bytes(WHOLE)[:-1], "no directory"),
    "zip_behind": (zip_bytes(WHOLE, behind=b"x"), "no directory"),
    "zip_before": (b"x" + zip_bytes(WHOLE), "does not begin as a zip file"),
    "zip_short": (b"PK\x03\x04", "too short"),
    "zip_directory": (zip_bytes(WHOLE)[:30] + zip_bytes(WHOLE)[31:], "does not end where it says"),
    "zip_count": (zip_bytes(WHOLE, count=1), "more in its directory"),
    "zip_counts_more": (zip_bytes(WHOLE, count=3), "directory"),
    "zip_packed": (zip_bytes([WHOLE[0], (b"a/data/0", NUMBERS, {"method": 8})]), "is packed"),
    "zip_encrypted": (zip_bytes([WHOLE[0], (b"a/data/0", NUMBERS, {"flags": 1})]), "is encrypted"),
    "zip_twice": (zip_bytes(WHOLE + [WHOLE[1]]), "twice"),
    "zip_two_pickles": (zip_bytes(WHOLE + [(b"b/data.pkl", b".")]), "two entries data.pkl"),
    "zip_no_pickle": (zip_bytes([(b"a/x", b"x")]), "not PyTorch's"),
    "zip_overlap": (zip_bytes(WHOLE, directory=[(b"a/data.pkl", len(WHOLE[0][1]) + 10, 0),
                                                (b"a/data/0", 24, 40 + len(WHOLE[0][1]))]),
                    "contradicts the directory"),
    "zip_inside_another": (zip_bytes([(b"a/data.pkl", PICKLE % GOOD),
                                      (b"a/data/1", head(b"a/data/0", 4) + b"1234")],
                                     directory=[(b"a/data.pkl", len(PICKLE % GOOD), 0),
                                                (b"a/data/1", 42, 40 + len(PICKLE % GOOD)),
                                                (b"a/data/0", 4, 78 + len(PICKLE % GOOD))],
                                     count=3), "overlaps another"),
    "zip_outside": (zip_bytes([WHOLE[0], (b"a/data/0", NUMBERS, {"place": 1 << 31})]),
                    "begins outside the file"),
    "zip_other_head": (zip_bytes([WHOLE[0], (b"a/data/0", NUMBERS, {"name": b"a/data/1"})]),
                       "contradicts the directory"),
    "zip_too_large": (zip_bytes([WHOLE[0], (b"a/data/0", NUMBERS, {
        "size": 0xffffffff, "flags": 8, "extra": struct.pack("<HHQQ", 1, 16, 1 << 40, 1 << 40)})]),
                      "ends outside the file"),
    "zip_extra_cut": (zip_bytes([WHOLE[0], (b"a/data/0", NUMBERS, {
        "size": 0xffffffff, "extra": struct.pack("<HHQ", 1, 8, 24)})]), "damaged extra field"),
    "zip_leaves": (zip_bytes(WHOLE + [(b"../../etc/passwd", b"x")]), "leads elsewhere"),
    "zip_absolute": (zip_bytes(WHOLE + [(b"/etc/passwd", b"x")]), "leads elsewhere"),
    "zip64_elsewhere": (zip_bytes(WHOLE, zip64={"record": 0}), "not where it says"),
    "zip64_count": (zip_bytes(WHOLE, zip64={"count": 1 << 40}), "contradicts"),
    "zip64_size": (zip_bytes(WHOLE, zip64={"size": 1 << 63}), "contradicts"),
}

# The good files of which these are the twisted ones.
GOOD_FILES = {
    "good": zip_bytes(WHOLE),
    "good_zip64": zip_bytes(WHOLE, zip64={}),
    "good_turned": pt(entry(tensor((3, 2), (1, 3)))),
    "good_values": pt(b"}(" + text(b"a") + b"K\x01" + text(b"b") + b"G?\xf0" + b"\x00" * 6 +
                      text(b"c") + b"](N\x88eu"),
}


def main(folder):
    for name, (data, _) in HOSTILE.items():
        with open(os.path.join(folder, name), "wb") as file:
            file.write(data)
    for name, data in GOOD_FILES.items():
        with open(os.path.join(folder, name), "wb") as file:
            file.write(data)


if __name__ == "__main__":
    main(sys.argv[1])
