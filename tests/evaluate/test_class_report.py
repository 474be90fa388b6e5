"""The report on more than two classes: page, figures, model cards, terminal."""

import dataclasses
import json
import math
import re

import jsonschema
import msgspec
import numpy as np
import pytest
from msgspec.structs import replace

from evaluate.cli import app
from evaluate.document import MetricsDocument, json_schema
from evaluate.formatting import edge
from evaluate.occlusion import Occlusion
from evaluate.report import write_report
from evaluate.report_tables import make_tables
from evaluate.table_rows import class_places
from evaluate.tables import MISSING
from store.run_folder import RunFolder
from tests.evaluate.class_runs import THREE, make_class_predictions, with_classes, write_class_run
from tests.evaluate.conftest import RANGES
from tests.evaluate.test_report import Page, shown
from tests.examples import run_program
from tests.three_classes import CLASSES


@pytest.fixture(scope="module")
def html(class_report):
    return (class_report / "index.html").read_text()


@pytest.fixture(scope="module")
def document(class_report):
    return json.loads((class_report / "metrics.json").read_text())


def text_of(html):
    return " ".join("".join(Page(html).text).split())


def test_every_run_and_class_has_its_figures(class_report, document):
    of_runs = [f"{kind}-{run}" for run in (1, 2, 3) for kind in ("confusion", "roc", "rejection")]
    of_classes = [f"scores-{run}-{label}" for run in (1, 2, 3) for label in range(3)]
    galleries = [f"gallery-{run}-{kind}" for run in (1, 2) for kind in ("right", "wrong", "uncertain")]
    names = [*of_runs, *of_classes, *galleries, "calibration", "auc-by-class", "auc-by-time", "learning-rate"]
    names += [f"history-{quantity}" for quantity in ("loss", "accuracy", "auc")]
    names += ["store-1-channel-charge", *(f"store-1-by-{name}" for name in ("total_energy", "hits", "event"))]
    assert {path.name for path in (class_report / "figures").iterdir()} == {f"{name}.svg" for name in names}
    jsonschema.validate(document, json_schema(MetricsDocument))


def test_the_page_shows_the_metrics_of_runs_classes_and_pairs(html, document):
    text = text_of(html)
    assert "qcd / top / w classification" in text
    decoded = msgspec.json.decode(json.dumps(document), type=MetricsDocument)
    tables = make_tables(decoded)
    assert list(tables) == ["splits", "gaps", "classes", "pairs", "slices", "comparison"]
    for table in (table for of_section in tables.values() for table in of_section):
        assert all(cell.text in text for row in table.rows for cell in row)
    for index, run in enumerate(document["runs"]):
        details = run["splits"]["test"]["details"]
        assert f"mean AUC of pairs {shown(details['mean_pairwise_auc'])}" in text
        pairs, rejections = tables["pairs"][2 * index : 2 * index + 2]
        values = [[None if cell.text == MISSING else cell.key for cell in row[1:]] for row in pairs.rows]
        assert values == details["pairwise_auc"]["value"]
        kept = [row for row in rejections.rows if row[1].text == "50 %"]
        expected = details["rejection"]["0.5"]["value"]
        for row, (cells, numbers) in enumerate(zip(kept, expected, strict=True)):
            shown_numbers = [None if math.isinf(cell.key) else cell.key for cell in cells[2:]]
            assert shown_numbers == [None if column == row else number for column, number in enumerate(numbers)]


def test_the_page_is_well_formed_and_says_what_the_figures_show(class_report, html):
    page = Page(html)
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for attributes in page.attributes("a"):
        target = attributes["href"]
        assert target.startswith("https://") or (
            target[1:] in ids
            if target.startswith("#")
            else (class_report / target).suffix != ".svg" or (class_report / target).is_file()
        )
    pictures = page.attributes("svg")
    assert len(pictures) == len(list((class_report / "figures").iterdir()))
    assert all(len(picture["aria-label"]) > 20 for picture in pictures)


def test_a_confusion_matrix_has_shares_and_counts(class_report, document):
    test = document["runs"][1]["splits"]["test"]["details"]["confusion"]
    svg = (class_report / "figures" / "confusion-2.svg").read_text()
    for shares, counts in zip(test["share"]["value"], test["samples"], strict=True):
        for share, count in zip(shares, counts, strict=True):
            assert f">{100 * share:.1f} %<" in svg
            assert f">{count}<" in svg


def test_single_images_have_their_true_and_their_most_probable_class(class_report, document, html):
    labels = [picture["aria-label"] for picture in Page(html).attributes("svg")]
    for number, run in enumerate(document["runs"]):
        predictions = make_class_predictions(RANGES["test"], number)
        for sample in run["gallery"]["wrong"]:
            row = sample["sample"] - RANGES["test"][0]
            assert sample["probabilities"] == predictions.score[row].tolist()
            predicted = int(np.argmax(sample["probabilities"]))
            assert predicted != sample["label"] == predictions.label[row]
            said = f"{CLASSES[predicted]} {max(sample['probabilities']):.4f}"
            assert sum(f"{CLASSES[sample['label']]}: " in label and said in label for label in labels) >= 1


