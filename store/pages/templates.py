"""The templates of pages: all text is escaped, and a page runs no script but its own."""

import base64
import functools
import hashlib
from pathlib import Path

import jinja2
from markupsafe import Markup

from store.errors import printable

SHARED = Path(__file__).parent


@functools.cache  # a template is compiled once
def page_templates(folder: Path) -> jinja2.Environment:
    """Return the templates in a folder, and those that all pages share: ``page.css.jinja``."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader([folder, SHARED]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=visible,
    )


def visible(value: object) -> object:
    """Return a text with characters that cannot be seen or encoded, or that reverse what follows, escaped."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def script_hash(script: str) -> str:
    """Return the hash by which a page's content security policy allows a script."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"
