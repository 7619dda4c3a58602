#!/usr/bin/env bash
# The bundled model cardiac-mr, from any-contrast.
set -euo pipefail
python -m training fit training/configurations/cardiac-mr.yaml --output out/train/cardiac-mr
python -m training export out/train/cardiac-mr/last.ckpt --output out/models/cardiac-mr.pt --half
