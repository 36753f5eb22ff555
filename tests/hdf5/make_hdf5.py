"""Makes the HDF5 files beside it, which the tests of the HDF5 data processors read.

    python3 -m venv /tmp/h5 && /tmp/h5/bin/pip install h5py==3.11.0 numpy==1.26.4
    /tmp/h5/bin/python make_hdf5.py

good/ is what the Model Zoo writes; each file of bad/ is refused, for the reason in its name.
"""
import os
import shutil

import h5py
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))


def path(*names):
    result = os.path.join(HERE, *names)
    os.makedirs(os.path.dirname(result), exist_ok=True)
    return result


def samples(first, count, length, vocab=256):
    """[count, 3, length]: token t of sample i is (7 i + t) % vocab; i % 3 do not count."""
    data = np.zeros((count, 3, length), np.int32)
    for i in range(count):
        tokens = (7 * (first + i) + np.arange(length + 1)) % vocab
        data[i, 0] = tokens[:-1]
        data[i, 1] = np.arange(length) >= (first + i) % 3
        data[i, 2] = tokens[1:]
    return data


def make_good():
    for i, (first, count) in enumerate([(0, 5), (5, 4)]):
        with h5py.File(path("good", "samples", "data-%05d.h5" % i), "w",
                       libver="latest" if i == 1 else None) as file:
            file.attrs["n_examples"] = count
            file.create_dataset("data", data=samples(first, count, 8), chunks=(1, 3, 8),
                                compression="gzip" if i == 0 else None, shuffle=i == 0,
                                dtype="i4" if i == 0 else "u2")
    # Of six only four count, where the attribute is obeyed; there is a fourth feature.
    with h5py.File(path("good", "partial", "data.h5"), "w") as file:
        file.attrs["n_examples"] = 4
        data = samples(100, 6, 8)
        file.create_dataset("data", data=np.concatenate([data, data[:, :1]], axis=1))
    # A corpus of 0, 1, 2 ...: 21 tokens, none, and 12.
    for name, first, count in [("a", 0, 21), ("b", 21, 0), ("c", 21, 12)]:
        with h5py.File(path("good", "corpus", name + ".h5"), "w") as file:
            file.create_dataset("data", data=np.arange(first, first + count, dtype=np.uint16))
    # What a tiny model is trained with.
    for i in range(2):
        with h5py.File(path("good", "train", "data-%d.h5" % i), "w") as file:
            file.attrs["n_examples"] = 20
            file.create_dataset("data", data=samples(20 * i, 20, 16), chunks=(4, 3, 16),
                                compression="gzip")


def bad(name, **options):
    return h5py.File(path("bad", name, "data.h5"), "w", **options)


def make_bad():
    data = samples(0, 4, 8)
    with bad("no_data") as file:
        file["other"] = data
    with bad("group") as file:
        file.create_group("data")
    with bad("float") as file:
        file["data"] = data.astype(np.float32)
    with bad("two_axes") as file:
        file["data"] = data[:, 0]
    with bad("two_features") as file:
        file["data"] = data[:, :2]
    with bad("soft_link") as file:
        file["there"] = data
        file["data"] = h5py.SoftLink("/there")
    with bad("external_link") as file:
        file["data"] = h5py.ExternalLink("../../good/train/data-0.h5", "/data")
    with bad("external_storage") as file:
        file.create_dataset("data", data.shape, "i4", external=[("/etc/passwd", 0, data.nbytes)])
    with bad("virtual", libver="latest") as file:
        layout = h5py.VirtualLayout(data.shape, "i4")
        layout[:] = h5py.VirtualSource("../../good/samples/data-00000.h5", "data", (5, 3, 8))[:4]
        file.create_virtual_dataset("data", layout)
    with bad("filter") as file:
        file.create_dataset("data", data=data, compression="lzf")
    with bad("huge_chunk") as file:
        file.create_dataset("data", (4, 3, 8), "i4", maxshape=(None, None, None),
                            chunks=(1 << 20, 16, 8))
    with bad("n_examples") as file:
        file.attrs["n_examples"] = 5
        file["data"] = data
    with open(path("bad", "no_hdf5", "data.h5"), "wb") as file:
        file.write(b"This is no HDF5 file." * 100)
    with open(path("good", "samples", "data-00000.h5"), "rb") as file:
        whole = file.read()
    with open(path("bad", "cut", "data.h5"), "wb") as file:
        file.write(whole[:len(whole) - 200])
    # The superblock and the header say the truth; a chunk of the packed numbers does not.
    with bad("damaged_chunk") as file:
        set_ = file.create_dataset("data", data=data, chunks=(1, 3, 8), compression="gzip",
                                   fletcher32=True)
        offset = set_.id.get_chunk_info(2).byte_offset
    with open(path("bad", "damaged_chunk", "data.h5"), "r+b") as file:
        file.seek(offset + 4)
        file.write(b"\xff\x00\xff\x00")


for folder in ("good", "bad"):
    shutil.rmtree(os.path.join(HERE, folder), ignore_errors=True)
make_good()
make_bad()
