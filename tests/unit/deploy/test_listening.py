"""A port that is taken is named before anything begins."""

import socket
from collections.abc import Iterator

import pytest

from deploy.errors import CommandError
from deploy.listening import require_free

METRICS = ("metrics_host", "metrics_port")


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_port_that_is_taken_is_named_with_its_setting(taken: int) -> None:
    said = f"port {taken} of 127.0.0.1 is taken .* set MILESTREAM_METRICS_PORT to another"
    with pytest.raises(CommandError, match=said):
        require_free("127.0.0.1", taken, METRICS)


@pytest.mark.parametrize("host", ["192.0.2.1", "nowhere.invalid"])
def test_an_address_of_others_is_named_with_its_setting(host: str) -> None:
    with pytest.raises(CommandError, match=f"^MILESTREAM_API_HOST: .*{host}"):
        require_free(host, 18080, ("api_host", "api_port"))


def test_what_is_free_or_none_is_allowed(taken: int) -> None:
    require_free("127.0.0.1", 0, METRICS)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    require_free("127.0.0.1", port, METRICS)
    assert port != taken
