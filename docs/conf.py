"""The site: ``sphinx-build -W --keep-going docs docs/_build/html``, or the task `docs`."""

import dataclasses
import importlib
import json
import os
import sys
from pathlib import Path

import typer
from typer.cli import get_docs_for_click

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS.parent))
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import calostream as cs  # noqa: E402
from evaluate.document import DOCUMENTS, json_schema  # noqa: E402
from train.config import SETTINGS  # noqa: E402

PROGRAMS = {
    "ingest": ("ingest.cli", "app"),
    "train-torch": ("train.pytorch.cli", "app"),
    "train-keras": ("train.keras.cli", "app"),
    "train-trees": ("train.baselines.cli", "trees_app"),
    "train-logistic": ("train.baselines.cli", "logistic_app"),
    "export-onnx": ("train.pytorch.cli", "onnx_app"),
    "evaluate": ("evaluate.cli", "app"),
}

project = "calostream"
author = "calostream contributors"
copyright = author
release = version = cs.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",  # docstrings have no types, and napoleon takes them from the annotations
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "examples", "results", "benchmarks", "pictures"]

html_theme = "pydata_sphinx_theme"
html_title = "calostream"
html_theme_options = {"navigation_with_keys": False, "show_toc_level": 2, "show_nav_level": 2}
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["site.css"]

highlight_language = "text"  # of blocks that name none: commands, and what programs print
default_role = "py:obj"  # `name` in a docstring: code, and a link where the reference has the name
toc_object_entries_show_parents = "hide"

myst_heading_anchors = 3
nb_execution_mode = "off"  # the outputs are those in the file; tests run the code

autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": True}
autosummary_generate = True
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False


def write_generated_pages(app):
    """Write the pages about the programs, from their `--help`, and the JSON schemas of the documents of `evaluate`."""
    folder = DOCS / "reference" / "generated"
    folder.mkdir(exist_ok=True)
    for name, (module, attribute) in PROGRAMS.items():
        command = typer.main.get_command(getattr(importlib.import_module(module), attribute))
        write(folder / f"{name}.md", get_docs_for_click(obj=command, ctx=typer.Context(command), name=name))
    for name, document in DOCUMENTS.items():
        write(folder / f"{name}.schema.json", json.dumps(json_schema(document), indent=2))


def describe_settings(app, what, name, obj, options, lines):
    """Add the settings to the docstring of `TrainConfig`: what `--help` says, their defaults and bounds."""
    if obj is cs.TrainConfig:
        place = lines.index("Raises")
        described = [line for name, field in SETTINGS.items() for line in (name, f"    {describe(field)}")]
        lines[place:place] = ["Attributes", "----------", *described, ""]


def describe(field):
    """Return what a setting does, its default and its bounds, as one line."""
    if field.default is dataclasses.MISSING:
        return "Run directory to write; required."
    text = field.metadata["help"].replace("*", r"\*")
    low, high = field.metadata["bounds"] or (None, None)
    bounds = "" if low is None else f"; at least {low:g}" if high > 1e8 else f"; {low:g} to {high:g}"
    return f"{text} Default: ``{field.default}``{bounds}."


def write(path, text):
    """Write a file, unless it is the same already: Sphinx then need not read it again."""
    text = text.rstrip() + "\n"
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def setup(app):
    """Register what is done while the site is built."""
    app.connect("builder-inited", write_generated_pages)
    app.connect("autodoc-process-docstring", describe_settings, priority=400)  # before napoleon
