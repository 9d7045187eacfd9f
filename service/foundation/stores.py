"""Object stores: the school's S3-compatible server, or a folder, behind one library; where they are and who may enter is a file.

What is put there has opaque names and is encrypted before it leaves; a store is trusted with nothing but keeping bytes.
"""

import configparser
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from obstore.exceptions import BaseError
from obstore.store import ObjectStore, S3Store

from service.foundation.errors import Invalid, Unavailable

HERE = frozenset({"localhost", "127.0.0.1", "::1"})
ANSWERS_WITHIN = timedelta(seconds=20)


class StoreSilent(Unavailable):
    """The store of the recordings does not answer. Nothing is lost. Try again in a few minutes, or tell the technician."""

    code = "store-silent"


def is_s3(address: str) -> bool:
    return address.startswith("s3://")


def s3(address: str, access: Path | None) -> ObjectStore:
    """The store at `s3://bucket/prefix`. `access`: a file as S3 tools know it; a section may have the bucket's name."""
    parts = urlsplit(address)
    if parts.scheme != "s3" or not parts.netloc:
        raise Invalid(f"{address} is not an address such as s3://bucket/folder.")
    words = _access(access, parts.netloc)
    endpoint = urlsplit(words.get("endpoint_url", ""))
    if endpoint.scheme == "http" and endpoint.hostname not in HERE:
        raise Invalid("The store's endpoint_url must begin with https://.")
    try:
        return S3Store(
            parts.netloc, prefix=parts.path.strip("/") or None, endpoint=endpoint.geturl() or None,
            region=words.get("region", "us-east-1"), access_key_id=words["aws_access_key_id"],
            secret_access_key=words["aws_secret_access_key"],
            client_options={"allow_http": endpoint.scheme == "http", "connect_timeout": timedelta(seconds=5),
                            "timeout": ANSWERS_WITHIN},
            retry_config={"max_retries": 2, "retry_timeout": ANSWERS_WITHIN},
        )
    except KeyError as error:
        raise Invalid(f"The file of CHAPERONE_S3_ACCESS_FILE has no {error.args[0]} for {parts.netloc}.") from error


def _access(path: Path | None, bucket: str) -> dict[str, str]:
    if path is None:
        raise Invalid("An s3:// address needs CHAPERONE_S3_ACCESS_FILE: a file with the endpoint and the keys of access.")
    read = configparser.ConfigParser(interpolation=None, default_section="")
    try:
        if os.stat(path).st_mode & 0o077:
            raise Invalid(f"Other users of this machine can read {path.name}. Take that away: chmod 600.")
        read.read_string(path.read_text())
    except (OSError, configparser.Error) as error:
        raise Invalid(f"The file of CHAPERONE_S3_ACCESS_FILE cannot be read: {type(error).__name__}.") from error
    return {name: value for section in ("default", bucket) if section in read for name, value in read[section].items()}


@contextmanager
def answering() -> Iterator[None]:
    """A store's silence or refusal, in plain words. What is not there stays `FileNotFoundError`."""
    try:
        yield
    except FileNotFoundError:
        raise
    except (BaseError, OSError) as error:
        raise StoreSilent() from error
