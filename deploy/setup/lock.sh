#!/usr/bin/env bash
# Writes the lock files anew from pyproject.toml, for Python 3.11 and 3.12 on every platform, with hashes and
# without any index. What is pinned stays pinned while it still fits; `lock.sh --upgrade` takes the newest.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
command -v uv >/dev/null || fail "make lock needs uv; install it with: python3 -m pip install uv"

compile() {
    uv pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes \
        --custom-compile-command "make lock" "$@" >/dev/null
}

# setuptools builds pyspark, which is published as source only; hatchling builds kgp.
build_tools() { printf '%s\n' 'hatchling>=1.27' editables 'setuptools>=75' wheel; }

compile pyproject.toml -o requirements.lock "$@"
build_tools | compile - --constraint requirements.lock -o requirements-build.lock "$@"
build_tools | compile pyproject.toml - --extra dev --constraint requirements.lock \
    --constraint requirements-build.lock -o requirements-dev.lock "$@"
# The second Spark line, over the packages of the first (tests/jobs/test_spark4.py).
printf '%s\n' pyspark==4.0.1 delta-spark==4.0.0 | compile - --no-deps -o tests/jobs/requirements-spark4.lock

if grep -nE '^-|://' requirements.lock requirements-build.lock requirements-dev.lock \
    tests/jobs/requirements-spark4.lock; then
    fail "a lock file names an index or a link; none may"
fi
