#!/usr/bin/env bash
# The programs that the tests compare with. As root on Debian or Ubuntu they are installed where missing;
# otherwise one sentence says how, and the tests that need them are skipped with a reason (in CI they must be there).
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# Azurite plays Azure's storage; without it those tests are skipped, or in CI fail.
"$(dirname "${BASH_SOURCE[0]}")/azurite.sh" >/dev/null || say "Azurite could not be installed: tests on Azure's storage will be skipped"

missing=()
for pair in bcftools:bcftools tabix:tabix plink2:plink2 QTLtools:qtltools fastQTL:fastqtl \
    chromium:chromium chromedriver:chromium-driver Rscript:r-base-core; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
done
if [ ${#missing[@]} -eq 0 ]; then exit 0; fi
if can_apt; then
    apt_install "${missing[@]}"
elif [ -n "${CI:-}" ]; then
    fail "CI needs these for its tests: sudo apt-get install ${missing[*]}"
else
    say "some tests will be skipped for want of programs; to run them too: sudo apt-get install ${missing[*]}"
fi
