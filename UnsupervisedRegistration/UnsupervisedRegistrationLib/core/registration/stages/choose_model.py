"""The first stage: which of several models registers the images."""

from __future__ import annotations

from dataclasses import replace

from ...models.model_file import Model
from ..device import to_device
from ..image_pair import middle_pair, mutual_information
from ..model_trial import choose_by_trial
from .network_stages import MatchIntensities, Predict, Preprocess
from .result_stages import ToImageGrid
from .state import Stage, State

_TRIAL: tuple[Stage, ...] = (Preprocess(), MatchIntensities(), Predict(), ToImageGrid())
"""What a model does in the trial: the network alone."""


class ChooseModel:
    """Of several models, the one whose network alone makes the images most similar.

    Where the contrasts differ and cannot be matched, it is the default model: mutual information then rises although a
    network trained on images of one contrast aligns the wrong structures.
    """

    name, share = "choose the model", 0.0

    def applies(self, state: State) -> bool:
        return True

    def __call__(self, state: State) -> State:
        default = state.models[0]
        if len(state.models) == 1 or state.options.transform != "deformable":
            to_device(state.model, state.device)
            return state
        images = replace(middle_pair(state.images, state.models), landmarks=None, slice_sigma=0.0)
        options = replace(state.options, preset="fast")
        fast = replace(state, images=images, options=options, without=state.without | {"few_steps"})
        of_default = self._trial(fast, default)
        if _unmatched(of_default):
            reason = f"{default.name}: the contrasts differ and cannot be matched"
            return replace(state, model=default, model_reason=reason)
        before = mutual_information(images, None)

        def gain_of(model: Model) -> float:
            tried = of_default if model is default else self._trial(fast, model)
            assert tried.field is not None
            return mutual_information(images, tried.field.forward) - before

        model, reason = choose_by_trial(state.models, gain_of)
        return replace(state, model=model, model_reason=reason)

    @staticmethod
    def _trial(state: State, model: Model) -> State:
        """The network alone."""
        to_device(model, state.device)
        tried = replace(state, model=model)
        for stage in _TRIAL:
            tried = stage(tried) if stage.applies(tried) else tried
        return tried


def _unmatched(state: State) -> bool:
    """Whether contrasts differ so much that the intensities of no pair could be matched."""
    return not any(any(part.agree) for part in state.parts)
