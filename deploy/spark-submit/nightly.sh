#!/usr/bin/env bash
# The main job through spark-submit: people, genotypes and expression into the lake, a matrix set out of it.
#
# Every job is safe to run again: what is loaded already is left alone, what a run left half-done is removed.
# Settings come from the environment, and so do credentials (AZURE_STORAGE_CONNECTION_STRING and the like, see README):
#
#   LAKE         where the tables are           (abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/lake)
#   SOURCE       release to stage first         (phase3; see kgp sources; nothing is staged where it is not set)
#   MIRROR       where it is staged to          (az://CONTAINER@ACCOUNT/mirror)
#   PANEL        population panel               (URL or path; so are the next two)
#   VCFS         VCF files, separated by blanks
#   MATRIX       expression matrix
#   OUT          directory for the exported matrices
#   CALLSET, BUILD, DATASET, UNIT, NAME, COHORT, PERMUTATIONS  names and parameters, with defaults below
#   MASTER       Spark master (local[*])
#   SUBMIT_ARGS  more arguments for spark-submit, for example --packages io.projectglow:glow-spark3_2.12:2.0.3
#   DELTA_ARGS   how Delta, and for a lake on Azure hadoop-azure, get on the class path (--packages …, resolved once by
#                Spark; or --jars a,b,c)
#   PYTHON       interpreter with kgp's packages, on the driver and on every worker (python3)
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
: "${LAKE:?where the tables are}" "${PANEL:?population panel}" "${VCFS:?VCF files}" "${MATRIX:?expression matrix}"
: "${OUT:=./kgp-out}" "${CALLSET:=phase3}" "${BUILD:=GRCh37}" "${DATASET:=E-GEUV-1}" "${UNIT:=rpkm}"
: "${NAME:=geuvadis}" "${COHORT:=EUR}" "${PERMUTATIONS:=10000}" "${MASTER:=local[*]}" "${PYTHON:=python3}"
packages=io.delta:delta-spark_2.12:3.3.2
case $LAKE in az://* | abfs*://* | wasb*://*) packages+=,org.apache.hadoop:hadoop-azure:3.3.4 ;; esac
: "${DELTA_ARGS:=--packages $packages}" "${SUBMIT_ARGS:=}" "${SOURCE:=}" "${MIRROR:=./mirror}"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# kgp travels to the workers as a zip; its packages (requirements.lock) must be installed there.
mkdir -p "$scratch/zip" && cp -R "$root/lib/kgp" "$scratch/zip/kgp" && cp -R "$root/conf" "$scratch/zip/kgp/conf"
(cd "$scratch/zip" && "$PYTHON" -m zipfile -c "$scratch/kgp.zip" kgp)

export PYSPARK_PYTHON="$PYTHON"

submit() { # submit JOB OPTION…
    local job=$1
    shift
    # shellcheck disable=SC2086  # the two lists of arguments are meant to be split
    "${SPARK_SUBMIT:-spark-submit}" --master "$MASTER" --name "kgp $job" $DELTA_ARGS $SUBMIT_ARGS \
        --conf spark.sql.extensions=io.delta.sql.DeltaSparkSessionExtension \
        --conf spark.sql.catalog.spark_catalog=org.apache.spark.sql.delta.catalog.DeltaCatalog \
        --py-files "$scratch/kgp.zip" \
        "$root/jobs/$job.py" --lake "$LAKE" "$@"
}

read -r -a vcfs <<<"$VCFS"
if [ -n "$SOURCE" ]; then submit sync_files --to "$MIRROR" "$SOURCE"; fi
submit load_samples --panel "$PANEL"
submit load_variants --callset "$CALLSET" --build "$BUILD" "${vcfs[@]}"
submit load_expression --dataset "$DATASET" --build "$BUILD" --unit "$UNIT" --matrix "$MATRIX"
# New data makes another set: tonight's takes the place of the last one of that name.
submit build_eqtl_matrices --name "$NAME" --callset "$CALLSET" --dataset "$DATASET" --cohort "$COHORT" --replace
submit map_eqtl --name "$NAME" --mode permute --permutations "$PERMUTATIONS"
submit export_eqtl --name "$NAME" --format tensorqtl --out "$OUT/tensorqtl"
submit export_eqtl --name "$NAME" --format fastqtl --out "$OUT/fastqtl"
submit compute_quality --dataset "$DATASET"
submit vacuum_lake
submit write_report --out "$OUT/report.html"
