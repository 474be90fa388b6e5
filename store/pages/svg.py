"""Figures as SVG elements of a page, and texts as identifiers in it."""

import hashlib
import html
import io
import re

from matplotlib.figure import Figure

from store.errors import printable
from store.pages.style import THEME, lay_out, styled

LONGEST_IDENTIFIER = 80
"""Characters of an identifier, which is a part of the name of a file."""


def as_identifier(text: str) -> str:
    """Return text as part of a file name or of an id in a page; different texts stay different.

    Characters other than ASCII letters, digits, ``_`` and ``-`` become their code points. Of a long text only the
    beginning is kept, followed by a digest.
    """
    identifier = re.sub(r"[^A-Za-z0-9_-]", lambda match: f".{ord(match[0]):x}.", text)
    if len(identifier) <= LONGEST_IDENTIFIER:
        return identifier
    return identifier[:LONGEST_IDENTIFIER] + hashlib.sha256(identifier.encode()).hexdigest()[:16]


@styled
def figure_svg(figure: Figure, name: str, alt: str) -> str:
    """Return a figure as an SVG element of a page; see `inline_svg`."""
    svg = io.StringIO()
    lay_out(figure)
    figure.savefig(svg, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    return inline_svg(svg.getvalue(), name, alt)


def inline_svg(svg: str, name: str, alt: str) -> str:
    """Return a figure as an SVG element that takes colours and font from the page around it.

    Parameters
    ----------
    svg
        The file that `save` wrote.
    name
        Unique in the page, as `as_identifier` returns it; every id in the element begins with it.
    alt
        Text for screen readers.
    """
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<style.*?</style>|<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    view = re.search(r'viewBox="[^"]*"', svg)
    root = f'<svg role="img" aria-label="{html.escape(printable(alt))}" {view and view[0]}>'
    # Only tags are changed: a text may look like an attribute, but every < and > in it is escaped.
    return root + re.sub(r"<[^>]*>", lambda tag: _adapt_tag(tag[0], name), svg[svg.index(">") + 1 :])


def _adapt_tag(tag: str, name: str) -> str:
    """Return a tag of an SVG file with colours of the page, without a font, and with ids that begin with `name`."""
    tag = re.sub(r"font-family: [^;\"]*;? ?", "", tag)
    tag = re.sub(r'( id="|url\(#|href="#)', rf"\1{name}-", tag)
    for variable, (colour, _) in THEME.items():
        tag = tag.replace(f": {colour}", f": var(--{variable})")
    return tag
