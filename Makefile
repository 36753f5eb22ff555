# A small front door. The build itself is CMake and Ninja: see CMakePresets.json.
PREFIX ?= /usr/local
SOURCES = $(shell find src include tests examples bench -name '*.[ch]' 2>/dev/null)

.PHONY: all demo test test-fast torture fuzz bench bench-callbacks bench-checkpoint bench-train \
	install format generate docs clean help deps

all: deps
	@test -f build/build.ninja || cmake --preset release
	@cmake --build build

deps:
	@tools/setup.sh build

demo: all
	@tools/setup.sh demo
	@tools/demo.sh

test:
	@tools/setup.sh build test
	@python3 tools/run_tests.py

test-fast:
	@tools/setup.sh build test
	@python3 tools/run_tests.py --fast

fuzz:
	@tools/setup.sh build test
	@python3 tools/fuzz.py

# Large counts, and what mounts file systems (as root); prints the table of the README. A file
# system whose tools cannot be had is skipped, and says so.
torture:
	@tools/setup.sh build test
	@if [ "$$(id -u)" -eq 0 ]; then tools/setup.sh torture || true; fi
	@cmake --preset dev && cmake --build build/dev
	@TORTURE=1 ctest --test-dir build/dev -L torture --output-junit torture.xml \
	  --test-output-size-passed 10000000 --test-output-size-failed 10000000; code=$$?; \
	python3 tools/reliability_table.py build/dev/torture.xml; exit $$code

bench: bench-checkpoint bench-train bench-callbacks

bench-callbacks: all
	@cmake --build build --target bench_turns
	@python3 bench/callbacks.py

bench-checkpoint: all
	@cmake --build build --target bench_checkpoint
	@python3 bench/checkpoint.py

bench-train: all
	@cmake --build build --target bench_train
	@python3 bench/train.py

install: all
	@cmake --install build --prefix "$(abspath $(PREFIX))"

format:
	@tools/setup.sh test
	@clang-format-14 -i $(SOURCES)

# After a change of an option table, a class or a flag.
generate: all
	@python3 tools/generate.py build/cairn

# A broken link between pages, or a page that no list names, is an error.
docs:
	@tools/setup.sh docs
	@build/docs/venv/bin/python -m sphinx -q -W --keep-going -E -d build/docs/doctrees -c docs/site \
	  docs build/docs/site
	@echo "build/docs/site/README.html"

clean:
	@rm -rf build

help:
	@echo "make            build/cairn, build/libcairn.so, build/libcairn.a (installs missing packages)"
	@echo "make demo       train a small GPT on English text, interrupt it, resume, fine-tune, sample"
	@echo "make test       every check: style, two compilers, sanitizers, unit and end-to-end tests"
	@echo "make test-fast  style and the tests of one build only"
	@echo "make fuzz       fuzz every reader of foreign bytes for FUZZ_SECONDS (3600) each"
	@echo "make torture    kills, power cuts, full disks: large counts, minutes; mounts only as root"
	@echo "make bench      the targets of the design, measured on this machine"
	@echo "make install    to PREFIX (now $(PREFIX)); DESTDIR is respected"
	@echo "make format     clang-format over all sources"
	@echo "make generate   docs/reference, completions and manual pages from the option tables"
	@echo "make docs       the guide, the reference and the format as a site in build/docs/site"
	@echo "make clean      remove build/"
