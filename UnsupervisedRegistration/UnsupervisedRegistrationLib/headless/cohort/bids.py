"""Subjects of a BIDS data set as pairs, and their results under the names of BIDS derivatives."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..options_file import OPTIONS_FILE
from ..run_record import packageVersion
from .pair_table import CohortPair, withUniqueNames
from .pair_task import TRANSFORM
from .result_table import FAILED, CohortRow, replaceText

_BIDS_VERSION = "1.9.0"
BIDS_PAIRS = "pairs"
"""Folder of the folders of the pairs, which BIDS ignores."""


def bidsPairs(dataset: Path, participants: Sequence[str] = ()) -> list[CohortPair]:
    """Pair the anatomical images of each subject: the first T1w is fixed, or the first image, and all others move.

    Args:
        dataset: Folder with ``sub-*`` folders.
        participants: Labels without ``sub-``; all subjects by default.

    Raises:
        ValueError: There is no such subject, or no subject has two images.
    """
    known = {path.name.removeprefix("sub-"): path for path in sorted(dataset.glob("sub-*")) if path.is_dir()}
    wanted = [label.removeprefix("sub-") for label in participants] or list(known)
    if unknown := [label for label in wanted if label not in known]:
        raise ValueError(
            f"'{dataset}' has no subject {', '.join(unknown)}; choose among: {', '.join(known) or 'none, no sub-*'}."
        )
    pairs = withUniqueNames(itertools.chain.from_iterable(_pairsOf(known[label]) for label in wanted))
    if not pairs:
        raise ValueError(f"No subject of '{dataset}' has two images in its anat folders; nothing can be registered.")
    return pairs


def _pairsOf(subject: Path) -> Iterable[CohortPair]:
    images = sorted([*subject.glob("anat/*.nii*"), *subject.glob("ses-*/anat/*.nii*")])
    fixed = next((path for path in images if _suffix(path) == "T1w"), images[0] if images else None)
    for moving in images:
        if fixed is not None and moving != fixed:
            name = f"{subject.name}_from-{_space(moving)}_to-{_space(fixed)}"
            yield CohortPair(name=name, fixed=fixed, moving=moving)


def _suffix(path: Path) -> str:
    return path.name.split(".")[0].rpartition("_")[2]


def _space(path: Path) -> str:
    """The name of the space of an image: letters and digits of its entities and suffix, without the subject."""
    return "".join(part.replace("-", "") for part in path.name.split(".")[0].split("_")[1:])


def writeDerivatives(output: Path, rows: Iterable[CohortRow]) -> None:
    """Copy the transforms to their BIDS names, and describe the data set.

    Raises:
        OSError: A file cannot be written.
    """
    description = {
        "Name": "Deformable registrations",
        "BIDSVersion": _BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [
            {"Name": "unsupervised-registration", "Version": packageVersion("unsupervised-registration") or "unknown"}
        ],
    }
    replaceText(output / "dataset_description.json", json.dumps(description, indent=2) + "\n")
    replaceText(output / ".bidsignore", f"{BIDS_PAIRS}/\nresults*.csv\nsummary*.html\n{OPTIONS_FILE}\n")
    for row in rows:
        if row.quality_check != FAILED:
            folder = output / row.pair.partition("_")[0] / "anat"
            _copy(output / BIDS_PAIRS / row.pair / TRANSFORM, folder, row.pair)


def _copy(source: Path, folder: Path, name: str) -> None:
    target, part = folder / f"{name}_mode-image_xfm.h5", folder / f".{name}.part"
    folder.mkdir(parents=True, exist_ok=True)
    if not target.is_file() or target.stat().st_mtime < source.stat().st_mtime:
        shutil.copy2(source, part)
        part.replace(target)
