import hashlib
import re
import subprocess

import pytest

from store.digests import DIGESTS_FILE, read_digests, write_digests
from store.errors import CorruptStoreError


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "image").mkdir()
    (tmp_path / "label").mkdir()
    for name in ("zarr.json", "image/c.0.0.0.0", "label/zarr.json"):
        (tmp_path / name).write_text(name)
    write_digests(tmp_path)
    return tmp_path


def test_every_file_has_its_digest_but_the_record_itself(folder):
    assert read_digests(folder) == {
        name: hashlib.sha256(name.encode()).hexdigest() for name in ("zarr.json", "image/c.0.0.0.0", "label/zarr.json")
    }
    write_digests(folder)
    assert DIGESTS_FILE not in read_digests(folder)


def test_digests_that_are_known_are_taken_over(folder):
    write_digests(folder, {"zarr.json": "f" * 64})
    assert read_digests(folder)["zarr.json"] == "f" * 64


def test_sha256sum_checks_a_store_without_this_project(folder):
    def check():
        return subprocess.run(["sha256sum", "-c", DIGESTS_FILE], cwd=folder, capture_output=True, text=True)

    assert check().returncode == 0
    (folder / "zarr.json").write_text("changed")
    assert check().returncode == 1
    assert "zarr.json: FAILED" in check().stdout


def test_a_missing_record_is_named(tmp_path):
    with pytest.raises(CorruptStoreError, match=re.escape(f"{tmp_path / DIGESTS_FILE}: no readable record")):
        read_digests(tmp_path)


@pytest.mark.parametrize("line", ["short  zarr.json", "0" * 64, "0" * 64 + " zarr.json", "0" * 64 + "  "])
def test_a_line_that_is_no_digest_is_named(folder, line):
    with (folder / DIGESTS_FILE).open("a") as record:
        record.write(line + "\n")
    message = f"{folder / DIGESTS_FILE}: line 4 is not a digest and a name"
    with pytest.raises(CorruptStoreError, match=re.escape(message)):
        read_digests(folder)


def test_a_record_that_is_no_text_is_named(folder):
    (folder / DIGESTS_FILE).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CorruptStoreError, match="no readable record"):
        read_digests(folder)
