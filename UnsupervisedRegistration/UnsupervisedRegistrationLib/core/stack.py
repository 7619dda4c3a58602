"""Many pairs at once: the slices of a volume, or the frames of a sequence."""

from __future__ import annotations

import torch
from torch import Tensor

from .estimate import align
from .grid import ImageGrid
from .model import Model
from .preprocessing import prepare
from .register import Progress, resolve_device

_TOGETHER = 8  # Pairs the network sees at once on a CPU; more do not raise the rate, only the memory.
_TOGETHER_GPU = 64


def register_stack(
    *,
    fixed: Tensor,
    moving: Tensor,
    grid: ImageGrid,
    model: Model,
    device: str = "auto",
    progress: Progress | None = None,
) -> tuple[Tensor, Tensor]:
    """Registers pair by pair, several at a time.

    Args:
        fixed: ``(N, 1, *grid.shape)``, any finite intensities.
        moving: Sampled on the grid of ``fixed``.
        grid: Of every image.
        model: What to use.
        device: See ``register``.
        progress: Told before each batch.

    Returns:
        Displacement from fixed to moving and back, ``(N, d, *grid.shape)`` voxels, on the CPU. A pair of which one
        image is constant, such as a slice above the patient, stays where it is.

    Raises:
        Cancelled: The callback did.
        ValueError: The images do not fit each other, the grid or the model; or all are constant.
    """
    for name, image in (("fixed", fixed), ("moving", moving)):
        if image.ndim != 2 + len(grid.shape) or tuple(image.shape[1:]) != (1, *grid.shape) or len(image) != len(fixed):
            raise ValueError(
                f"The {name} images must have the shape {(len(fixed), 1, *grid.shape)}, not {tuple(image.shape)}."
            )
    target = resolve_device(device)
    together = _TOGETHER if target.type == "cpu" else _TOGETHER_GPU
    usable = [n for n in range(len(fixed)) if all(float(i[n].amax()) > float(i[n].amin()) for i in (fixed, moving))]
    if not usable:
        raise ValueError("Every slice of one of the two volumes is constant; nothing in them can be aligned.")
    outcome = fixed.new_zeros(2, len(fixed), len(grid.shape), *grid.shape, dtype=torch.float32)
    for start in range(0, len(usable), together):
        if progress:
            progress("network", start / len(usable))
        part = usable[start : start + together]
        with torch.no_grad():
            pair = prepare(
                fixed=fixed[part].float(),
                moving=moving[part].float(),
                grid=grid,
                configuration=model.configuration.preprocessing,
                multiple=model.network.multiple,
            ).to(target)
            outcome[:, part] = torch.stack([pair.restore(way, grid.shape).cpu() for way in align(pair, model, grid)])
    return outcome[0], outcome[1]
