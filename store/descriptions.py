"""What the description of a data set can say: the tables and keys of its file, and the rules for their values.

`parse` is the only place where a description is checked, whether it comes from a file, from a store or from Python.
"""

import difflib
import keyword
import re
from collections import Counter
from collections.abc import Iterator
from reprlib import Repr
from typing import Annotated, Any, Literal, get_args, get_type_hints

import msgspec
from msgspec import Meta, Struct

from store.errors import ConfigError, printable

LARGEST_IMAGE = 1 << 28  # bytes in float32; Blosc chunks must be smaller than 2 GiB
LARGEST_AXIS = 1 << 15  # cells; coordinates are int16
LARGEST_CLASSES = 255  # labels are uint8
RESERVED = {
    *("image", "label", "split", "source_file", "source_row", "class_name", "statistics"),
    *("sample", "ieta", "iphi", "channel", "scale", "unit", "none"),
}
"""Names in a store, and words of the programs, that a variable cannot have."""

Text = Annotated[str, Meta(max_length=300)]
Label = Annotated[str, Meta(min_length=1, max_length=60)]
Key = Annotated[str, Meta(min_length=1, max_length=300)]
Axis = Annotated[int, Meta(ge=1, le=LARGEST_AXIS)]
Index = Annotated[int, Meta(ge=0, lt=LARGEST_AXIS)]
Number = Annotated[float, Meta(gt=-1e300, lt=1e300)]  # finite


def must_be(words: str) -> Meta:
    """Return the words that follow "must be" in messages about a key."""
    return Meta(description=words)


