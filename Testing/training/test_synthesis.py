"""Drawn pairs: labelmaps, and what a curve of the intensities or a strange texture changes and what not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from training.synthesis.anatomy import ANATOMIES
from training.synthesis.synthesis import _LABELS, Pair, SynthesisConfiguration, _remapped, synthesise
from UnsupervisedRegistrationLib.core.spatial.deformation import warp


def drawn(remapped: float, strange: float = 0.0) -> Pair:
    torch.manual_seed(5)
    return synthesise(12, SynthesisConfiguration((64, 64), same_contrast=1.0, remapped=remapped, strange=strange))


def correlations(pair: Pair) -> torch.Tensor:
    """Of the fixed with the truly warped moving image, for each pair."""
    warped = warp(pair.moving, pair.displacement)
    both = zip(pair.fixed.flatten(1), warped.flatten(1), strict=True)
    return torch.stack([torch.corrcoef(torch.stack(images))[0, 1] for images in both])


def test_remapped_pairs_no_longer_correlate() -> None:
    plain, remapped = correlations(drawn(0.0)), correlations(drawn(1.0))
    assert float(plain.median()) > 0.8
    assert float(remapped.median()) < 0.6


def test_the_truth_of_a_remapped_pair_is_that_of_the_plain_one() -> None:
    assert torch.equal(drawn(1.0).displacement, drawn(0.0).displacement)


def test_a_strange_texture_correlates_less_but_as_the_tissue_does() -> None:
    plain, strange = correlations(drawn(0.0)), correlations(drawn(0.0, strange=1.0))
    assert float((plain - strange).median()) > 0.02
    assert float(strange.median()) > 0.5


@pytest.mark.parametrize("draw", ANATOMIES, ids=[draw.__name__ for draw in ANATOMIES])
def test_every_anatomy_has_several_tissues_and_no_label_beyond_the_contrasts(draw: Callable[..., torch.Tensor]) -> None:
    torch.manual_seed(4)
    labels = draw(1, (96, 96))
    assert labels.shape == (1, 1, 96, 96)
    assert len(labels.unique()) > 3
    assert 0 <= int(labels.min()) <= int(labels.max()) < _LABELS


def test_a_curve_maps_equal_intensities_equally_and_spares_the_background() -> None:
    torch.manual_seed(2)
    image = torch.linspace(0, 1, 101).repeat(2, 1).view(2, 1, 1, 101)
    labels = (image > 0.1).float()
    curve = _remapped(image, labels)
    assert torch.equal(curve[labels == 0], image[labels == 0])
    assert not torch.allclose(curve[labels > 0], image[labels > 0], atol=0.1)
    assert torch.equal(_remapped_again(image.flip(-1), labels.flip(-1)), curve.flip(-1))
    assert float(curve.min()) >= 0
    assert float(curve.max()) <= 1


def _remapped_again(image: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    torch.manual_seed(2)
    return _remapped(image, labels)
