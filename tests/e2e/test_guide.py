"""Every block of YAML, shell and Python in the guide and the README does what its page says, and
every link leads somewhere."""
import re
import unittest
from pathlib import Path

import guide_kit
import kit

ROOT = Path(__file__).resolve().parents[2]
FIRST_RUN = ROOT / "docs" / "guide" / "first-run.md"
PAGES = sorted((ROOT / "docs" / "guide").glob("*.md")) + [ROOT / "README.md"]

# Blocks that are not run, each marked in its page with the reason.
NOT_RUN = {"README.md": 2, "checkpointing.md": 1, "first-run.md": 1, "job-scripts.md": 3,
           "loggers.md": 1, "plugins.md": 3, "tokenizers.md": 1}


def shared():
    return guide_kit.shared_blocks(FIRST_RUN.read_text(encoding="utf-8"), "docs/guide/first-run.md")


class Guide(kit.Case):
    """A test a page, added below."""

    def run_page(self, path):
        name = str(path.relative_to(ROOT))
        _, not_run = guide_kit.run_page(path.read_text(encoding="utf-8"), name, self.path(""),
                                        () if path == FIRST_RUN else shared())
        self.assertEqual(NOT_RUN.get(path.name, 0), not_run,
                         "blocks of %s that are marked as not run: each must have a reason that "
                         "holds, then NOT_RUN in tests/e2e/test_guide.py is set to their number"
                         % name)


def add_page(path):
    setattr(Guide, "test_" + path.stem.replace("-", "_"), lambda self: self.run_page(path))


if not kit.SLOW:  # What the commands do has tests of its own, which a sanitized program runs.
    for one in PAGES:
        add_page(one)


