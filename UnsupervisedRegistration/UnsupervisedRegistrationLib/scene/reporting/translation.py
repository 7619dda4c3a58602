"""Translation of sentences: by Slicer if it runs, otherwise the sentence itself."""

from __future__ import annotations

try:
    from slicer.i18n import tr as tr
except ImportError:

    def tr(text: str) -> str:
        """The text itself."""
        return text
