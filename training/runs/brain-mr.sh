#!/usr/bin/env bash
# The bundled model brain-mr, from any-contrast.
set -euo pipefail
python -m training fit training/configurations/brain-mr.yaml --output out/train/brain-mr
python -m training export out/train/brain-mr/last.ckpt --output out/models/brain-mr.pt --half
