import hashlib
import re
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingest import fetch
from ingest.chosen_sources import SAMPLES
from ingest.fetch import DOWNLOADS, Download, fetch_dataset
from store.datasets import find_dataset
from store.errors import ConfigError, SourceError
from store.sources.opening import open_source
from tests.examples import run_ingest, showers, write_hdf5
from tests.ingest.file_server import NAME, Server

JETS = Path(__file__).parent / "jets" / "quark-gluon_pythia_n20.snappy.parquet"
END = ".test.snappy.parquet"
PIECE = 4096  # bytes written at once


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Return a server of a good file of about 200 kB."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(fetch, "PIECE", PIECE)
    monkeypatch.setattr(fetch, "PAUSE", 0.01)
    server = Server(write_hdf5(tmp_path / "served.hdf5", showers(25), 0).read_bytes())
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.wake.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "raw"


def get(server, folder):
    return fetch_dataset("electron-photon", folder, [server.download])


def starts(server):
    """Return the first byte of the range that each request asked for."""
    return [0 if asked is None else int(asked.removeprefix("bytes=").removesuffix("-")) for asked in server.asked]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_downloaded_and_its_sha256_recorded(server, folder):
    assert get(server, folder) == [folder / NAME]
    assert (folder / NAME).read_bytes() == server.content
    assert (folder / "SHA256SUMS").read_text() == f"{hashlib.sha256(server.content).hexdigest()}  {NAME}\n"
    assert names(folder) == ["SHA256SUMS", NAME]
    assert server.asked == [None]


def test_a_file_that_is_there_is_not_downloaded_again(server, folder):
    get(server, folder)
    assert get(server, folder) == [folder / NAME]
    assert len(server.asked) == 1


def test_a_file_that_was_put_there_by_hand_gets_its_sha256_recorded(server, folder):
    folder.mkdir()
    (folder / NAME).write_bytes(server.content)
    get(server, folder)
    assert server.asked == []
    assert hashlib.sha256(server.content).hexdigest() in (folder / "SHA256SUMS").read_text()


def test_a_download_goes_on_where_the_connection_ended(server, folder):
    server.faults = [50_000, 30_000]
    get(server, folder)
    assert (folder / NAME).read_bytes() == server.content
    first, second, third = starts(server)
    assert first == 0
    assert 50_000 - PIECE < second <= 50_000
    assert second + 30_000 - PIECE < third <= second + 30_000


def test_a_download_goes_on_in_another_call(server, folder):
    server.faults = [50_000, *[0] * fetch.ATTEMPTS]
    with pytest.raises(SourceError, match=r"photons\.hdf5: no progress in 5 attempts .*; run this again to resume"):
        get(server, folder)
    assert not (folder / NAME).exists()
    server.asked.clear()
    get(server, folder)
    assert (folder / NAME).read_bytes() == server.content
    (start,) = starts(server)
    assert 50_000 - PIECE < start <= 50_000


def test_a_server_without_ranges_sends_the_file_again(server, folder):
    server.ranges, server.faults = False, [50_000, 120_000]
    get(server, folder)
    assert (folder / NAME).read_bytes() == server.content
    assert len(server.asked) == 3


def test_a_file_that_changed_between_two_parts_is_never_stitched_together(server, folder):
    server.faults = [50_000, *[0] * fetch.ATTEMPTS]
    with pytest.raises(SourceError):
        get(server, folder)
    server.content, server.tag = bytes(reversed(server.content[:100])) + server.content[100:], '"two"'
    with pytest.raises(SourceError, match="not a source of electron-photon"):
        get(server, folder)
    server.content = bytes(reversed(server.content[:100])) + server.content[100:]
    get(server, folder)
    assert (folder / NAME).read_bytes() == server.content


def test_a_stalled_connection_is_given_up_and_taken_up_again(server, folder, monkeypatch):
    monkeypatch.setattr(fetch, "TIMEOUT", (2, 0.5))
    server.faults = ["stall"]
    get(server, folder)
    assert (folder / NAME).read_bytes() == server.content
    assert server.asked[1] is not None


