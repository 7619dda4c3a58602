"""The pictures of a quality report, drawn without a plotting library, as PNG."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from ...core.spatial.deformation import jacobian_determinant
from ...core.spatial.folding import folded_cells
from ..display.color_tables import AREA_COLOURS, areaShare, colourAt
from ..display.overlay_volume import edgeMask
from ..display.slice_views import displayLetters, displayOrder
from ..geometry.sampling import sampleSlices
from ..geometry.transforms import worldToLocal
from .evidence import GatheredEvidence, ReportInputs
from .report_region import ReportRegion

_WIDTH = 360  # Pixels of the longer side of a picture.
_TILE_MM = 20.0
_BAR = 12  # Pixels of the height of a colour bar.
_ORANGE, _CYAN, _YELLOW, _MAGENTA = (255, 140, 26), (26, 204, 230), (255, 210, 31), (255, 0, 255)


@dataclass(frozen=True)
class Picture:
    """A picture with its explanation.

    Attributes:
        title: What it shows.
        caption: How to read it.
        pixels: ``(rows, columns, 3)`` uint8.
    """

    title: str
    caption: str
    pixels: np.ndarray

    @property
    def png(self) -> bytes:
        """The content of a PNG file."""
        rows, columns, _ = self.pixels.shape
        image = vtk.vtkImageData()
        image.SetDimensions(columns, rows, 1)
        image.GetPointData().SetScalars(numpy_to_vtk(self.pixels[::-1].reshape(-1, 3), deep=True))
        writer = vtk.vtkPNGWriter()
        writer.WriteToMemoryOn()
        writer.SetInputData(image)
        writer.Write()
        return vtk_to_numpy(writer.GetResult()).tobytes()


def drawPictures(inputs: ReportInputs, gathered: GatheredEvidence) -> tuple[Picture, ...]:
    """Both images before and after, checkerboard, edges, Jacobian, displacement; contours and landmarks if given.

    In a volume they show the slice with the most folding, or else that with the largest part of the patient.
    """
    evidence, index = gathered.evidence, _shownSlice(gathered)
    region = gathered.region if gathered.region.isSlice else gathered.region.sliceAt(index)
    draw = _Drawing(region)

    def part(array: np.ndarray) -> np.ndarray:
        return array if gathered.region.isSlice else array[index]

    space = gathered.space
    fixed = _sampled(inputs.fixedVolume, region, worldToLocal(inputs.fixedVolume.GetParentTransformNode()))
    before, after = (_sampled(inputs.movingVolume, region, where) for where in (space.before, space.fromWorld))
    fixed, before, after = _window(fixed), *_sameWindow(before, after)
    jacobian = part(jacobian_determinant(evidence.displacement)[0, 0].numpy())
    vectors = evidence.grid.displacement_to_ras(evidence.displacement)[0].numpy()
    length = part(np.linalg.norm(vectors, axis=0))
    outline = part(evidence.outline.numpy())
    place = gathered.region.plane.name if gathered.region.isSlice else f"slice {index} of the volume"
    where = f"{place[:1].upper()}{place[1:]}; {draw.letters}"
    found = [
        Picture("Fixed", f"{where} Orange: outline of the patient.", draw.contours(fixed, [(outline, _ORANGE)])),
        Picture("Moving, before", f"{where} Same grey window as after.", draw.grey(before)),
        Picture("Moving, after", f"{where} Warped by the transform.", draw.grey(after)),
        Picture("Before", "Fixed red, moving cyan; grey where they agree.", draw.redCyan(fixed, before)),
        Picture("After", "Fixed red, warped cyan; grey where they agree.", draw.redCyan(fixed, after)),
        Picture("Checkerboard, after", "Tiles of 20 mm, fixed and warped in turn.", draw.checkerboard(fixed, after)),
        Picture("Edges, after", "Edges of the fixed image (yellow) on the warped image.", draw.edges(fixed, after)),
        Picture(
            "Jacobian",
            "Bar: 0.5 (blue, half the size), 1 (white), 2 (red, double); magenta: 0 and below.",
            draw.jacobian(jacobian, outline),
        ),
        Picture(
            "Length of the displacement",
            f"Bar: 0 mm (black) to {length[outline].max() if outline.any() else 0.0:.1f} mm (white).",
            draw.length(length, outline),
        ),
    ]
    if evidence.structures:
        lines = [(part(s.fixed.numpy()), _ORANGE) for s in evidence.structures]
        lines += [(part(s.after.numpy()), _CYAN) for s in evidence.structures]
        found.append(
            Picture("Structures, after", "Fixed orange, warped cyan, on the fixed image.", draw.contours(fixed, lines))
        )
    points, errors = _landmarksOn(region, gathered)
    if len(points):
        marks = draw.landmarks(fixed, points, errors)
        found.append(Picture("Landmarks, after", "Fixed orange; the moving one arrives at the cyan point.", marks))
    return tuple(found)


def _shownSlice(gathered: GatheredEvidence) -> int:
    """Index of the slice that the pictures show."""
    if gathered.region.isSlice:
        return 0
    outline = gathered.evidence.outline.numpy()
    folded = folded_cells(gathered.evidence.displacement)[0, 0].numpy()
    counts = (folded & outline[tuple(slice(0, -1) for _ in range(3))]).sum(axis=(1, 2))
    return int(counts.argmax()) if counts.any() else int(outline.sum(axis=(1, 2)).argmax())


def _landmarksOn(region: ReportRegion, gathered: GatheredEvidence) -> tuple[np.ndarray, np.ndarray]:
    """Fixed landmarks on a slice, ``(N, 3)`` RAS mm, and their errors after the registration."""
    points, landmarks = gathered.landmarkPositions, gathered.evidence.landmarks
    if landmarks is None:
        return points[:0], points[:0]
    on = region.plane.distances(points) <= region.plane.thickness / 2
    return points[on], landmarks.after.numpy()[on]


def _sampled(volume: object, region: ReportRegion, fromWorld: vtk.vtkAbstractTransform) -> np.ndarray:
    return sampleSlices(volume, region.plane, 1, fromWorld).pixels[0]


def _window(*images: np.ndarray) -> np.ndarray:
    low, high = np.percentile(np.concatenate([image.ravel() for image in images]), [0.5, 99.5])
    return np.clip((images[0] - low) / max(high - low, 1e-12), 0, 1)


def _sameWindow(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return _window(first, second), _window(second, first)


class _Drawing:
    """Draws on square pixels, oriented as in Slicer's slice views."""

    def __init__(self, region: ReportRegion) -> None:
        self._plane = region.plane
        order = displayOrder(region.plane)
        index = np.moveaxis(np.indices(region.plane.shape), 0, -1)
        self._index = self._square(order(index))
        letters = displayLetters(region.plane)
        self.letters = f"left: {letters['left']}, top: {letters['top']}."

    def _square(self, index: np.ndarray) -> np.ndarray:
        """Row and column of the slice for each pixel of the picture, ``(rows, columns, 2)``."""
        axes = self._plane.ijkToRas[:3, :2]

        def size(along: int) -> float:
            step = index[1, 0] - index[0, 0] if along == 0 else index[0, 1] - index[0, 0]
            return float(np.linalg.norm(axes @ step[::-1]) * index.shape[along])

        height, width = size(0), size(1)
        scale = _WIDTH / max(height, width)
        rows, columns = (max(round(scale * side), 1) for side in (height, width))
        self.millimetres = 1 / scale
        down = np.minimum((np.arange(rows) + 0.5) * index.shape[0] / rows, index.shape[0] - 1e-6).astype(int)
        across = np.minimum((np.arange(columns) + 0.5) * index.shape[1] / columns, index.shape[1] - 1e-6).astype(int)
        return np.asarray(index[np.ix_(down, across)])

    def _placed(self, pixels: np.ndarray) -> np.ndarray:
        return np.asarray(pixels[self._index[..., 0], self._index[..., 1]])

    def grey(self, pixels: np.ndarray) -> np.ndarray:
        return _bytes(np.repeat(self._placed(pixels)[..., None], 3, axis=-1))

    def redCyan(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return _bytes(np.stack([self._placed(first), *[self._placed(second)] * 2], axis=-1))

    def checkerboard(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        rows, columns = np.indices(self._index.shape[:2]) // max(round(_TILE_MM / self.millimetres), 1)
        return np.where(((rows + columns) % 2 == 0)[..., None], self.grey(first), self.grey(second))

    def edges(self, fixed: np.ndarray, warped: np.ndarray) -> np.ndarray:
        return _marked(self.grey(warped), self._placed(edgeMask(fixed)).astype(bool), _YELLOW)

    def contours(self, image: np.ndarray, regions: list[tuple[np.ndarray, tuple[int, int, int]]]) -> np.ndarray:
        pixels = self.grey(image)
        for region, colour in regions:
            pixels = _marked(pixels, _border(self._placed(region)), colour)
        return pixels

    def jacobian(self, values: np.ndarray, outline: np.ndarray) -> np.ndarray:
        pixels = _marked(_areaColours(self._placed(areaShare(values))), self._placed(values) <= 0, _MAGENTA)
        pixels = _marked(pixels, _border(self._placed(outline)), (0, 0, 0))
        return _withBar(pixels, _areaColours)

    def length(self, values: np.ndarray, outline: np.ndarray) -> np.ndarray:
        most = max(float(values[outline].max()) if outline.any() else 0.0, 1e-6)

        def colours(share: np.ndarray) -> np.ndarray:
            return _bytes(np.repeat((share / 2 + 0.5)[..., None], 3, axis=-1))

        pixels = colours(2 * np.clip(self._placed(values) / most, 0, 1) - 1)
        return _withBar(_marked(pixels, _border(self._placed(outline)), _ORANGE), colours)

    def landmarks(self, fixed: np.ndarray, points: np.ndarray, vectors: np.ndarray) -> np.ndarray:
        """A line from each fixed landmark ``(N, 3)`` to where the moving one arrives, both in RAS mm."""
        pixels = self.grey(fixed)
        for point, vector in zip(points, vectors, strict=True):
            start, end = self._pixel(point), self._pixel(point - vector)
            for share in np.linspace(0, 1, 2 + int(np.abs(end - start).max())):
                _dot(pixels, start + share * (end - start), 0, _CYAN)
            _dot(pixels, end, 2, _CYAN)
            _dot(pixels, start, 2, _ORANGE)
        return pixels

    def _pixel(self, point: np.ndarray) -> np.ndarray:
        """Row and column of the picture nearest to a position."""
        i, j, _, _ = np.linalg.solve(self._plane.ijkToRas, [*point, 1.0])
        distance = np.abs(self._index - [j, i]).sum(axis=-1)
        nearest = np.argwhere(distance == distance.min())  # The pixels of one pixel of the slice.
        return np.asarray(nearest.mean(axis=0))


def _dot(pixels: np.ndarray, place: np.ndarray, reach: int, colour: tuple[int, int, int]) -> None:
    row, column = (round(float(value)) for value in place)
    pixels[max(row - reach, 0) : row + reach + 1, max(column - reach, 0) : column + reach + 1] = colour


def _bytes(shares: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray((np.clip(shares, 0, 1) * 255).round().astype(np.uint8))


def _marked(pixels: np.ndarray, where: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return np.where(where[..., None], np.array(colour, np.uint8), pixels)


def _border(region: np.ndarray) -> np.ndarray:
    """Pixels of a region that touch its outside."""
    inside = np.pad(region, 1, mode="edge")
    core = inside[1:-1, 1:-1] & inside[:-2, 1:-1] & inside[2:, 1:-1] & inside[1:-1, :-2] & inside[1:-1, 2:]
    return np.asarray(region & ~core)


def _areaColours(share: np.ndarray) -> np.ndarray:
    """Blue for -1, white for 0, red for 1."""
    return _bytes(colourAt(AREA_COLOURS, share / 2 + 0.5))


def _withBar(pixels: np.ndarray, colours: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """The picture with a bar of its colours, -1 to 1, below."""
    columns = pixels.shape[1]
    bar = colours(np.tile(np.linspace(-1, 1, columns), (_BAR, 1)))
    gap = np.full((4, columns, 3), 255, np.uint8)
    return np.ascontiguousarray(np.concatenate([pixels, gap, bar]))
