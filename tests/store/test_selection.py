import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.errors import PlanError
from store.selection import FUNCTIONS, Cut

COLUMNS = {
    "pt": np.array([60.0, 70.0, 120.0, 100.0, np.nan], np.float32),
    "eta": np.array([0.0, -2.0, 0.5, 1.0, 0.0]),
    "label": np.array([0, 1, 1, 0, 1], np.uint8),
    "event": np.array([2**53, 2**53 + 1, 2**53 + 2, 7, -1]),
    "name": np.array(["a", "b", "c", "d", "e"], object),
}


@pytest.mark.parametrize(
    ("text", "passed"),
    [
        ("pt > 60", [0, 1, 1, 1, 0]),
        ("60 < pt <= 100", [0, 1, 0, 1, 0]),
        ("pt > 60 and not (abs(eta) > 1.2 or label == 0)", [0, 0, 1, 0, 0]),
        ("-label < 0", [0, 1, 1, 0, 1]),
        ("label - 1 < 0", [1, 0, 0, 1, 0]),
        ("maximum(pt, 100) == pt", [0, 0, 1, 1, 0]),
        ("log(eta) > -10", [0, 0, 1, 1, 0]),
        ("pt % 50 == 20 or pt ** 2 / pt == 100", [0, 1, 1, 1, 0]),
        ("1 > 0 and pt > 110", [0, 0, 1, 0, 0]),
        ("\n pt > 110 ", [0, 0, 1, 0, 0]),
        ("event == 9007199254740993", [0, 1, 0, 0, 0]),
        ("event == 2**53 + 1", [0, 1, 0, 0, 0]),
        ("event % 2 == 1", [0, 1, 0, 1, 1]),
        ("9007199254740992.0 < event", [0, 1, 1, 0, 0]),
        ("minimum(event, 2**53 + 1) - 2**53 == 1", [0, 1, 1, 0, 0]),
        ("event / 2 > 3.4 and event < 10**30", [1, 1, 1, 1, 0]),
    ],
)
def test_a_cut_passes_the_samples_that_it_says(text, passed):
    assert Cut.parse(text).apply(COLUMNS).tolist() == [bool(value) for value in passed]


@pytest.mark.parametrize(
    ("text", "canonical"),
    [(" ( pt>1 )and label==0", "pt > 1 and label == 0"), ("pt > 1.0", "pt > 1.0"), ("not(pt<1)", "not pt < 1")],
)
def test_equal_cuts_have_one_canonical_form(text, canonical):
    assert Cut.parse(text).canonical == canonical


def test_it_knows_its_columns():
    assert Cut.parse("pt > abs(eta) and sqrt(pt) < 7").columns == ("eta", "pt")


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "is not an expression"),
        ("pt >", "is not an expression"),
        ("pt > 1; eta", "is not an expression"),
        ("pt", "'pt' is not a comparison"),
        ("True", "'True' is not a comparison"),
        ("pt > True", "'True' is neither a column, a number"),
        ("1 > 0", "reads no column"),
        ("pt in (1, 2)", "uses a comparison that cuts do not have"),
        ("pt.real > 1", "'pt.real' is neither a column"),
        ("pt[0] > 1", r"'pt\[0\]' is neither a column"),
        ("pt > 'a'", "\"'a'\" is neither a column"),
        ("__import__('os').system('true') > 1", "is neither a column"),
        ("eval('1') > pt", "is neither a column"),
        ("(lambda: pt)() > 1", "is neither a column"),
        ("[pt > 1 for _ in pt]", "is not a comparison"),
        ("(x := pt) > 1", "is neither a column"),
        ("abs(pt, 2) > 1", "abs takes 1 values, got 2"),
        ("abs(*pt) > 1", "is neither a column"),
        ("pt > 1" + " " * 10_000, "longer than 10000"),
        ("(" * 4000 + "pt > 1" + ")" * 4000, "is not an expression"),
        ("-" * 2000 + "pt > 1", "is nested more than 100 levels deep"),
        ("not " * 2000 + "pt > 1", "is nested more than 100 levels deep"),
        ("pt > " + "+".join(["1"] * 500), "is nested more than 100 levels deep"),
        ("pt > 1" + "0" * 400, "the number 10000000000000000000... is too large"),
        ("(pt > 1) & (label == 0)", "write `and`, `or` and `not` for &, | and ~"),
        ("pt > 1 | label == 0", "write `and`, `or` and `not` for &, | and ~"),
        ("~(pt > 1)", "write `and`, `or` and `not` for &, | and ~"),
    ],
)
def test_anything_else_is_refused(text, rule):
    with pytest.raises(PlanError, match=rule) as refused:
        Cut.parse(text)
    assert len(str(refused.value)) < 1000


def test_an_unknown_column_is_named_with_the_known_ones():
    with pytest.raises(PlanError, match="no column 'm0'; known: pt, eta, label, event, name"):
        Cut.parse("m0 > 1").apply(COLUMNS)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("event * event > 1", r": 'event \* event' is beyond 64-bit integers for some samples; multiply by 1\.0"),
        ("pt < 100000000000000000000001", "100000000000000000000001 is beyond 64-bit integers; write 1"),
        ("name == 1", "the column 'name' has object and not numbers"),
    ],
)
def test_what_cannot_be_compared_exactly_is_refused(text, rule):
    with pytest.raises(PlanError, match=rule):
        Cut.parse(text).apply(COLUMNS)


@given(st.text(max_size=60))
def test_whatever_is_typed_is_a_cut_or_refused(text):
    try:
        cut = Cut.parse(text)
    except PlanError:
        return
    assert cut.columns


def test_every_function_of_the_language_is_documented():
    import store.selection

    assert all(f"``{name}``" in (store.selection.__doc__ or "") for name in FUNCTIONS)