def test_a_server_that_only_stalls_is_given_up(server, folder, monkeypatch):
    monkeypatch.setattr(fetch, "TIMEOUT", (2, 0.05))
    server.content, server.faults = b"x", ["stall"] * 100
    with pytest.raises(SourceError, match="no progress in 5 attempts"):
        get(server, folder)
    assert not (folder / NAME).exists()


def test_a_server_that_is_not_there_is_named(folder, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(fetch, "PAUSE", 0.01)
    nowhere = Download(name=NAME, url=f"http://127.0.0.1:9/{NAME}")
    with pytest.raises(SourceError, match=re.escape(f"{nowhere.url}: no progress in 5 attempts")):
        fetch_dataset("electron-photon", folder, [nowhere])


@pytest.mark.parametrize("status", [404, 403, 500])
def test_an_error_of_the_server_is_named(server, folder, status):
    server.faults = [status]
    with pytest.raises(SourceError, match=re.escape(f"{server.download.url}: the server answered {status}")):
        get(server, folder)
    assert names(folder) == []


def test_a_page_with_status_200_is_refused(server, folder):
    server.faults = ["page"]
    with pytest.raises(SourceError, match=re.escape(f"{server.download.url}: the server sent a web page")):
        get(server, folder)
    assert names(folder) == []


def test_a_page_that_calls_itself_a_file_is_refused(server, folder):
    server.faults = ["disguised page"]
    with pytest.raises(SourceError, match=re.escape(f"{server.download.url}: the downloaded file is not a source")):
        get(server, folder)
    assert names(folder) == []


def test_a_page_in_the_middle_of_a_download_does_not_spoil_it(server, folder):
    server.faults = [50_000, "page"]
    with pytest.raises(SourceError, match="the server sent a web page"):
        get(server, folder)
    get(server, folder)
    assert (folder / NAME).read_bytes() == server.content
    assert 50_000 - PIECE < starts(server)[-1] <= 50_000


def test_a_file_of_unknown_size_is_refused(server, folder):
    server.faults = ["endless"]
    with pytest.raises(SourceError, match="a file of unknown size"):
        get(server, folder)
    assert not (folder / NAME).exists()


def test_a_file_of_another_kind_is_refused(server, folder, tmp_path):
    server.content = write_hdf5(tmp_path / "odd.hdf5", showers(25)[:, :16], 0).read_bytes()
    with pytest.raises(
        SourceError, match=r"the downloaded file is not a source of electron-photon: .*\(25, 16, 32, 2\)"
    ):
        get(server, folder)
    assert names(folder) == []


def test_a_file_whose_sha256_is_not_the_recorded_one_is_refused(server, folder):
    get(server, folder)
    with (folder / NAME).open("ab") as file:
        file.write(b"more")
    with pytest.raises(SourceError, match=rf"{NAME}: sha256 [0-9a-f]{{64}} differs from the recorded [0-9a-f]{{64}}"):
        get(server, folder)


def test_a_download_whose_sha256_is_not_the_recorded_one_never_gets_its_name(server, folder, tmp_path):
    get(server, folder)
    (folder / NAME).unlink()
    server.content = write_hdf5(tmp_path / "other.hdf5", showers(26), 0).read_bytes()
    with pytest.raises(SourceError, match="differs from the recorded"):
        get(server, folder)
    assert not (folder / NAME).exists()


@pytest.mark.parametrize("tag", [True, False], ids=["before its name was known", "after"])
def test_a_download_that_was_killed_when_all_bytes_were_there_is_completed(server, folder, tag):
    folder.mkdir()
    (folder / f"{NAME}.partial").write_bytes(server.content)
    if tag:
        (folder / f"{NAME}.etag").write_text(server.tag)
    get(server, folder)
    assert (folder / NAME).read_bytes() == server.content
    assert names(folder) == ["SHA256SUMS", NAME]


def test_an_unknown_data_set_is_refused_before_anything_is_made(folder):
    with pytest.raises(ConfigError, match="unknown dataset 'muons'"):
        fetch_dataset("muons", folder)
    assert not folder.exists()


def test_parquet_is_downloaded_as_hdf5_is(server, folder):
    server.content, server.faults = JETS.read_bytes(), [30_000, 40_000]
    assert fetch_dataset("quark-gluon", folder, [server.download]) == [folder / NAME]
    assert (folder / NAME).read_bytes() == server.content
    assert len(server.asked) == 3
    assert sum(starts(server)) > 0
    (folder / NAME).unlink()
    server.content = server.content[:-9]
    with pytest.raises(
        SourceError, match=r"the downloaded file is not a source of quark-gluon: .* not a readable Parquet file"
    ):
        fetch_dataset("quark-gluon", folder, [server.download])


def test_an_unknown_public_address_is_said(monkeypatch, folder):
    monkeypatch.delitem(DOWNLOADS, "quark-gluon")
    message = "no public files of dataset 'quark-gluon' are known, only of electron-photon"
    with pytest.raises(ConfigError, match=message):
        fetch_dataset("quark-gluon", folder)
    assert not folder.exists()


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="needs a system that counts what is read")
def test_whether_a_file_is_a_source_is_known_without_reading_it_whole(tmp_path):
    (hdf5,), parquet = (SAMPLES / "quark-gluon").glob("*.hdf5"), tmp_path / "jets.parquet"
    small = Path(__file__).parent / "jets" / "quark-gluon_pythia_n20.hdf5"
    noise = np.random.default_rng(0).random((4, 3, 125, 125), np.float32)
    columns = {"X_jets": noise.tolist(), "pt": [1.0] * 4, "m0": [1.0] * 4, "y": [0.0] * 4}
    pq.write_table(pa.table(columns), parquet, row_group_size=1)
    bytes_to_open(small)  # imports what it needs
    start_up = bytes_to_open(small)  # of the process that tries HDF5 files
    assert bytes_to_open(hdf5) - start_up < hdf5.stat().st_size / 5
    assert bytes_to_open(parquet) < parquet.stat().st_size / 5


