"""What a registration gives, the progress that it tells, and how it is cancelled."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from .plan import Plan
from .prealignment import Matrix

Progress = Callable[[str, float], None]
"""Called with the name of the stage that begins and the share of the work done, 0..1; may raise ``Cancelled``."""


class Cancelled(Exception):
    """Raised by a progress callback to end a registration; it passes through, and nothing else happens."""


@dataclass(frozen=True)
class RegistrationResult:
    """The result for a pair, or for a batch of pairs, on the CPU.

    Attributes:
        displacement: ``(B, d, *spatial)``, from fixed to moving, voxels of the fixed grid.
        inverse: Likewise from moving to fixed.
        warped: ``(B, 1, *spatial)``, the moving images in their own intensities, resampled from the pixels given.
        similarity_before: Mean squared local correlation, 0..1, inside the masks if there are any.
        similarity_after: The same with the warped images.
        folding: Share of the area that folds, 0..1; see ``spatial.folding``.
        milliseconds: Time of each stage.
        device: Where the network ran.
        expected_error: ``(B, 1, *spatial)`` mm, see ``uncertainty``; ``None`` if it was not asked for.
        plan: What was done, and why.
        model: Name of the model.
        model_reason: Why ``"auto"`` took this model; empty if the user chose it.
        licence: Terms of use of the model.
        prealignment: ``(4, 4)`` RAS mm, from fixed to moving; ``None`` if the images stayed as they lay.
        registered: Indices of the pairs in which both images show something; the others stay as they lie.
        landmark_errors: ``(N,)`` mm, the error at each steering landmark if the others alone had steered; ``None`` if
            none steered.
        notes: What else was done to the images or should be known, a sentence each.
    """

    displacement: Tensor
    inverse: Tensor
    warped: Tensor
    similarity_before: float
    similarity_after: float
    folding: float
    milliseconds: dict[str, float]
    device: str
    expected_error: Tensor | None
    plan: Plan
    model: str
    model_reason: str
    licence: str
    prealignment: Matrix | None = None
    registered: tuple[int, ...] = (0,)
    landmark_errors: Tensor | None = None
    notes: tuple[str, ...] = ()


class Clock:
    """Measures the stages and tells the progress callback."""

    def __init__(self, progress: Progress | None) -> None:
        self.milliseconds: dict[str, float] = {}
        self._progress = progress
        self._stage, self._start = "", 0.0

    def begin(self, stage: str, share: float) -> None:
        """Ends the running stage and begins the next."""
        self.end()
        self._stage, self._start = stage, time.perf_counter()
        if self._progress:
            self._progress(stage, share)

    def within(self, start: float, end: float) -> Callable[[float], None]:
        """Tells the callback how far the running stage is, whose own shares 0..1 span ``start`` to ``end``."""

        def tell(share: float) -> None:
            if self._progress:
                self._progress(self._stage, start + share * (end - start))

        return tell

    def end(self) -> None:
        """Ends the running stage."""
        if self._stage:
            spent = round(1000 * (time.perf_counter() - self._start), 2)
            self.milliseconds[self._stage] = self.milliseconds.get(self._stage, 0.0) + spent
