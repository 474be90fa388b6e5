"""Downloading the real files: interrupted downloads are resumed, and files are checked before they are used."""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import requests
import rich.progress

from store.console import console
from store.datasets import find_dataset
from store.errors import ConfigError, SourceError
from store.files import sha256, write_whole
from store.sources import open_source

TIMEOUT = (10.0, 30.0)  # seconds to wait for the connection, and for the next byte
ATTEMPTS = 5  # in a row without progress before giving up
PAUSE = 1.0  # seconds after the first attempt without progress, doubled after each further one
PIECE = 1 << 20
SHARE = "https://cernbox.cern.ch/remote.php/dav/public-files"


@dataclass(frozen=True, kw_only=True)
class Download:
    """A public file and its address."""

    name: str
    url: str

    @classmethod
    def shared(cls, token: str, name: str) -> "Download":
        """Return the file of a public CERNBox share, which is identified by its token."""
        return cls(name=name, url=f"{SHARE}/{token}/{name}")


DOWNLOADS = {
    "electron-photon": (
        Download.shared("FbXw3V4XNyYB3oA", "SingleElectronPt50_IMGCROPS_n249k_RHv1.hdf5"),
        Download.shared("AtBT8y4MiQYFcgc", "SinglePhotonPt50_IMGCROPS_n249k_RHv1.hdf5"),
    ),
    "quark-gluon": tuple(
        Download.shared("hqz8zE7oxyPjvsL", f"QCDToGGQQ_IMGjet_RH1all_jet0_run{run}_n{rows}.test.snappy.parquet")
        for run, rows in enumerate((36272, 47540, 55494))
    ),
}


def fetch_dataset(dataset: str, folder: Path, downloads: Sequence[Download] | None = None) -> list[Path]:
    """Download the files of a data set, except those that were downloaded before.

    A file is called ``NAME.partial`` until its size is right and it opens as a source of the data set. Its sha256 is
    recorded in ``SHA256SUMS`` beside it, and compared with the record in later calls. (No checksums are published.)

    Parameters
    ----------
    dataset
        Name of the data set.
    folder
        Folder for the files.
    downloads
        What to download; by default the public files of the data set.

    Returns
    -------
    list of pathlib.Path
        The files.

    Raises
    ------
    ConfigError
        If there is no such data set, or it has no known public files.
    SourceError
        If a download makes no progress, is not a source of the data set, or differs from the recorded sha256.
    """
    spec = find_dataset(dataset)
    if downloads is None and dataset not in DOWNLOADS:
        raise ConfigError(f"no public files of dataset {dataset!r} are known, only of {', '.join(DOWNLOADS)}")
    folder.mkdir(parents=True, exist_ok=True)
    sums = folder / "SHA256SUMS"
    recorded = {}
    if sums.exists():
        recorded = {name: digest for digest, name in (line.split(None, 1) for line in sums.read_text().splitlines())}
    paths = []
    for download in DOWNLOADS[dataset] if downloads is None else downloads:
        path = folder / download.name
        if not path.exists():
            partial = _receive(download, folder)
            try:
                open_source(partial, spec)
            except SourceError as error:
                partial.unlink()
                raise SourceError(
                    f"{download.url}: the downloaded file is not a source of {dataset}: {error}"
                ) from None
            _compare(recorded, download.name, partial)
            partial.replace(path)
        else:
            _compare(recorded, download.name, path)
        write_whole(sums, "".join(f"{digest}  {name}\n" for name, digest in sorted(recorded.items())).encode())
        paths.append(path)
    return paths


def _compare(recorded: dict[str, str], name: str, path: Path) -> None:
    """Record the sha256 of a file, or compare it with the recorded one."""
    digest = sha256(path)
    if recorded.setdefault(name, digest) != digest:
        raise SourceError(f"{path}: sha256 {digest} differs from the recorded {recorded[name]}")


def _receive(download: Download, folder: Path) -> Path:
    """Download a file as ``NAME.partial``, resuming one that exists, and return its path once it is complete."""
    partial = folder / f"{download.name}.partial"
    tag = folder / f"{download.name}.etag"
    idle = 0
    with rich.progress.Progress(
        *rich.progress.Progress.get_default_columns(), rich.progress.DownloadColumn(), console=console
    ) as bar:
        task = bar.add_task(download.name, total=None)
        while True:
            before = partial.stat().st_size if partial.exists() else 0
            try:
                total = _continue(download.url, partial, tag, bar, task)
                if partial.stat().st_size == total:
                    tag.unlink(missing_ok=True)
                    return partial
                reason = f"the connection ended at {partial.stat().st_size} of {total} bytes"
            except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
                reason = str(error)
            after = partial.stat().st_size if partial.exists() else 0
            idle = 0 if after > before else idle + 1
            if idle == ATTEMPTS:
                raise SourceError(
                    f"{download.url}: no progress in {ATTEMPTS} attempts ({reason}); run this again to resume"
                )
            if idle:
                time.sleep(PAUSE * 2 ** (idle - 1))


def _continue(url: str, partial: Path, tag: Path, bar: rich.progress.Progress, task: rich.progress.TaskID) -> int:
    """Request the rest of a file, append what arrives, and return the size that the whole file should have."""
    have = partial.stat().st_size if partial.exists() else 0
    headers = {"Accept-Encoding": "identity"}
    if have and tag.exists():
        headers |= {"Range": f"bytes={have}-", "If-Range": tag.read_text()}
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        content_range = response.headers.get("Content-Range", "")
        span = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", content_range)
        if response.status_code == requests.codes.partial and span and int(span[1]) == have:
            total, mode = int(span[2]), "ab"
        elif response.status_code == requests.codes.ok:
            length = response.headers.get("Content-Length")
            if response.headers.get("Content-Type", "").startswith("text/html") or length is None:
                raise SourceError(f"{url}: the server sent a web page, or a file of unknown size, instead of the file")
            total, mode, have = int(length), "wb", 0
        elif content_range == f"bytes */{have}":  # the file was complete already
            return have
        else:
            raise SourceError(f"{url}: the server answered {response.status_code} {response.reason}")
        if etag := response.headers.get("ETag") or response.headers.get("Last-Modified"):
            tag.write_text(etag)
        bar.update(task, total=total, completed=have)
        with partial.open(mode) as file:
            for piece in response.iter_content(PIECE):
                file.write(piece)
                bar.advance(task, len(piece))
    return total