def test_numbers_of_events_keep_their_digits(html, document):
    (events,) = [part for part in document["runs"][0]["slices"] if part["variable"] == "event"]
    assert all(edge(part["low"]) in html and "e+" not in edge(part["low"]) for part in events["bins"])
    assert (edge(362437.0), edge(0.123456), edge(1e30)) == ("362437", "0.1235", "1e+30")


def test_a_model_card_has_a_row_per_class_and_code_for_all_of_them(class_report, document):
    decoded = msgspec.convert(document, MetricsDocument)
    places = {key: class_places(decoded, key) for key in ("auc", "recall", "precision")}
    for number, run in enumerate(document["runs"], start=1):
        card = (class_report / f"model-card-{number}.md").read_text()
        assert card.startswith(f"# cnn ({run['framework']}): qcd / top / w\n")
        assert "Telling qcd (class 0), top (class 1) and w (class 2) apart" in card
        for name, part in zip(CLASSES, run["splits"]["test"]["by_class"], strict=True):
            values = " | ".join(shown(part[key], places[key]) for key in ("auc", "recall", "precision"))
            assert f"| {name} | {part['samples']} | {values} |\n" in card
        assert "[:, 0]" not in card
        assert "`score` has one row per image, with one probability per class" in card
        for table in re.findall(r"(?:^\|.*\n)+", card, re.MULTILINE):
            assert len({line.count("|") for line in table.splitlines()}) == 1


def test_the_terminal_shows_them(class_report, document, tmp_path):
    runs = [class_report.parent / name for name in ("torch", "keras")]
    outcome = run_program(app, "report", "compare", *runs)
    assert outcome.status == 0, outcome.err
    assert re.search(r"same most probable class +0\.", outcome.out)
    assert re.search(r"difference of mean AUCs +-?0\.\S+ ± \S+ \(p = ", outcome.out)
    assert all(re.search(rf"^{name} +0\.\d+ +0\.", outcome.out, re.MULTILINE) for name in CLASSES)


@pytest.mark.usefixtures("undrawn")
def test_a_report_of_many_classes_shows_the_hardest_and_names_them_all(tmp_path, capsys):
    spec = with_classes(30)
    run = write_class_run(tmp_path / "run", spec=spec)
    outcome = run_program(app, "report", run, "--output", tmp_path / "report")
    assert outcome.status == 0, outcome.err
    assert re.search(r"mean AUC +accuracy +top-2 accuracy", outcome.out)
    text = text_of((tmp_path / "report" / "index.html").read_text())
    assert "Classification of 30 classes" in text
    assert all(name in text for name in spec.classes)
    assert text.count("The 10 of 30 classes with the lowest AUC.") == 2 + 10


@pytest.mark.usefixtures("undrawn")
def test_a_class_without_samples_is_no_obstacle(tmp_path):
    run = write_class_run(tmp_path / "run", spec=with_classes(3))
    for split, limits in RANGES.items():
        predictions = make_class_predictions(limits, 0)
        label = np.where(predictions.label == 2, 0, predictions.label)
        dataclasses.replace(predictions, label=label).save(RunFolder(path=run).predictions(split))
    outcome = run_program(app, "report", run, "--output", tmp_path / "report")
    assert outcome.status == 0, outcome.err
    assert re.search(r"test +none +0\.", outcome.out)
    assert "no test AUC" in text_of((tmp_path / "report" / "index.html").read_text())


@pytest.mark.usefixtures("undrawn")
def test_stores_with_the_same_classes_are_in_one_report_and_others_are_not(tmp_path, make_run):
    first, second = (write_class_run(tmp_path / name, store=replace(THREE, digest=name * 64)) for name in ("a", "b"))
    assert write_report([first, second], tmp_path / "report").comparisons == []
    outcome = run_program(app, "report", first, make_run("two"), "--output", tmp_path / "other")
    assert outcome.status == 1
    assert outcome.err.count("\n") == 1
    assert f"{first} has 3 classes (qcd, top, w), and " in outcome.err
    assert "two has 2 classes (photon, electron): only runs of the same classes can be in one report" in outcome.err
    assert not (tmp_path / "other").exists()


def test_occlusion_maps_of_every_class_with_samples_are_shown(tmp_path, monkeypatch):
    drawn = {}
    monkeypatch.setattr("evaluate.processes.count_processors", lambda: 1)
    monkeypatch.setattr("evaluate.report._write_figure", lambda drawing, *_: drawn.setdefault(drawing.name, drawing))
    run = write_class_run(tmp_path / "run")
    test = make_class_predictions(RANGES["test"], 0)
    change = np.random.default_rng(0).random((3, 16, 16))
    change[1] = np.nan
    Occlusion(sample=test.sample, score=test.score, change=change).save(run)
    write_report([run], tmp_path / "report")
    assert {name for name in drawn if "occlusion" in name} == {"occlusion-1-qcd", "occlusion-1-w"}
    assert "change of the probability of the true class" in drawn["occlusion-1-w"].caption
    shown = drawn["occlusion-1-w"].figure.axes[0].images[0].get_array()
    assert shown.shape == (40, 56)
    assert set(np.unique(shown)) == set(np.unique(change[2]))
