import json
import re
import subprocess
import sys

import jsonschema
import numpy as np
import pytest

from evaluate.cli import app
from evaluate.document import DOCUMENTS, ComparisonDocument, json_schema
from store import console
from store.run_folder import SCORERS
from tests.examples import showers, write_hdf5


def evaluate(*words):
    with pytest.raises(SystemExit) as exit:
        console.run(app, default="report", argv=[str(word) for word in words])
    return exit.value.code


def test_runs_are_reported_without_naming_the_command(make_run, undrawn, tmp_path, capsys):
    runs = [make_run("cnn-torch", "torch", seed=1), make_run("cnn-keras", "keras", seed=2)]
    output = tmp_path / "page"
    assert evaluate(*runs, "--output", output) == 0
    assert (output / "index.html").is_file()
    printed = capsys.readouterr().out
    for word in ("cnn-torch", "cnn-keras", "train", "validation", "test", "±", "p = ", "data: Geant4 simulation"):
        assert word in printed
    assert f"report: {output / 'index.html'}" in printed.splitlines()


def test_the_report_goes_to_report_by_default(make_run, undrawn, tmp_path, monkeypatch):
    run = make_run("cnn")
    monkeypatch.chdir(tmp_path)
    assert evaluate("report", run) == 0
    assert (tmp_path / "report" / "index.html").is_file()


def test_the_report_is_opened_in_the_browser(make_run, undrawn, tmp_path, monkeypatch):
    seen, browser = tmp_path / "seen", tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > "{seen}"\n')
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{browser} %s")
    monkeypatch.setattr("webbrowser._tryorder", None)  # it reads the environment when it is first used
    output = tmp_path / "a page"
    assert evaluate(make_run("cnn"), "--output", output, "--open") == 0
    assert seen.read_text() == f"{(output / 'index.html').as_uri()}\n"


def test_the_path_is_a_link_on_a_terminal_alone(make_run, undrawn, tmp_path, capsys, monkeypatch):
    run, output = make_run("cnn"), tmp_path / "page"
    assert evaluate(run, "--output", output) == 0
    assert "\x1b" not in capsys.readouterr().out
    for name, value in (("FORCE_COLOR", "1"), ("TERM", "xterm-256color")):
        monkeypatch.setenv(name, value)
    assert evaluate(run, "--output", output) == 0
    assert f";{(output / 'index.html').as_uri()}\x1b\\" in capsys.readouterr().out


def test_every_figure_is_a_step(make_run, tmp_path, monkeypatch):
    from evaluate.report import write_report
    from tests.evaluate.hostile import svg_alone

    steps = []
    with svg_alone():
        write_report([make_run("cnn")], tmp_path / "page", lambda *step: steps.append(step))
    drawn = [step for step in steps if len(step) == 3]
    figures = {path.stem for path in (tmp_path / "page" / "figures").iterdir()}
    assert drawn == [("drawing figures", count, len(figures)) for count in range(len(figures) + 1)]


def test_names_are_printed_as_they_are(make_run, undrawn, tmp_path, capsys):
    assert evaluate(make_run("[red]cnn"), "--output", tmp_path / "page") == 0
    assert "[red]cnn" in capsys.readouterr().out


def test_a_missing_run_is_one_line_and_status_1(tmp_path, capsys):
    assert evaluate(tmp_path / "nowhere", "--output", tmp_path / "page") == 1
    captured = capsys.readouterr()
    assert captured.err == f"error: {tmp_path / 'nowhere'}: no such run directory\n"
    assert captured.out == ""
    assert list(tmp_path.iterdir()) == []


def test_no_run_is_wrong_usage(capsys):
    assert evaluate() == 2
    assert "Missing argument" in capsys.readouterr().err


def test_help_imports_nothing_slow():
    slow = {"jinja2", "matplotlib", "msgspec", "numba", "sklearn", "xarray", "zarr"}
    code = f"import sys, evaluate.cli; print({slow} & set(sys.modules) or 'quick')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "quick\n"


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_the_schema_of_every_document_is_printed(kind, capsys):
    assert evaluate("schema", kind) == 0
    schema = json.loads(capsys.readouterr().out)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema == json_schema(DOCUMENTS[kind])


def test_an_unknown_document_has_no_schema(capsys):
    assert evaluate("schema", "report") == 1
    assert capsys.readouterr().err == "error: unknown document 'report'; known: metrics, comparison, scores\n"


def test_two_runs_are_compared(make_run, tmp_path, capsys):
    runs = [make_run("cnn-torch", "torch", seed=1), make_run("cnn-keras", "keras", seed=2)]
    assert evaluate("compare", *runs, "--top", 2, "--output", tmp_path / "both.json") == 0
    printed = capsys.readouterr().out
    assert "200 samples in common" in printed
    for word in ("Spearman correlation", "difference of AUCs", "p = "):
        assert word in printed
    document = json.loads((tmp_path / "both.json").read_text())
    jsonschema.validate(document, json_schema(ComparisonDocument))
    assert document["schema"] == "calostream-comparison/1"
    assert document["simulated"] == ["Geant4 simulation"]
    assert "data: Geant4 simulation" in printed
    assert len(document["largest_differences"]) == 2
    assert str(document["largest_differences"][0]["sample"]) in printed
    assert (document["background"], document["signal"]) == ("photon", "electron")
    assert "first, score for electron" in printed
    assert re.search(rf"{document['largest_differences'][0]['sample']} +(photon|electron) ", printed)


def test_a_comparison_that_fails_writes_nothing(make_run, tmp_path, capsys):
    assert evaluate("compare", make_run("a"), tmp_path / "gone.npz", "--output", tmp_path / "both.json") == 1
    assert (
        capsys.readouterr().err == f"error: {tmp_path / 'gone.npz'}: no such predictions; has the training run ended?\n"
    )
    assert not (tmp_path / "both.json").exists()


def test_a_comparison_is_never_written_over_what_it_compares_or_something_else(make_run, tmp_path, capsys):
    one, two, other = make_run("a"), make_run("b", seed=1), tmp_path / "thesis.json"
    other.write_text("{}")
    before = (one / "config.json").read_bytes()
    for output in (one / "config.json", other, tmp_path):
        assert evaluate("compare", one, two, "--output", output) == 1
        assert f"error: {output}: " in capsys.readouterr().err
    assert ((one / "config.json").read_bytes(), other.read_text()) == (before, "{}")
    for _ in range(2):
        assert evaluate("compare", one, two, "--output", tmp_path / "new" / "both.json") == 0


def test_a_hidden_test_set_is_scored(make_run, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(SCORERS, "torch", "tests.evaluate.line_model")
    run = make_run("cnn")
    (run / "model.txt").write_text("good")
    file = write_hdf5(tmp_path / "hidden.hdf5", showers(40), np.arange(40) % 2)
    assert evaluate("score", run, file, "--output", tmp_path / "scores.csv") == 0
    printed = capsys.readouterr().out
    assert "AUC" in printed
    assert f"40 scores: {tmp_path / 'scores.csv'}; summary: {tmp_path / 'scores.json'}" in printed
