"""Live: the registration follows the slice view, the interface never waits, and nothing stays behind."""

from __future__ import annotations

import ctypes
import gc
import threading
import time
from typing import Any

import numpy as np
import pytest
import slicer
import slicer.util
import torch
import vtk

import host

host.start()
from UnsupervisedRegistrationLib.interaction.latest_request import LatestRequestWorker  # noqa: E402 - needs slicer.i18n
from UnsupervisedRegistrationLib.panel.timers import QtTimer  # noqa: E402


def red() -> Any:
    return slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeRed")


def scroll(loaded: host.Loaded, offset: float) -> None:
    """Moves the view and waits for what Live makes of it."""
    red().SetSliceOffset(offset)
    host.waitUntil(lambda: not loaded.widget.live.isOn or not loaded.widget.live.isBusy)


@pytest.fixture
def live(loaded: host.Loaded, ui: Any) -> Any:
    """The head phantom with Live on and the first slice done."""
    ui.liveButton.click()
    assert loaded.widget.live.isOn, ui.statusLabel.text
    host.waitUntil(lambda: not loaded.widget.live.isBusy)
    return ui


def grid() -> np.ndarray:
    """Displacement vectors of the outcome, without the ring around the slice."""
    node = slicer.util.getNode("HeadMoving").GetParentTransformNode()
    vectors = slicer.util.arrayFromGridTransform(node)
    rows, columns = slicer.util.arrayFromVolume(slicer.util.getNode("HeadFixed")).shape[1:]
    ring = (vectors.shape[1] - rows) // 2
    return vectors[:, ring : ring + rows, ring : ring + columns]


def test_the_overlay_follows_the_view(loaded: host.Loaded, live: Any) -> None:
    scroll(loaded, 8.0)
    assert live.statusLabel.text.startswith("Axial slice 9")
    assert "ms after the slice changed" in live.liveLabel.text
    layers = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceCompositeNodeRed")
    assert layers.GetForegroundVolumeID() == slicer.util.getNode("HeadMoving").GetID()


def test_an_orientation_is_followed_too(loaded: host.Loaded, live: Any) -> None:
    red().SetOrientation("Coronal")
    scroll(loaded, 10.0)
    assert live.statusLabel.text.startswith("Coronal slice")


def test_live_gives_what_apply_gives(loaded: host.Loaded, live: Any) -> None:
    scroll(loaded, 8.0)
    seen = grid().copy()
    live.applyButton.click()
    assert np.array_equal(seen, grid())


def test_a_view_that_changes_nothing_is_not_registered_again(loaded: host.Loaded, live: Any) -> None:
    outcome = loaded.widget.result
    red().SetFieldOfView(100, 100, 1)
    red().Modified()
    assert not loaded.widget.live.isBusy
    assert loaded.widget.result is outcome


def test_of_many_changes_the_last_is_shown(loaded: host.Loaded, live: Any) -> None:
    for offset in range(-20, 20, 4):
        red().SetSliceOffset(offset)
        slicer.app.processEvents()
    scroll(loaded, 4.0)
    assert live.statusLabel.text.startswith("Axial slice 8")


