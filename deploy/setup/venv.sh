#!/usr/bin/env bash
# Makes .venv in the repository root with the packages that the lock files pin, by hash, and kgp itself (editable).
#
#   venv.sh          what kgp needs to run, and the pinned JARs in their cache
#   venv.sh dev      what the tests need besides
#
# With uv on the PATH it is used, else venv and pip. Done once per state of the lock files: the second call
# only compares. PYTHON=… names the interpreter to use.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

python=.venv/bin/python

# Whether a command is a Python that kgp runs on (pyproject.toml: requires-python).
is_supported() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2>/dev/null; }

find_python() {
    local candidate
    for candidate in ${PYTHON:+"$PYTHON"} python3.11 python3 python3.12 python; do
        if is_supported "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
}

have_uv() { command -v uv >/dev/null; }

make_venv() {
    local base
    base=$(find_python)
    if have_uv; then
        # Without a Python that fits, uv brings one.
        uv venv --quiet --clear --python "${base:-3.11}" .venv
        return
    fi
    if [ -z "$base" ]; then
        if ! can_apt || ! apt-cache show python3.11 >/dev/null 2>&1; then
            fail "Python 3.11 or 3.12 is missing; install it (Debian, Ubuntu: sudo apt-get install python3.11-venv), or install uv, which brings one"
        fi
        apt_install python3.11-venv
        base=$(find_python)
    fi
    if ! "$base" -c 'import ensurepip, venv' 2>/dev/null; then
        local package
        package=$("$base" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
        can_apt || fail "this Python cannot make virtual environments; install what is missing with: sudo apt-get install $package"
        apt_install "$package"
    fi
    rm -rf .venv
    "$base" -m venv .venv
}

# install PACKAGES...: by hash, building (pyspark comes as source) with the pinned tools that are installed already.
install() {
    if have_uv; then
        VIRTUAL_ENV=$PWD/.venv uv pip install --quiet --no-build-isolation "$@"
    else
        "$python" -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-input "$@"
    fi
}

digest() { cat "$@" | cksum | tr -d ' \n'; }

# once NAME FILES...: true where the step NAME was done for these files as they are.
once() {
    local name=$1
    shift
    [ -e ".venv/.kgp-$name" ] && [ "$(cat ".venv/.kgp-$name")" = "$(digest "$@")" ]
}

finish() {
    local name=$1
    shift
    digest "$@" >".venv/.kgp-$name"
}

runtime=(requirements-build.lock requirements.lock pyproject.toml deploy/setup/venv.sh)
dev=("${runtime[@]}" requirements-dev.lock)

if ! is_supported "$python"; then
    say "making .venv"
    make_venv
elif ! have_uv && ! "$python" -m pip --version >/dev/null 2>&1; then
    "$python" -m ensurepip >/dev/null # one that uv made has no pip
fi

if ! once runtime "${runtime[@]}"; then
    say "installing the pinned packages (a few minutes the first time)"
    install --require-hashes -r requirements-build.lock
    install --require-hashes -r requirements.lock
    install --no-deps -e .
    finish runtime "${runtime[@]}"
fi

if [ "${1:-}" = dev ] && ! once dev "${dev[@]}"; then
    say "installing the packages that the tests need"
    install --require-hashes -r requirements-dev.lock
    finish dev "${dev[@]}"
fi

# The cache lies outside .venv, so it is looked at each time; filling it is `kgp doctor`'s work.
if ! "$python" -c 'from kgp.jars import find_jars; find_jars()' 2>/dev/null; then
    say "fetching the pinned JARs"
    .venv/bin/kgp doctor --fix
fi
