"""The section Quality: measure, look, write, assess."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import slicer
import slicer.util

import host
from UnsupervisedRegistrationLib.scene.history.result_history import storedResults
from UnsupervisedRegistrationLib.scene.reporting.assessment import ReaderAssessment, readAssessment


def transform() -> Any:
    return slicer.util.getNode("HeadMoving").GetParentTransformNode()


@pytest.fixture
def measured(applied: Any) -> Any:
    applied.measureQualityButton.click()
    return applied


def test_the_table_shows_items_values_tolerances_and_grades(measured: Any) -> None:
    table = measured.qualityTable
    rows = [[table.item(row, column).text() for column in range(4)] for row in range(table.rowCount)]
    tre = next(row for row in rows if row[0] == "TRE")
    assert tre[1].endswith(" mm")
    assert tre[2:] == ["≤ 4.00 mm", "Good"]


def test_nothing_can_be_written_before_it_was_measured(applied: Any) -> None:
    assert not applied.qualityHtmlButton.enabled
    applied.measureQualityButton.click()
    assert applied.qualityHtmlButton.enabled


@pytest.mark.parametrize(
    ("button", "start"),
    [("qualityHtmlButton", b"<!DOCTYPE html>"), ("qualityPdfButton", b"%PDF"), ("qualityCsvButton", b"schema,")],
)
def test_a_button_writes_the_report(measured: Any, tmp_path: Path, button: str, start: bytes) -> None:
    host.answers.append(str(tmp_path / "quality"))
    getattr(measured, button).click()
    assert (tmp_path / "quality").read_bytes().startswith(start)


def test_a_file_that_cannot_be_written_is_a_sentence(measured: Any, tmp_path: Path) -> None:
    host.answers.append(str(tmp_path / "missing" / "quality.pdf"))
    measured.qualityPdfButton.click()
    assert "No such file" in measured.statusLabel.text


def test_the_assessment_is_saved_with_the_transform(applied: Any) -> None:
    applied.readerGradeSelector.setCurrentIndex(2)
    applied.readerTextEdit.setText("look at the ventricles")
    applied.saveAssessmentButton.click()
    assert readAssessment(transform()).grade == "check"
    assert readAssessment(transform()).text == "look at the ventricles"


def test_another_transform_removes_the_report(measured: Any) -> None:
    slicer.util.getNode("HeadMoving").SetAndObserveTransformNodeID(None)
    measured.movingSelector.setCurrentNode(slicer.util.getNode("HeadFixed"))
    assert not measured.qualityHtmlButton.enabled


def assess(ui: Any) -> None:
    """Saves the grade "good" and a remark with the result that is shown."""
    ui.readerGradeSelector.setCurrentIndex(1)
    ui.readerTextEdit.setText("ventricles agree")
    ui.saveAssessmentButton.click()


def test_the_result_in_the_list_receives_the_assessment(applied: Any) -> None:
    assess(applied)
    (kept,) = storedResults(slicer.mrmlScene)
    assert kept.transformNode is not transform()
    assert readAssessment(kept.transformNode) == readAssessment(transform())
    assert readAssessment(kept.transformNode).grade == "good"


def test_another_apply_clears_assessment_and_report_and_leaves_those_of_the_kept_result(measured: Any) -> None:
    assess(measured)
    measured.applyButton.click()
    assert readAssessment(transform()) == ReaderAssessment()
    assert measured.readerGradeSelector.currentIndex == 0
    assert measured.readerTextEdit.text == ""
    assert measured.qualityTable.rowCount == 0
    grades = [readAssessment(result.transformNode).grade for result in storedResults(slicer.mrmlScene)]
    assert grades == ["good", ""]
