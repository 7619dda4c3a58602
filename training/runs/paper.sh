#!/usr/bin/env bash
# Trains the paper's network for one organ, once per seed: paper.sh ORGAN NAME [--part.name value ..]; used by paper-*.sh.
# DATA is the folder with brain_t1, cardiac_cine and liver_ct.
set -euo pipefail
organ=$1 name=$2
declare -A folder=([brain]=brain_t1 [heart]=cardiac_cine [liver]=liver_ct)
for seed in ${SEEDS:-1 2 3}; do
  run=out/paper/$organ-$name-$seed
  test -e "$run.pt" && continue
  python -m training fit "training/configurations/paper-$organ.yaml" --output "$run" --seed "$seed" \
    --data.folders "[$DATA/${folder[$organ]}/train]" "${@:3}"
  python -m training export "$run/last.ckpt" --output "$run.pt"
done
