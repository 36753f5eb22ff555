"""One way to run a training from YAML (`cairn fit`) and from C (examples/trainer.c).

A setting has the name of its option and means the same on both ways, so a test is written once.
"""
import json
import os

from safetensors.numpy import load_file

import kit

EXAMPLE = os.path.join(os.environ.get("CAIRN_BUILD_DIR") or os.path.dirname(kit.BIN),
                       "example_trainer")

# Where each setting stands in the YAML, below trainer.init unless it says otherwise.
LOOP = ("num_steps", "max_steps", "eval_frequency", "eval_steps")
CHECKPOINT = ("steps", "autoload_last_checkpoint", "disable_strict_checkpoint_loading",
              "save_initial_checkpoint", "checkpoint_root", "checkpoint_name", "resume")
MODEL = ("hidden_size", "num_hidden_layers", "num_heads", "filter_size")
DATA = ("max_sequence_length", "batch_size")

DEFAULTS = {"seed": 1, "hidden_size": 16, "num_hidden_layers": 1, "num_heads": 2,
            "filter_size": 32, "max_sequence_length": 16, "batch_size": 4, "eval_frequency": None}


def yaml_config(text, settings, **sections):
    """The configuration that says what examples/trainer.c does with @settings."""
    def those(names):
        return {name: settings[name] for name in names if name in settings}

    callbacks = []
    if "load_checkpoint_states" in settings:
        callbacks.append({"LoadCheckpointStates": those(("load_checkpoint_states",))})
    if "k" in settings:
        callbacks.append({"SaveCheckpointState": those(("k", "checkpoint_states"))})
    if "n" in settings:
        callbacks.append({"KeepNCheckpoints": those(("n",))})
    loader = dict(those(DATA), data_processor="TextDataProcessor", data_dir=text, val_fraction=0.1)
    fit = {"train_dataloader": dict(loader, shuffle=True),
           "val_dataloader": dict(loader, split="val", drop_last=False)}
    if "ckpt_path" in settings:
        fit["ckpt_path"] = settings["ckpt_path"]
    init = {
        "seed": settings["seed"],
        "model": dict(those(MODEL), name="gpt2", vocab_size=256, max_position_embeddings=128,
                      dropout_rate=0.0),
        "optimizer": {"AdamW": {"weight_decay": 0.1}},
        "schedulers": [{"LinearLR": {"initial_learning_rate": 0.01, "end_learning_rate": 0.001,
                                     "total_iters": 100}}],
        "precision": {"max_gradient_norm": 1.0},
        "loop": those(LOOP),
        "checkpoint": those(CHECKPOINT),
        "callbacks": callbacks,
    }
    return {"trainer": dict({"init": init, "fit": fit}, **sections)}


def value_text(value):
    """As the command line of the example takes it."""
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)


def model_arrays(path):
    """{name without "model.": array} of the model in a checkpoint, read as others read it."""
    return {name[len("model."):]: array for name, array in load_file(path).items()
            if name.startswith("model.")}


class FromYaml:
    """Mixin: trains with `cairn fit`."""

    def command(self, model_dir, settings):
        config = self.write_config(yaml_config(self.text, settings))
        return kit.BIN, self.fit_args(config, model_dir)


class FromC:
    """Mixin: trains with the example."""

    def command(self, model_dir, settings):
        arguments = ["%s=%s" % (name, value_text(value)) for name, value in settings.items()]
        return "env", ["OMP_NUM_THREADS=1", EXAMPLE, self.text, model_dir, *arguments]


class PageCase(kit.Case):
    """train() and start() take settings; model_dir is below the test's own folder. What they run is
    said by FromYaml or FromC, which stands before this class in the list of bases."""

    def train(self, model_dir, expect=kit.OK, **settings):
        program, args = self.command(self.path(model_dir), dict(DEFAULTS, **settings))
        return kit.run(args, expect, program=program)

    def start(self, model_dir, **settings):
        program, args = self.command(self.path(model_dir), dict(DEFAULTS, **settings))
        return kit.Running(args, program=program)

    def validate(self, *more, expect=kit.OK, **settings):
        """What `cairn validate --json` says, floats as texts; None if it fails."""
        config = self.write_config(yaml_config(self.text, dict(DEFAULTS, **settings)), "v.yaml")
        result = kit.run(["validate", config, "--json", "--threads", "1", *more], expect)
        return json.loads(result.out, parse_float=str) if result.code == kit.OK else None

    # ---- What is there afterwards ----

    def full(self, folder):
        """Steps of the full checkpoints with plain names, in order."""
        return self.steps_of(folder, "checkpoint_")

    def alternatives(self, folder, states="model"):
        return self.steps_of(folder, states + "_checkpoint_")

    def steps_of(self, folder, prefix):
        names = kit.checkpoints(self.path(folder), prefix)
        return [int(name[len(prefix):-len(".mdl")]) for name in names]

    def metrics(self, model_dir):
        return kit.read_metrics(self.path(model_dir))

    def trained(self, model_dir):
        return sorted(self.metrics(model_dir).steps)

    def validated(self, model_dir):
        return sorted(self.metrics(model_dir).validations)

    def snapshot(self, model_dir):
        """As kit.snapshot; the lock file, which names the last process, left out."""
        files = kit.snapshot(self.path(model_dir))
        files.pop(".cairn.lock", None)
        return files

    def values(self, *path):
        return kit.values(self.path(*path))

    def states(self, *path):
        return kit.metadata(self.path(*path))["cairn.states"].split(",")

    def tensors(self, state, *path):
        """{name without the state: bytes} of one state of a checkpoint."""
        return {name[len(state) + 1:]: data
                for name, data in kit.tensors(self.path(*path)).items()
                if name.startswith(state + ".")}

    def assert_same_run(self, one, other):
        """Both model_dirs tell of the same steps and validations, to the bit."""
        self.assertEqual(self.metrics(one).bits(), self.metrics(other).bits())
