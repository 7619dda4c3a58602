#!/usr/bin/env bash
# VoxelMorph-2D on each organ, for the benchmark; DATA is the folder with the unlabelled images.
set -euo pipefail
DATA=${DATA:-../shared/data}
train() {
  python -m training fit training/configurations/voxelmorph.yaml --output "out/train/voxelmorph-$1" \
    --data.folders "[$DATA/$2]" --data.pairs "$3" --data.spacing "$4" --synthesis.size "$5" --data.every 2
  python -m training export "out/train/voxelmorph-$1/last.ckpt" --output "out/models/voxelmorph-$1.pt"
}
train brain brain_t1/train across 1.0 "[192, 160]"
train heart cardiac_volumes/train within 1.5 "[160, 160]"
train liver liver_ct/train across 1.5 "[192, 192]"
