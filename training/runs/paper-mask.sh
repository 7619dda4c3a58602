#!/usr/bin/env bash
# (c) With and without the foreground as mask, on clean and on noisy background. A masked network sees no background,
# so that one masked run serves for both.
set -euo pipefail
for organ in brain liver; do
  bash training/runs/paper.sh "$organ" l2
  bash training/runs/paper.sh "$organ" mask --data.masks auto
  bash training/runs/paper.sh "$organ" noisy --augmentation.background_noise 0.3
  bash training/runs/paper-table.sh "$organ" l2 mask
  bash training/runs/paper-table.sh "$organ" noisy mask
done
