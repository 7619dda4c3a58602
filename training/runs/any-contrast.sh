#!/usr/bin/env bash
# The bundled model: drawn images alone; about an hour on two cores.
set -euo pipefail
python -m training fit --output out/train/any-contrast.ckpt
python -m training export out/train/any-contrast.ckpt --output UnsupervisedRegistration/Resources/Models/any-contrast.pt
