#!/usr/bin/env bash
# Prints the table of some settings of one organ: paper-table.sh ORGAN SETTING ..; the paper-*.sh use it.
set -euo pipefail
declare -A pairs=(
  [brain]="brain_t1/dev --slices 58 70 82 94 106" [heart]=cardiac_cine/dev [liver]="liver_ct/dev_pairs --pixel 1.5"
)
models=()
for setting in "${@:2}"; do models+=("out/paper/$1-$setting"-?.pt); done
# shellcheck disable=SC2086 # The pairs are several words.
python -m training table "${models[@]}" --pairs $DATA/${pairs[$1]}
