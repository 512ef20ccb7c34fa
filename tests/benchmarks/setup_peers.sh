#!/usr/bin/env bash
# Installs the programs that kgp's speed is compared with, each in an environment of its own below build/bench/peers.
#
#   setup_peers.sh           install what is missing of those that load a VCF; the second call only compares
#   setup_peers.sh NAME...   the same for these: plink2 bcftools QTLtools hail bio2zarr tensorqtl; and geuvadis, the set
#                            that is mapped, the example of QTLtools
#   setup_peers.sh lock      write the lock files of the Python peers anew (needs uv)
#
# tensorQTL comes when asked for by name alone: the PyTorch of Python's package index brings CUDA on Linux, 6 GB in all.
# An environment that has it may stand, or be linked, at build/bench/peers/tensorqtl.
#
# What can't be installed leaves its reason in build/bench/peers/NAME.failed, which the report shows, and stops nothing.
# With uv on the PATH it is used, else venv and pip. The base interpreter is that of .venv.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/../../deploy/setup/common.sh"
cd "$here/../.."

bench=${KGP_BENCH:-build/bench}
peers=$bench/peers
python_peers=(hail bio2zarr tensorqtl)
declare -A wanted=([hail]='hail==0.2.139' [bio2zarr]='bio2zarr[vcf]==0.2.1'
    [tensorqtl]=$'tensorqtl==1.0.10\npandas<3\nnumpy<2.3\nsetuptools<81')

have_uv() { command -v uv >/dev/null; }

lock() {
    have_uv || fail "it needs uv; install it with: python3 -m pip install uv"
    local name
    for name in "${python_peers[@]}"; do
        # Versions alone, no hashes: these environments are only measured, nothing of kgp runs in them.
        echo "${wanted[$name]}" | uv pip compile --quiet --no-config --universal --python-version 3.11 --no-annotate \
            --custom-compile-command "tests/benchmarks/setup_peers.sh lock" - -o "$here/peers/$name.lock" >/dev/null
        if grep -nE '^-|://' "$here/peers/$name.lock"; then fail "a lock file names an index or a link; none may"; fi
    done
}

install_python_peer() {
    local venv=$1 requirements=$2
    rm -rf "$venv"
    if have_uv; then
        uv venv --quiet --python .venv/bin/python "$venv"
        uv pip install --quiet --python "$venv/bin/python" -r "$requirements"
    else
        .venv/bin/python -m venv "$venv"
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input -r "$requirements"
    fi
}

set_up_python_peer() {
    local name=$1 venv=$peers/$1 requirements=$here/peers/$1.lock
    if [ -e "$venv/.done" ] && cmp -s "$venv/.done" "$requirements"; then return; fi
    say "installing $name into $venv (a few minutes)"
    # In a process of its own, not as an `if`'s condition: there bash would go on after a failed line.
    export -f install_python_peer have_uv
    if bash -euo pipefail -c 'install_python_peer "$@"' - "$venv" "$requirements" >"$peers/$name.log" 2>&1; then
        cp "$requirements" "$venv/.done"
        rm -f "$peers/$name.failed"
    else
        { grep -v '^ *$' "$peers/$name.log" || echo "no message"; } | tail -n 1 >"$peers/$name.failed"
        say "$name could not be installed: $(cat "$peers/$name.failed")"
    fi
}

set_up_program() {
    local name=$1 package=${1,,}
    rm -f "$peers/$name.failed"
    if ! command -v "$name" >/dev/null && can_apt; then (apt_install "$package") || true; fi
    if ! command -v "$name" >/dev/null; then
        echo "it is not installed: sudo apt-get install $package" >"$peers/$name.failed"
        say "$name: $(cat "$peers/$name.failed")"
    fi
}

# Where the package is not installed it is fetched and unpacked: small images leave out its directory when installing.
set_up_geuvadis() {
    local place=$bench/geuvadis package=qtltools-example archive=usr/share/doc/qtltools/examples/examples.tar.xz
    local root=/ work
    rm -f "$peers/geuvadis.failed"
    if [ -e "$place/genotypes.chr22.vcf.gz" ]; then return; fi
    work=$(mktemp -d)
    if [ ! -e "/$archive" ] && command -v apt-get >/dev/null; then
        if can_apt; then apt-get update -q >"$work/log" 2>&1 || true; fi
        (cd "$work" && apt-get download -q "$package" >log 2>&1 && dpkg-deb -x "$package"_*.deb .) || true
        root=$work/
    fi
    if [ -e "$root$archive" ] && .venv/bin/python -m tarfile -e "$root$archive" "$work/set" >"$work/log" 2>&1; then
        mv "$work/set" "$place"
    else
        echo "the set is not there: sudo apt-get install $package (Debian, Ubuntu)" >"$peers/geuvadis.failed"
    fi
    rm -rf "$work"
}

if [ "${1:-}" = lock ]; then
    lock
    exit
fi
mkdir -p "$peers"
if [ $# -eq 0 ]; then set -- plink2 bcftools hail bio2zarr; fi
for name in "$@"; do
    case $name in
    plink2 | bcftools | QTLtools) set_up_program "$name" ;;
    hail | bio2zarr | tensorqtl) set_up_python_peer "$name" ;;
    geuvadis) set_up_geuvadis ;;
    *) fail "there is no $name; see the head of setup_peers.sh" ;;
    esac
done
