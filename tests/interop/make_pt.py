"""Makes the PyTorch files beside it from the models of make_fixtures.py.

    python make_pt.py          # needs torch and safetensors; made with 2.15

gpt2_bin/ and llama_bin/ are the folders gpt2/ and llama_sharded/ as older versions of `transformers`
saved them: pytorch_model.bin, and files behind an index in bfloat16. pt/ has single files: a run's
states under our names (run.pt), a Lightning checkpoint (lightning.ckpt), both of gpt2/,
and values.pt with whatever else torch.save may meet. old.pt is in the format of before
PyTorch 1.6.
"""
import json
import os
import shutil

import torch
from safetensors.torch import load_file

HERE = os.path.dirname(os.path.abspath(__file__))

# transformers' GPT-2 and the Model Zoo's names; c_attn and the transposed ones apart.
OURS = {
    "wte": "embedding_layer.word_embeddings", "wpe": "embedding_layer.position_embeddings.embed",
    "ln_f": "ln_f", "ln_1": "norm1", "ln_2": "norm3", "mlp.c_fc": "ffn.ffn.0.linear_layer",
    "mlp.c_proj": "ffn.ffn.1.linear_layer", "attn.c_proj": "self_attn.proj_output_dense_layer",
}


def fresh(name, *copied):
    folder = os.path.join(HERE, name)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    for path in copied:
        shutil.copyfile(os.path.join(HERE, path), os.path.join(folder, os.path.basename(path)))
    return folder


def our_names(theirs):
    """The same weights under our names; the projections stay views, turned over."""
    ours = {}
    for name, tensor in theirs.items():
        parts = name.removeprefix("transformer.").split(".")
        layer = "transformer_decoder.layers.%s." % parts[1] if parts[0] == "h" else ""
        module, last = ".".join(parts[2 if layer else 0:-1]), "." + parts[-1]
        turned = tensor.t() if module.split(".")[-1].startswith("c_") and tensor.dim() == 2 \
            else tensor
        if module == "attn.c_attn":
            for letter, part in zip("qkv", turned.chunk(3)):
                ours[layer + "self_attn.proj_%s_dense_layer" % letter + last] = part
        else:
            ours[layer + OURS[module] + last] = turned
    return ours


def make_folders():
    folder = fresh("gpt2_bin", "gpt2/config.json")
    gpt2 = load_file(os.path.join(HERE, "gpt2", "model.safetensors"))
    gpt2["lm_head.weight"] = gpt2["transformer.wte.weight"]  # one storage, as tied weights have
    torch.save(gpt2, os.path.join(folder, "pytorch_model.bin"))

    folder = fresh("llama_bin", "llama_sharded/config.json")
    places = {}
    for i in range(1, 5):
        shard = load_file(os.path.join(HERE, "llama_sharded",
                                       "model-%05d-of-00004.safetensors" % i))
        name = "pytorch_model-%05d-of-00004.bin" % i
        torch.save(shard, os.path.join(folder, name))
        places.update({key: name for key in shard})
    with open(os.path.join(folder, "pytorch_model.bin.index.json"), "w", encoding="ascii") as file:
        json.dump({"metadata": {}, "weight_map": places}, file, indent=1, sort_keys=True)
        file.write("\n")


def make_files():
    folder = fresh("pt")
    gpt2 = load_file(os.path.join(HERE, "gpt2", "model.safetensors"))
    ours = our_names(gpt2)
    norm = torch.nn.Parameter(ours["ln_f.weight"].clone())
    optimizer = torch.optim.AdamW([norm])
    norm.sum().backward()
    optimizer.step()
    torch.save({"model": ours, "optimizer": optimizer.state_dict(), "global_step": 7},
               os.path.join(folder, "run.pt"))
    torch.save({"epoch": 1, "pytorch-lightning_version": "2.5.0",
                "state_dict": {"model." + name: torch.nn.Parameter(tensor)
                               for name, tensor in gpt2.items()}},
               os.path.join(folder, "lightning.ckpt"))


def make_values():
    folder = os.path.join(HERE, "pt")
    base = torch.arange(24, dtype=torch.float32)
    torch.save({
        "module": torch.nn.Linear(2, 3).requires_grad_(False).state_dict(),
        "grid": base.view(2, 3, 4), "turned": base.view(2, 3, 4).permute(2, 0, 1),
        "every_second": base[1::2], "column": base.view(4, 6)[:, 2], "scalar": torch.tensor(2.5),
        "none": torch.zeros(0, 3), "half": base[:3].half(), "bf16": base[:3].bfloat16(),
        "f64": base[:3].double(), "i64": torch.tensor([-1, 2]), "u8": torch.tensor([255]).byte(),
        "bool": torch.tensor([True, False]), "u16": torch.tensor([65535], dtype=torch.uint16),
        "f8": base[:3].to(torch.float8_e4m3fn), "complex": torch.tensor([1 + 2j]),
        "step": 3, "minus": -70000, "long": 1 << 40, "large": 1 << 63, "lr": 1e-3, "yes": True,
        "nothing": None, "text": "täxt", "bytes": b"xy", "size": torch.Size([4, 5]),
        "device": torch.device("cpu"), "dtype": torch.bfloat16, "set": {6}, "list": [1, [2.5]],
        3: {"exp_avg": base[:2]}, "empty": {},
    }, os.path.join(folder, "values.pt"))
    torch.save({"a": base[:2]}, os.path.join(folder, "old.pt"),
               _use_new_zipfile_serialization=False)
    torch.save({"a": base[:2]}, os.path.join(folder, "protocol4.pt"), pickle_protocol=4)


if __name__ == "__main__":
    torch.manual_seed(0)
    make_folders()
    make_files()
    make_values()
