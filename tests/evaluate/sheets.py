"""What is on a sheet of images."""

from matplotlib.figure import Figure
from matplotlib.image import AxesImage


def pictures_of(figure: Figure) -> list[AxesImage]:
    """Return the images of a sheet, without its colour bars."""
    return [image for image in figure.axes[0].images if image.get_array().ndim == 2]


def texts_of(figure: Figure) -> list[str]:
    """Return the texts beside the images of a sheet."""
    return [text.get_text() for text in figure.axes[0].texts]
