"""Which two slices make a pair. Pairs are found on request, because a list of all of them would fill the memory."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

_Numbers = NDArray[np.int64]
_ROUNDING = 1e-6  # mm; the distances decide, not the bounds of the range.


class Pairing:
    """Finds the slices that a slice of a store may be paired with.

    Args:
        records: See ``SliceStore``.
        pairs: ``"within"`` joins slices of one group at one level, ``"across"`` those of different subjects whose
            levels are nearest, or up to 1 mm further away.

    Raises:
        ValueError: No two slices make a pair.
    """

    def __init__(self, records: NDArray[Any], pairs: Literal["across", "within"]) -> None:
        self._subjects, self._levels = np.array(records["subject"]), np.array(records["level"])
        self._across = pairs == "across"
        if self._across:
            self._order = np.argsort(self._levels, kind="stable")
            self._sorted = self._levels[self._order]
        else:
            _, self._block = np.unique(np.array(records[["group", "level"]]), return_inverse=True)
            self._order = np.argsort(self._block, kind="stable")
            self._sorted = self._block[self._order]
        if not (len(np.unique(self._subjects)) > 1 if self._across else bool((np.diff(self._sorted) == 0).any())):
            raise ValueError(
                f"No two of the {len(records)} slices make a pair '{pairs}'; 'within' needs names such as X_ED and"
                " X_ES, 'across' at least two subjects, whose names begin with different words."
            )

    def __len__(self) -> int:
        return len(self._subjects)

    def candidates(self, index: int) -> _Numbers:
        """Return the slices that a slice may be paired with, in ascending order; the slice itself if there is none."""
        found = self._nearest(index) if self._across else self._between(self._block[index], self._block[index])
        found = np.sort(found[found != index])
        return found if len(found) else np.array([index])

    def _between(self, low: float, high: float) -> _Numbers:
        first, last = np.searchsorted(self._sorted, low, "left"), np.searchsorted(self._sorted, high, "right")
        return self._order[first:last]

    def _nearest(self, index: int) -> _Numbers:
        """Slices of other subjects around the level, in a range that grows until it must contain the nearest."""
        level, reach = self._levels[index], 1.0
        while True:
            window = self._between(level - reach - _ROUNDING, level + reach + _ROUNDING)
            others = window[self._subjects[window] != self._subjects[index]]
            distances = np.abs(self._levels[others] - level)
            if len(others) and distances.min() + 1 <= reach:
                return others[distances <= distances.min() + 1]
            reach = distances.min() + 1 if len(others) else 2 * reach
