"""The figure of a result says what it shows: orientation, slice, scale, quality, pre-alignment, legends."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import slicer.util
from matplotlib.figure import Figure

from UnsupervisedRegistrationLib.headless import figure
from UnsupervisedRegistrationLib.headless.figure import saveFigure
from UnsupervisedRegistrationLib.scene.registration.result_nodes import SliceOutputs, showSliceResult


@pytest.fixture
def result(obliquePair, handmade):
    return showSliceResult(obliquePair, handmade(obliquePair.plane.shape), SliceOutputs())


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    """Draws a result; returns the title and, by the title of each panel, its axes."""

    def draw(result):
        figures = []
        monkeypatch.setattr(Figure, "savefig", lambda figure, *args, **kwargs: figures.append(figure))
        saveFigure(result, tmp_path / "figure.png", "A to B\nQuality check: Good.")
        panels = {axes.get_title().strip(): axes for axes in figures[0].axes if axes.get_title()}
        return figures[0].get_suptitle(), panels

    return draw


def test_every_panel_has_letters_and_a_scale_bar_outside_the_image(result, drawn):
    title, panels = drawn(result)
    assert title.startswith("A to B\nQuality check: Good.\n")
    assert "not pre-aligned" in title
    assert result.pair.plane.name.lower() in title.lower()
    assert list(panels)[:4] == ["Fixed", "Moving", "Warped", "Checkerboard"]
    for axes in panels.values():
        texts = {text.get_text(): text.get_position() for text in axes.texts}
        assert {"R", "L", "A", "P"} <= texts.keys()  # The plane is nearly axial.
        assert texts["R"][0] < 0 < texts["A"][0] < 1 < texts["L"][0]
        (bar,) = axes.lines
        (unit,) = (text for text in texts if text.endswith(" mm"))
        (left, right) = axes.get_xlim()
        assert bar.get_xdata()[1] * (right - left) == pytest.approx(float(unit.split()[0]))
        assert max(bar.get_ydata()) < 0


def test_moving_and_warped_have_one_grey_window(result, drawn):
    slicer.util.arrayFromVolume(result.warpedVolume)[:] = result.pair.moving.pixels / 2
    _, panels = drawn(result)
    moving, warped = (panels[name].images[0].get_array() for name in ("Moving", "Warped"))
    low, high = np.percentile(result.pair.moving.pixels, [0.5, 99.5])
    middle = (moving > 0.2) & (moving < 0.8)
    expected = ((low + moving * (high - low)) / 2 - low) / (high - low)
    np.testing.assert_allclose(warped[middle], np.clip(expected, 0, 1)[middle], atol=1e-5)


def test_tiles_are_square_in_mm_on_anisotropic_pixels(result, drawn):
    plane = replace(result.pair.plane, ijkToRas=result.pair.plane.ijkToRas @ np.diag([1.0, 5.0, 1.0, 1.0]))
    fixed = replace(result.pair.fixed, pixels=np.tile(np.linspace(0, 1, plane.shape[1]), (plane.shape[0], 1)))
    slicer.util.arrayFromVolume(result.warpedVolume)[:] = 0
    _, panels = drawn(replace(result, pair=replace(result.pair, plane=plane, fixed=fixed)))
    board, (_, width, height, _) = (
        panels["Checkerboard"].images[0].get_array(),
        panels["Checkerboard"].images[0].get_extent(),
    )
    wholeImage = panels["Fixed"].images[0].get_array()
    rows, columns = board.shape
    (legend,) = (text.get_text() for text in panels["Checkerboard"].texts if text.get_text().startswith("tiles of "))
    tile = float(legend.split()[2])
    assert 4 * tile <= width
    for y in range(5, int(height), 10):
        for x in range(5, int(width), 10):
            row, column = int(y / height * rows), int(x / width * columns)
            isFixed = (
                int((row + 0.5) * height / rows // tile) + int((column + 0.5) * width / columns // tile)
            ) % 2 == 0
            if wholeImage[row, column] > 0:
                assert (board[row, column] == wholeImage[row, column]) == isFixed


def test_a_prealignment_is_named_with_its_size(result, drawn):
    matrix = np.eye(4)
    matrix[:2, :2] = [[np.cos(0.1), -np.sin(0.1)], [np.sin(0.1), np.cos(0.1)]]
    centre = result.pair.plane.centre
    matrix[:3, 3] = centre - matrix[:3, :3] @ centre + [3, 4, 0]
    title, panels = drawn(replace(result, pair=replace(result.pair, prealignmentMatrix=matrix)))
    assert "Pre-alignment: shift 5.0 mm at the centre of the slice, rotation 5.7°." in title
    assert "Moving, pre-aligned" in panels


def test_the_change_of_area_has_the_scale_of_the_panel(result, drawn):
    _, panels = drawn(result)
    image = panels["Change of area"].images[0]
    assert image.get_clim() == (-1, 1)
    assert [label.get_text() for label in image.colorbar.ax.get_yticklabels()] == ["half", "same", "double"]


@pytest.mark.parametrize("width", [0.256, 0.03, 41.0, 512.0])
def test_lengths_fit_an_image_of_any_size(width):
    length = figure._roundLength(width / 4)
    assert width / 10 < length <= width / 4
    assert f"{length:.0e}"[0] in "125"
