"""Deformable registration of 2-D CT and MR slices, as a module of 3D Slicer."""

import contextlib
import html
import importlib.util
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import Choice, WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

from UnsupervisedRegistrationLib.interaction.choices import (
    AUTOMATIC,
    DEFORMATIONS,
    IN_VIEW,
    ORIENTATIONS,
    OVERLAYS,
    PREALIGNMENTS,
    SIMILARITIES,
)
from UnsupervisedRegistrationLib.panel.work import Applied, Work

_LIGHTS = {"green": "#2e9e4f", "amber": "#d98e04", "red": "#d03030"}
_BUTTONS = (
    *("applyButton", "liveButton", "undoButton", "keepButton", "registerVolumeButton", "registerSequenceButton"),
    *("showResultButton", "restoreResultButton", "compareResultsButton", "deleteResultButton"),
)
_FIRST = 100.0  # Priority above that of the node selectors.
_Progress = Callable[[str, float], None]
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
        slicer.app.connect("startupCompleted()", registerLayout)


def _stepInWords(step: str) -> str:
    return {
        "prepare": _("Preparing the images"),
        "network": _("Registering"),
        "refine": _("Refining"),
        "trust": _("Estimating how far to trust it"),
        "warp": _("Warping"),
        "measure": _("Measuring"),
    }.get(step, step)


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


def registerLayout() -> None:
    """Makes the views beside each other known, so that a scene saved with them opens with them."""
    from UnsupervisedRegistrationLib.scene.display.side_by_side import addSideBySideLayout

    layoutNode = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    if layoutNode:
        addSideBySideLayout(layoutNode)


