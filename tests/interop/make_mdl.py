"""Makes the Model Zoo's checkpoints of mdl/ beside it (HDF5, format 0.5), which the tests load.

    git clone --branch Release_2.10.0 https://github.com/Cerebras/modelzoo
    python3.11 -m venv /tmp/zoo
    /tmp/zoo/bin/pip install cerebras_pytorch==2.10.0 cerebras_appliance==2.10.0 \\
        'pydantic<3' transformers==4.45.2 numpy==1.26.4 Pillow pandas==2.2.3
    /tmp/zoo/bin/python make_mdl.py modelzoo/src

gpt2 and llama are saved by the Model Zoo's own Trainer on the CPU, after 4 of 6 steps; kinds and
groups by cerebras.pytorch.save. expected.json has what they hold, and the losses of all 6 steps.
Those of bad/ are made with h5py, as cerebras.appliance/storage/h5_storage.py lays them out: each is
refused for the reason in its name. ../hdf5/mdl has two small good ones.
"""
import gzip
import hashlib
import importlib.abc
import importlib.machinery
import io
import json
import os
import shutil
import sys
import tempfile
from unittest.mock import MagicMock

import h5py
import hdf5plugin
import numpy as np

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "mdl")
STEPS, SAVED, BATCH, LENGTH, VOCAB = 6, 4, 4, 16, 50

GPT2 = dict(name="gpt2", vocab_size=VOCAB, max_position_embeddings=LENGTH, hidden_size=8,
            num_hidden_layers=1, num_heads=2, filter_size=16, dropout_rate=0.0,
            attention_dropout_rate=0.0, use_bias_in_output=False, share_embedding_weights=True)
LLAMA = dict(name="llama", vocab_size=VOCAB, max_position_embeddings=LENGTH, hidden_size=8,
             num_hidden_layers=2, num_heads=2, filter_size=16, dropout_rate=0.0,
             attention_dropout_rate=0.0, use_bias_in_output=False, share_embedding_weights=False,
             position_embedding_type="rotary", rotary_dim=4, norm_type="rmsnorm",
             layer_norm_epsilon=1e-5, nonlinearity="swiglu", use_ffn_bias=False,
             use_projection_bias_in_attention=False, use_ffn_bias_in_attention=False,
             attention_module="multiquery_attention",
             extra_attention_params={"num_kv_groups": 1})


def tokens():
    """What both trainers learn; the test makes the same."""
    return [(7 * i * i + 3 * i) % VOCAB for i in range(LENGTH * 64 + 1)]


class Stub(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """The Model Zoo imports what its models do not need."""
    NAMES = ("slack_sdk lm_eval bigcode_eval datasets spacy ftfy nltk torchvision wandb faiss "
             "scipy matplotlib flask deepdiff cerebras_cloud_sdk peft keras_preprocessing pyarrow "
             "sklearn lm_dataformat datasketch networkit zmq").split()

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in self.NAMES:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        module = MagicMock()
        module.__path__, module.__spec__, module.__name__ = [], spec, spec.name
        module.__version__ = "1.0"
        return module

    def exec_module(self, module):
        pass


def pack(source, name):
    target = os.path.join(HERE, name + ".mdl.gz")
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with open(source, "rb") as file, open(target, "wb") as raw:
        with gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=9, mtime=0, filename="") as out:
            shutil.copyfileobj(file, out)


def digests(path):
    """SHA-256 of the data set of each tensor."""
    with h5py.File(path) as file:
        return {key: hashlib.sha256(file[key][...].tobytes()).hexdigest() for key in file
                if file[key].shape is not None}


