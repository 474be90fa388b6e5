"""A report whose inputs are hostile: every text that a store or a run can bring tries to become something else."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from matplotlib.figure import Figure
from msgspec.structs import replace

from evaluate.report import write_report
from store.digests import write_digests
from store.opening import open_store
from store.run_folder import RunFolder
from store.writer import consolidate
from tests.evaluate.conftest import identify, write_run

PLAIN = "plain text {n}"
RUN = """document.documentElement.dataset.ran = '{n}'"""
PAYLOADS = {
    "markup": "'\"/></title></style></script></text></svg></table>]]>-->"
    f'<script>{RUN}</script><img src=x onerror="{RUN}"><svg onload="{RUN}"></svg>'
    f'<iframe srcdoc="<script>{RUN}</script>"></iframe>'
    '<link rel=stylesheet href="http://127.0.0.1:9/{n}"><base href="http://127.0.0.1:9/"><a href="javascript:{n}">'
    f'" onmouseover="{RUN}" style="background: url(http://127.0.0.1:9/{{n}})',
    "markdown": "{n}\n\n# heading\n```\n</pre><script>{n}</script>\n![image](http://127.0.0.1:9/{n}) "
    "[link](javascript:{n}) <http://127.0.0.1:9> | cell | `code` **bold** &lt;b&gt; &#x3c;i&#x3e; <b onclick={n}>",
    "characters": "{n} \x00\x07\x1b[2J\x1b]0;title\x07\x9b31m\r\n\t\u2028\u202eesrever\u202c\u200b\ufeff\ud800\uffff",
    "long": '{n} id="{n}" href="#{n}" font-family: x viewBox="0 0 1 1" url(#{n}) : #1b1e24 <style> <metadata> $x_1$'
    + "<b>x" * 2500,
}
"""Texts by what they try; ``{{n}}`` stands for the number of the place."""
SHORT = """{n} '"></text><img src=x onerror=alert()>`|<b>&lt;"""
"""At most 60 characters, for names of channels and classes."""
KEPT = {"dataset", "content_digest", "sha256", "format", "path", "digest", "framework", "coordinates", "_FillValue"}
"""Keys whose text is no free text: with another one, a store or a run is refused."""


class Places:
    """Gives each place a text of its own.

    Parameters
    ----------
    payload
        A text with ``{n}`` where the number of the place goes.
    """

    def __init__(self, payload: str) -> None:
        self.payload = payload
        self.places: list[str] = []

    def text(self, place: str) -> str:
        """Return the text for a place."""
        self.places.append(place)
        return self.payload.replace("{n}", f"place-{len(self.places)}")

    def file_name(self, place: str) -> str:
        """Return the text for a place that is the name of a file or folder."""
        text = self.text(place).replace("/", "").replace("\x00", "").replace("\ud800", "\udcff")
        return text.encode(errors="surrogateescape")[:200].decode(errors="surrogateescape")

    def replace(self, tree: Any, place: str) -> Any:
        """Return a tree of JSON values with every free text replaced, and a further key in every dictionary."""
        if isinstance(tree, str):
            return self.text(place)
        if isinstance(tree, list):
            return [self.replace(value, f"{place}[{number}]") for number, value in enumerate(tree)]
        if not isinstance(tree, dict):
            return tree
        return {
            key: value
            if key in KEPT and isinstance(value, str)
            else self.replace_description(value, f"{place}.{key}")
            if key == "description"
            else self.replace(value, f"{place}.{key}")
            for key, value in tree.items()
        }

    def replace_description(self, tree: dict[str, Any], place: str) -> dict[str, Any]:
        """Return the description of a data set with texts that fulfil the rules of `store.descriptions`."""
        image, label = tree["image"], tree["label"]
        channels = [
            {
                key: self.printable_text(f"{place} {key} of a channel", 60 if key == "name" else 300)
                if isinstance(value, str)
                else value
                for key, value in channel.items()
            }
            for channel in image["channels"]
        ]
        classes = [self.printable_text(f"{place} class", 60) for _ in label["classes"]]
        title = self.printable_text(f"{place} title", 300)
        return {
            **tree,
            "title": title,
            "image": {**image, "channels": channels},
            "label": {**label, "classes": classes},
        }

    def printable_text(self, place: str, length: int) -> str:
        """Return the printable characters of the text for a place, or a shorter text if they exceed `length`."""
        text = "".join(filter(str.isprintable, self.text(place)))
        return text if len(text) <= length else SHORT.replace("{n}", f"place-{len(self.places)}")

    def replace_in_file(self, path: Path, *keys: str) -> None:
        """Replace every free text in a JSON file, or in the value of one of its keys."""
        tree = json.loads(path.read_text())
        part = tree
        for key in keys:
            part = part.get(key, {})
        part.update(self.replace(part, f"{path.parent.name}/{path.name}"))
        if not keys:
            part[self.text(f"a further key of {path.name}")] = self.text(f"its value in {path.name}")
        path.write_text(json.dumps(tree))


