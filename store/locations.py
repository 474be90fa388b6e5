"""Where files are: paths of this machine, or URLs."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from store.errors import ConfigError

SCHEMES = ("s3", "gs", "az", "http", "https", "root")
KNOWN = "paths of this machine, file://, " + ", ".join(f"{scheme}://" for scheme in SCHEMES)
URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


@dataclass(frozen=True, order=True)
class Url:
    """A file, folder or prefix on another machine.

    Shown and recorded without its query, which may hold a signature.

    Parameters
    ----------
    text
        The URL, such as ``s3://bucket/showers.zarr``, without a slash at its end.

    Raises
    ------
    ConfigError
        If the scheme is unknown, the URL names no host or bucket, or it contains a password.
    """

    text: str

    def __post_init__(self) -> None:
        parts = urlsplit(self.text)
        if parts.scheme not in SCHEMES:
            raise ConfigError(f"{self}: unknown kind of URL; known: {KNOWN}")
        if not parts.netloc:
            raise ConfigError(f"{self}: names no {'bucket' if parts.scheme in ('s3', 'gs', 'az') else 'host'}")
        if parts.password is not None:
            raise ConfigError(
                f"{self}: has a password in it, which would end up in logs; give credentials in the environment"
            )

    def __str__(self) -> str:
        has_patterns = self.scheme in ("s3", "gs", "az", "root")  # in which a question mark is a part of a name
        text = self.text if has_patterns else self.text.partition("?")[0]
        return re.sub(r"//[^/@]*:[^/@]*@", "//", text)

    @property
    def scheme(self) -> str:
        """Such as ``s3``."""
        return urlsplit(self.text).scheme

    @property
    def root(self) -> str:
        """Scheme and host or bucket, such as ``s3://bucket``."""
        parts = urlsplit(self.text)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def key(self) -> str:
        """Path below the root, without a slash at its beginning; of HTTP URLs, decoded."""
        path = (
            urlsplit(self.text).path.lstrip("/")
            if self._is_web
            else self.text.removeprefix(self.root).removeprefix("/")
        )
        return unquote(path) if self._is_web else path

    @property
    def query(self) -> str:
        """What follows a question mark in HTTP URLs, such as a signature; empty otherwise."""
        return urlsplit(self.text).query if self._is_web else ""

    @property
    def name(self) -> str:
        """Last part of the path."""
        return self.key.rpartition("/")[2]

    @property
    def suffix(self) -> str:
        """End of the name from its last dot on, such as ``.h5``; empty if there is none."""
        return Path(self.name).suffix

    @property
    def parent(self) -> "Url":
        """The prefix one level above."""
        return self._at(self.key.rpartition("/")[0])

    def __truediv__(self, name: str) -> "Url":
        return self._at(f"{self.key}/{name}" if self.key else name)

    def with_name(self, name: str) -> "Url":
        """Return the URL with another last part."""
        return self.parent / name

    @property
    def _is_web(self) -> bool:
        return self.scheme in ("http", "https")

    def _at(self, key: str) -> "Url":
        parts = urlsplit(self.text)
        if self._is_web:
            return Url(urlunsplit((parts.scheme, parts.netloc, f"/{quote(key)}", parts.query, "")))
        return Url(f"{self.root}/{key}" if key else self.root)


Location: TypeAlias = Path | Url


def locate(given: str | Path | Url) -> Location:
    """Return a path of this machine or a URL.

    Parameters
    ----------
    given
        A path, with ``~`` for the home folder; or a URL. ``file://`` URLs become paths.

    Raises
    ------
    ConfigError
        If it is a URL of an unknown kind.
    """
    if isinstance(given, Url):
        return given
    text = os.fspath(given)
    match = URL.match(text)
    if match is None:
        return Path(os.path.expanduser(text))  # noqa: PTH111  leaves a user that does not exist as it is
    scheme, rest = match[1].lower(), text[match.end() :]
    if scheme == "file":
        host, _, path = rest.partition("/")
        if host not in ("", "localhost"):
            raise ConfigError(f"{text}: is on the host {host}; file:// URLs name files of this machine")
        return Path(f"/{unquote(path)}")
    return Url(f"{scheme}://{rest.rstrip('/')}")
