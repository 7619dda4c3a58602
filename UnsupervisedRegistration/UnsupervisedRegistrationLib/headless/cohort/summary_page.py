"""One page about a cohort: distributions, and the worst twenty pairs as pictures."""

from __future__ import annotations

import html
import math
from collections import Counter
from collections.abc import Sequence

from .pair_task import BEFORE_AFTER
from .result_table import FAILED, CohortRow, ResultTable, replaceText

_WORST = 20  # Pairs with a picture.
_BINS = 20
_ORDER = (FAILED, "do not use", "check", "not validated", "good")
_MEASURES = {
    "similarity_after": "Similarity after",
    "folding": "Folded share of the area",
    "dice_after": "Dice after",
    "tre_after_mm": "TRE after, mm",
    "seconds": "Seconds",
}


def writeSummary(table: ResultTable, folder: str) -> None:
    """Write the page beside the table; of a part, with the name of the part.

    Args:
        table: Of the results.
        folder: Of the folders of the pairs, relative to the table; may be empty.

    Raises:
        OSError: It cannot be written.
    """
    path = table.path.with_name(table.path.name.replace("results", "summary", 1)).with_suffix(".html")
    replaceText(path, summaryPage(table.rows, f"{folder}/" if folder else ""))


def summaryPage(rows: Sequence[CohortRow], pairs: str = "") -> str:
    """Return the page as HTML.

    Args:
        rows: Of the cohort.
        pairs: Folder of the folders of the pairs, relative to the page, with a slash at its end.
    """
    grades = Counter(row.quality_check for row in rows)
    counts = "".join(f"<tr><td>{grade}</td><td>{grades[grade]}</td></tr>" for grade in _ORDER if grades[grade])
    charts = "".join(_chart(title, _values(rows, name)) for name, title in _MEASURES.items())
    failed = "".join(
        f"<li>{html.escape(row.pair)}: {html.escape(row.message)}</li>" for row in rows if row.quality_check == FAILED
    )
    worst = "".join(_figure(row, pairs) for row in worstRows(rows))
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Cohort</title><style>'
        "body{font:15px sans-serif;margin:2em;max-width:70em}figure{display:inline-block;margin:1em;width:30em}"
        "img{width:100%;image-rendering:pixelated}svg{margin:1em}td{padding:.2em 1em}</style></head><body>"
        f"<h1>{len(rows)} pairs</h1><h2>Quality check</h2><table>{counts}</table>"
        f"<h2>Distributions</h2>{charts}"
        + (f"<h2>Failed</h2><ul>{failed}</ul>" if failed else "")
        + f"<h2>The worst {min(_WORST, len(rows))}</h2><p>Left before, right after; fixed red, moving cyan.</p>{worst}"
        "</body></html>\n"
    )


def worstRows(rows: Sequence[CohortRow]) -> list[CohortRow]:
    """Return at most twenty registered pairs, the worst first: by grade, then by TRE, Dice and similarity."""
    registered = [row for row in rows if row.quality_check != FAILED]
    return sorted(registered, key=_badness)[:_WORST]


def _badness(row: CohortRow) -> tuple[float, ...]:
    tre, dice, similarity = (
        math.inf if value is None else sign * value
        for sign, value in ((-1, row.tre_after_mm), (1, row.dice_after), (1, row.similarity_after))
    )
    return _ORDER.index(row.quality_check), tre, dice, similarity


def _values(rows: Sequence[CohortRow], name: str) -> list[float]:
    return [value for row in rows if (value := getattr(row, name)) is not None]


def _chart(title: str, values: list[float]) -> str:
    """A histogram as SVG."""
    if not values:
        return ""
    low, high = min(values), max(values)
    step = (high - low) / _BINS or 1.0
    counts = Counter(min(int((value - low) / step), _BINS - 1) for value in values)
    most = max(counts.values())
    bars = "".join(
        f'<rect x="{12 * place}" y="{100 - 100 * count / most:.1f}" width="11" height="{100 * count / most:.1f}"/>'
        for place, count in sorted(counts.items())
    )
    return (
        f'<svg width="240" height="140" fill="#357"><text x="0" y="135">{html.escape(title)}: {low:.3g} to {high:.3g}'
        f"</text>{bars}</svg>"
    )


def _figure(row: CohortRow, pairs: str) -> str:
    name = html.escape(row.pair, quote=True)
    parts = {"TRE": row.tre_after_mm, "Dice": row.dice_after, "similarity": row.similarity_after}
    figures = ", ".join(f"{title} {value:.3g}" for title, value in parts.items() if value is not None)
    return (
        f'<figure><img src="{pairs}{name}/{BEFORE_AFTER}" alt="{name}"><figcaption><b>{name}</b>: {row.quality_check};'
        f" {figures}. {html.escape(row.message)}</figcaption></figure>"
    )
