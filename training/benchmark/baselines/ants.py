"""Symmetric normalisation of ANTs."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from training.benchmark.method import Call, Method, Read, unit_array
from training.data.labelled_pairs import LabelledPair


def syn(**settings: Any) -> Method:
    """SyN from the alignment that is there, with settings of ``ants.registration``."""

    def method(pair: LabelledPair) -> tuple[Call, Read]:
        import ants  # type: ignore[import-untyped, import-not-found]

        # The first axis of the array is the first of ANTs.
        spacing = tuple(map(float, pair.grid.spacing))
        fixed, moving = (ants.from_numpy(unit_array(image), spacing=spacing) for image in (pair.fixed, pair.moving))

        def call() -> Any:
            return ants.registration(fixed, moving, "SyNOnly", initial_transform="Identity", **settings)

        def read(result: Any) -> Tensor:
            field = ants.image_read(result["fwdtransforms"][0]).numpy()
            return torch.from_numpy((field / np.array(spacing)).astype(np.float32)).movedim(-1, 0)[None]

        return call, read

    return method


syn_cc = syn(syn_metric="CC", syn_sampling=4, reg_iterations=(100, 70, 50, 20))
