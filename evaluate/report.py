"""One self-contained page about any number of runs, with its numbers as JSON and its figures as files."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

import store
from evaluate import report_folder, style
from evaluate.card import write_card
from evaluate.curves import class_names
from evaluate.figures import Drawing, draw_gallery, draw_runs, draw_showers, draw_slices
from evaluate.formatting import plus_minus
from evaluate.measure import SIGNAL_EFFICIENCIES, Document
from evaluate.runs import Run, load_runs
from evaluate.stores import SeenStore, find_stores
from evaluate.summary import summarise


def write_report(paths: Sequence[Path], output: Path) -> Document:
    """Write a page, ``metrics.json``, model cards and ``figures/`` about runs into a folder; return the metrics.

    The folder appears when all is written, and replaces an older report.

    Parameters
    ----------
    paths
        Run directories.
    output
        The report's folder.

    Raises
    ------
    RunError
        If a run directory cannot be used.
    ConfigError
        If no run or the same run twice is given, or the folder holds something else than a report.
    """
    with report_folder.replacing(output) as page:
        runs = load_runs(paths)
        stores = find_stores(runs)
        document = summarise(stores, runs)
        drawings = draw_runs(runs, document)
        origins = dict.fromkeys((drawing.name for drawing in drawings), " and ".join(_simulated(runs)))
        for seen in stores:
            drawn = draw_slices(runs, document, seen)
            if not seen.note:
                drawn += _draw_store(runs, document, seen)
            drawings += drawn
            origins |= dict.fromkeys((drawing.name for drawing in drawn), seen.identity["simulated"])
        (page / "figures").mkdir()
        pictures = {
            drawing.name: _write_figure(drawing, page / "figures", origins[drawing.name]) for drawing in drawings
        }
        html = _render(runs=runs, document=document, stores=stores, drawings=drawings, pictures=pictures)
        (page / "index.html").write_text(html, encoding="utf-8")
        for place, run in enumerate(document["runs"], start=1):
            (page / f"model-card-{place}.md").write_text(write_card(document, run), encoding="utf-8")
        document["files"] = sorted([*report_folder.files_in(page), report_folder.METRICS])
        (page / report_folder.METRICS).write_text(
            json.dumps(document, indent=2, allow_nan=False) + "\n", encoding="utf-8"
        )
    return document


def _draw_store(runs: Sequence[Run], document: Document, seen: SeenStore) -> list[Drawing]:
    """Return the figures that need the images or statistics of a store."""
    drawings = draw_showers(store.open_statistics(seen.path), seen.runs[0].spec, seen.place)
    for place, (run, numbers) in enumerate(zip(runs, document["runs"], strict=True), start=1):
        if run in seen.runs:
            drawings += draw_gallery(run, numbers, place, seen)
    return drawings


def _write_figure(drawing: Drawing, place: Path, origin: str) -> Markup:
    """Write a drawing's files and return its SVG element; matplotlib has escaped the texts in it."""
    svg = style.save(drawing.figure, place / drawing.name, origin)[0]
    return Markup(style.inline_svg(svg.read_text(encoding="utf-8"), drawing.name, drawing.alt))


def _render(*, runs: Sequence[Run], document: Document, **parts: Any) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["plus_minus"] = plus_minus
    background, signal = class_names(runs)
    return environment.get_template("report.html.jinja").render(
        background=background,
        document=document,
        efficiencies={str(efficiency): f"at {100 * efficiency:g}\u00a0%" for efficiency in SIGNAL_EFFICIENCIES},
        environments=_settings(run.environment for run in runs),
        run_colours=[place % len(style.RUN_COLOURS) for place in range(len(runs))],
        settings=_settings(run.config for run in runs),
        signal=signal,
        simulated=_simulated(runs),
        theme=style.THEME,
        **parts,
    )


def _simulated(runs: Sequence[Run]) -> dict[str, list[str]]:
    """Return how the data of runs were simulated, with the names of the runs; runs on real data are left out."""
    names: dict[str, list[str]] = {}
    for run in runs:
        if run.store["simulated"]:
            names.setdefault(run.store["simulated"], []).append(run.name)
    return names


def _settings(settings: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return one row for each setting, nested ones by their dotted name, with a value for each run."""
    columns = [dict(_flat(values)) for values in settings]
    names = dict.fromkeys(name for column in columns for name in column)
    return {name: [column.get(name, "") for column in columns] for name in names}


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    for name, value in values.items():
        if prefix + name == "store" and isinstance(value, Mapping):
            continue  # shown on its own
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value if isinstance(value, str) else json.dumps(value)
