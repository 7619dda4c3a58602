"""Which pairs and which methods meet in the benchmark."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

import torch

from training.benchmark import baselines as peers
from training.benchmark.bench import PEER, phantom_pairs
from training.data.labelled_pairs import LabelledPair, find_pairs
from UnsupervisedRegistrationLib.core.models.model_file import load_model
from UnsupervisedRegistrationLib.core.models.selection import DEFAULT, SUFFIX

_THREADS = 2


@dataclass(frozen=True)
class _Pairs:
    """Labelled pairs that may be there, and the model made for their kind."""

    folder: str
    model: str
    slices: tuple[int, ...] = (0,)


_PAIRS = {
    "brain": _Pairs("brain_t1/dev", "brain-mr", (58, 70, 82, 94, 106)),
    "heart": _Pairs("cardiac_cine/dev", "cardiac-mr"),
    "liver": _Pairs("liver_ct/dev_pairs", "abdomen-ct"),
}


def datasets(
    data: Path, models: Path, others: Path, most: int = 0
) -> dict[str, tuple[list[LabelledPair], dict[str, peers.Method]]]:
    """Name to pairs and methods: the phantoms always, the labelled pairs where their folder is there.

    Args:
        data: Folder of the labelled pairs.
        models: Folder of our models.
        others: Folder with ``voxelmorph-NAME.pt`` and ``fcn-NAME.pt``; what is missing does not take part.
        most: Pairs of each, evenly chosen; 0 for all.
    """
    torch.set_num_threads(_THREADS)
    found = {"phantom": (list(phantom_pairs()), _methods(models / f"{DEFAULT}{SUFFIX}", models, others, "phantom"))}
    for name, wanted in _PAIRS.items():
        if (data / wanted.folder).is_dir():
            pairs = list(find_pairs(data / wanted.folder, list(wanted.slices)))
            step = -(-len(pairs) // most) if most else 1
            chosen = list(itertools.islice(pairs, 0, None, step))
            found[name] = (chosen, _methods(models / f"{wanted.model}{SUFFIX}", models, others, name))
    return found


def _methods(own: Path, models: Path, others: Path, name: str) -> dict[str, peers.Method]:
    methods: dict[str, peers.Method] = {
        "identity": peers.identity,
        "SimpleITK demons": peers.demons,
        "ANTs SyN": peers.syn(),
        PEER: peers.syn(syn_metric="CC", syn_sampling=4, reg_iterations=(100, 70, 50, 20)),
        "elastix B-spline": peers.elastix,
    }
    for title, path in (
        ("VoxelMorph-2D", others / f"voxelmorph-{name}{SUFFIX}"),
        ("paper's FCN", others / f"fcn-{name}{SUFFIX}"),
        (DEFAULT, models / f"{DEFAULT}{SUFFIX}"),
        (own.stem, own),
    ):
        if path.is_file():
            methods[title] = peers.network(load_model(path))
    for path in (models / f"{DEFAULT}{SUFFIX}", own):
        if path.is_file():
            methods[f"{path.stem} + refine"] = peers.network(load_model(path), "standard")
    return methods
