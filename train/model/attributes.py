"""Attributes that are checked against their annotations when an object is made.

An annotation such as ``Annotated[int, Allowed(...)]`` states the values that its attribute may have; `check_attributes`
refuses any other value.
"""

import dataclasses
import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Annotated, Any, get_args

from store.errors import ConfigError


@dataclass(frozen=True)
class Allowed:
    """The values that an attribute may have.

    Attributes
    ----------
    description
        What the values are, as in the message "filters=0 is not a whole number of at least 1".
    accepts
        Returns whether a value is allowed.
    """

    description: str
    accepts: Callable[[Any], bool]


def one_of(*names: str) -> Allowed:
    """Return a rule that allows the given names."""
    return Allowed(f"one of {', '.join(names)}", lambda value: isinstance(value, str) and value in names)


def is_positive_int(value: Any) -> bool:
    """Return whether a value is a whole number of at least 1; booleans are not."""
    return type(value) is int and value >= 1


def is_number(value: Any) -> bool:
    """Return whether a value is a number; booleans are not."""
    return type(value) in (int, float)


Text = Annotated[str, Allowed("text", lambda value: isinstance(value, str))]
Flag = Annotated[bool, Allowed("true or false", lambda value: isinstance(value, bool))]
PositiveInt = Annotated[int, Allowed("a whole number of at least 1", is_positive_int)]
OddInt = Annotated[int, Allowed("an odd number of at least 1", lambda value: is_positive_int(value) and value % 2 == 1)]
PositiveIntPair = Annotated[
    tuple[int, int],
    Allowed(
        "two whole numbers of at least 1",
        lambda value: isinstance(value, tuple) and len(value) == 2 and all(map(is_positive_int, value)),
    ),
]
ProperFraction = Annotated[
    float, Allowed("a number of at least 0 and below 1", lambda value: is_number(value) and 0 <= value < 1)
]
PositiveFloat = Annotated[float, Allowed("a number above 0", lambda value: is_number(value) and 0 < value < math.inf)]


def check_attributes(owner: Any, title: str) -> None:
    """Check every attribute of a dataclass instance against its annotation.

    Raises
    ------
    ConfigError
        If a value is not allowed; the message starts with the title.
    """
    for field in dataclasses.fields(owner):
        allowed, value = get_args(field.type)[1], getattr(owner, field.name)
        if not allowed.accepts(value):
            raise ConfigError(f"{title}: {field.name}={value!r} is not {allowed.description}")


def check_names(names: Collection[str], kind: type, title: str) -> None:
    """Check that names are those of a dataclass's attributes, and that all attributes without a default are named.

    Raises
    ------
    ConfigError
        If a name is unknown or missing; the message starts with the title.
    """
    fields = {field.name: field.default for field in dataclasses.fields(kind)}
    for name in sorted(set(names) - fields.keys()):
        raise ConfigError(f"{title}: unknown attribute {name!r}; known: {', '.join(fields)}")
    for name, default in fields.items():
        if default is dataclasses.MISSING and name not in names:
            raise ConfigError(f"{title}: attribute {name!r} is missing")
