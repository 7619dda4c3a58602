"""Deformable registration of 2-D CT and MR slices, as a module of 3D Slicer."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)

from UnsupervisedRegistrationLib.interaction.choices import ORIENTATIONS
from UnsupervisedRegistrationLib.interaction.logic import RegistrationLogic
from UnsupervisedRegistrationLib.interaction.parameters import RegistrationParameters, readParameters
from UnsupervisedRegistrationLib.panel.panel import RegistrationPanel
from UnsupervisedRegistrationLib.panel.pytorch import PyTorchExtension
from UnsupervisedRegistrationLib.panel.sample_data import SAMPLES, addSample, registerLayout, registerSampleData

_ICONS = Path(__file__).parent / "Resources" / "Icons"


class UnsupervisedRegistration(ScriptedLoadableModule):
    """What Slicer shows about the module."""

    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("Unsupervised Registration")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Registration")]
        parent.dependencies = []
        parent.contributors = ["SlicerUnsupervisedRegistration contributors"]
        parent.helpText = _(
            "Registers a slice of one volume to a slice of another with a network that was trained without labels."
            " Choose two volumes and a slice, and press Apply."
            ' <a href="https://github.com/SlicerUnsupervisedRegistration/SlicerUnsupervisedRegistration">Tutorial</a>.'
            " Not a medical device."
        )
        parent.acknowledgementText = _(
            "After Shan et al., Unsupervised End-to-end Learning for Deformable Medical Image Registration,"
            " arXiv 1711.08608."
        )
        slicer.app.connect("startupCompleted()", lambda: registerSampleData(_ICONS))
        slicer.app.connect("startupCompleted()", registerLayout)


class UnsupervisedRegistrationWidget(ScriptedLoadableModuleWidget, RegistrationPanel):
    """The panel; see ``RegistrationPanel``."""

    def __init__(self, parent: Any = None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        RegistrationPanel.__init__(self)

    def setup(self) -> None:
        """Builds the panel."""
        ScriptedLoadableModuleWidget.setup(self)
        panel = slicer.util.loadUI(self.resourcePath("UI/UnsupervisedRegistration.ui"))
        self.layout.addWidget(panel)
        panel.setMRMLScene(slicer.mrmlScene)
        self.build(slicer.util.childWidgetVariables(panel), UnsupervisedRegistrationLogic())

    def cleanup(self) -> None:
        """Releases the scene."""
        RegistrationPanel.cleanup(self)

    def enter(self) -> None:
        """Binds the parameter node when the panel is shown."""
        RegistrationPanel.enter(self)

    def exit(self) -> None:
        """Releases the parameter node when the panel is left."""
        RegistrationPanel.exit(self)

    def onReload(self) -> None:
        """Reloads the library as well, which Slicer does not know."""
        for name in [name for name in sys.modules if name.startswith("UnsupervisedRegistrationLib")]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)


class UnsupervisedRegistrationLogic(ScriptedLoadableModuleLogic, RegistrationLogic):
    """The scripting API; see ``RegistrationLogic``."""

    def __init__(self) -> None:
        ScriptedLoadableModuleLogic.__init__(self)
        RegistrationLogic.__init__(self, PyTorchExtension())

    def getParameterNode(self) -> RegistrationParameters:
        """The parameters of the panel."""
        return readParameters(super().getParameterNode())


class UnsupervisedRegistrationTest(ScriptedLoadableModuleTest):
    """Runs in Slicer by Reload and Test, and as a unit test of the extension."""

    def setUp(self) -> None:
        """Begins in an empty scene; without PyTorch there is nothing to test, and a test must not install it."""
        if importlib.util.find_spec("torch") is None:
            self.skipTest("PyTorch is not installed")
        slicer.mrmlScene.Clear(0)

    def runTest(self) -> None:
        """Registers both phantoms by script and one through the panel, and validates the quality report."""
        for test in (self.test_Script, self.test_Parameters, self.test_Validation):
            self.setUp()
            test()

    def test_Script(self) -> None:
        """The target registration error of a phantom becomes less than half."""
        from UnsupervisedRegistrationLib.scene.landmarks.tre_table import targetRegistrationError

        for kind in SAMPLES.values():
            fixed, moving, fixedLandmarks, movingLandmarks = addSample(kind)
            result = UnsupervisedRegistrationLogic().register(fixed, moving)
            errors = targetRegistrationError(fixedLandmarks, movingLandmarks, result.transformNode, moving)
            before, after = (np.linalg.norm(vectors, axis=1).mean() for vectors in (errors.before, errors.after))
            self.assertLess(after, before / 2)
            self.assertEqual(result.registration.folding, 0)

    def test_Parameters(self) -> None:
        """Apply fills the chosen outputs, sets the transform of the moving volume, and keeps the result."""
        from UnsupervisedRegistrationLib.scene.history.result_history import storedResults

        logic = UnsupervisedRegistrationLogic()
        parameters = logic.getParameterNode()
        nodes = addSample("head")
        parameters.fixedVolume, parameters.movingVolume = nodes[:2]
        parameters.fixedLandmarks, parameters.movingLandmarks = nodes[2:]
        parameters.sliceSource = next(iter(ORIENTATIONS))
        parameters.sliceIndex = 7
        self.assertIn("landmarks", logic.apply(parameters).sentence)
        self.assertEqual(len(storedResults(slicer.mrmlScene)), 1)
        self.assertIs(parameters.movingVolume.GetParentTransformNode(), parameters.transform)
        self.assertEqual(parameters.warpedVolume.GetImageData().GetDimensions(), (176, 208, 1))

    def test_Validation(self) -> None:
        """The quality report says of known transforms, structures and images what is expected."""
        from UnsupervisedRegistrationLib.scene.reporting.validation import validate

        self.assertEqual([row for row in validate() if not row.passed], [])
