"""Whether a program handled a damaged input correctly."""

import re
import unicodedata
from pathlib import Path
from typing import Any

from tests.fuzz.damage import Damage, Level
from tests.fuzz.readers import ALIKE, Reading

GOOD = ("refused", "accepted")
MEMORY = re.compile(
    r"MemoryError|(unable to|cannot) allocate|out of memory|bad_alloc|(re|m|c)alloc(ation)? (of size|failed)",
    re.IGNORECASE,
)


def judge(
    reading: Reading, damage: Damage, victim: Path, expected: Any, *, verifies: bool, tolerant: bool, partner: str = ""
) -> tuple[str, str]:
    """Return the verdict, which is one of `GOOD` or says what is wrong, and the output that shows it.

    Parameters
    ----------
    reading
        Result of reading the damaged input.
    damage
        What was done to it.
    victim
        The damaged file or folder.
    expected
        `Reading.made` of the undamaged input.
    verifies
        Whether the program must notice every damage.
    tolerant
        Whether the program reports damage and continues.
    partner
        Name of a file that a refusal may name instead of the damaged one, if any; see `tests.fuzz.targets.Target`.
    """
    status, text = reading.outcome.status, reading.outcome.out + reading.outcome.err
    errors = [line for line in reading.outcome.err.splitlines() if line.startswith("error: ")]
    words = " | ".join(errors) or text.strip()[-300:]
    control = [character for character in text if unicodedata.category(character) == "Cc" and character not in "\n"]
    if "Traceback" in text:
        return "traceback", words
    if control:
        at = text.index(control[0])
        return "control", repr(text[max(0, at - 60) : at + 60])
    if MEMORY.search(words):
        return "memory", words
    if status == 0:
        return judge_accepted(reading, damage, victim, expected, verifies=verifies, tolerant=tolerant)
    if status not in (1, 2):
        return "status", f"{status}: {words}"
    if ALIKE in text:
        return "stuck", words
    if reading.left:
        return "published", f"{reading.left} is there after: {words}"
    if status == 1 and not verifies and len(errors) != 1:
        return "lines", words or "nothing is printed"
    names = {victim.name, damage.file or victim.name, partner or victim.name}
    squeezed = re.sub(r"[\s│]+", "", text)  # usage errors are printed in a box
    if not (
        any(name in squeezed for name in names)
        if status == 2
        else all(any(name in line for name in names) for line in errors)
    ):
        return "nameless", words
    return "refused", words


def judge_accepted(
    reading: Reading, damage: Damage, victim: Path, expected: Any, *, verifies: bool, tolerant: bool
) -> tuple[str, str]:
    """Return the verdict on an input that was read to the end; see `judge`."""
    if damage.level is Level.NOBODY or tolerant:
        return "accepted", ""
    if damage.level is Level.OPENING or verifies:
        return "silent", "read to the end"
    if damage.level is Level.VERIFY or reading.made is None or reading.made == expected:
        return "accepted", ""
    if victim.name in reading.outcome.err:
        return "accepted", "with a warning that names the file"
    return "silent", "other values came out than from the undamaged input"
