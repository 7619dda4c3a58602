"""Facts about which models may register a pair, by the intensities of its images alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from UnsupervisedRegistrationLib.core.models.card import Card, Domain
from UnsupervisedRegistrationLib.core.models.model_file import Model, ModelConfiguration
from UnsupervisedRegistrationLib.core.models.selection import DEFAULT, admissible_models
from UnsupervisedRegistrationLib.core.networks.network import Network, NetworkConfiguration

Image = NDArray[np.floating[Any]]


def model(name: str, research_only: bool = True, **domain: Any) -> Model:
    card = Card(domain=Domain(**domain), research_only=research_only)
    return Model(name, Network(NetworkConfiguration()), ModelConfiguration(), card)


MODELS = [
    model("abdomen-ct", modality="CT", intensity_range=(0.0, 255.0)),
    model("brain-mr", modality="MR", skull_stripped=True),
    model("cardiac-mr", modality="MR"),
    model(DEFAULT, research_only=False),
]


def pixels(low: float, high: float, background: float = 0.0, brightest: float = 0.0) -> Image:
    """Intensities spread evenly between two bounds, and shares of pixels that have exactly these."""
    random = np.random.default_rng(0)
    values, chance = random.uniform(low, high, (64, 64)), random.random((64, 64))
    values[chance < background] = low
    values[chance > 1 - brightest] = high
    values.flat[:2] = low, high
    return values


HU = pixels(-1000, 1200, background=0.4)
CLIPPED_CT = pixels(0, 255, background=0.5, brightest=0.02)
MR = pixels(0, 1800)
STRIPPED_MR = pixels(0, 1800, background=0.6)
UNIT = pixels(0, 1)


def names(*images: Image, free_models_only: bool = False) -> list[str]:
    return [found.name for found in admissible_models(MODELS, images, free_models_only)]


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (HU, [DEFAULT, "abdomen-ct"]),
        (CLIPPED_CT, [DEFAULT, "abdomen-ct"]),
        (MR, [DEFAULT, "cardiac-mr"]),
        (STRIPPED_MR, [DEFAULT, "brain-mr", "cardiac-mr"]),
        (UNIT, [DEFAULT, "cardiac-mr"]),
    ],
    ids=["HU", "CT clipped to 0..255", "MR above 255", "skull-stripped MR", "0..1"],
)
def test_the_domain_excludes_what_cannot_fit_and_the_default_comes_first(image: Image, expected: list[str]) -> None:
    assert names(image, image) == expected


def test_mr_above_the_window_excludes_ct_although_its_extremes_are_clipped() -> None:
    assert "abdomen-ct" not in names(pixels(0, 1800, background=0.5, brightest=0.02))


@pytest.mark.parametrize("images", [(HU, MR), (MR, HU)])
def test_both_images_have_to_fit(images: tuple[Image, Image]) -> None:
    assert names(*images) == [DEFAULT]


def test_on_request_models_for_research_only_are_left_out() -> None:
    assert names(STRIPPED_MR, free_models_only=True) == [DEFAULT]


def test_if_none_is_left_a_sentence_says_so() -> None:
    with pytest.raises(ValueError, match="None of the 1 models may register these images; choose a model by its name"):
        admissible_models([MODELS[0]], [MR])
    with pytest.raises(ValueError, match=r"None of the 3 models .* with free models only; choose"):
        admissible_models(MODELS[:3], [MR], free_models_only=True)
