"""One self-contained page about any number of runs, with its numbers as JSON and its figures as files."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from markupsafe import Markup

import store
from evaluate import report_folder, series, style
from evaluate.card import write_card
from evaluate.document import MetricsDocument, to_json
from evaluate.drawing import Drawing, with_distinct_names
from evaluate.ensemble import find_ensembles
from evaluate.figures import draw_runs
from evaluate.page import name_simulations, render
from evaluate.processes import as_completed
from evaluate.report_tables import make_tables
from evaluate.runs import Run, list_classes, load_runs
from evaluate.steps import Steps, ignore
from evaluate.store_figures import draw_gallery, draw_showers, draw_slices
from evaluate.stores import ReportStore, find_stores
from evaluate.summary import summarise
from evaluate.tables import Table
from store.errors import ConfigError


def write_report(paths: Sequence[Path], output: Path, show: Steps = ignore) -> MetricsDocument:
    """Write a page about runs into a folder, with ``metrics.json``, model cards, ``figures/`` and ``tables/``.

    The mean of networks that were trained alike is one more row, see `evaluate.ensemble.find_ensembles`. The folder
    appears once everything is written, and replaces an older report.

    Parameters
    ----------
    paths
        Run directories.
    output
        The report's folder.
    show
        Called with what comes next, and of figures with the number of those that are drawn and of all of them.

    Returns
    -------
    MetricsDocument
        What ``metrics.json`` holds.

    Raises
    ------
    RunError
        If a run directory cannot be used.
    ConfigError
        If no run is given or a run is given twice, the runs have different classes and one has more than two, or the
        folder holds something other than a report.
    """
    with report_folder.replacing_folder(output) as page:
        show("reading runs")
        runs = load_runs(paths)
        _check_classes(runs)
        show("reading stores")
        stores = find_stores(runs)
        show("measuring")
        ensembles, warnings = find_ensembles(runs)
        document = summarise(stores, runs, ensembles, warnings)
        show("preparing figures")
        drawings = draw_runs(runs, document, ensembles)
        origins = [" and ".join(name_simulations(runs))] * len(drawings)
        for report_store in stores:
            of_store = draw_slices([*runs, *ensembles], document, report_store)
            if not report_store.note:
                of_store += _draw_store(runs, document, report_store)
            drawings += of_store
            origins += [report_store.identity.simulated] * len(of_store)
        drawings = with_distinct_names(drawings)
        names = series.name(runs[0].spec.classes, [classifier.name for classifier in document.classifiers])
        (page / "figures").mkdir()

        def write_figure(drawing_and_origin: tuple[Drawing, str]) -> Markup:
            drawing, origin = drawing_and_origin
            return _write_figure(drawing, page / "figures", origin, names)

        show("drawing figures", 0, len(drawings))
        pictures = {}
        for position, picture in as_completed(write_figure, list(zip(drawings, origins, strict=True))):
            pictures[drawings[position].name] = picture
            show("drawing figures", len(pictures), len(drawings))
        show("writing the page")
        tables = make_tables(document)
        _write_tables(tables, page / "tables")
        html = render(
            runs=runs,
            document=document,
            tables=tables,
            stores=stores,
            pages={report_store.number: report_store.page_link(output) for report_store in stores},
            drawings=drawings,
            pictures=pictures,
        )
        (page / "index.html").write_text(html, encoding="utf-8")
        for number, results in enumerate(document.runs, start=1):
            (page / f"model-card-{number}.md").write_text(write_card(document, results), encoding="utf-8")
        files = sorted([*report_folder.files_in(page), report_folder.METRICS])
        document = msgspec.structs.replace(document, files=files)
        (page / report_folder.METRICS).write_bytes(to_json(document))
    return document


def _check_classes(runs: Sequence[Run]) -> None:
    """Raise ConfigError unless all runs have two classes, or all have the same ones."""
    first = runs[0]
    for run in runs[1:]:
        classes = first.spec.classes, run.spec.classes
        if classes[0] != classes[1] and max(map(len, classes)) > 2:
            raise ConfigError(
                f"{first.path} has {list_classes(classes[0])}, and {run.path} has {list_classes(classes[1])}: only "
                "runs of the same classes can be in one report; write one report for each, with --output"
            )


def _draw_store(runs: Sequence[Run], document: MetricsDocument, report_store: ReportStore) -> list[Drawing]:
    """Return the figures that need the images or the statistics of a store."""
    drawings = draw_showers(store.open_statistics(report_store.path), report_store.runs[0].spec, report_store.number)
    for number, (run, results) in enumerate(zip(runs, document.runs, strict=True), start=1):
        if run in report_store.runs:
            drawings += draw_gallery(run, results, number, report_store)
    return drawings


def _write_tables(sections: Mapping[str, Sequence[Table]], folder: Path) -> None:
    """Write each table as CSV and as LaTeX."""
    folder.mkdir()
    for table in (table for tables in sections.values() for table in tables):
        (folder / f"{table.name}.csv").write_text(table.to_csv(), encoding="utf-8")
        (folder / f"{table.name}.tex").write_text(table.to_latex(), encoding="utf-8")


def _write_figure(drawing: Drawing, folder: Path, origin: str, names: Mapping[str, str]) -> Markup:
    """Write the files of a drawing and return its SVG element, in which matplotlib has escaped all text."""
    svg = style.save(drawing.figure, folder / drawing.name, origin)[0]
    inline = style.inline_svg(svg.read_text(encoding="utf-8"), drawing.name, drawing.alt)
    return Markup(series.interactive(inline, drawing.figure, names))
