"""What went wrong with a remote object, in one line that names its URL and nothing secret."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from store.errors import RemoteError, printable
from store.locations import Url
from store.remote.credentials import METADATA, no_credentials

LONGEST = 200  # characters of a library's own words
DENIED = "access denied; check the credentials in the environment"
METADATA_HOSTS = (METADATA[0], "metadata.google.internal")
NO_ANSWER = "the server does not answer"
NO_BUCKET = "there is no such bucket"
WORDS = (
    ("Account must be specified", "no AZURE_STORAGE_ACCOUNT_NAME in the environment"),
    ("NoSuchBucket", NO_BUCKET),
    ("ContainerNotFound", "there is no such container"),
    ("operation timed out", NO_ANSWER),
    ("kind: Timeout", NO_ANSWER),
    ("Connection refused", "connection refused"),
    ("dns error", "no such host"),
    ("IncompleteBody", "the connection ended before all bytes were there"),
    ("kind: Body", "the connection ended before all bytes were there"),
    ("certificate", "its certificate is not valid"),
    ("kind: Connect", "no connection to the server"),
)
STATUS = re.compile(r"status(?: code)?: (\d{3}(?: [A-Z][A-Za-z]*)*)")


class NoRangesError(RemoteError):
    """A server sends whole objects only."""


@contextmanager
def naming_url(url: Url, *, doing: str = "read") -> Iterator[None]:
    """Turn what a library raises about a remote object into one line that names its URL."""
    try:
        yield
    except RemoteError:
        raise
    except FileNotFoundError as error:
        if "NoSuchBucket" in str(error):
            raise RemoteError(f"{url}: cannot be {doing} ({NO_BUCKET})") from error
        raise FileNotFoundError(2, "no such object", str(url)) from None
    except Exception as error:
        raise RemoteError(f"{url}: cannot be {doing} ({explain(error, url.scheme)})") from error


def explain(error: Exception, scheme: str) -> str:
    """Return why a request failed, in one line, without what may hold a signature or repeats the request."""
    name, text = type(error).__name__, str(error)
    if name in ("UnauthenticatedError", "PermissionDeniedError"):
        return "the server denies access" if scheme in ("http", "https") else DENIED
    if any(host in text for host in METADATA_HOSTS):
        return no_credentials(scheme)
    words = next((words for sign, words in WORDS if sign in text), None)
    if words is not None:
        return words
    status = STATUS.search(text)
    if status:
        return f"the server answers {status[1]}"
    own = " ".join(text.partition("Debug source")[0].split()).rpartition(" - ")[2]
    return printable(re.sub(r"\?\S*", "", own))[:LONGEST] or name
