"""The frames of a multi-frame DICOM file as the headers of single slices."""

from __future__ import annotations

from pydicom import Dataset

_GROUPS = ("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence", "FrameContentSequence")


def frameHeaders(header: Dataset) -> list[Dataset]:
    """Return a header for each frame, with the place of the frame.

    Raises:
        ValueError: The frames have no places, as those of a film.
    """
    count = int(header.get("NumberOfFrames") or 1)
    frames = header.get("PerFrameFunctionalGroupsSequence") or ()
    shared = (header.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
    if len(frames) != count or not all("PlanePositionSequence" in frame for frame in frames):
        raise ValueError(
            f"it has {count} frames without positions, as a film has; needed are slices of one moment. Export them as"
            " single files, or give one frame as a picture."
        )
    return [_frameHeader(header, shared, frame) for frame in frames]


def _frameHeader(header: Dataset, shared: Dataset, frame: Dataset) -> Dataset:
    merged = Dataset()
    merged.Rows, merged.Columns = header.Rows, header.Columns
    for groups in (shared, frame):
        for name in _GROUPS:
            for element in (groups.get(name) or [Dataset()])[0]:
                merged[element.tag] = element
    content = merged.get("TemporalPositionIndex")
    if content is not None:
        merged.TemporalPositionIdentifier = content
    return merged