def anchors(path):
    """What a link into a page may name: its headings as GitHub and the site spell them."""
    text = re.sub(r"^ *```.*?^ *```$", "", path.read_text(encoding="utf-8"),
                  flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ +(.*?) *$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def broken_links(path):
    """The links of a page that lead to no file or to no heading."""
    result = []
    for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = path.parent / name if name else path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            result.append(link)
    return result


class Examples(kit.Case):
    def test_every_example_of_the_reference_runs(self):
        paths = sorted((ROOT / "docs" / "examples").glob("*.yaml"))
        self.assertGreaterEqual(len(paths), 4)
        for path in paths:
            text = "```yaml\n%s```\n" % path.read_text(encoding="utf-8")
            self.assertEqual((1, 0), guide_kit.run_page(text, path.name, self.path(""), shared()))


class Links(kit.Case):
    def test_every_link_leads_to_a_file_and_a_heading(self):
        pages = sorted((ROOT / "docs").rglob("*.md")) + sorted(ROOT.glob("*.md"))
        broken = ["%s: %s" % (page.relative_to(ROOT), link)
                  for page in pages for link in broken_links(page)]
        self.assertEqual([], broken)

    def test_a_broken_link_is_found(self):
        for name, text in (("a.md", "[b](b.md) [c](b.md#the-head-of-it) [d](b.md#no) [e](c.md)"),
                           ("b.md", "# The `head` of it\n[a](#the-head-of-it) [b](#x)\n")):
            with open(self.path(name), "w", encoding="utf-8") as file:
                file.write(text)
        self.assertEqual(["b.md#no", "c.md"], broken_links(Path(self.path("a.md"))))
        self.assertEqual(["#x"], broken_links(Path(self.path("b.md"))))

    def test_every_page_has_its_place_in_the_order(self):
        for folder in ("guide", "reference"):
            index = (ROOT / "docs" / folder / "README.md").read_text(encoding="utf-8")
            for page in (ROOT / "docs" / folder).glob("*.md"):
                if page.name != "README.md":
                    self.assertIn("](%s)" % page.name, index,
                                  "docs/%s/README.md has no link to %s" % (folder, page.name))


class Runner(kit.Case):
    """The runner sees what is wrong with a page."""

    def page(self, text):
        return guide_kit.run_page(text, "page.md", self.path(""), shared())

    def refused(self, message, text):
        with self.assertRaisesRegex(guide_kit.PageError, message):
            self.page(text)

    def test_a_page_that_is_right_passes(self):
        self.assertEqual((4, 1), self.page(
            "```yaml\ncheckpoint: {steps: 2}\n```\n"
            "```sh\ncairn fit params.yaml --set trainer.init.loop.max_steps=4\n```\n"
            "```console\n$ ls run1 | grep 'mdl$'\ncheckpoint_2.mdl\n...\n$ (exit 3)\n$ echo $?\n3\n"
            "```\n"
            "```python\nimport safetensors.numpy as s\ns.load_file('run1/checkpoint_4.mdl')\n```\n"
            "<!-- test: not run, it needs a cluster -->\n```sh\nsbatch job.sh\n```\n"
            "```text\nresult=finished step=4\n```\n"))

    def test_a_key_that_does_not_exist_is_found(self):
        self.refused(r"page.md:3: exit code 2\n(.|\n)*unknown key 'stops'",
                     "Text\n\n```yaml\n    checkpoint: {stops: 2}\n```\n")

    def test_a_configuration_that_should_be_refused_and_is_not_is_found(self):
        self.assertEqual((1, 0), self.page("<!-- test: refused -->\n```yaml\ntrainer: 1\n```\n"))
        self.refused("exit code 0 of what should be refused", "<!-- test: refused -->\n```yaml\n"
                     + guide_kit.blocks_of(FIRST_RUN.read_text(encoding="utf-8"), "")[2].text
                     + "```\n")

    def test_one_data_processor_replaces_another(self):
        self.refused("NoSuchProcessor",
                     "```yaml\ntrain_dataloader: {data_processor: NoSuchProcessor}\n"
                     "model: {num_heads: 1}\n```\n")

    def test_a_command_that_fails_is_found(self):
        self.refused("page.md:1: exit code 1", "```sh\nfalse\ntrue\n```\n")
        self.refused("exit code 4 of the last command", "```console\n$ (exit 4)\n```\n")
        self.refused("exit code 4 before `true`", "```console\n$ (exit 4)\n$ true\n```\n")

    def test_other_output_than_shown_is_found(self):
        self.refused("does not print\n  two", "```console\n$ echo one\ntwo\n```\n")
        self.refused("does not print", "```console\n$ echo one; echo two\none\n```\n")
        self.refused("does not print", "```console\n$ echo step 10\nstep 20\n```\n")

    def test_a_command_in_a_block_that_is_not_run_is_found(self):
        self.refused("a command in a block that is not run", "```\ncairn fit params.yaml\n```\n")
        self.refused("cannot be run", "```bash\ncairn fit params.yaml\n```\n")

    def test_marks_are_checked(self):
        self.refused("needs a reason", "<!-- test: not run -->\n```sh\nfalse\n```\n")
        self.refused("unknown mark", "<!-- test: norun, so -->\n```sh\nfalse\n```\n")
        self.refused("no shell", "<!-- test: not run, so -->\n```sh\nif true\n```\n")
        self.refused("no YAML", "<!-- test: not run, so -->\n```yaml\na: [\n```\n")
        self.refused("in the line before", "<!-- test: not run, so -->\n\n```sh\nfalse\n```\n")

    def test_what_a_page_shows_is_compared_but_for_numbers_of_the_moment(self):
        def is_shown(shown, printed):
            return guide_kit.missing_line(shown.splitlines(), printed) is None
        stamped = "2026-11-23 13:24:22,267 INFO:   Loss=3.25, TimeRemaining>0:00:01\n"
        self.assertTrue(is_shown("INFO:   Loss=1.5, TimeRemaining=0:10:00", stamped))
        self.assertFalse(is_shown("INFO:   Loss=1, TimeRemaining=0:10:00", stamped))
        self.assertTrue(is_shown("a\n...\nd", "a\nb\nc\nd\n"))
        self.assertTrue(is_shown("...\nb\nc\n...", "a\nb\nc\nd\n"))
        self.assertFalse(is_shown("...\nb\nd\n...", "a\nb\nc\nd\n"))
        self.assertFalse(is_shown("a\n...\nc", "a\nb\nc\nd\n"))
        self.assertTrue(is_shown("saved ... at 20260101_000000", "saved x y at 20261123_132422"))
        self.assertFalse(is_shown("a", ""))


if __name__ == "__main__":
    unittest.main()
