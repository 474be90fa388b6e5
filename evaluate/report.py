"""One self-contained page about any number of runs, with its numbers as JSON and its figures as files."""

import base64
import functools
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import msgspec
from markupsafe import Markup

import store
from evaluate import report_folder, series, style
from evaluate.card import write_card
from evaluate.curves import class_names
from evaluate.document import MetricsDocument, to_json
from evaluate.drawing import Drawing, with_distinct_names
from evaluate.ensemble import find_ensembles
from evaluate.figures import draw_runs
from evaluate.formatting import edge, plus_minus, with_error
from evaluate.measure import SIGNAL_EFFICIENCIES
from evaluate.runs import Run, list_classes, load_runs
from evaluate.steps import Steps, ignore
from evaluate.store_figures import draw_gallery, draw_showers, draw_slices
from evaluate.stores import ReportStore, find_stores
from evaluate.summary import summarise
from store.errors import ConfigError, printable

TEMPLATES = Path(__file__).parent
SCRIPTS = ("report.js", "figures.js")
LONGEST_CLASS = 24  # characters of the name of a class in a table


def write_report(paths: Sequence[Path], output: Path, show: Steps = ignore) -> MetricsDocument:
    """Write a page, ``metrics.json``, model cards and ``figures/`` about runs into a folder; return the metrics.

    The mean of the networks is one more row, see `evaluate.ensemble.find_ensembles`. The folder appears once everything
    is written, and replaces an older report.

    Parameters
    ----------
    paths
        Run directories.
    output
        The report's folder.
    show
        Called with what comes next, and of figures with the number of those that are drawn and of all of them.

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
        origins = [" and ".join(_simulated(runs))] * len(drawings)
        for report_store in stores:
            of_store = draw_slices([*runs, *ensembles], document, report_store)
            if not report_store.note:
                of_store += _draw_store(runs, document, report_store)
            drawings += of_store
            origins += [report_store.identity.simulated] * len(of_store)
        drawings = with_distinct_names(drawings)
        names = series.name(runs[0].spec.classes, [classifier.name for classifier in document.classifiers])
        (page / "figures").mkdir()
        pictures = {}
        for count, (drawing, origin) in enumerate(zip(drawings, origins, strict=True)):
            show(f"drawing {drawing.name}", count, len(drawings))
            pictures[drawing.name] = _write_figure(drawing, page / "figures", origin, names)
        show("writing the page")
        html = _render(runs=runs, document=document, stores=stores, drawings=drawings, pictures=pictures)
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


def _write_figure(drawing: Drawing, folder: Path, origin: str, names: Mapping[str, str]) -> Markup:
    """Write the files of a drawing and return its SVG element, in which matplotlib has escaped all text."""
    svg = style.save(drawing.figure, folder / drawing.name, origin)[0]
    inline = style.inline_svg(svg.read_text(encoding="utf-8"), drawing.name, drawing.alt)
    return Markup(series.interactive(inline, drawing.figure, names))


@functools.cache  # a template is compiled once
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printable,
    )
    environment.filters |= {
        "edge": edge,
        "plus_minus": plus_minus,
        "short": lambda name: style.shorten(name, LONGEST_CLASS),
        "with_error": with_error,
    }
    return environment


def _render(*, runs: Sequence[Run], document: MetricsDocument, **parts: Any) -> str:
    classes = runs[0].spec.classes
    background, signal = class_names(runs) if len(classes) == 2 else ("", "")
    script = "".join((TEMPLATES / name).read_text(encoding="utf-8") for name in SCRIPTS)
    return (
        _environment()
        .get_template("report.html.jinja" if len(classes) == 2 else "classes.html.jinja")
        .render(
            background=background,
            classes=classes,
            document=document,
            efficiencies={
                str(efficiency): Markup(f"rejection at {100 * efficiency:g}&nbsp;%")
                for efficiency in SIGNAL_EFFICIENCIES
            },
            environments=_settings(run.environment for run in runs),
            run_colours=[index % len(style.RUN_COLOURS) for index in range(len(document.classifiers))],
            script=Markup(script),
            script_hash=_content_hash(script),
            settings=_settings(run.config for run in runs),
            signal=signal,
            simulated=_simulated(runs),
            theme=style.page_theme(len(classes)),
            **parts,
        )
    )


def _printable(value: object) -> object:
    """Return a text with characters that cannot be seen or encoded, or that reverse what follows, escaped."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _content_hash(script: str) -> str:
    """Return the hash by which a page's content security policy allows a script."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"


def _simulated(runs: Sequence[Run]) -> dict[str, list[str]]:
    """Return what simulated the data of runs, with the names of the runs; runs on real data are left out."""
    names: dict[str, list[str]] = {}
    for run in runs:
        if run.store.simulated:
            names.setdefault(run.store.simulated, []).append(run.name)
    return names


def _settings(settings: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return one row per setting, with nested settings by their dotted names, and in each row a value per run."""
    columns = [dict(_flatten(values)) for values in settings]
    names = dict.fromkeys(name for column in columns for name in column)
    return {name: [column.get(name, "") for column in columns] for name in names}


def _flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value if isinstance(value, str) else json.dumps(value)
