"""Where the copies of remote files are in the cache."""

import hashlib
from collections.abc import Iterator
from urllib.parse import quote, urlsplit

from store.locations import Url
from store.remote.space import FILES

LONGEST = 200  # characters; file systems take 255 bytes


def copy_name(url: Url) -> str:
    """Return the path of the copy of a remote file, relative to the cache's folder; it is like the URL."""
    return "/".join((FILES, *_parts(url)))


def _parts(url: Url) -> Iterator[str]:
    """Yield the parts of the path of a copy; the last one ends like the URL, since the suffix matters to readers."""
    yield url.scheme
    parts = urlsplit(url.text)
    yield quote(parts.netloc.rpartition("@")[2], safe=":[]")
    *folders, name = url.key.split("/")
    if parts.query:
        folders.append(hashlib.sha256(parts.query.encode()).hexdigest()[:16])
    for part in (*folders, name):
        quoted = quote(part, safe=" +=,@()[]{}") if part.strip(".") else quote(part).replace(".", "%2E") or "%"
        if len(quoted) > LONGEST:
            quoted = hashlib.sha256(part.encode()).hexdigest() + quoted[-20:]
        yield quoted
