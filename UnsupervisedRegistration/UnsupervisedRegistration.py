"""Deformable registration of 2-D CT and MR slices, as a module of 3D Slicer."""

import contextlib
import html
import importlib.util
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Annotated, Any, NamedTuple

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

from UnsupervisedRegistrationLib.panel.choices import AUTOMATIC, DEFORMATIONS, OVERLAYS

IN_VIEW = "Shown in a slice view"
ORIENTATIONS = {"Axial, by index": "axial", "Sagittal, by index": "sagittal", "Coronal, by index": "coronal"}
PREALIGNMENTS = ["none", "rigid", "affine"]
SIMILARITIES = ["auto", "local_ncc", "mind"]
_LIGHTS = {"green": ("#2e9e4f", "Good"), "amber": ("#d98e04", "Look closely"), "red": ("#d03030", "Do not use")}
_BUTTONS = (
    *("applyButton", "liveButton", "undoButton", "keepButton", "registerVolumeButton", "registerSequenceButton"),
    *("showResultButton", "compareResultsButton", "deleteResultButton"),
)
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
    prealignment: Annotated[str, Choice(PREALIGNMENTS)] = "none"
    refine: bool = False
    similarity: Annotated[str, Choice(SIMILARITIES)] = "auto"
    smoothnessWeight: Annotated[float, WithinRange(0.05, 5.0)] = 0.5
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


class Applied(NamedTuple):
    """What Apply gives: the outcome, a sentence about it, and why its model was chosen."""

    outcome: Any
    sentence: str
    reason: str


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
        self._cancelled = False

    @property
    def isLive(self) -> bool:
        """Whether the registration follows the slice view."""
        return self.live is not None

    def setup(self) -> None:
        """Builds the panel."""
        from UnsupervisedRegistrationLib.panel.history import HistorySection
        from UnsupervisedRegistrationLib.panel.landmarks import LandmarkSection
        from UnsupervisedRegistrationLib.panel.models import ModelSection
        from UnsupervisedRegistrationLib.panel.overlay import OverlaySection
        from UnsupervisedRegistrationLib.panel.section import connect
        from UnsupervisedRegistrationLib.panel.volume import VolumeSection

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
        connect(self.ui.applyButton, "clicked(bool)", self.onApply)
        connect(self.ui.liveButton, "clicked(bool)", self.onLive)
        connect(self.ui.keepButton, "clicked(bool)", self.onKeep)
        connect(self.ui.cancelButton, "clicked(bool)", self.onCancel)
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

    def onSceneStartClose(self, caller: Any, event: str) -> None:
        """Lets go of nodes that are about to vanish."""
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
        for section in self.sections:
            section.update()
        if self.live:
            self.live.changed()

    def onApply(self, checked: bool = False) -> None:
        """Registers the slice."""
        self.apply(lambda progress: self.logic.apply(self.parameters, progress))

    def apply(self, job: Callable[[Callable[[str, float], None]], Applied | None]) -> None:
        """Registers, keeps the result, and shows the pair over each other and a sentence about it."""
        self.stopLive()
        self.ui.warpedCheckBox.checked = True
        applied = self.work(job)
        if applied:
            self.showOutcome(applied.outcome, applied.reason)
            self.say(applied.sentence)

    def onLive(self, live: bool) -> None:
        """Follows the slice view, or no longer."""
        from UnsupervisedRegistrationLib.panel.live import LiveRegistration, LiveSteps

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
            self.say(self.logic.keep(self.parameters, self.outcome))
        self.history.update()

    def verdict(self, outcome: Any) -> str:
        """A light and what it means, as rich text."""
        judgement = self.logic.judge(self.parameters, outcome)
        colour, word = _LIGHTS[judgement.colour]
        reasons = html.escape(judgement.sentence)
        return f'<span style="color:{colour}">⬤</span> <b>{_(word)}:</b> {reasons}.'

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

    def work(self, job: Callable[[Callable[[str, float], None]], Any]) -> Any:
        """What a long job gives; ``None`` if it was refused or cancelled, and then a sentence says so."""
        buttons = [widget for name, widget in vars(self.ui).items() if name in _BUTTONS and widget.enabled]
        self._cancelled, self._began = False, time.monotonic()
        with self.attempt():
            self.requireTorch()
            from UnsupervisedRegistrationLib.scene.registration import Cancelled

            for button in buttons:
                button.enabled = False
            self.ui.progressBar.visible = self.ui.cancelButton.visible = True
            try:
                return job(self.showProgress)
            except Cancelled:
                self.say(_("Cancelled; everything is as it was."))
            finally:
                self.ui.progressBar.visible = self.ui.cancelButton.visible = False
                for button in buttons:
                    button.enabled = True
                self.onModified()
        return None

    def showProgress(self, step: str, share: float) -> None:
        """Shows the step that begins and the time left.

        Raises:
            Cancelled: The user pressed Cancel, or the scene was closed.
            ValueError: One of the volumes was deleted.
        """
        from UnsupervisedRegistrationLib.scene.registration import Cancelled

        left = (time.monotonic() - self._began) * (1 - share) / share if share else 0.0
        self.ui.progressBar.value = round(100 * share)
        self.say(_("{step}, {left:.0f} s left").format(step=step, left=left) if left >= 1 else step)
        slicer.app.processEvents()
        if self._cancelled:
            raise Cancelled
        self.logic.check(self.parameters)


