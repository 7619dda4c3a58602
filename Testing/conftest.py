"""What all tests share: the paths of the stand-in for Slicer and of the training, a scene, and one thread."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]  # For "host" and "training".
torch.set_num_threads(1)  # The images are small, and tests of several checkouts may run side by side.


@pytest.fixture
def scene() -> Iterator[object]:
    """An empty MRML scene, known to ``slicer.util``."""
    import slicer

    before, fresh = getattr(slicer, "mrmlScene", None), slicer.vtkMRMLScene()
    slicer.mrmlScene = fresh
    yield fresh
    fresh.Clear(1)
    slicer.mrmlScene = before
