"""Augmentations: small objects, each of which varies the pairs of a batch in one way.

Random values are generated for the whole batch, of which a process takes its share. A pair is therefore varied in the
same way however many processes share the batch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from training.configuration import RunConfiguration
from training.synthesis.anatomy import smooth_noise
from training.synthesis.synthesis import SynthesisConfiguration, random_deformation
from UnsupervisedRegistrationLib.core.spatial.deformation import warp

_GAMMA_SPREAD = 0.3  # Standard deviation of the logarithm of gamma.
_UNDEFORMED = 0.5  # Share of the pairs with a shared deformation that get none: interpolation blurs the images.
_NOISE_SCALE = 6  # Pixels, of the coarse part of the background noise.


@dataclass(frozen=True)
class Share:
    """The pairs of a batch that this process handles.

    Attributes:
        total: Number of pairs of the whole batch.
        own: ``(B,)``, numbers of the pairs of this process.
    """

    total: int
    own: Tensor

    def of_images(self, values: Tensor) -> Tensor:
        """Take the values of this process's images from those of all images: ``(2 * total, ...)``."""
        return values.unflatten(0, (self.total, 2))[self.own].flatten(0, 1)

    def of_pairs(self, values: Tensor) -> Tensor:
        """Repeat one value per pair ``(total,)`` for both of its images: ``(2 * B, 1, 1, 1)``."""
        return values[self.own].repeat_interleave(2)[:, None, None, None]


@dataclass(frozen=True)
class ImagePairs:
    """Images of pairs while they are augmented; fixed and moving images alternate.

    Attributes:
        images: ``(2 * B, 1, H, W)``, 0..1.
        masks: ``(2 * B, 1, H, W)``, 0..1.
        displacement: ``(2 * B, 2, H, W)``, voxels, by which images and masks are still to be warped.
    """

    images: Tensor
    masks: Tensor
    displacement: Tensor

    def replace(self, **values: Tensor) -> ImagePairs:
        """Return a copy with other values."""
        return dataclasses.replace(self, **values)


class Augmentation(Protocol):
    """Varies pairs."""

    def __call__(self, pairs: ImagePairs, share: Share) -> ImagePairs:
        """Return varied pairs, with random values for the whole batch."""


@dataclass(frozen=True)
class Mirror:
    """Mirrors both images of half of the pairs from left to right."""

    def __call__(self, pairs: ImagePairs, share: Share) -> ImagePairs:
        """Flip the last axis of images and masks."""
        mirrored = share.of_pairs(torch.rand(share.total)) < 0.5
        images, masks = (torch.where(mirrored, values.flip(3), values) for values in (pairs.images, pairs.masks))
        return pairs.replace(images=images, masks=masks)


@dataclass(frozen=True)
class Deform:
    """Adds a small random deformation, of its own for each image or shared by both images of a pair.

    Attributes:
        synthesis: Strength of the deformation.
        shared: Share of the pairs whose images get the same deformation; half of these get none.
    """

    synthesis: SynthesisConfiguration
    shared: float

    def __call__(self, pairs: ImagePairs, share: Share) -> ImagePairs:
        """Add to the displacement."""
        deformation = share.of_images(random_deformation(2 * share.total, self.synthesis))
        shared, undeformed = (share.of_pairs(torch.rand(share.total) < part) for part in (self.shared, _UNDEFORMED))
        common = deformation[0::2].repeat_interleave(2, dim=0) * ~undeformed
        return pairs.replace(displacement=pairs.displacement + torch.where(shared, common, deformation))


@dataclass(frozen=True)
class Translate:
    """Shifts the moving image of half of the pairs.

    Attributes:
        largest: Shift along each axis, pixels.
    """

    largest: float

    def __call__(self, pairs: ImagePairs, share: Share) -> ImagePairs:
        """Add to the displacement of the moving images."""
        shifts = self.largest * (2 * torch.rand(share.total, 2) - 1) * (torch.rand(share.total, 1) < 0.5)
        both = torch.stack([torch.zeros_like(shifts), shifts], dim=1).flatten(0, 1)
        return pairs.replace(displacement=pairs.displacement + share.of_images(both)[:, :, None, None])


@dataclass(frozen=True)
class Warp:
    """Warps images and masks once, by the displacement that the augmentations before have put together."""

    def __call__(self, pairs: ImagePairs, share: Share) -> ImagePairs:
        """Warp, and make the masks binary."""
        warped = warp(torch.cat([pairs.images, pairs.masks], dim=1), pairs.displacement)
        masks = (warped[:, 1:] > 0.5).to(warped)
        return ImagePairs(warped[:, :1].clamp(0, 1), masks, torch.zeros_like(pairs.displacement))


@dataclass(frozen=True)
class Gamma:
    """Raises the intensities of both images of a pair to the same random power."""

    def __call__(self, pairs: ImagePairs, share: Share) -> ImagePairs:
        """Change the images."""
        gamma = share.of_pairs(torch.exp(_GAMMA_SPREAD * torch.randn(share.total)))
        return pairs.replace(images=pairs.images.pow(gamma))


@dataclass(frozen=True)
class BackgroundNoise:
    """Replaces everything outside the masks by noise.

    Attributes:
        amplitude: As share of the intensity range.
    """

    amplitude: float

    def __call__(self, pairs: ImagePairs, share: Share) -> ImagePairs:
        """Change the images outside the masks."""
        shape = (pairs.images.shape[2], pairs.images.shape[3])
        noise = share.of_images(background_noise(2 * share.total, shape, self.amplitude))
        return pairs.replace(images=torch.where(pairs.masks > 0, pairs.images, noise))


@dataclass(frozen=True)
class ApplyMask:
    """Sets everything outside the masks to 0."""

    def __call__(self, pairs: ImagePairs, share: Share) -> ImagePairs:
        """Change the images outside the masks."""
        return pairs.replace(images=pairs.images * pairs.masks)


def augmentations(run: RunConfiguration) -> list[Augmentation]:
    """List the augmentations of a run in the order in which they are applied."""
    wanted = run.augmentation
    found: list[Augmentation] = [Mirror(), Deform(run.synthesis, wanted.shared_deformation)]
    if wanted.translation:
        found.append(Translate(wanted.translation))
    found += [Warp(), Gamma()]
    if wanted.background_noise:
        found.append(BackgroundNoise(wanted.background_noise))
    if run.data.masks:
        found.append(ApplyMask())
    return found


def augment(images: Tensor, masks: Tensor, steps: Sequence[Augmentation], share: Share) -> ImagePairs:
    """Apply augmentations one after the other to images and masks ``(2 * B, 1, H, W)``."""
    pairs = ImagePairs(images, masks, images.new_zeros(len(images), 2, *images.shape[2:]))
    for step in steps:
        pairs = step(pairs, share)
    return pairs


def background_noise(count: int, shape: tuple[int, int], amplitude: float) -> Tensor:
    """Draw noise ``(count, 1, H, W)``, 0..1, in part as coarse as anatomy."""
    noise = smooth_noise(count, 1, shape, _NOISE_SCALE).abs() + 0.5 * torch.randn(count, 1, *shape).abs()
    return (amplitude * noise).clamp(0, 1)