def write_hostile_store(source: Path, folder: Path, places: Places) -> Path:
    """Copy a store, with other texts in all of its attributes, and with two further columns."""
    root = folder / places.file_name("folder of the store")
    shutil.copytree(source, root)
    for path in sorted(root.rglob("zarr.json")):
        places.replace_in_file(path, "attributes")
    consolidate(root)
    write_digests(root)
    samples = open_store(root).image.shape[0]
    for number in range(2):
        column = zarr.create_array(
            root,
            name=places.file_name("name of an array"),
            shape=(samples,),
            dtype="float32",
            dimension_names=("sample",),
            attributes={key: places.text(f"{key} of an array") for key in ("long_name", "units", "comment")},
        )
        column[:] = np.random.default_rng(number).normal(size=samples)
    consolidate(root)
    return root


def write_hostile_report(
    source: Path, folder: Path, payload: str, write: Callable[..., Path] = write_run
) -> tuple[Path, Places]:
    """Write a report on a run whose store can be read and on one whose store is gone, both of the same name.

    Parameters
    ----------
    source
        A store of 1,000 samples.
    folder
        Where to write.
    payload
        One of `PAYLOADS`.
    write
        Writes a run on the store.

    Returns
    -------
    tuple
        The report, and the places of the texts in it.
    """
    places = Places(payload)
    root = write_hostile_store(source, folder, places)
    spec = open_store(root).spec
    identity = replace(identify(root), dataset=spec.name)
    name = places.file_name("name of a run")
    runs = []
    for number, framework in enumerate(("torch", places.text("framework"))):
        run = folder / places.file_name("folder of a run") / name
        run.parent.mkdir()
        write(run, framework, seed=number, store=identity, spec=spec)
        for path in sorted(run.glob("*.json")):
            places.replace_in_file(path)
        add_array(RunFolder(path=run).predictions("test"), places.file_name("array of predictions"))
        runs.append(run)
    lose_store(runs[1] / "environment.json", places)
    if len(spec.classes) > 2:  # a report needs the same classes in all runs
        copy_classes(*(run / "environment.json" for run in runs))
    with svg_alone():
        write_report(runs, folder / "report")
    return folder / "report", places


@contextmanager
def svg_alone() -> Iterator[None]:
    """Write no figures but SVG, which is what a page shows; the other files take most of the time."""
    write = Figure.savefig

    def save(self: Figure, path: Path, **options: Any) -> None:
        if path.suffix == ".svg":
            write(self, path, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", save)
        yield


def lose_store(path: Path, places: Places) -> None:
    """Change an ``environment.json`` such that its store cannot be found."""
    environment = json.loads(path.read_text())
    environment["store"] |= {"path": places.text("path of a store"), "digest": places.text("digest of a store")}
    environment["store"]["split_ranges"][places.text("name of a split")] = [5000, 5001]
    path.write_text(json.dumps(environment))


def copy_classes(source: Path, target: Path) -> None:
    """Give the description in an ``environment.json`` the classes of another one."""
    environment = json.loads(target.read_text())
    environment["store"]["description"]["label"] = json.loads(source.read_text())["store"]["description"]["label"]
    target.write_text(json.dumps(environment))


def add_array(path: Path, name: str) -> None:
    """Add an array of text to a file of arrays."""
    arrays = dict(np.load(path))
    arrays[name.encode(errors="replace").decode()] = np.array([name.encode(errors="replace").decode()])
    np.savez(path, **arrays)
