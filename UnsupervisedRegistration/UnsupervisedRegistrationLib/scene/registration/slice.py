"""One slice of one volume onto another: sample, register, put the result into the scene.

The three steps are separate, so that the middle one, which touches no node, may run in another thread.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ...core.models.model_file import Model
from ...core.registration.options import RegistrationOptions as RegistrationOptions
from ...core.registration.pipeline import prealign as prealign
from ...core.registration.pipeline import run as run
from ...core.registration.result import Cancelled as Cancelled
from ...core.registration.result import Progress as Progress
from ..geometry.result_transform import initialTransformOf
from .candidate_models import modelsFor
from .result_nodes import SliceOutputs, SliceRegistration, checkOutputNodes, showSliceResult
from .slice_pair import SliceInputs, SliceSource


def registerSlice(
    inputs: SliceInputs,
    options: RegistrationOptions | None = None,
    outputs: SliceOutputs | None = None,
    progress: Progress | None = None,
    models: Sequence[Model] | None = None,
) -> SliceRegistration:
    """Registers a slice of the moving volume to one of the fixed volume; the scene changes only if all goes well.

    Args:
        inputs: Volumes, plane, masks, landmarks, initial transform.
        options: How; by default as ``RegistrationOptions()``.
        outputs: Nodes that receive the result; new ones by default.
        progress: Told of each stage; may raise ``Cancelled``.
        models: Admissible models; by default what ``options`` say.

    Raises:
        OSError: The model cannot be read.
        ValueError: Something does not fit; the sentence says what.
    """
    options, outputs = options or RegistrationOptions(), outputs or SliceOutputs()
    with underInitialTransform(inputs):
        source = SliceSource(inputs)
        checkOutputNodes(source.pair, outputs, (inputs.maskNode, inputs.movingMaskNode))
        chosen = models or modelsFor(source.pair, options)
        result = run(source, chosen, options, progress)
        return showSliceResult(source.pair, result, outputs)


@contextmanager
def underInitialTransform(inputs: SliceInputs) -> Iterator[None]:
    """Puts the moving volume under the initial transform; back where it was if the work is not done."""
    moving, initial, isDone = inputs.movingVolume, inputs.initialTransform, False
    before = moving.GetTransformNodeID()
    if initial is not None and initialTransformOf(moving) is not initial:
        moving.SetAndObserveTransformNodeID(initial.GetID())
    try:
        yield
        isDone = True
    finally:
        if not isDone and moving.GetScene():
            moving.SetAndObserveTransformNodeID(before)
