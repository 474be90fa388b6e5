"""Damage to the structure of JSON and TOML documents."""

import copy
import json
import math
import tomllib
from pathlib import Path
from typing import Any

import numpy as np

from tests.fuzz.damage import Damage, Level

DEEP = "a value that is nested a thousand times"
TWICE = " (the second key of this name)"
ESCAPES = "\x1b]0;title\x07\x1b[2J\x9b31m"
HOSTILE: tuple[Any, ...] = (
    *(None, True, False, -1, 0, 1, 2, 2**31, 2**63, 10**12, 10**30, 1e308, -1e308, 1e-320, 0.5),
    *(
        math.nan,
        math.inf,
        "",
        "none",
        "x" * 100_000,
        ESCAPES,
        "\x00",
        "two\nlines",
        "..",
        "/dev/null",
        "[red]x",
        "ü\ud7ff",
    ),
    *([], {}, [[]], [None], [1, 2, 3], [-1, 10**11], {"": 0}, DEEP),
)


def places(tree: Any) -> list[tuple[Any, Any]]:
    """Return every container and key inside a tree of lists and dictionaries."""
    inside = list(tree.items()) if isinstance(tree, dict) else list(enumerate(tree)) if isinstance(tree, list) else []
    return [place for key, value in inside for place in ((tree, key), *places(value))]


def damage_tree(random: np.random.Generator, tree: Any) -> tuple[Any, str]:
    """Return a tree with one or two changes, and a description of them."""
    tree, notes = copy.deepcopy(tree), []
    for _ in range(random.integers(1, 3)):
        known = places(tree)
        if not known or random.integers(100) == 0:
            tree = HOSTILE[random.integers(len(HOSTILE))]
            notes.append(f"the whole document is {tree!r:.40}")
            break
        notes.append(_change(random, *known[random.integers(len(known))], known))
    return tree, "; ".join(notes)


def _change(random: np.random.Generator, holder: Any, key: Any, known: list[tuple[Any, Any]]) -> str:
    kind, value = random.integers(9), holder[key]
    if kind == 0:
        del holder[key]
        return f"{key} is deleted"
    if kind == 1:
        if isinstance(holder, list):
            holder.insert(key, copy.deepcopy(value))
        else:
            holder[f"{key}{TWICE}"] = HOSTILE[random.integers(len(HOSTILE))]
        return f"{key} is there twice"
    if kind == 2 and isinstance(holder, dict):
        holder[("", f"{key} ", ESCAPES, key.upper())[random.integers(4)]] = holder.pop(key)
        return f"{key} is renamed"
    if kind == 3:
        other, there = known[random.integers(len(known))]
        holder[key] = copy.deepcopy(other[there])
        return f"{key} has the value of {there}"
    if kind == 4:
        holder[key] = [copy.deepcopy(value)]
        return f"{key} is in a list"
    if kind == 5 and isinstance(value, int | float):
        holder[key] = (-value, value + 1, value - 1, 1000 * value, str(value), float(value))[random.integers(6)]
        return f"{key} = {holder[key]}"
    holder[key] = HOSTILE[random.integers(len(HOSTILE))]
    return f"{key} = {holder[key]!r:.40}"


def to_json(tree: Any) -> str:
    """Return a damaged tree as text."""
    text = json.dumps(tree, indent=1).replace(TWICE, "")
    return text.replace(json.dumps(DEEP), "[" * 1000 + "]" * 1000)


def to_toml(tree: Any) -> str:
    """Return a damaged flat tree as text."""
    if not isinstance(tree, dict):
        return _toml_value(tree)
    return "".join(f"{_toml_key(name)} = {_toml_value(value)}\n" for name, value in tree.items())


def _toml_key(name: str) -> str:
    name = name.replace(TWICE, "")
    return name if name.isidentifier() and name.isascii() else json.dumps(name)


def _toml_value(value: Any) -> str:
    if value == DEEP:
        return "[" * 1000 + "]" * 1000
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml_key(name)} = {_toml_value(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml_value, value)) + "]"
    if value is None:
        return ""
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    return json.dumps(value)


def json_of(random: np.random.Generator, path: Path) -> Damage:
    """Change the structure of a JSON file, or of one line of a file with a document on each line."""
    lines = path.read_text().splitlines()
    if path.suffix == ".jsonl":
        number = int(random.integers(len(lines)))
        tree, note = damage_tree(random, json.loads(lines[number]))
        lines[number] = to_json(tree).replace("\n", "")
        text = "\n".join(lines) + "\n"
    else:
        tree, note = damage_tree(random, json.loads("\n".join(lines)))
        text = to_json(tree)
    path.write_text(text)
    return Damage(f"{path.name}: {note}", Level.NOBODY, path.name)


def toml_of(random: np.random.Generator, path: Path) -> Damage:
    """Change the structure of a TOML file."""
    tree, note = damage_tree(random, tomllib.loads(path.read_text()))
    path.write_text(to_toml(tree))
    return Damage(f"{path.name}: {note}", Level.NOBODY, path.name)
