import os
from pathlib import Path

import pytest

from ingest.records import LARGEST, read_record, write_record

CONTENT = {"rows": [0, 10], "runs": [{"name": "a", "samples": 3}], "empty": 2}


@pytest.fixture
def record(tmp_path):
    path = tmp_path / "000001.json"
    write_record(path, CONTENT, "one ingest")
    return path


def test_a_record_says_what_was_written(record):
    assert read_record(record, "one ingest") == CONTENT


def test_a_record_with_any_bit_flipped_is_none(record):
    good = record.read_bytes()
    for place in range(len(good)):
        for bit in range(8):
            record.write_bytes(good[:place] + bytes([good[place] ^ 1 << bit]) + good[place + 1 :])
            assert read_record(record, "one ingest") is None


def test_a_record_cut_short_anywhere_is_none(record):
    good = record.read_bytes()
    for size in range(len(good)):
        record.write_bytes(good[:size])
        assert read_record(record, "one ingest") is None


def test_a_record_of_another_ingest_or_under_another_name_is_none(record):
    assert read_record(record, "another ingest") is None
    renamed = record.rename(record.with_name("000002.json"))
    assert read_record(renamed, "one ingest") is None


def move(path: Path) -> Path:
    return path.rename(path.with_name("elsewhere"))


@pytest.mark.parametrize(
    "replace",
    [
        lambda path: path.unlink(),
        lambda path: (path.unlink(), path.mkdir()),
        lambda path: path.symlink_to(move(path)),
        lambda path: (path.unlink(), os.mkfifo(path)),
        lambda path: path.write_text("[" * 100_000),
        lambda path: path.write_text("[1, 2]"),
        lambda path: path.write_text('{"record": 1, "sha256": 2}'),
        lambda path: path.write_bytes(path.read_bytes() + b" " * LARGEST),
        lambda path: path.write_bytes(b"\xff\xfe\x00"),
    ],
    ids=["missing", "folder", "link", "pipe", "nested", "list", "numbers", "large", "not text"],
)
def test_anything_else_of_that_name_is_no_record(record, replace):
    replace(record)
    assert read_record(record, "one ingest") is None
