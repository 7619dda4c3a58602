"""Checks a commit message: ``check_commit_message.py FILE``, as git calls its ``commit-msg`` hook.

The subject reads ``ENH: Register a range of slices`` and has at most 72 characters. A blank line follows it. Commits
that change behaviour (ENH, BUG, PERF) have a body that says why.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

TYPES = ("ENH", "BUG", "DOC", "PERF", "STYLE", "COMP")
NEED_BODY = ("ENH", "BUG", "PERF")
MAX_SUBJECT = 72
GENERATED = ("Merge ", "Revert ", "fixup! ", "squash! ", "amend! ")
SCISSORS = "# ------------------------ >8 ------------------------"
TRAILER = re.compile(r"[A-Z][A-Za-z]*(-[A-Za-z]+)+: \S")


def problems(message: str) -> list[str]:
    """Sentences about what is wrong with ``message``; none if nothing is, or if git wrote its subject."""
    lines = [line.rstrip() for line in message.split(SCISSORS)[0].splitlines() if not line.startswith("#")]
    subject, *rest = lines or [""]
    if subject.startswith(GENERATED):
        return []
    kind, _, text = subject.partition(": ")
    found = []
    if kind not in TYPES or not text.strip():
        found.append(f"The subject begins with one of {', '.join(f'{name}:' for name in TYPES)} and a space.")
    if len(subject) > MAX_SUBJECT:
        found.append(f"The subject has {len(subject)} characters; {MAX_SUBJECT} is the most.")
    if subject.endswith("."):
        found.append("The subject ends without a full stop.")
    if rest and rest[0]:
        found.append("A blank line follows the subject.")
    if kind in NEED_BODY and not any(line and not TRAILER.match(line) for line in rest):
        found.append(f"A commit of type {kind} has a body that says why.")
    return found


def main(path: str) -> int:
    """Prints the problems of the message in the file ``path``; 1 if there are any, 0 otherwise."""
    found = problems(Path(path).read_text(encoding="utf-8"))
    for sentence in found:
        print(sentence, file=sys.stderr)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
