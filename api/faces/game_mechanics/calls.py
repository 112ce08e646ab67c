"""A call, and what several methods need of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from uuid import UUID

from fastapi import Request
from psycopg import AsyncConnection

from api import resources
from api.faces.game_mechanics.errors import CallError, bad, unauthorized
from api.faces.game_mechanics.parameters import Parameters
from api.queries import users as queries
from api.resources import Resources
from schemas import ids

RECENT = timedelta(days=7)
"""What the platform's `7Days` fields and period cover, up to now."""


@dataclass(frozen=True)
class Call:
    """The parameters of an authorized call, and its project."""

    request: Request
    parameters: Parameters
    project: str

    @property
    def held(self) -> Resources:
        """The resources of the process."""
        return resources.of(self.request)

    def member_id(self, user_id: str) -> str:
        """Return the id of the member that the project calls so."""
        return ids.member_id(self.project, user_id)

    @asynccontextmanager
    async def member(self, *models: str) -> AsyncIterator[tuple[AsyncConnection, UUID]]:
        """Yield a connection and the member `UID`, once these read models are up to date.

        Raises:
            CallError: `UID` is missing, or the project has no such user.
        """
        member_id = UUID(self.member_id(self.parameters.required("UID")))
        await self.held.barrier.wait(("members", *models))
        async with self.held.reads.connection() as connection:
            if not await queries.exists(connection, self.project, member_id):
                raise unknown_user()
            yield connection, member_id

    def ip(self) -> str | None:
        """Return the user's IP address: the parameter `ip`, else the caller's.

        Raises:
            CallError: what was given is no address.
        """
        address = self.parameters.text("ip")
        client = self.request.client
        try:
            return str(ip_address(address or (client.host if client else "")))
        except ValueError:
            if address is None:
                return None  # a proxy's header has no valid address
            raise bad("ip", "must be an IP address") from None


def unknown_user() -> CallError:
    """Return the error of an unknown `UID`."""
    return unauthorized("there is no user with this UID")


async def recently(call: Call) -> datetime:
    """Return the beginning of the recent period."""
    return await call.held.clocks.present(call.held.definitions.followed, call.project) - RECENT
