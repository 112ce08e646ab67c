"""The reference: what the API and the topics are, as pages for people and documents for machines.

Everybody may read it, and it loads nothing from elsewhere.
"""

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from api import pages, resources
from api.documents import asyncapi, openapi
from api.documents.schema_addresses import addressable
from api.http.component_refs import text
from api.http.face import Chapter, Face
from api.http.problems import Problem
from api.http.responses import json_response
from api.http.routing import DirectRoute
from api.pages.assets import asset

TAG = "reference"

router = APIRouter(tags=[TAG], route_class=DirectRoute)

_SCHEMA_MEDIA_TYPE = "application/schema+json"
_ASSET_HEADERS = {
    # The browser asks again, and is told in a few bytes that nothing changed.
    "cache-control": "public, no-cache",
    "vary": "accept-encoding",
}
_MISSING = {"responses": {"404": {"$ref": "#/components/responses/404"}}}
_HTML = "text/html"


@router.get("/openapi.json", summary="This API, as OpenAPI 3.1")
async def openapi_json(request: Request) -> Response:
    """Answer the OpenAPI document."""
    return json_response(openapi.document(request.app))


@router.get("/docs", summary="This API, for people", response_class=HTMLResponse)
async def docs() -> Response:
    """Answer a page that shows the OpenAPI document, and sends calls."""
    return pages.page("docs.html")


@router.get("/asyncapi.json", summary="The Kafka topics, as AsyncAPI 3.0")
async def asyncapi_json(request: Request) -> Response:
    """Answer the AsyncAPI document."""
    held = resources.of(request)
    return json_response(asyncapi.document(held.settings, request.app.version))


@router.get(
    "/asyncapi",
    summary="The Kafka topics: a page for browsers, else AsyncAPI 3.0",
    openapi_extra={
        "responses": {"200": {"description": "The page, or `/asyncapi.json`.", "content": {
            "application/json": {"schema": {"type": "object"}},
            "text/html": {"schema": {"type": "string"}},
        }}}
    },
)  # fmt: skip
async def topics(request: Request) -> Response:
    """Answer a page that shows the AsyncAPI document, or the document to who asks for no page."""
    prefers_page = request.headers.get("accept", "").lstrip().startswith(_HTML)
    response = pages.page("asyncapi.html") if prefers_page else await asyncapi_json(request)
    response.headers["vary"] = "accept"
    return response


@router.get("/schemas", summary="The addresses of all JSON Schemas")
async def schemas(request: Request) -> Response:
    """Answer where the JSON Schemas of definitions, inputs and output events are."""
    base = str(request.base_url)
    found = {name: f"{base}schemas/{name}.json" for name in sorted(addressable())}
    return json_response({"schemas": found})


@router.get("/schemas/{name}", summary="A JSON Schema", openapi_extra=_MISSING)
async def schema(name: str, request: Request) -> Response:
    """Answer one JSON Schema (2020-12), whole in itself: what it refers to is inside."""
    found = addressable().get(name.removesuffix(".json"))
    if found is None or not name.endswith(".json"):
        raise Problem(404, "There is no such schema; GET /schemas lists them.")
    document = {"$id": f"{request.base_url}schemas/{name}", **found}
    response = json_response(document)
    response.headers["content-type"] = _SCHEMA_MEDIA_TYPE
    return response


@router.get("/assets/{name}", summary="A file of the pages", openapi_extra=_MISSING)
async def file(name: str, request: Request) -> Response:
    """Answer a script or a style sheet of a pinned package."""
    found = asset(name)
    if found is None:
        raise Problem(404, "There is no such file.")
    headers = {**_ASSET_HEADERS, "etag": found.etag}
    if request.headers.get("if-none-match") == found.etag:
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["content-encoding"] = "gzip"
        return Response(found.compressed, headers=headers, media_type=found.media_type)
    return Response(found.content, headers=headers, media_type=found.media_type)


def _path_parameter(_name: str) -> dict[str, object]:
    return text(minLength=1, maxLength=128)


FACE = Face(router, Chapter(TAG, security=(), path_parameter=_path_parameter))
