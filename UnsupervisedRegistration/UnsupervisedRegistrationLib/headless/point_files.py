"""Point lists in files: Slicer's ``.mrk.json`` and ``.fcsv``, and CSV."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

Point = tuple[str, tuple[float, float, float]]
"""Label and RAS position, mm."""

_SYSTEMS = {"RAS": 1, "0": 1, "LPS": -1, "1": -1}  # Old files number them. LPS has the opposite sign along R and A.
_FARTHEST = 10_000.0  # mm from the origin; no scanner is larger.
_LABEL_COLUMN = 11  # Of .fcsv: id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label.


def isPointFile(path: Path) -> bool:
    """Return whether the name of a file is that of a point list."""
    return path.name.lower().endswith((".mrk.json", ".fcsv", ".csv"))


def readPoints(path: Path) -> list[Point]:
    """Return the points of a file.

    A CSV file has a column ``label`` and the columns ``r``, ``a``, ``s`` or ``l``, ``p``, ``s``, in mm.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no point list, its coordinate system or unit is unknown, or a coordinate makes no sense.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        read = {".json": _fromJson, ".fcsv": _fromFcsv, ".csv": _fromCsv}[path.suffix.lower()]
        points = read(text)
    except (KeyError, IndexError, TypeError, AttributeError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(
            f"'{path}' holds no landmarks; save the point list in Slicer as .mrk.json or .fcsv, or give a CSV file with"
            " the columns label, r, a, s."
        ) from error
    except ValueError as error:
        raise ValueError(f"'{path}': {error}") from error
    for label, position in points:
        if not all(math.isfinite(value) and abs(value) <= _FARTHEST for value in position):
            raise ValueError(
                f"The point '{label}' of '{path}' lies at {position} mm; correct it, or the unit of the file."
            )
    return points


def writePoints(points: Iterable[Point], path: Path) -> None:
    """Write points in the format that the name of the file says."""
    rows = [(label, *position) for label, position in points]
    stream = io.StringIO()
    if path.suffix.lower() == ".json":
        control = [{"label": label, "position": [-r, -a, s], "positionStatus": "defined"} for label, r, a, s in rows]
        markup = {"type": "Fiducial", "coordinateSystem": "LPS", "coordinateUnits": "mm", "controlPoints": control}
        json.dump({"@schema": _MARKUPS_SCHEMA, "markups": [markup]}, stream, indent=1)
    elif path.suffix.lower() == ".fcsv":
        stream.write(
            "# Markups fiducial file version = 4.11\n# CoordinateSystem = LPS\n# columns = id,x,y,z,ow,ox,oy,oz,"
        )
        stream.write("vis,sel,lock,label,desc,associatedNodeID\n")
        for number, (label, r, a, s) in enumerate(rows, 1):
            csv.writer(stream, lineterminator="\n").writerow([number, -r, -a, s, 0, 0, 0, 1, 1, 1, 0, label, "", ""])
    else:
        csv.writer(stream, lineterminator="\n").writerows([("label", "r", "a", "s"), *rows])
    path.write_text(stream.getvalue(), encoding="utf-8")


_MARKUPS_SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/"
    "markups-schema-v1.0.3.json#"
)


def _fromJson(text: str) -> list[Point]:
    points: list[Point] = []
    for markup in json.loads(text)["markups"]:
        sign = _sign(markup.get("coordinateSystem", "LPS"))  # What the schema says if it is left out.
        units = markup.get("coordinateUnits", "mm")
        if any(unit != "mm" for unit in ([units] if isinstance(units, str) else units)):
            raise ValueError(f"the unit of the coordinates is {units}; needed is mm. Save the points again in mm.")
        for point in markup["controlPoints"]:
            if point.get("positionStatus", "defined") == "defined":
                points.append((str(point.get("label", "")), _position(point["position"], sign)))
    return points


def _fromFcsv(text: str) -> list[Point]:
    head = [line.lstrip("# ") for line in text.splitlines() if line.startswith("#")]
    systems = [line.partition("=")[2].strip() for line in head if line.lower().startswith("coordinatesystem")]
    sign = _sign(systems[0] if systems else "RAS")  # Files without the line are older than the choice.
    rows = csv.reader(line for line in text.splitlines() if line.strip() and not line.startswith("#"))
    return [(row[_LABEL_COLUMN], _position(row[1:4], sign)) for row in rows]


def _fromCsv(text: str) -> list[Point]:
    rows = csv.DictReader(line for line in text.splitlines() if line.strip())
    columns = {name.strip().lower(): name for name in rows.fieldnames or ()}
    for axes, sign in (("ras", 1), ("lps", -1)):
        if {"label", *axes} <= columns.keys():
            names = [columns[axis] for axis in axes]
            return [(row[columns["label"]], _position([row[name] for name in names], sign)) for row in rows]
    raise ValueError(
        f"the columns are {', '.join(columns) or 'missing'}; needed are label, r, a, s or label, l, p, s in mm."
    )


def _sign(system: Any) -> int:
    sign = _SYSTEMS.get(str(system).strip().upper())
    if sign is None:
        raise ValueError(f"the coordinate system '{system}' is unknown; needed is RAS or LPS.")
    return sign


def _position(values: Sequence[Any], sign: int) -> tuple[float, float, float]:
    try:
        x, y, z = (float(value) for value in values)
    except ValueError as error:
        listed = ", ".join(map(str, values))
        raise ValueError(f"a point has the position {listed}; needed are three numbers in mm.") from error
    return sign * x, sign * y, z
