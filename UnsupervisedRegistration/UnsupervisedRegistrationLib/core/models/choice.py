"""Which model fits a pair of images, by their intensities and by what their names and headers say; without torch.

A model that learned from one kind of image alone is chosen only if both images are told to be of that kind. Whatever
remains open is a reason for the model of all contrasts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from .selection import DEFAULT

if TYPE_CHECKING:
    from .card import Card
    from .model_file import Model

# A word of a name or a description, and what it stands for; words that stand for nothing are not listed.
_MODALITIES = {
    "CT": "ct cta cect ncct hounsfield",
    "MR": "mr mri mra t1 t2 flair dwi adc cine mprage",
}
_REGIONS = {
    "brain": "brain brains cerebral cerebrum",
    "head": "head heads face",
    "heart": "heart hearts cardiac cardio cine ventricle ventricles myocardium",
    "abdomen": "abdomen abdominal abd liver hepatic kidney kidneys renal pancreas spleen",
    "chest": "chest thorax thoracic lung lungs pulmonary",
    "pelvis": "pelvis pelvic prostate uterus bladder",
    "spine": "spine spinal vertebra vertebrae lumbar cervical",
    "limb": "knee hip shoulder ankle wrist hand foot leg arm",
    "breast": "breast breasts mammary",
}
_CONTRASTS = {"T1": "t1 t1w mprage", "T2": "t2 t2w", "FLAIR": "flair", "DWI": "dwi adc"}
_DRAWN = {"": "drawn phantom synthetic"}
_WINDOW = re.compile(r"HU (-?\d+) to (-?\d+)")
_STRIPPED = re.compile(r"skull-stripped|without the skull")

_HU_LOW, _HU_HIGH = (-3100, -200), (200, 33000)  # Air or the padding of a scanner, and bone or metal.
_TISSUE_HU, _TISSUE_SHARE = (-200, 300), 0.1  # Fat to contrast agent, in so much of any picture of a patient at least.
_WINDOWS_HU = ((350, 40), (400, 40), (400, 50), (100, 50), (80, 40), (1400, -500), (1500, -600), (1000, 400))
_CUT_SHARE = 0.2  # Of an 8-bit picture of a CT, air and fat that its window turned black.
_CUT_AWAY = 0.4  # Share of the lowest value where the surroundings were cut away; noise never has one value so often.

ToldBy = Literal["header", "name", "values"]


@dataclass(frozen=True)
class Traits:
    """What an image tells of itself.

    Attributes:
        low: Lowest intensity.
        high: Highest intensity.
        modality: ``"CT"``, ``"MR"``, or nothing if it is not told.
        told_by: What told it; without a modality, ``"name"`` if the name says something else than the values.
        regions: Parts of the body that its words name.
        contrasts: Of MR, that its words name.
        stripped: Its surroundings were cut away, as of a brain without the skull.
        drawn: No image of a person.
    """

    low: float
    high: float
    modality: str
    told_by: ToldBy
    regions: frozenset[str]
    contrasts: frozenset[str]
    stripped: bool
    drawn: bool


def traits_of(
    pixels: np.ndarray, text: str = "", declared: str = "", window: tuple[float, float] | None = None
) -> Traits:
    """What an image tells of itself.

    Args:
        pixels: Intensities, of any shape.
        text: Its name and whatever describes it.
        declared: Modality that its header gives, or nothing.
        window: Width and level in which a person or a header shows it, or ``None``.
    """
    words = _words(text)
    low, high = float(np.nanmin(pixels)), float(np.nanmax(pixels))
    sample = pixels.ravel()[:: max(pixels.size // 2**20, 1)]
    lowest = float((sample == low).mean())
    modality, told_by = _modality(words, declared, _by_values(sample, (low, high), lowest, window))
    return Traits(
        low,
        high,
        modality,
        told_by,
        _named(words, _REGIONS),
        _named(words, _CONTRASTS),
        lowest > _CUT_AWAY,
        bool(_named(words, _DRAWN)),
    )


def choose_model(fixed: Traits, moving: Traits, models: Mapping[str, Model]) -> tuple[str, str]:
    """Name of the model for a pair, and the reason in words.

    Args:
        fixed: Of the fixed image.
        moving: Of the moving image.
        models: All that there are, by name.
    """
    doubt = _doubt(fixed, moving)
    if doubt:
        return DEFAULT, _general(doubt)
    modality, (region,) = fixed.modality, fixed.regions | moving.regions
    seen = f"{modality} of the {region} ({_why(fixed, moving)})"
    objections = {
        name: _objection((fixed, moving), model)
        for name, model in models.items()
        if name != DEFAULT and _told(name, model.card) == (frozenset({modality}), frozenset({region}))
    }
    if not objections:
        return DEFAULT, _general(f"{seen}, and no model learned from such images")
    name = next((name for name, objection in objections.items() if not objection), "")
    if not name:
        near, objection = next(iter(objections.items()))
        return DEFAULT, _general(f"{seen}, but '{near}' does not fit: {objection}")
    return name, f"'{name}': {seen}.{_provenance(models[name].card)}"


def _doubt(fixed: Traits, moving: Traits) -> str:
    """Why no special model can be looked for."""
    if fixed.drawn or moving.drawn:
        return "the images are drawn, like those that it learned from"
    for traits in (fixed, moving):
        if not traits.modality:
            says = "name and values contradict each other" if traits.told_by == "name" else _why(traits)
            return f"{says}, so it is open whether this is CT or MR"
    if fixed.modality != moving.modality:
        return f"{fixed.modality} ({_why(fixed)}) and {moving.modality} ({_why(moving)})"
    regions = fixed.regions | moving.regions
    if not regions:
        return f"{fixed.modality} ({_why(fixed, moving)}), but no name tells the part of the body"
    if len(regions) > 1:
        return f"{fixed.modality} ({_why(fixed, moving)}) of {' and '.join(sorted(regions))}"
    return ""


def _objection(pair: tuple[Traits, Traits], model: Model) -> str:
    """Why a model does not fit images of its own modality and region."""
    description = model.card.description
    learned, window = _named(_words(description), _CONTRASTS), _WINDOW.search(description)
    cuts = model.configuration.preprocessing.intensity == "window"  # By itself, whatever the images hold.
    for traits in pair:
        if window and not cuts and (traits.low < int(window[1]) or traits.high > int(window[2])):
            return f"it learned from {window[0]}, and these images hold {traits.low:g} to {traits.high:g}"
        if traits.contrasts and learned and not traits.contrasts & learned:
            return f"it learned from {', '.join(sorted(learned))}, not {', '.join(sorted(traits.contrasts))}"
    if _STRIPPED.search(description) and not all(traits.stripped for traits in pair):
        return "it learned from brains without the skull, and the surroundings of these were not cut away"
    return ""


def _provenance(card: Card) -> str:
    """Data and terms of a model, each up to its first colon or semicolon, as sentences behind another."""
    data, terms = (re.split("[;:]", text)[0].strip(" .") for text in (card.data, card.licence))
    return (f" It learned from {data}." if data else "") + (f" {terms}." if terms else "")


def _general(reason: str) -> str:
    return f"'{DEFAULT}' works for any contrast: {reason}."


def _why(*traits: Traits) -> str:
    """What told the modality of images that have one in common."""
    if all(image.told_by != "values" for image in traits):
        return f"by the {traits[0].told_by}"
    low, high = min(image.low for image in traits), max(image.high for image in traits)
    remark = {"MR": ", none as low as air in CT", "CT": ", cut off as by a window" if low == 0 else ""}
    return f"values from {low:g} to {high:g}{remark.get(traits[0].modality, '')}"


def _modality(words: frozenset[str], declared: str, guess: str) -> tuple[str, ToldBy]:
    """CT or MR, and what told it; nothing where header, words and intensities leave it open."""
    named = _named(words, _MODALITIES)
    if declared in _MODALITIES:
        return declared, "header"
    if guess:
        return (guess, "values") if named <= {guess} else ("", "name")
    return (next(iter(named)), "name") if len(named) == 1 else ("", "values")


def _by_values(
    sample: np.ndarray, bounds: tuple[float, float], lowest: float, window: tuple[float, float] | None
) -> str:
    """The modality that intensities look like, or nothing; ``lowest`` is the share of the lowest one."""
    low, high = bounds
    if low < 0:
        tissue = float(((sample > _TISSUE_HU[0]) & (sample < _TISSUE_HU[1])).mean())
        in_bounds = _HU_LOW[0] <= low <= _HU_LOW[1] and _HU_HIGH[0] <= high <= _HU_HIGH[1]
        return "CT" if (in_bounds and tissue > _TISSUE_SHARE) or window in _WINDOWS_HU else ""
    if (low, high) == (0, 255):
        return "CT" if lowest > _CUT_SHARE and bool((sample == high).any()) else ""
    return "MR" if high > 255 else ""


def _told(name: str, card: Card) -> tuple[frozenset[str], frozenset[str]]:
    """Modality and region that a model learned from, by its name or else its description."""
    ways = (_words(name), _words(card.description))
    modality, region = (
        next((told for told in (_named(words, meanings) for words in ways) if told), frozenset[str]())
        for meanings in (_MODALITIES, _REGIONS)
    )
    return modality, region


def _words(text: str) -> frozenset[str]:
    """Lower-case words, those in one such as ``CTChest`` or ``sub-01_T1w`` apart."""
    return frozenset(word.lower() for word in re.findall(r"[Tt][12](?![0-9])|[A-Z]+(?![a-z])|[A-Z]?[a-z]+", text))


def _named(words: Iterable[str], meanings: Mapping[str, str]) -> frozenset[str]:
    """What any of the words stands for."""
    return frozenset(meaning for meaning, synonyms in meanings.items() if not set(words).isdisjoint(synonyms.split()))
