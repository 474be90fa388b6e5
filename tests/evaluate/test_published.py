import pytest
from msgspec import UNSET
from msgspec.structs import replace

from evaluate.published import RESULTS, list_results
from tests.evaluate.conftest import PUBLISHED, STORE


@pytest.mark.parametrize(
    "change",
    [
        {"simulated": "Geant4 simulation"},
        {"sources": []},
        {"sources": [{"name": "a.hdf5", "rows": 5500}, {"name": "b.hdf5", "rows": 5500}]},
        {"sources": UNSET},
    ],
)
def test_results_on_simulated_or_other_files_are_other_data(change):
    rows = list_results(replace(PUBLISHED, **change), whole=True)
    assert rows
    assert not any(row.comparable for row in rows)
    assert {row.difference for row in rows} == {"other data"}


@pytest.mark.parametrize("scheme", ["0.7,0.1,0.2", "challenge-scaled"])
def test_results_on_another_split_say_so(scheme):
    rows = list_results(replace(PUBLISHED, split_scheme=scheme), whole=True)
    assert not any(row.comparable for row in rows)
    assert {row.difference for row in rows} == {"other split", "other split (challenge)"}


def test_only_the_challenge_itself_is_comparable():
    rows = list_results(PUBLISHED, whole=True)
    assert [row.source for row in rows if row.comparable] == ["sample notebook of the challenge"]
    assert not any(row.comparable for row in list_results(PUBLISHED, whole=False))


def test_every_data_set_has_its_own_results():
    jets = list_results(replace(STORE, dataset="quark-gluon"), whole=True)
    showers = list_results(STORE, whole=True)
    assert len(jets) + len(showers) == len(RESULTS)
    assert "EdgeConv" in [row.model for row in jets]
    assert list_results(replace(STORE, dataset="muon"), whole=True) == []
