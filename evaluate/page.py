"""The page of a report: templates filled with runs, metrics, tables and figures."""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from evaluate import published, style
from evaluate.curves import class_names
from evaluate.document import MetricsDocument
from evaluate.drawing import Drawing
from evaluate.formatting import plus_minus
from evaluate.runs import Run
from evaluate.settings import tabulate_provenance, tabulate_settings
from evaluate.table_rows import metric_places
from evaluate.tables import Table
from evaluate.verdict import describe
from store.errors import printable
from store.pages.templates import page_templates, script_hash

TEMPLATES = Path(__file__).parent
SCRIPTS = ("report.js", "figures.js")
SECTIONS = {
    "separation": "Separation",
    "training": "Training",
    "scores": "Scores",
    "splits": "All splits",
    "slices": "By sample property",
    "seeds": "Seeds",
    "comparison": "Comparison",
    "occlusion": "Where the models look",
    "gallery": "Single images",
    "published": "Published results",
    "data": "Data",
    "settings": "Settings",
    "definitions": "Definitions",
}
"""Names of the sections in the table of contents, by id."""
ALWAYS = {"separation", "training", "scores", "splits", "data", "settings", "definitions"}


def render(
    *,
    runs: Sequence[Run],
    document: MetricsDocument,
    tables: Mapping[str, Sequence[Table]],
    drawings: Sequence[Drawing],
    **parts: Any,
) -> str:
    """Return the page.

    Parameters
    ----------
    runs, document, drawings
        The runs, their metrics and their figures.
    tables
        What `evaluate.report_tables.make_tables` returns.
    parts
        ``stores``; ``pages``: links to their pages by number, empty without one; ``pictures``: SVG elements by the name
        of the figure.
    """
    classes = runs[0].spec.classes
    background, signal = class_names(runs) if len(classes) == 2 else ("", "")
    script = "".join((TEMPLATES / name).read_text(encoding="utf-8") for name in SCRIPTS)
    drawn = {drawing.section for drawing in drawings}
    filled = ALWAYS | (drawn & SECTIONS.keys()) | {"seeds" for _ in document.seeds}
    filled |= {"comparison" for _ in runs[1:]} | {"published" for rows in document.published.values() if rows}
    differing, shared = tabulate_settings(document.runs)
    return (
        _environment()
        .get_template("report.html.jinja" if len(classes) == 2 else "classes.html.jinja")
        .render(
            background=background,
            citations=published.CITATIONS,
            classes=classes,
            contents={section: title for section, title in SECTIONS.items() if section in filled},
            differing=differing,
            document=document,
            drawings=drawings,
            places=metric_places(document, "auc"),
            provenance=tabulate_provenance(document.runs),
            run_colours=[index % len(style.RUN_COLOURS) for index in range(len(document.classifiers))],
            script=Markup(script),
            script_hash=script_hash(script),
            shared=shared,
            signal=signal,
            simulated=name_simulations(runs),
            tables=tables,
            theme=style.page_theme(len(classes)),
            verdict=describe(document),
            **parts,
        )
    )


@functools.cache
def _environment() -> jinja2.Environment:
    environment = page_templates(TEMPLATES)
    environment.filters |= {"plus_minus": plus_minus, "unbroken": _unbroken}
    return environment


def _unbroken(text: str) -> Markup:
    """Return a text whose percent signs stay on the line of their numbers."""
    return escape(printable(text)).replace(" %", Markup("&nbsp;%"))


def name_simulations(runs: Sequence[Run]) -> dict[str, list[str]]:
    """Return what simulated the data of runs, with the names of the runs; runs on real data are left out."""
    names: dict[str, list[str]] = {}
    for run in runs:
        if run.store.simulated:
            names.setdefault(run.store.simulated, []).append(run.name)
    return names
