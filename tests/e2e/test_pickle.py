"""cairn checkpoint convert: from PyTorch's own files, good ones (tests/interop/make_pt.py) and
hostile ones (pt_kit.py)."""
import os
import shutil
import unittest

from safetensors.numpy import load_file

import kit
import pt_kit

FIXTURES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "interop")
LINE = r"cairn: [^\n]*\n"


def fixture(*names):
    return os.path.join(FIXTURES, *names)


class PickleCase(kit.Case):
    def convert(self, source, expect=kit.OK):
        return kit.run(["checkpoint", "convert", source, self.path("ours"), "--to", "cairn"],
                       expect=expect)

    def check_is(self, source, folder):
        """What @source becomes is, bit for bit, what the safetensors of @folder become."""
        self.convert(source)
        kit.run(["checkpoint", "convert", fixture(folder), self.path("same"), "--to", "cairn"])
        first = kit.tensors(self.path("ours/checkpoint_0.mdl"))
        self.assertEqual(kit.tensors(self.path("same/checkpoint_0.mdl")), first)

    def put(self, name, data):
        """A file beside gpt2's config.json."""
        folder = self.path("theirs")
        os.makedirs(folder, exist_ok=True)
        shutil.copyfile(fixture("gpt2", "config.json"), os.path.join(folder, "config.json"))
        path = os.path.join(folder, name)
        if isinstance(data, bytes):
            with open(path, "wb") as file:
                file.write(data)
        else:
            shutil.copyfile(data.name, path)
        return path

    def put_fixture(self, name):
        with open(fixture("pt", name), "rb") as file:
            return self.put(name, file)


class GoodTest(PickleCase):
    def test_a_folder_with_one_file_whose_head_is_tied(self):
        self.check_is(fixture("gpt2_bin"), "gpt2")

    def test_a_folder_with_several_files_in_bf16(self):
        self.check_is(fixture("llama_bin"), "llama_sharded")

    def test_states_of_a_run_under_our_names_with_turned_weights(self):
        self.check_is(self.put_fixture("run.pt"), "gpt2")

    def test_a_lightning_checkpoint(self):
        self.check_is(self.put_fixture("lightning.ckpt"), "gpt2")

    def test_safetensors_come_first(self):
        folder = self.path("both")
        shutil.copytree(fixture("gpt2"), folder)
        with open(os.path.join(folder, "pytorch_model.bin"), "wb") as file:
            file.write(b"not looked at")
        self.check_is(folder, "gpt2")

    def test_what_comes_out_goes_to_hugging_face(self):
        self.convert(fixture("gpt2_bin"))
        kit.run(["checkpoint", "convert", self.path("ours/checkpoint_0.mdl"), self.path("theirs"),
                 "--to", "hf"])
        first = load_file(fixture("gpt2", "model.safetensors"))
        back = load_file(self.path("theirs/model.safetensors"))
        self.assertEqual(sorted(first), sorted(back))
        for name, tensor in first.items():
            self.assertEqual(tensor.tobytes(), back[name].tobytes(), name)


class RefusalTest(PickleCase):
    def refused(self, source, code, *parts):
        done = self.convert(source, expect=code)
        self.assertRegex(done.err, r"\A%s\Z" % LINE)
        for part in parts:
            self.assertIn(part, done.err)
        self.assertFalse(os.path.exists(self.path("ours")))

    def test_hostile_files_are_refused_in_a_line_that_says_why(self):
        unsupported = ("future_protocol",)
        for name, (data, part) in pt_kit.HOSTILE.items():
            with self.subTest(name):
                path = self.put("pytorch_model.bin", data)
                self.refused(os.path.dirname(path),
                             kit.USAGE if name in unsupported else kit.CHECKPOINT, part)
        self.assertFalse(os.path.exists("/tmp/cairn-escaped"))

    def test_the_good_ones_beside_them_are_read(self):
        for name, data in pt_kit.GOOD_FILES.items():
            with self.subTest(name):
                # Read, but it is not the model of config.json.
                self.refused(self.put("x.pt", data), kit.CHECKPOINT, "has no tensor")

    def test_the_old_format_says_how_to_convert_it(self):
        self.refused(self.put_fixture("old.pt"), kit.USAGE, "before 1.6", "torch.save(torch.load(")

    def test_tensors_must_be_those_of_the_configuration(self):
        self.refused(self.put_fixture("values.pt"), kit.CHECKPOINT, "has no tensor")
        path = self.put_fixture("run.pt")
        shutil.copyfile(fixture("llama", "config.json"), self.path("theirs/config.json"))
        self.refused(path, kit.CHECKPOINT, "config.json")

    def test_names_in_the_index_are_plain_names_of_such_files(self):
        folder = self.path("theirs")
        shutil.copytree(fixture("llama_bin"), folder)
        index = os.path.join(folder, "pytorch_model.bin.index.json")
        with open(index, encoding="utf-8") as file:
            text = file.read()
        for wrong in ("../pytorch_model-00001-of-00004.bin", "model-00001-of-00004.safetensors"):
            with open(index, "w", encoding="utf-8") as file:
                file.write(text.replace("pytorch_model-00001-of-00004.bin", wrong))
            self.refused(folder, kit.CHECKPOINT, "must be a name", "ends in .bin")

    def test_a_link_is_not_followed(self):
        path = self.put_fixture("run.pt")
        os.rename(path, self.path("elsewhere.pt"))
        os.symlink(self.path("elsewhere.pt"), path)
        self.refused(path, kit.CHECKPOINT, "no regular file")

    def test_other_files_are_refused_by_kind(self):
        self.refused(self.put("x.pt", b"\x89PNG\r\n\x1a\n and more"), kit.USAGE,
                     "is no PyTorch file")
        self.refused(self.put("x.pt", b""), kit.USAGE, "is no PyTorch file")


if __name__ == "__main__":
    unittest.main()
