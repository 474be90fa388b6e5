import os
import subprocess

from store.provenance import describe_process, source_commit


def git(folder, *words):
    identity = {f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    return subprocess.run(
        ["git", *words], cwd=folder, env=os.environ | identity, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_the_commit_is_that_of_the_checkout_that_tracks_the_file(tmp_path):
    tracked, other = tmp_path / "a.py", tmp_path / "environment" / "b.py"
    other.parent.mkdir()
    for file in (tracked, other):
        file.write_text("1\n")
    assert source_commit(tracked) == ""
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "a.py")
    git(tmp_path, "commit", "--quiet", "-m", "first")
    git(tmp_path, "tag", "-a", "v1", "-m", "v1")
    head = git(tmp_path, "rev-parse", "HEAD")
    assert source_commit(tracked) == head
    assert source_commit(other) == ""  # an installed package in somebody else's checkout
    tracked.write_text("2\n")
    assert source_commit(tracked) == f"{head}-dirty"


def test_threads_are_recorded_where_they_are_limited(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    described = describe_process()
    assert described["OMP_NUM_THREADS"] == "3"
    assert described["processors"] >= 1
    assert described["date"].endswith("+00:00")
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert "OMP_NUM_THREADS" not in describe_process()
