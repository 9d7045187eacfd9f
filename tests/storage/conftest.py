from collections.abc import Iterator

import pytest

from tests.storage import s3


@pytest.fixture(scope="session")
def s3_port() -> Iterator[int]:
    """A small real S3 server, started once a run."""
    with s3.server() as port:
        yield port
