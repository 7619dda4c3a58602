#!/usr/bin/env bash
# (c) With and without the foreground as ROI, on clean and on noisy background. With it the network sees no background,
# so one run with a mask stands for both.
set -euo pipefail
for organ in brain liver; do
  bash training/runs/paper.sh "$organ" l2
  bash training/runs/paper.sh "$organ" mask --data.masks auto
  bash training/runs/paper.sh "$organ" noisy --data.background_noise 0.3
  bash training/runs/paper-table.sh "$organ" l2 mask
  bash training/runs/paper-table.sh "$organ" noisy mask
done
