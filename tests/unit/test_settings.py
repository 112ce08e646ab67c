"""Settings: read from variables, validated, secret where they must be."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from schemas.settings import LOCAL_STACK_FILE, Settings, SettingsError

KEY = base64.b64encode(bytes(range(32))).decode()


def read(tmp_path: Path, **variables: str) -> Settings:
    """Read settings from variables named without their prefix, with an empty data dir."""
    env = {f"MILESTREAM_{name}": value for name, value in variables.items()}
    return Settings.from_env({"MILESTREAM_DATA_DIR": str(tmp_path), **env})


def test_without_variables_the_defaults_count(tmp_path: Path) -> None:
    settings = read(tmp_path)
    assert settings.kafka == "127.0.0.1:9092"
    assert settings.database_url == "postgresql://milestream@127.0.0.1:5432/milestream"
    assert settings.public_url == "http://127.0.0.1:8080"
    assert (settings.partitions, settings.workers, settings.replication_factor) == (4, 1, 1)
    assert settings.model_fields_set == {"data_dir"}


def test_addresses_follow_their_ports(tmp_path: Path) -> None:
    settings = read(tmp_path, KAFKA_PORT="19092", DATABASE_PORT="15432", API_PORT="18080")
    assert settings.kafka == "127.0.0.1:19092"
    assert settings.database_url.endswith("@127.0.0.1:15432/milestream")
    assert settings.public_url == "http://127.0.0.1:18080"


def test_an_empty_variable_is_not_given(tmp_path: Path) -> None:
    assert read(tmp_path, KAFKA="", PARTITIONS="").partitions == 4


def test_lists_keys_and_words_are_read(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        REPLY_TOPICS="a, b,",
        CORS_ORIGINS="https://App.example.org, http://localhost:3000/",
        MASTER_KEY=KEY,
        LOG_LEVEL="WARNING",
        TRUSTED_PROXIES="10.0.0.0/8,127.0.0.1",
        PUBLIC_URL="https://m.example.org/",
        KAFKA="one:9092, [::1]:9093",
    )
    assert settings.reply_topics == ("a", "b")
    assert settings.cors_origins == ("https://app.example.org", "http://localhost:3000")
    assert settings.master_key == bytes(range(32))
    assert settings.log_level == "warning"
    assert settings.trusted_proxies == ("10.0.0.0/8", "127.0.0.1/32")
    assert settings.public_url == "https://m.example.org"
    assert settings.kafka == "one:9092,[::1]:9093"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KAFKA", "localhost"),
        ("KAFKA", "localhost:0"),
        ("KAFKA", ","),
        ("KAFKA_PORT", "65536"),
        ("DATABASE_PORT", "x"),
        ("DATABASE_URL", "mysql://me:secret@host/db"),
        ("API_PORT", "0"),
        ("API_PORT", "80.5"),
        ("API_CONNECTIONS", "0"),
        ("API_RECEIVE_SECONDS", "0"),
        ("CORS_ORIGINS", "*"),
        ("CORS_ORIGINS", "https://a.example.org/path"),
        ("CORS_ORIGINS", "https://a.example.org,null"),
        ("TICK_SECONDS", "0"),
        ("TICK_SECONDS", "61"),
        ("PARTITIONS", "0"),
        ("WORKERS", "-1"),
        ("REPLICATION_FACTOR", "0"),
        ("TOPIC_PREFIX", "a b"),
        ("TOPIC_PREFIX", "x" * 151),
        ("APPLICATION_ID", "a/b"),
        ("WORKER_INSTANCE", "a b"),
        ("REPLY_TOPICS", "ok,not ok"),
        ("MASTER_KEY", "not base64!"),
        ("MASTER_KEY", base64.b64encode(b"short").decode()),
        ("PUBLIC_URL", "m.example.org"),
        ("TRUSTED_PROXIES", "10.0.0.1/8"),
        ("METRICS_PORT", "-1"),
        ("LOG_LEVEL", "loud"),
        ("LOG_FORMAT", "xml"),
        ("SECURITY_PROTOCOL", "TLS"),
        ("SASL_MECHANISM", "GSSAPI"),
    ],
)
def test_a_bad_value_is_refused_with_its_variable_named(
    tmp_path: Path, name: str, value: str
) -> None:
    with pytest.raises(SettingsError, match=f"^MILESTREAM_{name}:"):
        read(tmp_path, **{name: value})


def test_a_login_to_kafka_must_be_whole(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="MILESTREAM_SASL_USERNAME"):
        read(tmp_path, SECURITY_PROTOCOL="SASL_SSL")
    with pytest.raises(SettingsError, match="MILESTREAM_SASL_PASSWORD"):
        read(tmp_path, SECURITY_PROTOCOL="SASL_SSL", SASL_USERNAME="me")
    with pytest.raises(SettingsError, match="MILESTREAM_SSL_CERTFILE"):
        read(tmp_path, SSL_KEYFILE="key.pem")


def test_kafka_options_are_those_of_aiokafka(tmp_path: Path) -> None:
    assert read(tmp_path).kafka_options() == {
        "bootstrap_servers": "127.0.0.1:9092",
        "security_protocol": "PLAINTEXT",
    }
    options = read(
        tmp_path,
        SECURITY_PROTOCOL="sasl_ssl",
        SASL_MECHANISM="scram-sha-512",
        SASL_USERNAME="me",
        SASL_PASSWORD="secret",
    ).kafka_options()
    assert options.pop("ssl_context").check_hostname
    assert options == {
        "bootstrap_servers": "127.0.0.1:9092",
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "me",
        "sasl_plain_password": "secret",
    }


def test_a_certificate_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.pem")
    with pytest.raises(SettingsError, match="MILESTREAM_SSL_CAFILE"):
        read(tmp_path, SECURITY_PROTOCOL="SSL", SSL_CAFILE=missing).kafka_options()
    with pytest.raises(SettingsError, match="MILESTREAM_SSL_CERTFILE"):
        read(tmp_path, SECURITY_PROTOCOL="SSL", SSL_CERTFILE=missing).kafka_options()


def test_secrets_show_neither_in_the_repr_nor_in_messages(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        DATABASE_URL="postgresql://me:hunter2@host/db",
        SASL_PASSWORD="hunter2",
        MASTER_KEY=KEY,
    )
    assert "hunter2" not in repr(settings)
    assert KEY not in repr(settings)
    with pytest.raises(SettingsError) as refused:
        read(tmp_path, DATABASE_URL="mysql://me:hunter2@host/db")
    assert "hunter2" not in str(refused.value)


def test_a_topic_takes_the_prefix(tmp_path: Path) -> None:
    assert read(tmp_path, TOPIC_PREFIX="prod.").topic("events") == "prod.events"


def test_a_child_process_reads_the_same_settings(tmp_path: Path) -> None:
    settings = Settings.of(
        {
            "data_dir": tmp_path,
            "master_key": bytes(32),
            "reply_topics": ("a", "b"),
            "trusted_proxies": ("10.0.0.0/8",),
            "worker_instance": "w-1",
            "partitions": 7,
        }
    )
    assert Settings.from_env(settings.to_env()) == settings


class TestLocalStack:
    """What is not given comes from the stack that keeps its data in the data dir."""

    STACK: Mapping[str, str] = {
        "kafka": "127.0.0.1:9093",
        "database_url": "postgresql://milestream:pw@127.0.0.1:5433/milestream",
        "master_key": KEY,
        "topic_prefix": "mine.",
    }

    @pytest.fixture(autouse=True)
    def stack(self, tmp_path: Path) -> None:
        (tmp_path / LOCAL_STACK_FILE).write_text(json.dumps(self.STACK))

    def test_its_addresses_and_its_key_count(self, tmp_path: Path) -> None:
        settings = read(tmp_path)
        assert settings.kafka == "127.0.0.1:9093"
        assert settings.database_url == self.STACK["database_url"]
        assert settings.master_key == bytes(range(32))

    def test_a_variable_goes_before_it(self, tmp_path: Path) -> None:
        assert read(tmp_path, TOPIC_PREFIX="other.").topic_prefix == "other."

    def test_other_servers_get_nothing_of_it(self, tmp_path: Path) -> None:
        settings = read(tmp_path, KAFKA="kafka.example.org:9092")
        assert settings.kafka == "kafka.example.org:9092"
        assert settings.topic_prefix == ""
        assert settings.master_key is None

    def test_its_own_server_named_again_is_no_other(self, tmp_path: Path) -> None:
        assert read(tmp_path, KAFKA="127.0.0.1:9093").topic_prefix == "mine."

    def test_a_file_that_cannot_be_read_is_an_error(self, tmp_path: Path) -> None:
        (tmp_path / LOCAL_STACK_FILE).write_text("{")
        with pytest.raises(SettingsError, match="MILESTREAM_DATA_DIR"):
            read(tmp_path)
