"""Greedy, the diffeomorphic registration of the ITK-SNAP group."""

from __future__ import annotations

from typing import Any

import SimpleITK as sitk

from training.benchmark.method import THREADS, Call, Method, Read, from_xy, to_sitk
from training.data.labelled_pairs import LabelledPair

_COMMON = f"-i fixed moving -m NCC 4x4 -n 100x100x50 -threads {THREADS} -wp 0 -o warp"


def greedy(options: str) -> Method:
    """Greedy with normalised cross-correlation in windows of 9 x 9, 100, 100 and 50 iterations, and more options."""

    def method(pair: LabelledPair) -> tuple[Call, Read]:
        from picsl_greedy import Greedy2D  # type: ignore[import-untyped, import-not-found]

        fixed, moving = (to_sitk(image, pair) for image in (pair.fixed, pair.moving))

        def call() -> Any:
            program = Greedy2D()
            program.execute(f"{_COMMON} {options}", fixed=fixed, moving=moving, warp=None)
            return program["warp"]

        return call, lambda warp: from_xy(sitk.GetArrayFromImage(warp), pair.grid.spacing)

    return method


deformable = greedy("-s 1.732vox 0.7071vox")
diffeomorphic = greedy("-sv -e 0.5 -s 2.5vox 0.7071vox")
