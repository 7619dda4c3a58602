"""Many pairs at once: the slices of a volume, or the frames of a sequence."""

from __future__ import annotations

import torch
from torch import Tensor

from ..images.crop import prepare
from ..models.model_file import Model
from ..spatial.grid import ImageGrid
from .pipeline import Progress, resolve_device
from .prediction import align

_TOGETHER = 8  # Pairs the network sees at once on a CPU; more do not raise the rate, only the memory.
_TOGETHER_GPU = 64


def register_stack(
    *,
    fixed: Tensor,
    moving: Tensor,
    grid: ImageGrid,
    model: Model,
    mask: Tensor | None = None,
    moving_mask: Tensor | None = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> tuple[Tensor, Tensor]:
    """Registers pair by pair, several at a time.

    Args:
        fixed: ``(N, 1, *grid.shape)``, any finite intensities.
        moving: Sampled on the grid of ``fixed``.
        grid: Of every image.
        model: What to use.
        mask: Like ``fixed``; see ``register``.
        moving_mask: Like ``mask``.
        device: See ``register``.
        progress: Told before each batch.

    Returns:
        Displacement from fixed to moving and back, ``(N, d, *grid.shape)`` voxels, on the CPU. A pair that shows
        nothing to align (see ``usable_pairs``), such as a slice above the patient, stays where it is.

    Raises:
        Cancelled: The callback did.
        ValueError: The images do not fit each other, the grid or the model; or all are constant.
    """
    images = {"fixed images": fixed, "moving images": moving, "masks": mask, "masks of the moving images": moving_mask}
    for name, image in images.items():
        if image is None:
            continue
        if image.ndim != 2 + len(grid.shape) or tuple(image.shape[1:]) != (1, *grid.shape) or len(image) != len(fixed):
            raise ValueError(
                f"The {name} must have the shape {(len(fixed), 1, *grid.shape)}, not {tuple(image.shape)}."
            )
    target = resolve_device(device)
    together = _TOGETHER if target.type == "cpu" else _TOGETHER_GPU
    usable = usable_pairs(fixed=fixed, moving=moving, model=model, mask=mask, moving_mask=moving_mask)
    if not usable:
        raise ValueError(
            "Every slice of one of the two volumes is constant, as the model sees it, or outside the mask; nothing in"
            " them can be aligned."
        )
    outcome = fixed.new_zeros(2, len(fixed), len(grid.shape), *grid.shape, dtype=torch.float32)
    for start in range(0, len(usable), together):
        if progress:
            progress("network", start / len(usable))
        part = usable[start : start + together]
        with torch.no_grad():
            pair = prepare(
                fixed=fixed[part].float(),
                moving=moving[part].float(),
                mask=None if mask is None else mask[part],
                moving_mask=None if moving_mask is None else moving_mask[part],
                grid=grid,
                configuration=model.configuration.preprocessing,
                multiple=model.network.multiple,
            ).to(target)
            outcome[:, part] = torch.stack(
                [pair.to_image_grid(way, grid.shape).cpu() for way in align(pair, model, grid)]
            )
    return outcome[0], outcome[1]


def usable_pairs(
    *, fixed: Tensor, moving: Tensor, model: Model, mask: Tensor | None = None, moving_mask: Tensor | None = None
) -> list[int]:
    """Indices of the pairs in which both images show something, inside their masks, in the window of the model.

    See ``register_stack`` for the arguments.
    """
    inside = (mask, mask if moving_mask is None else moving_mask)
    images = [(fixed, inside[0]), (moving, inside[1])]
    return [
        n for n in range(len(fixed)) if all(_shows_something(i[n], m if m is None else m[n], model) for i, m in images)
    ]


def _shows_something(image: Tensor, mask: Tensor | None, model: Model) -> bool:
    configuration = model.configuration.preprocessing
    values = image if mask is None else image[mask > 0]
    if values.numel() == 0:
        return False
    low, high = float(values.amin()), float(values.amax())
    if configuration.intensity == "window":
        return max(low, configuration.lower) < min(high, configuration.upper)
    return low < high
