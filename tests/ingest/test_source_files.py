"""Files, folders and patterns as sources."""

import os
from pathlib import Path

import pytest
import zarr

from ingest.source_files import find_files
from store.errors import SourceError
from tests.examples import run_ingest, showers, write_hdf5

TREE = (
    "jets/b.h5", "jets/a.hdf5", "jets/notes.txt", "jets/run10/x.parquet", "jets/run10/x.H5", "jets/run2/deep/y.hdf",
    "jets/run2/odd[1].h5", "jets/._a.hdf5", "jets/.DS_Store", "jets/.old/z.h5", "plain", "empty/notes.txt",
)  # fmt: skip
ALL = ["a.hdf5", "b.h5", "run10/x.H5", "run10/x.parquet", "run2/deep/y.hdf", "run2/odd[1].h5"]


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """Work in a folder with empty files of many names."""
    for name in TREE:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def found(*given: str) -> list[str]:
    return [str(path) for path in find_files(map(Path, given))]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("jets", [f"jets/{name}" for name in ALL]),
        ("jets/**", [f"jets/{name}" for name in ALL]),
        ("jets/*.h5", ["jets/b.h5"]),
        ("jets/**/*.h5", ["jets/b.h5", "jets/run2/odd[1].h5"]),
        ("**/x.*", ["jets/run10/x.H5", "jets/run10/x.parquet"]),
        ("/".join(["**"] * 30 + ["b.h5"]), ["jets/b.h5"]),
        ("jets/run*", ["jets/run10/x.H5", "jets/run10/x.parquet", "jets/run2/deep/y.hdf", "jets/run2/odd[1].h5"]),
        ("jets/**/run2/**/y.???", ["jets/run2/deep/y.hdf"]),
        ("jets/run[!2]*/*.parquet", ["jets/run10/x.parquet"]),
        ("jets/*.txt", ["jets/notes.txt"]),
        ("jets/.old", ["jets/.old/z.h5"]),
        ("jets/.*/*", ["jets/.old/z.h5"]),
        ("plain", ["plain"]),
        ("jets/run2/odd[1].h5", ["jets/run2/odd[1].h5"]),
        ("nothing.h5", ["nothing.h5"]),
    ],
)
def test_what_stands_for_which_files(tree, given, expected):
    assert found(given) == expected
    assert found(str(tree / given)) == [str(tree / name) for name in expected]


def test_home_is_expanded(tree, monkeypatch):
    monkeypatch.setenv("HOME", str(tree))
    assert found("~/jets/*.h5") == [str(tree / "jets" / "b.h5")]
    assert found("~nobody-of-this-name/x.h5") == ["~nobody-of-this-name/x.h5"]


def test_the_order_is_that_of_the_command_line_and_then_of_names(tree):
    assert found("plain", "jets/run10", "jets/*.h*5") == [
        "plain", "jets/run10/x.H5", "jets/run10/x.parquet", "jets/a.hdf5", "jets/b.h5"
    ]  # fmt: skip


def test_hidden_files_are_passed_over_and_said_in_one_line(tree, capsys):
    found("jets", "jets/**/*.h5")
    assert capsys.readouterr().err == "passed over 2 hidden files and folders, such as jets/._a.hdf5\n"
    found("jets/run10", "jets/*.h5")
    assert capsys.readouterr().err == ""


def test_links_are_followed_but_no_folder_is_taken_twice(tree):
    Path("jets/loop").symlink_to(".")
    Path("jets/run2/up").symlink_to("../..")
    Path("other").symlink_to("jets/run10")
    assert found("jets/**/*.parquet") == ["jets/run10/x.parquet"]
    assert found("other") == ["other/x.H5", "other/x.parquet"]
    Path("jets/gone.h5").symlink_to("nowhere")
    assert "jets/gone.h5" in found("jets"), "so that it is refused as missing"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("empty", r"empty: is a folder without source files (.h5, .hdf5, .hdf, .parquet)"),
        ("em*", r"em*: matches only folders without source files"),
        ("jets/*.hdf", r"jets/*.hdf: no file matches this pattern"),
        ("jets/b.h5/*", r"jets/b.h5/*: no file matches this pattern"),
        ("none/**/*.h5", r"none/**/*.h5: no file matches this pattern"),
    ],
)
def test_a_folder_or_pattern_without_files_is_refused(tree, given, message):
    with pytest.raises(SourceError) as refused:
        found(given)
    assert str(refused.value).startswith(message)


def test_a_folder_with_hidden_files_only_says_so(tree):
    Path("empty/._x.h5").touch()
    with pytest.raises(SourceError, match=r"\.parquet\), except 1 hidden file or folder, empty/\._x\.h5"):
        found("empty")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_a_folder_that_may_not_be_read_is_named(tree):
    Path("jets/run2").chmod(0)
    try:
        with pytest.raises(PermissionError, match="run2"):
            found("jets")
    finally:
        Path("jets/run2").chmod(0o755)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with a source of each class, both of the same name, in folders of their own."""
    folder = tmp_path_factory.mktemp("folder")
    for number, name in enumerate(("photons", "electrons")):
        (folder / "in" / name).mkdir(parents=True)
        write_hdf5(folder / "in" / name / "0001.h5", showers(40, number), number)
    (folder / "in" / "electrons" / "._0001.h5").write_bytes(b"resource fork")
    return folder


def names_of(store):
    return [source["name"] for source in zarr.open_group(store, mode="r").attrs["sources"]]


def test_a_folder_is_ingested_and_verified_in_any_form(folder, monkeypatch):
    monkeypatch.chdir(folder)
    digests = set()
    for words in (["in"], ["in/electrons/0001.h5", "in/photons/0001.h5"]):
        outcome = run_ingest(*words, "--output", "out.zarr", "--overwrite")
        assert outcome.status == 0, outcome.err
        assert ("passed over 1 hidden file or folder, in/electrons/._0001.h5" in outcome.err) == (words == ["in"])
        assert names_of("out.zarr") == ["electrons/0001.h5", "photons/0001.h5"]
        digests.add(zarr.open_group("out.zarr", mode="r").attrs["content_digest"])
    assert len(digests) == 1
    for words in (["in"], ["in/**/*.h5"]):
        verified = run_ingest("verify", "out.zarr", *words)
        assert "80 images equal to their sources" in verified.out, verified.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["in", "in/photons/0001.h5"], "in/photons/0001.h5: is given twice"),
        (["in", "in/../in/photons/0001.h5"], "0001.h5: has the same content as"),
        (["out"], "out: no such file"),
        (["in/*.h5"], "in/*.h5: no file matches this pattern"),
    ],
)
def test_wrong_sources_are_refused_in_one_line(folder, monkeypatch, words, message):
    monkeypatch.chdir(folder)
    outcome = run_ingest(*words, "--output", "refused.zarr")
    assert outcome.status == 1
    errors = [line for line in outcome.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert not list(folder.glob("*refused*"))
