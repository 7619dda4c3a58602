"""The stages after the registration: the result on the grid of the images, and what is measured of it."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ...images.crop import prepare
from ...images.preprocessing import resample
from ...models.model_file import Model
from ...spatial.deformation import Mapping, warp
from ...spatial.folding import repair_folds
from ...spatial.grid import ImageGrid
from ..image_pair import ImagePair, mutual_information, outside_mask
from ..plan import MEASURED_PAIRS
from ..stack_smoothing import smooth_along_stack
from ..uncertainty import expected_error
from .state import Part, State


class ToImageGrid:
    """Displacements on the grid of the images, smoothed along a stack; a pair that shows nothing stays."""

    name, share = "warp", 0.75

    def applies(self, state: State) -> bool:
        return True

    def __call__(self, state: State) -> State:
        grid, count = state.images.grid, len(state.images.fixed)
        ways = torch.zeros(2, count, len(grid.shape), *grid.shape)
        for part in state.parts:
            if part.mapping is not None:
                found = [self._on_grid(way, part, grid) for way in part.mapping]
                found[0] = self._repaired(found[0], part, grid)
                ways[:, part.indices] = torch.stack(found)
        sigma = state.images.slice_sigma
        if sigma > 0:
            known = sorted({n for part in state.parts for n in part.indices} | outside_mask(state.images))
            ways = torch.stack([smooth_along_stack(way, known, sigma) for way in ways])
        return replace(state, field=Mapping(*ways))

    @staticmethod
    def _on_grid(way: Tensor, part: Part, grid: ImageGrid) -> Tensor:
        return part.pair.to_image_grid(way, grid.shape).cpu()

    @staticmethod
    def _repaired(displacement: Tensor, part: Part, grid: ImageGrid) -> Tensor:
        """Another grid may fold where the working one does not."""
        if part.plan.optimisation is None or part.pair.shape == grid.shape:
            return displacement
        repaired = repair_folds(displacement)
        return displacement if repaired is None else repaired


class KeepIfMoreSimilar:
    """No deformation where the result is less similar than the images as they lay.

    The slices of a stack are smoothed together, so they are kept or replaced together.
    """

    name, share = "compare", 0.8

    def applies(self, state: State) -> bool:
        return state.plan is not None and state.plan.never_worse

    def __call__(self, state: State) -> State:
        assert state.field is not None
        usable = [n for part in state.parts for n in part.indices]
        groups = [usable] if state.images.slice_sigma > 0 else [[n] for n in usable]
        worse = {n for group in groups if group and self._gain(state, group) < 0 for n in group}
        if not worse:
            return state
        kept = [n not in worse for n in range(len(state.images.fixed))]
        parts = tuple(
            replace(p, mapping=p.mapping and _kept(p.mapping, [kept[n] for n in p.indices])) for p in state.parts
        )
        note = (
            "returned without deformation, because the deformed image was less similar than the moving image as it lay"
        )
        if len(kept) > 1:
            note = f"{len(worse)} of {len(kept)} images {note}"
        smoothed = state.images.slice_sigma > 0  # Slices that show nothing have the deformation of their neighbours.
        field = _kept(state.field, [False] * len(kept) if smoothed else kept)
        return replace(state, field=field, parts=parts, notes=state.told(note))

    @staticmethod
    def _gain(state: State, group: list[int]) -> float:
        """Mutual information after the registration less that before, summed over pairs."""
        assert state.field is not None
        total = 0.0
        for n in group:
            images = state.images if len(state.images.fixed) == 1 else state.images.part([n])
            total += mutual_information(images, state.field.forward[n : n + 1]) - mutual_information(images, None)
        return total


def _kept(mapping: Mapping, kept: list[bool]) -> Mapping:
    """The mapping of the pairs that are kept, and none of the others."""
    factor = torch.tensor(kept, device=mapping.forward.device)[:, None, None, None]
    return Mapping(*(way.where(factor, torch.zeros_like(way)) for way in mapping))


class Uncertainty:
    """The expected error of every voxel."""

    name, share = "uncertainty", 0.82

    def applies(self, state: State) -> bool:
        return state.options.uncertainty and state.options.transform == "deformable"

    def __call__(self, state: State) -> State:
        grid = state.images.grid
        errors = torch.zeros(len(state.images.fixed), 1, *grid.shape)
        for part in state.parts:
            assert part.mapping is not None
            error = expected_error(part.matched, state.model, part.plan, part.mapping.forward, grid)
            errors[part.indices] = resample(part.pair.to_full_grid(error).cpu(), grid.shape)
        return replace(state, expected_error=errors)


class Evaluate:
    """Similarity before and after, where both images count."""

    name, share = "measure", 0.9

    def applies(self, state: State) -> bool:
        return True

    def __call__(self, state: State) -> State:
        if len(state.images.fixed) == 1:
            (part,) = state.parts
            forward = None if part.mapping is None else part.mapping.forward
            return replace(state, similarity=(part.pair.similarity(None), part.pair.similarity(forward)))
        return replace(state, similarity=self._of_batch(state))

    @staticmethod
    def _of_batch(state: State) -> tuple[float, float]:
        """Of some pairs of a batch, whose displacements may have been smoothed after the network."""
        assert state.field is not None
        usable = [n for part in state.parts for n in part.indices]
        some = usable[:: max(len(usable) // MEASURED_PAIRS, 1)]
        return similarity_of(state.images.part(some), state.field.forward[some], state.model)


def similarity_of(images: ImagePair, forward: Tensor, model: Model) -> tuple[float, float]:
    """Mean similarity of pairs, as the model sees them, before and after they are warped by ``forward``."""
    inside = images.moving_mask
    warped = (warp(images.moving.float(), forward), None if inside is None else warp(inside, forward, "nearest"))
    before, after = (
        prepare(
            fixed=images.fixed.float(),
            moving=moving.float(),
            mask=images.mask,
            moving_mask=mask,
            grid=images.grid,
            configuration=model.configuration.preprocessing,
            multiple=model.network.multiple,
        ).similarity(None)
        for moving, mask in ((images.moving, inside), warped)
    )
    return before, after
