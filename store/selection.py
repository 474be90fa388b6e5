"""Cuts on per-sample columns: expressions such as ``pt > 100 and abs(eta) < 1.2``, evaluated without running code.

The language is a subset of Python's expressions: column names, numbers, ``+ - * / % **``, comparisons (chained ones
too), ``and``, ``or``, ``not``, parentheses, ``abs``, ``sqrt``, ``log``, ``exp``, ``minimum`` and ``maximum``.
Comparisons are exact. So is arithmetic of whole numbers, except ``/``; all other arithmetic is in float64.
"""

import ast
import functools
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from store.arrays import BoolArray, Int64Array
from store.errors import PlanError
from store.sample_columns import check_column
from store.whole_numbers import calculate, compare, from_column, from_python

if TYPE_CHECKING:
    from store.opening import Store

FUNCTIONS: dict[str, tuple[Callable[..., Any], int]] = {
    "abs": (np.abs, 1),
    "sqrt": (np.sqrt, 1),
    "log": (np.log, 1),
    "exp": (np.exp, 1),
    "minimum": (np.minimum, 2),
    "maximum": (np.maximum, 2),
}
ARITHMETIC: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Mod: np.mod,
    ast.Pow: np.power,
    ast.USub: np.negative,
    ast.UAdd: np.positive,
}
COMPARISONS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
}
BLOCK = 1 << 20  # samples that a cut looks at together
LONGEST = 10_000  # characters; Python's parser is recursive
DEEPEST = 100  # levels of nesting; looking at a tree is recursive, too
SHOWN = 200  # characters of an expression that a message repeats


