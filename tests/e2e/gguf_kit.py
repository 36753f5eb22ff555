"""A reader of GGUF files of its own, after ggml's docs/gguf.md."""
import struct

import numpy

SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q",
           11: "<q", 12: "<d"}
TEXT, LIST = 8, 9
TYPES = {0: numpy.dtype("<f4"), 1: numpy.dtype("<f2"), 30: numpy.dtype("<u2")}
BF16 = 30


class File:
    """keys: {key: value}; tensors: {name: array, rows first}; types: {name: number}."""

    def __init__(self, path):
        with open(path, "rb") as file:
            self.data = file.read()
        self.at = 0
        self.keys, self.tensors, self.types = {}, {}, {}
        if self.data[:4] != b"GGUF":
            raise ValueError("no GGUF file")
        self.at = 4
        self.version = self.scalar("<I")
        tensors, pairs = self.scalar("<Q"), self.scalar("<Q")
        for _ in range(pairs):
            key = self.text()
            self.keys[key] = self.value(self.scalar("<I"))
        infos = [self.info() for _ in range(tensors)]
        alignment = self.keys.get("general.alignment", 32)
        begin = -(-self.at // alignment) * alignment
        if any(self.data[self.at:begin]):
            raise ValueError("the padding is not zero")
        end = 0
        for name, shape, kind, offset in infos:
            if offset % alignment or offset != -(-end // alignment) * alignment:
                raise ValueError("%s begins at %d" % (name, offset))
            count = int(numpy.prod(shape))
            array = numpy.frombuffer(self.data, TYPES[kind], count, begin + offset)
            end = offset + array.nbytes
            if kind == BF16:
                array = (array.astype("<u4") << 16).view("<f4")
            self.tensors[name] = array.reshape(shape)
            self.types[name] = kind
        self.rest = len(self.data) - begin - end

    def scalar(self, form):
        (value,) = struct.unpack_from(form, self.data, self.at)
        self.at += struct.calcsize(form)
        return value

    def text(self):
        size = self.scalar("<Q")
        self.at += size
        return self.data[self.at - size:self.at].decode()

    def value(self, kind):
        if kind == TEXT:
            return self.text()
        if kind == LIST:
            inner, count = self.scalar("<I"), self.scalar("<Q")
            return [self.value(inner) for _ in range(count)]
        return self.scalar(SCALARS[kind])

    def info(self):
        name = self.text()
        shape = [self.scalar("<Q") for _ in range(self.scalar("<I"))]
        kind, offset = self.scalar("<I"), self.scalar("<Q")
        return name, tuple(reversed(shape)), kind, offset
