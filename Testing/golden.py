"""Writes the displacement fields of 20 pairs with every bundled model, and compares those of two checkouts bit by bit.

    python Testing/golden.py write out/golden/before        # in one checkout
    python Testing/golden.py write out/golden/after         # in the other
    python Testing/golden.py compare out/golden/before out/golden/after

The pairs are phantoms, and development pairs where their folder is given with ``--data`` or in ``../shared/data``.
``texts`` writes the fields of the two phantoms at 64 places, which the tests compare with what they get.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import slicer
import slicer.util
import torch
import vtk

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "UnsupervisedRegistration")]

from training.benchmark.sections import section_pairs  # noqa: E402
from training.data.labelled_pairs import LabelledPair, find_pairs  # noqa: E402
from UnsupervisedRegistrationLib.core.images.phantom import PHANTOM_KINDS, draw_phantom  # noqa: E402
from UnsupervisedRegistrationLib.core.models.model_file import Model, load_model  # noqa: E402
from UnsupervisedRegistrationLib.core.models.selection import model_files  # noqa: E402
from UnsupervisedRegistrationLib.core.registration.image_pair import ImagePair  # noqa: E402
from UnsupervisedRegistrationLib.core.registration.landmark_constraint import LandmarkPairs  # noqa: E402
from UnsupervisedRegistrationLib.core.registration.options import Prealignment, Preset, RegistrationOptions  # noqa: E402
from UnsupervisedRegistrationLib.core.registration.pipeline import run  # noqa: E402
from UnsupervisedRegistrationLib.core.spatial.grid import ImageGrid  # noqa: E402
from UnsupervisedRegistrationLib.scene.registration.model_folders import modelFolders  # noqa: E402
from UnsupervisedRegistrationLib.scene.registration.phantom_nodes import addPhantom  # noqa: E402
from UnsupervisedRegistrationLib.scene.registration.sequence import registerSequence  # noqa: E402
from UnsupervisedRegistrationLib.scene.registration.slice import registerSlice  # noqa: E402
from UnsupervisedRegistrationLib.scene.registration.slice_pair import SliceInputs  # noqa: E402
from UnsupervisedRegistrationLib.scene.registration.volume import VolumeSlices, registerVolume  # noqa: E402

TEXTS = ROOT / "Testing" / "core" / "golden_fields.json"
PLACES = 8  # Rows and columns of the places that are stored as text.
UNLIMITED = 1e9  # Seconds, so that a busy machine gives the same fields.
Field = Callable[[Model, bool], np.ndarray]
"""From a model and whether to optimise the instance to the displacement."""
FAST_ONLY = ("stack", "sequence")
"""Pairs of many slices, whose optimisation takes minutes."""


def main() -> int:
    """Runs the command; 1 if two folders differ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    commands = parser.add_subparsers(required=True)
    write = commands.add_parser("write", help="write the fields of all pairs into a folder")
    write.add_argument("folder", type=Path)
    write.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder of development pairs")
    write.set_defaults(run=lambda options: _write(options.folder, options.data))
    compare = commands.add_parser("compare", help="compare two folders bit by bit")
    compare.add_argument("first", type=Path)
    compare.add_argument("second", type=Path)
    compare.set_defaults(run=lambda options: _compare(options.first, options.second))
    texts = commands.add_parser("texts", help="write the texts that the tests compare with")
    texts.set_defaults(run=lambda _: _write_texts())
    options = parser.parse_args()
    torch.set_num_threads(1)  # Sums of several threads differ in their last bits.
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    result: int = options.run(options)
    return result


def golden_places(field: np.ndarray) -> list[list[float]]:
    """A displacement ``(2, H, W)`` at 64 places spread over the image, ``(64, 2)`` voxels."""
    rows, columns = (np.linspace(0, size - 1, PLACES + 2).round().astype(int)[1:-1] for size in field.shape[1:])
    return [[round(float(value), 4) for value in field[:, row, column]] for row in rows for column in columns]


def golden_texts() -> dict[str, list[list[float]]]:
    """What the two phantoms give at 64 places, by pair, model and whether it is optimised."""
    fields = {"head": 0, "abdomen": 1}
    pairs = list(middle_slices())
    return {
        f"{name} {model.name} {'refined' if refined else 'fast'}": golden_places(_of(pairs[at])(model, refined))
        for name, at in fields.items()
        for model in _models()
        for refined in (False, True)
    }


