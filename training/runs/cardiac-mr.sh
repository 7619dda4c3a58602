#!/usr/bin/env bash
# The bundled model cardiac-mr, from any-contrast: first a model that sees whole images alone, which then teaches.
set -euo pipefail
python -m training fit training/configurations/cardiac-mr.yaml --output out/train/cardiac-teacher \
  --network.width 24 --data.saturated 0 --optimisation.steps 9000 --optimisation.teacher "''" \
  --optimisation.start out/models/any-contrast.pt
python -m training export out/train/cardiac-teacher/last.ckpt --output out/models/cardiac-teacher.pt
python -m training fit training/configurations/cardiac-mr.yaml --output out/train/cardiac-mr
python -m training export out/train/cardiac-mr/last.ckpt --output out/models/cardiac-mr.pt --half