def bytes_to_open(path):
    before = bytes_read()
    open_source(path, find_dataset("quark-gluon"))
    return bytes_read() - before


def bytes_read():
    return int(Path("/proc/self/io").read_text().split()[1])


@pytest.mark.parametrize("dataset", ["electron-photon", "quark-gluon"])
def test_the_program_downloads_and_says_where(server, folder, monkeypatch, dataset):
    monkeypatch.setitem(DOWNLOADS, dataset, (server.download,))
    if dataset == "quark-gluon":
        server.content = JETS.read_bytes()
    outcome = run_ingest("fetch", "--dataset", dataset, "--output", folder)
    assert outcome.status == 0, outcome.err
    assert outcome.out == f"{folder / NAME}\n"


def test_the_real_files_are_those_of_the_public_share():
    assert [download.url for download in DOWNLOADS["electron-photon"]] == [
        f"https://cernbox.cern.ch/remote.php/dav/public-files/{token}/{name}"
        for token, name in (
            ("FbXw3V4XNyYB3oA", "SingleElectronPt50_IMGCROPS_n249k_RHv1.hdf5"),
            ("AtBT8y4MiQYFcgc", "SinglePhotonPt50_IMGCROPS_n249k_RHv1.hdf5"),
        )
    ]
    names = [f"run0_n36272{END}", f"run1_n47540{END}", f"run2_n55494{END}"]
    assert [download.url for download in DOWNLOADS["quark-gluon"]] == [
        f"https://cernbox.cern.ch/remote.php/dav/public-files/hqz8zE7oxyPjvsL/QCDToGGQQ_IMGjet_RH1all_jet0_{name}"
        for name in names
    ]