def train(folder, section, model_class, config_class):
    import torch
    import cerebras.pytorch as cstorch
    from cerebras.modelzoo.common.optim_utils import configure_param_groups
    from cerebras.modelzoo.trainer import Trainer
    from cerebras.modelzoo.trainer.callbacks import (Callback, Checkpoint, ModelZooParamsMetadata,
                                                     TrainingLoop)
    losses = []
    ids = tokens()

    class Losses(Callback):
        def on_train_batch_end(self, trainer, model, outputs, batch, batch_idx):
            losses.append(float(outputs["loss"]))

    def data():
        def at(i):
            return torch.tensor(ids[i:i + LENGTH], dtype=torch.int32)
        samples = [{"input_ids": at(i * LENGTH), "labels": at(i * LENGTH + 1),
                    "attention_mask": torch.ones(LENGTH, dtype=torch.int32)} for i in range(64)]
        return torch.utils.data.DataLoader(samples, batch_size=BATCH)

    def optimizer(model):
        return cstorch.optim.AdamW(configure_param_groups(model, {"weight_decay": 0.1}), lr=0.01,
                                   betas=(0.9, 0.95), weight_decay=0.1)

    def schedule(optim):
        lr = cstorch.optim.lr_scheduler
        return lr.SequentialLR(optim, [lr.LinearLR(optim, 0.0, 0.01, 2),
                                       lr.CosineDecayLR(optim, 0.01, 0.001, 4)], milestones=[2])

    torch.manual_seed(1)
    params = {"trainer": {"init": {"seed": 1, "model": section}}}
    trainer = Trainer(device="CPU", model_dir=folder, seed=1, optimizer=optimizer,
                      model=lambda: model_class(config_class(**section)), schedulers=[schedule],
                      loop=TrainingLoop(num_steps=STEPS, eval_frequency=0),
                      checkpoint=Checkpoint(steps=SAVED),
                      callbacks=[ModelZooParamsMetadata(params), Losses()])
    trainer.fit(train_dataloader=cstorch.utils.data.DataLoader(data))
    path = os.path.join(folder, "checkpoint_%d.mdl" % SAVED)
    names = [name.removeprefix("model.") for name, _ in trainer.model.named_parameters()]
    return path, {"losses": losses, "tensors": digests(path), "parameters": names}


def make_real(expected):
    from cerebras.modelzoo.models.nlp.gpt2.model import Gpt2Model, GPT2ModelConfig
    from cerebras.modelzoo.models.nlp.llama.model import LlamaModel, LlamaModelConfig
    for name, section, model_class, config_class in [
            ("gpt2", GPT2, Gpt2Model, GPT2ModelConfig),
            ("llama", LLAMA, LlamaModel, LlamaModelConfig)]:
        with tempfile.TemporaryDirectory() as folder:
            path, expected[name] = train(folder, section, model_class, config_class)
            expected[name]["model"] = section
            pack(path, name)


def make_kinds(expected):
    """Whatever else cerebras.pytorch.save may store, around the model of gpt2."""
    import torch
    import cerebras.pytorch as cstorch
    with gzip.open(os.path.join(HERE, "gpt2.mdl.gz")) as file:
        with h5py.File(io.BytesIO(file.read())) as gpt2:
            weights = {key.removeprefix("model."): torch.from_numpy(gpt2[key][...])
                       for key in gpt2 if key.startswith("model.model.")}
    weights = {key: value for key, value in weights.items() if "decoder.norm" not in key}
    weights["model.lm_head.weight"] = weights["model.embedding_layer.word_embeddings.weight"]
    narrow = "model.transformer_decoder.layers.0.ffn.ffn.0.linear_layer.weight"
    weights[narrow] = weights[narrow].to(torch.bfloat16)
    half = "model.transformer_decoder.layers.0.ffn.ffn.1.linear_layer.weight"
    weights[half] = weights[half].half()
    weights["model.ln_f.bias"] = cstorch.storage.serializers.DeferredFullTensor(
        torch.Size((8,)), torch.float32, 0.5)
    state = {"model": weights, "global_step": torch.tensor(7), "infinite": float("inf"),
             "large": 2 ** 70, "type": torch.float32, "nothing": None, "empty": {},
             "pair": (1, "text"), "__metadata__": [
                 {"params": {"trainer": {"init": {"model": {"name": "other"}}}}},
                 {"params": {"trainer": {"init": {"model": GPT2}}}}]}
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "kinds.mdl")
        cstorch.save(state, path)
        pack(path, "kinds")
    expected["kinds"] = {
        key: hashlib.sha256(torch.as_tensor(weights["model." + key]).float().numpy().tobytes())
        .hexdigest() for key in (narrow.removeprefix("model."), half.removeprefix("model."),
                                 "lm_head.weight")}