def test_the_interface_does_not_wait_for_the_network(
    loaded: host.Loaded, live: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, compute = loaded.widget.live.controller._steps, loaded.widget.live.controller._steps.compute
    monkeypatch.setattr(steps, "compute", lambda *request: (time.sleep(0.5), compute(*request))[1])
    red().SetSliceOffset(8.0)
    longest, end = 0.0, time.monotonic() + 0.4
    while time.monotonic() < end:
        start = time.monotonic()
        slicer.app.processEvents()
        longest = max(longest, time.monotonic() - start)
    assert loaded.widget.live.isBusy
    assert longest < 0.2


def test_a_view_outside_the_volume_is_a_sentence_and_live_goes_on(loaded: host.Loaded, live: Any) -> None:
    before = grid().copy()
    scroll(loaded, 900.0)
    assert "does not cut the volume" in live.statusLabel.text
    assert np.array_equal(before, grid())
    scroll(loaded, 8.0)
    assert live.statusLabel.text.startswith("Axial slice 9")


def test_a_view_rotated_out_of_the_volume_is_a_sentence_and_live_goes_on(loaded: host.Loaded, live: Any) -> None:
    before, turned = grid().copy(), np.eye(4)
    turned[:3, :3] = [[0.8, 0, 0.6], [0, 1, 0], [-0.6, 0, 0.8]]
    turned[:3, 3] = 600 * turned[:3, 2]
    red().GetSliceToRAS().DeepCopy(slicer.util.vtkMatrixFromArray(turned))
    red().UpdateMatrices()
    host.waitUntil(lambda: not loaded.widget.live.isBusy)
    assert "does not cut the volume" in live.statusLabel.text
    assert np.array_equal(before, grid())
    red().SetOrientation("Axial")
    scroll(loaded, 8.0)
    assert live.statusLabel.text.startswith("Axial slice 9")


def test_an_oblique_view_is_followed(loaded: host.Loaded, live: Any) -> None:
    turned = np.eye(4)
    turned[:3, :3] = [[0.8, 0, 0.6], [0, 1, 0], [-0.6, 0, 0.8]]
    red().GetSliceToRAS().DeepCopy(slicer.util.vtkMatrixFromArray(turned))
    red().UpdateMatrices()
    host.waitUntil(lambda: not loaded.widget.live.isBusy)
    assert live.statusLabel.text.startswith("Red view")


def test_a_transform_that_becomes_part_of_a_loop_is_a_sentence(loaded: host.Loaded, live: Any) -> None:
    """The output of Live is put above the fixed volume by hand."""
    output = live.transformSelector.currentNode()
    slicer.util.getNode("HeadFixed").SetAndObserveTransformNodeID(output.GetID())
    host.waitUntil(lambda: not loaded.widget.live.isOn or not loaded.widget.live.isBusy)
    red().SetSliceOffset(8.0)
    host.waitUntil(lambda: not loaded.widget.live.isOn or not loaded.widget.live.isBusy)
    assert "already moves the fixed volume" in live.statusLabel.text
    assert host.uncaught == []


@pytest.mark.parametrize("label", ["frontal horn R", "no partner"])
def test_landmarks_that_do_not_pair_are_a_sentence_and_live_goes_on(loaded: host.Loaded, ui: Any, label: str) -> None:
    points = slicer.util.getNode("HeadMovingLandmarks")
    ui.fixedLandmarksSelector.setCurrentNode(slicer.util.getNode("HeadFixedLandmarks"))
    ui.movingLandmarksSelector.setCurrentNode(points)
    ui.steerCheckBox.checked = True
    first = points.GetNthControlPointLabel(1)
    points.SetNthControlPointLabel(1, label)
    ui.liveButton.click()
    host.waitUntil(lambda: not loaded.widget.live.isBusy)
    assert "occur twice" in ui.statusLabel.text or "have no partner" in ui.statusLabel.text
    assert slicer.util.getNode("HeadMoving").GetParentTransformNode() is None
    points.SetNthControlPointLabel(1, first)
    host.waitUntil(lambda: loaded.widget.result is not None)


@pytest.mark.parametrize("name", ["HeadFixed", "HeadMoving"])
def test_a_deleted_volume_ends_live_with_a_sentence(loaded: host.Loaded, live: Any, name: str) -> None:
    red().SetSliceOffset(8.0)
    slicer.mrmlScene.RemoveNode(slicer.util.getNode(name))
    host.waitUntil(lambda: not loaded.widget.live.isOn)
    assert name in live.statusLabel.text
    assert not live.liveButton.checked


def test_a_deleted_initial_transform_ends_live_with_a_sentence(loaded: host.Loaded, ui: Any) -> None:
    initial = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "initial")
    ui.initialSelector.setCurrentNode(initial)
    ui.liveButton.click()
    host.waitUntil(lambda: not loaded.widget.live.isBusy)
    slicer.mrmlScene.RemoveNode(initial)
    red().SetSliceOffset(8.0)
    host.waitUntil(lambda: not loaded.widget.live.isOn)
    assert "'initial' was deleted" in ui.statusLabel.text
    assert host.uncaught == []


