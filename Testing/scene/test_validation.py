"""The validation protocol of the quality report: it passes, and it notices a wrong number."""

from __future__ import annotations

import pytest

from UnsupervisedRegistrationLib.scene.reporting import validation
from UnsupervisedRegistrationLib.scene.reporting.validation import ValidationRow, validate, validationText


@pytest.fixture(scope="module")
def rows() -> tuple[ValidationRow, ...]:
    return validate()


def test_every_case_says_what_is_expected(rows: tuple[ValidationRow, ...]) -> None:
    assert [row for row in rows if not row.passed] == []


def test_all_cases_of_the_protocol_are_there(rows: tuple[ValidationRow, ...]) -> None:
    assert {row.case for row in rows} == {
        *("identity", "shift", "rotation", "deformation", "fold", "structures", "another contrast"),
    }


def test_expected_stands_beside_measured(rows: tuple[ValidationRow, ...]) -> None:
    assert f"{len(rows)} of {len(rows)} passed" in validationText(rows)
    assert "FAILED" in validationText((ValidationRow("shift", "TRE", 0.0, 1.0, 0.1),))


def test_a_wrong_metric_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """The report of the fold in place of that of the identity."""
    build, _ = validation._KNOWN_CASES["fold"]
    _, known = validation._KNOWN_CASES["identity"]
    monkeypatch.setattr(validation, "_KNOWN_CASES", {"identity": (build, known)})
    assert not all(row.passed for row in validate())
