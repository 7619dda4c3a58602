"""The stand-in for Slicer's Qt half has the habits of Slicer, so that tests of the module can be trusted."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import slicer

import host

host.start()
qt, ctk = sys.modules["qt"], sys.modules["ctk"]

MODULE = """
import pathlib
from typing import Annotated

import SampleData
import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import Choice, Default, WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import *
from slicer.util import VTKObservationMixin


def registerSampleData():
    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category="Tiny", sampleName="TinyPair", uris="made on the spot", fileNames="tiny",
        customDownloader=lambda source: slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode", source.sampleName))


class Tiny(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("Tiny")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Registration")]
        slicer.app.connect("startupCompleted()", registerSampleData)


@parameterNodeWrapper
class TinyParameters:
    volume: slicer.vtkMRMLScalarVolumeNode
    weight: Annotated[float, WithinRange(0, 10)] = 0.5
    steps: Annotated[int, Default(3)]
    preset: Annotated[str, Choice(["Fast", "Accurate"])] = "Fast"
    refine: bool = True
    output: pathlib.Path


class TinyWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/Tiny.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.ui.applyButton.connect("clicked(bool)", self.onApply)
        self.parameters = TinyParameters(TinyLogic().getParameterNode())
        self.tag = self.parameters.connectGui(self.ui)

    def exit(self):
        self.parameters.disconnectGui(self.tag)

    def onApply(self):
        with slicer.util.tryWithErrorDisplay(_("It did not work."), waitCursor=True):
            raise ValueError("no volume")


class TinyLogic(ScriptedLoadableModuleLogic):
    pass
"""


def _widget(kind: str, name: str, parameter: str = "", properties: str = "") -> str:
    bound = f'<property name="SlicerParameterName" stdset="0"><string>{parameter}</string></property>'
    return f'<item><widget class="{kind}" name="{name}">{bound if parameter else ""}{properties}</widget></item>'


def _property(name: str, kind: str, value: str) -> str:
    return f'<property name="{name}"><{kind}>{value}</{kind}></property>'


PANEL = f"""<?xml version="1.0" encoding="UTF-8"?>
<ui version="4.0"><class>Tiny</class>
<widget class="qMRMLWidget" name="Tiny"><layout class="QVBoxLayout">
<item><widget class="ctkCollapsibleButton" name="inputs">{_property("text", "string", "Inputs")}
<layout class="QVBoxLayout">
{_widget("qMRMLNodeComboBox", "volumeSelector", "volume", _property("noneEnabled", "bool", "true"))}
{_widget("ctkSliderWidget", "weightSlider", "weight", _property("singleStep", "double", "0.1"))}
{_widget("QSpinBox", "stepsSpinBox", "steps")}
{_widget("QComboBox", "presetComboBox", "preset")}
{_widget("QCheckBox", "refineCheckBox", "refine", _property("text", "string", "Refine"))}
{_widget("ctkPathLineEdit", "outputPath", "output")}
</layout></widget></item>
<item><widget class="ctkCollapsibleButton" name="advanced">{_property("text", "string", "Advanced")}
{_property("collapsed", "bool", "true")}<layout class="QVBoxLayout">
{_widget("QLabel", "hidden", "", _property("text", "string", "not to be seen"))}
</layout></widget></item>
{_widget("QPushButton", "applyButton", "", _property("text", "string", "Apply"))}
</layout></widget>
<customwidgets/><resources/>
<connections><connection><sender>Tiny</sender><signal>mrmlSceneChanged(vtkMRMLScene*)</signal>
<receiver>volumeSelector</receiver><slot>setMRMLScene(vtkMRMLScene*)</slot></connection></connections></ui>"""


@pytest.fixture
def tiny(tmp_path):
    (tmp_path / "Resources" / "UI").mkdir(parents=True)
    (tmp_path / "Resources" / "UI" / "Tiny.ui").write_text(PANEL)
    (tmp_path / "Tiny.py").write_text(MODULE)
    yield host.loadModule(tmp_path / "Tiny.py")
    host.stop()
    sys.path.remove(str(tmp_path))


@pytest.fixture
def ui(tiny) -> Any:
    return tiny.widget.ui


@pytest.fixture
def parameters(tiny) -> Any:
    return tiny.widget.parameters


def addVolume(name: str) -> Any:
    return slicer.util.addVolumeFromArray(np.zeros((1, 4, 4), np.float32), name=name)


def test_properties_are_attributes_and_not_methods():
    button = qt.QPushButton("Apply")
    button.enabled = False
    assert (button.text, button.enabled, button.isEnabled()) == ("Apply", False, False)
    with pytest.raises(TypeError):
        button.text()


def test_a_misspelt_attribute_is_an_error_on_qt_and_on_stand_ins():
    for widget in (qt.QPushButton(), ctk.ctkSliderWidget(), slicer.qMRMLNodeComboBox()):
        with pytest.raises(AttributeError):
            widget.enabeld = True


def test_enumerations_are_integers():
    assert qt.Qt.Checked == 2


def test_connect_passes_what_the_signature_names():
    button, calls = qt.QPushButton(), []
    assert button.connect("clicked(bool)", lambda *values: calls.append(values)) is True
    assert button.connect("clicked()", lambda *values: calls.append(values)) is True
    button.click()
    assert calls == [(False,), ()]


def test_connect_to_a_signal_that_does_not_exist_is_false(capsys):
    assert qt.QPushButton().connect("pushed()", print) is False
    assert "pushed()" in capsys.readouterr().out


def test_signals_of_stand_ins_are_named_as_in_slicer():
    selector = slicer.qMRMLNodeComboBox()
    assert selector.connect("currentNodeChanged(vtkMRMLNode*)", print)
    assert selector.connect("currentNodeChanged(bool)", print)
    assert ctk.ctkSliderWidget().connect("valueChanged(double)", print)


def test_selector_follows_the_scene(ui):
    volume = addVolume("first")
    ui.volumeSelector.setCurrentNode(volume)
    volume.SetName("renamed")
    assert ui.volumeSelector.findChild(qt.QComboBox).currentText == "renamed"
    slicer.mrmlScene.RemoveNode(volume)
    assert ui.volumeSelector.currentNode() is None


def test_selector_without_none_takes_the_first_node(ui):
    ui.volumeSelector.noneEnabled = False
    volume = addVolume("first")
    addVolume("second")
    assert ui.volumeSelector.currentNodeID == volume.GetID()


def test_selector_creates_and_selects_a_node_of_its_type(ui):
    ui.volumeSelector.baseName = "Warped"
    node = ui.volumeSelector.addNode()
    assert (node.GetName(), ui.volumeSelector.currentNode()) == ("Warped", node)


def test_a_class_without_a_stand_in_is_refused(tmp_path):
    (tmp_path / "Unknown.ui").write_text(PANEL.replace("ctkPathLineEdit", "ctkUnknownWidget"))
    with pytest.raises(NotImplementedError, match="ctkUnknownWidget"):
        slicer.util.loadUI(str(tmp_path / "Unknown.ui"))


def test_widgets_show_the_parameters(ui, parameters):
    parameters.volume = addVolume("first")
    parameters.weight = 2.5
    parameters.preset = "Accurate"
    parameters.refine = False
    shown = (ui.volumeSelector.currentNode(), ui.weightSlider.value, ui.presetComboBox.currentText)
    assert shown == (parameters.volume, 2.5, "Accurate")
    assert ui.refineCheckBox.checked is False


def test_parameters_take_what_the_widgets_say(ui, parameters, tmp_path):
    ui.volumeSelector.setCurrentNode(addVolume("first"))
    ui.weightSlider.value = 7
    ui.stepsSpinBox.value = 9
    ui.presetComboBox.currentIndex = 1
    ui.outputPath.currentPath = str(tmp_path)
    assert parameters.volume.GetName() == "first"
    assert (parameters.weight, parameters.steps, parameters.preset) == (7.0, 9, "Accurate")
    assert parameters.output == tmp_path


def test_disconnected_widgets_are_on_their_own(tiny, ui, parameters):
    parameters.disconnectGui(tiny.widget.tag)
    ui.weightSlider.value = 7
    assert parameters.weight == 0.5


@pytest.mark.parametrize(("name", "value"), [("weight", 11.0), ("preset", "Sloppy")])
def test_a_value_that_is_not_allowed_is_refused(parameters, name, value):
    with pytest.raises(ValueError, match="must be"):
        setattr(parameters, name, value)


def test_one_assignment_is_one_modified_event(parameters):
    events: list[str] = []
    parameters.AddObserver("ModifiedEvent", lambda node, event: events.append(event))
    parameters.volume = addVolume("first")
    assert len(events) == 1


def test_parameters_survive_a_saved_scene(tiny, parameters, tmp_path):
    parameters.weight = 4.25
    parameters.volume = addVolume("first")
    slicer.mrmlScene.SetURL(str(tmp_path / "scene.mrml"))
    slicer.mrmlScene.Commit()
    scene = slicer.vtkMRMLScene()
    scene.SetURL(str(tmp_path / "scene.mrml"))
    scene.Connect()
    restored = tiny.module.TinyParameters(scene.GetFirstNodeByClass("vtkMRMLScriptedModuleNode"))
    assert (restored.weight, restored.volume.GetName()) == (4.25, "first")


def test_an_optional_node_cannot_be_connected(ui):
    @slicer.parameterNodeWrapper.parameterNodeWrapper
    class Optional:
        volume: slicer.vtkMRMLScalarVolumeNode | None

    with pytest.raises(RuntimeError, match="GUI connector"):
        Optional(slicer.vtkMRMLScriptedModuleNode()).connectGui(SimpleNamespace(volume=ui.volumeSelector))


def test_an_error_in_a_slot_is_shown_and_remembered(ui):
    ui.applyButton.click()
    assert host.messages == [("error", "It did not work.\n\nno volume")]
    assert [type(error) for error in host.uncaught] == [ValueError]


@pytest.mark.parametrize("answer", [True, False])
def test_questions_get_the_answer_that_was_set(answer):
    host.answerDialogs(answer)
    assert slicer.util.confirmOkCancelDisplay("Go on?") is answer
    host.stop()


def test_a_clicked_sample_makes_its_node(tiny):
    assert host.clickSample("TinyPair").GetName() == "TinyPair"


def test_slice_views_are_real(tiny):
    slicer.util.setSliceViewerLayers(background=addVolume("first"), fit=True)
    view = slicer.app.layoutManager().sliceWidget("Red")
    assert view.sliceLogic().GetBackgroundLayer().GetVolumeNode().GetName() == "first"
    assert view.mrmlSliceNode().GetOrientation() == "Axial"


def test_closing_the_scene_gives_the_defaults_back(ui, parameters):
    parameters.weight = 4.0
    parameters.volume = addVolume("first")
    slicer.mrmlScene.Clear(0)
    assert (parameters.weight, parameters.volume, ui.volumeSelector.currentNode()) == (0.5, None, None)
    assert host.uncaught == []


def test_a_module_may_observe_its_parameters(tiny, parameters):
    calls: list[str] = []
    tiny.widget.addObserver(parameters, "ModifiedEvent", lambda caller, event: calls.append(event))
    parameters.weight = 4.0
    assert calls == ["ModifiedEvent"]


def test_a_collapsed_section_takes_the_height_of_its_title(tiny, ui, tmp_path):
    host.grab(tiny.panel, tmp_path / "collapsed.png")
    height = tiny.panel.height
    ui.advanced.collapsed = False
    host.grab(tiny.panel, tmp_path / "open.png")
    assert tiny.panel.height > height


def test_nothing_can_be_installed():
    with pytest.raises(ModuleNotFoundError):
        slicer.util.pip_install("something")
