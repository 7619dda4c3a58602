"""Deformable registration of 2-D CT and MR slices, as a module of 3D Slicer."""

import importlib.util
import logging
import os
import sys
from typing import Annotated, Any

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import Choice, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

IN_VIEW = "Shown in a slice view"
ORIENTATIONS = {"Axial, by index": "axial", "Sagittal, by index": "sagittal", "Coronal, by index": "coronal"}
DEVICES = ["auto", "cpu", "cuda", "mps"]
SAMPLES = {"RegistrationHead": "head", "RegistrationAbdomen": "abdomen"}


class UnsupervisedRegistration(ScriptedLoadableModule):
    """What Slicer shows about the module."""

    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("Unsupervised Registration")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Registration")]
        parent.dependencies = []
        parent.contributors = ["SlicerUnsupervisedRegistration contributors"]
        parent.helpText = _(
            "Warps a slice of one volume onto a slice of another with a network that learned without labels."
            " Choose two volumes and a slice, and press Apply."
            ' <a href="https://github.com/SlicerUnsupervisedRegistration/SlicerUnsupervisedRegistration">Tutorial</a>.'
            " Not a medical device."
        )
        parent.acknowledgementText = _(
            "After Shan et al., Unsupervised End-to-end Learning for Deformable Medical Image Registration,"
            " arXiv 1711.08608."
        )
        slicer.app.connect("startupCompleted()", registerSampleData)


def registerSampleData() -> None:
    """Adds the two drawn patients to the Sample Data module; they are made on the spot, nothing is downloaded."""
    import SampleData

    icons = os.path.join(os.path.dirname(__file__), "Resources", "Icons")
    for sampleName, kind in SAMPLES.items():
        SampleData.SampleDataLogic.registerCustomSampleDataSource(
            category="UnsupervisedRegistration",
            sampleName=sampleName,
            uris=[""],
            fileNames=[sampleName],
            nodeNames=[sampleName],
            thumbnailFileName=os.path.join(icons, f"{sampleName}.png"),
            customDownloader=lambda source, kind=kind: _addSample(kind),
        )


def _addSample(kind: str) -> list[Any]:
    """Draws a patient into the scene and shows the pair over each other."""
    from UnsupervisedRegistrationLib.scene.display import showOverlay
    from UnsupervisedRegistrationLib.scene.phantoms import addPhantom
    from UnsupervisedRegistrationLib.scene.planes import planeFromIndex

    nodes = addPhantom(slicer.mrmlScene, kind)
    showOverlay(nodes.fixedVolume, nodes.movingVolume, planeFromIndex(nodes.fixedVolume, "axial"))
    if slicer.app.layoutManager():  # There is none without a main window.
        slicer.util.resetSliceViews()
    return [nodes.fixedVolume, nodes.movingVolume, nodes.fixedLandmarks, nodes.movingLandmarks]


@parameterNodeWrapper
class UnsupervisedRegistrationParameterNode:
    """What the panel shows and a saved scene keeps.

    Attributes:
        fixedVolume: Stays where it is.
        movingVolume: Is warped.
        sliceSource: A view, or an orientation and an index.
        sliceView: The view.
        sliceIndex: Of the fixed slice, from 0.
        model: Name or file.
        mask: Segmentation or labelmap of the region that matters.
        transform: Receives the displacement.
        warpedVolume: Receives the warped slice.
        fixedLandmarks: Paired by label with ..
        movingLandmarks: .. these.
        errorTable: Receives their distances.
        device: Where the network runs.
        confined: Warp this slice alone.
    """

    fixedVolume: slicer.vtkMRMLScalarVolumeNode
    movingVolume: slicer.vtkMRMLScalarVolumeNode
    sliceSource: Annotated[str, Choice([IN_VIEW, *ORIENTATIONS])] = IN_VIEW
    sliceView: slicer.vtkMRMLSliceNode
    sliceIndex: int = 0
    model: str = "any-contrast"
    mask: slicer.vtkMRMLNode
    transform: slicer.vtkMRMLTransformNode
    warpedVolume: slicer.vtkMRMLScalarVolumeNode
    fixedLandmarks: slicer.vtkMRMLMarkupsFiducialNode
    movingLandmarks: slicer.vtkMRMLMarkupsFiducialNode
    errorTable: slicer.vtkMRMLTableNode
    device: Annotated[str, Choice(DEVICES)] = "auto"
    confined: bool = True


class UnsupervisedRegistrationWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Signals in, state out."""

    def __init__(self, parent: Any = None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic: UnsupervisedRegistrationLogic | None = None
        self._parameterNode: Any = None
        self._guiTag: Any = None

    def setup(self) -> None:
        """Builds the panel."""
        ScriptedLoadableModuleWidget.setup(self)
        panel = slicer.util.loadUI(self.resourcePath("UI/UnsupervisedRegistration.ui"))
        self.layout.addWidget(panel)
        self.ui = slicer.util.childWidgetVariables(panel)
        panel.setMRMLScene(slicer.mrmlScene)
        self.logic = UnsupervisedRegistrationLogic()
        self.ui.modelSelector.addItems(self.logic.modelNames())
        self.ui.modelSelector.connect("currentTextChanged(QString)", self.onModelChanged)
        self.ui.maskSelector.connect("currentNodeChanged(vtkMRMLNode*)", self.onMaskChanged)
        self.ui.applyButton.connect("clicked(bool)", self.onApply)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.initializeParameterNode()

    def cleanup(self) -> None:
        """Lets go of the scene."""
        self.setParameterNode(None)
        self.removeObservers()

    def enter(self) -> None:
        """Takes up the parameter node when the panel is shown."""
        self.initializeParameterNode()

    def exit(self) -> None:
        """Lets go of the parameter node when the panel is left."""
        self.setParameterNode(None)

    def onReload(self) -> None:
        """Reloads the library too, of which Slicer knows nothing."""
        for name in [name for name in sys.modules if name.startswith("UnsupervisedRegistrationLib")]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)

    def onSceneStartClose(self, caller: Any, event: str) -> None:
        """Lets go of nodes that are about to vanish."""
        self.setParameterNode(None)

    def onSceneEndClose(self, caller: Any, event: str) -> None:
        """Starts afresh in the empty scene."""
        if self.parent.isEntered:
            self.initializeParameterNode()

    def initializeParameterNode(self) -> None:
        """Binds the panel to the scene's parameters and proposes the red view."""
        self.setParameterNode(self.logic.getParameterNode())
        if not self._parameterNode.sliceView:
            self._parameterNode.sliceView = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeRed")

    def setParameterNode(self, parameterNode: Any) -> None:
        """Binds the panel to other parameters, or to none."""
        if self._parameterNode:
            self._parameterNode.disconnectGui(self._guiTag)
            self.removeObserver(self._parameterNode.parameterNode, vtk.vtkCommand.ModifiedEvent, self.onModified)
        self._parameterNode = parameterNode
        if parameterNode:
            # Unlike connectGui this gives the tag that disconnectGui needs in every version of Slicer.
            named = {widget.property("SlicerParameterName"): widget for widget in vars(self.ui).values()}
            bound = {name: widget for name, widget in named.items() if name}
            self._guiTag = parameterNode.connectParametersToGui(bound)
            self.addObserver(parameterNode.parameterNode, vtk.vtkCommand.ModifiedEvent, self.onModified)
            self.onModified()

    def onModelChanged(self, name: str) -> None:
        """Keeps the chosen model; the list is not bound because it depends on the files found."""
        if self._parameterNode and name:
            self._parameterNode.model = name

    def onMaskChanged(self, node: Any) -> None:
        """Keeps the chosen mask; it is not bound because it may be of two kinds."""
        if self._parameterNode:
            self._parameterNode.mask = node

    def onModified(self, caller: Any = None, event: str = "") -> None:
        """Shows the parameters that are not bound, and what is missing before Apply."""
        parameters, ui = self._parameterNode, self.ui
        if not parameters:
            return
        inView = parameters.sliceSource == IN_VIEW
        ui.sliceViewLabel.visible = ui.sliceViewSelector.visible = inView
        ui.sliceIndexLabel.visible = ui.sliceIndexSpinBox.visible = not inView
        ui.sliceIndexSpinBox.setRange(0, self.logic.sliceCount(parameters) - 1)
        if ui.modelSelector.findText(parameters.model) < 0:  # A file, chosen by a script or a saved scene.
            ui.modelSelector.addItem(parameters.model)
        ui.modelSelector.setCurrentText(parameters.model)
        ui.maskSelector.setCurrentNode(parameters.mask)
        missing = self.logic.missing(parameters)
        ui.applyButton.enabled = not missing
        ui.applyButton.toolTip = missing or _("Warp the moving slice onto the fixed slice")

    def onApply(self, checked: bool = False) -> None:
        """Registers, and shows the pair over each other and one sentence about it."""
        self.ui.progressBar.visible = True
        self.ui.applyButton.enabled = False
        sentence = self.ui.statusLabel.text
        try:
            with slicer.util.tryWithErrorDisplay(_("The slices were not registered.")):
                self.logic.requireTorch()  # May ask, so not under the wait cursor.
            with slicer.util.tryWithErrorDisplay(_("The slices were not registered."), waitCursor=True):
                sentence = self.logic.apply(self._parameterNode, self.showProgress)
        finally:
            self.ui.statusLabel.text = sentence
            self.ui.progressBar.visible = False
            self.onModified()

    def showProgress(self, step: str, share: float) -> None:
        """Shows the step that begins; clicks wait until the end."""
        import qt

        self.ui.progressBar.value = round(100 * share)
        self.ui.statusLabel.text = step
        slicer.app.processEvents(qt.QEventLoop.ExcludeUserInputEvents)


