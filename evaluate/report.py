"""One self-contained page about any number of runs, with its numbers as JSON and its figures as files."""

import itertools
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

import store
from evaluate import folder, style
from evaluate.curves import class_names
from evaluate.figures import Drawing, draw_runs, draw_showers
from evaluate.runs import Run, load_runs
from evaluate.summary import SIGNAL_EFFICIENCIES, Document, summarise
from store.errors import CalostreamError, StoreError


def write_report(paths: Sequence[Path], output: Path) -> Document:
    """Write ``index.html``, ``metrics.json`` and ``figures/`` about runs into a folder, and return the metrics.

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
    with folder.replacing(output) as page:
        runs = load_runs(paths)
        document = summarise(runs)
        stores = _describe_stores(runs)
        drawings = draw_runs(runs, document)
        (page / "figures").mkdir()
        pictures = {
            drawing.name: _write_figure(drawing, page / "figures")
            for drawing in itertools.chain(drawings, *(part.showers for part in stores))
        }
        html = _render(runs=runs, document=document, stores=stores, drawings=drawings, pictures=pictures)
        (page / "index.html").write_text(html, encoding="utf-8")
        document["files"] = sorted([*folder.files_in(page), folder.METRICS])
        (page / folder.METRICS).write_text(json.dumps(document, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    return document


@dataclass(frozen=True, kw_only=True)
class StorePart:
    """What the page says about one store.

    Attributes
    ----------
    identity
        As the runs recorded it.
    runs
        Names of the runs that saw it.
    showers
        Its average showers.
    note
        Why there are none, if so.
    """

    identity: Mapping[str, Any]
    runs: Sequence[str]
    showers: Sequence[Drawing]
    note: str


def _describe_stores(runs: Sequence[Run]) -> list[StorePart]:
    """Return the stores of the runs, each digest once."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.store["digest"], []).append(run)
    parts = []
    for place, group in enumerate(groups.values(), start=1):
        showers, note = _draw_store(group[0], place)
        names = [run.name for run in group]
        parts.append(StorePart(identity=group[0].store, runs=names, showers=showers, note=note))
    return parts


def _draw_store(run: Run, place: int) -> tuple[list[Drawing], str]:
    """Return the average showers of a run's store, or none and the sentence that says why."""
    path, digest = run.store["path"], run.store["digest"]
    try:
        found = store.open_store(path).digest
        if found != digest:
            raise StoreError(f"{path} now holds other data (digest {found[:12]}) than the run saw")
        return draw_showers(store.open_statistics(path), run.description, place), ""
    except (CalostreamError, OSError) as error:
        return [], f"The average showers cannot be shown: {error}."


def _write_figure(drawing: Drawing, place: Path) -> Markup:
    """Write a drawing's files and return its SVG element; matplotlib has escaped the texts in it."""
    svg = style.save(drawing.figure, place / drawing.name)[0]
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


def plus_minus(estimate: Mapping[str, float]) -> str:
    """Return value and standard error, to two digits of the error."""
    error = estimate["standard_error"]
    digits = min(max(1 - math.floor(math.log10(error)), 2), 6) if error > 0 else 4
    return f"{estimate['value']:.{digits}f} ± {error:.{digits}f}"