def make_groups():
    """The run of gpt2 with its second group in two, as adjusted learning rates would have it."""
    import cerebras.pytorch as cstorch
    with tempfile.TemporaryDirectory() as folder:
        source, path = os.path.join(folder, "gpt2.mdl"), os.path.join(folder, "groups.mdl")
        with gzip.open(os.path.join(HERE, "gpt2.mdl.gz")) as file, open(source, "wb") as out:
            shutil.copyfileobj(file, out)
        state = cstorch.load(source)
        del state["schedulers"], state["__metadata__"]
        groups = state["optimizer"]["param_groups"]
        groups.append({**groups[1], "params": groups[1]["params"][3:]})
        groups[1]["params"] = groups[1]["params"][:3]
        cstorch.save(state, path)
        pack(path, "groups")


# ---- Hostile files, by hand ----

LEAF = {"type": None, "context": None, "children_spec": []}
KEY = "model.ln_f.weight"
TENSOR = {"__TORCH__": True, "__TYPE__": "TorchTensorSerializer", "__NUMPY__": True,
          "shapes": [[4]], "dtypes": ["torch.float32"]}


def spec(keys):
    return {"type": "builtins.dict", "context": json.dumps(keys),
            "children_spec": [LEAF] * len(keys)}


def write(path, leaves=None, tree=None, version=0.5, success=True, fill=None,
          data=np.zeros(4, "f4"), **options):
    """A file of flat keys; @fill(file) makes the data set instead of @data."""
    leaves = {KEY: TENSOR} if leaves is None else leaves
    with h5py.File(path, "w") as file:
        tree = spec(list(leaves)) if tree is None else tree
        file.attrs["__spec__"] = json.dumps([None, json.dumps([1, tree])])
        file.attrs["__version__"] = version
        for key, metadata in leaves.items():
            text = metadata if isinstance(metadata, str) else json.dumps(
                {"__spec__": [], "__objects__": [key], key + ".__metadata__": metadata})
            file.attrs[key + ".__metadata__"] = text
        if fill is not None:
            fill(file)
        elif data is not None:
            file.create_dataset(KEY, data=data, **options)
        if success:
            file.attrs["__SUCCESS__"] = True


def bad(name, **arguments):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "bad.mdl")
        write(path, **arguments)
        pack(path, os.path.join("bad", name))


def make_seeds():
    """What the fuzzer begins with (tests/fuzz/h5_file.c)."""
    folder = os.path.join(HERE, "..", "..", "hdf5", "mdl")
    os.makedirs(folder, exist_ok=True)
    write(os.path.join(folder, "packed.mdl"), chunks=(4,), **hdf5plugin.LZ4())
    write(os.path.join(folder, "values.mdl"), data=None, leaves={
        KEY: {"__TYPE__": "DeferredFullTensor", "dtype": "torch.float32", "fill_value": 0.5,
              "shape": [2, 2]},
        "model.tied": {"__TYPE__": "LinkedObject", "key": KEY},
        "text": {"__TYPE__": "StringSerializer", "string_value": "NaN"},
        "number": {"__TYPE__": "ScalarSerializer", "scalar_value": float("nan")},
        "step": {"__TYPE__": "ScalarSerializer", "scalar_value": 3}})


def virtual(file):
    layout = h5py.VirtualLayout(shape=(4,), dtype="f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", shape=(4,))
    file.create_virtual_dataset(KEY, layout)


def group(file):
    file.create_group(KEY)


