"""Whether a process may listen where its settings say, looked at before it begins."""

import errno
import os
import socket

from deploy.errors import CommandError
from schemas.settings import variable


def require_free(host: str, port: int, settings: tuple[str, str]) -> None:
    """Check that a server can listen.

    Args:
        host: the address, as the settings have it.
        port: the port; 0 is none.
        settings: the fields that host and port come from.

    Raises:
        CommandError: it cannot; the message names the setting.
    """
    if port == 0:
        return
    try:
        family, kind, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        message = f"{variable(settings[0])}: {host}: {error.strerror}"
        raise CommandError(message) from error
    with socket.socket(family, kind) as probe:
        # As servers do it: connections of a server that has just ended do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            raise CommandError(_refusal(error, host, port, settings)) from error


def _refusal(error: OSError, host: str, port: int, settings: tuple[str, str]) -> str:
    host_setting, port_setting = map(variable, settings)
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} of {host} is taken by another program: end it, or set {port_setting} to "
            "another"
        )
    if error.errno == errno.EACCES:
        return f"{port_setting}: this user may not listen on port {port}: set it to one from 1024"
    why = os.strerror(error.errno) if error.errno else str(error)
    return f"{host_setting}: cannot listen on {host}: {why}"
