"""Settings: the `MILESTREAM_…` environment variables, read once and validated.

Every field of `Settings` is one variable: `MILESTREAM_` and the field's name in capitals. A
variable that is unset or empty is not given. What is not given comes from the local stack that
keeps its data in `MILESTREAM_DATA_DIR`, if there is one and no other servers are given (its
addresses, its database password, its master key), and else from the defaults below. So
`milestream keys create` in a second terminal talks to what `milestream up` started in the first.
"""

import base64
import binascii
import ipaddress
import json
import os
import re
import ssl
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

PREFIX = "MILESTREAM_"
LOCAL_STACK_FILE = "stack.json"
"""In the data dir, mode 0600: a JSON object of fields, as text, written by `milestream up`."""

_SERVERS = ("kafka", "database_url")
_TOPIC_CHARACTERS = re.compile(r"[A-Za-z0-9._-]*")
_HOST_PORT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")


class SettingsError(ValueError):
    """A setting is missing or has a bad value; the message names its variable."""


def variable(field: str) -> str:
    """The environment variable of a field: `api_port` is `MILESTREAM_API_PORT`."""
    return PREFIX + field.upper()


def _host(text: str) -> str:
    """A host's name or address. Python looks up none that it cannot write as IDNA does."""
    try:
        text.encode("idna")
    except UnicodeError:
        raise ValueError(f"{text!r} is no name of a host") from None
    return text


def _bootstrap(text: str) -> str:
    """One or more `host:port`, separated by commas."""
    servers = [part.strip() for part in text.split(",") if part.strip()]
    for server in servers:
        match = _HOST_PORT.fullmatch(server)
        if match is None or not 1 <= int(match[2]) <= 65535:
            raise ValueError(f"{server!r} is not host:port")
        _host(match[1])
    if not servers:
        raise ValueError("must name at least one host:port")
    return ",".join(servers)


def _database_url(text: str) -> str:
    # The text is not repeated in the message: it may hold a password.
    if urlsplit(text).scheme not in ("postgresql", "postgres"):
        raise ValueError("must be a URL like postgresql://user:password@host:5432/database")
    for host in (urlsplit(text).hostname or "").split(","):
        if "%" not in host:  # which would be the path of a socket
            _host(host)
    return text


def _topic_part(text: str) -> str:
    if _TOPIC_CHARACTERS.fullmatch(text) is None or len(text) > 150:
        raise ValueError("may hold letters, digits, '.', '_' and '-', at most 150")
    return text


def _http_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("must be a URL like https://milestream.example.org")
    return text.rstrip("/")


