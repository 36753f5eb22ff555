"""Makes the folders beside it: two tiny models of random weights as `transformers` saves them, and
what it computes with them.

    python make_fixtures.py          # needs torch and transformers; made with 2.15 and 5.23

gpt2/ and llama/ hold config.json and model.safetensors; llama_sharded/ the same Llama in bf16, in
shards behind an index. expected.txt of each folder: a line "tokens" with the token ids of one
sequence, "logits" with the logits of chosen positions (the position first), "greedy" with the ids
that greedy decoding appends to the first eight.
"""
import os
import shutil

import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

HERE = os.path.dirname(os.path.abspath(__file__))
PROMPT, NEW, POSITIONS = 8, 24, (0, 1, 7, 30, 63, 100, 127)


def wide(model):
    """Weights that are large enough that every part of the model shows in the logits."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, tensor in sorted(model.named_parameters()):
            noise = torch.randn(tensor.shape, generator=generator)
            if tensor.dim() == 1 and ("norm" in name or ".ln_" in name) and "weight" in name:
                tensor.copy_(1.0 + 0.2 * noise)
            else:
                tensor.copy_(0.15 * noise)
    return model.eval()


def write_expected(model, folder, vocabulary):
    generator = torch.Generator().manual_seed(9)
    tokens = torch.randint(0, vocabulary, (1, 128), generator=generator)
    with torch.no_grad():
        logits = model(tokens).logits[0].float()
        text = tokens[:, :PROMPT]
        for _ in range(NEW):
            best = model(text).logits[0, -1].argmax()
            text = torch.cat([text, best.view(1, 1)], dim=1)
    with open(os.path.join(folder, "expected.txt"), "w", encoding="ascii") as file:
        file.write("tokens %s\n" % " ".join(str(i) for i in tokens[0].tolist()))
        for position in POSITIONS:
            row = " ".join("%.9g" % x for x in logits[position].tolist())
            file.write("logits %d %s\n" % (position, row))
        file.write("greedy %s\n" % " ".join(str(i) for i in text[0, PROMPT:].tolist()))


def fresh(name):
    folder = os.path.join(HERE, name)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    return folder


def save(model, name, vocabulary, **how):
    folder = fresh(name)
    model.save_pretrained(folder, **how)
    for extra in ("generation_config.json",):
        path = os.path.join(folder, extra)
        if os.path.exists(path):
            os.remove(path)
    write_expected(model, folder, vocabulary)


def main():
    torch.manual_seed(0)
    gpt2 = wide(GPT2LMHeadModel(GPT2Config(
        vocab_size=256, n_positions=128, n_embd=24, n_layer=2, n_head=3, bos_token_id=0,
        eos_token_id=0)))
    save(gpt2, "gpt2", 256)
    llama = wide(LlamaForCausalLM(LlamaConfig(
        vocab_size=256, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=256,
        rms_norm_eps=1e-6, tie_word_embeddings=False, bos_token_id=0, eos_token_id=0,
        rope_parameters={"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0,
                         "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                         "original_max_position_embeddings": 64})))
    save(llama, "llama", 256)
    folder = fresh("llama_sharded")
    llama.to(torch.bfloat16).save_pretrained(folder, max_shard_size="20KB")
    # Read back: the conversion has rounded the angles of the positions, too.
    write_expected(LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval(), folder,
                   256)
    path = os.path.join(folder, "generation_config.json")
    if os.path.exists(path):
        os.remove(path)


if __name__ == "__main__":
    main()
