#!/usr/bin/env bash
# The bundled model any-contrast.
set -euo pipefail
python -m training fit training/configurations/any-contrast.yaml --output out/train/any-contrast
python -m training export out/train/any-contrast/last.ckpt --output out/models/any-contrast.pt
