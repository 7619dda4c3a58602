"""The registry of sample data, installed as the module ``SampleData``."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import slicer


@dataclasses.dataclass(eq=True)
class SampleDataSource:
    sampleName: str
    uris: Any
    fileNames: Any
    nodeNames: Any = None
    customDownloader: Callable[[SampleDataSource], Any] | None = None
    thumbnailFileName: str | None = None
    checksums: Any = None
    loadFileType: Any = "VolumeFile"
    loadFiles: Any = None
    loadFileProperties: Any = None

    def __post_init__(self) -> None:
        # Slicer asks for addresses and file names even when a custom downloader uses neither.
        if self.uris is None or self.fileNames is None:
            raise TypeError("uris and fileNames are needed")


class SampleDataLogic:
    @staticmethod
    def registerCustomSampleDataCategory(category: str) -> None:
        slicer.modules.sampleDataSources.setdefault(category, [])

    @staticmethod
    def registerCustomSampleDataSource(
        category: str = "Custom", sampleName: Any = None, uris: Any = None, fileNames: Any = None, **details: Any
    ) -> None:
        source = SampleDataSource(sampleName, uris, fileNames, **details)
        sources = slicer.modules.sampleDataSources.setdefault(category, [])
        if source not in sources:
            sources.append(source)


def clickSample(sampleName: str) -> Any:
    """Press the button of a sample: its custom downloader gets the source and returns the node or nodes."""
    sources = [s for group in slicer.modules.sampleDataSources.values() for s in group]
    source = next(s for s in sources if s.sampleName == sampleName)
    return source.customDownloader(source)
