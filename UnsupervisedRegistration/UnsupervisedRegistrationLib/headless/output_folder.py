"""A folder that holds all files of one run or none of them.

Files are written into a folder beside their final place, inside the output folder, and renamed when all are there. The
report holds the hashes of the others; it is removed first and written last. A folder with a report is therefore
complete, whatever ended the run.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

from .file_lock import lockedFile
from .run_record import fileHash, jsonText

REPORT = "report.json"
_STAGING = ".unsupervised-registration"
_JOURNAL = "journal.json"

Hashes = dict[str, str]
"""File name to SHA-256."""


class OutputFolder:
    """The output folder of a run, as a context.

    Attributes:
        folder: Where the files will be.
        notes: What was done to the folder before the run, a sentence each.
    """

    def __init__(self, folder: Path, names: Sequence[str], inputs: Sequence[Path] = (), overwrite: bool = False):
        """Name the files that the run will write, besides the report, and those that it reads."""
        self.folder, self._names, self._inputs, self._overwrite = folder, (*names, REPORT), inputs, overwrite
        self._staging = folder / _STAGING
        self._created: list[Path] = []
        self._former: Hashes = {}
        self._lock: IO[bytes] | None = None
        self.notes: tuple[str, ...] = ()

    def __enter__(self) -> OutputFolder:
        """Claim the folder and remove what an incomplete run left there.

        Raises:
            OSError: The folder cannot be written, another run writes there, or a file is not of a former run.
            ValueError: An input would be replaced.
        """
        try:
            self._claim()
        except BaseException:
            self._release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove what is not finished."""
        try:
            self._release()
        except KeyboardInterrupt:  # A first signal that came now; no second one comes.
            self._release()
            raise

    def path(self, name: str) -> Path:
        """Return where the run writes one of its files.

        Raises:
            ValueError: The run did not name it.
        """
        if name not in self._names[:-1]:
            raise ValueError(f"'{name}' is none of the files of this run: {', '.join(self._names[:-1])}.")
        return self._staging / "new" / name

    def finish(self, report: Mapping[str, object]) -> None:
        """Put all files into their place, the report last.

        Raises:
            OSError: A file cannot be written or renamed; the folder is as it was before.
        """
        new = self._staging / "new"
        hashes = {path.name: fileHash(path) for path in sorted(new.iterdir())}
        (new / REPORT).write_text(jsonText({**report, "files": hashes}), encoding="utf-8")
        everything = {**hashes, REPORT: fileHash(new / REPORT)}
        journal = self._staging / f"{_JOURNAL}.part"
        journal.write_text(json.dumps([everything, self._former]), encoding="utf-8")
        journal.rename(self._staging / _JOURNAL)
        self._replace([*hashes, REPORT])
        (self._staging / _JOURNAL).unlink()

    def _replace(self, names: Iterable[str]) -> None:
        """Swap the files of the former run for those of this run; swap back if that fails."""
        folder, former = self.folder, self._staging / "former"
        moves = [(folder / name, former / name) for name in (REPORT, *self._former) if name in self._former]
        moves = list(dict.fromkeys(moves)) + [(self._staging / "new" / name, folder / name) for name in names]
        done: list[tuple[Path, Path]] = []
        try:
            for source, target in moves:
                done.append((source, target))
                if target.exists():
                    raise FileExistsError(f"'{target}' appeared during the run; choose another folder with --output.")
                os.replace(source, target)
        except BaseException:
            self._undo(done)
            raise

    def _undo(self, moves: Sequence[tuple[Path, Path]]) -> None:
        """Move back what was moved."""
        for source, target in reversed(moves):
            if not source.exists():
                os.replace(target, source)

    def _claim(self) -> None:
        folder = self.folder
        if any(_isSame(folder, path) for path in self._inputs):
            raise ValueError(f"'{folder}' is an input; choose another folder with --output.")
        with _sentence(folder):
            self._makeFolders()
            self._lock = lockedFile(self._staging / "lock")
        if self._lock is None:
            raise OSError(f"Another run is writing into '{folder}'; wait for it, or choose another folder.")
        with _sentence(folder):
            if removeIncomplete(folder):
                self.notes = (f"'{folder}' held the files of an incomplete run; they were removed.",)
            self._former = completeFiles(folder)
            self._checkFiles()
            for name in ("new", "former"):
                (self._staging / name).mkdir()

    def _makeFolders(self) -> None:
        missing = [path for path in (self.folder, *self.folder.parents) if not path.exists()]
        for path in reversed(missing):
            path.mkdir(exist_ok=True)
            self._created.append(path)
        self._staging.mkdir(exist_ok=True)

    def _checkFiles(self) -> None:
        for name in dict.fromkeys((*self._names, *self._former)):
            path = self.folder / name
            if not os.path.lexists(path):
                continue
            if any(_isSame(path, given) for given in self._inputs):
                raise ValueError(f"'{path}' is an input of this run and would be replaced; choose another --output.")
            if name not in self._former:
                raise FileExistsError(
                    f"'{path}' is not, or no longer, what a former run wrote, and is not replaced; choose another"
                    " folder with --output."
                )
        if self._former and not self._overwrite:
            raise FileExistsError(
                f"'{self.folder}' holds the result of a former run; replace it with --overwrite, or choose another"
                " folder with --output."
            )

    def _release(self) -> None:
        """Remove the folders of the run; those that it made only if they are empty."""
        if self._lock is None:
            return
        for path in self._staging.iterdir():
            if path.name != "lock":
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()
        if os.name == "nt":  # Windows removes no open file.
            self._lock.close()
        shutil.rmtree(self._staging, ignore_errors=True)
        self._lock.close()
        self._lock = None
        with contextlib.suppress(OSError):
            for path in reversed(self._created):
                path.rmdir()


def completeFiles(folder: Path) -> Hashes:
    """Return the files of a complete run that are still as it wrote them, the report included.

    The result is empty if there is no report, or none that a run wrote.
    """
    try:
        hashes = json.loads((folder / REPORT).read_text(encoding="utf-8"))["files"]
        names = [name for name in hashes if name == Path(name).name and (folder / name).is_file()]
        same = {name: hashes[name] for name in names if fileHash(folder / name) == hashes[name]}
        return {**same, REPORT: fileHash(folder / REPORT)}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def removeIncomplete(folder: Path) -> bool:
    """Remove what a run that was killed left in the folder; return whether there was anything.

    The caller holds the lock of the folder.
    """
    staging = folder / _STAGING
    left = [path for path in staging.iterdir() if path.name != "lock"]
    with contextlib.suppress(FileNotFoundError):
        if not completeFiles(folder):
            for hashes in json.loads((staging / _JOURNAL).read_text(encoding="utf-8")):
                for name, value in hashes.items():
                    if (folder / name).is_file() and fileHash(folder / name) == value:
                        (folder / name).unlink()
    for path in left:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return bool(left)


def _isSame(path: Path, other: Path) -> bool:
    try:
        return os.path.samefile(path, other)
    except OSError:
        return False


@contextlib.contextmanager
def _sentence(folder: Path) -> Iterator[None]:
    """Give an error of the system the words that it lacks."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(
            f"The output folder '{folder}' cannot be written ({error.strerror}); choose another one with --output."
        ) from error
