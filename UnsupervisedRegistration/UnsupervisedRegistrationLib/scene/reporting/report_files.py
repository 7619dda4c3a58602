"""A quality report as JSON and CSV, with a versioned schema."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import asdict

from ...core.evaluation.quality_check import QualityItem
from .quality_report import QualityReport
from .report_words import sourceOf

SCHEMA = "unsupervised-registration/quality-report/1.0"
"""Name and version of the schema. The last number grows if something is added, the one before if a meaning changes."""
ITEM_COLUMNS = ("name", "structure", "value", "unit", "tolerance", "grade", "before", "source")
"""What is written of each item."""


def reportJson(report: QualityReport) -> str:
    """Schema, grade, items and all else of a report but the pictures, as the text of a JSON file.

    A number that was not measured is ``null``, and so are the tolerance and grade of an item that is only shown.
    """
    content = {
        "schema": SCHEMA,
        "grade": report.check.grade,
        "items": [_fields(item) for item in report.check.items],
        "profile": asdict(report.profile),
        "header": report.header,
        "advisories": list(report.advisories),
        "assessment": asdict(report.assessment),
    }
    return json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def reportCsv(report: QualityReport) -> str:
    """One row an item, after the schema and the grade of the whole; the text of a CSV file."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["schema", *ITEM_COLUMNS])
    writer.writerow([SCHEMA, "registration", "", "", "", "", report.check.grade, "", "all items"])
    for item in report.check.items:
        writer.writerow([SCHEMA, *("" if value is None else value for value in _fields(item).values())])
    return text.getvalue()


def _fields(item: QualityItem) -> dict[str, object]:
    """The columns of an item as plain values; a number without dimension has the unit 1."""
    content = {name: getattr(item, name) for name in ITEM_COLUMNS[:-1]}
    for name in ("value", "tolerance", "before"):
        number = content[name]
        content[name] = None if number is None or not math.isfinite(number) else round(number, 6)
    return {**content, "unit": item.unit or "1", "source": sourceOf(item)}
