"""What the quality report says of its items: where each number comes from, and what each metric is based on."""

from __future__ import annotations

from ...core.evaluation.quality_check import QualityItem

BASIS = {
    "TRE": "Target registration error: distance between a landmark of the moving image and the landmark of the fixed"
    " image, mapped by the transform. Mean, maximum and mean components along R, A and S. Graded are the mean and the"
    " maximum. Landmarks that steered the registration (fitted) are shown and are no evidence.",
    "Dice": "Twice the common size of two structures over the sum of their sizes; 1 is complete overlap. The moving"
    " structure is resampled through the transform, nearest neighbour.",
    "MDA": "Mean distance to agreement: mean distance of the border voxels of each structure from the nearest border"
    " voxel of the other. In a slice, borders are contours; in a volume, surfaces.",
    "HD95": "95th percentile of the same distances, the larger of both directions.",
    "Jacobian below 0": "Share of the cells between voxels in which a triangle (a tetrahedron in a volume) is turned"
    " over by the transform. Finite differences of one side find folds that central differences miss. It is measured"
    " inside the patient's outline and inside each structure; there is no tolerance.",
    "Jacobian": "Local change of size from fixed to moving, by central differences: 1 keeps the size, 2 doubles it. It"
    " is shown to be compared with the change that is clinically expected.",
    "size ratio moving/fixed": "Size of the moving structure before the registration over that of the fixed one. The"
    " mean Jacobian of the structure should agree with it.",
    "inverse consistency": "95th percentile of the distance of a point from itself after the transform and its"
    " inverse, at up to 20 000 points of the outline. The inverse is computed from the transform itself, so the value"
    " shows where the transform cannot be inverted. It does not test a registration in the other direction.",
    "covered by the transform": "Share of the outline that the grids or B-splines of the transform reach. Outside them"
    " nobody computed a displacement.",
    "similarities": "Correlation, mutual information (64 x 64 bins) and mean squared difference of the intensities"
    " inside the outline, at up to 250 000 voxels. They are shown without a grade: a registration maximises a"
    " similarity, so it is no judge of the result. Mutual information by the inverse is graded only if it rises while"
    " that by the transform falls: the transform then has the wrong direction.",
    "displacement": "Largest length of the displacement and largest Frobenius norm of its gradient inside the outline.",
}
"""Basis of each metric, for the appendix."""

SOURCE_OF_ITEMS = "The items are those of AAPM TG-132 (Brock et al., Medical Physics 2017, doi:10.1002/mp.12256)."
"""Where the items come from."""

VALIDATION_ADVICE = (
    "No landmark that did not steer the registration, and no structure drawn on both images, was measured, so nothing"
    " here shows the accuracy. Place at least five landmarks on both images, or draw a structure on both."
)


def sourceOf(item: QualityItem) -> str:
    """Where the number of an item comes from."""
    if "TRE" in item.name or "landmarks" in item.name:
        return "point lists of both images"
    if item.name in ("Dice", "MDA", "HD95", "size ratio moving/fixed"):
        return "structures of both images"
    if "Jacobian" in item.name:
        return "transform; " + ("structure of the fixed image" if item.structure else "outline on the fixed image")
    if item.name == "inverse consistency":
        return "transform and its inverse"
    if "displacement" in item.name or item.name == "covered by the transform":
        return "transform; outline on the fixed image"
    return "intensities of both images in the outline"


def itemTitle(item: QualityItem) -> str:
    """The name of an item with its structure."""
    return f"{item.name}, {item.structure}" if item.structure else item.name


_FORMATS = {"mm": ".2f", "nat": ".3f", "%": ".3g", "mm/mm": ".2f", "": ".3f"}


def valueText(item: QualityItem, value: float | None) -> str:
    """A number of an item with its unit; a number without dimension has none."""
    if value is None or value != value:
        return "not measured"
    if item.name.endswith("landmarks"):
        return f"{value:.0f}"
    number = f"{value:{_FORMATS.get(item.unit, '.4g')}}"
    return f"{number.removeprefix('-') if not float(number) else number} {item.unit}".rstrip()


def regionText(item: QualityItem) -> str:
    """The place where an item was measured."""
    if "TRE" in item.name or item.name.endswith("landmarks"):
        return "landmarks"
    return item.structure or "outline"


def toleranceText(item: QualityItem) -> str:
    """The tolerance of an item, and on which side of it the value must be."""
    if item.tolerance is None:
        return "shown only"
    sign = "≥" if item.name in ("Dice", "covered by the transform") else "≤"
    return f"{sign} {valueText(item, item.tolerance)}"
