# Shared by the scripts beside this one; meant to be sourced from bash.

say() { printf '%s\n' "$*" >&2; }

fail() {
    say "error: $*"
    exit 1
}

# True where this process may install Debian packages.
can_apt() { [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; }

# apt_install PACKAGE...: install them and print only what went wrong. `can_apt` comes first.
apt_install() {
    local log
    log=$(mktemp)
    say "installing by apt: $*"
    if ! { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "$@"; } \
        >"$log" 2>&1 </dev/null; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        fail "apt could not install: $*"
    fi
    rm -f "$log"
}