def middle_slices() -> Iterator[LabelledPair]:
    """The middle slices of the two phantoms, with their landmarks."""
    for kind in PHANTOM_KINDS:
        phantom = draw_phantom(kind)
        middle = phantom.fixed.shape[0] // 2
        fixed, moving = (
            torch.from_numpy(i[middle].astype("float32"))[None, None] for i in (phantom.fixed, phantom.moving)
        )
        grid = ImageGrid(tuple(fixed.shape[2:]), torch.from_numpy(phantom.ijk_to_ras).float())
        to_ijk = torch.linalg.inv(torch.from_numpy(phantom.ijk_to_ras))
        points = [
            _voxels(torch.tensor(list(named.values()), dtype=torch.float64), to_ijk)
            for named in (phantom.fixed_landmarks, phantom.moving_landmarks)
        ]
        yield LabelledPair(fixed, moving, grid, fixed_points=points[0], moving_points=points[1])


def _voxels(points: torch.Tensor, to_ijk: torch.Tensor) -> torch.Tensor:
    return (points @ to_ijk[:3, :3].T + to_ijk[:3, 3])[:, :2].flip(1).float()


def _write_texts() -> int:
    rows = [f"{json.dumps(name)}: {json.dumps(places)}" for name, places in golden_texts().items()]
    TEXTS.write_text("{\n" + ",\n".join(rows) + "\n}\n")
    print(f"Wrote {len(rows)} fields at {PLACES**2} places to {TEXTS}.")
    return 0


