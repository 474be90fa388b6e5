"""Places: paths and URLs."""

from pathlib import Path

import pytest

from store.datasets import find_dataset
from store.errors import ConfigError
from store.locations import Url, locate
from tests.examples import run_ingest


@pytest.mark.parametrize(
    ("text", "shown", "root", "key", "name", "parent"),
    [
        ("s3://bucket/run*/a?.h5", "s3://bucket/run*/a?.h5", "s3://bucket", "run*/a?.h5", "a?.h5", "s3://bucket/run*"),
        ("S3://bucket/x.zarr/", "s3://bucket/x.zarr", "s3://bucket", "x.zarr", "x.zarr", "s3://bucket"),
        ("gs://bucket", "gs://bucket", "gs://bucket", "", "", "gs://bucket"),
        ("https://h:1/a%20b/c.h5?sig=x", "https://h:1/a%20b/c.h5", "https://h:1", "a b/c.h5", "c.h5", "https://h:1/a%20b"),
        ("root://eos.cern.ch//eos/a.h5", "root://eos.cern.ch//eos/a.h5", "root://eos.cern.ch", "/eos/a.h5", "a.h5", "root://eos.cern.ch//eos"),
    ],
)  # fmt: skip
def test_parts_of_a_url(text, shown, root, key, name, parent):
    url = locate(text)
    assert isinstance(url, Url)
    assert (str(url), url.root, url.key, url.name, str(url.parent)) == (shown, root, key, name, parent)
    if key:
        assert str(url.parent / name) == shown


def test_paths(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert locate("~/a.h5") == Path("/home/me/a.h5")
    assert locate("file:///data/a%20b.h5") == Path("/data/a b.h5")
    assert locate("file://localhost/a.h5") == Path("/a.h5")
    assert locate("a/b.h5") == Path("a/b.h5")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "ftp://host/a.h5?secret",
            "ftp://host/a.h5: unknown kind of URL; known: paths of this machine, file://, s3://",
        ),
        ("s3:///a.h5", "s3:///a.h5: names no bucket"),
        ("https:///a.h5?secret", "https:///a.h5: names no host"),
        ("s3://me:secret@bucket/a.h5", "s3://bucket/a.h5: has a password in it, which would end up in logs;"),
        ("file://other/a.h5", "file://other/a.h5: is on the host other; file:// URLs name files of this machine"),
    ],
)
def test_urls_that_are_refused_are_shown_without_secrets(text, message):
    with pytest.raises(ConfigError) as error:
        locate(text)
    assert str(error.value).startswith(message)
    assert "secret" not in str(error.value)
    outcome = run_ingest("--train", text)
    assert outcome.status == 2
    assert message in outcome.err
    assert "secret" not in outcome.err


def test_a_description_is_a_file_of_this_machine():
    with pytest.raises(ConfigError, match=r"^s3://bucket/a.toml: a description of a data set must be a file"):
        find_dataset("s3://bucket/a.toml")
