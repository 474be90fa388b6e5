import base64
import csv
import hashlib
import importlib.util
import json
import re
import socket
from html.parser import HTMLParser

import jsonschema
import msgspec
import pytest
import sklearn.metrics
from msgspec.structs import replace

from evaluate import gallery
from evaluate.document import MetricsDocument, json_schema
from evaluate.formatting import plus_minus
from evaluate.parts import Measurement
from evaluate.report import write_report
from evaluate.report_tables import make_tables
from evaluate.runs import load_runs
from evaluate.stores import find_stores
from evaluate.table_rows import gap_places, metric_places, rejection_places
from evaluate.tables import MISSING
from store.errors import ConfigError, RunError
from store.pages.beside import GENERATOR
from tests.evaluate.conftest import PUBLISHED, STORE, make_predictions, write_run

TABLES = ("splits", "gaps", "rejection", "confusion", "comparisons")
ROW = r'<tr><th scope="row">([\w. ()]+)</th>(.*)</tr>'
VOID = {"meta", "link", "br", "input", "use", "path", "rect", "image", "line"}


class Page(HTMLParser):
    """Elements and text of a page; fails on tags that do not close."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.text, self.open = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def attributes(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def shown(estimate, places=None):
    """A measurement of metrics.json as the page shows it."""
    return plus_minus(msgspec.convert(estimate, Measurement), places)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two-runs")
    dropout = {"dropout": 0.5, "optimiser": {"name": "adam"}}
    paths = [
        write_run(folder / "cnn-torch", "torch", seed=1),
        write_run(folder / "cnn-keras", "keras", seed=2, settings=dropout),
    ]
    write_report(paths, folder / "report")
    return folder / "report"


@pytest.fixture
def html(report):
    return (report / "index.html").read_text()


def test_a_report_is_a_page_numbers_and_figures(report):
    names = [
        "auc-by-time",
        "learning-rate",
        "roc",
        "rejection",
        "precision",
        "calibration",
        "scores-1",
        "scores-2",
        "scores-3",
    ]
    names += [f"history-{quantity}" for quantity in ("loss", "accuracy", "auc")]
    written = {path.relative_to(report).as_posix() for path in report.rglob("*") if path.is_file()}
    assert written == {"index.html", "metrics.json", "model-card-1.md", "model-card-2.md"} | {
        f"figures/{name}.{kind}" for name in names for kind in ("svg", "png", "pdf")
    } | {f"tables/{name}.{kind}" for name in TABLES for kind in ("csv", "tex")}
    assert json.loads((report / "metrics.json").read_text())["files"] == sorted(written)


def test_the_numbers_are_those_of_the_predictions(report):
    document = json.loads((report / "metrics.json").read_text())
    assert document["schema"] == "calostream-metrics/3"
    for run, seed in zip(document["runs"], (1, 2), strict=True):
        for split, values in run["splits"].items():
            predictions = make_predictions(split, seed)
            auc = sklearn.metrics.roc_auc_score(predictions.label, predictions.score)
            assert values["auc"]["value"] == pytest.approx(auc)


def test_the_numbers_follow_their_schema(report):
    schema = json_schema(MetricsDocument)
    jsonschema.Draft202012Validator.check_schema(schema)
    document = json.loads((report / "metrics.json").read_text())
    jsonschema.validate(document, schema)
    del document["runs"][0]["splits"]["test"]["auc"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, schema)


def test_every_run_has_a_model_card(report):
    document = json.loads((report / "metrics.json").read_text())
    for number, run in enumerate(document["runs"], start=1):
        card = (report / f"model-card-{number}.md").read_text()
        assert card.startswith(f"# cnn ({run['framework']}): electron / photon\n\n868,993 parameters")
        assert "**Geant4 simulation.**" in card
        assert f"import {run['framework']}" in card
        assert f"score {run['path']} images.hdf5" in card
        assert run["store"]["digest"] in card
        for table in re.findall(r"(?:^\|.*\n)+", card, re.MULTILINE):
            assert len({len(re.findall(r"(?<!\\\\)\|", line)) for line in table.splitlines()}) == 1


def test_a_model_card_has_the_digits_of_the_report(report):
    text = (report / "metrics.json").read_text()
    document, numbers = msgspec.json.decode(text, type=MetricsDocument), json.loads(text)
    for number, run in enumerate(numbers["runs"], start=1):
        card = (report / f"model-card-{number}.md").read_text()
        auc, gap = metric_places(document, "auc"), gap_places(document, "auc")
        values = [shown(split["auc"], auc) for split in run["splits"].values()]
        assert f"| ROC AUC | {' | '.join(values)} | {shown(run['generalisation_gap']['auc'], gap)} |" in card
        low, high = run["splits"]["test"]["auc"]["interval"]
        assert f"| {low:.{auc}f} to {high:.{auc}f} |" in card
        rejections = [split["background_rejection"]["0.5"] for split in run["splits"].values()]
        values = [shown(part, rejection_places(document, "0.5")) if part else "∞" for part in rejections]
        assert f"| rejection at 50 % signal efficiency | {' | '.join(values)} |" in card


def test_the_page_shows_the_tables_and_their_files_have_all_digits(report, html):
    text = " ".join("".join(Page(html).text).split())
    document = msgspec.json.decode((report / "metrics.json").read_bytes(), type=MetricsDocument)
    tables = [table for tables in make_tables(document).values() for table in tables]
    assert {table.name for table in tables} == set(TABLES)
    for table in tables:
        assert all(cell.text in text for row in table.rows for cell in row)
    with (report / "tables" / "splits.csv").open() as file:
        rows = {(row["run"], row["split"]): row for row in csv.DictReader(file)}
    for run in document.classifiers:
        for split, values in run.splits.items():
            row = rows[run.name, split]
            assert float(row["AUC"]) == values.auc.value
            assert float(row["log loss, error"]) == values.log_loss.standard_error
            assert (float(row["95 % interval, low"]), float(row["95 % interval, high"])) == values.auc.interval


def test_the_first_screen_says_what_the_comparison_shows(report, html):
    document = json.loads((report / "metrics.json").read_text())
    aucs = [f"{run['splits']['test']['auc']['value']:.3f}" for run in document["runs"]]
    comparison = document["comparisons"][0]
    text = "".join(Page(html).text)
    assert (
        f"PyTorch (cnn-torch) and Keras (cnn-keras) agree: test AUC {aucs[0]} and {aucs[1]}, difference "
        f"{shown(comparison['difference'])}, p = {comparison['p_value']:.2g}."
    ) in text
    assert text.index("agree") < text.index("Separation of the classes")


def test_the_page_loads_nothing(html):
    page = Page(html)
    links = re.findall(r'<a href="(https://[^"]*)" rel="noreferrer">', html)
    assert links
    without = html
    for link in links:
        without = without.replace(f'"{link}"', '""').replace(link.partition("//")[2], "")
    assert not re.search(r"https?://|//\w+\.\w+|@import", without)
    policy = page.attributes("meta")[2]["content"]
    assert "default-src 'none'" in policy
    script = re.search(r"<script>(.*?)</script>", html, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in policy
    for tag, attributes in page.elements:
        for name in ("src", "href", "xlink:href", "data", "srcset", "action"):
            target = attributes.get(name) or "#"
            inside = target.startswith(("#", "data:")) or target in links
            assert inside or (tag == "a" and ":" not in target and not target.startswith("/"))


def test_links_lead_somewhere(report, html):
    page = Page(html)
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for attributes in page.attributes("a"):
        target = attributes["href"]
        if not target.startswith("https://"):
            assert target[1:] in ids if target.startswith("#") else (report / target).is_file()


def test_figures_and_tables_have_names_for_those_who_do_not_see_them(html):
    page = Page(html)
    pictures = page.attributes("svg")
    assert len(pictures) == 12
    assert all(picture["role"] == "img" and len(picture["aria-label"]) > 20 for picture in pictures)
    assert len(page.attributes("figcaption")) == 12
    assert all("scope" in heading for heading in page.attributes("th"))
    assert page.attributes("html") == [{"lang": "en"}]


def test_the_page_says_what_the_data_are(html):
    text = " ".join("".join(Page(html).text).split())
    assert "Geant4 simulation. These images are not the published files" in text
    assert STORE.digest in text
    assert STORE.path in text
    assert "0.7,0.1,0.2 (train, validation, test), seed 0: 700 train, 100 validation, 200 test samples" in text


def test_the_page_shows_the_settings_that_differ_and_folds_the_others_away(html):
    differing, folded = html[html.index('id="settings"') :].split("<details>", 1)
    shared, provenance = folded.split("</details>", 1)
    parts = [
        {name: re.findall("<td>(.*?)</td>", cells) for name, cells in re.findall(ROW, part)}
        for part in (differing, shared, provenance)
    ]
    assert parts[0] == {
        "seed": ["1", "2"],
        "framework": ["torch", "keras"],
        "dropout": [MISSING, "0.5"],
        "optimiser.name": [MISSING, "adam"],
    }
    assert parts[1]["batch_size"] == ["512", "512"]
    assert parts[2]["device"] == ["cpu", "cpu"]
    assert parts[2]["host"] == [socket.gethostname()] * 2
    packages = parts[2]["packages"]
    torch, keras = (bool(importlib.util.find_spec(name)) for name in ("torch", "keras"))
    assert [("torch" in text, "keras" in text) for text in packages] == [(torch, False), (False, keras)]


def test_a_store_that_is_gone_is_said_so(html):
    assert (
        "The store cannot be read, so its images and the metrics by sample property are missing (data/gone.zarr" in html
    )


def test_names_are_text_and_never_markup(make_run, tmp_path):
    name = "<script>alert(1)<!-- &amp; $x_1$"
    write_report([make_run(name)], tmp_path / "report")
    html = (tmp_path / "report" / "index.html").read_text()
    page = Page(html)
    assert len(page.attributes("script")) == 1
    assert html.count("<script>") == 1
    assert f"Scores of {name}" in "".join(page.text)


def test_data_that_are_not_simulated_carry_no_such_notice(make_run, undrawn, tmp_path):
    write_report([make_run("real", store=replace(STORE, simulated=""))], tmp_path / "report")
    html = (tmp_path / "report" / "index.html").read_text()
    assert "Geant4" not in html
    assert "are not the published files" not in html


def test_runs_on_different_stores_are_warned_about(make_run, undrawn, tmp_path):
    paths = [make_run("a"), make_run("b", store=replace(STORE, digest="77" * 32, simulated=""))]
    write_report(paths, tmp_path / "report")
    text = " ".join("".join(Page((tmp_path / "report" / "index.html").read_text()).text).split())
    assert "b cannot be compared with a: their stores differ" in text
    assert "Geant4 simulation (a)." in text
    assert "No two of the runs were evaluated on the same samples of the same store." in text


def test_images_and_properties_of_samples_are_shown_if_the_store_can_be_read(store_report):
    html = (store_report / "index.html").read_text()
    drawn = {path.name for path in (store_report / "figures").glob("store-1-*-*.svg")}
    assert drawn == {
        f"store-1-{channel}-{what}.svg"
        for channel in ("energy", "time")
        for what in ("photon", "electron", "asymmetry")
    } | {"store-1-by-total_energy.svg", "store-1-by-hits.svg"}
    assert "data:image/png;base64," in html
    assert "cannot be read" not in html
    pictures = Page(html).attributes("svg")
    assert len(pictures) == 12 + 2 + 6 + 6  # runs and their mean, AUC by sample property, store, single images
    assert "| sum of energy | " in (store_report / "model-card-1.md").read_text()
    document = json.loads((store_report / "metrics.json").read_text())
    jsonschema.validate(document, json_schema(MetricsDocument))
    labels = [picture["aria-label"] for picture in pictures]
    for run in document["runs"]:
        for kind, meaning in gallery.KINDS.items():
            (label,) = [label for label in labels if f"{run['name']} is {meaning}" in label]
            for sample in run["gallery"][kind]:
                assert f"{sample['score']:.4f}" in label


def test_published_results_are_marked_by_what_they_have_in_common(make_run, undrawn, tmp_path):
    write_report([make_run("a"), make_run("b", store=PUBLISHED)], tmp_path / "report")
    html = (tmp_path / "report" / "index.html").read_text()
    assert html.count('<td class="number">0.8104</td><td>other data</td>') == 1
    assert html.count('<td class="number">0.8104</td><td>yes</td>') == 1
    assert html.count('<td class="number">0.8044</td><td>other split</td>') == 1
    published = html[html.index('id="published"') :]
    assert published.index("<details><summary>") < published.index("<details open><summary>")


def test_a_store_with_other_data_is_not_shown(make_run, real_store, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr("evaluate.processes.count_processors", lambda: 1)
    monkeypatch.setattr("evaluate.report._write_figure", lambda drawing, *_: drawn.append(drawing.name) or "")
    write_report([make_run("a", store=replace(STORE, path=str(real_store)))], tmp_path / "report")
    html = (tmp_path / "report" / "index.html").read_text()
    assert "now holds other data" in html
    assert "roc" in drawn
    assert not any(name.startswith("store-") for name in drawn)


def test_the_same_runs_give_the_same_bytes(report, tmp_path):
    write_report([report.parent / name for name in ("cnn-torch", "cnn-keras")], tmp_path / "again")
    for file in report.rglob("*.*"):
        assert file.read_bytes() == (tmp_path / "again" / file.relative_to(report)).read_bytes()


def test_a_broken_run_leaves_no_report(make_run, tmp_path):
    path = make_run("a")
    (path / "history.jsonl").unlink()
    with pytest.raises(RunError, match=r"history\.jsonl"):
        write_report([path], tmp_path / "report")
    assert [child.name for child in tmp_path.iterdir()] == ["runs"]


def test_a_run_directory_is_no_place_for_a_report(make_run):
    path = make_run("a")
    with pytest.raises(ConfigError, match="does not belong to a report"):
        write_report([path], path)
    assert (path / "config.json").is_file()


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.81043, 0.0014, "0.8104 ± 0.0014"),
        (0.78, 0.013, "0.780 ± 0.013"),
        (-0.0003, 0.002, "-0.0003 ± 0.0020"),
        (0.5, 0, "0.5000 ± 0.0000"),
        (0.81043, 0.00994, "0.810 ± 0.010"),
        (0.81043, 0.00949, "0.810 ± 0.009"),
        (0.81043, 0.00354, "0.8104 ± 0.0035"),
        (0.81043, 0.00356, "0.810 ± 0.004"),
        (0.5, 0.3, "0.50 ± 0.30"),
        (250, 40, "250 ± 40"),
    ],
)
def test_numbers_are_rounded_by_the_rule_of_the_particle_data_group(value, error, text):
    assert plus_minus(Measurement(value=value, standard_error=error, interval=(value, value))) == text


def test_the_page_of_a_store_is_linked_if_there_is_one(make_run, tmp_path):
    (run,) = load_runs([make_run("a", store=replace(STORE, path=str(tmp_path / "data" / "a & b.zarr")))])
    (store,) = find_stores([run])
    assert store.page_link(tmp_path / "report") == ""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a & b.html").write_text(f'<meta name="generator" content="{GENERATOR}">')
    assert store.page_link(tmp_path / "report") == "../data/a%20%26%20b.html"
