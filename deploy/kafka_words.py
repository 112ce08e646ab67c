"""What keeps a command from Kafka, in words of whoever typed it."""

import logging

from deploy.errors import CommandError
from schemas.settings import Settings, variable


class _LastSaid(logging.Handler):
    """Keeps why aiokafka could not connect: it logs that, and its exceptions do not say it."""

    why = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep what a record says of a connection."""
        if str(record.msg).startswith("Unable connect") and isinstance(record.args, tuple):
            error = record.args[-1]
            self.why = (isinstance(error, OSError) and error.strerror) or type(error).__name__


_last_said = _LastSaid()


def listen() -> None:
    """Keep what aiokafka says of connections for `unreachable`.

    In a process that has not set up logging, it is said there and nowhere else.
    """
    logging.getLogger("aiokafka").addHandler(_last_said)


def unreachable(settings: Settings) -> CommandError:
    """Return the failure that says that no broker answers, why, and what to do."""
    why = f" ({_last_said.why})" if _last_said.why else ""
    login = "" if settings.security_protocol == "PLAINTEXT" else ", its certificates and its login"
    return CommandError(
        f"no Kafka broker answers at {settings.kafka}{why}: start it, or correct "
        f"{variable('kafka')}{login}"
    )
