"""``dicom``: writes a transform between two DICOM images as a DICOM registration."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..arguments import Commands, addGeneral, addPair, addTransform
from ..outcome import Outcome
from ..reading import readingInputs


def addDicom(commands: Commands) -> None:
    """Add the parser of this command."""
    parser = commands.add_parser("dicom", help="write a transform between DICOM images as a DICOM registration")
    addPair(parser, "likewise")
    addTransform(parser, "from MOVING to FIXED, as Slicer saves it (.h5, .tfm)")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="DICOM file to write")
    addGeneral(parser, "dicom fixed-series moving-series --transform out/transform.h5 --output registration.dcm")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> Outcome:
    """Write the DICOM object."""
    from ...scene.exchange.dicom_headers import headersOfFiles
    from ...scene.exchange.dicom_registration import writeDicomRegistration
    from .. import session
    from ..dicom_series import seriesFiles
    from ..readers import readTransform, readVolume

    images = {"fixed": options.fixed, "moving": options.moving}
    with readingInputs(images, options.series) as reading:
        fixedHeaders, movingHeaders = (
            headersOfFiles([file.path for file in seriesFiles(path)]) for path in images.values()
        )
        scene = session.newScene()
        fixed, transform = readVolume(scene, options.fixed), readTransform(scene, options.transform)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    kind = writeDicomRegistration(transform, fixed, fixedHeaders, movingHeaders, options.output)
    counts = f"{len(movingHeaders)} moving to {len(fixedHeaders)} fixed instances"
    return Outcome(f"Wrote a {kind} of {counts}: {options.output}.", notes=reading.sentences)
