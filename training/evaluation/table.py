"""The tables of the experiments: the scores of trained models, each setting over its seeds, as Markdown."""

from __future__ import annotations

import statistics
from pathlib import Path

from training.data.labelled_pairs import LabelledPair
from training.evaluation.evaluate import Score, evaluate, unregistered
from UnsupervisedRegistrationLib.core.models.model_file import load_model
from UnsupervisedRegistrationLib.core.networks.architectures import Build, build_network

_ERRORS = ("surface mm", "TRE mm")  # The change of the first one that was measured is shown.
_Settings = dict[str, dict[str, Score]]  # Setting, then seed.


def table(models: list[Path], pairs: list[LabelledPair], device: str = "auto", build: Build = build_network) -> str:
    """A row a setting: mean and standard deviation over its seeds, and the change from the first setting.

    The change compares the means of the seeds; the range is that of the changes between runs of the same seed.

    Args:
        models: Named ``SETTING-SEED.pt``; settings keep the order of the first model of each.
        pairs: Images with labels or landmarks.
        device: See ``RegistrationOptions``.
        build: Makes a network from its configuration.

    Raises:
        OSError: A model cannot be read.
        ValueError: There is no pair, or a model is damaged.
    """
    known = [unregistered(pair) for pair in pairs]
    settings: _Settings = {}
    for path in models:
        setting, _, seed = path.stem.rpartition("-")
        settings.setdefault(setting, {})[seed] = evaluate(load_model(path, build), pairs, device, known)
    rows = _rows(settings)
    lines = [list(rows[0]), ["---"] * len(rows[0]), *(list(row.values()) for row in rows)]
    return "\n".join([f"{len(pairs)} pairs", "", *(f"| {' | '.join(line)} |" for line in lines)])


def _rows(settings: _Settings) -> list[dict[str, str]]:
    """One row for the unregistered pairs and one for each setting: column to text."""
    first = next(iter(settings.values()))
    before = next(iter(first.values())).before
    error = next((name for name in _ERRORS if name in before), "")
    watched = [name for name in (error, "Dice") if name in before]
    columns = {name: f"{value:{_digits(name)}}" for name, value in before.items()}
    rows = [{"setting": "unregistered", "seeds": "", **columns, "folding": ""} | {_title(name): "" for name in watched}]
    for setting, scores in settings.items():
        columns = {name: _spread([score.after[name] for score in scores.values()], _digits(name)) for name in before}
        folding = f"{max(score.folding for score in scores.values()):.1g}"
        changes = {_title(name): "" if scores is first else _change(scores, first, name) for name in watched}
        rows.append({"setting": setting, "seeds": str(len(scores)), **columns, "folding": folding, **changes})
    return rows


def _title(name: str) -> str:
    return f"change of {name.split()[0]}"


def _digits(name: str) -> str:
    return ".4f" if name == "Dice" else ".3f"


def _spread(values: list[float], digits: str) -> str:
    mean = f"{statistics.fmean(values):{digits}}"
    return f"{mean} ± {statistics.stdev(values):{digits}}" if len(values) > 1 else mean


def _change(scores: dict[str, Score], reference: dict[str, Score], name: str) -> str:
    """Change of the mean in per cent, and its range over the seeds that both settings have."""

    def percent(value: float, of: float) -> float:
        return 100 * (value / of - 1)

    means = [statistics.fmean(score.after[name] for score in each.values()) for each in (scores, reference)]
    text = f"{percent(*means):+.1f} %"
    single = [percent(scores[s].after[name], reference[s].after[name]) for s in scores if s in reference]
    return f"{text} ({min(single):+.1f} to {max(single):+.1f})" if len(single) > 1 else text
