"""What the live comparison asks of transformers (tests/torture/test_transformers.py runs it).

    python live.py make ROOT      # saves a model of each kind to ROOT/<kind>
    python live.py expect FOLDER...   # loads each and writes its expected.txt
    python live.py gguf FOLDER FILE   # fails unless the GGUF file's logits are the folder's
"""
import os
import sys

import torch
from transformers import (AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel, LlamaConfig,
                          LlamaForCausalLM, MistralConfig, MistralForCausalLM)

from make_fixtures import wide, write_expected

GPT2 = {"vocab_size": 300, "n_positions": 128, "n_embd": 48, "n_layer": 3, "n_head": 4,
        "bos_token_id": 0, "eos_token_id": 0}
LLAMA = {"vocab_size": 300, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3,
         "num_attention_heads": 8, "num_key_value_heads": 4, "max_position_embeddings": 128,
         "bos_token_id": 0, "eos_token_id": 0}


def models():
    yield "gpt2", GPT2LMHeadModel(GPT2Config(**GPT2))
    yield "gpt2_long", GPT2LMHeadModel(GPT2Config(**{**GPT2, "n_positions": 1024}))
    yield "gpt2_untied_relu", GPT2LMHeadModel(GPT2Config(
        **GPT2, tie_word_embeddings=False, activation_function="relu", n_inner=100,
        scale_attn_weights=False))
    yield "llama_plain", LlamaForCausalLM(LlamaConfig(**LLAMA, tie_word_embeddings=True))
    yield "llama_linear_biases", LlamaForCausalLM(LlamaConfig(
        **LLAMA, attention_bias=True, mlp_bias=True, hidden_act="gelu",
        rope_parameters={"rope_type": "linear", "rope_theta": 20000.0, "factor": 4.0}))
    yield "llama3", LlamaForCausalLM(LlamaConfig(
        **LLAMA, rope_parameters={
            "rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 32}))
    yield "mistral", MistralForCausalLM(MistralConfig(**LLAMA, sliding_window=20))


def compare_gguf(folder, path):
    """Needs gguf and accelerate. transformers reads no window, no scaled positions, and of a GPT-2
    no other number of positions than 1,024."""
    one = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    other = AutoModelForCausalLM.from_pretrained(
        os.path.dirname(path), gguf_file=os.path.basename(path), dtype=torch.float32).eval()
    tokens = torch.arange(100).view(1, -1)
    with torch.no_grad():
        difference = (one(tokens).logits - other(tokens).logits).abs().max().item()
    if difference != 0.0:
        raise SystemExit("%s: the logits differ by %g" % (path, difference))


def main():
    if sys.argv[1] == "gguf":
        compare_gguf(*sys.argv[2:])
        return
    if sys.argv[1] == "make":
        for name, model in models():
            wide(model).save_pretrained(os.path.join(sys.argv[2], name))
        return
    for folder in sys.argv[2:]:
        model, problems = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, output_loading_info=True)
        if any(problems.values()):
            raise SystemExit("%s: %s" % (folder, problems))
        write_expected(model.eval(), folder, model.config.vocab_size)


if __name__ == "__main__":
    main()
