"""What all tests share: the path to the stand-in for Slicer's Qt half, a scene, and one thread."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]  # For "host" and "training".


@pytest.fixture
def scene() -> Iterator[object]:
    """An empty MRML scene, known to ``slicer.util``."""
    import slicer

    before = getattr(slicer, "mrmlScene", None)
    slicer.mrmlScene = slicer.vtkMRMLScene()
    yield slicer.mrmlScene
    slicer.mrmlScene.Clear(1)
    slicer.mrmlScene = before
