import operator

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from store.whole_numbers import calculate, compare, from_column, from_python

LOWEST, LARGEST = -(2**63), 2**63 - 1
BORDERS = st.sampled_from([0, 2**53, -(2**53), LOWEST, LARGEST, 2**62, 2**31])
WHOLE = (
    st.integers(LOWEST, LARGEST)
    | st.builds(operator.add, BORDERS, st.integers(-3, 3)).filter(lambda value: LOWEST <= value <= LARGEST)
    | st.integers(-9, 9)
)
FLOATS = st.floats() | WHOLE.map(float)
COMPARISONS = {
    np.less: operator.lt,
    np.less_equal: operator.le,
    np.greater: operator.gt,
    np.greater_equal: operator.ge,
    np.equal: operator.eq,
    np.not_equal: operator.ne,
}
ARITHMETIC = {
    np.add: operator.add,
    np.subtract: operator.sub,
    np.multiply: operator.mul,
    np.mod: operator.mod,
    np.minimum: min,
    np.maximum: max,
}


@given(WHOLE | FLOATS, WHOLE | FLOATS, st.sampled_from(sorted(COMPARISONS, key=str)))
@example(2**53 + 1, float(2**53), np.equal)
@example(LARGEST, 2.0**63, np.less)
@example(LOWEST, -(2.0**63), np.less_equal)
def test_comparisons_are_those_of_python_which_are_exact(left, right, function):
    expected = COMPARISONS[function](left, right)
    columns = [from_column(np.array([value])) for value in (left, right)]
    assert compare(function, *columns).tolist() == [expected]
    assert compare(function, columns[0], from_python(right)).tolist() == [expected]
    assert bool(compare(function, from_python(left), from_python(right))) is expected


@given(WHOLE, WHOLE, st.sampled_from(sorted(ARITHMETIC, key=str)))
@example(2**62 + 1, 2**62, np.mod)
@example(LARGEST, 1, np.add)
@example(LOWEST, -1, np.multiply)
def test_arithmetic_of_whole_numbers_is_exact_or_refused(left, right, function):
    assume(right or function is not np.mod)
    expected = ARITHMETIC[function](left, right)
    columns = np.array([left]), np.array([right])
    if LOWEST <= expected <= LARGEST:
        assert calculate(function, *columns).tolist() == [expected]
    else:
        with np.errstate(over="ignore"), pytest.raises(OverflowError, match="beyond 64-bit integers"):
            calculate(function, *columns)


@pytest.mark.parametrize(
    ("function", "numbers", "result"),
    [
        (np.power, (2, 53), 2**53),
        (np.power, (3, 39), 3**39),
        (np.power, (10, 30), 1e30),
        (np.power, (2, -1), 0.5),
        (np.mod, (5, 0), np.nan),
        (np.divide, (1, 2), 0.5),
        (np.add, (1, 0.5), 1.5),
        (np.abs, (-3,), 3),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_single_numbers_become_floats_where_they_must(function, numbers, result):
    value = calculate(function, *map(from_python, numbers))
    assert value == result or (np.isnan(value) and np.isnan(result))
    assert value.dtype == (np.int64 if isinstance(result, int) else np.float64)


@pytest.mark.parametrize("function", [np.abs, np.negative])
def test_the_lowest_number_has_no_opposite(function):
    with np.errstate(over="ignore"), pytest.raises(OverflowError, match="is beyond 64-bit integers"):
        calculate(function, np.array([LOWEST]))


def test_what_int64_cannot_hold_is_a_float_or_refused():
    assert from_python(10**22) == 1e22
    with pytest.raises(
        OverflowError, match="100000000000000000000001 is beyond 64-bit integers; write 1\\.0000000000000001e\\+23"
    ):
        from_python(10**23 + 1)
    assert from_column(np.array([True, False])).tolist() == [1, 0]
    with pytest.raises(OverflowError, match="has 9223372036854775808, which is beyond"):
        from_column(np.array([2**63], np.uint64))
    with pytest.raises(TypeError, match="has object and not numbers"):
        from_column(np.array(["a"], object))
