#!/usr/bin/env bash
# The bundled model cardiac-mr, from any-contrast, in about four hours on an idle core: first a model that sees whole
# images alone, which then teaches; then a long run, and from its end two more, whose weights are averaged.
set -euo pipefail
python -m training fit training/configurations/cardiac-mr.yaml --output out/train/cardiac-teacher \
  --network.width 24 --data.saturated 0 --optimisation.steps 9000 --optimisation.teacher "''" \
  --optimisation.start out/models/any-contrast.pt
python -m training export out/train/cardiac-teacher/last.ckpt --output out/models/cardiac-teacher.pt
python -m training fit training/configurations/cardiac-mr.yaml --output out/train/cardiac-long
python -m training export out/train/cardiac-long/last.ckpt --output out/models/cardiac-long.pt
for seed in 5 6; do
  python -m training fit training/configurations/cardiac-mr.yaml --output "out/train/cardiac-$seed" \
    --optimisation.start out/models/cardiac-long.pt --optimisation.steps 15000 --seed "$seed"
done
python -m training export out/train/cardiac-{5,6}/last.ckpt --output out/models/cardiac-mr.pt --half
