import pytest

from evaluate.published import RESULTS, list_results
from tests.evaluate.conftest import REAL, STORE

CHALLENGE = STORE | REAL | {"split_scheme": "challenge"}


@pytest.mark.parametrize(
    "store",
    [
        CHALLENGE | {"simulated": "Geant4 simulation"},
        CHALLENGE | {"sources": []},
        CHALLENGE | {"sources": [{"name": "a.hdf5", "rows": 5500}, {"name": "b.hdf5", "rows": 5500}]},
        {name: value for name, value in CHALLENGE.items() if name != "sources"},
    ],
)
def test_results_on_simulated_or_other_files_are_other_data(store):
    rows = list_results(store, whole=True)
    assert rows
    assert not any(row["comparable"] for row in rows)
    assert {row["difference"] for row in rows} == {"other data"}


@pytest.mark.parametrize("scheme", ["0.7,0.1,0.2", "challenge-scaled"])
def test_results_on_another_split_say_so(scheme):
    rows = list_results(CHALLENGE | {"split_scheme": scheme}, whole=True)
    assert not any(row["comparable"] for row in rows)
    assert {row["difference"] for row in rows} == {"other split", "other split (challenge)"}


def test_only_the_challenge_itself_is_comparable():
    rows = list_results(CHALLENGE, whole=True)
    assert [row["source"] for row in rows if row["comparable"]] == ["sample notebook of the challenge"]
    assert not any(row["comparable"] for row in list_results(CHALLENGE, whole=False))


def test_every_data_set_has_its_own_results():
    jets = list_results(STORE | {"dataset": "quark-gluon"}, whole=True)
    showers = list_results(STORE, whole=True)
    assert len(jets) + len(showers) == len(RESULTS)
    assert "EdgeConv" in [row["model"] for row in jets]
    assert list_results(STORE | {"dataset": "muon"}, whole=True) == []
