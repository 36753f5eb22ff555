"""Writes loss_scaler.txt: what the dynamic loss scale does over sequences of steps.

An independent telling of the rules (Model Zoo reference 2.6), by looking at the history of a step
rather than by counters: the scale in force at a step is the product of all halvings and doublings
before it, each cut to the limits.

    python3 make_loss_scaler.py > loss_scaler.txt

Lines: "case INITIAL MIN MAX STEPS_PER_INCREASE", then for each step
"OVERFLOWS SCALE STEPS SKIPPED" (after the step), or "OVERFLOWS stop" where the run ends.
"""
import random
from fractions import Fraction

CASES = [
    # initial, min, max, steps_per_increase, chance of an overflow, steps
    (2 ** 15, Fraction(1, 2 ** 14), 2 ** 15, 2000, 0.0, 5),
    (2 ** 15, Fraction(1, 2 ** 14), 2 ** 15, 3, 0.0, 20),  # doubling is cut at the largest
    (1, Fraction(1, 2 ** 14), 2 ** 15, 1, 0.0, 40),            # doubles at every second step
    (1, Fraction(1, 2 ** 14), 2 ** 15, 4, 0.1, 300),
    (2 ** 31, Fraction(1, 2 ** 14), 2 ** 31, 5, 0.12, 300),
    (8, 2, 16, 3, 0.1, 200),                                   # reaches the least
    (6, Fraction(3, 2), 10, 2, 0.1, 200),                      # limits that are no power of two
    (4, 4, 4, 2, 0.1, 60),
    (2 ** 15, Fraction(1, 2 ** 14), 2 ** 15, 2000, 1.0, 40),   # all overflow
]


def scale_after(events, initial, low, high):
    """@events: list of -1 and +1 in order. None if an overflow would go below @low."""
    scale = Fraction(initial)
    for event in events:
        if event < 0:
            scale /= 2
            if scale < low:
                return None
        else:
            scale = min(scale * 2, Fraction(high))
    return scale


def run(initial, low, high, per_increase, chance, count, rng):
    events, quiet, skipped = [], 0, 0
    for _ in range(count):
        overflows = rng.random() < chance
        if overflows:
            events.append(-1)
            skipped += 1
            quiet = 0
        else:
            quiet += 1
            if quiet == per_increase + 1:  # more than steps_per_increase
                events.append(+1)
                quiet = 0
        scale = scale_after(events, initial, low, high)
        if scale is None:
            yield "%d stop" % overflows
            return
        yield "%d %s %d %d" % (overflows, float(scale).hex(), quiet, skipped)


def main():
    rng = random.Random(20)
    for case in CASES:
        initial, low, high, per_increase, chance, count = case
        print("case %s %s %s %d" % (float(initial).hex(), float(low).hex(), float(high).hex(),
                                    per_increase))
        for line in run(initial, low, high, per_increase, chance, count, rng):
            print(line)


main()
