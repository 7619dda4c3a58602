"""What each rule of the plan gains: the rule is left out, and the loss of accuracy is measured."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor

from training.benchmark.bootstrap import Estimate, estimate
from training.benchmark.cases import HISTOLOGY, available, pairs_of
from training.benchmark.contrasts import BENT, INVERTED
from training.benchmark.results import MOVING
from training.data.labelled_pairs import LabelledPair
from training.evaluation.evaluate import measure
from UnsupervisedRegistrationLib.core.models.model_file import Model
from UnsupervisedRegistrationLib.core.models.selection import admissible_models
from UnsupervisedRegistrationLib.core.registration.image_pair import ImagePair
from UnsupervisedRegistrationLib.core.registration.options import RegistrationOptions
from UnsupervisedRegistrationLib.core.registration.pipeline import run
from UnsupervisedRegistrationLib.core.registration.plan import RULES
from UnsupervisedRegistrationLib.core.registration.result import RegistrationResult
from UnsupervisedRegistrationLib.core.spatial.grid import ImageGrid

NEEDED_SETS = 2  # On which a rule has to gain
NEEDED_ERRORS = 2.0  # more than so many standard errors.
FINER = ", twice the pixels"  # Behind the name of pairs that are interpolated, as scanners give up to 512 pixels.
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Loss:
    """What one data set loses without one rule.

    Attributes:
        rule: Its name in ``plan.RULES``.
        dataset: Name of the pairs.
        pairs: How many.
        applied: In how many of them the rule changed the plan; the others lose nothing.
        loss: Of Dice, or of the TRE in mm where there are landmarks only; above 0 if the rule helps.
        decides: Whether the data set counts.
    """

    rule: str
    dataset: str
    pairs: int
    applied: int
    loss: Estimate
    decides: bool

    @property
    def gains(self) -> bool:
        """Whether the rule helps by more than chance."""
        return self.loss.mean > NEEDED_ERRORS * self.loss.error

    @property
    def harms(self) -> bool:
        """Whether the rule does harm by more than chance."""
        return -self.loss.mean > NEEDED_ERRORS * self.loss.error


def datasets(data: Path, most: int = 0) -> dict[str, Callable[[], list[LabelledPair]]]:
    """Name to the pairs, read when they are asked for: organs, changed contrasts, more pixels, phantoms, histology.

    Args:
        data: Folder of the data sets; those that are missing there are left out.
        most: Pairs of each, evenly chosen; 0 for all.
    """
    there = available(data)
    found: dict[str, Callable[[], list[LabelledPair]]] = {}
    for name in there:
        found[name] = lambda name=name: pairs_of(name, data, most)  # type: ignore[misc]
    for name, contrast in (("brain", INVERTED), ("brain", BENT)):
        if name in there:
            found[f"{name}{MOVING}{contrast.name}"] = lambda n=name, c=contrast: [  # type: ignore[misc]
                c(pair) for pair in pairs_of(n, data, most)
            ]
    for name in ("heart", "liver"):
        if name in there:
            found[f"{name}{FINER}"] = lambda n=name: [finer(pair) for pair in pairs_of(n, data, most)]  # type: ignore[misc]
    return found


def finer(pair: LabelledPair) -> LabelledPair:
    """The pair interpolated to twice the pixels along each axis."""
    height, width = pair.grid.shape

    def doubled(image: Tensor | None, mode: str) -> Tensor | None:
        return None if image is None else F.interpolate(image, (2 * height, 2 * width), mode=mode)

    fixed, moving = (doubled(image, "bilinear") for image in (pair.fixed, pair.moving))
    assert fixed is not None
    assert moving is not None
    matrix = pair.grid.ijk_to_ras.clone()
    matrix[:3, :2] /= 2
    return LabelledPair(
        fixed,
        moving,
        ImageGrid((2 * height, 2 * width), matrix),
        fixed_labels=doubled(pair.fixed_labels, "nearest"),
        moving_labels=doubled(pair.moving_labels, "nearest"),
        fixed_subject=pair.fixed_subject,
        moving_subject=pair.moving_subject,
    )


def ablate(
    name: str, pairs: Sequence[LabelledPair], models: Sequence[Model], options: RegistrationOptions
) -> list[Loss]:
    """The loss of a data set without each rule.

    Args:
        name: Of the data set.
        pairs: All of them.
        models: Of which the automatic choice takes one a pair, with all rules.
        options: The preset that is measured.
    """
    losses: dict[str, list[float]] = {rule: [] for rule in RULES}
    applied = dict.fromkeys(RULES, 0)
    for number, pair in enumerate(pairs):
        for rule, loss in _losses(pair, models, options).items():
            losses[rule].append(0.0 if loss is None else loss)
            applied[rule] += loss is not None
        _log.info("%s: %d of %d pairs", name, number + 1, len(pairs))
    subjects = [(p.fixed_subject or str(n), p.moving_subject or str(n)) for n, p in enumerate(pairs)]
    decides = name != HISTOLOGY
    return [Loss(r, name, len(pairs), applied[r], estimate(losses[r], subjects), decides) for r in RULES]


def _losses(pair: LabelledPair, models: Sequence[Model], options: RegistrationOptions) -> dict[str, float | None]:
    """What a pair loses without each rule; ``None`` where the rule does not apply to it."""
    images = ImagePair(pair.fixed, pair.moving, pair.grid)
    fitting = models if len(models) == 1 else admissible_models(models, [pair.fixed.numpy(), pair.moving.numpy()])
    whole = run(images, fitting, options)
    model = next(model for model in fitting if model.name == whole.model)
    found: dict[str, float | None] = {}
    for rule in RULES:
        found[rule] = None
        if applies(rule, whole):
            result = run(images, [model], options, without=frozenset({rule}))
            found[rule] = accuracy(pair, whole.displacement) - accuracy(pair, result.displacement)
    return found


def applies(rule: str, result: RegistrationResult) -> bool:
    """Whether leaving out a rule can change the result; ``False`` saves the time to find the same result again."""
    plan = result.plan
    if rule == "never_worse":  # A result that was more similar is kept without the rule too.
        return plan.never_worse and not bool(result.displacement.any())
    if rule == "coarser_levels":
        return plan.optimisation is not None and plan.optimisation.coarser_levels
    value = getattr(plan, rule, True)
    return any(value) if isinstance(value, tuple) else bool(value)


def accuracy(pair: LabelledPair, displacement: Tensor) -> float:
    """Dice, or without labels the negative TRE in mm: the larger, the better."""
    found = measure(pair, displacement)
    return found.get("Dice", -found.get("TRE mm", math.nan))


def is_worthwhile(losses: Sequence[Loss]) -> bool:
    """Whether a rule gains on at least two of the data sets that decide."""
    return sum(loss.gains and loss.decides for loss in losses) >= NEEDED_SETS


def report(losses: Sequence[Loss]) -> str:
    """A table of all losses, and a sentence for each rule."""
    lines = [
        "Loss without the rule: Dice, or TRE (mm) for phantom and histology. Above 0 the rule helps.",
        "",
        "| Rule | Data | Pairs | Rule applied to | Loss ± standard error | Gain |",
        "|---|---|---|---|---|---|",
    ]
    for one in losses:
        gain = "yes" if one.gains else "harm" if one.harms else "no"
        gain += "" if one.decides else " (does not count)"
        lines.append(f"| {one.rule} | {one.dataset} | {one.pairs} | {one.applied} | {one.loss.text(4)} | {gain} |")
    lines.append("")
    for rule in dict.fromkeys(one.rule for one in losses):
        chosen = [one for one in losses if one.rule == rule]
        sets = [one.dataset for one in chosen if one.gains and one.decides]
        choice = "keep" if is_worthwhile(chosen) else "delete"
        lines.append(f"* {rule}: {choice}; gains more than {NEEDED_ERRORS:g} standard errors on {len(sets)} data sets")
        lines[-1] += f" ({', '.join(sets)})." if sets else "."
    return "\n".join(lines) + "\n"


def run_ablation(
    data: Path, models: Sequence[Model], options: RegistrationOptions, most: int = 0, only: Sequence[str] = ()
) -> list[Loss]:
    """All data sets, one after the other, sorted by rule.

    Raises:
        ValueError: A name in ``only`` is none of a data set.
    """
    found = datasets(data, most)
    unknown = sorted(set(only) - set(found))
    if unknown:
        raise ValueError(f"There is no data set {', '.join(unknown)}; there are {', '.join(found)}.")
    losses = [one for name in only or found for one in ablate(name, found[name](), models, options)]
    order = list(RULES)
    return sorted(losses, key=lambda one: order.index(one.rule))
