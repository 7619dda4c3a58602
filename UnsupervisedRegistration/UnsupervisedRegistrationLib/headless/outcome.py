"""How a command ended: its sentence and its exit code."""

from __future__ import annotations

from dataclasses import dataclass

DONE, BAD_INPUT, DO_NOT_USE = 0, 2, 3
"""Exit codes."""

_MEANINGS = {DONE: "done", DO_NOT_USE: 'done, but the quality check says "do not use"'}


@dataclass(frozen=True)
class Outcome:
    """What a command has done.

    Attributes:
        sentence: For a person; may have several lines.
        code: Exit code, ``DONE`` or ``DO_NOT_USE``.
        notes: On the inputs, for the last line.
        isCodeNamed: Whether a last line names the exit code; lists that other programs read have none.
    """

    sentence: str
    code: int = DONE
    notes: tuple[str, ...] = ()
    isCodeNamed: bool = True

    @property
    def text(self) -> str:
        """The sentence, and a last line with the exit code, its meaning and the notes on the inputs."""
        if not self.isCodeNamed:
            return self.sentence
        notes = "".join(f" {note}." for note in self.notes)
        return f"{self.sentence}\nExit code {self.code}: {_MEANINGS[self.code]}.{notes}"
