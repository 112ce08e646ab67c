"""Voids in a chunk: the command's checks in their order, and who moves back what is voided."""

from collections.abc import Mapping
from functools import partial

from msgspec import Raw

from processor.domain.aggregates.event import Answered
from processor.domain.context import RecordContext
from processor.domain.effects import Effects
from processor.domain.handlers.handler import Answer
from processor.domain.handlers.members import differs, precondition_failed, require_member
from processor.domain.handlers.voiding import Voiding, VoidOf, amount, not_voidable
from processor.domain.inputs import Read
from processor.domain.state_kinds import VOID, void_key
from processor.domain.working_set import WorkingSet
from schemas import ids, outputs, replies
from schemas.records import Void, Voidable, portion_nanos


class Voids:
    """Steps through the voids of one chunk.

    ``kinds`` has who voids what, one small module each; what nobody voids is not voidable.
    """

    def __init__(
        self, entries: WorkingSet, effects: Effects, kinds: Mapping[Voidable, VoidOf]
    ) -> None:
        self._entries = entries
        self._effects = effects
        self._kinds = kinds

    def keys(self, item: Read, command: Void) -> tuple[bytes, ...]:
        """Name the entries to prefetch, besides the member's."""
        return (_answer_key(item, command),)

    def command(self, context: RecordContext, command: Void) -> Answer:
        """Void what a command names; return what answers it.

        Raises:
            Refused: nothing was changed.
        """
        member = require_member(self._entries, context)
        key = _answer_key(context, command)
        answered = self._entries.get(VOID, key)
        if answered is not None:
            context.repeat()
            return partial(replies.Reply, 200, answered.body)
        if differs(command.if_version, member.version):
            return precondition_failed
        voiding = Voiding(
            command=command,
            void_id=ids.void_id(context.project, context.member_id, command.unique_identifier),
            user_id=member.external_id,
            portion=portion_nanos(command.portion),
            at=context.present,
        )
        void = self._kinds.get(command.what)
        if void is None:
            raise not_voidable()
        void(context, voiding)
        body = Raw(outputs.encode(_answer(context, voiding)))
        self._entries.set(VOID, key, Answered(body))
        return partial(replies.Reply, 200, body)


def _answer_key(item: Read | RecordContext, command: Void) -> bytes:
    return void_key(ids.void_id(item.project, item.member_id, command.unique_identifier))


def _answer(context: RecordContext, voiding: Voiding) -> outputs.VoidAnswer:
    command = voiding.command
    return outputs.VoidAnswer(
        voided=outputs.VoidedThing(
            what=command.what,
            id=voiding.voided_id,
            user_id=voiding.user_id,
            owned_by_id=context.member_id,
            portion=amount(voiding.portion),
            voided_portion=amount(voiding.voided.portion),
            unique_identifier=command.unique_identifier,
            reason=command.reason,
            actor=command.actor,
            voided_at=voiding.at,
        ),
        progress=voiding.progress,
        points=outputs.ReversedPoints(
            reversed=voiding.reversed, not_recovered=voiding.not_recovered
        ),
        revoked=voiding.revoked,
        not_revoked=voiding.not_revoked,
    )
