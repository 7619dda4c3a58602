"""The parameter node outside the application keeps values as Slicer keeps them."""

from __future__ import annotations

import subprocess
import sys
from typing import Annotated, Any

import pytest
import slicer

from UnsupervisedRegistrationLib.interaction.typed_parameters import Choice, WithinRange, parameterNodeWrapper


class Fields:
    colour: Annotated[str, Choice(["red", "cyan"])] = "red"
    share: Annotated[float, WithinRange(0.0, 1.0)] = 0.5
    isOn: bool = False
    count: int = 3
    volume: slicer.vtkMRMLScalarVolumeNode


@pytest.fixture
def node(scene: Any) -> Any:
    return scene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")


def wrapped(node: Any) -> Any:
    return parameterNodeWrapper(Fields)(node)


def test_defaults_are_stored_as_texts(node: Any) -> None:
    wrapped(node)
    stored = {name: node.GetParameter(name) for name in ("colour", "share", "isOn", "count")}
    assert stored == {"colour": "red", "share": "0.5", "isOn": "False", "count": "3"}


def test_values_of_the_node_are_kept(node: Any) -> None:
    node.SetParameter("isOn", "True")
    node.SetParameter("share", "0.25")
    assert (wrapped(node).isOn, wrapped(node).share) == (True, 0.25)


def test_a_node_is_a_reference_and_may_be_none(scene: Any, node: Any) -> None:
    volume = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    fields = wrapped(node)
    fields.volume = volume
    assert node.GetNodeReference("volume") is volume
    fields.volume = None
    assert fields.volume is None


@pytest.mark.parametrize(("name", "value"), [("colour", "blue"), ("share", 1.5), ("count", "3"), ("isOn", None)])
def test_a_value_that_does_not_fit_is_refused_and_changes_nothing(node: Any, name: str, value: object) -> None:
    fields = wrapped(node)
    before = getattr(fields, name)
    with pytest.raises(ValueError, match=r"choose|needed"):
        setattr(fields, name, value)
    assert getattr(fields, name) == before


def test_parameters_need_no_application() -> None:
    """In a process of its own, since other tests stand in for the application."""
    code = (
        "import slicer; from UnsupervisedRegistrationLib.interaction.parameters import readParameters;"
        "import UnsupervisedRegistrationLib.interaction.live_controller;"
        "scene = slicer.vtkMRMLScene();"
        "print(readParameters(scene.AddNewNodeByClass('vtkMRMLScriptedModuleNode')).overlay)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "Blend", done.stderr
