"""A quality report as PDF, outside Slicer."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from fpdf import FPDF
from fpdf.fonts import FontFace
from matplotlib import get_data_path

from ..scene.reporting.quality_report import QualityReport
from ..scene.reporting.report_html import PRINTED_GRADE_COLOURS, REPORT_PURPOSE, SUMMARIES, assessmentRows, sourceRows
from ..scene.reporting.report_pictures import Picture
from ..scene.reporting.report_words import BASIS, SOURCE_OF_ITEMS, itemTitle, regionText, toleranceText, valueText

_FONT = "DejaVuSans"  # Comes with matplotlib; the fonts of PDF itself lack some of the signs.
_PAGE_MARGIN = 15.0  # mm
_PICTURE_WIDTH, _GAP = 56.0, 6.0  # mm; three in a row.


def reportPdf(report: QualityReport) -> bytes:
    """The whole report with its pictures, as the content of a PDF file of A4 pages."""
    page = _Page()
    page.title("Quality report of a registration")
    page.heading("1. Summary")
    grade = report.check.grade
    page.graded(grade, f"{grade.capitalize()}. {SUMMARIES[grade]}")
    page.list(
        f"{itemTitle(item)}: {valueText(item, item.value)}, tolerance {toleranceText(item)}"
        for item in report.check.problems
    )
    page.heading("2. Purpose and region")
    page.text(REPORT_PURPOSE)
    page.table(None, list(report.header.items()), (1, 3))
    page.heading("3. Items")
    rows = [
        (
            item.name,
            regionText(item),
            "-" if item.before is None else valueText(item, item.before),
            valueText(item, item.value),
            toleranceText(item),
            item.grade or "shown",
        )
        for item in report.check.items
    ]
    page.table(("Item", "Region", "Before", "Value", "Tolerance", "Grade"), rows, (5, 2.5, 3, 3, 2.8, 2.5))
    page.heading("4. Advisories")
    page.list(report.advisories)
    page.heading("5. Pictures", room=95)
    page.figures(report.figures)
    page.heading("6. Assessment by the reader")
    page.table(None, list(assessmentRows(report).items()), (1, 2))
    page.heading("7. Provenance of every number")
    page.table(("Items", "Source"), sourceRows(report.check.items), (2, 1))
    page.heading("Appendix: basis of each metric")
    page.table(None, list(BASIS.items()), (1, 4))
    page.text(SOURCE_OF_ITEMS)
    return page.content


class _Page:
    """Writes from the top of the first page down."""

    def __init__(self) -> None:
        self._pdf = FPDF(format="A4")
        fonts = Path(get_data_path()) / "fonts" / "ttf"
        self._pdf.add_font(_FONT, "", fonts / "DejaVuSans.ttf")
        self._pdf.add_font(_FONT, "B", fonts / "DejaVuSans-Bold.ttf")
        self._pdf.set_margins(_PAGE_MARGIN, _PAGE_MARGIN)
        self._pdf.set_auto_page_break(True, _PAGE_MARGIN)
        self._pdf.set_title("Quality report of a registration")
        self._pdf.add_page()

    @property
    def content(self) -> bytes:
        return bytes(self._pdf.output())

    def title(self, text: str) -> None:
        self._write(text, 16, "B")

    def heading(self, text: str, room: float = 25.0) -> None:
        """A heading that stands above something: on the next page if less than ``room`` mm are left on this one."""
        self._pdf.ln(3)
        if self._pdf.will_page_break(room):
            self._pdf.add_page()
        self._write(text, 12, "B")

    def text(self, text: str) -> None:
        self._write(text, 9)

    def graded(self, grade: str, text: str) -> None:
        self._pdf.set_text_color(PRINTED_GRADE_COLOURS[grade])
        self._write(text, 10, "B")
        self._pdf.set_text_color(0)

    def list(self, sentences: object) -> None:
        for sentence in sentences:  # type: ignore[attr-defined]
            self._write(f"• {sentence}", 9)

    def table(self, headings: Sequence[str] | None, rows: Sequence[Sequence[str]], widths: tuple[float, ...]) -> None:
        self._pdf.set_font(_FONT, size=7.5)
        with self._pdf.table(
            col_widths=widths,
            first_row_as_headings=headings is not None,
            borders_layout="HORIZONTAL_LINES",
            text_align="LEFT",
            line_height=4.2,
        ) as table:
            for texts in [*([headings] if headings else []), *rows]:
                row = table.row()
                for text in texts:
                    colour = PRINTED_GRADE_COLOURS.get(text)
                    row.cell(text, style=FontFace(color=colour, emphasis="BOLD") if colour else None)
        self._pdf.ln(2)

    def figures(self, figures: Sequence[Picture]) -> None:
        for start in range(0, len(figures), 3):
            row = figures[start : start + 3]
            height = max(_PICTURE_WIDTH * picture.pixels.shape[0] / picture.pixels.shape[1] for picture in row)
            if self._pdf.will_page_break(height + 18):
                self._pdf.add_page()
            top = self._pdf.get_y()
            for column, picture in enumerate(row):
                left = _PAGE_MARGIN + column * (_PICTURE_WIDTH + _GAP)
                self._at(left, top, picture.title, 8, "B")
                self._pdf.image(io.BytesIO(picture.png), left, top + 5, _PICTURE_WIDTH)
                self._at(left, top + 6 + height, picture.caption, 6.5)
            self._pdf.set_xy(_PAGE_MARGIN, top + height + 18)

    def _write(self, text: str, size: float, style: str = "") -> None:
        self._pdf.set_font(_FONT, style, size)  # type: ignore[arg-type]
        self._pdf.multi_cell(0, size * 0.5, text, align="L", new_x="LMARGIN", new_y="NEXT")

    def _at(self, left: float, top: float, text: str, size: float, style: str = "") -> None:
        self._pdf.set_font(_FONT, style, size)  # type: ignore[arg-type]
        self._pdf.set_xy(left, top)
        self._pdf.multi_cell(_PICTURE_WIDTH, size * 0.45, text, align="L")