def _origin(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/"):
        raise ValueError("must be origins like https://app.example.org")
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError("must be origins like https://app.example.org")
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _master_key(value: Any) -> Any:
    """32 bytes, or their base64 text."""
    if isinstance(value, str):
        try:
            value = base64.b64decode(value, validate=True)
        except binascii.Error:
            raise ValueError("must be base64") from None
    if isinstance(value, bytes) and len(value) != 32:
        raise ValueError(f"must be 32 bytes in base64, has {len(value)}")
    return value


def _list(value: Any) -> Any:
    """A comma-separated text as a tuple; what is already a sequence stays."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _network(text: str) -> str:
    return str(ipaddress.ip_network(text))


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


Host = Annotated[str, Field(min_length=1), AfterValidator(_host)]
Port = Annotated[int, Field(ge=1, le=65535)]
TopicPart = Annotated[str, AfterValidator(_topic_part)]
Name = Annotated[str, Field(min_length=1), AfterValidator(_topic_part)]
Origin = Annotated[str, AfterValidator(_origin)]
Network = Annotated[str, AfterValidator(_network)]


class Settings(BaseModel):
    """All settings, immutable; `model_fields_set` says which ones were given.

    Secrets (`database_url`, `master_key`, `sasl_password`) are left out of the repr.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    data_dir: Path = Path(".milestream")
    """Where workers keep their state, and the local stack its data; relative to the working
    directory."""

    kafka_port: Port = 9092
    """Port of the local stack's broker."""
    database_port: Port = 5432
    """Port of the local stack's database."""

    kafka: Annotated[str, AfterValidator(_bootstrap)] = Field(
        default_factory=lambda given: f"127.0.0.1:{given['kafka_port']}"
    )
    """Bootstrap servers, `host:port[,host:port…]`."""
    database_url: Annotated[str, AfterValidator(_database_url)] = Field(
        default_factory=lambda given: (
            f"postgresql://milestream@127.0.0.1:{given['database_port']}/milestream"
        ),
        repr=False,
    )
    """The owner's login to the database, as a libpq URL."""

    topic_prefix: TopicPart = ""
    """Put before the name of every topic."""
    partitions: Annotated[int, Field(ge=1, le=1000)] = 4
    """Partitions of every topic that is keyed by member; cannot change once topics exist."""
    replication_factor: Annotated[int, Field(ge=1, le=32767)] = 1
    """Replicas of every topic."""
    application_id: Name = "milestream"
    """Consumer group of the workers, and the beginning of their transactional ids."""
    workers: Annotated[int, Field(ge=1, le=256)] = 1
    """How many workers `milestream up` starts."""
    worker_instance: Name | None = None
    """This worker's static group membership; without it, it is derived from the data dir."""
    tick_seconds: Annotated[int, Field(ge=1, le=60)] = 30
    """How often a worker writes down the time, at least: what ends with a period is found then."""
    reply_topics: Annotated[tuple[Name, ...], BeforeValidator(_list)] = ()
    """Topics that a request may name for its reply, besides `replies`; full names."""

    api_host: Host = "127.0.0.1"
    """Address that the API listens on."""
    api_port: Port = 8080
    """Port that the API listens on."""
    public_url: Annotated[str, AfterValidator(_http_url)] = Field(
        default_factory=lambda given: f"http://{given['api_host']}:{given['api_port']}"
    )
    """The API's address as callers see it; signatures are computed over it. No slash at the
    end."""
    api_processes: Annotated[int, Field(ge=1, le=64)] = 1
    """How many processes the API serves its port with."""
    api_receive_seconds: Annotated[int, Field(ge=1, le=600)] = 30
    """How long a request's head may take to come, and its body likewise."""
    api_idle_seconds: Annotated[int, Field(ge=1, le=3600)] = 75
    """How long a connection may be idle between two requests."""
    api_connections: Annotated[int, Field(ge=1, le=100_000)] = 900
    """Connections that one API process has at most."""
    api_peer_connections: Annotated[int, Field(ge=1, le=100_000)] = 400
    """How many of them one address may have; trusted proxies may have all."""
    cors_origins: Annotated[tuple[Origin, ...], BeforeValidator(_list)] = ()
    """Origins (`https://app.example.org`) whose browsers may call."""
    trusted_proxies: Annotated[tuple[Network, ...], BeforeValidator(_list)] = ()
    """Addresses or networks whose `X-Forwarded-For` is believed."""
    master_key: Annotated[bytes | None, BeforeValidator(_master_key)] = Field(
        default=None, repr=False
    )
    """32 bytes (base64 in the variable): encrypts the secrets of signing keys, and the keys that
    members' fields are sealed under."""

    metrics_port: Annotated[int, Field(ge=0, le=65535)] = 0
    """Port of a worker's or projector's metrics and health; 0: none."""
    metrics_host: Host = "127.0.0.1"
    """Address that they are told on."""
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)] = (
        "info"
    )
    """The least severe level that is logged."""
    log_format: Annotated[Literal["text", "json"], BeforeValidator(_lower)] = "text"
    """Whether a line of the log is text for people or a JSON object."""
    traces: Annotated[Literal["off", "otlp"], BeforeValidator(_lower)] = "off"
    """Whether requests and records are traced, to an OpenTelemetry collector."""

    security_protocol: Annotated[
        Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"], BeforeValidator(_upper)
    ] = "PLAINTEXT"
    """How to talk to Kafka."""
    sasl_mechanism: Annotated[
        Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"], BeforeValidator(_upper)
    ] = "PLAIN"
    """How to log in to Kafka, with a SASL protocol."""
    sasl_username: str | None = None
    """Who logs in to Kafka."""
    sasl_password: str | None = Field(default=None, repr=False)
    """Its password."""
    ssl_cafile: Path | None = None
    """PEM file of the authorities that Kafka's certificate is checked against; without it, the
    system's."""
    ssl_certfile: Path | None = None
    """PEM file of the certificate that is shown to Kafka."""
    ssl_keyfile: Path | None = None
    """PEM file of that certificate's key."""

    @model_validator(mode="after")
    def _kafka_login_is_whole(self) -> Self:
        if self.security_protocol.startswith("SASL"):
            for field in ("sasl_username", "sasl_password"):
                if getattr(self, field) is None:
                    raise SettingsError(f"{variable(field)} must be given with {self._protocol()}")
        if self.ssl_keyfile is not None and self.ssl_certfile is None:
            raise SettingsError(f"{variable('ssl_certfile')} must be given with a key file")
        return self

    def _protocol(self) -> str:
        return f"{variable('security_protocol')}={self.security_protocol}"

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ, *, local_stack: bool = True) -> Self:
        """Read the settings; with `local_stack`, what is not given comes from the data dir's.

        Raises:
            SettingsError: a value is bad; the message names the variable, never a secret's value.
        """
        given = {
            field: env[variable(field)] for field in cls.model_fields if env.get(variable(field))
        }
        settings = cls.of(given)
        if not local_stack:
            return settings
        stack = _local_stack(settings.data_dir)
        if any(given.get(field, stack.get(field)) != stack.get(field) for field in _SERVERS):
            stack = {}  # these are other servers: its prefix and its keys are not theirs
        return cls.of({**stack, **given})

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Validate fields given by name; like the constructor, but raises `SettingsError`."""
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise SettingsError(_explain(error)) from None

    def to_env(self, without: Collection[str] = ()) -> dict[str, str]:
        """The variables that make `from_env` give these settings again, for a child process that
        is not to have the fields of `without`."""
        return {
            variable(field): _text(value)
            for field in type(self).model_fields
            if field not in without and (value := getattr(self, field)) not in (None, "", ())
        }

    def topic(self, name: str) -> str:
        """The full name of a topic of the catalogue: the prefix, then the name."""
        return self.topic_prefix + name

    def kafka_options(self) -> dict[str, Any]:
        """Keyword arguments for every aiokafka client: where the brokers are, and the login.

        Raises:
            SettingsError: a certificate or key file cannot be read.
        """
        options: dict[str, Any] = {
            "bootstrap_servers": self.kafka,
            "security_protocol": self.security_protocol,
        }
        if self.security_protocol.startswith("SASL"):
            options["sasl_mechanism"] = self.sasl_mechanism
            options["sasl_plain_username"] = self.sasl_username
            options["sasl_plain_password"] = self.sasl_password
        if self.security_protocol.endswith("SSL"):
            options["ssl_context"] = self._ssl_context()
        return options

    def _ssl_context(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self.ssl_cafile)
        except OSError as error:
            raise SettingsError(_unreadable("ssl_cafile", self.ssl_cafile, error)) from error
        if self.ssl_certfile is not None:
            try:
                context.load_cert_chain(self.ssl_certfile, self.ssl_keyfile)
            except OSError as error:
                raise SettingsError(
                    _unreadable("ssl_certfile", self.ssl_certfile, error)
                ) from error
        return context


def _unreadable(field: str, path: Path | None, error: OSError) -> str:
    return f"{variable(field)}: cannot use {path}: {error.strerror or error}"


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, tuple):
        return ",".join(value)
    return str(value)


def _explain(error: ValidationError) -> str:
    """The first thing that is wrong, with its variable named."""
    for detail in error.errors():
        if detail["type"] == "default_factory_not_called":
            continue  # only says that a setting it depends on is bad
        cause = detail.get("ctx", {}).get("error")
        if isinstance(cause, SettingsError):
            return str(cause)
        reason = str(cause) if cause is not None else detail["msg"]
        return f"{variable(str(detail['loc'][0]))}: {reason}"
    return str(error)


def _local_stack(data_dir: Path) -> dict[str, str]:
    """What the local stack in this data dir wrote down; nothing where there is none."""
    path = data_dir / LOCAL_STACK_FILE
    try:
        values = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise SettingsError(f"{variable('data_dir')}: cannot read {path}: {error}") from error
    if not isinstance(values, dict):
        raise SettingsError(f"{variable('data_dir')}: {path} is not a JSON object")
    return values
