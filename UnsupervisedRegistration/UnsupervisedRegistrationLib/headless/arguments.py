"""Arguments that several commands share."""

from __future__ import annotations

import argparse
import dataclasses
import typing
from collections.abc import Collection
from pathlib import Path
from typing import Any

from ..scene.registration_options import Orientation, RegistrationOptions

if typing.TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]
else:
    Commands = object

FOREGROUND_MASK = "auto"
"""In place of a mask: the foreground of the image."""

_DEFAULT_OUTPUTS = ("overlay", "transform", "warped", "scene")
TRANSFORM_2D = "transform-2d"
"""Among the outputs: a 2-D transform, for 2-D images only."""
_FIELDS = ("displacement.nii.gz", "displacement.mha", TRANSFORM_2D)
_OUTPUTS = (*_DEFAULT_OUTPUTS, "inverse", "linear", "jacobian", "uncertainty", *_FIELDS)

_MOST_THREADS = 256  # Each takes memory; ITK fails with thousands.

_TEXTS = {
    "preset": "network and a few steps, with instance optimisation, or with all that helps",
    "transform": "rigid and affine align in the plane only",
    "model": "a model's name or file; auto lets every model that fits register the pair and takes the best result",
    "prealignment": "align in the plane first; auto does so if the images lie far apart",
    "similarity": "what the optimisation maximises",
    "smoothness_weight": "of the optimisation; the larger, the stiffer",
    "uncertainty": "estimate and draw the expected error of every pixel",
    "free_models_only": "let auto leave out models for research use only",
    "device": "auto, cpu, cuda or mps",
    "time_limit": "seconds after which the optimisation stops early",
}
"""Help text of every option; names, types, choices and defaults are those of ``RegistrationOptions``."""