class UnsupervisedRegistrationLogic(ScriptedLoadableModuleLogic):
    """The scripting API.

    Example::

        from UnsupervisedRegistration import UnsupervisedRegistrationLogic
        outcome = UnsupervisedRegistrationLogic().register(fixedVolume, movingVolume)
        print(outcome.transformNode.GetName(), outcome.registration.similarity_after)
    """

    def getParameterNode(self) -> UnsupervisedRegistrationParameterNode:
        """The parameters of the panel."""
        return UnsupervisedRegistrationParameterNode(super().getParameterNode())

    def register(self, fixedVolume: Any, movingVolume: Any, **settings: Any) -> Any:
        """Registers a slice of ``movingVolume`` to one of ``fixedVolume``.

        Args:
            fixedVolume: Stays where it is.
            movingVolume: Is put under the new transform.
            **settings: See ``scene.registration.registerSlice``: ``plane``, ``model``, ``maskNode``, ``device`` ..

        Returns:
            ``scene.registration.SliceRegistration`` with ``transformNode``, ``warpedVolume`` and the measures.

        Raises:
            RuntimeError: PyTorch is missing and was not installed.
            ValueError: Something does not fit; the sentence says what.
        """
        self.requireTorch()
        from UnsupervisedRegistrationLib.scene.registration import registerSlice

        return registerSlice(fixedVolume, movingVolume, **settings)

    def apply(self, parameters: UnsupervisedRegistrationParameterNode, progress: Any = None) -> str:
        """Does what the panel's button does and says in a sentence what came out.

        Raises:
            RuntimeError: PyTorch is missing and was not installed.
            ValueError: Something does not fit; the scene is as it was.
        """
        from UnsupervisedRegistrationLib.scene.display import showOverlay

        missing = self.missing(parameters)
        if missing:
            raise ValueError(missing)
        if parameters.fixedLandmarks:
            self.checkLandmarks(parameters)
        self.keepOtherOutcome(parameters)
        outcome = self.register(
            parameters.fixedVolume,
            parameters.movingVolume,
            plane=self.plane(parameters),
            model=parameters.model,
            maskNode=parameters.mask,
            transformNode=parameters.transform,
            warpedVolume=parameters.warpedVolume,
            device=parameters.device,
            confined=parameters.confined,
            progress=progress,
        )
        parameters.transform, parameters.warpedVolume = outcome.transformNode, outcome.warpedVolume
        view = parameters.sliceView if parameters.sliceSource == IN_VIEW else None
        showOverlay(parameters.fixedVolume, parameters.movingVolume, outcome.pair.plane, view)
        return self.measure(parameters, outcome)

    def keepOtherOutcome(self, parameters: UnsupervisedRegistrationParameterNode) -> None:
        """Asks for new output nodes where the chosen ones hold the outcome of another moving volume."""
        from UnsupervisedRegistrationLib.scene.transforms import isOutcomeOf

        if parameters.transform and not isOutcomeOf(parameters.transform, parameters.movingVolume):
            parameters.transform = parameters.warpedVolume = None

    def measure(self, parameters: UnsupervisedRegistrationParameterNode, outcome: Any) -> str:
        """One sentence about an outcome; landmarks, if chosen, are measured into a table."""
        from UnsupervisedRegistrationLib.scene.errors import fillTable
        from UnsupervisedRegistrationLib.scene.landmarks import targetRegistrationError
        from UnsupervisedRegistrationLib.scene.report import describe

        errors = None
        if parameters.fixedLandmarks:
            errors = targetRegistrationError(
                parameters.fixedLandmarks, parameters.movingLandmarks, outcome.transformNode, parameters.movingVolume
            )
            if not parameters.errorTable:
                parameters.errorTable = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", "Landmark errors")
            fillTable(parameters.errorTable, errors)
        milliseconds = sum(outcome.registration.milliseconds.values())
        return _("{what}: {how}; {ms:.0f} ms on {device}.").format(
            what=outcome.pair.plane.name.capitalize(),
            how=describe(outcome, errors),
            ms=milliseconds,
            device=outcome.registration.device,
        )

    def plane(self, parameters: UnsupervisedRegistrationParameterNode) -> Any:
        """The plane that the parameters choose.

        Raises:
            ValueError: It does not cut the fixed volume.
        """
        from UnsupervisedRegistrationLib.scene.planes import planeFromIndex, planeFromSliceNode

        if parameters.sliceSource == IN_VIEW:
            return planeFromSliceNode(parameters.sliceView, parameters.fixedVolume)
        return planeFromIndex(parameters.fixedVolume, ORIENTATIONS[parameters.sliceSource], parameters.sliceIndex)

    def sliceCount(self, parameters: UnsupervisedRegistrationParameterNode) -> int:
        """How many slices of the chosen orientation the fixed volume has; 1 if there is none, or a view chooses."""
        from UnsupervisedRegistrationLib.scene.planes import sliceCount

        if not parameters.fixedVolume or parameters.sliceSource == IN_VIEW:
            return max(parameters.sliceIndex, 0) + 1
        try:
            return sliceCount(parameters.fixedVolume, ORIENTATIONS[parameters.sliceSource])
        except ValueError:
            return 1

    def missing(self, parameters: UnsupervisedRegistrationParameterNode) -> str:
        """What has to be chosen before Apply, or nothing."""
        if not parameters.fixedVolume or not parameters.movingVolume:
            return _("Choose a fixed and a moving volume")
        if parameters.fixedVolume is parameters.movingVolume:
            return _("Choose two different volumes as fixed and moving")
        if parameters.sliceSource == IN_VIEW and not parameters.sliceView:
            return _("Choose the slice view to register")
        if bool(parameters.fixedLandmarks) != bool(parameters.movingLandmarks):
            return _("Choose landmarks on both images, or on none")
        return ""

    def checkLandmarks(self, parameters: UnsupervisedRegistrationParameterNode) -> None:
        """Refuses landmarks that do not pair before anything is computed."""
        from UnsupervisedRegistrationLib.scene.landmarks import pairLandmarks

        pairLandmarks(parameters.fixedLandmarks, parameters.movingLandmarks)

    def modelNames(self) -> list[str]:
        """Models that can be chosen."""
        from UnsupervisedRegistrationLib.scene.models import modelNames

        return modelNames()

    def requireTorch(self) -> None:
        """Makes sure that PyTorch can be imported, asking the PyTorch extension to install it if need be.

        Raises:
            RuntimeError: It cannot.
        """
        try:
            import torch  # noqa: F401

            return
        except (ImportError, OSError):  # OSError: a half-installed torch cannot load its libraries.
            logging.info("PyTorch is not installed yet; asking the PyTorch extension.")
        try:
            import PyTorchUtils
        except ModuleNotFoundError as error:
            raise RuntimeError(
                _(
                    "This module needs the PyTorch extension. Install 'PyTorch' in the Extensions Manager,"
                    " restart Slicer, and press Apply again."
                )
            ) from error
        if PyTorchUtils.PyTorchUtilsLogic().installTorch(askConfirmation=True, torchVersionRequirement=">=2.0") is None:
            raise RuntimeError(_("PyTorch was not installed; press Apply again to install it."))


