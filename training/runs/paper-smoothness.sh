#!/usr/bin/env bash
# (a) Plain and edge-aware smoothness. The weight of the plain one is multiplied by the mean of exp(-10 |gradient|) over the
# unlabelled slices, so that both are equally strong.
set -euo pipefail
declare -A weight=([brain]=0.26 [heart]=0.235 [liver]=0.258)
for organ in brain heart liver; do
  bash training/runs/paper.sh "$organ" l2
  bash training/runs/paper.sh "$organ" plain --loss.smoothness total_variation --loss.smoothness_weight "${weight[$organ]}"
  bash training/runs/paper-table.sh "$organ" plain l2
done
long="--optimisation.steps 1500 --optimisation.validate_every 500" # Six times as long.
# shellcheck disable=SC2086 # Several words.
bash training/runs/paper.sh brain long_plain $long --loss.smoothness total_variation --loss.smoothness_weight 0.26
# shellcheck disable=SC2086
bash training/runs/paper.sh brain long_l2 $long
bash training/runs/paper-table.sh brain long_plain long_l2
