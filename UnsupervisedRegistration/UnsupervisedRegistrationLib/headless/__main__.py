"""The command ``unsupervised-registration``: registers two slices, or shows how with a drawn patient."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .session import Settings


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

    demo = commands.add_parser("demo", help="register a drawn patient with known landmarks")
    _addCommon(demo)
    demo.add_argument("--phantom", choices=("head", "abdomen"), default="head", help="which patient (default: head)")
    demo.set_defaults(run=_demo)

    models = commands.add_parser("models", help="list the models that --model knows by name")
    models.set_defaults(run=_models)
    return parser


def _addCommon(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for the outcome")
    parser.add_argument(
        "--model",
        default="any-contrast",
        metavar="NAME_OR_FILE",
        help="auto takes the one that fits, and says why (default: any-contrast)",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps (default: auto)")
    parser.add_argument(
        "--prealign",
        choices=("none", "auto", "rigid", "affine"),
        default="none",
        help="align in the plane first; auto does so where the images lie far apart (default: none)",
    )
    parser.add_argument("--refine", action="store_true", help="optimise the outcome of the network for this pair")
    parser.add_argument(
        "--refine-seconds", type=float, default=10, metavar="S", help="stop refining after this time (default: 10)"
    )
    parser.add_argument("--trust", action="store_true", help="estimate and draw how far each pixel may be off")


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
    return progress.until(session.run(inputs, _settings(options), options.output, progress))


def _demo(options: argparse.Namespace) -> str:
    from . import session

    progress = _Progress()
    progress("draw the patient", 0.0)
    inputs = session.phantomInputs(session.newScene(), options.phantom)
    return progress.until(session.run(inputs, _settings(options), options.output, progress))


def _settings(options: argparse.Namespace) -> Settings:
    from .session import Settings

    seconds = options.refine_seconds if options.refine else None
    return Settings(options.model, options.device, options.prealign, seconds, options.trust)


def _models(options: argparse.Namespace) -> str:
    from ..scene.registration.model_folders import modelFolders
    from ..scene.registration.slice import modelCards

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
