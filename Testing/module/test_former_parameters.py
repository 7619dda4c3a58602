"""A scene of an earlier version keeps the settings of its panel."""

from __future__ import annotations

from typing import Any

import slicer

import host


def formerNode() -> Any:
    """A parameter node as an earlier version stored it."""
    node = slicer.vtkMRMLScriptedModuleNode()
    node.SetSingletonTag("UnsupervisedRegistration")
    node.SetAttribute("ModuleName", "UnsupervisedRegistration")
    table = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", "Landmark errors")
    values = {"confined": "False", "overlay": "Trust", "smoothnessWeight": "2.0", "errorTable": "", "refine": "False"}
    for name, value in (values | {"model": "Automatic", "refineSeconds": "10.0"}).items():
        node.SetParameter(name, value)
    node.SetNodeReferenceID("errorTable", table.GetID())
    return node


def test_settings_under_former_names_are_shown(loaded: host.Loaded) -> None:
    slicer.mrmlScene.Clear(0)
    loaded.panel.exit()
    slicer.mrmlScene.RemoveNode(loaded.widget.logic.getParameterNode().parameterNode)
    slicer.mrmlScene.AddNode(formerNode())
    loaded.panel.enter()
    ui, parameters = loaded.widget.ui, loaded.widget.parameters
    assert not ui.thisSliceOnlyCheckBox.checked
    assert ui.overlaySelector.currentText == "Trust map"
    assert ui.smoothnessSlider.value == 2.0
    assert ui.presetSelector.currentText == "fast"
    assert (parameters.model, ui.modelSelector.currentText) == ("auto", "Automatic")
    assert parameters.treTable.GetName() == "Landmark errors"


def test_a_former_name_is_read_only_once(loaded: host.Loaded) -> None:
    node = loaded.widget.parameters.parameterNode
    node.SetParameter("confined", "False")
    loaded.panel.exit()
    loaded.panel.enter()
    loaded.widget.parameters.thisSliceOnly = True
    loaded.panel.exit()
    loaded.panel.enter()
    assert loaded.widget.parameters.thisSliceOnly
