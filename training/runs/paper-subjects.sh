#!/usr/bin/env bash
# (b) Half of the unlabelled subjects, all of them, and a hundred further subjects.
set -euo pipefail
bash training/runs/paper.sh brain half --data.subject_share 0.5
bash training/runs/paper.sh brain l2
bash training/runs/paper.sh brain more --data.folders "[$DATA/brain_t1/train, $DATA/brain_t1_slices_unlabelled]"
bash training/runs/paper-table.sh brain half l2 more
bash training/runs/paper.sh liver half --data.subject_share 0.5
bash training/runs/paper.sh liver l2
bash training/runs/paper-table.sh liver half l2