def packed_lie(file):
    """An LZ4 chunk that says it holds more than it does, with a match before its beginning."""
    data = file.create_dataset(KEY, (4,), "f4", chunks=(4,), **hdf5plugin.LZ4())
    block = b"\x11a\xff\xff\x00"
    head = (16).to_bytes(8, "big") + (16).to_bytes(4, "big")
    chunk = head + len(block).to_bytes(4, "big") + block
    data.id.write_direct_chunk((0,), chunk)


def packed_wild(file):
    data = file.create_dataset(KEY, (4,), "f4", chunks=(4,), **hdf5plugin.LZ4())
    data.id.write_direct_chunk((0,), (1 << 62).to_bytes(8, "big") + b"\xff" * 12)


def make_bad():
    shutil.rmtree(os.path.join(HERE, "bad"), ignore_errors=True)
    bad("soft_link", fill=lambda f: f.__setitem__(KEY, h5py.SoftLink("/elsewhere")))
    bad("external_link",
        fill=lambda f: f.__setitem__(KEY, h5py.ExternalLink("/etc/passwd", "/x")))
    bad("external_storage", data=None, fill=lambda f: f.create_dataset(
        KEY, (4,), "f4", external=[("/etc/passwd", 0, 16)]))
    bad("virtual", fill=virtual)
    bad("group", fill=group)
    bad("no_data", data=None)
    bad("filter", chunks=(4,), **hdf5plugin.Zstd())
    bad("packed_lie", fill=packed_lie)
    bad("packed_wild", fill=packed_wild)
    bad("huge_chunk", fill=lambda f: f.create_dataset(
        KEY, (1 << 40,), "f4", chunks=(1 << 29,)), leaves={KEY: {**TENSOR, "shapes": [[1 << 40]]}})
    bad("other_shape", data=np.zeros(5, "f4"))
    bad("other_type", data=np.zeros(4, "f8"))
    bad("big_endian", data=np.zeros(4, ">f4"))
    bad("wild_fill", leaves={KEY: {"__TYPE__": "DeferredFullTensor", "dtype": "torch.float32",
                                   "fill_value": 0.0, "shape": [1 << 40, 1 << 40]}})
    bad("not_finished", success=False)
    bad("old_version", version=0.4)
    bad("new_version", version=0.7)
    bad("unknown_type", leaves={KEY: {**TENSOR, "__TYPE__": "DeferredGraphTensor"}})
    bad("other_file", leaves={KEY: {**TENSOR, "__TYPE__": "DeferredObject", "path": "/etc/passwd"}})
    bad("no_type", leaves={KEY: {"shapes": [[4]]}})
    bad("no_json", leaves={KEY: "{"})
    bad("twice", tree=spec([KEY, KEY]))
    bad("tied_to_nothing", leaves={KEY: {"__TYPE__": "LinkedObject", "key": "model.x"}})
    bad("tied_to_itself", leaves={KEY: {"__TYPE__": "LinkedObject", "key": KEY}})
    bad("slash", leaves={"a/b": TENSOR}, fill=lambda f: f.create_dataset("a/b", data=[1.0]))
    bad("no_metadata", tree=spec([KEY, "model.more"]))
    deep = LEAF
    for _ in range(100):
        deep = {"type": "builtins.list", "context": "null", "children_spec": [deep]}
    bad("deep", tree=deep)
    bad("empty_key", tree=LEAF)
    bad("no_model", leaves={"global_step": {"__TYPE__": "ScalarSerializer", "scalar_value": 3}})
    bad("negative_step", leaves={
        KEY: TENSOR, "global_step": {"__TYPE__": "ScalarSerializer", "scalar_value": -3}})


def main():
    sys.meta_path.append(Stub())
    sys.path.insert(0, sys.argv[1])
    expected = {}
    make_real(expected)
    make_kinds(expected)
    make_groups()
    with open(os.path.join(HERE, "expected.json"), "w", encoding="utf-8") as file:
        json.dump(expected, file, indent=1)
        file.write("\n")
    make_bad()
    make_seeds()


if __name__ == "__main__":
    main()
