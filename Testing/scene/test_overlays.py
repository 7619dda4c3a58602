"""Every overlay shows its images in place, and switching it off restores the views."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import slicer.util
import vtk

from UnsupervisedRegistrationLib.scene.display import overlays, scalar_maps, side_by_side
from UnsupervisedRegistrationLib.scene.display.deformation_display import (
    deformationGlyphs,
    deformationGrid,
    hideDeformation,
)
from UnsupervisedRegistrationLib.scene.display.slice_views import addSliceViews, displayOrder
from UnsupervisedRegistrationLib.scene.registration.result_nodes import SliceOutputs, showSliceResult
from UnsupervisedRegistrationLib.scene.scene_nodes import nodesByClass

LAYERS = slicer.vtkMRMLSliceCompositeNode
GREY = 1e-6  # The derived volume has single precision.


@pytest.fixture
def result(scene, obliquePair, handmade):
    addSliceViews(scene)
    for volume in (obliquePair.fixedVolume, obliquePair.movingVolume):
        volume.CreateDefaultDisplayNodes()
        volume.GetDisplayNode().SetAutoWindowLevel(False)
        volume.GetDisplayNode().SetWindowLevel(1000, 500)
        colours = scene.AddNewNodeByClass("vtkMRMLColorTableNode")
        volume.GetDisplayNode().SetAndObserveColorNodeID(colours.GetID())
    return showSliceResult(obliquePair, handmade(obliquePair.plane.shape), SliceOutputs())


@pytest.fixture
def overlay(result):
    return overlays.enterOverlay(result.pair.fixedVolume, result.pair.movingVolume)


@pytest.fixture
def images(overlay, result):
    return overlays.overlayImages(overlay, result.pair.plane, result.pair.fixed.pixels, result.warpedPixels)


def shown(overlay):
    """Background, foreground, opacity and compositing of all views, which must agree."""
    states = {
        (
            layers.GetBackgroundVolumeID(),
            layers.GetForegroundVolumeID(),
            layers.GetForegroundOpacity(),
            layers.GetCompositing(),
        )
        for layers in overlay.layers
    }
    assert len(states) == 1
    background, foreground, opacity, compositing = states.pop()
    scene = overlay.fixedVolume.GetScene()
    return scene.GetNodeByID(background), scene.GetNodeByID(foreground), opacity, compositing


def picture(overlay, images):
    """Intensities of the overlay volume, 0..1; asserts that it lies on the plane."""
    derived = shown(overlay)[1]
    np.testing.assert_allclose(slicer.util.arrayFromVTKMatrix(matrixOf(derived)), images.plane.ijkToRas, atol=1e-9)
    return slicer.util.arrayFromVolume(derived)[0]


def matrixOf(volume):
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    return matrix


def modes(overlay, images, result):
    ones = np.ones(images.plane.shape)
    return {
        "blend": lambda: overlays.blend(overlay),
        "flicker": lambda: overlays.flicker(overlay, False),
        "redCyan": lambda: overlays.redCyan(overlay),
        "checkerboard": lambda: overlays.checkerboard(overlay, images),
        "swipe": lambda: overlays.swipe(overlay, images),
        "difference": lambda: overlays.difference(overlay, images),
        "edges": lambda: overlays.edges(overlay, images),
        "jacobianMap": lambda: scalar_maps.jacobianMap(overlay, images.plane, ones),
        "trustMap": lambda: scalar_maps.trustMap(overlay, images.plane, ones),
        "unwarped": lambda: overlays.showWarped(overlay, False),
        "grid": lambda: deformationGrid(result.transformNode),
        "glyphs": lambda: deformationGlyphs(result.transformNode),
        "sideBySide": lambda: side_by_side.showSideBySide(overlay, images.plane),
    }


MODES = ["blend", "flicker", "redCyan", "checkerboard", "swipe", "difference", "edges", "jacobianMap", "trustMap"]
MODES += ["unwarped", "grid", "glyphs"]


def settings(scene):
    """All that the overlays may change, of every node that is not theirs."""
    return {
        node.GetID(): _settingsOf(node)
        for node in (scene.GetNthNode(index) for index in range(scene.GetNumberOfNodes()))
        if not node.IsA("vtkMRMLSliceNode")
    }


def _settingsOf(node):
    names = ["BackgroundVolumeID", "ForegroundVolumeID", "ForegroundOpacity", "Compositing", "LinkedControl"]
    names += ["ColorNodeID", "Visibility", "Visibility2D", "VisualizationMode", "GridSpacingMm", "GlyphSpacingMm"]
    names += ["ViewArrangement", "TransformNodeID", "Window", "Level"]
    return {name: getattr(node, f"Get{name}")() for name in names if hasattr(node, f"Get{name}")}


def test_a_blend_shows_the_moving_image_in_front(overlay, result):
    overlays.blend(overlay, 0.3)
    assert shown(overlay) == (result.pair.fixedVolume, result.pair.movingVolume, 0.3, LAYERS.Alpha)


@pytest.mark.parametrize(("moving", "opacity"), [(False, 0.0), (True, 1.0)])
def test_flicker_shows_one_image_alone(overlay, moving, opacity):
    overlays.flicker(overlay, moving)
    assert shown(overlay)[2] == opacity


def test_red_and_cyan_add_up_to_grey(overlay, result):
    overlays.redCyan(overlay)
    assert shown(overlay)[3] == LAYERS.Add
    colours = []
    for volume in (result.pair.fixedVolume, result.pair.movingVolume):
        colour = [0.0] * 4
        assert volume.GetDisplayNode().GetColorNode().GetColor(200, colour)
        colours.append(np.array(colour[:3]))
    np.testing.assert_allclose(sum(colours), [200 / 255] * 3)
    assert colours[0][0] > 0
    assert colours[1][0] == 0


def test_the_next_mode_restores_the_colours(overlay, result):
    before = result.pair.fixedVolume.GetDisplayNode().GetColorNodeID()
    overlays.redCyan(overlay)
    overlays.blend(overlay)
    assert result.pair.fixedVolume.GetDisplayNode().GetColorNodeID() == before


def test_a_checkerboard_has_both_images_in_turn(overlay, images):
    overlays.checkerboard(overlay, images, tile=1e-3)  # One pixel is the smallest tile.
    board = picture(overlay, images)
    np.testing.assert_allclose(board[::2, ::2], images.fixed[::2, ::2], atol=GREY)
    np.testing.assert_allclose(board[::2, 1::2], images.warped[::2, 1::2], atol=GREY)
    np.testing.assert_allclose(board[1::2, 1::2], images.fixed[1::2, 1::2], atol=GREY)


def test_tiles_are_square_in_mm(overlay, images):
    overlays.checkerboard(overlay, images, tile=9.91)  # 0.9 mm columns, 1.1 mm rows.
    board = picture(overlay, images)
    np.testing.assert_allclose(board[:9, :11], images.fixed[:9, :11], atol=GREY)
    np.testing.assert_allclose(board[:9, 11:22], images.warped[:9, 11:22], atol=GREY)
    np.testing.assert_allclose(board[9:18, :11], images.warped[9:18, :11], atol=GREY)


@pytest.mark.parametrize("position", [0.0, 0.25, 1.0])
def test_swipe_has_fixed_left_and_warped_right(overlay, images, position):
    overlays.swipe(overlay, images, position)
    order = displayOrder(images.plane)
    drawn, fixed, warped = (order(pixels) for pixels in (picture(overlay, images), images.fixed, images.warped))
    border = round(position * drawn.shape[1])
    hasLine = 0 < border < drawn.shape[1]
    np.testing.assert_allclose(drawn[:, :border], fixed[:, :border], atol=GREY)
    np.testing.assert_allclose(drawn[:, border + hasLine :], warped[:, border + hasLine :], atol=GREY)
    if hasLine:
        assert (drawn[:, border] < 0).all()


def test_the_border_of_a_swipe_is_a_yellow_line(overlay, images):
    overlays.swipe(overlay, images, 0.5)
    display, colour = shown(overlay)[1].GetDisplayNode(), [0.0] * 4
    assert picture(overlay, images).min() == pytest.approx(display.GetWindowLevelMin())
    display.GetColorNode().GetColor(0, colour)
    assert colour[:3] == pytest.approx(rgb("ffd21f"), abs=0.01)
    display.GetColorNode().GetColor(int(256 * 0.01 / 1.01), colour)  # Black pixels of the images stay black.
    assert max(colour[:3]) < 0.02


def test_a_difference_of_equal_images_is_middle_grey(overlay, images):
    overlays.difference(overlay, overlays.OverlayImages(images.plane, images.fixed, images.fixed))
    np.testing.assert_allclose(picture(overlay, images), 0.5, atol=GREY)


def test_edges_lie_on_the_border_of_a_square_and_nowhere_else(overlay, images, result):
    square = np.zeros(images.plane.shape)
    square[8:20, 10:25] = 1
    overlays.edges(overlay, overlays.OverlayImages(images.plane, square, images.warped))
    rows, columns = np.nonzero(picture(overlay, images) > 0)
    assert len(rows) > 40
    outside = np.maximum(np.abs(rows - 13.5) - 6, np.abs(columns - 17) - 7.5)
    assert np.abs(outside).max() <= 1.5
    background, foreground, opacity, _ = shown(overlay)
    assert background is result.pair.movingVolume
    assert opacity == 1
    assert foreground.GetDisplayNode().GetApplyThreshold()


def test_an_image_without_edges_has_none(overlay, images):
    overlays.edges(overlay, overlays.OverlayImages(images.plane, 0 * images.fixed, images.warped))
    assert not (picture(overlay, images) >= 0).any()


@pytest.mark.parametrize(
    ("determinant", "colour"),
    [(-0.5, "ff00ff"), (0.0, "ff00ff"), (0.01, "2167ac"), (0.5, "2167ac"), (1.0, "f6f6f7"), (2.0, "b2182b")],
)
def test_the_area_map_is_blue_white_red_and_magenta_where_it_folds(overlay, images, determinant, colour):
    scalar_maps.jacobianMap(overlay, images.plane, np.full(images.plane.shape, determinant), images.fixed * 0)
    assert colourShown(overlay) == pytest.approx(rgb(colour), abs=0.02)


@pytest.mark.parametrize(("trust", "colour"), [(0.0, "440154"), (1.0, "fde725")])
def test_the_trust_map_goes_from_violet_to_yellow(overlay, images, trust, colour):
    scalar_maps.trustMap(overlay, images.plane, np.full(images.plane.shape, trust), images.fixed * 0, 0.4)
    assert colourShown(overlay) == pytest.approx(rgb(colour), abs=0.02)
    assert shown(overlay)[2] == 0.4


def colourShown(overlay):
    """Of the middle of the picture, by its window and its table of colours."""
    derived = shown(overlay)[1]
    values, display, colour = slicer.util.arrayFromVolume(derived)[0], derived.GetDisplayNode(), [0.0] * 4
    value = values[values.shape[0] // 2, values.shape[1] // 2]
    share = (value - display.GetWindowLevelMin()) / display.GetWindow()
    display.GetColorNode().GetColor(min(int(256 * share), 255), colour)
    return colour[:3]


def test_air_is_transparent_in_maps(overlay, images):
    """A body with a dark hole in it; the hole belongs to it."""
    rows, columns = np.indices(images.plane.shape) - np.reshape(images.plane.shape, (2, 1, 1)) / 2
    radius = np.hypot(rows, columns)
    fixed = np.where((radius < 12) & (radius > 4), 800.0, 0) + np.random.default_rng(0).normal(0, 10, radius.shape)
    scalar_maps.trustMap(overlay, images.plane, np.ones(images.plane.shape), fixed)
    display = shown(overlay)[1].GetDisplayNode()
    assert display.GetApplyThreshold()
    seen = picture(overlay, images) >= display.GetLowerThreshold()
    assert seen[radius < 10].all()
    assert not seen[radius > 14].any()


def test_without_air_the_map_covers_all(overlay, images):
    fixed = np.random.default_rng(0).normal(500, 100, images.plane.shape)
    scalar_maps.trustMap(overlay, images.plane, np.ones(images.plane.shape), fixed)
    assert (picture(overlay, images) == 100).all()


def rgb(colour):
    return [int(colour[i : i + 2], 16) / 255 for i in (0, 2, 4)]


def test_the_unwarped_moving_image_has_its_initial_transform(overlay, result):
    overlays.showWarped(overlay, False)
    overlays.showWarped(overlay, False)
    assert result.pair.movingVolume.GetParentTransformNode() is None
    overlays.showWarped(overlay, True)
    overlays.showWarped(overlay, True)
    assert result.pair.movingVolume.GetParentTransformNode() is result.transformNode


def test_a_deleted_result_leaves_the_moving_image_unwarped(scene, overlay, result):
    overlays.showWarped(overlay, False)
    scene.RemoveNode(result.transformNode)
    overlays.showWarped(overlay, True)
    assert result.pair.movingVolume.GetParentTransformNode() is None


def test_the_deformation_is_shown_as_grid_or_arrows(overlay, result):
    node = result.transformNode
    deformationGrid(node, 6)
    assert node.GetDisplayNode().GetVisualizationMode() == slicer.vtkMRMLTransformDisplayNode.VIS_MODE_GRID
    assert node.GetDisplayNode().GetGridSpacingMm() == 6
    deformationGlyphs(node, 7)
    assert node.GetDisplayNode().GetVisualizationMode() == slicer.vtkMRMLTransformDisplayNode.VIS_MODE_GLYPH
    assert node.GetDisplayNode().GetVisibility2D()
    hideDeformation(node)
    assert not node.GetDisplayNode().GetVisibility2D()


def test_only_the_chosen_views_change(scene, result):
    view = next(n for n in nodesByClass(scene, "vtkMRMLSliceNode") if n.GetLayoutName() == "Green")
    overlay = overlays.enterOverlay(result.pair.fixedVolume, result.pair.movingVolume, [view])
    overlays.blend(overlay)
    changed = {
        layers.GetLayoutName(): layers.GetForegroundVolumeID() is not None
        for layers in nodesByClass(scene, "vtkMRMLSliceCompositeNode")
    }
    assert changed == {"Red": False, "Yellow": False, "Green": True}


@pytest.mark.parametrize("mode", [*MODES, "sideBySide"])
def test_switching_off_restores_everything(scene, result, mode):
    for number, layers in enumerate(nodesByClass(scene, "vtkMRMLSliceCompositeNode")):
        layers.SetBackgroundVolumeID(result.pair.movingVolume.GetID())
        layers.SetForegroundOpacity(0.1 * number)
        layers.SetCompositing(LAYERS.Subtract)
    before = settings(scene)
    overlay = overlays.enterOverlay(result.pair.fixedVolume, result.pair.movingVolume)
    images = overlays.overlayImages(overlay, result.pair.plane)
    modes(overlay, images, result)[mode]()
    assert settings(scene) != before
    overlays.restoreViews(scene)
    assert {key: value for key, value in settings(scene).items() if key in before} == before
    if mode != "sideBySide":  # The application keeps views that a layout has made.
        assert settings(scene) == before


def test_all_modes_one_after_the_other_are_switched_off_at_once(scene, result):
    before = settings(scene)
    overlay = overlays.enterOverlay(result.pair.fixedVolume, result.pair.movingVolume)
    images = overlays.overlayImages(overlay, result.pair.plane)
    for mode in MODES:
        modes(overlay, images, result)[mode]()
    overlays.restoreViews(scene)
    overlays.restoreViews(scene)
    assert settings(scene) == before


def test_deleted_nodes_are_not_restored(scene, result, overlay, images):
    for layers in overlay.layers:
        layers.SetLabelVolumeID(None)
    overlays.edges(overlay, images)
    scene.RemoveNode(result.pair.movingVolume.GetDisplayNode())
    scene.RemoveNode(result.pair.movingVolume)
    scene.RemoveNode(overlay.layers[0])
    overlays.restoreViews(scene)
    assert overlay.layers[1].GetBackgroundVolumeID() is None


@pytest.mark.parametrize("mode", MODES)
def test_updates_add_no_node_and_no_observer(scene, result, overlay, images, mode):
    show = modes(overlay, images, result)[mode]
    show()
    held = [scene.GetNthNode(index) for index in range(scene.GetNumberOfNodes())]
    references = [node.GetReferenceCount() for node in held]
    derived = shown(overlay)[1] if mode not in ("unwarped", "grid", "glyphs") else None
    events = []
    tag = derived and derived.AddObserver(slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent, lambda *_: events.append(1))
    show()
    assert len(events) <= 1
    if tag:
        derived.RemoveObserver(tag)
    for _ in range(200):
        show()
    assert scene.GetNumberOfNodes() == len(held)
    assert [node.GetReferenceCount() for node in held] == references


def test_the_overlay_volume_is_hidden_and_reused(scene, overlay, images):
    overlays.checkerboard(overlay, images)
    first = shown(overlay)[1]
    overlays.difference(overlay, images)
    assert shown(overlay)[1] is first
    assert first.GetHideFromEditors()


def test_the_overlay_volume_follows_the_slice_size(overlay, images):
    overlays.difference(overlay, images)
    half = overlays.OverlayImages(images.plane, images.fixed[:8], images.warped[:8])
    overlays.difference(overlay, half)
    assert shown(overlay)[1].GetImageData().GetDimensions() == (images.fixed.shape[1], 8, 1)


def test_images_are_sampled_through_the_transforms_if_not_given(overlay, images, result):
    sampled = overlays.overlayImages(overlay, result.pair.plane)
    np.testing.assert_allclose(sampled.fixed, images.fixed, atol=1e-4)
    np.testing.assert_allclose(sampled.warped, images.warped, atol=1e-4)


def test_without_a_window_the_whole_range_is_shown(overlay, result):
    result.pair.fixedVolume.GetDisplayNode().SetWindowLevel(0, 0)
    result.pair.movingVolume.RemoveAllDisplayNodeIDs()
    images = overlays.overlayImages(overlay, result.pair.plane)
    assert images.fixed.min() == images.warped.min() == 0
    assert images.fixed.max() == images.warped.max() == 1


def test_a_colour_image_is_refused_in_red_and_cyan(scene, result):
    colour = scene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "Photo")
    overlay = overlays.enterOverlay(result.pair.fixedVolume, colour)
    before = settings(scene)
    with pytest.raises(ValueError, match="'Photo' is a colour image"):
        overlays.redCyan(overlay)
    assert settings(scene) == before


class TestSideBySide:
    def test_both_images_are_shown_in_linked_views(self, scene, overlay, result):
        logic = slicer.vtkMRMLLayoutLogic()  # Makes the views of a layout, as in the application.
        logic.SetMRMLScene(scene)
        addLinkedViews(scene)
        side_by_side.showSideBySide(overlay, result.pair.plane)
        layers = {n.GetLayoutName(): n for n in nodesByClass(scene, "vtkMRMLSliceCompositeNode")}
        assert layers["RegistrationFixed"].GetBackgroundVolumeID() == result.pair.fixedVolume.GetID()
        assert layers["RegistrationWarped"].GetBackgroundVolumeID() == result.pair.movingVolume.GetID()
        assert layers["RegistrationFixed"].GetLinkedControl()
        views = [n for n in nodesByClass(scene, "vtkMRMLSliceNode") if "Reg" in n.GetLayoutName()]
        assert len(views) == 2
        assert {view.GetViewGroup() for view in views} == {17}
        for view in views:
            position = slicer.util.arrayFromVTKMatrix(view.GetSliceToRAS())[:3, 3]
            np.testing.assert_allclose(position, result.pair.plane.centre, atol=1e-6)

    def test_the_layout_is_added_once(self, scene, result):
        node = scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
        assert (
            side_by_side.addSideBySideLayout(node)
            == side_by_side.addSideBySideLayout(node)
            == side_by_side.SIDE_BY_SIDE_LAYOUT_ID
        )
        assert node.GetLayoutDescription(side_by_side.SIDE_BY_SIDE_LAYOUT_ID) == side_by_side.SIDE_BY_SIDE_LAYOUT

    def test_a_scene_without_layout_is_refused(self, scene, makeVolume, oblique):
        overlay = overlays.enterOverlay(*(makeVolume(oblique.ijkToRas, name) for name in "ab"))
        with pytest.raises(ValueError, match="has no layout"):
            side_by_side.showSideBySide(overlay, None)


def addLinkedViews(scene):
    """What the application does when the layout is chosen for the first time."""
    for name in (side_by_side.FIXED_VIEW, side_by_side.WARPED_VIEW):
        layers = slicer.vtkMRMLSliceCompositeNode()
        layers.SetSingletonTag(name)
        layers.SetLayoutName(name)
        scene.AddNode(layers)
