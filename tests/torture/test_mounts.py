"""Accidents that need a file system of their own: a disk that is full, a disk that fails behind the
back of write. Root only, and only with TORTURE=1 (make torture)."""
import os
import re
import shutil
import subprocess
import tempfile
import unittest

HARNESS = os.environ.get("CAIRN_HARNESS", "")
PAGE = 4096


def run(*command):
    return subprocess.run([str(part) for part in command], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)


class Mounts(unittest.TestCase):
    def setUp(self):
        if os.environ.get("TORTURE") != "1":
            self.skipTest("only in make torture")
        if os.geteuid() != 0:
            self.skipTest("mounts need root")
        self.dir = tempfile.mkdtemp(prefix="cairn-mounts-")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)

    def folder(self, name):
        path = os.path.join(self.dir, name)
        os.makedirs(path, exist_ok=True)
        return path

    def mount(self, *arguments):
        """Mounts for the time of the test; a machine that refuses skips it."""
        result = run("mount", *arguments)
        if result.returncode != 0:
            self.skipTest("mount: " + result.stdout.strip())
        self.addCleanup(run, "umount", "-l", arguments[-1])

    def play(self, model_dir, script):
        """Plays @script with the harness; returns (exit code, messages, events)."""
        journal = os.path.join(self.dir, "journal")
        if os.path.exists(journal):
            os.unlink(journal)
        result = run(HARNESS, model_dir, "-", journal, script)
        with open(journal, encoding="ascii") as file:
            return result.returncode, result.stdout, file.read().splitlines()

    def saved(self, events):
        return [int(event.split()[1]) for event in events if event.startswith("saved ")]

    def test_a_full_disk_fails_the_save_and_nothing_else(self):
        """tmpfs of growing size: each save is whole or refused, and the next fits once there is
        room."""
        tried = failed = lost = 0
        files = self.folder("full")
        for pages in range(1, 33):
            self.mount("-t", "tmpfs", "-o", "size=%d" % (pages * PAGE), "none", files)
            code, text, events = self.play(files, "osss")
            tried += 1
            failed += code != 0
            self.assertIn(code, (0, 1), text)
            self.assertTrue(code == 0 or "CAIRN_ENOSPACE" in text, text)
            self.assertEqual(len(self.saved(events)) == 3, code == 0)
            names = [name for name in os.listdir(files)
                     if re.fullmatch(r"checkpoint_\d+\.mdl", name)]
            lost += len(self.saved(events)) != len(names)
            self.assertEqual([], [name for name in os.listdir(files) if name.endswith(".part")])
            self.assertEqual(0, run("mount", "-o", "remount,size=1m", files).returncode)
            code, text, _ = self.play(files, "oses")  # Loads the newest, bit for bit, and saves.
            lost += code != 0
            self.assertEqual(0, run("umount", files).returncode)
        print("torture: full disk, tmpfs of 1 to 32 pages tried=%d lost=%d refused=%d"
              % (tried, lost, failed))
        self.assertEqual(0, lost)
        self.assertTrue(0 < failed < tried)

    def loop_device(self, image):
        """A loop device over a file. Its requests are a page each: it takes a write of which only a
        part found room for a good one, as no real disk does."""
        result = run("losetup", "-f", "--show", image)
        if result.returncode != 0:
            self.skipTest("losetup: " + result.stdout.strip())
        device = result.stdout.strip()
        self.addCleanup(run, "losetup", "-d", device)
        with open("/sys/block/%s/queue/max_sectors_kb" % os.path.basename(device), "w",
                  encoding="ascii") as file:
            file.write(str(PAGE // 1024))
        return device

    def test_write_back_errors_are_told(self):
        """ext4 in a file on a tmpfs that is too small for it: write succeeds, fsync finds out. What
        was called saved must be there after a fresh mount."""
        tried = refused = lost = saves = 0
        for megabytes in range(2, 9):
            name = "small_%d" % megabytes
            small = self.folder(name)
            self.mount("-t", "tmpfs", "-o", "size=%dm" % megabytes, "none", small)
            image = os.path.join(small, "image")
            with open(image, "wb") as file:
                file.truncate(32 << 20)
            if run("mkfs.ext4", "-q", "-b", PAGE, "-O", "^has_journal", "-E", "nodiscard",
                   image).returncode:
                self.skipTest("no mkfs.ext4")
            device, files = self.loop_device(image), self.folder(name + "_files")
            self.mount("-o", "errors=continue", device, files)
            code, text, events = self.play(files, "o" + 600 * "s")
            saved = self.saved(events)
            self.assertEqual(code == 0, len(saved) == 600, text)
            self.assertEqual(0, run("umount", files).returncode)
            copy = os.path.join(self.dir, name + "_image")
            run("cp", "--sparse=always", image, copy)  # As the disk has it.
            fresh = self.folder(name + "_fresh")
            self.mount("-o", "loop,ro", copy, fresh)
            bad = [step for step in saved
                   if not self.is_whole(os.path.join(fresh, "checkpoint_%d.mdl" % step))]
            lost += len(bad)
            if bad:
                print("%d MiB: of %d saved these are bad: %s\n%s"
                      % (megabytes, len(saved), bad, text))
            self.assertEqual(0, run("umount", fresh).returncode)
            tried, refused, saves = tried + 1, refused + (code != 0), saves + len(saved)
        print("torture: write-back errors, ext4 on a short tmpfs tried=%d lost=%d refused=%d "
              "saves=%d" % (tried, lost, refused, saves))
        self.assertEqual(0, lost)
        self.assertTrue(refused > 0)

    def is_whole(self, path):
        """All digests agree, as the program says."""
        return run(os.environ["CAIRN_BIN"], "checkpoint", "verify", path).returncode == 0


if __name__ == "__main__":
    unittest.main()
