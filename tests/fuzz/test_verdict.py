from pathlib import Path

import pytest

from tests.examples import Outcome
from tests.fuzz.damage import Damage, Level
from tests.fuzz.readers import Reading
from tests.fuzz.verdict import judge

VICTIM = Path("/somewhere/showers.zarr")
REFUSED = Reading(Outcome(1, "", f"reading 100%\nerror: {VICTIM}/zarr.json: not JSON\n"))


def kind(reading, level=Level.READING, *, verifies=False, tolerant=False, partner=""):
    damage = Damage("", level, "zarr.json")
    return judge(reading, damage, VICTIM, "good", verifies=verifies, tolerant=tolerant, partner=partner)[0]


def failed(text, status=1):
    return Reading(Outcome(status, "", text))


def read(made, err=""):
    return Reading(Outcome(0, "", err), made)


@pytest.mark.parametrize("level", Level)
def test_one_line_that_names_the_file_is_a_refusal(level):
    assert kind(REFUSED, level) == "refused"


def test_a_usage_error_may_fill_a_box():
    assert kind(failed("Usage: ingest\n│ /somewhere/show │\n│ ers.zarr: is a folder │\n", status=2)) == "refused"
    assert kind(failed("Usage: ingest\n│ is a folder │\n", status=2)) == "nameless"


def test_a_refusal_may_name_the_file_that_the_damaged_one_disagrees_with():
    refusal = failed("error: other.toml: bad\n")
    assert (kind(refusal), kind(refusal, partner="other.toml")) == ("nameless", "refused")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("error: KeyError: 'rows'\n", "nameless"),
        ("", "lines"),
        ("error: showers.zarr: bad\nerror: showers.zarr: worse\n", "lines"),
        ("Traceback (most recent call last):\nerror: showers.zarr: bad\n", "traceback"),
        ("error: showers.zarr: \x1b[2J\n", "control"),
        ("error: showers.zarr: MemoryError: Unable to allocate 74.5 GiB\n", "memory"),
        ("error: showers.zarr: malloc of size 9876543210 failed\n", "memory"),
    ],
)
def test_anything_else_is_a_finding(text, expected):
    assert kind(failed(text)) == expected


def test_other_statuses_are_findings():
    assert kind(failed("error: showers.zarr: bad\n", status=3)) == "status"


def test_a_refusal_leaves_nothing():
    assert kind(Reading(REFUSED.outcome, left="made.zarr")) == "published"


def test_other_values_pass_only_where_nothing_could_show_them():
    passing = {level: kind(read("other"), level) == "accepted" for level in Level}
    assert passing == {Level.OPENING: False, Level.READING: False, Level.VERIFY: True, Level.NOBODY: True}
    assert kind(read("other", err="showers.zarr: seeds are rarely the maximum\n")) == "accepted"


def test_the_same_values_pass_but_not_where_opening_must_notice():
    assert kind(read("good")) == "accepted"
    assert kind(read("good"), Level.OPENING) == "silent"
    assert kind(read("good"), Level.OPENING, tolerant=True) == "accepted"


def test_whatever_verifies_must_notice_every_damage():
    assert kind(read(None), Level.VERIFY, verifies=True) == "silent"
    assert kind(failed("error: showers.zarr: bad\nerror: showers.zarr: worse\n"), verifies=True) == "refused"
