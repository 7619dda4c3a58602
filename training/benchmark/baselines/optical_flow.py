"""Optical flow: dense inverse search of OpenCV, and TV-L1 of scikit-image."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from training.benchmark.method import THREADS, Call, Method, Read, from_xy, unit_array
from training.data.labelled_pairs import LabelledPair


def dis(finest_scale: int | None = None) -> Method:
    """Dense inverse search, medium preset.

    Args:
        finest_scale: The finest level is that of 1 / 2**n of the resolution; ``None`` keeps that of the preset, 1.

    Source:
        Kroeger et al., Fast optical flow using dense inverse search, ECCV 2016.
    """

    def method(pair: LabelledPair) -> tuple[Call, Read]:
        import cv2  # type: ignore[import-untyped, import-not-found]

        cv2.setNumThreads(THREADS)
        fixed, moving = ((255 * unit_array(image)).round().astype(np.uint8) for image in (pair.fixed, pair.moving))

        def call() -> np.ndarray:
            flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
            if finest_scale is not None:
                flow.setFinestScale(finest_scale)
            return flow.calc(fixed, moving, None)

        return call, from_xy

    return method


def tv_l1(pair: LabelledPair) -> tuple[Call, Read]:
    """Total variation and L1 norm, attachment 30.

    Source:
        Zach et al., A duality based approach for realtime TV-L1 optical flow, DAGM 2007.
    """
    from skimage.registration import optical_flow_tvl1  # type: ignore[import-untyped, import-not-found]

    fixed, moving = (unit_array(image) for image in (pair.fixed, pair.moving))

    def read(flow: np.ndarray) -> Tensor:
        """From ``(2, H, W)`` voxels in array order."""
        return torch.from_numpy(flow.astype(np.float32))[None]

    return (lambda: optical_flow_tvl1(fixed, moving, attachment=30)), read
