"""The quality report of the transform of the moving volume: table, files, and what the reader thinks of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt
from slicer.i18n import tr as _

from ...interaction import inputs
from ...scene.reporting.assessment import (
    READER_GRADES,
    UNCERTAINTIES,
    ReaderAssessment,
    readAssessment,
    storeAssessment,
)
from ...scene.reporting.tolerance_profiles import PROFILES
from . import section
from .section import Section, connect

if TYPE_CHECKING:
    from ..panel import RegistrationPanel


class ReportSection(Section):
    """Measures any transform above the moving volume, and writes the report."""

    def __init__(self, panel: RegistrationPanel) -> None:
        super().__init__(panel)
        self._inputs: Any = None
        self._transform: Any = None
        self._content: Any = None  # Each result is a new VTK transform in the same node.
        ui = self.ui
        section.prepareTable(ui.qualityTable, [_("Item"), _("Value"), _("Tolerance"), _("Grade")])
        ui.profileSelector.addItems([profile.name for profile in PROFILES.values()])
        ui.readerGradeSelector.addItems([grade or _("not assessed") for grade in READER_GRADES])
        ui.readerUncertaintySelector.addItems([level or _("not stated") for level in UNCERTAINTIES])
        connect(ui.measureQualityButton, "clicked(bool)", self.onMeasure)
        connect(ui.qualityHtmlButton, "clicked(bool)", lambda checked: self._write("html", self._htmlFile))
        connect(ui.qualityPdfButton, "clicked(bool)", lambda checked: self._write("pdf", self._pdfFile))
        connect(ui.qualityCsvButton, "clicked(bool)", lambda checked: self._write("csv", self._csvFile))
        connect(ui.saveAssessmentButton, "clicked(bool)", self.onSave)

    def update(self) -> None:
        """Forgets the report once another result is above the moving volume, and shows its assessment."""
        transform = self._shownTransform()
        content = None if transform is None else transform.GetTransformFromParent()
        if transform is not self._transform or content is not self._content:
            self._transform, self._content = transform, content
            self._forget()
            self._showAssessment()
        self.ui.measureQualityButton.enabled = self.ui.saveAssessmentButton.enabled = transform is not None

    def release(self) -> None:
        """Forgets the report and its nodes."""
        self._transform = self._content = None
        self._forget()

    def onMeasure(self, checked: bool = False) -> None:
        """Measures everything, and fills the table."""
        with self.panel.attempt():
            self.panel.requireTorch()
            self._inputs = self._chosenInputs()
            report = self._report()
            self._showItems(report)
        for button in (self.ui.qualityHtmlButton, self.ui.qualityPdfButton, self.ui.qualityCsvButton):
            button.enabled = self._inputs is not None

    def onSave(self, checked: bool = False) -> None:
        """Saves what the reader thinks with the transform."""
        with self.panel.attempt():
            storeAssessment(
                self._transform,
                ReaderAssessment(
                    READER_GRADES[self.ui.readerGradeSelector.currentIndex],
                    UNCERTAINTIES[self.ui.readerUncertaintySelector.currentIndex],
                    self.ui.readerTextEdit.text,
                ),
            )
            self.panel.say(_("The assessment was saved with '{name}'.").format(name=self._transform.GetName()))

    def _shownTransform(self) -> Any:
        """The result of the moving volume, or any other transform above it; ``None`` without any."""
        moving = self.parameters.movingVolume
        if not moving:
            return None
        return inputs.shownTransform(self.parameters) or moving.GetParentTransformNode()

    def _chosenInputs(self) -> Any:
        from ...scene.reporting.evidence import ReportInputs

        p, ui = self.parameters, self.ui
        chosen = inputs.sliceInputs(p)
        landmarks = (p.fixedLandmarks, p.movingLandmarks) if p.fixedLandmarks and p.movingLandmarks else (None, None)
        return ReportInputs(
            p.fixedVolume,
            p.movingVolume,
            self._transform,
            None if ui.wholeVolumeCheckBox.checked else chosen.plane,
            p.mask,
            ui.fixedStructuresSelector.currentNode(),
            ui.movingStructuresSelector.currentNode(),
            *landmarks,
        )

    def _report(self) -> Any:
        from ...scene.reporting.quality_report import makeReport

        profile = list(PROFILES.values())[self.ui.profileSelector.currentIndex]
        return makeReport(self._inputs, profile)

    def _showItems(self, report: Any) -> None:
        from ...scene.reporting.quality import gradeWord
        from ...scene.reporting.report_html import SUMMARIES
        from ...scene.reporting.report_words import itemTitle, toleranceText, valueText

        items = report.check.items
        rows = [
            (
                itemTitle(item),
                valueText(item, item.value),
                toleranceText(item),
                gradeWord(item.grade) if item.grade else "",
            )
            for item in items
        ]
        section.fillTable(self.ui.qualityTable, rows)
        sentences = [f"{gradeWord(report.check.grade)}: {SUMMARIES[report.check.grade]}", *report.advisories]
        self.ui.qualityReportLabel.text = " ".join(sentences)
        self.panel.say(_("The transform was measured; see Quality."))

    def _showAssessment(self) -> None:
        ui = self.ui
        known = ReaderAssessment() if self._transform is None else readAssessment(self._transform)
        ui.readerGradeSelector.setCurrentIndex(READER_GRADES.index(known.grade))
        ui.readerUncertaintySelector.setCurrentIndex(UNCERTAINTIES.index(known.uncertainty))
        ui.readerTextEdit.setText(known.text)

    def _forget(self) -> None:
        self._inputs = None
        section.fillTable(self.ui.qualityTable, [])
        self.ui.qualityReportLabel.text = ""
        for button in (self.ui.qualityHtmlButton, self.ui.qualityPdfButton, self.ui.qualityCsvButton):
            button.enabled = False

    def _write(self, suffix: str, write: Any) -> None:
        """Measures again, so that the report holds the assessment of now, and writes it where the user says."""
        path = qt.QFileDialog.getSaveFileName(
            self.panel.parent, _("Save the quality report"), f"quality.{suffix}", f"{suffix.upper()} (*.{suffix})"
        )
        if path:
            with self.panel.attempt():
                write(self._report(), Path(path))
                self.panel.say(_("The quality report was written to '{path}'.").format(path=path))

    def _htmlFile(self, report: Any, path: Path) -> None:
        from ...scene.reporting.report_html import reportHtml

        path.write_text(reportHtml(report), encoding="utf-8")

    def _csvFile(self, report: Any, path: Path) -> None:
        from ...scene.reporting.report_files import reportCsv

        path.write_text(reportCsv(report), encoding="utf-8")

    def _pdfFile(self, report: Any, path: Path) -> None:
        """Qt prints the HTML.

        Raises:
            OSError: The file cannot be written.
        """
        from ...scene.reporting.report_html import reportHtml

        path.write_bytes(b"")  # Qt says nothing if it cannot write.
        document, printer = qt.QTextDocument(), qt.QPrinter()
        printer.setOutputFormat(qt.QPrinter.PdfFormat)
        printer.setOutputFileName(str(path))
        document.setHtml(reportHtml(report, pictureWidth=150))  # Three fit on A4.
        (getattr(document, "print", None) or document.print_)(printer)  # PythonQt and PySide name it differently.
