"""``apply``: takes images and points along with a transform."""

from __future__ import annotations

import argparse
import typing
from pathlib import Path

from ...scene.propagation.resample_options import PixelType, ResampleOptions, VolumeInterpolation
from ..arguments import Commands, addGeneral, addOutput, addSeries
from ..folder_run import runInFolder
from ..outcome import Outcome
from ..output_folder import OutputFolder
from ..progress import ProgressBar


def addApply(commands: Commands) -> None:
    """Add the parser of this command."""
    parser = commands.add_parser("apply", help="apply a transform to images, labels and points")
    parser.add_argument("transform", type=Path, metavar="TRANSFORM", help="transform.h5 of a registration, or .tfm")
    parser.add_argument(
        "inputs",
        type=Path,
        nargs="+",
        metavar="INPUT",
        help="image, segmentation (.seg.nrrd), surface model (.vtk, .vtp, .stl, .ply, .obj) or points (.mrk.json, ..)",
    )
    parser.add_argument("--reference", type=Path, required=True, metavar="R", help="image whose grid the outputs get")
    addSeries(parser)
    addOutput(parser)
    parser.add_argument("--inverse", action="store_true", help="from the fixed to the moving image")
    for flag, kind, text in (
        ("--interpolation", VolumeInterpolation, "between voxels; nearest for labels"),
        ("--pixel-type", PixelType, "of the output"),
    ):
        choices = typing.get_args(kind)
        default = getattr(ResampleOptions(), "interpolation" if flag == "--interpolation" else "pixelType")
        parser.add_argument(flag, choices=choices, default=default, help=f"{text} (default: {default})")
    parser.add_argument("--background", type=float, default=0.0, help="value outside the input (default: 0)")
    addGeneral(
        parser,
        "apply out/transform.h5 moving.nii.gz --reference fixed.nii.gz --output warped",
        "apply out/transform.h5 labels.nrrd --interpolation nearest --reference fixed.nii.gz --output warped",
        "apply out/transform.h5 points.csv --inverse --reference moving.nii.gz --output points",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> Outcome:
    from .. import application, readers, session, transform_checks

    names = application.outputNames(options.inputs)
    resampling = ResampleOptions(options.interpolation, options.background, options.pixel_type)

    def work(folder: OutputFolder, record: dict[str, object]) -> Outcome:
        with ProgressBar(options) as progress:
            scene = session.newScene()
            transform = readers.readTransform(scene, options.transform)
            reference = readers.readVolume(scene, options.reference)
            if not options.inverse:
                transform_checks.noteCoverage(options.transform, transform, reference)
            applied = application.Application(transform, reference, options.inverse, resampling)
            for number, (path, name) in enumerate(zip(options.inputs, names, strict=True)):
                progress(f"transform {path.name}", number / len(names))
                application.applyTo(path, applied, folder.path(name))
        folder.finish({"direction": "fixed to moving" if options.inverse else "moving to fixed", **record})
        return Outcome(
            "\n".join([*folder.notes, f"Transformed {len(names)} files; the results are in {folder.folder}."])
        )

    given = {f"input {number}": path for number, path in enumerate(options.inputs, 1)}
    return runInFolder(options, names, {"transform": options.transform, "reference": options.reference, **given}, work)
