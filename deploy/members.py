"""All that is held of one member, and the end of it: what the commands do."""

import asyncio
from collections.abc import Callable
from uuid import UUID

import msgspec

from api.http.problems import Problem
from api.kafka import clients
from api.kafka.processor_client import TIMEOUT_SECONDS, ProcessorClient, refusal
from api.metrics import Metrics
from api.queries import exports
from api.queries.operations import snapshot
from deploy.errors import CommandError
from deploy.topics_create import check_topics
from deploy.up_to_date import ends_of, tables_at
from schemas import ids, records
from schemas.records import ForgetMember
from schemas.replies import Reply
from schemas.settings import Settings
from schemas.topics import MEMBER_COMMANDS


async def export(settings: Settings, project: str, user: str, write: Callable[[str], None]) -> None:
    """Write all that is held of a member as JSON, piece by piece.

    Raises:
        CommandError: the project has no such member, topics are missing, the database does not
            answer, or its tables are behind.
        KafkaError: the broker does not answer.
    """
    member_id = UUID(ids.member_id(project, user))
    await check_topics(settings)
    ends = await ends_of(settings, exports.READ_MODELS)
    async with (
        tables_at(settings, ends, "an export would lack something") as connection,
        snapshot(connection),
    ):
        profile = await exports.member(connection, project, member_id)
        if profile is None:
            raise unknown(project, user)
        async for piece in exports.pieces(connection, project, member_id, profile):
            write(piece)


async def forget(settings: Settings, project: str, user: str) -> str:
    """Have a member forgotten; return the answer as JSON.

    Raises:
        CommandError: the project has no such member, topics are missing, or no worker answered.
        KafkaError: the broker does not answer.
    """
    await check_topics(settings)
    reply = await _reply(settings, project, user)
    if reply is None:
        raise CommandError(
            f"the command was taken, but no worker answered within {TIMEOUT_SECONDS:.0f} s; "
            "repeating it is safe"
        )
    if reply.status == 404:
        raise unknown(project, user)
    if reply.status >= 400:
        raise CommandError(refusal(reply).detail)
    return bytes(reply.body).decode()


async def _reply(settings: Settings, project: str, user: str) -> Reply | None:
    member_id = ids.member_id(project, user)
    command = records.encode(ForgetMember(project=project, user_id=user))
    async with clients.producer(settings) as producer:
        processor = ProcessorClient(settings, producer, Metrics())
        try:
            await processor.start()
            answers = asyncio.create_task(processor.run())
            try:
                return await processor.send(MEMBER_COMMANDS, member_id, command)
            except Problem as problem:
                raise CommandError(problem.detail) from problem
            except msgspec.MsgspecError as error:
                raise CommandError("the answer of a worker cannot be read") from error
            finally:
                answers.cancel()
                await asyncio.gather(answers, return_exceptions=True)
        finally:
            await processor.stop()


def unknown(project: str, user: str) -> CommandError:
    """Return that a project has no such member."""
    return CommandError(f"project {project} has no member {user!r}")
