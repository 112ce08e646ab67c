"""``pathways``: the pathways in force. ``pathway_activities`` is a view of their definitions."""

from projections.in_force import in_force
from projections.json_text import storable
from schemas.definitions import Pathway, encode


def _definition(pathway: Pathway) -> str:
    return storable(encode(pathway).decode())


PROJECTION = in_force("pathways", Pathway, ("name",), computed={"definition": _definition})
