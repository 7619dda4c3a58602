"""The stages of the instance optimisation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from ...spatial.deformation import Mapping
from ..instance_optimisation import optimise
from ..landmark_constraint import leave_one_out_errors
from ..prediction import predict
from .state import Part, State


class Optimise:
    """Instance optimisation, pair by pair."""

    name, share = "optimise", 0.1

    def applies(self, state: State) -> bool:
        return any(part.plan.optimisation for part in state.parts)

    def __call__(self, state: State) -> State:
        total, done, struck, parts = sum(len(part.indices) for part in state.parts), 0, False, []
        for part in state.parts:
            mappings = []
            for number in range(len(part.indices)):
                tell = state.clock.within(0.1 + 0.65 * done / total, 0.1 + 0.65 * (done + 1) / total)
                mapping, stopped = self._one(state, part, number, tell)
                mappings.append(mapping)
                struck, done = struck or stopped, done + 1
            ways = (torch.cat(way) for way in zip(*mappings, strict=True))
            parts.append(replace(part, mapping=Mapping(*ways)))
        limit = f"the optimisation stopped at its time limit of {state.options.time_limit:g} s"
        return replace(state, parts=tuple(parts), notes=state.told(limit) if struck else state.notes)

    @staticmethod
    def _one(state: State, part: Part, number: int, tell: Callable[[float], None]) -> tuple[Mapping, bool]:
        assert part.mapping is not None
        assert part.plan.optimisation is not None
        images, pair = state.images, part.pair
        points = images.landmarks and images.landmarks.on_grid(images.grid.shape, pair.shape)
        start = Mapping(*(way[number : number + 1] for way in part.mapping))
        return optimise(pair.only(number), start, part.plan.optimisation, images.grid, points, tell)


class LeaveOneOut:
    """The error at each steering landmark if the others alone had steered."""

    name, share = "leave landmarks out", 0.75

    def applies(self, state: State) -> bool:
        wanted = state.options.transform == "deformable" and state.options.preset != "fast"
        return wanted and state.images.landmarks is not None

    def __call__(self, state: State) -> State:
        (part,) = state.parts
        points = state.images.landmarks
        assert points is not None
        assert part.plan.optimisation is not None
        spacing = part.pair.spacing(state.images.grid)
        start = predict(part.matched, state.model, part.plan, state.images.grid)
        mapping, _ = optimise(part.pair, start, part.plan.optimisation, state.images.grid)
        working = points.on_grid(state.images.grid.shape, part.pair.shape)
        errors = leave_one_out_errors(working, mapping.forward, spacing)
        return replace(state, landmark_errors=errors)
