"""What the parameters of the panel ask for; the first half of the module's logic."""

from __future__ import annotations

from typing import Any

from slicer.i18n import tr as _

from ..interaction.choices import AUTOMATIC, IN_VIEW, ORIENTATIONS
from ..scene.geometry.planes import Orientation, SlicePlane, planeFromIndex, planeFromSliceNode, sliceCount
from ..scene.geometry.result_transform import resultTransformOf
from ..scene.landmarks.tre_table import TreTable, targetRegistrationError


class Questions:
    """Answers about parameters; ``parameters`` is the module's parameter node everywhere."""

    def missing(self, parameters: Any) -> str:
        """What has to be chosen before Apply, or nothing."""
        if not parameters.fixedVolume or not parameters.movingVolume:
            return _("Choose a fixed and a moving volume")
        if parameters.fixedVolume is parameters.movingVolume:
            return _("Choose two different volumes as fixed and moving")
        if self.isInView(parameters) and not parameters.sliceView:
            return _("Choose the slice view to register")
        if bool(parameters.fixedLandmarks) != bool(parameters.movingLandmarks):
            return _("Choose landmarks on both images, or on none")
        return ""

    def check(self, parameters: Any) -> None:
        """Refuses parameters that cannot be applied.

        Raises:
            ValueError: Something is missing, or was deleted.
        """
        missing = self.missing(parameters)
        if missing:
            raise ValueError(f"{missing}.")

    def checkSequence(self, parameters: Any) -> None:
        """Refuses to register a sequence where none is chosen.

        Raises:
            ValueError: It is not there, or was deleted.
        """
        if not parameters.sequence:
            raise ValueError(_("Choose a sequence of volumes."))

    def isInView(self, parameters: Any) -> bool:
        """Whether a slice view chooses the slice."""
        return parameters.sliceSource == IN_VIEW

    def plane(self, parameters: Any) -> SlicePlane:
        """The plane that the parameters choose.

        Raises:
            ValueError: It does not cut the fixed volume, or something is not chosen.
        """
        self.check(parameters)
        if self.isInView(parameters):
            return planeFromSliceNode(parameters.sliceView, parameters.fixedVolume)
        return planeFromIndex(parameters.fixedVolume, ORIENTATIONS[parameters.sliceSource], parameters.sliceIndex)

    def orientation(self, parameters: Any) -> Orientation:
        """Axial, sagittal or coronal, as chosen or as the view lies; axial for an oblique view."""
        if not self.isInView(parameters):
            return ORIENTATIONS[parameters.sliceSource]
        name = parameters.sliceView.GetOrientation().lower() if parameters.sliceView else ""
        return name if name in ORIENTATIONS.values() else "axial"

    def sliceCount(self, parameters: Any) -> int:
        """How many slices the fixed volume has along the orientation; 1 if there is none."""
        if not parameters.fixedVolume:
            return 1
        try:
            return sliceCount(parameters.fixedVolume, self.orientation(parameters))
        except ValueError:
            return 1

    def chooseModel(self, parameters: Any, volumes: tuple[Any, Any] | None = None) -> tuple[str, str]:
        """Name or file of the model for two volumes, the chosen ones or others, and why; see ``core.choice``."""
        if parameters.model != AUTOMATIC:
            return parameters.model, ""
        from ..scene.registration.model_choice import chooseModel

        return chooseModel(*volumes or (parameters.fixedVolume, parameters.movingVolume))

    def refinement(self, parameters: Any, seconds: float) -> Any:
        """How the outcome is refined, or ``None``."""
        if not (parameters.refine or parameters.steer):
            return None
        from ..scene.registration.slice import Refinement

        return Refinement(
            similarity=parameters.similarity, smoothness_weight=parameters.smoothnessWeight, seconds=seconds
        )

    def steering(self, parameters: Any) -> Any:
        """The landmark lists that steer the refinement, or ``None``."""
        lists = (parameters.fixedLandmarks, parameters.movingLandmarks)
        return lists if parameters.steer and all(lists) else None

    def errors(self, parameters: Any, transformNode: Any) -> TreTable | None:
        """Distances of the landmarks that pair, under a transform, or ``None`` without a pair."""
        lists = (parameters.fixedLandmarks, parameters.movingLandmarks)
        if not all(lists):
            return None
        errors = targetRegistrationError(*lists, transformNode, parameters.movingVolume, complete=False)
        return errors if errors.labels else None

    def shownTransform(self, parameters: Any) -> Any:
        """The outcome of the moving volume that is shown now; ``None`` without any. See ``scene.overlays``."""
        return resultTransformOf(parameters.movingVolume) if parameters.movingVolume else None
