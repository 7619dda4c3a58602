"""A special model is chosen where the images are told to be of its kind, and nowhere else."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from UnsupervisedRegistrationLib.core.images.preprocessing import PreprocessingConfiguration
from UnsupervisedRegistrationLib.core.models.card import Card
from UnsupervisedRegistrationLib.core.models.choice import choose_model, traits_of
from UnsupervisedRegistrationLib.core.models.model_file import ModelConfiguration
from UnsupervisedRegistrationLib.core.models.selection import DEFAULT

RANDOM = np.random.default_rng(0)
PLAIN = ModelConfiguration()
WINDOW = ModelConfiguration(preprocessing=PreprocessingConfiguration(intensity="window", lower=-160, upper=240))


def model(description, data="", licence="", configuration=PLAIN):
    """What the choice asks of a model."""
    return SimpleNamespace(card=Card(description, data, licence), configuration=configuration)


MODELS = {
    DEFAULT: model("For any contrast: CT, MR, or one with the other."),
    "abdomen-ct": model("Abdominal CT slices.", "72 people of LiTS; no labels", "Research use only: CC BY-SA.", WINDOW),
    "brain-mr": model("Brain slices in T1-weighted MR without the skull."),
    "cardiac-mr": model("Two phases of the same heart in cine MR."),
    "mine": model("Knee slices in MR."),
}


def pixels(low, high, share_of_lowest=0.0, shape=(64, 64)):
    """Even intensities between two bounds that occur, and a share of the lowest one."""
    values = RANDOM.uniform(low, high, shape)
    values[RANDOM.random(shape) < share_of_lowest] = low
    values.flat[:2] = low, high
    return np.rint(values)


def hounsfield():
    """A body in air."""
    values = np.full((64, 64), -1000.0)
    values[16:48, 16:48] = RANDOM.normal(40, 30, (32, 32))
    values[30:32, 30:32] = 1200
    return np.rint(values)


def chosen(fixed, moving=None, models=None):
    return choose_model(fixed, fixed if moving is None else moving, models or MODELS)


@pytest.mark.parametrize(
    ("values", "modality"),
    [
        (hounsfield(), "CT"),
        (pixels(0, 1800), "MR"),
        (pixels(0, 255, share_of_lowest=0.5), "CT"),
        (pixels(0, 255), ""),
        (pixels(0, 1), ""),
        (pixels(-4096, 4095), ""),
        (pixels(-2, 3), ""),
    ],
    ids=["HU", "MR", "8-bit, cut off", "8-bit", "0 to 1", "phase", "standard scores"],
)
def test_intensities_tell_the_modality_or_leave_it_open(values, modality):
    assert traits_of(values).modality == modality


def test_a_ct_window_tells_what_negative_values_alone_do_not():
    assert traits_of(pixels(-120, 190)).modality == ""
    assert traits_of(pixels(-120, 190), window=(350.0, 40.0)).modality == "CT"


def test_what_a_header_declares_counts_more_than_the_values():
    traits = traits_of(pixels(0, 4095), "CT chest", declared="CT")
    assert (traits.modality, traits.told_by) == ("CT", "header")


@pytest.mark.parametrize(
    ("name", "regions"),
    [
        ("CTLiver", {"abdomen"}),
        ("MRBrainTumor1", {"brain"}),
        ("sub-01_cardiac_T1w", {"heart"}),
        ("2: Abdomen Pelvis 5.0", {"abdomen", "pelvis"}),
        ("hippocampus", set()),
        ("delivery", set()),
        ("heading", set()),
    ],
)
def test_whole_words_name_the_part_of_the_body(name, regions):
    assert traits_of(pixels(0, 9), name).regions == regions


def test_ct_of_the_abdomen_takes_the_model_of_it_and_says_what_it_learned_from():
    name, reason = chosen(traits_of(hounsfield(), "Abdomen"), traits_of(hounsfield(), "second visit"))
    assert name == "abdomen-ct"
    assert reason == (
        "'abdomen-ct': CT of the abdomen (values from -1000 to 1200). It learned from 72 people of LiTS."
        " Research use only."
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("visit 2", "no name tells the part of the body"),
        ("chest", "no model learned from such images"),
        ("chest abdomen", "of abdomen and chest"),
        ("abdomen MR", "name and values contradict each other"),
        ("drawn abdomen", "the images are drawn"),
    ],
)
def test_where_something_is_open_the_general_model_is_taken_and_the_reason_says_so(text, sentence):
    name, reason = chosen(traits_of(hounsfield(), text))
    assert name == DEFAULT
    assert sentence in reason


def test_one_contrast_with_another_is_for_the_general_model():
    name, reason = chosen(traits_of(hounsfield(), "abdomen"), traits_of(pixels(0, 900), "abdomen"))
    assert name == DEFAULT
    assert "CT (values from -1000 to 1200) and MR (values from 0 to 900" in reason


def test_a_modality_that_nothing_tells_is_for_the_general_model():
    name, reason = chosen(traits_of(pixels(0, 1), "abdomen"))
    assert name == DEFAULT
    assert "values from 0 to 1, so it is open whether this is CT or MR" in reason


def test_a_model_of_brains_without_the_skull_wants_the_surroundings_cut_away():
    assert chosen(traits_of(pixels(0, 900, share_of_lowest=0.7), "brain"))[0] == "brain-mr"
    name, reason = chosen(traits_of(pixels(0, 900), "brain"))
    assert name == DEFAULT
    assert "'brain-mr' does not fit: it learned from brains without the skull" in reason


def test_another_contrast_of_mr_than_the_model_learned_is_for_the_general_model():
    name, reason = chosen(traits_of(pixels(0, 900, share_of_lowest=0.7), "brain FLAIR"))
    assert name == DEFAULT
    assert "it learned from T1, not FLAIR" in reason


def test_a_model_of_windowed_pictures_wants_such_pictures_unless_it_cuts_the_window_itself():
    pictures, scans = traits_of(pixels(0, 255, 0.5), "CT abdomen"), traits_of(hounsfield(), "abdomen")
    for configuration, fits in ((PLAIN, False), (WINDOW, True)):
        models = MODELS | {"abdomen-ct": model("Abdominal CT slices, HU 0 to 255.", configuration=configuration)}
        assert chosen(pictures, models=models)[0] == "abdomen-ct"
        name, reason = chosen(scans, models=models)
        assert (name == "abdomen-ct") == fits
        assert ("it learned from HU 0 to 255, and these images hold -1000 to 1200" in reason) != fits


def test_a_model_that_somebody_added_is_known_by_its_card():
    assert chosen(traits_of(pixels(0, 900), "knee"))[0] == "mine"