def addGeneral(parser: argparse.ArgumentParser, *examples: str) -> None:
    """Add what every command has: how much it says, its log, its threads, and examples below its help."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = "\n".join(["examples:", *(f"  unsupervised-registration {example}" for example in examples)])
    parser.add_argument("--quiet", action="store_true", help="print only the last line")
    parser.add_argument("--verbose", action="store_true", help="show each step and the messages of ITK, HDF5 and VTK")
    parser.add_argument("--threads", type=_threads, metavar="N", help="threads that compute (default: all cores)")
    parser.add_argument("--log", type=Path, metavar="FILE", help="append all steps and messages to this file")


def addOutput(parser: argparse.ArgumentParser) -> None:
    """Add the output folder, what may be replaced there, and the file of former options."""
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for the results")
    parser.add_argument("--overwrite", action="store_true", help="replace the files of a former run in DIR")
    addOptionsFile(parser)


def addOptionsFile(parser: argparse.ArgumentParser) -> None:
    """Add the file of former options."""
    parser.add_argument(
        "--options", type=Path, metavar="FILE", help="take what is not given here from the options.json of a former run"
    )


def addSeries(parser: argparse.ArgumentParser) -> None:
    """Add the choice among the series of a DICOM folder."""
    parser.add_argument(
        "--series",
        nargs="+",
        default=[],
        metavar="S",
        help="number, description or UID of the series to take from each DICOM folder that holds several",
    )


def addPair(parser: argparse.ArgumentParser, moving: str = "likewise; is warped onto FIXED") -> None:
    """Add the two images."""
    parser.add_argument("fixed", type=Path, metavar="FIXED", help="image or volume file, or a folder with DICOM files")
    parser.add_argument("moving", type=Path, metavar="MOVING", help=moving)
    addSeries(parser)


def addTransform(parser: argparse.ArgumentParser, text: str) -> None:
    """Add the transform between the two images, with what it maps."""
    parser.add_argument("--transform", type=Path, required=True, metavar="T", help=text)


def addEvidence(parser: argparse.ArgumentParser) -> None:
    """Add labels and landmarks of both images, which show how good a registration is."""
    for kind, flags, what in (
        ("labels", ["--labels", "--fixed-labels"], "labelmap or .seg.nrrd"),
        ("landmarks", ["--fixed-landmarks"], ".mrk.json, .fcsv or .csv"),
    ):
        name = kind.upper()
        parser.add_argument(
            *flags, type=Path, dest=f"fixed_{kind}", metavar=name, help=f"{what} of FIXED, paired by name with .."
        )
        parser.add_argument(f"--moving-{kind}", type=Path, metavar=name, help=".. these of MOVING")


def addSlice(parser: argparse.ArgumentParser, default: str) -> None:
    """Add the slice of the fixed image.

    Args:
        parser: Of the command.
        default: What is taken without it.
    """
    parser.add_argument("--plane", choices=typing.get_args(Orientation), help="orientation of the slice")
    parser.add_argument("--fixed-slice", type=int, metavar="K", help=f"slice of FIXED, from 0 (default: {default})")


def pairFiles(options: argparse.Namespace) -> dict[str, Any]:
    """Return the files and the slice among the arguments, under their names in ``input_files``."""
    return {
        "fixed": options.fixed,
        "moving": options.moving,
        "fixedLabels": options.fixed_labels,
        "movingLabels": options.moving_labels,
        "fixedLandmarks": options.fixed_landmarks,
        "movingLandmarks": options.moving_landmarks,
        "fixedMask": options.mask,
        "orientation": options.plane,
        "fixedSlice": options.fixed_slice,
    }


def positiveNumber(text: str) -> int:
    """Return a whole number from 1.

    Raises:
        ArgumentTypeError: The text is none.
    """
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number from 1")
    return int(text)


def _threads(text: str) -> int:
    if positiveNumber(text) > _MOST_THREADS:
        raise argparse.ArgumentTypeError(f"'{text}' is more than {_MOST_THREADS} threads; give the number of cores")
    return int(text)


def _outputs(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip() != "report"]
    unknown = [name for name in names if name not in _OUTPUTS]
    if unknown:
        raise argparse.ArgumentTypeError(f"'{unknown[0]}' is none of {', '.join(_OUTPUTS)}, report")
    return list(dict.fromkeys(names))


def addRegistration(parser: argparse.ArgumentParser) -> None:
    """Add every option of ``RegistrationOptions``."""
    parser.add_argument(
        "--write",
        type=_outputs,
        default=_DEFAULT_OUTPUTS,
        metavar="LIST",
        help=f"files to write besides report.json, of {','.join(_OUTPUTS)} (default: {','.join(_DEFAULT_OUTPUTS)})",
    )
    parser.add_argument("--explain", action="store_true", help="print what is done to the pair, and why")
    addRegistrationOptions(parser)


def addRegistrationOptions(parser: argparse.ArgumentParser, names: Collection[str] = tuple(_TEXTS)) -> None:
    """Add options of ``RegistrationOptions``, by default every one."""
    defaults = {field.name: field for field in dataclasses.fields(RegistrationOptions)}
    for name in names:
        field, text = defaults[name], _TEXTS[name]
        choices = typing.get_args(typing.get_type_hints(RegistrationOptions)[name]) or None
        flag = f"--{name.replace('_', '-')}"
        if isinstance(field.default, bool):
            parser.add_argument(flag, action="store_true", help=text)
        else:
            text = f"{text} (default: {field.default})"
            parser.add_argument(flag, type=type(field.default), choices=choices, default=field.default, help=text)


def optionsOf(options: argparse.Namespace) -> RegistrationOptions:
    """Return the options of the registration among the arguments.

    Raises:
        ValueError: A number is out of range.
    """
    chosen = RegistrationOptions(**{name: getattr(options, name) for name in _TEXTS})
    return dataclasses.replace(chosen, uncertainty=chosen.uncertainty or "uncertainty" in getattr(options, "write", ()))
