"""Writes the page of a store."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xarray as xr
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from ingest.destination import find_destination
from ingest.info import describe_reader
from ingest.page.gallery import gallery
from ingest.page.pictures import MOST_CHANNELS, MOST_CLASSES, average_pictures, quantity
from ingest.page.scales import colour_maps
from ingest.page.shuffling import explain_shuffling
from ingest.page.spectra import MOST_VARIABLES, Spectrum, draw_spectra
from ingest.page.stretch import Stretch, Total
from ingest.reference import PUBLISHED, compare_published
from ingest.rows import image_rows, samples_by_class, variable_rows, weight_by_class
from store import files
from store.datasets import SPLITS
from store.errors import StoreError
from store.locations import Location, Url
from store.opening import Store, open_store, read_statistics
from store.pages.beside import GENERATOR, is_page, page_path
from store.pages.style import PANEL, page_theme
from store.pages.svg import figure_svg
from store.pages.templates import page_templates, script_hash, visible

HERE = Path(__file__).parent
MOST_ROWS = 60
"""Rows of a table; `ingest info --json` has all."""


def write_page(path: Location, output: Location | None = None, seed: int = 0) -> Path:
    """Write the page of a store, whole or not at all, and return its path.

    Parameters
    ----------
    path
        The store: a folder, or a URL.
    output
        The page, by default as `store.pages.beside.page_path` says. An older page is replaced, no other file.
    seed
        Seed of the choice of images.

    Raises
    ------
    StoreError
        If the path holds no store, or one without statistics; if the page cannot be written there.
    """
    page = check_output(output or page_path(path), path)
    store = open_store(path)
    html = render(store, read_statistics(store), seed)
    page.parent.mkdir(parents=True, exist_ok=True)
    files.write_whole(page, html.encode())
    return page


def check_output(output: Location, store: Location) -> Path:
    """Return the absolute path of a page.

    Raises
    ------
    StoreError
        If it is at a URL, in a store, in a folder that cannot be written, a folder itself, or a file other than a page.
    """
    page = output if isinstance(output, Url) else find_destination(output, [store])
    if isinstance(page, Url):
        raise StoreError(f"{output}: is a URL, and a page is written to this machine; choose another --output")
    if page.is_dir():
        raise StoreError(f"{output}: is a folder; name the page in it, as in --output {output / 'store.html'}")
    if page.exists() and not is_page(page):
        raise StoreError(f"{output}: exists and is not a page of a store; choose another --output")
    return page


def render(store: Store, statistics: xr.Dataset, seed: int) -> str:
    """Return the page of a store as HTML."""
    spec, attributes, image = store.spec, store.attributes, store.image
    stretches = [Stretch.draw(store, split, seed) for split in SPLITS if len(range(*store.split_range(split)))]
    total = Total.of(spec)
    pictures = average_pictures(statistics, spec)
    script = (HERE / "page.js").read_text(encoding="utf-8")
    batch_size, explanations = explain_shuffling(store)
    published = attributes["dataset"] in PUBLISHED
    singles = gallery(stretches, statistics, total, [source["name"] for source in attributes["sources"]])
    content = {
        "maps": colour_maps(),
        "panel": PANEL,
        "pictures": [picture.content for picture in pictures],
        "seed": spec.seed,
        "classes": spec.classes,
        "channels": [channel.name for channel in spec.channels[:MOST_CHANNELS]],
        "scale": [channel.scale for channel in spec.channels[:MOST_CHANNELS]],
        "total": {"name": total.name, "unit": "" if total.unit == "1" else total.unit},
        "variables": [[v.name, "" if v.units == "1" else v.units] for v in spec.variables],
        "gallery": singles,
    }
    return (
        page_templates(HERE)
        .get_template("page.html.jinja")
        .render(
            generator=GENERATOR,
            spec=spec,
            attributes=attributes,
            location=str(store.path),
            samples=image.shape[0],
            stored=store.stored_bytes,
            unpacked=image.nbytes,
            splits=split_rows(store),
            weighted=spec.weight_key is not None,
            reader=describe_reader(store),
            selections=list_selections(attributes),
            history=str(attributes.get("history", "")).splitlines(),
            channels=[(k, quantity(c), c.long_name, c.comment) for k, c in enumerate(spec.channels[:MOST_CHANNELS])],
            pictures=list(enumerate(pictures)),
            spectra=[_with_svg(spectrum) for spectrum in draw_spectra(stretches[0], statistics, total)],
            sampled=len(stretches[0]),
            singles=singles,
            total=total,
            image_rows=image_rows(statistics),
            variable_rows=variable_rows(statistics),
            compared=compare_published(attributes["dataset"], statistics) if published else {},
            batch_size=batch_size,
            explanations=explanations,
            seed=seed,
            most={"channels": MOST_CHANNELS, "classes": MOST_CLASSES, "variables": MOST_VARIABLES, "rows": MOST_ROWS},
            theme=page_theme(len(spec.classes)),
            content=htmlsafe_json_dumps(_visible(content)),
            script=Markup(script),
            script_hash=script_hash(script),
        )
    )


def split_rows(store: Store) -> list[dict[str, Any]]:
    """Return name, samples, samples by class and weights by class of each split."""
    return [
        {
            "name": split,
            "samples": stop - start,
            "by_class": samples_by_class(store, start, stop),
            "weights": weight_by_class(store, start, stop),
        }
        for split, (start, stop) in store.attributes["split_ranges"].items()
    ]


def list_selections(attributes: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the cuts that the samples of a store passed, the latest first."""
    selections, selection = [], attributes.get("selection")
    while isinstance(selection, dict) and "where" in selection:
        selections.append(selection)
        selection = selection.get("earlier")
    return selections


def _with_svg(spectrum: Spectrum) -> dict[str, Any]:
    return {"svg": Markup(figure_svg(spectrum.figure, spectrum.name, spectrum.alt)), "caption": spectrum.caption}


def _visible(value: Any) -> Any:
    """Return nested values with all texts as a page shows them."""
    if isinstance(value, dict):
        return {key: _visible(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_visible(item) for item in value]
    return visible(value)
