#!/usr/bin/env bash
# (d) L2, local correlation and MIND. The weights give the unregistered pairs the same loss.
set -euo pipefail
declare -A ncc=([brain]=2.5 [heart]=3 [liver]=4.1) mind=([brain]=37 [heart]=25 [liver]=22)
for organ in brain heart liver; do
  bash training/runs/paper.sh "$organ" l2
  bash training/runs/paper.sh "$organ" local_ncc --loss.similarity local_ncc --loss.similarity_weight "${ncc[$organ]}"
  bash training/runs/paper.sh "$organ" mind --loss.similarity mind --loss.similarity_weight "${mind[$organ]}"
  bash training/runs/paper-table.sh "$organ" l2 local_ncc mind
done