def _addSample(kind: str) -> list[Any]:
    """Draws a patient into the scene and shows the pair over each other."""
    from UnsupervisedRegistrationLib.scene.display.slice_views import showOverlay
    from UnsupervisedRegistrationLib.scene.geometry.planes import planeFromIndex
    from UnsupervisedRegistrationLib.scene.registration.phantom_nodes import addPhantom

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
        model: Name or file, or which fits is decided for each pair.
        mask: Segmentation or labelmap of the region that matters.
        movingMask: Likewise on the moving image.
        initialTransform: Places the moving volume first.
        prealignment: Step in the plane before the network.
        refine: Optimise for this pair.
        similarity: What the refinement maximises.
        smoothnessWeight: How stiff the refinement is.
        refineSeconds: How long it may take.
        steer: Landmarks pull the deformation.
        overlay: How the images are laid over each other.
        blend: Opacity of the moving image.
        flickerRate: Changes a second.
        tileSize: Side of a square of the checkerboard, mm.
        swipe: Share of the width that shows the fixed image.
        deformation: How the deformation itself is drawn.
        gridSpacing: Distance of its lines or arrows, mm.
        transform: Receives the displacement.
        warpedVolume: Receives the warped slice.
        fixedLandmarks: Paired by label with ..
        movingLandmarks: .. these.
        errorTable: Receives their distances.
        sequence: Its frames are registered to the first.
        device: Where the network runs.
        confined: Warp this slice alone.
    """

    fixedVolume: slicer.vtkMRMLScalarVolumeNode
    movingVolume: slicer.vtkMRMLScalarVolumeNode
    sliceSource: Annotated[str, Choice([IN_VIEW, *ORIENTATIONS])] = IN_VIEW
    sliceView: slicer.vtkMRMLSliceNode
    sliceIndex: int = 0
    model: str = AUTOMATIC
    mask: slicer.vtkMRMLNode
    movingMask: slicer.vtkMRMLNode
    initialTransform: slicer.vtkMRMLTransformNode
    prealignment: Annotated[str, Choice(PREALIGNMENTS)] = "auto"
    refine: bool = False
    similarity: Annotated[str, Choice(SIMILARITIES)] = "auto"
    smoothnessWeight: Annotated[float, WithinRange(0.05, 5.0)] = 1.0
    refineSeconds: Annotated[float, WithinRange(0.5, 60.0)] = 10.0
    steer: bool = False
    overlay: Annotated[str, Choice(OVERLAYS)] = "Blend"
    blend: Annotated[float, WithinRange(0.0, 1.0)] = 0.5
    flickerRate: Annotated[float, WithinRange(0.5, 8.0)] = 2.0
    tileSize: Annotated[float, WithinRange(2.0, 100.0)] = 20.0
    swipe: Annotated[float, WithinRange(0.0, 1.0)] = 0.5
    deformation: Annotated[str, Choice(DEFORMATIONS)] = "Hidden"
    gridSpacing: Annotated[float, WithinRange(2.0, 50.0)] = 10.0
    transform: slicer.vtkMRMLTransformNode
    warpedVolume: slicer.vtkMRMLScalarVolumeNode
    fixedLandmarks: slicer.vtkMRMLMarkupsFiducialNode
    movingLandmarks: slicer.vtkMRMLMarkupsFiducialNode
    errorTable: slicer.vtkMRMLTableNode
    sequence: slicer.vtkMRMLSequenceNode
    device: str = "auto"
    confined: bool = True


class UnsupervisedRegistrationWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Signals in, state out; the sections of the panel do the rest, each for its own controls."""

    def __init__(self, parent: Any = None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic: UnsupervisedRegistrationLogic | None = None
        self.parameters: Any = None
        self.live: Any = None
        self.outcome: Any = None
        self._began = 0.0
        self._guiTag: Any = None
        self._cancelled = self.isBusy = False
        self._hint = ""
        self._check: Callable[[Any], None] = lambda parameters: None

    @property
    def isLive(self) -> bool:
        """Whether the registration follows the slice view."""
        return self.live is not None

    def setup(self) -> None:
        """Builds the panel."""
        from UnsupervisedRegistrationLib.panel.sections.history_section import HistorySection
        from UnsupervisedRegistrationLib.panel.sections.landmark_section import LandmarkSection
        from UnsupervisedRegistrationLib.panel.sections.model_section import ModelSection
        from UnsupervisedRegistrationLib.panel.sections.overlay_section import OverlaySection
        from UnsupervisedRegistrationLib.panel.sections.section import connect
        from UnsupervisedRegistrationLib.panel.sections.volume_section import VolumeSection

        ScriptedLoadableModuleWidget.setup(self)
        panel = slicer.util.loadUI(self.resourcePath("UI/UnsupervisedRegistration.ui"))
        self.layout.addWidget(panel)
        self.ui = slicer.util.childWidgetVariables(panel)
        panel.setMRMLScene(slicer.mrmlScene)
        self.logic = UnsupervisedRegistrationLogic()
        self.models, self.overlay = ModelSection(self), OverlaySection(self)
        self.landmarks, self.history, self.volume = LandmarkSection(self), HistorySection(self), VolumeSection(self)
        self.sections = (self.models, self.overlay, self.landmarks, self.history, self.volume)
        for selector, name in ((self.ui.maskSelector, "mask"), (self.ui.movingMaskSelector, "movingMask")):
            # Not bound, because a mask may be of two kinds.
            connect(
                selector, "currentNodeChanged(vtkMRMLNode*)", lambda node, name=name: self.onMaskChanged(name, node)
            )
        for button, moving in ((self.ui.maskButton, False), (self.ui.movingMaskButton, True)):
            connect(button, "clicked(bool)", lambda checked, moving=moving: self.onForeground(moving))
        connect(self.ui.applyButton, "clicked(bool)", self.onApply)
        connect(self.ui.liveButton, "clicked(bool)", self.onLive)
        connect(self.ui.keepButton, "clicked(bool)", self.onKeep)
        connect(self.ui.cancelButton, "clicked(bool)", self.onCancel)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.NodeAboutToBeRemovedEvent, self.onNodeGoes, priority=_FIRST)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndImportEvent, self.onSceneEndClose)
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

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def onNodeGoes(self, caller: Any, event: str, node: Any) -> None:
        """Chooses nothing in place of a node that goes; a selector by itself would choose the next one in its list."""
        if not self.parameters:
            return
        for widget in vars(self.ui).values():
            if hasattr(widget, "setCurrentNode") and widget.currentNode() is node:
                widget.setCurrentNode(None)

    def onSceneStartClose(self, caller: Any, event: str) -> None:
        """Gives the views back and lets go of nodes that are about to vanish."""
        self.overlay.restore()
        self.setParameterNode(None)

    def onSceneEndClose(self, caller: Any, event: str) -> None:
        """Starts afresh in the empty scene, or in one that was loaded."""
        if self.parent.isEntered:
            self.initializeParameterNode()

    def initializeParameterNode(self) -> None:
        """Binds the panel to the scene's parameters and proposes the red view."""
        self.setParameterNode(self.logic.getParameterNode())
        if not self.parameters.sliceView:
            self.parameters.sliceView = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeRed")

    def setParameterNode(self, parameterNode: Any) -> None:
        """Binds the panel to other parameters, or to none."""
        if self.parameters:
            self.stopLive()
            self._cancelled = True
            for section in self.sections:
                section.release()
            self.parameters.disconnectGui(self._guiTag)
            self.removeObserver(self.parameters.parameterNode, vtk.vtkCommand.ModifiedEvent, self.onModified)
        self.parameters = parameterNode
        if parameterNode:
            # Unlike connectGui this gives the tag that disconnectGui needs in every version of Slicer.
            named = {widget.property("SlicerParameterName"): widget for widget in vars(self.ui).values()}
            bound = {name: widget for name, widget in named.items() if name}
            self._guiTag = parameterNode.connectParametersToGui(bound)
            self.addObserver(parameterNode.parameterNode, vtk.vtkCommand.ModifiedEvent, self.onModified)
            self.onModified()

    def onMaskChanged(self, name: str, node: Any) -> None:
        """Keeps the chosen mask."""
        if self.parameters:
            setattr(self.parameters, name, node)

    def onForeground(self, moving: bool) -> None:
        """Makes a mask of where a volume shows the patient, and takes it."""
        with self.attempt():
            mask = self.logic.addForeground(self.parameters, moving)
            self.say(_("'{name}' is the mask now.").format(name=mask.GetName()))

    def onModified(self, caller: Any = None, event: str = "") -> None:
        """Shows the parameters that are not bound, and what is missing before Apply."""
        parameters, ui = self.parameters, self.ui
        if not parameters:
            return
        inView = self.logic.isInView(parameters)
        ui.sliceViewLabel.visible = ui.sliceViewSelector.visible = inView
        ui.sliceIndexLabel.visible = ui.sliceIndexSpinBox.visible = not inView
        last = self.logic.sliceCount(parameters) - 1
        ui.sliceIndexSpinBox.setRange(0, max(parameters.sliceIndex, last) if inView else last)
        ui.maskSelector.setCurrentNode(parameters.mask)
        ui.movingMaskSelector.setCurrentNode(parameters.movingMask)
        missing = self.logic.missing(parameters)
        ui.applyButton.enabled = not missing
        ui.applyButton.toolTip = missing or _("Warp the moving slice onto the fixed slice, and keep the result")
        if ui.statusLabel.text == self._hint:  # Nothing has been said since.
            self._hint = f"{missing}." if missing else ""
            self.say(self._hint)
        for section in self.sections:
            section.update()
        self.holdButtons()
        if self.live:
            self.live.changed()

    def holdButtons(self) -> None:
        """While something is at work nothing else begins; the user may turn every other knob."""
        if self.isBusy:
            for name in _BUTTONS:
                getattr(self.ui, name).enabled = False

    def onApply(self, checked: bool = False) -> None:
        """Registers the slice."""
        self.apply(lambda progress: self.logic.apply(self.parameters, progress))

    def apply(self, job: Callable[[_Progress], Applied | None]) -> None:
        """Registers, keeps the result, and shows the pair over each other and a sentence about it."""
        self.stopLive()
        self.ui.warpedCheckBox.checked = True
        applied = self.work(job)
        if applied:
            self.showOutcome(applied.outcome, applied.reason)
            self.say(applied.sentence)

    def onLive(self, live: bool) -> None:
        """Follows the slice view, or no longer."""
        from UnsupervisedRegistrationLib.panel.live import LiveRegistration
        from UnsupervisedRegistrationLib.panel.live_steps import LiveSteps

        self.stopLive()
        if not live:
            return
        with self.attempt():
            if not self.logic.isInView(self.parameters):
                raise ValueError(_("Live follows a slice view; choose '{source}'.").format(source=IN_VIEW))
            self.logic.check(self.parameters)
            self.requireTorch()
            self.ui.warpedCheckBox.checked = True
            steps = LiveSteps(self.logic, self.parameters)
            self.live = LiveRegistration(steps, self.onLiveShown, self.say, self.onLiveEnded)
        self.ui.liveButton.checked = self.isLive
        self.ui.keepButton.enabled = False

    def onLiveShown(self, outcome: Any, milliseconds: float) -> None:
        """Lets the overlay follow."""
        self.showOutcome(outcome, self.live.reason)
        self.say(self.logic.describe(self.parameters, outcome))
        self.ui.liveLabel.visible = self.ui.keepButton.enabled = True
        network = sum(outcome.registration.milliseconds.values())
        self.ui.liveLabel.text = _(
            "{ms:.0f} ms from the change of the slice, {network:.0f} ms of it registration."
        ).format(ms=milliseconds, network=network)

    def onLiveEnded(self, sentence: str) -> None:
        """Shows that Live had to stop."""
        self.stopLive()
        self.say(sentence)

    def onKeep(self, checked: bool = False) -> None:
        """Puts what Live shows into the results."""
        with self.attempt():
            p = self.parameters
            how = {"refined": bool(p.refine or p.steer), "steered": bool(self.logic.steering(p))}
            self.say(self.logic.keep(p, self.outcome, self.live.modelName, **how))
        self.history.update()

    def verdict(self, outcome: Any) -> str:
        """A light and what it means, as rich text."""
        judgement = self.logic.judge(self.parameters, outcome)
        word = {"green": _("Good"), "amber": _("Look closely"), "red": _("Do not use")}[judgement.colour]
        reasons = html.escape(judgement.sentence)
        return f'<span style="color:{_LIGHTS[judgement.colour]}">⬤</span> <b>{word}:</b> {reasons}.'

    def onCancel(self, checked: bool = False) -> None:
        """Ends the work at its next step."""
        self._cancelled = True

    def stopLive(self) -> None:
        """Ends Live; what it shows stays."""
        if self.live:
            self.live.stop()
            self.live = None
        self.ui.liveButton.checked = False
        self.ui.liveLabel.visible = False
        self.ui.keepButton.enabled = False

    def showOutcome(self, outcome: Any, reason: str = "") -> None:
        """Shows an outcome in all sections."""
        self.outcome = outcome
        self.models.explain(reason)
        self.ui.verdictLabel.text = self.verdict(outcome)
        self.ui.verdictLabel.visible = True
        self.overlay.show(outcome)
        self.landmarks.measure()
        if not self.isLive:
            self.history.update()

    def showScene(self, result: Any = None) -> None:
        """Shows what the scene holds now, after a result was shown, deleted or taken back."""
        self.ui.verdictLabel.visible = False
        self.overlay.show(None)
        self.landmarks.measure()
        self.history.update()

    def say(self, sentence: str) -> None:
        """Shows a sentence below the buttons."""
        self.ui.statusLabel.text = sentence

    @contextlib.contextmanager
    def attempt(self) -> Iterator[None]:
        """Turns what the scene or a file refuses into a sentence in the panel; anything else is shown as an error."""
        with slicer.util.tryWithErrorDisplay(_("Something unexpected happened.")):
            try:
                yield
            except (ValueError, OSError) as error:
                self.say(str(error))

    def requireTorch(self) -> None:
        """Asks for PyTorch.

        Raises:
            ValueError: It is not there; the sentence says what to do.
        """
        try:
            self.logic.requireTorch()  # May ask, so not under the wait cursor.
        except RuntimeError as error:
            raise ValueError(str(error)) from error

    def work(
        self, job: Callable[[Callable[[str, float], None]], Any], check: Callable[[Any], None] | None = None
    ) -> Any:
        """What a long job gives; ``None`` if it was refused or cancelled, and then a sentence says so.

        Args:
            job: Called with the function that shows its progress.
            check: Of the parameters, at each step, as they may lose what the job needs; without it as for a pair.
        """
        if self.isBusy:
            return None
        buttons = [widget for name, widget in vars(self.ui).items() if name in _BUTTONS and widget.enabled]
        self._cancelled, self._began, self._check = False, time.monotonic(), check or self.logic.check
        with self.attempt():
            self.requireTorch()
            from UnsupervisedRegistrationLib.scene.registration.slice import Cancelled

            self.isBusy = True
            self.holdButtons()
            self.ui.progressBar.visible = self.ui.cancelButton.visible = True
            try:
                return job(self.showProgress)
            except Cancelled:
                self.say(_("Cancelled; everything is as it was."))
            finally:
                self.ui.progressBar.visible = self.ui.cancelButton.visible = False
                self.isBusy = False
                for button in buttons:
                    button.enabled = True
                self.onModified()
        return None

    def showProgress(self, step: str, share: float) -> None:
        """Shows the step that begins and the time left.

        Raises:
            Cancelled: The user pressed Cancel, or the scene was closed.
            ValueError: What the work needs was deleted.
        """
        from UnsupervisedRegistrationLib.scene.registration.slice import Cancelled

        left = (time.monotonic() - self._began) * (1 - share) / share if share else 0.0
        self.ui.progressBar.value = round(100 * share)
        name = _stepInWords(step)
        self.say(_("{step}, {left:.0f} s left").format(step=name, left=left) if left >= 1 else name)
        slicer.app.processEvents()
        if self._cancelled:
            raise Cancelled
        self._check(self.parameters)


