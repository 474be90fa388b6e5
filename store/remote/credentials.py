"""Where credentials of object stores come from, and what to say if there are none."""

import os
import socket
from pathlib import Path

from store.errors import ConfigError

METADATA = ("169.254.169.254", 80)  # where virtual machines in a cloud get credentials
METADATA_WAIT = 2.0  # seconds
VARIABLES = {
    "s3": (
        "AWS_ACCESS_KEY_ID",
        "AWS_SKIP_SIGNATURE",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_METADATA_ENDPOINT",
    ),
    "gs": (
        "GOOGLE_APPLICATION_CREDENTIALS",
        "GOOGLE_SKIP_SIGNATURE",
        "GOOGLE_SERVICE_ACCOUNT",
        "GOOGLE_SERVICE_ACCOUNT_PATH",
        "GOOGLE_SERVICE_ACCOUNT_KEY",
    ),
    "az": ("AZURE_STORAGE_ACCOUNT_KEY", "AZURE_SKIP_SIGNATURE"),
}
"""Variables that say where credentials come from: the most usual one, one for public data, others."""
GOOGLE_LOGIN = Path("~/.config/gcloud/application_default_credentials.json")


def check_credentials(root: str) -> None:
    """Raise ConfigError if credentials can only come from a cloud's metadata service, and there is none.

    obstore would ask for it again and again, for minutes.

    Parameters
    ----------
    root
        Scheme and bucket.
    """
    scheme = root.partition(":")[0]
    if scheme not in ("s3", "gs") or any(os.environ.get(name) for name in VARIABLES[scheme]):
        return
    if scheme == "gs" and GOOGLE_LOGIN.expanduser().is_file():
        return
    try:
        socket.create_connection(METADATA, METADATA_WAIT).close()
    except OSError:
        raise ConfigError(f"{root}: {no_credentials(scheme)}") from None


def no_credentials(scheme: str) -> str:
    """Return that there are no credentials, and which variables would give some."""
    if scheme not in VARIABLES:
        return "no credentials in the environment"
    usual, public = VARIABLES[scheme][:2]
    return f"no credentials in the environment, such as {usual}; public data needs {public}=true"
