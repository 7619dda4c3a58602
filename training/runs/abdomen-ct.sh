#!/usr/bin/env bash
# The bundled model abdomen-ct, from any-contrast.
set -euo pipefail
python -m training fit training/configurations/abdomen-ct.yaml --output out/train/abdomen-ct
python -m training export out/train/abdomen-ct/last.ckpt --output out/models/abdomen-ct.pt --half