@dataclass(frozen=True, kw_only=True)
class Cut:
    """A parsed expression.

    Attributes
    ----------
    text
        The expression as it was given.
    columns
        Names of the columns that it reads, sorted.
    """

    text: str
    columns: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> "Cut":
        """Parse an expression.

        Raises
        ------
        PlanError
            If `text` is not an expression, or uses anything outside the language; the message names the part.
        """
        tree = _parse(text)
        _check(tree, text, boolean=True)
        called = {node.func for node in ast.walk(tree) if isinstance(node, ast.Call)}
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and node not in called}
        if not names:
            raise _refusal(text, "reads no column")
        return cls(text=text, columns=tuple(sorted(names)))

    @property
    def canonical(self) -> str:
        """The expression with the blanks and parentheses that Python would write; equal for equal expressions."""
        return ast.unparse(_parse(self.text))

    def check_columns(self, known: Mapping[str, Any] | tuple[str, ...]) -> None:
        """Raise PlanError if a column is not known; the message lists the known ones."""
        for name in self.columns:
            if name not in known:
                raise _refusal(self.text, f"no column {name!r}; known: {', '.join(known) or 'none'}")

    def apply(self, columns: Mapping[str, npt.NDArray[Any]]) -> BoolArray:
        """Return which samples pass, bool (n,).

        Parameters
        ----------
        columns
            Arrays by name of column, numeric or bool, (n,); at least those that the cut reads.

        Raises
        ------
        PlanError
            If a column is missing or has no numbers, or a whole number is beyond 64 bits.
        """
        self.check_columns(columns)
        values = {name: self._convert(name, columns[name]) for name in self.columns}
        try:
            with np.errstate(all="ignore"):  # the logarithm of a negative number is NaN, as in IEEE arithmetic
                return np.asarray(_evaluate(_parse(self.text), values), dtype=np.bool_)
        except OverflowError as error:
            raise _refusal(self.text, str(error)) from None

    def _convert(self, name: str, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        try:
            return from_column(values)
        except (OverflowError, TypeError) as error:
            raise _refusal(self.text, f"the column {name!r} {error}") from None


def select(store: "Store", where: str, start: int, stop: int) -> Int64Array:
    """Return the positions, int64 (n,) and ascending, of those samples of [start, stop) that pass a cut.

    Raises
    ------
    PlanError
        If `where` is not a cut, or the store has no such column.
    """
    cut = Cut.parse(where)
    for name in cut.columns:
        check_column(store, name, f"where={_shorten(where)!r}")
    positions = [np.zeros(0, np.int64)]
    for first in range(start, stop, BLOCK):
        last = min(stop, first + BLOCK)
        passed = cut.apply({name: store.column(name, first, last) for name in cut.columns})
        positions.append(first + np.flatnonzero(passed))
    return np.concatenate(positions)


def _parse(text: str) -> ast.expr:
    if not isinstance(text, str):
        raise PlanError(f"a cut is text such as 'pt > 100 and m0 < 30', not {text!r:.60}")
    if len(text) > LONGEST:
        raise PlanError(f"a cut of {len(text)} characters is longer than {LONGEST}")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise PlanError(
            f"cut {_shorten(text)!r} is not an expression such as 'pt > 100 and m0 < 30' ({error})"
        ) from None
    depth = 0
    level: list[ast.AST] = [tree]
    while level := [child for node in level for child in ast.iter_child_nodes(node)]:
        depth += 1
        if depth > DEEPEST:
            raise _refusal(text, f"is nested more than {DEEPEST} levels deep")
    return tree


def _refusal(text: str, rule: str) -> PlanError:
    return PlanError(f"cut {_shorten(text)!r}: {rule}")


def _shorten(text: str) -> str:
    return text if len(text) <= SHOWN else text[:SHOWN] + "..."


def _check(node: ast.expr, text: str, *, boolean: bool) -> None:
    """Refuse what is not in the language; `boolean` says whether a truth value or a number is expected."""
    part = ast.unparse(node)
    match node:
        case ast.BoolOp(values=values) if boolean:
            for value in values:
                _check(value, text, boolean=True)
        case ast.UnaryOp(op=ast.Not(), operand=operand) if boolean:
            _check(operand, text, boolean=True)
        case ast.Compare(left=left, ops=operators, comparators=comparators) if boolean:
            if not all(type(operator) in COMPARISONS for operator in operators):
                raise _refusal(text, f"{part!r} uses a comparison that cuts do not have")
            for value in (left, *comparators):
                _check(value, text, boolean=False)
        case ast.BinOp(op=ast.BitAnd() | ast.BitOr()) | ast.UnaryOp(op=ast.Invert()):
            raise _refusal(text, f"{part!r}: write `and`, `or` and `not` for &, | and ~")
        case _ if boolean:
            raise _refusal(text, f"{part!r} is not a comparison")
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in ARITHMETIC:
            _check(left, text, boolean=False)
            _check(right, text, boolean=False)
        case ast.UnaryOp(op=operator, operand=operand) if type(operator) in ARITHMETIC:
            _check(operand, text, boolean=False)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in FUNCTIONS:
            if len(arguments) != FUNCTIONS[name][1]:
                raise PlanError(
                    f"cut {_shorten(text)!r}: {name} takes {FUNCTIONS[name][1]} values, got {len(arguments)}"
                )
            for value in arguments:
                _check(value, text, boolean=False)
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            if abs(value) > sys.float_info.max and not isinstance(value, float):
                raise _refusal(text, f"the number {part[:20]}... is too large")
        case ast.Name():
            pass
        case _:
            known = ", ".join(FUNCTIONS)
            raise PlanError(
                f"cut {_shorten(text)!r}: {part!r} is neither a column, a number, arithmetic nor one of {known}"
            )


def _evaluate(node: ast.expr, values: Mapping[str, Any]) -> Any:
    match node:
        case ast.BoolOp(op=operator, values=parts):
            combine = np.logical_and if isinstance(operator, ast.And) else np.logical_or
            return functools.reduce(combine, (_evaluate(part, values) for part in parts))
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return np.logical_not(_evaluate(operand, values))
        case ast.Compare(left=left, ops=operators, comparators=comparators):
            sides = [_evaluate(side, values) for side in (left, *comparators)]
            pairs = zip(operators, sides, sides[1:], strict=False)
            return functools.reduce(np.logical_and, (compare(COMPARISONS[type(op)], a, b) for op, a, b in pairs))
        case ast.BinOp(left=left, op=operator, right=right):
            return _calculate(node, ARITHMETIC[type(operator)], (left, right), values)
        case ast.UnaryOp(op=operator, operand=operand):
            return _calculate(node, ARITHMETIC[type(operator)], (operand,), values)
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return _calculate(node, FUNCTIONS[name][0], arguments, values)
        case ast.Constant(value=int() | float() as value):
            return from_python(value)
        case ast.Name(id=name):
            return values[name]
    raise AssertionError(ast.dump(node))


def _calculate(
    node: ast.expr, function: Callable[..., Any], arguments: Sequence[ast.expr], values: Mapping[str, Any]
) -> Any:
    numbers = [_evaluate(argument, values) for argument in arguments]
    try:
        return calculate(function, *numbers)
    except OverflowError as error:
        raise OverflowError(f"{_shorten(ast.unparse(node))!r} {error}") from None