class UnsupervisedRegistrationLogic(ScriptedLoadableModuleLogic, Work):
    """The scripting API.

    Example::

        from UnsupervisedRegistration import UnsupervisedRegistrationLogic
        outcome = UnsupervisedRegistrationLogic().register(fixedVolume, movingVolume)
        print(outcome.transformNode.GetName(), outcome.registration.similarity_after)
    """

    def __init__(self) -> None:
        ScriptedLoadableModuleLogic.__init__(self)
        self.fellBack = False

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
        from UnsupervisedRegistrationLib.scene.registration.slice import registerSlice

        return self.onDevice(registerSlice, fixedVolume, movingVolume, **settings)

    def registerVolume(self, fixedVolume: Any, movingVolume: Any, **settings: Any) -> Any:
        """Registers all slices of a volume, or a range; see ``scene.stack.registerVolume`` and ``register``."""
        self.requireTorch()
        from UnsupervisedRegistrationLib.scene.registration.volume import registerVolume

        return self.onDevice(registerVolume, fixedVolume, movingVolume, **settings)

    def registerSequence(self, sequenceNode: Any, **settings: Any) -> Any:
        """Registers the frames of a sequence to the first; see ``scene.sequences`` and ``register``."""
        self.requireTorch()
        from UnsupervisedRegistrationLib.scene.registration.sequence import registerSequence

        return self.onDevice(registerSequence, sequenceNode, **settings)

    def addForeground(self, parameters: UnsupervisedRegistrationParameterNode, moving: bool) -> Any:
        """Makes a labelmap of where the fixed or the moving volume shows the patient, and takes it as the mask.

        Raises:
            ValueError: No volume is chosen, or it shows the same everywhere.
        """
        volume = parameters.movingVolume if moving else parameters.fixedVolume
        if not volume:
            side = _("moving") if moving else _("fixed")
            raise ValueError(_("Choose the {side} volume first; the mask is found in it.").format(side=side))
        self.requireTorch()
        from UnsupervisedRegistrationLib.scene.registration.foreground_mask import addForeground

        mask = addForeground(volume)
        setattr(parameters, "movingMask" if moving else "mask", mask)
        return mask

    def onDevice(self, work: Callable[..., Any], *nodes: Any, **settings: Any) -> Any:
        """Does the work, once more on the CPU if the memory of the GPU is too small for it."""
        import torch

        self.fellBack = False
        try:
            return work(*nodes, **settings)
        except RuntimeError as error:
            # Apple's GPU has no class of its own for this.
            if not isinstance(error, torch.cuda.OutOfMemoryError) and "out of memory" not in str(error):
                raise
            self.fellBack = True
        return work(*nodes, **(settings | {"device": "cpu"}))  # Here the error and its tensors are gone.

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
        if PyTorchUtils.PyTorchUtilsLogic().installTorch(askConfirmation=True, torchVersionRequirement=">=2.5") is None:
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
        from UnsupervisedRegistrationLib.scene.landmarks.tre_table import targetRegistrationError

        for kind in SAMPLES.values():
            fixed, moving, fixedLandmarks, movingLandmarks = _addSample(kind)
            outcome = UnsupervisedRegistrationLogic().register(fixed, moving)
            errors = targetRegistrationError(fixedLandmarks, movingLandmarks, outcome.transformNode, moving)
            before, after = (np.linalg.norm(vectors, axis=1).mean() for vectors in (errors.before, errors.after))
            self.assertLess(after, before / 2)
            self.assertEqual(outcome.registration.folding, 0)

    def test_Parameters(self) -> None:
        """Apply fills the chosen outputs, puts the moving volume under the transform, and keeps the result."""
        from UnsupervisedRegistrationLib.scene.history.result_history import storedResults

        logic = UnsupervisedRegistrationLogic()
        parameters = logic.getParameterNode()
        nodes = _addSample("head")
        parameters.fixedVolume, parameters.movingVolume = nodes[:2]
        parameters.fixedLandmarks, parameters.movingLandmarks = nodes[2:]
        parameters.sliceSource = next(iter(ORIENTATIONS))
        parameters.sliceIndex = 7
        self.assertIn("landmarks", logic.apply(parameters).sentence)
        self.assertEqual(len(storedResults(slicer.mrmlScene)), 1)
        self.assertIs(parameters.movingVolume.GetParentTransformNode(), parameters.transform)
        self.assertEqual(parameters.warpedVolume.GetImageData().GetDimensions(), (176, 208, 1))
