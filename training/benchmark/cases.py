"""Which data sets and which methods the benchmark runs."""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import SimpleITK as sitk
import torch

from training.benchmark.baselines import ants, convexadam, fireants, greedy, itk, optical_flow
from training.benchmark.bench import Case
from training.benchmark.method import THREADS, Method, identity
from training.benchmark.our_methods import our_methods
from training.benchmark.pair_lists import LISTS
from training.benchmark.phantoms import phantom_pairs
from training.benchmark.results import REFERENCE, UNREGISTERED
from training.benchmark.sections import section_pairs
from training.benchmark.trained_networks import trained_network
from training.benchmark.voxelmorph import build_network
from training.data.labelled_pairs import LabelledPair, find_pairs
from UnsupervisedRegistrationLib.core.models.model_file import load_model
from UnsupervisedRegistrationLib.core.models.selection import SUFFIX

PHANTOM, HISTOLOGY = "phantom", "histology"
_log = logging.getLogger(__name__)

_BASELINES: dict[str, tuple[str, Method]] = {  # Name to the package that it needs, and the method.
    "demons": ("SimpleITK", itk.demons),
    "elastix B-spline": ("itk", itk.elastix),
    "ANTs SyN": ("ants", ants.syn()),
    REFERENCE: ("ants", ants.syn_cc),
    "Greedy": ("picsl_greedy", greedy.deformable),
    "Greedy diffeomorphic": ("picsl_greedy", greedy.diffeomorphic),
    "FireANTs greedy CC": ("fireants", fireants.greedy_cc),
    "ConvexAdam-MIND": ("convexAdam", convexadam.convex_adam),
    "DIS optical flow": ("cv2", optical_flow.dis()),
    "DIS, finest scale 0": ("cv2", optical_flow.dis(0)),
    "TV-L1 optical flow": ("skimage", optical_flow.tv_l1),
}
_EVERY_NTH = {"ConvexAdam-MIND": 3}  # It takes as long as all the others together, so it registers every third pair.
_COMPARED_NETWORKS = {"VoxelMorph-2D": "voxelmorph", "paper's FCN": "fcn"}  # Name to the first word of the model file.


@dataclass(frozen=True)
class _Organ:
    """A list of pairs, and the pixel size in mm that its 2-D files do not state."""

    pixel: float = 0.0


_ORGAN_SETS = {"brain": _Organ(), "heart": _Organ(), "liver": _Organ(pixel=1.5)}


def cases(data: Path, models: Path, networks: Path, most: int = 0, only: tuple[str, ...] = ()) -> dict[str, Case]:
    """The phantoms, and every data set whose images are in the data folder.

    Args:
        data: Folder of the data sets.
        models: Folder of our models.
        networks: Folder with ``voxelmorph-NAME.pt`` and ``fcn-NAME.pt``; those that are missing are left out.
        most: Pairs of each data set, evenly chosen; 0 for all.
        only: Names of the data sets to read; all without any.

    Raises:
        ValueError: A name in ``only`` is none of a data set that is there.
    """
    there = available(data)
    unknown = sorted(set(only) - set(there))
    if unknown:
        raise ValueError(f"There is no data set {', '.join(unknown)}; there are {', '.join(there)}.")
    found = {}
    for name in only or there:
        ours, changed = our_methods(name, models)
        methods = {UNREGISTERED: identity, **_installed(), **_trained(networks, name), **ours}
        found[name] = Case(pairs_of(name, data, most), methods, changed if name in _ORGAN_SETS else (), _EVERY_NTH)
    return found


def available(data: Path) -> list[str]:
    """Names of the data sets that can be read."""
    names = [*_ORGAN_SETS, HISTOLOGY]
    return [PHANTOM, *(name for name in names if _images_of(name, data))]


def _images_of(name: str, data: Path) -> bool:
    first = (LISTS / f"{name}.csv").read_text(encoding="utf-8").splitlines()[1].split(",")[0]
    return (data / first).is_file()


def pairs_of(name: str, data: Path, most: int = 0) -> list[LabelledPair]:
    """The pairs of a data set.

    Args:
        name: One of ``available``.
        data: Folder of the data sets.
        most: Evenly chosen so many at most; 0 for all.
    """
    if name == PHANTOM:
        return list(phantom_pairs(most) if most else phantom_pairs())
    path = LISTS / f"{name}.csv"
    if name == HISTOLOGY:
        return _some(section_pairs(path, data), most)
    return _some(find_pairs(path, [0], _ORGAN_SETS[name].pixel, data), most)


def _some(pairs: Iterable[LabelledPair], most: int) -> list[LabelledPair]:
    """So many pairs at most, evenly chosen; 0 for all."""
    found = list(pairs)
    count = min(most or len(found), len(found))
    return [found[number * len(found) // count] for number in range(count)]


def limit_threads() -> None:
    """Makes every library use two threads; call it before the first registration."""
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = str(THREADS)
    torch.set_num_threads(THREADS)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(THREADS)


def _installed() -> dict[str, Method]:
    """The baselines whose packages are installed; the others are named in the log."""
    missing = sorted({package for package, _ in _BASELINES.values() if importlib.util.find_spec(package) is None})
    if missing:
        _log.warning("These packages are not installed, so their methods are left out: %s.", ", ".join(missing))
    return {name: method for name, (package, method) in _BASELINES.items() if package not in missing}


def _trained(folder: Path, name: str) -> dict[str, Method]:
    paths = {title: folder / f"{word}-{name}{SUFFIX}" for title, word in _COMPARED_NETWORKS.items()}
    return {title: trained_network(load_model(path, build_network)) for title, path in paths.items() if path.is_file()}
