"""Numbers as text."""

import math

import pytest

from evaluate.formatting import p_equals, p_value
from evaluate.metrics import Estimate
from evaluate.ranking import paired_test
from evaluate.tables import Table, p_values


@pytest.mark.parametrize(
    ("value", "text"), [(0.123, "p = 0.12"), (1.0, "p = 1"), (3.2e-290, "p = 3.2e-290"), (5e-324, "p < 1e-300")]
)
def test_a_p_value_is_a_number_or_a_bound(value, text):
    assert p_equals(value) == text


def test_a_difference_of_a_hundred_errors_has_no_p_value_of_zero():
    tested = paired_test(Estimate(value=0.1, standard_error=0.001))
    assert tested.p_value == math.erfc(100 / math.sqrt(2)) == 0
    assert p_value(tested.p_value) == "< 1e-300"
    table = Table(name="a", label="a", columns=[p_values([tested.p_value])])
    assert "$<$ 1e-300" in table.to_latex()
    assert table.to_csv() == "p value\n0.0\n"
