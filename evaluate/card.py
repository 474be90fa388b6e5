"""A model card in Markdown: what a model is for, what it was trained on, how good it is and how to use it.

After Mitchell et al., "Model cards for model reporting", FAT* 2019.
"""

import functools
import json
import re
import shlex

import jinja2
from markupsafe import Markup

from evaluate.document import METRICS_SCHEMA, MetricsDocument
from evaluate.formatting import edge, interval, plus_minus
from evaluate.results import RunResults
from evaluate.table_rows import class_places, gap_places, metric_places, rejection_places
from evaluate.tables import common_decimals
from store.errors import printable
from store.run_folder import SCORERS

ROWS = {
    "auc": "ROC AUC",
    "accuracy": "accuracy",
    "accuracy_at_best_threshold": "accuracy at best threshold",
    "precision": "precision",
    "recall": "recall",
    "log_loss": "log loss",
    "brier_score": "Brier score",
}
CLASSES_ROWS = {
    "auc": "mean ROC AUC",
    "accuracy": "accuracy",
    "top_2_accuracy": "top-2 accuracy",
    "log_loss": "log loss",
    "brier_score": "Brier score",
}
MOST_NAMED = 5  # classes of which a heading can name all


def escape_markdown(value: object) -> object:
    """Return a text on one line with what Markdown takes for HTML, links, code and cells escaped; else the value."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return re.sub(r"([\\`<>\[\]|&*])", r"\\\1", printable(" ".join(value.split())))


def inline_code(text: str) -> Markup:
    """Return a text as inline code, or as escaped text where it has a character that could end the code or a cell."""
    text = printable(" ".join(text.split()))
    return Markup(escape_markdown(text) if re.search(r"[\\`|]", text) else f"`{text}`")


@functools.cache  # a template is compiled once
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("evaluate", ""),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=escape_markdown,
    )
    environment.filters |= {
        "plus_minus": plus_minus,
        "interval": interval,
        "edge": edge,
        "common_decimals": common_decimals,
        "code": inline_code,
        "shell": lambda text: Markup(printable(" ".join(shlex.quote(text).split()))),
        "python": lambda text: Markup(printable(json.dumps(text, ensure_ascii=False))),
        "thousands": lambda number: f"{number:,}",
    }
    return environment


def write_card(document: MetricsDocument, run: RunResults) -> str:
    """Return the model card of one of the runs of a report."""
    rows = CLASSES_ROWS if run.classes else ROWS
    classes = run.classes or [str(run.signal), str(run.background)]
    return (
        _environment()
        .get_template("card.md.jinja")
        .render(
            class_places={name: class_places(document, name) for name in ("auc", "recall", "precision")},
            document=document,
            gap_places={name: gap_places(document, name) for name in rows},
            gaps={name: getattr(run.generalisation_gap, name, None) for name in rows},
            heading=" / ".join(classes) if len(classes) <= MOST_NAMED else f"{len(classes)} classes",
            places={name: metric_places(document, name) for name in rows},
            rejection_places={
                efficiency: rejection_places(document, efficiency)
                for efficiency in run.splits.test.background_rejection or ()
            },
            rows=rows,
            run=run,
            schema=METRICS_SCHEMA,
            scorers=SCORERS,
            settings={
                name: value if isinstance(value, str) else json.dumps(value) for name, value in run.config.items()
            },
            splits=dict(run.splits.items()),
            variables=run.config.get("variables", []),
            warnings=[warning for warning in document.warnings if warning.startswith(f"{run.name}:")],
        )
    )
