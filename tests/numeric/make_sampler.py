"""Makes sampler.txt: what transformers' logits processors leave of some logits.

    python make_sampler.py          # needs torch and transformers; made with 2.15 and 5.23

Each case: "options" temperature top_k top_p repetition_penalty; "occurred" token ids; "logits";
"probabilities" of all tokens, 0 for those that may not come. The order is that of generate().
"""
import os

import torch
from transformers import (RepetitionPenaltyLogitsProcessor, TemperatureLogitsWarper,
                          TopKLogitsWarper, TopPLogitsWarper)

VOCABULARY = 40
CASES = (
    (1.0, 0, 1.0, 1.0), (0.7, 0, 1.0, 1.0), (2.5, 0, 1.0, 1.0), (1.0, 5, 1.0, 1.0),
    (1.0, 0, 0.8, 1.0), (1.0, 0, 0.05, 1.0), (1.0, 0, 1.0, 1.3), (1.0, 0, 1.0, 0.8),
    (0.8, 10, 0.9, 1.2), (1.7, 39, 0.95, 1.5), (0.3, 3, 0.5, 2.0), (1.3, 100, 0.99, 1.1),
    (0.6, 1, 0.7, 1.4), (3.0, 20, 0.6, 1.0),
)


def probabilities(logits, occurred, temperature, top_k, top_p, penalty):
    scores = logits.view(1, -1).clone()
    ids = torch.tensor([occurred])
    processors = []
    if penalty != 1.0:
        processors.append(RepetitionPenaltyLogitsProcessor(penalty))
    if temperature != 1.0:
        processors.append(TemperatureLogitsWarper(temperature))
    if top_k > 0:
        processors.append(TopKLogitsWarper(min(top_k, VOCABULARY)))
    if top_p < 1.0:
        processors.append(TopPLogitsWarper(top_p))
    for processor in processors:
        scores = processor(ids, scores)
    return torch.softmax(scores.double(), dim=-1)[0]


def main():
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "sampler.txt")
    generator = torch.Generator().manual_seed(3)
    with open(path, "w", encoding="ascii") as file:
        for case in CASES:
            logits = 2.0 * torch.randn(VOCABULARY, generator=generator)
            occurred = torch.randint(0, VOCABULARY, (6,), generator=generator).tolist()
            file.write("options %g %d %g %g\n" % case)
            file.write("occurred %s\n" % " ".join(str(i) for i in occurred))
            file.write("logits %s\n" % " ".join("%.9g" % x for x in logits.tolist()))
            file.write("probabilities %s\n" % " ".join(
                "%.9g" % x for x in probabilities(logits, occurred, *case).tolist()))


if __name__ == "__main__":
    main()
