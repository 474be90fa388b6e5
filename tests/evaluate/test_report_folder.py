import json
from pathlib import Path

import pytest

from evaluate import report_folder
from evaluate.report_folder import replacing_folder
from store.errors import ConfigError


def write_report(output, text, names=("index.html",)):
    with replacing_folder(output) as page:
        for name in names:
            (page / name).parent.mkdir(exist_ok=True)
            (page / name).write_text(text)
        files = [*report_folder.files_in(page), "metrics.json"]
        (page / "metrics.json").write_text(json.dumps({"schema": "calostream-metrics/3", "files": files}))


def test_a_report_appears_whole(tmp_path):
    output = tmp_path / "deep" / "report"
    with replacing_folder(output) as page:
        (page / "index.html").write_text("new")
        assert not output.exists()
    assert (output / "index.html").read_text() == "new"
    assert [path.name for path in output.parent.iterdir()] == ["report"]


def test_a_failed_report_leaves_nothing(tmp_path):
    def fail():
        with replacing_folder(tmp_path / "report") as page:
            (page / "index.html").write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_failed_report_leaves_the_older_one(tmp_path):
    output = tmp_path / "report"
    write_report(output, "old")

    def fail():
        with replacing_folder(output) as page:
            (page / "index.html").write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert (output / "index.html").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_a_report_replaces_an_older_one_whole(tmp_path):
    output = tmp_path / "report"
    write_report(output, "old", ("index.html", "figures/scores-9.png"))
    write_report(output, "new")
    assert report_folder.files_in(output) == ["index.html", "metrics.json"]
    assert (output / "index.html").read_text() == "new"


def test_an_empty_folder_is_replaced(tmp_path):
    output = tmp_path / "report"
    output.mkdir()
    write_report(output, "new")
    assert (output / "index.html").read_text() == "new"


@pytest.mark.parametrize("name", ["thesis.tex", "figures/mine.png"])
def test_a_report_with_a_foreign_file_is_refused_and_left(tmp_path, name):
    output = tmp_path / "report"
    write_report(output, "old", ("index.html", "figures/roc.png"))
    (output / name).write_text("precious")
    with pytest.raises(ConfigError, match=f"holds {name}, which does not belong to a report"):
        write_report(output, "new")
    assert (output / name).read_text() == "precious"
    assert (output / "index.html").read_text() == "old"


@pytest.mark.parametrize(
    "metrics",
    ["{}", "[]", "not JSON", '{"schema": "other/1", "files": ["metrics.json"]}', '{"schema": 1, "files": []}'],
)
def test_a_folder_with_someone_elses_metrics_is_refused(tmp_path, metrics):
    output = tmp_path / "report"
    output.mkdir()
    (output / "metrics.json").write_text(metrics)
    with pytest.raises(ConfigError, match=r"holds metrics\.json"):
        write_report(output, "new")


def test_a_file_is_refused(tmp_path):
    (tmp_path / "report").write_text("a file")
    with pytest.raises(ConfigError, match="is a file, and a report is a folder"):
        write_report(tmp_path / "report", "new")


def test_a_failed_swap_puts_the_older_report_back(tmp_path, monkeypatch):
    output = tmp_path / "report"
    write_report(output, "old")
    rename = Path.rename

    def fail_for_new(path, target):
        if path.name == "new":
            raise OSError("disk on fire")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fail_for_new)
    with pytest.raises(OSError, match="disk on fire"):
        write_report(output, "new")
    assert (output / "index.html").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


@pytest.mark.parametrize("files", ['[["index.html"]]', "{}", '"index.html"', "[1]", "[" * 100_000])
def test_a_list_of_files_that_is_none_belongs_to_no_report(tmp_path, files):
    (tmp_path / "report").mkdir()
    text = f'{{"schema": "calostream-metrics/3", "files": {files}}}'
    (tmp_path / "report" / "metrics.json").write_text(text)
    message = r"metrics\.json, which does not belong to a report"
    with pytest.raises(ConfigError, match=message), replacing_folder(tmp_path / "report"):
        pass
