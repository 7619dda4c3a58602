"""The stand-in for Slicer's Qt half has the habits of Slicer, so that tests of the module can be trusted."""

from __future__ import annotations

import sys
import threading
from types import SimpleNamespace
from typing import Annotated, Any

import numpy as np
import pytest
import slicer

import host
from host.widgets import ctkCollapsibleButton, ctkSliderWidget, qMRMLNodeComboBox

host.start()
qt = sys.modules["qt"]

MODULE = """
from typing import Annotated

import SampleData
import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import Choice, parameterNodeWrapper
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
    steps: int = 3
    preset: Annotated[str, Choice(["Fast", "Accurate"])] = "Fast"
    refine: bool = True


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
        named = {widget.property("SlicerParameterName"): widget for widget in vars(self.ui).values()}
        self.tag = self.parameters.connectParametersToGui({name: w for name, w in named.items() if name})

    def enter(self):
        self.entered = self.parent.isEntered

    def exit(self):
        self.entered = self.parent.isEntered
        self.parameters.disconnectGui(self.tag)

    def cleanup(self):
        self.removeObservers()

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
{_widget("QSpinBox", "stepsSpinBox", "steps")}
{_widget("QComboBox", "presetComboBox", "preset")}
{_widget("QCheckBox", "refineCheckBox", "refine", _property("text", "string", "Refine"))}
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
    host.start()
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
    for widget in (qt.QPushButton(), ctkCollapsibleButton(), qMRMLNodeComboBox()):
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
    assert qMRMLNodeComboBox().connect("currentNodeChanged(vtkMRMLNode*)", print)


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
    assert ui.volumeSelector.currentNode() is volume


def test_selector_refuses_a_node_of_another_type(ui):
    ui.volumeSelector.setCurrentNode(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode"))
    assert ui.volumeSelector.currentNode() is None


def test_a_class_without_a_stand_in_is_refused(tmp_path):
    (tmp_path / "Unknown.ui").write_text(PANEL.replace("QSpinBox", "ctkUnknownWidget"))
    with pytest.raises(NotImplementedError, match="ctkUnknownWidget"):
        slicer.util.loadUI(str(tmp_path / "Unknown.ui"))


def test_widgets_show_the_parameters(ui, parameters):
    parameters.volume = addVolume("first")
    parameters.steps = 9
    parameters.preset = "Accurate"
    parameters.refine = False
    shown = (ui.volumeSelector.currentNode(), ui.stepsSpinBox.value, ui.presetComboBox.currentText)
    assert shown == (parameters.volume, 9, "Accurate")
    assert ui.refineCheckBox.checked is False


def test_parameters_take_what_the_widgets_say(ui, parameters):
    ui.volumeSelector.setCurrentNode(addVolume("first"))
    ui.stepsSpinBox.value = 9
    ui.presetComboBox.currentIndex = 1
    ui.refineCheckBox.checked = False
    assert parameters.volume.GetName() == "first"
    assert (parameters.steps, parameters.preset, parameters.refine) == (9, "Accurate", False)


def test_disconnected_widgets_are_on_their_own(tiny, ui, parameters):
    parameters.disconnectGui(tiny.widget.tag)
    ui.stepsSpinBox.value = 9
    assert parameters.steps == 3


def test_a_value_that_is_not_allowed_is_refused(parameters):
    with pytest.raises(ValueError, match="must be"):
        parameters.preset = "Sloppy"
    with pytest.raises(TypeError, match="must be"):
        parameters.steps = 2.5


def test_one_assignment_is_one_modified_event(tiny, parameters):
    events: list[str] = []
    tiny.widget.addObserver(parameters.parameterNode, "ModifiedEvent", lambda node, event: events.append(event))
    parameters.volume = addVolume("first")
    assert events == ["ModifiedEvent"]


def test_parameters_survive_a_saved_scene(tiny, parameters, tmp_path):
    parameters.steps = 4
    parameters.volume = addVolume("first")
    slicer.mrmlScene.SetURL(str(tmp_path / "scene.mrml"))
    slicer.mrmlScene.Commit()
    scene = slicer.vtkMRMLScene()
    scene.SetURL(str(tmp_path / "scene.mrml"))
    scene.Connect()
    restored = tiny.module.TinyParameters(scene.GetSingletonNode("Tiny", "vtkMRMLScriptedModuleNode"))
    assert (restored.steps, restored.volume.GetName()) == (4, "first")


def test_a_type_that_no_panel_can_show_is_refused():
    with pytest.raises(TypeError, match="serializer"):

        @slicer.parameterNodeWrapper.parameterNodeWrapper
        class Optional:
            volume: slicer.vtkMRMLScalarVolumeNode | None


@pytest.mark.parametrize("wrong", ["stepsSpinBox", "presetComboBox", "applyButton"])
def test_a_widget_that_cannot_show_a_parameter_is_refused(ui, wrong):
    @slicer.parameterNodeWrapper.parameterNodeWrapper
    class Text:
        name: str

    widget = getattr(ui, wrong)
    widget.setProperty("SlicerParameterName", "name")
    with pytest.raises(RuntimeError, match="GUI connector"):
        Text(slicer.vtkMRMLScriptedModuleNode()).connectGui(SimpleNamespace(widget=widget))


def test_an_error_in_a_slot_is_shown_and_remembered(ui):
    ui.applyButton.click()
    assert host.messages == [("Critical", "It did not work.\n\nno volume")]
    assert [type(error) for error in host.uncaught] == [ValueError]


def test_a_question_is_not_answered():
    with pytest.raises(NotImplementedError, match="Go on"):
        slicer.util.confirmOkCancelDisplay("Go on?")
    host.stop()


def test_a_clicked_sample_makes_its_node(tiny):
    assert host.clickSample("TinyPair").GetName() == "TinyPair"


def test_slice_views_are_real(tiny):
    view = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeRed")
    addVolume("first")
    for layers in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
        layers.SetBackgroundVolumeID(slicer.util.getNode("first").GetID())
    slicer.util.resetSliceViews()
    assert view.GetOrientation() == "Axial"
    assert view.GetFieldOfView()[:2] == pytest.approx((4, 4))


def test_a_panel_knows_whether_it_is_entered(tiny):
    assert (tiny.panel.isEntered, tiny.widget.entered) == (True, True)
    tiny.panel.exit()
    assert (tiny.panel.isEntered, tiny.widget.entered) == (False, False)


def test_closing_the_scene_gives_the_defaults_back(ui, parameters):
    parameters.steps = 4
    parameters.volume = addVolume("first")
    slicer.mrmlScene.Clear(0)
    assert (parameters.steps, parameters.volume, ui.volumeSelector.currentNode()) == (3, None, None)
    assert host.uncaught == []


def test_a_collapsed_section_takes_the_height_of_its_title(tiny, ui, tmp_path):
    host.grab(tiny.panel, tmp_path / "collapsed.png")
    height = tiny.panel.height
    ui.advanced.collapsed = False
    host.grab(tiny.panel, tmp_path / "open.png")
    assert tiny.panel.height > height


def test_a_collapsed_section_opens_by_a_press_on_its_title(ui):
    ui.advanced.findChild(qt.QToolButton).click()
    assert ui.advanced.collapsed is False


def test_nothing_can_be_installed():
    with pytest.raises(ModuleNotFoundError):
        slicer.util.pip_install("something")


def test_a_slider_has_the_limits_of_its_parameter_and_both_follow_each_other():
    @slicer.parameterNodeWrapper.parameterNodeWrapper
    class Opacity:
        share: Annotated[float, slicer.parameterNodeWrapper.WithinRange(0.2, 0.9)] = 0.5

    slider, opacity = ctkSliderWidget(), Opacity(slicer.vtkMRMLScriptedModuleNode())
    opacity.connectParametersToGui({"share": slider})
    assert (slider.minimum, slider.maximum, slider.value) == (0.2, 0.9, 0.5)
    slider.value = 0.7
    assert opacity.share == 0.7
    opacity.share = 0.25
    assert slider.value == 0.25
    with pytest.raises(ValueError, match="within range"):
        opacity.share = 1.5


def test_a_slider_tells_each_change_once_and_knows_no_other_name():
    slider, values = ctkSliderWidget(), []
    assert slider.connect("valueChanged(double)", values.append)
    slider.value = 7
    slider.value = 7
    assert values == [7.0]
    with pytest.raises(AttributeError):
        slider.vlaue = 3


def test_a_section_tells_that_it_opens():
    section, opened = ctkCollapsibleButton(), []
    assert section.connect("contentsCollapsed(bool)", opened.append)
    section.collapsed = True
    section.collapsed = True
    assert opened == [True]


def test_a_file_dialog_gives_the_answer_of_the_test_and_asks_nobody_else():
    host.answers.append("table.csv")
    assert qt.QFileDialog.getSaveFileName(None, "Save", "", "CSV (*.csv)") == "table.csv"
    with pytest.raises(NotImplementedError, match="Save"):
        qt.QFileDialog.getSaveFileName(None, "Save", "", "CSV (*.csv)")


def test_settings_are_forgotten_between_tests():
    qt.QSettings().setValue("folder", "somewhere")
    assert qt.QSettings().value("folder", "") == "somewhere"
    host.stop()
    assert qt.QSettings().value("folder", "") == ""


def test_an_error_in_a_thread_is_remembered():
    thread = threading.Thread(target=lambda: 1 / 0)
    thread.start()
    thread.join()
    assert [type(error) for error in host.uncaught] == [ZeroDivisionError]
    host.stop()


def test_timers_run_while_one_waits_and_waiting_ends():
    timer, ticks = qt.QTimer(), []
    timer.setSingleShot(True)
    timer.connect("timeout()", lambda: ticks.append(1))
    timer.start(5)
    host.waitUntil(lambda: ticks)
    with pytest.raises(TimeoutError):
        host.waitUntil(lambda: False, 0.02)


def test_dark_colours_reach_every_widget():
    host.setDark(True)
    assert qt.QLabel().palette.color(qt.QPalette.Window).lightness() < 100
    host.setDark(False)
    assert qt.QLabel().palette.color(qt.QPalette.Window).lightness() > 200


def test_a_selector_leaves_out_the_hidden_ids(ui):
    volume = addVolume("first")
    ui.volumeSelector.sortFilterProxyModel().hiddenNodeIDs = [volume.GetID()]
    ui.volumeSelector.setCurrentNode(volume)
    assert ui.volumeSelector.currentNode() is None


def test_a_node_gets_an_item_of_the_hierarchy_unless_it_is_hidden_when_it_comes(tiny):
    shown, hidden = addVolume("shown"), slicer.vtkMRMLScalarVolumeNode()
    hidden.SetHideFromEditors(True)
    slicer.mrmlScene.AddNode(hidden)
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    assert hierarchy.GetItemByDataNode(shown)
    assert not hierarchy.GetItemByDataNode(hidden)
