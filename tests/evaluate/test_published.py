import pytest

from evaluate.published import RESULTS, list_results
from tests.evaluate.conftest import STORE


def test_results_on_simulated_data_are_other_data():
    rows = list_results(STORE | {"split_scheme": "challenge"})
    assert rows
    assert not any(row["comparable"] for row in rows)
    assert {row["difference"] for row in rows} == {"other data"}


@pytest.mark.parametrize("scheme", ["0.7,0.1,0.2", "challenge-scaled"])
def test_results_on_another_split_say_so(scheme):
    rows = list_results(STORE | {"simulated": "", "split_scheme": scheme})
    assert not any(row["comparable"] for row in rows)
    assert {row["difference"] for row in rows} == {"other split", "other split (challenge)"}


def test_only_the_challenge_itself_is_comparable():
    rows = list_results(STORE | {"simulated": "", "split_scheme": "challenge"})
    assert [row["source"] for row in rows if row["comparable"]] == ["sample notebook of the challenge"]


def test_every_data_set_has_its_own_results():
    jets = list_results(STORE | {"dataset": "quark-gluon"})
    showers = list_results(STORE)
    assert len(jets) + len(showers) == len(RESULTS)
    assert "EdgeConv" in [row["model"] for row in jets]
    assert list_results(STORE | {"dataset": "muon"}) == []
