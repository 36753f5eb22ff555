#!/usr/bin/env bash
# Makes sure that what a part of the project needs is installed: setup.sh PART...
#
# Parts: build, test, docs, demo, torture (file systems to mount; only root can use them).
# Missing Debian packages are installed with apt-get where that is allowed (root, or sudo without a
# password); elsewhere the exact command is printed and the exit code is 1. `test` also makes a
# Python environment in build/venv, `docs` one in build/docs/venv. Does nothing, quickly, when all
# is there.
set -euo pipefail
cd "$(dirname "$0")/.."

packages_of() {
    case "$1" in
    build) echo gcc libc6-dev cmake ninja-build pkg-config libdnnl-dev libyaml-dev libjansson-dev \
        libxxhash-dev libpcre2-dev libutf8proc-dev libprotobuf-c-dev protobuf-c-compiler \
        libhdf5-dev ;;
    test) echo g++ clang-14 libclang-rt-14-dev libomp-14-dev clang-format-14 clang-tidy-14 \
        cppcheck libcmocka-dev locales python3 python3-venv ;;
    docs) echo python3 python3-venv ;;
    demo) echo fortunes ;;
    torture) echo e2fsprogs xfsprogs btrfs-progs ;;
    esac
}

missing_packages() {
    local name
    for name in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] ||
            echo "$name"
    done
}

install_packages() {
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
            as_root=(sudo -n)
        else
            echo "These packages are missing. Install them and run the same command again:" >&2
            echo "  sudo apt-get update && sudo apt-get install -y --no-install-recommends $*" >&2
            exit 1
        fi
    fi
    echo "installing: $*" >&2
    # A list that cannot be renewed may still do; the installation says if not.
    "${as_root[@]}" apt-get update -q >&2 || echo "setup.sh: apt-get update failed" >&2
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -q --no-install-recommends "$@" >&2
}

# make_venv FOLDER MODULES FILE [FILE_NO_DEPS]: a Python environment with what the files list; what
# the second one lists comes without what it depends on. Debian's own Python first: another one in
# PATH may lack the venv module.
make_venv() {
    local venv=$1 modules=$2 python=/usr/bin/python3 key
    shift 2
    [ -x "$python" ] || python=python3
    key=$(cat "$@" | sha256sum | cut -d ' ' -f 1)
    if [ -f "$venv/stamp" ] && [ "$(cat "$venv/stamp")" = "$key" ] &&
        "$venv/bin/python" -c "import $modules" 2>/dev/null; then
        return
    fi
    echo "making the Python environment in $venv" >&2
    rm -rf "$venv"
    "$python" -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$1" >&2
    if [ $# -gt 1 ]; then
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps -r "$2" >&2
    fi
    echo "$key" >"$venv/stamp"
}

wanted=()
for part in "$@"; do
    case "$part" in
    build | test | docs | demo | torture)
        read -r -a names <<<"$(packages_of "$part")"
        wanted+=("${names[@]}")
        ;;
    *)
        echo "setup.sh: unknown part '$part' (build, test, docs, demo, torture)" >&2
        exit 2
        ;;
    esac
done
if command -v dpkg-query >/dev/null && command -v apt-get >/dev/null; then
    mapfile -t missing < <(missing_packages "${wanted[@]}")
    if [ "${#missing[@]}" -gt 0 ]; then
        install_packages "${missing[@]}"
    fi
else
    echo "setup.sh: this is no Debian; it needs what there is called: ${wanted[*]}" >&2
fi
for part in "$@"; do
    case "$part" in
    test)
        make_venv build/venv "numpy, safetensors, tensorboard" tools/requirements.txt \
            tools/requirements-no-deps.txt
        ;;
    docs) make_venv build/docs/venv "sphinx, myst_parser" tools/requirements-docs.txt ;;
    esac
done
