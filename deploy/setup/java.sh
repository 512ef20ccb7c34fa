#!/usr/bin/env bash
# Makes sure that the Java which Spark would start is one that Spark 3.5 runs on: 17 to 21.
# As root on Debian or Ubuntu it installs one; otherwise it says in one sentence what to do.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# Spark's own order: JAVA_HOME first, then the PATH.
java_command() { if [ -n "${JAVA_HOME:-}" ]; then echo "$JAVA_HOME/bin/java"; else echo java; fi; }

# Major version of a java command; nothing where there is none.
major() { "$1" -version 2>&1 | sed -nE 's/.*version "(1\.)?([0-9]+).*/\2/p' || true; }

is_good() { [ -n "$1" ] && [ "$1" -ge 17 ] && [ "$1" -le 21 ]; }

# Home of a Java that fits but is not the one in use.
other_home() {
    local home
    for home in /usr/lib/jvm/*17* /usr/lib/jvm/*21* /Library/Java/JavaVirtualMachines/*/Contents/Home; do
        if [ -x "$home/bin/java" ] && is_good "$(major "$home/bin/java")"; then
            echo "$home"
            return
        fi
    done
}

found=$(major "$(java_command)")
if is_good "$found"; then exit 0; fi

if [ -z "$(other_home)" ] && can_apt; then
    # Newer Debian and Ubuntu releases no longer carry 17.
    apt-get update -q >/dev/null 2>&1 </dev/null || true
    package=openjdk-17-jre-headless
    if ! apt-cache show "$package" >/dev/null 2>&1; then package=openjdk-21-jre-headless; fi
    apt_install "$package"
    hash -r
    found=$(major "$(java_command)")
    if is_good "$found"; then exit 0; fi
fi

if [ -n "$found" ]; then have="Java $found is in use"; else have="Java is missing"; fi
home=$(other_home)
if [ -n "$home" ]; then
    fail "$have, but Spark 3.5 needs Java 17 (to 21), which is installed: export JAVA_HOME='$home'"
fi
case $(uname -s) in
Darwin) install="brew install openjdk@17" ;;
*) install="sudo apt-get install openjdk-17-jre-headless" ;;
esac
if [ -n "${JAVA_HOME:-}" ]; then have="$have (JAVA_HOME=$JAVA_HOME)"; fi
fail "$have, but Spark 3.5 needs Java 17 (to 21); install it with: $install"
