"""A figure of the report with its texts."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, replace

from matplotlib.figure import Figure

from evaluate import style


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A figure of the report.

    Attributes
    ----------
    name
        Unique name, made of characters that are allowed in file names and ids; the stem of its files.
    section
        Section of the page: ``"separation"``, ``"training"``, ``"scores"``, ``"slices"``, ``"seeds"``,
        ``"occlusion"``, ``"gallery"``, or ``"showers-1"`` for the first store and so on.
    alt
        Description for screen readers.
    caption
        How to read the figure.
    figure
        The figure itself.
    """

    name: str
    section: str
    alt: str
    caption: str
    figure: Figure

    @property
    def wide(self) -> bool:
        """Whether the figure needs the whole width of the page."""
        return bool(self.figure.get_figwidth() > 1.3 * style.WIDTH)


def with_distinct_names(drawings: Iterable[Drawing]) -> list[Drawing]:
    """Return drawings whose names differ by more than case, with numbers after names that are there already."""
    taken, renamed = set[str](), []
    for drawing in drawings:
        names = itertools.chain([drawing.name], (f"{drawing.name}-{number}" for number in itertools.count(2)))
        name = next(name for name in names if name.lower() not in taken)
        taken.add(name.lower())
        renamed.append(replace(drawing, name=name))
    return renamed
