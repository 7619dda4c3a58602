"""Slices of different volumes, registered together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping

from ...core.models.model_file import Model
from ...core.registration.image_pair import ImagePair
from ...core.registration.pair_batch import batch_key, run_together
from ...core.registration.pipeline import prealign
from ...core.registration.result import RegistrationResult as RegistrationResult
from ..registration_options import RegistrationOptions
from .candidate_models import modelsFor
from .result_nodes import SliceOutputs, SliceRegistration, showSliceResult
from .slice import underInitialTransform
from .slice_pair import SliceInputs, SliceSource


class SliceBatch:
    """Pairs of slices that are gathered one by one, and registered together where their grids are equal."""

    def __init__(self, options: RegistrationOptions) -> None:
        """Begin without pairs.

        Args:
            options: Of all pairs, with a model by name or file: the automatic choice looks at each pair.
        """
        self._options = options
        self._pairs: dict[str, ImagePair] = {}
        self._model: Model | None = None

    def add(self, name: str, inputs: SliceInputs) -> None:
        """Sample and pre-align a pair; its nodes are not needed any more.

        Raises:
            OSError: The model cannot be read.
            ValueError: The images do not fit.
        """
        with underInitialTransform(inputs):
            source = SliceSource(inputs)
            images = prealign(source, self._options)
            self._model = self._model or modelsFor(source.pair, self._options)[0]
        self._pairs[name] = images

    def results(self) -> Mapping[str, RegistrationResult]:
        """Register all; pairs that show nothing, or are alone with their grid, have no result here."""
        groups: dict[Hashable, list[str]] = defaultdict(list)
        for name, pair in self._pairs.items():
            groups[batch_key(pair)].append(name)
        found: dict[str, RegistrationResult] = {}
        for names in groups.values():
            if len(names) > 1 and self._model is not None:
                results = run_together([self._pairs[name] for name in names], self._model, self._options)
                found |= {name: one for name, one in zip(names, results, strict=True) if one is not None}
        return found


def showBatchResult(inputs: SliceInputs, result: RegistrationResult) -> SliceRegistration:
    """Put the result of a pair of a batch into the scene of its nodes.

    Raises:
        ValueError: The images do not fit.
    """
    with underInitialTransform(inputs):
        return showSliceResult(SliceSource(inputs, result.prealignment).pair, result, SliceOutputs())
