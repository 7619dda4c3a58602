"""A quality report as one HTML file, which browsers and Qt show alike."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Sequence

from ...core.evaluation.quality_check import QualityItem
from .quality import gradeWord
from .quality_report import QualityReport
from .report_files import SCHEMA
from .report_pictures import Picture
from .report_words import BASIS, SOURCE_OF_ITEMS, itemTitle, regionText, sourceOf, toleranceText, valueText

REPORT_PURPOSE = (
    "This report describes how well the transform registers the moving image to the fixed one, item by item, against"
    " the tolerances below. It supports a qualified reader and does not replace it. For research, not a"
    " medical device."
)
PRINTED_GRADE_COLOURS = {"good": "#1d7a3a", "not validated": "#4c6a8f", "check": "#a86400", "do not use": "#b3261e"}
"""Readable on white paper."""
SUMMARIES = {
    "good": "No problem detected; landmarks or structures show the accuracy.",
    "not validated": "No problem detected; not validated here.",
    "check": "At least one item is beyond its tolerance; look at it before the registration is used.",
    "do not use": "At least one item makes the registration unusable.",
}
"""What the grade of the whole means."""
_STYLE = """
body { font-family: sans-serif; font-size: 10pt; color: #1b1b1b; max-width: 60em; margin: 2em auto; }
table { border-collapse: collapse; width: 100%; } td, th { padding: 3px 8px; text-align: left; vertical-align: top; }
tr.item td { border-bottom: 1px solid #cccccc; } th { border-bottom: 2px solid #444444; }
img { max-width: 100%; } .caption { font-size: 8pt; color: #444444; }
"""
_PICTURES_PER_ROW = 3


def reportHtml(report: QualityReport, pictureWidth: int = 230) -> str:
    """The whole report with its pictures, three in a row of ``pictureWidth`` pixels each; the text of one HTML file."""
    sections = (
        ("Summary", _summary(report)),
        ("Purpose and region", f"<p>{_text(REPORT_PURPOSE)}</p>{_pairs(report.header)}"),
        ("Items", _items(report.check.items)),
        ("Advisories", _list(report.advisories)),
        ("Pictures", _figures(report.figures, pictureWidth)),
        ("Assessment by the reader", _pairs(assessmentRows(report))),
        (
            "Provenance of every number",
            _table(("Items", "Source"), [[_text(cell) for cell in row] for row in sourceRows(report.check.items)]),
        ),
    )
    body = "".join(f"<h2>{number}. {title}</h2>{text}" for number, (title, text) in enumerate(sections, start=1))
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Quality report</title>'
        f"<style>{_STYLE}</style></head><body><h1>Quality report of a registration</h1>{body}"
        f"<h2>Appendix: basis of each metric</h2>{_basis()}"
        f'<p class="caption">Schema {SCHEMA}. {_text(SOURCE_OF_ITEMS)}</p></body></html>'
    )


def _text(text: str) -> str:
    return html.escape(text)


def _summary(report: QualityReport) -> str:
    grade = report.check.grade
    problems = [
        f"{itemTitle(item)}: {valueText(item, item.value)}, tolerance {toleranceText(item)}"
        for item in report.check.problems
    ]
    return f"<p><b>{_grade(grade)}</b>. {_text(SUMMARIES[grade])}</p>{_list(problems) if problems else ''}"


def _grade(grade: str | None) -> str:
    """A grade in its colour; the word says the same as the colour."""
    if grade is None:
        return "shown"
    word = next(word for known, word in _words().items() if known == grade)
    return f'<span style="color:{PRINTED_GRADE_COLOURS[grade]}">■ {word}</span>'


def _words() -> dict[str, str]:
    return {
        "good": gradeWord("good"),
        "not validated": gradeWord("not validated"),
        "check": gradeWord("check"),
        "do not use": gradeWord("do not use"),
    }


def _list(sentences: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{_text(sentence)}</li>" for sentence in sentences) + "</ul>"


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are HTML already."""
    head = "".join(f"<th>{_text(heading)}</th>" for heading in headings)
    body = "".join(f'<tr class="item">{"".join(f"<td>{cell}</td>" for cell in row)}</tr>' for row in rows)
    return f'<table width="100%" cellspacing="0" cellpadding="3"><tr>{head}</tr>{body}</table>'


def _pairs(content: dict[str, str]) -> str:
    return _table(("", ""), [(f"<b>{_text(title)}</b>", _text(text)) for title, text in content.items()])


def _items(items: Sequence[QualityItem]) -> str:
    rows = [
        (
            _text(item.name),
            _text(regionText(item)),
            _text(valueText(item, item.before) if item.before is not None else "-"),
            f"<b>{_text(valueText(item, item.value))}</b>",
            _text(toleranceText(item)),
            _grade(item.grade),
        )
        for item in items
    ]
    return _table(("Item", "Region", "Before", "Value", "Tolerance", "Grade"), rows)


def _figures(figures: Sequence[Picture], width: int) -> str:
    cells = [
        f'<td><b>{_text(picture.title)}</b><br><img width="{width}" alt="{_text(picture.title)}"'
        f' src="data:image/png;base64,{base64.b64encode(picture.png).decode()}">'
        f'<br><span class="caption">{_text(picture.caption)}</span></td>'
        for picture in figures
    ]
    rows = [cells[start : start + _PICTURES_PER_ROW] for start in range(0, len(cells), _PICTURES_PER_ROW)]
    return "<table>" + "".join(f"<tr>{''.join(row)}</tr>" for row in rows) + "</table>"


def assessmentRows(report: QualityReport) -> dict[str, str]:
    """The grade of the quality check beside what the reader thinks; dots where the reader may write on paper."""
    mine, line = report.assessment, "." * 40
    return {
        "Grade by the quality check": gradeWord(report.check.grade),
        "Grade by the reader": gradeWord(mine.grade) if mine.grade else f"not assessed: {line}",
        "Uncertainty": mine.uncertainty or f"not stated: {line}",
        "Text": mine.text or line,
        "Date": mine.time or line,
        "Name and signature": line,
    }


def sourceRows(items: Sequence[QualityItem]) -> list[tuple[str, str]]:
    """Names of items, and the source that they share."""
    sources: dict[str, list[str]] = {}
    for item in items:
        names = sources.setdefault(sourceOf(item), [])
        names += [item.name] if item.name not in names else []
    return [(", ".join(names), source) for source, names in sources.items()]


def _basis() -> str:
    return "<dl>" + "".join(f"<dt><b>{_text(k)}</b></dt><dd>{_text(v)}</dd>" for k, v in BASIS.items()) + "</dl>"