class UnsupervisedRegistrationTest(ScriptedLoadableModuleTest):
    """Runs in Slicer by Reload and Test, and as a unit test of the extension."""

    def setUp(self) -> None:
        """Starts in an empty scene; without PyTorch there is nothing to test, and a test must not install it."""
        if importlib.util.find_spec("torch") is None:
            self.skipTest("PyTorch is not installed")
        slicer.mrmlScene.Clear(0)

    def runTest(self) -> None:
        """Registers both drawn patients by script and one through the parameters of the panel."""
        for test in (self.test_Script, self.test_Parameters):
            self.setUp()
            test()

    def test_Script(self) -> None:
        """The landmarks of a drawn patient come closer by more than half."""
        from UnsupervisedRegistrationLib.scene.landmarks import targetRegistrationError

        for kind in SAMPLES.values():
            fixed, moving, fixedLandmarks, movingLandmarks = _addSample(kind)
            outcome = UnsupervisedRegistrationLogic().register(fixed, moving)
            errors = targetRegistrationError(fixedLandmarks, movingLandmarks, outcome.transformNode, moving)
            before, after = (np.linalg.norm(vectors, axis=1).mean() for vectors in (errors.before, errors.after))
            self.assertLess(after, before / 2)
            self.assertEqual(outcome.registration.folding, 0)

    def test_Parameters(self) -> None:
        """Apply fills the chosen outputs and puts the moving volume under the transform."""
        logic = UnsupervisedRegistrationLogic()
        parameters = logic.getParameterNode()
        nodes = _addSample("head")
        parameters.fixedVolume, parameters.movingVolume = nodes[:2]
        parameters.fixedLandmarks, parameters.movingLandmarks = nodes[2:]
        parameters.sliceSource = next(iter(ORIENTATIONS))
        parameters.sliceIndex = 7
        sentence = logic.apply(parameters)
        self.assertIn("landmarks", sentence)
        self.assertIs(parameters.movingVolume.GetParentTransformNode(), parameters.transform)
        self.assertEqual(parameters.warpedVolume.GetImageData().GetDimensions(), (176, 208, 1))
        self.assertEqual(parameters.errorTable.GetNumberOfRows(), 8 + 4)
