"""Examples of a batch, to see a run learn."""

from __future__ import annotations

from matplotlib.figure import Figure
from torch import Tensor

from training.data.batches import Batch
from UnsupervisedRegistrationLib.core.spatial.deformation import warp

_EXAMPLES = 4


def draw_examples(batch: Batch, displacement: Tensor) -> Figure:
    """Fixed, moving, warped and the size of the displacement, one pair a row."""
    warped = warp(batch.moving, displacement)
    rows = min(len(batch.fixed), _EXAMPLES)
    figure = Figure(figsize=(8, 2 * rows), layout="constrained")
    for index, axes in enumerate(figure.subplots(rows, 4, squeeze=False)):
        length = displacement[index].float().norm(dim=0)
        pictures = (batch.fixed[index, 0], batch.moving[index, 0], warped[index, 0])
        for place, title, picture in zip(axes, ("fixed", "moving", "warped"), pictures, strict=False):
            place.imshow(picture.float().cpu(), cmap="gray", vmin=0, vmax=1)
            place.set_title(title)
        axes[3].imshow(length.cpu(), cmap="viridis")
        axes[3].set_title(f"moved by up to {float(length.max()):.0f} px")
        for place in axes:
            place.set_axis_off()
    return figure
