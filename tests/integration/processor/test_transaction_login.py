"""Transactions on a cluster that asks for a login, over TLS."""

import asyncio
import ipaddress
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiokafka.errors import KafkaError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from deploy.topics_create import create_topics
from processor.domain.effects import Effects
from processor.transactions import Overdue, PartitionProducer, producer
from schemas.settings import Settings
from schemas.topics import PROGRESS_EVENTS
from tests.faults.servers import Brokers
from tests.integration.processor.driving import drain
from tests.ports import free_port
from tests.stack import stack_directory

PASSWORD = "correct horse"
_LOGIN = "org.apache.kafka.common.security.plain.PlainLoginModule"


def certify(directory: Path) -> tuple[Path, Path]:
    """Make a certificate for 127.0.0.1; return the broker's file with the key, and the clients'."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "broker")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    both, public = directory / "broker.pem", directory / "ca.pem"
    both.write_bytes(private + certificate)
    public.write_bytes(certificate)
    return both, public


@pytest.fixture(scope="module")
def guarded() -> Iterator[Settings]:
    """Settings of topics on a broker whose clients log in."""
    with stack_directory() as directory:
        keystore, authority = certify(directory)
        plain, secure, controller = (free_port() for _ in range(3))
        listener = "listener.name.secure."
        brokers = Brokers(
            directory,
            1,
            properties={
                "listeners": f"PLAINTEXT://127.0.0.1:{plain},SECURE://127.0.0.1:{secure},"
                f"CONTROLLER://127.0.0.1:{controller}",
                "advertised.listeners": f"PLAINTEXT://127.0.0.1:{plain},"
                f"SECURE://127.0.0.1:{secure}",
                "controller.quorum.voters": f"1@127.0.0.1:{controller}",
                "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,SECURE:SASL_SSL,"
                "CONTROLLER:PLAINTEXT",
                f"{listener}ssl.keystore.type": "PEM",
                f"{listener}ssl.keystore.location": keystore,
                f"{listener}sasl.enabled.mechanisms": "PLAIN",
                f"{listener}plain.sasl.jaas.config": f'{_LOGIN} required user_worker="{PASSWORD}";',
            },
        )
        brokers.listen_at(plain)
        try:
            brokers.start()
            made = Settings.of(
                {
                    "kafka": f"127.0.0.1:{secure}",
                    "partitions": 1,
                    "security_protocol": "SASL_SSL",
                    "sasl_mechanism": "PLAIN",
                    "sasl_username": "worker",
                    "sasl_password": PASSWORD,
                    "ssl_cafile": str(authority),
                }
            )
            create_topics(made)
            yield made
        finally:
            brokers.stop()


def test_a_transaction_is_written_after_a_login(guarded: Settings) -> None:
    effects = Effects(writes={b"t1": b"x"})
    effects.put(PROGRESS_EVENTS, b"k", b"v")

    async def run() -> None:
        owner = PartitionProducer(guarded, 0)
        await owner.fence()
        await owner.write(effects)
        await owner.close()

    asyncio.run(run())
    assert [record.value for record in drain(guarded, PROGRESS_EVENTS)] == [b"v"]


def test_who_has_no_login_takes_nothing(guarded: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(producer, "FENCE_SECONDS", 5)
    stranger = guarded.model_copy(update={"sasl_password": "wrong"})

    async def run() -> None:
        owner = PartitionProducer(stranger, 0)
        with pytest.raises((KafkaError, Overdue)):
            await owner.fence()
        await owner.close()

    asyncio.run(run())