class Table(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A table of a description."""


class ChannelTable(Table, frozen=True, kw_only=True, omit_defaults=True):
    """A channel of the images."""

    name: Annotated[Label, must_be("the name of a channel, 1 to 60 characters")]
    long_name: Annotated[Text, must_be("text of at most 300 characters, such as 'ECAL energy'")] = ""
    unit: Annotated[Text, must_be("the unit of stored value x scale, such as 'GeV', or '1'")] = "1"
    scale: Annotated[float, Meta(gt=0, lt=1e300), must_be("a number above 0")] = 1.0
    comment: Annotated[Text, must_be("text of at most 300 characters")] = ""
    published: Annotated[
        tuple[Number, Number] | None, must_be("two numbers in a list, the smallest and the largest value")
    ] = None


class ImageTable(Table, frozen=True, kw_only=True, omit_defaults=True):
    """The images."""

    keys: Annotated[list[Key], Meta(min_length=1, max_length=100), must_be("a list of names, such as ['X_jets', 'X']")]
    shape: Annotated[
        tuple[Axis, Axis, Axis], must_be(f"three whole numbers from 1 to {LARGEST_AXIS}, [ieta, iphi, channel]")
    ]
    layout: Annotated[Literal["channel-last", "channel-first"] | None, must_be("'channel-last' or 'channel-first'")] = (
        None
    )
    seed: Annotated[tuple[Index, Index] | None, must_be("the two indices of a cell, [ieta, iphi]")] = None
    core: Annotated[Index | None, must_be("a whole number of cells from 0")] = None
    round: Annotated[bool, must_be("true or false")] = False
    channels: Annotated[list[ChannelTable], must_be("a list of tables, one per channel, each with a name")]


class LabelTable(Table, frozen=True, kw_only=True, omit_defaults=True):
    """The labels."""

    key: Annotated[Key | None, must_be("the name of the labels in a file")] = None
    classes: Annotated[
        list[Label],
        Meta(min_length=2, max_length=LARGEST_CLASSES),
        must_be(f"a list of 2 to {LARGEST_CLASSES} names, of label 0, label 1 and so on"),
    ]
    values: Annotated[
        list[int | Key] | None,
        must_be("a list of whole numbers or of texts, what the files have for each class, such as [-1, 1]"),
    ] = None


class VariableTable(Table, frozen=True, kw_only=True, omit_defaults=True):
    """A variable, which is a number per sample."""

    name: Annotated[
        str,
        Meta(pattern="^[A-Za-z_][A-Za-z0-9_]{0,59}$"),
        must_be("at most 60 letters, digits and underscores, not beginning with a digit"),
    ]
    key: Annotated[Key | None, must_be("the name of the variable in a file")] = None
    long_name: Annotated[Text, must_be("text of at most 300 characters, such as 'jet mass'")] = ""
    unit: Annotated[Text, must_be("text of at most 300 characters, such as 'GeV', or '1'")] = "1"


class WeightTable(Table, frozen=True, kw_only=True, omit_defaults=True):
    """The weights of the samples."""

    key: Annotated[Key, must_be("the name of the weights in a file")]


class TrainTable(Table, frozen=True, kw_only=True, omit_defaults=True):
    """What the trainers do by default."""

    model: Annotated[
        Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9-]{0,59}$")] | None,
        must_be("the name of a network, such as 'shower'; `train-torch --help` lists them"),
    ] = None


class Description(Table, frozen=True, kw_only=True, omit_defaults=True):
    """The description of a data set."""

    name: Annotated[
        str,
        Meta(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,59}$"),
        must_be("at most 60 letters, digits, '-', '_' and '.', beginning with a letter or digit"),
    ]
    title: Annotated[Text, must_be("text of at most 300 characters")]
    image: Annotated[ImageTable, must_be("a table, [image]")]
    label: Annotated[LabelTable, must_be("a table, [label]")]
    variables: Annotated[list[VariableTable], Meta(max_length=1000), must_be("tables, [[variables]]")] = []
    weight: Annotated[WeightTable | None, must_be("a table, [weight]")] = None
    train: Annotated[TrainTable | None, must_be("a table, [train]")] = None


def parse(values: Any) -> Description:
    """Return the description that nested values stand for, as from TOML or JSON.

    Raises
    ------
    ConfigError
        If a key is unknown or missing, or a value breaks a rule; the message names the key, the value and the rule.
    """
    try:
        description = msgspec.convert(values, Description)
    except msgspec.ValidationError as error:
        text, _, path = str(error).rpartition(" - at `$")
        raise ConfigError(_explain(text or path, path.strip("`.") if text else "", values)) from None
    for key, value, rule in _broken_rules(description):
        raise ConfigError(f"{key} = {shown(value)}: {rule}")
    return description


def to_dict(description: Description) -> dict[str, Any]:
    """Return a description as JSON types; `parse` makes an equal one of them."""
    values: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(description))
    return values


def shown(value: Any) -> str:
    """Return a value for a message: short, on one line, and printable."""
    short = Repr()
    short.maxstring = short.maxother = short.maxlong = 60
    try:
        return printable(short.repr(msgspec.to_builtins(value)))
    except (ValueError, RecursionError, TypeError):
        return f"a {type(value).__name__} that is too large to show"


def _explain(text: str, path: str, values: Any) -> str:
    """Return one line for an error of msgspec, which names the path of a value as in ``image.channels[0].scale``."""
    kind: type[Table] = Description
    value, key, rule = values, "", "a table"
    for name, index in re.findall(r"(\w+)|\[(\d+)\]", path):
        value = value[name] if name else value[int(index)]
        if name:
            hint = get_type_hints(kind, include_extras=True)[name]
            rule = next(meta.description for meta in reversed(hint.__metadata__) if meta.description)
            kind = _table(hint) or kind
            key = f"{key}.{name}" if key else name
        else:
            key += f"[{index}]"
    if missing := re.fullmatch("Object missing required field `(.*)`", text):
        hint = get_type_hints(kind, include_extras=True)[missing[1]]
        rule = next(meta.description for meta in reversed(hint.__metadata__) if meta.description)
        return f"{_join(key, missing[1])} is missing: it must be {rule}"
    if unknown := re.fullmatch("Object contains unknown field `(.*)`", text, re.DOTALL):
        known = kind.__struct_fields__
        nearest = difflib.get_close_matches(unknown[1][:60], known, n=1)
        advice = f"did you mean {_join(key, nearest[0])}?" if nearest else f"known: {', '.join(known)}"
        return f"unknown key {printable(_join(key, unknown[1]))!r:.100}; {advice}"
    return f"{key or 'the description'} = {shown(value)}: must be {rule}"


def _join(table: str, key: str) -> str:
    return f"{table}.{key}" if table else key


def _table(hint: Any) -> type[Table] | None:
    """Return the kind of table that a key with this type holds, or holds a list of."""
    for part in (hint, *get_args(hint), *(inner for arg in get_args(hint) for inner in get_args(arg))):
        if isinstance(part, type) and issubclass(part, Table):
            return part
    return None


def _broken_rules(description: Description) -> Iterator[tuple[str, Any, str]]:
    """Yield key, value and rule of what breaks the rules that concern several values, or that a type cannot state."""
    image, classes = description.image, description.label.classes
    size = 4 * image.shape[0] * image.shape[1] * image.shape[2]
    if size > LARGEST_IMAGE:
        yield (
            "image.shape",
            list(image.shape),
            f"an image has {size:,} bytes as float32, and may have {LARGEST_IMAGE:,}",
        )
    if len(image.channels) != image.shape[2]:
        rule = f"must name {image.shape[2]} channels, as many as the last number of image.shape"
        yield "image.channels", [channel.name for channel in image.channels], rule
    if image.seed is not None and (image.seed[0] >= image.shape[0] or image.seed[1] >= image.shape[1]):
        last = [image.shape[0] - 1, image.shape[1] - 1]
        yield "image.seed", list(image.seed), f"must be the indices of a cell, from [0, 0] to {last}"
    for number, channel in enumerate(image.channels):
        if channel.published is not None and channel.published[0] >= channel.published[1]:
            rule = "the first number must be below the second"
            yield f"image.channels[{number}].published", list(channel.published), rule
    values = description.label.values
    if values is not None and len(values) != len(classes):
        yield "label.values", values, f"must have one value per class, {len(classes)}"
    if values is not None and len({type(value) for value in values}) > 1:
        yield "label.values", values, "must be all whole numbers or all texts"
    for number, variable in enumerate(description.variables):
        taken = variable.name in RESERVED or (variable.name == "weight" and description.weight is not None)
        if taken or keyword.iskeyword(variable.name):
            yield (
                f"variables[{number}].name",
                variable.name,
                "is taken; choose another name, and give the file's as key",
            )
    for key, names in (
        ("image.keys", image.keys),
        ("image.channels", [channel.name for channel in image.channels]),
        ("label.classes", classes),
        ("label.values", values or []),
        ("variables", [variable.name for variable in description.variables]),
    ):
        repeated = next((name for name, count in Counter(names).items() if count > 1), None)
        if repeated is not None:
            yield key, repeated, "is there twice; names must differ"
    for key, text in _texts(to_dict(description), ""):
        if not text.isprintable():
            yield key, text, "must be printable text on one line"


def _texts(value: Any, key: str) -> Iterator[tuple[str, str]]:
    """Yield all texts in nested values, each with its key."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from _texts(part, _join(key, name))
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from _texts(part, f"{key}[{number}]")
