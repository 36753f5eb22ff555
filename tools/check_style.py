#!/usr/bin/env python3
"""What the formatter and the compilers do not see: banned calls, long functions, leftovers.

Usage: check_style.py [ROOT]
"""

import re
import sys
from pathlib import Path

FUNCTION_LINES_MAX = 70
KERNEL_LINES_MAX = 140
LINE_MAX = 100

# (names, folders of src/ where they are allowed, what to use instead). Calls through a table or a
# struct, such as os->open(...), are not meant.
BANNED = [
    ("strcpy strcat strncpy strncat sprintf vsprintf gets strtok", (),
     "use crn_str or snprintf"),
    ("atoi atol atoll atof scanf fscanf", (), "use crn_u64_from_text and its kin"),
    ("alloca system popen mktemp tmpnam tempnam setjmp longjmp", (), "never"),
    ("rand srand random srandom drand48", (), "use base/rng.h"),
    ("gmtime localtime ctime asctime", (), "use the _r variant"),
    ("malloc calloc realloc reallocarray free strdup strndup asprintf vasprintf aligned_alloc "
     "posix_memalign", ("base", "cli", "h5"), "use base/mem.h"),
    ("mmap munmap mprotect", ("base", "os"), "use crn_pages_alloc"),
    ("printf fprintf vprintf vfprintf dprintf puts fputs putchar fputc putc fwrite perror",
     ("cli", "confined"), "the library never prints: use the log"),
    ("exit _exit _Exit quick_exit abort", ("cli", "base", "os", "confined"), "return a status"),
    ("dlopen dlmopen dlsym dlclose", ("os",), "use crn_object_load (os/os.h)"),
    ("open openat creat fopen fdopen freopen close fclose read pread readv preadv write pwrite "
     "writev pwritev rename renameat renameat2 link linkat symlink unlink unlinkat remove fsync "
     "fdatasync sync syncfs opendir fdopendir readdir scandir mkdir mkdirat rmdir stat lstat fstat "
     "fstatat access truncate ftruncate fallocate posix_fallocate fcntl flock lockf realpath "
     "mkstemp mkdtemp clock_gettime gettimeofday time getrandom signal sigaction fork execv execve "
     "execvp waitpid kill getpid getppid gethostname", ("os", "cli", "h5"),
     "use the crn_os table (os/os.h)"),
]
LEFTOVER = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")


def blank_out(text):
    """The text with comments, strings and characters replaced by spaces; lines stay."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)
    return pattern.sub(lambda m: re.sub(r"[^\n]", " ", m.group(0)), text)


def banned_calls(code, module):
    """Yields (position, name, advice)."""
    for names, allowed, advice in BANNED:
        if module in allowed:
            continue
        pattern = r"(?<![\w.>])(?:%s)(?=[ \t]*\()" % "|".join(names.split())
        for match in re.finditer(pattern, code):
            yield match.start(), match.group(0), advice


def functions(code):
    """Yields (line, lines) of each body: in our format its braces stand alone in column 0."""
    start = None
    for number, line in enumerate(code.split("\n"), 1):
        if line.rstrip() == "{":
            start = number
        elif line.startswith("}") and start is not None:
            yield start, number - start + 1
            start = None


def check_file(path, root):
    relative = path.relative_to(root)
    parts = relative.parts
    text = path.read_text(encoding="utf-8")
    errors = []

    def error(line, message):
        errors.append(f"{relative}:{line}: {message}")

    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > LINE_MAX and path.suffix != ".def":  # A row of a table is one line.
            error(number, f"{len(line)} columns, {LINE_MAX} are allowed")
        if line != line.rstrip() or "\t" in line:
            error(number, "a tab or blanks at the end")
        if LEFTOVER.search(line):
            error(number, "finish it or file it, but leave no note")
    if text and not text.endswith("\n"):
        error(text.count("\n") + 1, "no newline at the end")
    if path.suffix not in (".c", ".h"):
        return errors
    code = blank_out(text)
    if parts[0] in ("src", "include"):
        module = parts[1] if parts[0] == "src" else "include"
        for position, name, advice in banned_calls(code, module):
            error(code.count("\n", 0, position) + 1, f"{name}() is not allowed here: {advice}")
    is_kernel = parts[:2] == ("src", "kernels")
    limit = KERNEL_LINES_MAX if is_kernel else FUNCTION_LINES_MAX
    for line, length in functions(code):
        if length > limit:
            error(line, f"a function of {length} lines, {limit} are allowed")
    return errors


def files(root):
    for folder in ("src", "include", "tests", "examples", "bench", "tools"):
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in (".c", ".h", ".def", ".py", ".sh") and path.is_file():
                if path.name not in ("check_style.py", "test_checkers.py"):  # They name the words.
                    yield path


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent).resolve()
    errors = [error for path in files(root) for error in check_file(path, root)]
    for error in errors:
        print(error)
    print(f"check_style: {len(errors)} errors" if errors else "check_style: good")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
