"""What the parameters ask for: volumes, slice, landmarks; ``check`` refuses what cannot be registered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..scene.geometry import planes
from ..scene.geometry.planes import Orientation, SlicePlane
from ..scene.geometry.result_transform import isResultTransformOf, resultTransformOf
from ..scene.landmarks.tre_table import TreTable, targetRegistrationError
from ..scene.registration_options import RegistrationOptions
from ..scene.reporting.translation import tr as _
from .choices import IN_VIEW, ORIENTATIONS
from .parameters import OPTION_PARAMETERS, RegistrationParameters

if TYPE_CHECKING:
    from ..scene.registration.result_nodes import SliceOutputs
    from ..scene.registration.slice_pair import SliceInputs


_SAME_DIRECTION = 0.99  # Cosine from which two planes have the same orientation.


def missing(parameters: RegistrationParameters) -> str:
    """What has to be chosen before Apply; empty if nothing."""
    if not parameters.fixedVolume or not parameters.movingVolume:
        return _("Choose a fixed and a moving volume")
    if parameters.fixedVolume is parameters.movingVolume:
        return _("Choose two different volumes as fixed and moving")
    if isInView(parameters) and not parameters.sliceView:
        return _("Choose the slice view to register")
    if bool(parameters.fixedLandmarks) != bool(parameters.movingLandmarks):
        return _("Choose landmarks on both images, or on none")
    return ""


def check(parameters: RegistrationParameters) -> None:
    """Refuses parameters with which no pair can be registered.

    Raises:
        ValueError: Something is not chosen, or was deleted.
    """
    sentence = missing(parameters)
    if sentence:
        raise ValueError(f"{sentence}.")


def checkSequence(parameters: RegistrationParameters) -> None:
    """Refuses parameters without a sequence.

    Raises:
        ValueError: None is chosen, or it was deleted.
    """
    if not parameters.sequence:
        raise ValueError(_("Choose a sequence of volumes."))


def isInView(parameters: RegistrationParameters) -> bool:
    """Whether a slice view chooses the slice."""
    return parameters.sliceSource == IN_VIEW


def chosenPlane(parameters: RegistrationParameters) -> SlicePlane:
    """The plane of the slice to register.

    Raises:
        ValueError: It does not cut the fixed volume, or something is not chosen.
    """
    check(parameters)
    if isInView(parameters):
        return planes.planeFromSliceNode(parameters.sliceView, parameters.fixedVolume)
    return planes.planeFromIndex(parameters.fixedVolume, ORIENTATIONS[parameters.sliceSource], parameters.sliceIndex)


def chosenOrientation(parameters: RegistrationParameters) -> Orientation:
    """Axial, sagittal or coronal, as chosen or as in the view; axial for an oblique view."""
    if not isInView(parameters):
        return ORIENTATIONS[parameters.sliceSource]
    name = parameters.sliceView.GetOrientation().lower() if parameters.sliceView else ""
    return next((orientation for orientation in ORIENTATIONS.values() if orientation == name), "axial")


def chooseIndex(parameters: RegistrationParameters, plane: SlicePlane) -> None:
    """Chooses the index of the slice nearest to a plane, if the plane has the chosen orientation."""
    fixed, orientation = parameters.fixedVolume, chosenOrientation(parameters)
    slices = [planes.planeFromIndex(fixed, orientation, index) for index in range(countSlices(parameters))]
    if slices and abs(slices[0].normal @ plane.normal) > _SAME_DIRECTION:
        distances = [one.distances(plane.centre[None])[0] for one in slices]
        parameters.sliceIndex = distances.index(min(distances))


def countSlices(parameters: RegistrationParameters) -> int:
    """Number of slices of the fixed volume along the orientation; 1 without a volume."""
    if not parameters.fixedVolume:
        return 1
    try:
        return planes.sliceCount(parameters.fixedVolume, chosenOrientation(parameters))
    except ValueError:
        return 1


def steeringLandmarks(parameters: RegistrationParameters) -> tuple[Any, Any] | None:
    """The landmark lists that constrain the deformation, fixed first; ``None`` without any."""
    if not (parameters.steer and parameters.fixedLandmarks and parameters.movingLandmarks):
        return None
    return parameters.fixedLandmarks, parameters.movingLandmarks


def landmarkErrors(parameters: RegistrationParameters, transformNode: Any) -> TreTable | None:
    """Target registration errors of the landmarks that pair; ``None`` without a pair."""
    if not (parameters.fixedLandmarks and parameters.movingLandmarks):
        return None
    errors = targetRegistrationError(
        parameters.fixedLandmarks, parameters.movingLandmarks, transformNode, parameters.movingVolume, complete=False
    )
    return errors if errors.labels else None


def shownTransform(parameters: RegistrationParameters) -> Any:
    """The transform of the result that the moving volume shows now; ``None`` without any."""
    return resultTransformOf(parameters.movingVolume) if parameters.movingVolume else None


def releaseOtherOutputs(parameters: RegistrationParameters) -> None:
    """Asks for new output nodes if the chosen ones hold the result of another moving volume."""
    if parameters.transform and not isResultTransformOf(parameters.transform, parameters.movingVolume):
        parameters.transform = parameters.warpedVolume = None


def chosenOptions(parameters: RegistrationParameters, uncertainty: bool = False) -> RegistrationOptions:
    """How the parameters ask for the registration."""
    chosen: Any = {name: getattr(parameters, parameter) for name, parameter in OPTION_PARAMETERS.items()}
    return RegistrationOptions(**chosen, uncertainty=uncertainty)


def sliceInputs(parameters: RegistrationParameters) -> SliceInputs:
    """The nodes and the slice to register; imports torch.

    Raises:
        ValueError: The plane does not cut the fixed volume, or something is not chosen.
    """
    from ..scene.registration.slice_pair import SliceInputs

    return SliceInputs(plane=chosenPlane(parameters), landmarks=steeringLandmarks(parameters), **_volumes(parameters))


def volumeInputs(parameters: RegistrationParameters) -> SliceInputs:
    """The nodes to register as whole volumes; imports torch."""
    from ..scene.registration.slice_pair import SliceInputs

    return SliceInputs(**_volumes(parameters))


def sliceOutputs(parameters: RegistrationParameters) -> SliceOutputs:
    """The nodes that receive the result; imports torch."""
    from ..scene.registration.result_nodes import SliceOutputs

    return SliceOutputs(parameters.transform, parameters.warpedVolume, parameters.thisSliceOnly)


def _volumes(parameters: RegistrationParameters) -> dict[str, Any]:
    return {
        "fixedVolume": parameters.fixedVolume,
        "movingVolume": parameters.movingVolume,
        "maskNode": parameters.mask,
        "movingMaskNode": parameters.movingMask,
        "initialTransform": parameters.initialTransform,
    }
