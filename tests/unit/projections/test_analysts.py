"""The URL of an analyst's login."""

import pytest
from psycopg.conninfo import conninfo_to_dict

from projections.analysts import _url_for


@pytest.mark.parametrize(
    "owners",
    [
        "postgresql:///db?host=%2Fvar%2Frun&user=owner&password=hunter2&connect_timeout=3",
        "postgresql://owner:hunter2@/db?host=%2Fvar%2Frun&connect_timeout=3",
        "postgresql://owner:hu%40nter2@/db?pass%77ord=hunter2&host=/var/run&connect_timeout=3",
        "postgresql:///db?sslpassword=hunter2&host=/var/run&connect_timeout=3&sslkey=/hunter2",
    ],
)
def test_it_has_the_place_and_nothing_of_the_owners_login(owners: str) -> None:
    url = _url_for(owners, "analyst_a", "p/w")
    assert "owner" not in url
    assert "nter2" not in url
    assert conninfo_to_dict(url) == {
        "user": "analyst_a",
        "password": "p/w",
        "dbname": "db",
        "host": "/var/run",
        "connect_timeout": "3",
    }


def test_several_hosts_and_no_options_stay() -> None:
    url = _url_for("postgresql://owner:x@[::1]:5432,b:5433/db", "analyst_a", "pw")
    assert url == "postgresql://analyst_a:pw@[::1]:5432,b:5433/db"
