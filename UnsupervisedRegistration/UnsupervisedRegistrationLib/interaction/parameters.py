"""What the panel shows and a saved scene keeps."""

from typing import Annotated, Any

import slicer

from ..scene.registration_options import RegistrationOptions
from .choices import (
    DEFORMATIONS,
    IN_VIEW,
    MOVING_OUTPUTS,
    ORIENTATIONS,
    OVERLAYS,
    PREALIGNMENTS,
    PRESETS,
    SIMILARITIES,
    TRANSFORM_TYPES,
    TRUST_MAP,
)

try:
    from slicer.parameterNodeWrapper import Choice, WithinRange, parameterNodeWrapper
except ModuleNotFoundError:  # The package slicer-core, outside the application, has none.
    from .typed_parameters import Choice, WithinRange, parameterNodeWrapper

_DEFAULT_OPTIONS = RegistrationOptions()

OPTION_PARAMETERS = {
    "transform": "transformType",
    "preset": "preset",
    "model": "model",
    "prealignment": "prealignment",
    "similarity": "similarity",
    "smoothness_weight": "smoothnessWeight",
    "free_models_only": "freeModelsOnly",
    "device": "device",
}
"""Name of each option of a registration, and of the parameter that holds it."""

FORMER_NAMES = {"confined": "thisSliceOnly", "errorTable": "treTable"}
"""Names that parameters had in scenes of earlier versions, with today's names."""

FORMER_VALUES = {"overlay": {"Trust": TRUST_MAP}, "model": {"Automatic": _DEFAULT_OPTIONS.model}}
"""Values that parameters had in scenes of earlier versions, with today's values."""

_REFINE = "refine"  # Whether there was an instance optimisation, before there were presets.


@parameterNodeWrapper
class RegistrationParameters:
    """Typed access to the parameter node of the module.

    Attributes:
        fixedVolume: Stays where it is.
        movingVolume: Is warped.
        sliceSource: A view, or an orientation and an index.
        sliceView: The view.
        sliceIndex: Of the fixed slice, from 0.
        model: Name or file, or ``"auto"``.
        mask: Segmentation or labelmap of the region of interest in the fixed image.
        movingMask: The same in the moving image.
        initialTransform: Becomes the parent of the moving volume before the registration.
        prealignment: Linear in-plane alignment before the network.
        preset: Network and a few steps, with instance optimisation, or all that helps.
        transformType: Linear alignment in the plane only, or deformable.
        freeModelsOnly: Never choose a model for research use only.
        similarity: Measure that the optimisation maximises.
        smoothnessWeight: Weight of the regularisation, relative to the default.
        steer: Landmarks constrain the deformation.
        overlay: How the two images are combined in the slice view.
        blend: Opacity of the moving image, 0..1.
        flickerRate: Changes per second.
        tileSize: Side of a square of the checkerboard, mm.
        swipe: Share of the width that shows the fixed image, 0..1.
        deformation: How the deformation is drawn.
        gridSpacing: Distance of its lines or arrows, mm.
        transform: Receives the displacement.
        warpedVolume: Receives the warped slice.
        fixedLandmarks: Points on the fixed image, paired by label with ..
        movingLandmarks: .. those on the moving image.
        treTable: Receives their target registration errors.
        sequence: Its frames are registered to the first.
        device: Where the network runs.
        movingOutput: Moving volume under the transform, or a resampled copy beside it.
        thisSliceOnly: Warp the registered slice only.
    """

    fixedVolume: slicer.vtkMRMLScalarVolumeNode
    movingVolume: slicer.vtkMRMLScalarVolumeNode
    sliceSource: Annotated[str, Choice([IN_VIEW, *ORIENTATIONS])] = IN_VIEW
    sliceView: slicer.vtkMRMLSliceNode
    sliceIndex: int = 0
    preset: Annotated[str, Choice(PRESETS)] = _DEFAULT_OPTIONS.preset
    model: str = _DEFAULT_OPTIONS.model
    freeModelsOnly: bool = _DEFAULT_OPTIONS.free_models_only
    mask: slicer.vtkMRMLNode
    movingMask: slicer.vtkMRMLNode
    initialTransform: slicer.vtkMRMLTransformNode
    prealignment: Annotated[str, Choice(PREALIGNMENTS)] = _DEFAULT_OPTIONS.prealignment
    transformType: Annotated[str, Choice(TRANSFORM_TYPES)] = _DEFAULT_OPTIONS.transform
    similarity: Annotated[str, Choice(SIMILARITIES)] = _DEFAULT_OPTIONS.similarity
    smoothnessWeight: Annotated[float, WithinRange(0.05, 5.0)] = _DEFAULT_OPTIONS.smoothness_weight
    steer: bool = False
    overlay: Annotated[str, Choice(OVERLAYS)] = "Blend"
    blend: Annotated[float, WithinRange(0.0, 1.0)] = 0.5
    flickerRate: Annotated[float, WithinRange(0.5, 8.0)] = 2.0
    tileSize: Annotated[float, WithinRange(2.0, 100.0)] = 20.0
    swipe: Annotated[float, WithinRange(0.0, 1.0)] = 0.5
    deformation: Annotated[str, Choice(DEFORMATIONS)] = "Hidden"
    gridSpacing: Annotated[float, WithinRange(2.0, 50.0)] = 10.0
    transform: slicer.vtkMRMLTransformNode
    warpedVolume: slicer.vtkMRMLScalarVolumeNode
    fixedLandmarks: slicer.vtkMRMLMarkupsFiducialNode
    movingLandmarks: slicer.vtkMRMLMarkupsFiducialNode
    treTable: slicer.vtkMRMLTableNode
    sequence: slicer.vtkMRMLSequenceNode
    device: str = _DEFAULT_OPTIONS.device
    movingOutput: Annotated[str, Choice(MOVING_OUTPUTS)] = MOVING_OUTPUTS[0]
    thisSliceOnly: bool = True


def readParameters(node: slicer.vtkMRMLScriptedModuleNode) -> RegistrationParameters:
    """The parameters in a node, which may come from a scene of an earlier version."""
    _renameFormer(node)
    wrapper: Any = RegistrationParameters
    return wrapper(node)  # type: ignore[no-any-return]


def _renameFormer(node: slicer.vtkMRMLScriptedModuleNode) -> None:
    """Stores each value or node under today's name, and replaces former values."""
    for former, name in FORMER_NAMES.items():
        if node.HasParameter(former):
            node.SetParameter(name, node.GetParameter(former))
            node.UnsetParameter(former)
        if node.GetNodeReferenceID(former):
            node.SetNodeReferenceID(name, node.GetNodeReferenceID(former))
            node.RemoveNodeReferenceIDs(former)
    if node.HasParameter(_REFINE):
        node.SetParameter("preset", "standard" if node.GetParameter(_REFINE) == "True" else "fast")
        node.UnsetParameter(_REFINE)
    for name, values in FORMER_VALUES.items():
        if node.GetParameter(name) in values:
            node.SetParameter(name, values[node.GetParameter(name)])
