"""The reference as others use it: a client that a public generator makes, the official parser of
AsyncAPI, and a browser."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.integration.api.browser import browser, is_there
from tests.integration.api.serving import Served

GENERATOR = "openapi-python-client==0.29.1"
PARSER = "@asyncapi/parser@3.6.6"
LIMIT_SECONDS = 240
"""Of what is fetched and run beside us."""

# Some zones differ in a sign only, which no name of Python's can have.
_CONFIG = "literal_enums: true\n"
_SMOKE = """
import sys
from milestream_client import Client
from milestream_client.api.events_and_analytics import post_event_event_post as post_event
from milestream_client.api.records import create_member, get_member
from milestream_client.models import EventBody, MemberBody

url, key, secret = sys.argv[1:]
with Client(url, headers={"x-api-key": key, "x-api-secret": secret}, timeout=300) as client:
    made = create_member.sync(client=client, body=MemberBody(external_id="generated", city="Ghent"))
    assert made.city == "Ghent", made
    read = get_member.sync(made.id, client=client)
    assert read.external_id == "generated", read
    refused = post_event.sync_detailed(
        client=client, body=EventBody(event_id="no-such-event", user_id="generated")
    )
    assert refused.status_code == 404, refused
    assert refused.parsed.status_code == 404, refused.parsed
"""
_PARSE = """
import { Parser } from "@asyncapi/parser";
let text = "";
for await (const chunk of process.stdin) text += chunk;
const { document, diagnostics } = await new Parser().parse(text);
const faults = diagnostics.filter(({ severity }) => severity <= 1);
console.log(JSON.stringify({ topics: document?.channels().all().length ?? 0, faults }));
"""


def run_beside(*command: str | Path, cwd: Path, stdin: str = "", **env: str) -> str:
    """Run a program to its end; return what it printed."""
    ran = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        input=stdin,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    assert ran.returncode == 0, f"{command}: {ran.stdout}{ran.stderr}"
    return ran.stdout


async def test_a_generated_client_calls_the_api(full_stack: Served, tmp_path: Path) -> None:
    async with full_stack.guest() as guest:
        (tmp_path / "openapi.json").write_bytes((await guest.get("/openapi.json")).content)
    (tmp_path / "config.yaml").write_text(_CONFIG)
    options = ("--path", "openapi.json", "--config", "config.yaml", "--output-path", "made")
    uv = Path(sys.executable).with_name("uv")
    said = run_beside(
        *(uv, "tool", "run", "--from", GENERATOR, "openapi-python-client", "generate"),
        *options,
        cwd=tmp_path,
    )
    assert "Unable to parse" not in said
    assert "Cannot parse" not in said
    run_beside(sys.executable, "-m", "compileall", "-q", "made", cwd=tmp_path)
    key = await full_stack.key()
    run_beside(
        *(sys.executable, "-c", _SMOKE, full_stack.url, key.key_id, key.secret),
        cwd=tmp_path,
        PYTHONPATH=str(tmp_path / "made"),
    )


@pytest.mark.skipif(shutil.which("npm") is None, reason="the parser needs Node.js")
async def test_the_official_parser_takes_the_asyncapi_document(
    full_stack: Served, tmp_path: Path
) -> None:
    async with full_stack.guest() as guest:
        document = (await guest.get("/asyncapi.json")).text
    (tmp_path / "package.json").write_text("{}")
    (tmp_path / "parse.mjs").write_text(_PARSE)
    run_beside("npm", "install", "--silent", "--no-audit", "--no-fund", PARSER, cwd=tmp_path)
    found = json.loads(run_beside("node", "parse.mjs", cwd=tmp_path, stdin=document))
    assert found == {"topics": len(json.loads(document)["channels"]), "faults": []}


@pytest.mark.skipif(not is_there(), reason="there is no browser")
async def test_a_browser_shows_the_pages(full_stack: Served, tmp_path: Path) -> None:
    with browser(tmp_path) as tab:
        for path, shown in (
            ("/docs", ("POST", "/schema/challenge_log/record", "Log an event")),
            ("/asyncapi", ("challenge-logs", "milestream.reward.granted.v1", "What you publish")),
        ):
            tab.open(full_stack.url + path)
            for text in shown:
                tab.wait(f"document.body?.textContent.includes({text!r})")
        assert tab.faults == []


async def test_asyncapi_is_a_page_for_browsers_and_a_document_for_others(
    api_without_worker: Served,
) -> None:
    async with api_without_worker.guest() as guest:
        document = await guest.get("/asyncapi.json")
        plain = await guest.get("/asyncapi")
        page = await guest.get("/asyncapi", headers={"accept": "text/html,*/*;q=0.8"})
    assert document.json()["asyncapi"] == "3.0.0"
    assert plain.json() == document.json()
    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["vary"] == plain.headers["vary"] == "accept"


async def test_schemas_have_addresses(api_without_worker: Served) -> None:
    async with api_without_worker.guest() as guest:
        listed: dict[str, str] = (await guest.get("/schemas")).json()["schemas"]
        assert {"Challenge", "EventRecord", "milestream.reward.granted.v1"} <= listed.keys()
        address = listed["milestream.reward.granted.v1"]
        found = await guest.get(httpx.URL(address).path)
        assert found.json()["$id"] == address
        assert found.headers["content-type"] == "application/schema+json"
        for wrong in ("/schemas/Nothing.json", "/schemas/Challenge", "/schemas/..%2F.json"):
            assert (await guest.get(wrong)).status_code == 404


async def test_files_of_the_pages_are_kept_by_browsers(api_without_worker: Served) -> None:
    async with api_without_worker.guest() as guest:
        for name in ("swagger-ui.css", "swagger-ui-bundle.js"):
            first = await guest.get(f"/assets/{name}")
            assert first.headers["content-encoding"] == "gzip"
            plain = await guest.get(f"/assets/{name}", headers={"accept-encoding": "identity"})
            assert plain.content == first.content
            again = await guest.get(
                f"/assets/{name}", headers={"if-none-match": first.headers["etag"]}
            )
            assert again.status_code == 304
            assert not again.content
        assert (await guest.get("/assets/nothing.js")).status_code == 404
