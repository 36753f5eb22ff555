"""The library of the preset "portable": the loader takes the one that fits the processor, and all
of them train alike. The stage "portable" of tools/run_tests.py builds it and runs this."""
import json
import os
import sys
import unittest
import unittest.mock

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import kit  # pylint: disable=wrong-import-position

# What glibc's loader is to take the processor for: a portable one, and as it is.
LEAST = "glibc.cpu.hwcaps=-AVX2,-AVX512F"
REST = ""


def best_variant():
    """What the widest library that this processor can run calls itself."""
    with open("/proc/cpuinfo", encoding="ascii") as file:
        flags = set(next(line for line in file if line.startswith("flags")).split())
    v3 = {"avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe"}
    v4 = v3 | {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}
    return "avx512" if v4 <= flags else "avx2" if v3 <= flags else "portable"


class Variants(kit.Case):
    def train(self, name, tunables):
        """(what the kernels were compiled for, losses)"""
        model_dir = self.path(name)
        config = self.write_config(kit.tiny_config(self.text, val=False, loop={"max_steps": 20}))
        with unittest.mock.patch.dict(os.environ, {"GLIBC_TUNABLES": tunables}):
            self.fit(config, model_dir)
        steps = kit.read_metrics(model_dir).steps
        self.assertEqual(20, len(steps))
        made = kit.metadata(os.path.join(model_dir, "checkpoint_20.mdl"))["cairn.environment"]
        return json.loads(made)["kernels"], [steps[step]["loss"] for step in sorted(steps)]

    def test_the_loader_takes_the_library_for_the_processor_and_all_train_alike(self):
        kernels, losses = self.train("best", REST)
        self.assertEqual(best_variant(), kernels)
        portable, same = self.train("portable", LEAST)
        self.assertEqual("portable", portable)
        for a, b in zip(losses, same):
            self.assertAlmostEqual(float(a), float(b), delta=1e-4 * float(b))
        self.assertEqual(same, self.train("again", LEAST)[1])


if __name__ == "__main__":
    unittest.main()
