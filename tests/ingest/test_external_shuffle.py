"""How sources are cut into stretches, and where their rows go."""

from dataclasses import dataclass

import numpy as np
import pytest

from ingest import external_shuffle
from ingest.external_shuffle import cut_stretches, positions_of_rows
from store.datasets import ELECTRON_PHOTON

LIMIT = external_shuffle.STRETCH_BYTES // ELECTRON_PHOTON.sample_bytes


@dataclass(frozen=True)
class Rows:
    """A source of so many rows, in blocks of so many."""

    rows: int
    block: int = 10
    spec: object = ELECTRON_PHOTON


def parts(*sources: Rows) -> list[list[tuple[int, int, int]]]:
    stretches = list(cut_stretches(sources))
    assert [stretch.number for stretch in stretches] == list(range(len(stretches)))
    return [[(part.number, part.start, part.stop) for part in stretch.parts] for stretch in stretches]


def test_small_sources_share_a_stretch_and_large_ones_are_cut():
    assert parts(Rows(20), Rows(30)) == [[(0, 0, 20), (1, 0, 30)]]
    cut = LIMIT // 10 * 10
    assert parts(Rows(LIMIT + 5), Rows(30)) == [[(0, 0, cut)], [(0, cut, LIMIT + 5), (1, 0, 30)]]
    assert parts(Rows(30), Rows(LIMIT, block=LIMIT)) == [[(0, 0, 30)], [(1, 0, LIMIT)]]
    assert parts(Rows(2 * LIMIT, block=3 * LIMIT), Rows(1)) == [[(0, 0, 2 * LIMIT)], [(1, 0, 1)]]


@pytest.mark.parametrize("rows", [20, LIMIT, 3 * LIMIT])
def test_thousands_of_sources_are_about_a_thousand_stretches_at_most(rows):
    sources = [Rows(rows)] * 3000
    stretches = list(cut_stretches(sources))
    assert len(stretches) <= 2 * external_shuffle.MOST_STRETCHES
    assert sum(part.rows for stretch in stretches for part in stretch.parts) == 3000 * rows
    sizes = [sum(part.rows for part in stretch.parts) for stretch in stretches]
    assert max(sizes) <= max(LIMIT, 3000 * rows // external_shuffle.MOST_STRETCHES + 10)


def test_positions_of_rows_are_those_of_the_store(monkeypatch):
    monkeypatch.setattr(external_shuffle, "PLACED", 3)
    source_file, source_row = np.array([2, 0, 0, 2, 2], np.uint8), np.array([1, 3, 0, 0, 2])
    found = positions_of_rows(source_file, source_row, [4, 2, 3])
    assert [positions.tolist() for positions in found] == [[2, -1, -1, 1], [-1, -1], [3, 0, 4]]
    (stretch,) = cut_stretches([Rows(3), Rows(4)])
    assert stretch.select([found[2], found[0]]).tolist() == [3, 0, 4, 2, -1, -1, 1]
