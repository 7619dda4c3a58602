"""Synthetic pairs: labelmaps, random intensity mapping, independent texture."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from training.synthesis.anatomy import ANATOMIES
from training.synthesis.synthesis import _LABEL_COUNT, Pair, SynthesisConfiguration, _map_intensities, synthesise
from UnsupervisedRegistrationLib.core.spatial.deformation import warp


def synthetic(mapped: float, independent: float = 0.0) -> Pair:
    torch.manual_seed(5)
    wanted = SynthesisConfiguration(
        (64, 64), same_contrast=1.0, random_intensity_mapping=mapped, independent_texture=independent
    )
    return synthesise(12, wanted)


def correlations(pair: Pair) -> torch.Tensor:
    """Of the fixed with the truly warped moving image, for each pair."""
    warped = warp(pair.moving, pair.displacement)
    both = zip(pair.fixed.flatten(1), warped.flatten(1), strict=True)
    return torch.stack([torch.corrcoef(torch.stack(images))[0, 1] for images in both])


def test_pairs_with_a_random_intensity_mapping_no_longer_correlate() -> None:
    plain, mapped = correlations(synthetic(0.0)), correlations(synthetic(1.0))
    assert float(plain.median()) > 0.8
    assert float(mapped.median()) < 0.6


def test_a_random_intensity_mapping_leaves_the_truth_unchanged() -> None:
    assert torch.equal(synthetic(1.0).displacement, synthetic(0.0).displacement)


def test_an_independent_texture_lowers_the_correlation_but_not_that_of_the_tissue() -> None:
    plain, independent = correlations(synthetic(0.0)), correlations(synthetic(0.0, independent=1.0))
    assert float((plain - independent).median()) > 0.02
    assert float(independent.median()) > 0.5


@pytest.mark.parametrize("draw", ANATOMIES, ids=[draw.__name__ for draw in ANATOMIES])
def test_every_anatomy_has_several_tissues_and_no_label_beyond_the_contrasts(draw: Callable[..., torch.Tensor]) -> None:
    torch.manual_seed(4)
    labels = draw(1, (96, 96))
    assert labels.shape == (1, 1, 96, 96)
    assert len(labels.unique()) > 3
    assert 0 <= int(labels.min()) <= int(labels.max()) < _LABEL_COUNT


def test_an_intensity_curve_maps_equal_intensities_equally_and_keeps_the_background() -> None:
    torch.manual_seed(2)
    image = torch.linspace(0, 1, 101).repeat(2, 1).view(2, 1, 1, 101)
    labels = (image > 0.1).float()
    curve = _map_intensities(image, labels)
    assert torch.equal(curve[labels == 0], image[labels == 0])
    assert not torch.allclose(curve[labels > 0], image[labels > 0], atol=0.1)
    assert torch.equal(_mapped_again(image.flip(-1), labels.flip(-1)), curve.flip(-1))
    assert float(curve.min()) >= 0
    assert float(curve.max()) <= 1


def _mapped_again(image: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    torch.manual_seed(2)
    return _map_intensities(image, labels)