def _write(folder: Path, data: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    models, pairs = _models(), list(_pairs(data))
    for name, field in pairs:
        for model in models:
            for refined in (False,) if name in FAST_ONLY else (False, True):
                np.save(folder / f"{name}-{model.name}-{'refined' if refined else 'fast'}.npy", field(model, refined))
    print(f"Wrote the fields of {len(pairs)} pairs with {len(models)} models to {folder}.")
    return 0


def _compare(first: Path, second: Path) -> int:
    names = sorted({path.name for folder in (first, second) for path in folder.glob("*.npy")})
    different = 0
    for name in names:
        missing = [str(folder) for folder in (first, second) if not (folder / name).is_file()]
        if missing:
            print(f"{name}: missing in {', '.join(missing)}")
        elif not np.array_equal(a := np.load(first / name), b := np.load(second / name)):
            apart = np.abs(a - b).max() if a.shape == b.shape else np.inf
            print(f"{name}: up to {apart:.4f} px apart")
        else:
            continue
        different += 1
    print(f"{len(names) - different} of {len(names)} fields are identical.")
    return int(different > 0 or not names)


def _models() -> list[Model]:
    return [load_model(path) for path in model_files(modelFolders()).values()]


def _options(refined: bool, prealignment: Prealignment = "none") -> RegistrationOptions:
    preset: Preset = "standard" if refined else "fast"
    return RegistrationOptions(preset=preset, prealignment=prealignment, device="cpu", time_limit=UNLIMITED)


def _of(pair: LabelledPair, **further: Any) -> Field:
    """The field itself, even where no deformation would be returned instead."""

    def field(model: Model, refined: bool) -> np.ndarray:
        images = ImagePair(pair.fixed, pair.moving, pair.grid, **further)
        result = run(images, [model], _options(refined), without=frozenset({"never_worse"}))
        return result.displacement[0].numpy()

    return field


def _pairs(data: Path) -> Iterator[tuple[str, Field]]:
    head, abdomen = middle_slices()
    yield "head", _of(head)
    yield "abdomen", _of(abdomen)
    yield "large", _of(_resized(head, 400, 400))
    yield "masks", _of(abdomen, mask=_disc(abdomen, 0.35), moving_mask=_disc(abdomen, 0.4))
    assert head.fixed_points is not None
    assert head.moving_points is not None
    yield "landmarks", _steered(head, LandmarkPairs(head.fixed_points, head.moving_points))
    yield "contrasts", _of(_changed(head))
    yield "anisotropic", _of(_resized(head, head.grid.shape[0] // 2, head.grid.shape[1]))
    yield "prealigned", _prealigned
    yield "stack", _stack
    yield "sequence", _sequence
    if not data.is_dir():
        return
    brains = list(find_pairs(data / "brain_t1" / "dev", [70, 82]))
    hearts = list(find_pairs(data / "cardiac_volumes" / "dev", [4]))
    livers = list(find_pairs(data / "liver_ct" / "dev_pairs", [0]))
    for name, found in (("brain", brains), ("heart", hearts), ("liver", livers)):
        for number in range(3):
            yield f"{name}{number}", _of(found[number * len(found) // 3])
    yield "section", _of(next(pair for _, pair in section_pairs(data / "histology" / "dev")))


def _steered(pair: LabelledPair, landmarks: LandmarkPairs) -> Field:
    """Landmarks steer the optimisation; they would ask for one in the fast preset too."""
    return lambda model, refined: _of(pair, landmarks=landmarks if refined else None)(model, refined)


def _resized(pair: LabelledPair, rows: int, columns: int) -> LabelledPair:
    images = [
        torch.nn.functional.interpolate(image, (rows, columns), mode="area") for image in (pair.fixed, pair.moving)
    ]
    matrix = pair.grid.ijk_to_ras.clone()
    matrix[:3, 0] *= pair.grid.shape[1] / columns
    matrix[:3, 1] *= pair.grid.shape[0] / rows
    return LabelledPair(images[0], images[1], ImageGrid((rows, columns), matrix))


def _disc(pair: LabelledPair, radius: float) -> torch.Tensor:
    """1 in a disc around the middle, whose radius is a share of the size."""
    rows, columns = (torch.linspace(-0.5, 0.5, size) for size in pair.grid.shape)
    return (rows[:, None] ** 2 + columns**2 < radius**2).float()[None, None]


def _changed(pair: LabelledPair) -> LabelledPair:
    brightest = float(pair.moving.max())
    moving = torch.where(pair.moving > 0.03 * brightest, 1.03 * brightest - pair.moving, 0.0)
    return LabelledPair(pair.fixed, moving, pair.grid)


def _scene() -> Any:
    slicer.mrmlScene = slicer.vtkMRMLScene()
    return slicer.mrmlScene


def _prealigned(model: Model, refined: bool) -> np.ndarray:
    scene = _scene()
    nodes = addPhantom(scene, "head")
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    turn = np.eye(4)
    angle = np.deg2rad(8)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(turn))
    nodes.movingVolume.SetAndObserveTransformNodeID(transform.GetID())
    inputs = SliceInputs(nodes.fixedVolume, nodes.movingVolume)
    result = registerSlice(inputs, _options(refined, "rigid"), models=[model])
    return result.registration.displacement[0].numpy()


def _stack(model: Model, refined: bool) -> np.ndarray:
    nodes = addPhantom(_scene(), "abdomen")
    middle = nodes.fixedVolume.GetImageData().GetDimensions()[2] // 2
    inputs = SliceInputs(nodes.fixedVolume, nodes.movingVolume)
    slices = VolumeSlices(sliceRange=(middle - 4, middle + 3))
    result = registerVolume(inputs, slices, _options(refined), models=[model])
    return _moved(result.transformNode.GetTransformToParent(), nodes.fixedVolume)


def _sequence(model: Model, refined: bool) -> np.ndarray:
    scene = _scene()
    nodes = addPhantom(scene, "head")
    sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode")
    for number, volume in enumerate((nodes.fixedVolume, nodes.movingVolume, nodes.movingVolume)):
        sequence.SetDataNodeAtValue(volume, str(number))
    transforms = registerSequence(sequence, options=_options(refined), models=[model]).transformSequence
    frames = [transforms.GetNthDataNode(number) for number in range(transforms.GetNumberOfDataNodes())]
    return np.stack([_moved(frame.GetTransformToParent(), nodes.fixedVolume) for frame in frames])


def _moved(transform: Any, volume: Any) -> np.ndarray:
    """Where a transform takes every fourth voxel of every slice, ``(slices, rows, columns, 3)`` RAS mm."""
    shape = slicer.util.arrayFromVolume(volume).shape
    axes = [np.arange(0, size, step) for size, step in zip(shape, (1, 4, 4), strict=True)]
    index = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    toRas = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(toRas)
    ijkToRas = slicer.util.arrayFromVTKMatrix(toRas)
    points = index[..., ::-1] @ ijkToRas[:3, :3].T + ijkToRas[:3, 3]
    return np.array([transform.TransformPoint(point) for point in points.reshape(-1, 3)]).reshape(points.shape)


if __name__ == "__main__":
    sys.exit(main())
