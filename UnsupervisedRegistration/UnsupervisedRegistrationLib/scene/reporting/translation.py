"""Translates sentences inside Slicer, and leaves them as they are without the application."""

from __future__ import annotations

try:
    from slicer.i18n import tr
except ImportError:

    def tr(text: str) -> str:
        """The text itself."""
        return text
