"""The tables of the experiments: the scores of trained models, each setting over its seeds, as Markdown."""

from __future__ import annotations

import statistics
from pathlib import Path

from training.evaluate import Score, evaluate
from training.pairs import LabelledPair
from UnsupervisedRegistrationLib.core.model import load_model

_ERRORS = ("surface mm", "TRE mm")


def table(models: list[Path], pairs: list[LabelledPair], device: str = "auto") -> str:
    """A row a setting, with mean and standard deviation over its seeds and the change from the first setting.

    Args:
        models: Named ``SETTING-SEED.pt``; settings appear in the order in which they are named.
        pairs: What they are scored on.
        device: Where they run.

    Raises:
        OSError: A model cannot be read.
        ValueError: There is no pair, or a model is damaged.
    """
    settings: dict[str, list[Score]] = {}
    for path in models:
        settings.setdefault(path.stem.rsplit("-", 1)[0], []).append(evaluate(load_model(path), pairs, device))
    first = next(iter(settings.values()))
    names = list(first[0].after)
    error = next((name for name in _ERRORS if name in names), "")
    watched = [name for name in (error, "Dice") if name in names]
    head = ["setting", "seeds", *names, "folding", *(f"{name.split()[0]} change" for name in watched)]
    rows = [
        [
            "unregistered",
            "",
            *(f"{first[0].before[name]:{_digits(name)}}" for name in names),
            "",
            *("" for _ in watched),
        ]
    ]
    for setting, scores in settings.items():
        values = {name: [score.after[name] for score in scores] for name in names}
        changes = [_change(values[name], [score.after[name] for score in first]) for name in watched]
        means = [_spread(values[name], _digits(name)) for name in names]
        rows.append([setting, str(len(scores)), *means, f"{max(s.folding for s in scores):.1g}", *changes])
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join([f"{len(pairs)} pairs", "", *(f"| {' | '.join(line)} |" for line in lines)])


def _digits(name: str) -> str:
    return ".4f" if name == "Dice" else ".2f"


def _spread(values: list[float], digits: str) -> str:
    mean = f"{statistics.fmean(values):{digits}}"
    return f"{mean} ± {statistics.stdev(values):{digits}}" if len(values) > 1 else mean


def _change(values: list[float], reference: list[float]) -> str:
    return f"{100 * (statistics.fmean(values) / statistics.fmean(reference) - 1):+.1f} %"
