"""A figure of the report with its texts."""

from dataclasses import dataclass

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
        Section of the page: ``"separation"``, ``"training"``, ``"scores"``, ``"slices"``, ``"occlusion"``,
        ``"gallery"``, or ``"showers-1"`` for the first store and so on.
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
