"""Structures of both images: paired by name, and their agreement after a registration."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import slicer
import torch
import vtk

from ...core.evaluation.quality_check import QualityItem
from ...core.evaluation.report_items import StructurePair, agreement_items
from ...core.evaluation.tolerances import TG_132
from ..geometry.sampling import sampleStructures
from ..geometry.transforms import inSeries, worldToLocal
from ..registration.result_nodes import SliceRegistration
from .moving_space import MovingSpace, movingSpace
from .report_region import ReportRegion


def structurePairs(
    fixedNode: slicer.vtkMRMLNode | None,
    movingNode: slicer.vtkMRMLNode | None,
    space: MovingSpace,
    region: ReportRegion,
) -> tuple[tuple[StructurePair, ...], list[str]]:
    """Structures of both sides paired by name, and a remark on those that were left out; none without both nodes.

    Args:
        fixedNode: Segmentation or labelmap of the fixed image.
        movingNode: Likewise of the moving image.
        space: Where the moving image lies.
        region: Voxels on which they are sampled.

    Raises:
        ValueError: No structure pairs.
    """
    if fixedNode is None or movingNode is None:
        return (), []
    toNode = space.toNode(movingNode)

    def sample(node: slicer.vtkMRMLNode, fromWorld: vtk.vtkAbstractTransform) -> dict[str, np.ndarray]:
        found = sampleStructures(node, region.plane, region.count, fromWorld)
        return {name: pixels.reshape(region.shape) for name, pixels in found.items()}

    fixed = sample(fixedNode, worldToLocal(fixedNode.GetParentTransformNode()))
    before = sample(movingNode, inSeries(space.before, toNode))
    after = sample(movingNode, inSeries(space.fromWorld, toNode))
    both = [name for name in fixed if name in after]
    if not both:
        raise ValueError(
            f"No structure has the same name on both images: fixed {_listed(fixed)}, moving {_listed(after)}. Rename"
            " those that correspond."
        )
    present = [name for name in both if fixed[name].any()]
    if not present:
        raise ValueError(f"The structures {_listed(both)} have no voxel in the {region.name}; choose another slice.")
    pairs = tuple(
        StructurePair(name, *(torch.from_numpy(where[name]) for where in (fixed, before, after))) for name in present
    )
    alone = [*(name for name in fixed if name not in after), *(name for name in after if name not in fixed)]
    absent = [name for name in both if name not in present]
    remarks = [f"Structures on one image only, not measured: {_listed(alone)}."] if alone else []
    remarks += [f"Structures without a voxel in the {region.name}, not measured: {_listed(absent)}."] if absent else []
    return pairs, remarks


def structureAgreement(
    result: SliceRegistration, fixedNode: slicer.vtkMRMLNode, movingNode: slicer.vtkMRMLNode
) -> tuple[tuple[QualityItem, ...], list[str]]:
    """Dice, MDA and HD95 of the structures on the registered slices, and a remark on those that were not measured.

    Args:
        result: The moving structures follow its transform.
        fixedNode: Segmentation or labelmap of the fixed image.
        movingNode: Likewise of the moving image, under its initial transform.

    Raises:
        ValueError: No structure pairs.
    """
    pair, plane = result.pair, result.firstPlane
    space = movingSpace(pair.fixedVolume, pair.movingVolume, result.transformNode)
    voxel = float(np.linalg.norm(plane.ijkToRas[:3, :3], axis=0).max())
    region = ReportRegion(plane, len(result.allSlices.displacement), voxel)
    pairs, remarks = structurePairs(fixedNode, movingNode, space, region)
    items = [item for one in pairs for item in agreement_items(one, region.grid.spacing, voxel, TG_132)]
    return tuple(items), remarks


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names) or "none"
