#!/usr/bin/env python3
"""Makes yaml_table.txt: what PyYAML's SafeLoader reads, what pydantic's lax mode makes of it.

    make_yaml_table.py > yaml_table.txt       with PyYAML 6.0.2 and pydantic 2

A line is a kind, a text and what comes of it, between tabs; \\n and \\t in the text are escaped.
Kind "yaml": a document, and the same as JSON, in which .inf and .nan stand for themselves. Kinds
"int", "float", "bool" and "str": a value, and what an option of that type makes of it. "refused" is
an error. Left out is where we differ on purpose: timestamps are texts, a key given twice is
an error, an anchor may be set again, "=" is a text, keys are texts, integers beyond 64 bits, floats
with an underscore that is not between digits ("._5"), floats that overflow.
"""
import itertools
import json
import math
import re

import pydantic
import yaml

REFUSED = "refused"
ODD_FLOAT = re.compile(r"(?<!\d)_|_(?!\d)")


class Loader(yaml.SafeLoader):
    """Without timestamps."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()}

WORDS = ("~ null Null NULL nULL none None '' yes Yes YES yEs no No NO nO on On ON oN off Off OFF "
         "y Y n N t f true True TRUE tRUE false False FALSE nan NaN inf Infinity -inf .inf .Inf "
         ".INF .iNF -.inf +.inf .nan .NaN .NAN .nAN -.nan - . + _ e 0x 0b 0o 1e 1e+ e5 1:2 1:2:3 "
         "1:60 0:1 01:2 60:59 1:2.5 1:02.5 -1:2.5 1:2:3.4 1:2e5 "
         "'5' \"5\" 'yes' !!str !!null").split()
SIGNS = ("", "-", "+")
BODIES = ("0", "1", "7", "08", "017", "00", "0_1", "12", "1_000", "1__0_", "_1", "0x1F", "0xfg",
          "0X1f", "0b101", "0b12", "0o17", "1.", "1.0", "0.5", ".5", "._5", "1.5_5", "08.5", "1e5",
          "1.e5", "1e+5", "1.e+5", "1.0e-5", "1.0E+05", "1.0e5", ".5e+1", ".5e1", "1.5e+",
          "1_0.0e-1", "123456789012", "9007199254740993", "0.1", "3.14159", "2.5e-8", "1e-4")
TAGGED = ("!!str 5", "!!int '5'", "!!int \"0x1f\"", "!!float 1", "!!float '1e-4'", "!!bool 'no'",
          "!!null ''", "!!int x", "!!float x", "!!bool 5", "!!foo 5", "!foo 5", "!!str", "!!str ~")

DOCUMENTS = (
    "", "# nothing", "a: 1", "a:\n", "a:\n  b:\n    c: 1\n", "- 1\n- - 2\n  - 3\n-\n  - 4\n",
    "- a: 1\n  b: 2\n-\n- c:\n", "a:\n- 1\n- 2\nb: 3\n", "{a: 1, b: [1, 2, {c: d}], e: {}}",
    "[a, 'b', \"c\\n\\u00e9\", ~]", "{a: , b: 2}", "[1, 2, ]", "{a: 1, }", "a: {b: 1,\n  c: 2}\n",
    "{\"a\":1, \"b\":[true,null,1.5e+3]}", "a: 'it''s'\n", "a: \"\\x41\\t\\\"\\\\\"\n",
    "a: |\n  one\n   two\n\n  three\n", "a: >\n  one\n  two\n\n  three\n",
    "a: |-\n  x\nb: >+\n  y\n\n",
    "a: one\n  two\n  three\n", "a: b # comment\nc: 'd' # another\n", "a: b#c\n", "? a\n: 1\n",
    "? a\n? b\n", "--- 1", "---\na: 1\n...\n", "--- |\n x\n", "a:  b  \n", "a: 'x\n  y'\n",
    "a: x: y", "a: [1, 2", "a: 1\n b: 2", "a: *b", "a: &b", "- &a x\n- *a\n", "\ta: 1",
    "a:\n\tb: 1\n",
    "a: @b", "a: `b", "a: %b", "a: b %c", "a: !!map {b: 1}", "a: !!seq [1]", "a: !!seq {b: 1}",
    "[a: 1, b]", "{a, b: 1}", "[[1], {a: 1}]", "a: {b}", "a: 'b", "a: \"b\\q\"", "a: - b",
    "- a: - b",
    # Anchors, aliases.
    "a: &x 1\nb: *x\n", "a: &x [1, {b: 2}]\nc: *x\nd: [*x, *x]\n",
    "a: &x {k: 1}\nb: {c: *x, d: *x}\n", "- &a 1e-4\n- *a\n- &b '5'\n- *b\n", "a: &x ~\nb: *x\n",
    "a: &x\n  b: 1\nc: *x\n", "? &k a\n: 1\nb: *k\n", "&k a: *k\n", "a: &x b\n*x : 2\n",
    "- &x [&y 1, *y]\n- *x\n- *y\n", "a: *x\nb: &x 1\n", "a: [*x]\n", "a: &x &y 1\n",
    # Merge keys.
    "a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3, z: 4}\n", "a: &a {x: 1}\nb: {x: 0, <<: *a}\n",
    "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {<<: [*a, *b]}\nd: {<<: [*b, *a]}\n",
    "a: &a {x: 1}\nb: &b {<<: *a, y: 2}\nc: {<<: *b, z: 3}\n", "a: {<<: {x: 1}, y: 2}\n",
    "a: &a {x: {p: 1}}\nb: {<<: *a, x: {q: 2}}\n", "a: {<<: []}\n", "a: {<<: [{x: 1}, {x: 2}]}\n",
    "a: {'<<': 1}\n", "a: {\"<<\": {x: 1}}\n", "a: {<<: 1}\n", "a: {<<: [1]}\n", "a: {<<: ~}\n",
    "a: &a [1]\nb: {<<: *a}\n", "base: &b\n  lr: 1.0e-3\n  betas: [0.9, 0.95]\n"
    "run:\n  <<: *b\n  lr: 1e-4\n  extra:\n    <<: *b\n",
    "- &d {n: 1}\n- <<: *d\n  m: 2\n- <<: [*d, {m: 3, n: 4}]\n", "<<: {a: 1}\nb: 2\n",
)


def escape(text):
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")


def written(value):
    """As JSON, but for floats that JSON has not; a float keeps its point."""
    if isinstance(value, dict):
        return "{%s}" % ", ".join("%s: %s" % (json.dumps(str(key)), written(item))
                                  for key, item in value.items())
    if isinstance(value, list):
        return "[%s]" % ", ".join(map(written, value))
    if not isinstance(value, float):
        return json.dumps(value)
    if not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    text = "%.17g" % value
    mantissa, _, exponent = text.partition("e")
    return (mantissa if "." in mantissa else mantissa + ".0") + (exponent and "e" + exponent)


def load(text):
    """The value in a list, or None if it is refused."""
    try:
        return [yaml.load(text, Loader)]
    except (yaml.YAMLError, ValueError, KeyError):
        return None


def scalars():
    return list(dict.fromkeys(itertools.chain(
        WORDS, ("%s%s" % pair for pair in itertools.product(SIGNS, BODIES)), TAGGED)))


def line(kind, text, result):
    print("%s\t%s\t%s" % (kind, escape(text), result))


def main():
    for text in itertools.chain(DOCUMENTS, ("k: %s" % scalar for scalar in scalars())):
        value = load(text)
        line("yaml", text, REFUSED if value is None else written(value[0]))
    more = ("' 5 '", "'5.0'", "'5.5'", "'1_000'", "'_5'", "'5_'", "'1e3'", "'0x5'", "5.0", "5.5",
            "-0.0", "'3e-4x'", "3e-4x", "'1 2'", "'yes '", "' true'", "'T'", "'y'", "'ON'", "'2'",
            "2", "1.0", "0.0", "2.0", "[1]", "{a: 1}", "'-.5'", "'+1'", "'--1'", "'.5'", "'5.'",
            "'nan'", "'-Infinity'", "'infinity'", "'0.1'", "'٥'")
    for kind, each in (("int", int), ("float", float), ("bool", bool), ("str", str)):
        adapter = pydantic.TypeAdapter(each)
        for text in dict.fromkeys(itertools.chain(more, scalars())):
            value = load("k: %s" % text)
            if value is None or (each is float and ODD_FLOAT.search(text)):
                continue
            try:
                result = written(adapter.validate_python(value[0]["k"]))
            except pydantic.ValidationError:
                result = REFUSED
            line(kind, text, result)


if __name__ == "__main__":
    main()
