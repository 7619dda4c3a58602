"""The command ``unsupervised-registration``: registers two slices, files or phantoms."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import textwrap
import typing
from collections.abc import Sequence
from pathlib import Path

from ..scene.registration_options import RegistrationOptions


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; 0 if all went well, 1 with a sentence on standard error if not."""
    options = _parser().parse_args(arguments)
    try:
        print(options.run(options))
    except (ValueError, OSError) as error:
        print(f"unsupervised-registration: {error}", file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        print(
            f"unsupervised-registration: The Python package '{error.name}' is missing;"
            " install this tool with: pip install '.[slicer]' torch",
            file=sys.stderr,
        )
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="unsupervised-registration", description="Deformable registration of 2-D CT and MR slices."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    register = commands.add_parser("register", help="register a slice of MOVING to a slice of FIXED")
    register.add_argument(
        "fixed", type=Path, metavar="FIXED", help="image or volume file, or a folder with DICOM files"
    )
    register.add_argument("moving", type=Path, metavar="MOVING", help="likewise; is warped onto FIXED")
    _addCommon(register)
    register.add_argument("--plane", choices=("axial", "sagittal", "coronal"), help="orientation of the slice")
    register.add_argument("--fixed-slice", type=int, metavar="K", help="slice of FIXED, from 0 (default: the middle)")
    register.add_argument("--moving-slice", type=int, metavar="K", help="slice of MOVING (default: the same place)")
    register.add_argument(
        "--mask", type=Path, help="labelmap of the region that matters, on FIXED; auto takes the patient"
    )
    register.add_argument("--moving-mask", type=Path, metavar="MASK", help="the same on MOVING")
    register.add_argument("--initial-transform", type=Path, help="places MOVING first (.h5, .tfm)")
    register.add_argument("--fixed-landmarks", type=Path, metavar="F.mrk.json", help="paired by label with ..")
    register.add_argument("--moving-landmarks", type=Path, metavar="M.mrk.json", help=".. these, for the error in mm")
    register.set_defaults(run=_register)

    demo = commands.add_parser("demo", help="register a synthetic patient with known landmarks")
    _addCommon(demo)
    demo.add_argument("--phantom", choices=("head", "abdomen"), default="head", help="which patient (default: head)")
    demo.set_defaults(run=_demo)

    models = commands.add_parser("models", help="list the models that --model knows by name")
    models.set_defaults(run=_models)
    return parser


def _addCommon(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for the results")
    parser.add_argument("--explain", action="store_true", help="print what is done to the pair, and why")
    defaults = {field.name: field for field in dataclasses.fields(RegistrationOptions)}
    for name, text in _OPTIONS.items():
        field = defaults[name]
        choices = typing.get_args(typing.get_type_hints(RegistrationOptions)[name]) or None
        flag = f"--{name.replace('_', '-')}"
        if isinstance(field.default, bool):
            parser.add_argument(flag, action="store_true", help=text)
        else:
            text = f"{text} (default: {field.default})"
            parser.add_argument(flag, type=type(field.default), choices=choices, default=field.default, help=text)


_OPTIONS = {
    "preset": "network alone, with instance optimisation, or with all that helps",
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


def _register(options: argparse.Namespace) -> str:
    from . import session

    progress = _Progress()
    progress("read the files", 0.0)
    inputs = session.readInputs(
        session.newScene(),
        options.fixed,
        options.moving,
        orientation=options.plane,
        fixedSlice=options.fixed_slice,
        movingSlice=options.moving_slice,
        mask=options.mask,
        movingMask=options.moving_mask,
        initialTransform=options.initial_transform,
        fixedLandmarks=options.fixed_landmarks,
        movingLandmarks=options.moving_landmarks,
    )
    return progress.until(session.registerToFolder(inputs, _chosen(options), options.output, progress, options.explain))


def _demo(options: argparse.Namespace) -> str:
    from . import session

    progress = _Progress()
    progress("create the phantom", 0.0)
    inputs = session.phantomInputs(session.newScene(), options.phantom)
    return progress.until(session.registerToFolder(inputs, _chosen(options), options.output, progress, options.explain))


def _chosen(options: argparse.Namespace) -> RegistrationOptions:
    return RegistrationOptions(**{name: getattr(options, name) for name in _OPTIONS})


def _models(options: argparse.Namespace) -> str:
    from ..scene.registration.candidate_models import modelCards
    from ..scene.registration.model_folders import modelFolders

    cards = modelCards()
    if not cards:
        raise ValueError(f"There is no model in {', '.join(map(str, modelFolders())) or 'any known folder'}.")
    return "\n\n".join(
        "\n".join(
            [
                name,
                *(
                    textwrap.fill(f"{what}: {text}", 100, initial_indent="  ", subsequent_indent="    ")
                    for what, text in (("what", card.description), ("data", card.data), ("licence", card.licence))
                    if text
                ),
            ]
        )
        for name, card in cards.items()
    )


class _Progress:
    """A bar on a terminal, a line a step elsewhere; both on standard error."""

    def __init__(self) -> None:
        self._step = ""

    def __call__(self, step: str, share: float) -> None:
        if sys.stderr.isatty():
            bar = "#" * round(30 * share)
            sys.stderr.write(f"\r[{bar:<30}] {100 * share:3.0f} %  {step:<24}")
        elif step != self._step:
            sys.stderr.write(f"{100 * share:3.0f} %  {step}\n")
        self._step = step
        sys.stderr.flush()

    def until(self, sentence: str) -> str:
        """Clears the bar before the last sentence."""
        if sys.stderr.isatty():
            sys.stderr.write("\r" + " " * 70 + "\r")
        return sentence


if __name__ == "__main__":
    sys.exit(main())
