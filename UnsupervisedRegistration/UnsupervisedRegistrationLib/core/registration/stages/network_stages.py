"""The stages up to the prediction of the network."""

from __future__ import annotations

from dataclasses import replace

from ...images.crop import prepare
from ..image_pair import registrable_pairs
from ..plan import PAIRS_AT_ONCE, PAIRS_AT_ONCE_GPU, make_plan
from ..prediction import match_intensities, predict
from .state import Part, State


class Preprocess:
    """Intensities, working grid and box; and the plan, which depends on them."""

    name, share = "prepare", 0.0

    def applies(self, state: State) -> bool:
        return True

    def __call__(self, state: State) -> State:
        images, model = state.images, state.model
        together = PAIRS_AT_ONCE if state.device.type == "cpu" else PAIRS_AT_ONCE_GPU
        usable = registrable_pairs(images, model)
        parts = []
        for start in range(0, len(usable), together):
            indices = usable[start : start + together]
            part = images if len(images.fixed) == 1 else images.part(indices)
            pair = prepare(
                fixed=part.fixed.float(),
                moving=part.moving.float(),
                mask=part.mask,
                moving_mask=part.moving_mask,
                fixed_inside=part.fixed_inside,
                moving_inside=part.moving_inside,
                grid=images.grid,
                configuration=model.configuration.preprocessing,
                multiple=model.network.multiple,
                keep_margins=images.landmarks is not None,  # They may lie where neither image shows anything.
            ).to(state.device)
            plan = make_plan(pair, model, state.options, images.landmarks is not None, state.without)
            parts.append(Part(indices, pair, pair, plan))
        return replace(state, parts=tuple(parts), plan=parts[len(parts) // 2].plan)


class MatchIntensities:
    """One image in the contrast of the other, where they differ."""

    name, share = "match intensities", 0.02

    def applies(self, state: State) -> bool:
        return any(any(part.plan.match_intensities) for part in state.parts)

    def __call__(self, state: State) -> State:
        parts = []
        for part in state.parts:
            matched, agree = match_intensities(part.pair, state.model, part.plan)
            parts.append(replace(part, matched=matched, agree=agree))
        return replace(state, parts=tuple(parts))


class Predict:
    """The network."""

    name, share = "network", 0.05

    def applies(self, state: State) -> bool:
        return state.options.transform == "deformable"

    def __call__(self, state: State) -> State:
        tell, parts = state.clock.within(0.05, 0.1), []
        for number, part in enumerate(state.parts):
            tell(number / len(state.parts))
            mapping = predict(part.matched, state.model, part.plan, state.images.grid, part.agree)
            parts.append(replace(part, mapping=mapping))
        return replace(state, parts=tuple(parts))
