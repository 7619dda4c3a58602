"""PyTorch is loaded while the user chooses the volumes, and the panel says so when it has to wait."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import host

ROOT = Path(__file__).parents[2]
MODULE = ROOT / "UnsupervisedRegistration" / "UnsupervisedRegistration.py"


def test_an_open_module_loads_torch_without_a_press_of_a_button() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'Testing')!r}); import host; host.start();"
        f" loaded = host.loadModule({str(MODULE)!r}); assert not loaded.widget.torchLoader.isDone;"
        " host.waitUntil(lambda: loaded.widget.torchLoader.isDone, 120); host.stop()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_waiting_for_torch_is_said(loaded: host.Loaded, ui: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(type(loaded.widget.torchLoader), "isDone", property(lambda self: False))
    monkeypatch.setattr(loaded.widget.logic, "requireTorch", lambda: said.append(ui.statusLabel.text))
    ui.applyButton.click()
    assert said[0].startswith("Loading PyTorch")
    assert "Loading" not in ui.statusLabel.text
