"""A figure of example pairs, to follow a run."""

from __future__ import annotations

from matplotlib.figure import Figure
from torch import Tensor

from training.data.batches import Batch
from UnsupervisedRegistrationLib.core.spatial.deformation import warp

_EXAMPLES = 4


def draw_examples(batch: Batch, displacement: Tensor) -> Figure:
    """Draw fixed, moving and warped image and the length of the displacement, one pair per row."""
    warped = warp(batch.moving, displacement)
    rows = min(len(batch.fixed), _EXAMPLES)
    figure = Figure(figsize=(8, 2 * rows), layout="constrained")
    for index, axes in enumerate(figure.subplots(rows, 4, squeeze=False)):
        length = displacement[index].float().norm(dim=0)
        images = (batch.fixed[index, 0], batch.moving[index, 0], warped[index, 0])
        for place, title, image in zip(axes, ("fixed", "moving", "warped"), images, strict=False):
            place.imshow(image.float().cpu(), cmap="gray", vmin=0, vmax=1)
            place.set_title(title)
        axes[3].imshow(length.cpu(), cmap="viridis")
        axes[3].set_title(f"displacement, up to {float(length.max()):.0f} px")
        for place in axes:
            place.set_axis_off()
    return figure
