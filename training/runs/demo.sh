#!/usr/bin/env bash
# Two minutes on a CPU: trains on synthetic images, then registers a phantom with the new model.
set -euo pipefail
python -m training fit training/configurations/demo.yaml --output out/train-demo
python -m training export out/train-demo/last.ckpt --output out/train-demo/demo.pt
UNSUPERVISED_REGISTRATION_MODELS=out/train-demo unsupervised-registration models
unsupervised-registration demo --model out/train-demo/demo.pt --output out/train-demo/registered