def test_a_closed_scene_ends_live(loaded: host.Loaded, live: Any) -> None:
    red().SetSliceOffset(8.0)
    slicer.mrmlScene.Clear(0)
    assert not loaded.widget.live.isOn
    assert not live.liveButton.checked


def test_leaving_the_module_ends_live(loaded: host.Loaded, live: Any) -> None:
    loaded.panel.exit()
    assert not loaded.widget.live.isOn
    loaded.panel.enter()
    assert not live.liveButton.checked


def test_the_same_volume_twice_is_refused(loaded: host.Loaded, ui: Any) -> None:
    ui.fixedSelector.setCurrentNode(slicer.util.getNode("HeadMoving"))
    ui.liveButton.click()
    assert "two different volumes" in ui.statusLabel.text
    assert not ui.liveButton.checked


def test_an_index_cannot_be_followed(loaded: host.Loaded, ui: Any) -> None:
    ui.sliceSourceSelector.setCurrentText("Axial, by index")
    ui.liveButton.click()
    assert "follows a slice view" in ui.statusLabel.text
    assert not loaded.widget.live.isOn


def test_another_view_takes_over(loaded: host.Loaded, live: Any) -> None:
    live.sliceViewSelector.setCurrentNode(slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeGreen"))
    host.waitUntil(lambda: not loaded.widget.live.isBusy)
    assert live.statusLabel.text.startswith("Coronal slice")
    red().SetSliceOffset(8.0)
    assert not loaded.widget.live.isBusy


def test_keep_puts_what_is_seen_into_the_results(loaded: host.Loaded, live: Any) -> None:
    assert live.resultTable.rowCount == 0
    live.keepButton.click()
    assert live.resultTable.rowCount == 1
    assert "Kept as" in live.statusLabel.text


def test_a_dragged_landmark_bends_the_field_there(loaded: host.Loaded, ui: Any) -> None:
    ui.fixedLandmarksSelector.setCurrentNode(slicer.util.getNode("HeadFixedLandmarks"))
    ui.movingLandmarksSelector.setCurrentNode(slicer.util.getNode("HeadMovingLandmarks"))
    ui.steerCheckBox.checked = True
    ui.liveButton.click()
    host.waitUntil(lambda: not loaded.widget.live.isBusy)
    before = grid().copy()
    points = slicer.util.getNode("HeadMovingLandmarks")
    position = np.add(points.GetNthControlPointPositionWorld(0), [6.0, 0, 0])
    points.SetNthControlPointPositionWorld(0, *position)
    assert loaded.widget.live.isBusy
    host.waitUntil(lambda: not loaded.widget.live.isBusy)
    moved = np.abs(grid() - before).max(axis=-1)[1]
    fixed = slicer.util.getNode("HeadFixedLandmarks").GetNthControlPointPositionWorld(0)
    plane = loaded.widget.result.pair.plane
    column, row = np.round((np.linalg.inv(plane.ijkToRas) @ [*fixed, 1])[:2]).astype(int)
    assert moved[row, column] > 1


@pytest.fixture
def prealignments(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The slices that were aligned in their plane, each time that was done."""
    from UnsupervisedRegistrationLib.scene.registration import slice as registration

    real, names = registration.prealign, []
    monkeypatch.setattr(
        registration, "prealign", lambda source, options: names.append(source.pair.plane.name) or real(source, options)
    )
    return names


def test_the_alignment_in_the_plane_is_kept_while_scrolling(
    loaded: host.Loaded, ui: Any, prealignments: list[str]
) -> None:
    ui.prealignmentSelector.setCurrentText("rigid")
    ui.liveButton.click()
    host.waitUntil(lambda: not loaded.widget.live.isBusy)
    first = loaded.widget.result.pair.prealignmentMatrix
    for offset in (4.0, 8.0):
        scroll(loaded, offset)
        assert np.array_equal(loaded.widget.result.pair.prealignmentMatrix, first)
        assert "pre-alignment" in ui.statusLabel.text
    assert prealignments == ["axial slice 7"]


def test_the_alignment_is_made_anew_when_orientation_images_or_placement_change(
    loaded: host.Loaded, ui: Any, prealignments: list[str]
) -> None:
    initial = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "initial")
    slicer.util.getNode("HeadMoving").SetAndObserveTransformNodeID(initial.GetID())
    ui.prealignmentSelector.setCurrentText("rigid")
    ui.liveButton.click()
    host.waitUntil(lambda: not loaded.widget.live.isBusy)
    red().SetOrientation("Coronal")
    scroll(loaded, 10.0)
    assert prealignments[-1].startswith("coronal")
    count = len(prealignments)
    slicer.util.arrayFromVolume(slicer.util.getNode("HeadMoving"))[:, 80:90, 80:90] = 500
    slicer.util.arrayFromVolumeModified(slicer.util.getNode("HeadMoving"))
    host.waitUntil(lambda: not loaded.widget.live.isBusy)
    assert len(prealignments) == count + 1
    initial.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(np.diag([1.0, 1, 1, 1]) + np.eye(4, k=3) * 5))
    host.waitUntil(lambda: not loaded.widget.live.isBusy)
    assert len(prealignments) == count + 2


def test_a_mask_drawn_meanwhile_is_followed(loaded: host.Loaded, ui: Any) -> None:
    fixed = slicer.util.getNode("HeadFixed")
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "region")

    def draw(rows: int) -> Any:
        image, matrix = slicer.vtkOrientedImageData(), vtk.vtkMatrix4x4()
        image.SetExtent(60, 119, 60, 59 + rows, 0, 14)
        image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
        image.GetPointData().GetScalars().Fill(1)
        fixed.GetIJKToRASMatrix(matrix)
        image.SetImageToWorldMatrix(matrix)
        return image

    segment = segmentation.AddSegmentFromBinaryLabelmapRepresentation(draw(80), "region")
    ui.maskSelector.setCurrentNode(segmentation)
    ui.liveButton.click()
    host.waitUntil(lambda: not loaded.widget.live.isBusy)
    assert loaded.widget.result.pair.mask.sum() == 80 * 60
    slicer.vtkSlicerSegmentationsModuleLogic.SetBinaryLabelmapToSegment(draw(40), segmentation, segment)
    assert loaded.widget.live.isBusy
    host.waitUntil(lambda: not loaded.widget.live.isBusy)
    assert loaded.widget.result.pair.mask.sum() == 40 * 60


def test_too_little_gpu_memory_falls_back_to_the_cpu_once(
    loaded: host.Loaded, ui: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from UnsupervisedRegistrationLib.scene.registration import slice as registration

    real, devices = registration.run, []

    def crowded(images: Any, models: Any, options: Any, progress: Any) -> Any:
        devices.append(options.device)
        if options.device != "cpu":
            raise torch.OutOfMemoryError("too large")
        return real(images, models, options, progress)

    monkeypatch.setattr(registration, "run", crowded)
    ui.liveButton.click()
    host.waitUntil(lambda: not loaded.widget.live.isBusy)
    assert "memory of the GPU was too small" in ui.statusLabel.text
    scroll(loaded, 8.0)
    assert loaded.widget.live.isOn
    assert ui.statusLabel.text.startswith("Axial slice 9")
    assert "memory of the GPU was too small" in ui.statusLabel.text
    assert devices == ["auto", "cpu", "cpu"]


def test_another_failure_ends_live_with_a_sentence(
    loaded: host.Loaded, ui: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from UnsupervisedRegistrationLib.scene.registration import slice as registration

    def broken(*arguments: Any, **settings: Any) -> Any:
        raise RuntimeError("the driver is gone")

    monkeypatch.setattr(registration, "run", broken)
    ui.liveButton.click()
    host.waitUntil(lambda: not loaded.widget.live.isOn)
    assert "the driver is gone" in ui.statusLabel.text
    assert not ui.liveButton.checked
    assert slicer.util.getNode("HeadMoving").GetParentTransformNode() is None


def test_live_leaves_no_node_observer_or_thread(loaded: host.Loaded, live: Any) -> None:
    def things() -> tuple[int, int, int]:
        gc.collect()
        return (
            slicer.mrmlScene.GetNumberOfNodes(),
            len(loaded.widget.live.controller.Observations),
            threading.active_count(),
        )

    scroll(loaded, 8.0)
    before = things()
    for step in range(20):
        scroll(loaded, 4.0 * (step % 2))
    assert things() == before
    threads = threading.active_count()
    live.liveButton.click()
    host.waitUntil(lambda: threading.active_count() < threads)


@pytest.fixture
def handed() -> list[Any]:
    return []


def test_only_the_newest_request_is_worked_on(loaded: host.Loaded, handed: list[Any]) -> None:
    release, worked = threading.Event(), []

    def work(request: int) -> int:
        worked.append(request)
        release.wait(5)
        return request

    newest = LatestRequestWorker(work, lambda request, outcome: handed.append(outcome), lambda *_: None, QtTimer)
    for request in range(5):
        newest.ask(request)
    host.waitUntil(lambda: worked)
    release.set()
    host.waitUntil(lambda: not newest.isBusy)
    assert (worked, handed) == ([0, 4], [4])
    newest.stop()


def test_what_is_still_at_work_after_the_stop_is_dropped(loaded: host.Loaded, handed: list[Any]) -> None:
    release = threading.Event()
    newest = LatestRequestWorker(
        lambda request: release.wait(5), lambda *outcome: handed.append(outcome), handed.append, QtTimer
    )
    newest.ask(1)
    newest.stop()
    release.set()
    end = time.monotonic() + 0.1
    while time.monotonic() < end:
        slicer.app.processEvents()
    assert handed == []


def test_an_error_of_the_work_is_handed_over(loaded: host.Loaded, handed: list[Any]) -> None:
    newest = LatestRequestWorker(
        lambda request: 1 / request, lambda *_: None, lambda request, error: handed.append(error), QtTimer
    )
    newest.ask(0)
    host.waitUntil(lambda: handed)
    assert isinstance(handed[0], ZeroDivisionError)
    newest.stop()


def test_the_thread_works_although_the_event_loop_keeps_the_interpreter_lock(
    loaded: host.Loaded, handed: list[Any]
) -> None:
    """As Slicer's does, where a thread that only gets the lock as events come needs one for almost every operation."""
    image = torch.ones(500, 500)

    def work(request: int) -> float:
        return sum(float((image * step).sum()) for step in range(request))

    newest = LatestRequestWorker(work, lambda request, outcome: handed.append(outcome), lambda *_: None, QtTimer)
    newest.ask(200)
    loop, turns = ctypes.PyDLL(None), 0
    while not handed and turns < 200:
        loop.usleep(10_000)
        slicer.app.processEvents()
        turns += 1
    assert turns < 60


def test_what_changes_at_once_is_registered_once(
    loaded: host.Loaded, live: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, sampled = loaded.widget.live.controller._steps, []
    real = steps.sample
    monkeypatch.setattr(steps, "sample", lambda: sampled.append(red().GetSliceOffset()) or real())
    for offset in (4.0, 8.0, 12.0):
        red().SetSliceOffset(offset)
    host.waitUntil(lambda: not loaded.widget.live.isBusy)
    assert sampled == [12.0]
    assert "slice 10" in live.statusLabel.text


def test_a_point_under_the_mouse_is_no_landmark_yet(loaded: host.Loaded, ui: Any) -> None:
    for which in ("fixed", "moving"):
        points = slicer.util.getNode(f"Head{which.capitalize()}Landmarks")
        getattr(ui, f"{which}LandmarksSelector").setCurrentNode(points)
    ui.steerCheckBox.checked = True
    ui.liveButton.click()
    host.waitUntil(lambda: not loaded.widget.live.isBusy)
    preview = points.AddControlPointWorld(0.0, 0.0, 0.0)
    points.SetNthControlPointPositionWorld(preview, [0.0, 0.0, 0.0], points.PositionPreview)
    host.waitUntil(lambda: not loaded.widget.live.isBusy)
    points.SetNthControlPointPositionWorld(preview, [5.0, 0.0, 0.0], points.PositionPreview)
    assert not loaded.widget.live.isBusy


def test_lists_that_follow_the_moving_image_do_not_ask_for_the_next_outcome(loaded: host.Loaded, ui: Any) -> None:
    ui.createLandmarksButton.click()
    fixed, partners = (s.currentNode() for s in (ui.fixedLandmarksSelector, ui.movingLandmarksSelector))
    ui.steerCheckBox.checked = True
    ui.liveButton.click()
    host.waitUntil(lambda: not loaded.widget.live.isBusy)
    fixed.AddControlPointWorld([10.0, 10.0, 0.0], "1")
    partners.AddControlPoint([13.0, 10.0, 0.0], "1")
    host.waitUntil(lambda: not loaded.widget.live.isBusy and partners.GetParentTransformNode() is not None)
    host.waitUntil(lambda: not loaded.widget.live.isBusy)
    shown = loaded.widget.result
    for _ in range(20):
        slicer.app.processEvents()
        time.sleep(0.01)
    assert loaded.widget.result is shown


def refined(loaded: host.Loaded) -> Any:
    """The result once Live has replaced the fast one."""
    host.waitUntil(lambda: not loaded.widget.live.isBusy and not loaded.widget.live.isRefining, 60)
    return loaded.widget.result.registration


def test_at_rest_the_fast_result_is_replaced_by_that_of_the_preset(loaded: host.Loaded, ui: Any) -> None:
    ui.presetSelector.setCurrentText("standard")
    ui.liveButton.click()
    host.waitUntil(lambda: loaded.widget.result is not None)
    assert loaded.widget.result.registration.plan.optimisation is None
    assert loaded.widget.live.isRefining
    assert refined(loaded).plan.optimisation is not None
    seen = grid().copy()
    ui.applyButton.click()
    assert np.array_equal(seen, grid())


def test_moving_on_cancels_the_refinement(loaded: host.Loaded, ui: Any) -> None:
    ui.presetSelector.setCurrentText("standard")
    ui.liveButton.click()
    host.waitUntil(lambda: loaded.widget.live.controller._worker.isBusy and loaded.widget.live.isRefining)
    scroll(loaded, 8.0)
    assert ui.statusLabel.text.startswith("Axial slice 9")
    assert loaded.widget.result.registration.plan.optimisation is None
    assert refined(loaded).plan.optimisation is not None
    assert ui.statusLabel.text.startswith("Axial slice 9")


@pytest.mark.parametrize("preset", ["fast", "standard"])
def test_live_at_rest_and_apply_give_the_same_grade(loaded: host.Loaded, ui: Any, preset: str) -> None:
    ui.presetSelector.setCurrentText(preset)
    ui.liveButton.click()
    host.waitUntil(lambda: loaded.widget.result is not None)
    assert "Preliminary" in ui.qualityLabel.text
    refined(loaded)
    seen = ui.qualityLabel.text
    ui.applyButton.click()
    assert ui.qualityLabel.text == seen
    assert "Preliminary" not in seen


def test_the_fast_preset_is_completed_once(loaded: host.Loaded, live: Any) -> None:
    refined(loaded)
    assert loaded.widget.result.expectedError is not None
    assert not loaded.widget.live.isRefining


def test_the_model_is_chosen_once_for_two_volumes(
    loaded: host.Loaded, ui: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from UnsupervisedRegistrationLib.scene.registration import candidate_models as candidates
    from UnsupervisedRegistrationLib.scene.registration import slice as registration

    monkeypatch.setattr(candidates, "isSynthetic", lambda *volumes: False)
    real, counts = registration.run, []

    def counted(images: Any, models: Any, *rest: Any) -> Any:
        counts.append(len(models))
        return real(images, models, *rest)

    monkeypatch.setattr(registration, "run", counted)
    ui.liveButton.click()
    host.waitUntil(lambda: not loaded.widget.live.isBusy)
    first = ui.planLabel.text
    assert "best of" in first
    for offset in (4.0, 8.0):
        scroll(loaded, offset)
        assert ui.planLabel.text == first
    assert counts[0] > 1
    assert counts[1:] == [1, 1]