class UnsupervisedRegistrationLogic(ScriptedLoadableModuleLogic):
    """The scripting API.

    Example::

        from UnsupervisedRegistration import UnsupervisedRegistrationLogic
        outcome = UnsupervisedRegistrationLogic().register(fixedVolume, movingVolume)
        print(outcome.transformNode.GetName(), outcome.registration.similarity_after)
    """

    def __init__(self) -> None:
        ScriptedLoadableModuleLogic.__init__(self)
        self._fellBack = False

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

        return self.onDevice(registerSlice, fixedVolume, movingVolume, **settings)

    def registerVolume(self, fixedVolume: Any, movingVolume: Any, **settings: Any) -> Any:
        """Registers all slices of a volume, or a range; see ``scene.stack.registerVolume`` and ``register``."""
        self.requireTorch()
        from UnsupervisedRegistrationLib.scene.stack import registerVolume

        return self.onDevice(registerVolume, fixedVolume, movingVolume, **settings)

    def registerSequence(self, sequenceNode: Any, **settings: Any) -> Any:
        """Registers the frames of a sequence to the first; see ``scene.stack.registerSequence`` and ``register``."""
        self.requireTorch()
        from UnsupervisedRegistrationLib.scene.stack import registerSequence

        return self.onDevice(registerSequence, sequenceNode, **settings)

    def onDevice(self, work: Callable[..., Any], *nodes: Any, **settings: Any) -> Any:
        """Does the work, once more on the CPU if the memory of the GPU is too small for it."""
        import torch

        self._fellBack = False
        try:
            return work(*nodes, **settings)
        except torch.cuda.OutOfMemoryError:
            self._fellBack = True
        return work(*nodes, **(settings | {"device": "cpu"}))  # Here the error and its tensors are gone.

    def apply(self, parameters: UnsupervisedRegistrationParameterNode, progress: Any = None) -> Applied:
        """Does what the panel's button does: registers, measures, and keeps the result.

        Raises:
            RuntimeError: PyTorch is missing and was not installed.
            ValueError: Something does not fit; the scene is as it was.
        """
        self.check(parameters)
        if self.steering(parameters):
            self.checkLandmarks(parameters)
        self.requireTorch()
        self.keepOtherOutcome(parameters)
        with self.placed(parameters):
            model, reason = self.chooseModel(parameters)
            outcome = self.register(
                parameters.fixedVolume,
                parameters.movingVolume,
                plane=self.plane(parameters),
                model=model,
                maskNode=parameters.mask,
                movingMaskNode=parameters.movingMask,
                prealignment=parameters.prealignment,
                refinement=self.refinement(parameters, parameters.refineSeconds),
                landmarks=self.steering(parameters),
                trust=True,
                transformNode=parameters.transform,
                warpedVolume=parameters.warpedVolume,
                device=parameters.device,
                confined=parameters.confined,
                progress=progress,
            )
        parameters.transform, parameters.warpedVolume = outcome.transformNode, outcome.warpedVolume
        if self.errors(parameters, outcome.transformNode) and not parameters.errorTable:
            parameters.errorTable = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", "Landmark errors")
        self.keep(parameters, outcome, model)
        return Applied(outcome, self.describe(parameters, outcome), reason)

    def applyVolume(
        self, parameters: UnsupervisedRegistrationParameterNode, first: int, last: int, progress: Any = None
    ) -> Applied:
        """Registers the slices ``first`` to ``last`` of the chosen orientation as one transform; see ``apply``."""
        self.check(parameters)
        self.requireTorch()
        self.keepOtherOutcome(parameters)
        with self.placed(parameters):
            model, reason = self.chooseModel(parameters)
            outcome = self.registerVolume(
                parameters.fixedVolume,
                parameters.movingVolume,
                orientation=self.orientation(parameters),
                sliceRange=(first, last),
                model=model,
                prealignment=parameters.prealignment,
                transformNode=parameters.transform,
                warpedVolume=parameters.warpedVolume,
                device=parameters.device,
                confined=parameters.confined,
                progress=progress,
            )
        parameters.transform, parameters.warpedVolume = outcome.transformNode, outcome.warpedVolume
        self.keep(parameters, outcome, model)
        return Applied(outcome, self.describe(parameters, outcome), reason)

    def applySequence(self, parameters: UnsupervisedRegistrationParameterNode, progress: Any = None) -> str:
        """Registers each frame of the chosen sequence to its first, and says what came out."""
        if not parameters.sequence:
            raise ValueError(_("Choose a sequence of volumes."))
        model, _reason = self.chooseModel(parameters)
        outcome = self.registerSequence(parameters.sequence, model=model, device=parameters.device, progress=progress)
        return _("'{name}' holds a transform for each of the {count} frames.").format(
            name=outcome.GetName(), count=outcome.GetNumberOfDataNodes()
        )

    def judge(self, parameters: UnsupervisedRegistrationParameterNode, outcome: Any) -> Any:
        """A traffic light with reasons; see ``scene.judgement``."""
        from UnsupervisedRegistrationLib.scene.judgement import judge

        return judge(outcome, self.errors(parameters, outcome.transformNode))

    def keepOtherOutcome(self, parameters: UnsupervisedRegistrationParameterNode) -> None:
        """Asks for new output nodes where the chosen ones hold the outcome of another moving volume."""
        from UnsupervisedRegistrationLib.scene.transforms import isOutcomeOf

        if parameters.transform and not isOutcomeOf(parameters.transform, parameters.movingVolume):
            parameters.transform = parameters.warpedVolume = None

    @contextlib.contextmanager
    def placed(self, parameters: UnsupervisedRegistrationParameterNode) -> Iterator[None]:
        """Puts the moving volume under the chosen initial transform; back where it was if the work is not done."""
        from UnsupervisedRegistrationLib.scene.transforms import initialTransformOf

        moving, initial, isDone = parameters.movingVolume, parameters.initialTransform, False
        before = moving.GetTransformNodeID()
        if initial and initialTransformOf(moving) is not initial:
            moving.SetAndObserveTransformNodeID(initial.GetID())
        try:
            yield
            isDone = True
        finally:
            if not isDone and moving.GetScene():
                moving.SetAndObserveTransformNodeID(before)

    def refinement(self, parameters: UnsupervisedRegistrationParameterNode, seconds: float) -> Any:
        """How the outcome is refined, or ``None``."""
        from UnsupervisedRegistrationLib.scene.registration import Refinement

        if not (parameters.refine or parameters.steer):
            return None
        return Refinement(
            similarity=parameters.similarity, smoothness_weight=parameters.smoothnessWeight, seconds=seconds
        )

    def steering(self, parameters: UnsupervisedRegistrationParameterNode) -> Any:
        """The landmark lists that steer the refinement, or ``None``."""
        lists = (parameters.fixedLandmarks, parameters.movingLandmarks)
        return lists if parameters.steer and all(lists) else None

    def chooseModel(self, parameters: UnsupervisedRegistrationParameterNode) -> tuple[str, str]:
        """Name or file of the model for the two volumes, and why it was chosen."""
        if parameters.model != AUTOMATIC:
            return parameters.model, ""
        name = self.modelNames()[0]
        return name, _("'{name}': works for any contrast.").format(name=name)

    def keep(self, parameters: UnsupervisedRegistrationParameterNode, outcome: Any, model: str = "") -> str:
        """Puts an outcome into the history, and says so."""
        from UnsupervisedRegistrationLib.scene.history import addResult

        settings = {
            "model": model or self.chooseModel(parameters)[0],
            "device": outcome.registration.device,
            "refined": parameters.refine or parameters.steer,
            "steered": bool(self.steering(parameters)),
            "prealignment": parameters.prealignment,
            "mask": parameters.mask.GetName() if parameters.mask else None,
        }
        result = addResult(slicer.mrmlScene, outcome, settings, self.errors(parameters, outcome.transformNode))
        return _("Kept as '{name}'.").format(name=result.name)

    def errors(self, parameters: UnsupervisedRegistrationParameterNode, transformNode: Any) -> Any:
        """Distances of the landmarks that pair, under a transform, or ``None`` without a pair."""
        from UnsupervisedRegistrationLib.scene.landmarks import targetRegistrationError

        lists = (parameters.fixedLandmarks, parameters.movingLandmarks)
        if not all(lists):
            return None
        errors = targetRegistrationError(*lists, transformNode, parameters.movingVolume, complete=False)
        return errors if errors.labels else None

    def shownTransform(self, parameters: UnsupervisedRegistrationParameterNode) -> Any:
        """The outcome that the moving volume lies under now, or else the chosen one; ``None`` without any."""
        from UnsupervisedRegistrationLib.scene.transforms import isOutcome, isOutcomeOf

        moving, chosen = parameters.movingVolume, parameters.transform
        parent = moving.GetParentTransformNode() if moving else None
        if parent and isOutcome(parent):
            return parent
        return chosen if chosen and moving and isOutcome(chosen) and isOutcomeOf(chosen, moving) else None

    def describe(self, parameters: UnsupervisedRegistrationParameterNode, outcome: Any) -> str:
        """One sentence about an outcome."""
        from UnsupervisedRegistrationLib.scene.report import describe

        sentence = _("{what}: {how}; {ms:.0f} ms on {device}.").format(
            what=outcome.pair.plane.name.capitalize(),
            how=describe(outcome, self.errors(parameters, outcome.transformNode)),
            ms=sum(outcome.registration.milliseconds.values()),
            device=outcome.registration.device,
        )
        fellBack = _("The memory of the GPU was too small, so the CPU was used.")
        return f"{sentence} {fellBack}" if self._fellBack else sentence

    def isInView(self, parameters: UnsupervisedRegistrationParameterNode) -> bool:
        """Whether a slice view chooses the slice."""
        return parameters.sliceSource == IN_VIEW

    def check(self, parameters: UnsupervisedRegistrationParameterNode) -> None:
        """Refuses parameters that cannot be applied.

        Raises:
            ValueError: Something is missing, or was deleted.
        """
        missing = self.missing(parameters)
        if missing:
            raise ValueError(f"{missing}.")

    def plane(self, parameters: UnsupervisedRegistrationParameterNode) -> Any:
        """The plane that the parameters choose.

        Raises:
            ValueError: It does not cut the fixed volume.
        """
        from UnsupervisedRegistrationLib.scene.planes import planeFromIndex, planeFromSliceNode

        if parameters.sliceSource == IN_VIEW:
            return planeFromSliceNode(parameters.sliceView, parameters.fixedVolume)
        return planeFromIndex(parameters.fixedVolume, ORIENTATIONS[parameters.sliceSource], parameters.sliceIndex)

    def orientation(self, parameters: UnsupervisedRegistrationParameterNode) -> str:
        """Axial, sagittal or coronal, as chosen or as the view lies; axial for an oblique view."""
        if not self.isInView(parameters):
            return ORIENTATIONS[parameters.sliceSource]
        name = parameters.sliceView.GetOrientation().lower() if parameters.sliceView else ""
        return name if name in ORIENTATIONS.values() else "axial"

    def sliceCount(self, parameters: UnsupervisedRegistrationParameterNode) -> int:
        """How many slices the fixed volume has along the orientation; 1 if there is none."""
        from UnsupervisedRegistrationLib.scene.planes import sliceCount

        if not parameters.fixedVolume:
            return 1
        try:
            return sliceCount(parameters.fixedVolume, self.orientation(parameters))
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
        """Apply fills the chosen outputs, puts the moving volume under the transform, and keeps the result."""
        from UnsupervisedRegistrationLib.scene.history import results

        logic = UnsupervisedRegistrationLogic()
        parameters = logic.getParameterNode()
        nodes = _addSample("head")
        parameters.fixedVolume, parameters.movingVolume = nodes[:2]
        parameters.fixedLandmarks, parameters.movingLandmarks = nodes[2:]
        parameters.sliceSource = next(iter(ORIENTATIONS))
        parameters.sliceIndex = 7
        self.assertIn("landmarks", logic.apply(parameters).sentence)
        self.assertEqual(len(results(slicer.mrmlScene)), 1)
        self.assertIs(parameters.movingVolume.GetParentTransformNode(), parameters.transform)
        self.assertEqual(parameters.warpedVolume.GetImageData().GetDimensions(), (176, 208, 1))
