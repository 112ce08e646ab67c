"""The dashboard in a browser: every page for who sees little or nothing, and what is done there."""

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
import pytest_asyncio
from psycopg import AsyncConnection

from api.auth import sessions
from api.auth.credentials import Role
from api.auth.sessions import HEADER
from tests.integration.api.browser import Browser, browser, is_there
from tests.integration.api.serving import Served
from tests.integration.api.test_acting import CHALLENGE, log, refused
from tests.integration.api.test_reference import run_beside

PROJECT = "browsed"
NAME = "<img src=x onerror=alert(1)>"
AXE = "axe-core@4.14.1"
GRAVE = ("serious", "critical")
_LOOKS: tuple[tuple[int, bool], ...] = ((1300, False), (400, True))
"""Widths, and whether it is dark."""
if os.environ.get("MILESTREAM_TEST_LOOKS") == "all":
    _LOOKS = (*_LOOKS, (1300, True), (400, False))
_DONE = """
(() => {
    const place = document.getElementById("place"), title = document.getElementById("title");
    return place?.childElementCount > 0 && title.textContent && !place.hasAttribute("aria-busy");
})()
"""
_PAGES = """
import("/assets/pages.js").then(({ PAGES }) => PAGES.map((each) => [each.name, each.group]))
"""
# By its link, as who looks comes to it; what was shown before is marked.
_GO = """
document.getElementById("place").firstElementChild.dataset.left = "";
location.hash = %r;
"""
_GONE = f"document.querySelector('#place > [data-left]') === null && {_DONE}"
# Charts are drawn anew in the frame after their width has changed.
_DRAWN = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
# Swagger UI knows of the dark by a class, which follows in a later frame.
_FOLLOWED = """
document.querySelector(".swagger-ui") === null
    || document.documentElement.classList.contains("dark-mode") === %s
"""
_FAULTS = """
axe.run({ resultTypes: ["violations"] })
    .then((found) => found.violations.filter((each) => %s.includes(each.impact))
    .map((each) => `${each.id}: ${each.nodes.map((node) => node.html).join(" ")}`))
"""
_OPENED = {"member": "Why", "dead-letters": "Show"}
"""By the name of a page, what is pressed there to see it with more open."""

_WITH_SCHEMAS = (
    "list_events_event_get", "spend_points_user__id__spend_post", "put_definitions__kind___id__put",
    "delete_definitions__kind___id__delete", "patch_member",
)  # fmt: skip
"""Of the calls of `/docs`, one of each method."""
_CALL = "[...document.querySelectorAll('.opblock')].find((each) => each.id.endsWith('-%s'))"
_TYPE = """
(() => {
    const field = document.querySelector("input[type=search]");
    Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(field, %r);
    field.dispatchEvent(new Event("input", { bubbles: true }));
})()
"""
_CALLS = "[...document.querySelectorAll('[data-path]')].map((each) => each.dataset.path)"
_ELSEWHERE = """
performance.getEntriesByType("resource").map(({ name }) => name)
    .filter((name) => !name.startsWith(location.origin) && !name.startsWith("data:"))
"""

pytestmark = pytest.mark.skipif(not is_there(), reason="there is no browser")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def pages(full_stack: Served) -> dict[str, str]:
    """What pages of one thing are asked for: a member, a definition and a recalculation."""
    async with await full_stack.client(project=PROJECT) as admin:
        other = {"challengeId": CHALLENGE.replace("0a", "0c")}
        await refused(admin, *(log(number) | other for number in range(3)))
        challenge = {"id": CHALLENGE, "name": NAME, "completionTargetValue": 100}
        assert (await admin.post("/schema/challenge/record", json=challenge)).status_code == 201
        named = {"externalId": "bob", "firstName": NAME}
        logged = await admin.post("/schema/challenge_log/record", json=log(9) | {"ownedBy": named})
        assert logged.status_code == 201, logged.text
        begun = await admin.post("/recalculations", json={"challengeId": CHALLENGE})
        assert begun.status_code == 202, begun.text
        await admin.get("/schema/member/record")  # waits until the tables have the member
    return {
        "member": f"member/{logged.json()['ownedById']}",
        "definition": f"definition/challenge/{CHALLENGE}",
        "recalculation": f"recalculation/{begun.json()['id']}",
    }


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The script that finds what is wrong with a page."""
    if shutil.which("npm") is None:
        pytest.skip("axe-core comes from npm")
    place = tmp_path_factory.mktemp("axe")
    (place / "package.json").write_text("{}")
    run_beside("npm", "install", "--silent", "--no-audit", "--no-fund", AXE, cwd=place)
    return (place / "node_modules/axe-core/axe.min.js").read_text("utf-8")


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser for all tests here."""
    with browser(tmp_path_factory.mktemp("profile")) as tab:
        yield tab


@pytest.fixture
def tab(opened: Browser) -> Browser:
    """The browser, which nobody is signed in with."""
    opened.forget()
    return opened


async def sign_in(tab: Browser, api: Served, role: Role) -> None:
    key = await api.key(role, PROJECT)
    async with await AsyncConnection.connect(api.settings.database_url) as connection:
        token = await sessions.make_link(connection, key.key_id)
    tab.open(f"{api.url}/login?token={token}")
    tab.wait(_DONE)


def show(tab: Browser, api: Served, address: str) -> None:
    tab.open("about:blank")
    tab.open(f"{api.url}/#{address}")
    tab.wait(_DONE)
    trouble = tab.value("document.getElementById('trouble').textContent")
    assert not trouble, (address, trouble)


def press(tab: Browser, words: str) -> None:
    """Press the button that begins with these words."""
    tab.wait(
        f"[...document.querySelectorAll('button')].some((each) => "
        f"each.textContent.startsWith({words!r}) && !each.disabled && (each.click(), true))"
    )


def go(tab: Browser, address: str) -> None:
    """Go to another page of the dashboard that is shown."""
    tab.value(_GO % f"#{address}")
    tab.wait(_GONE)
    trouble = tab.value("document.getElementById('trouble').textContent")
    assert not trouble, (address, trouble)


def faults_of(
    tab: Browser, address: str, impacts: tuple[str, ...] = GRAVE
) -> list[tuple[str, int, bool, str]]:
    """Return what is wrong with the page that is shown, by each look."""
    faults = []
    for width, dark in _LOOKS:
        tab.look(width, dark=dark)
        tab.wait(_FOLLOWED % str(dark).lower())
        tab.value(_DRAWN)
        found = tab.value(_FAULTS % list(impacts))
        if tab.value("document.documentElement.scrollWidth > innerWidth"):
            found.append("is wider than the window")
        faults += [(address, width, dark, fault) for fault in found]
    return faults


@pytest.mark.asyncio(loop_scope="module")
async def test_no_page_has_a_serious_fault_for_who_cannot_see_it(
    full_stack: Served, pages: dict[str, str], tab: Browser, axe: str
) -> None:
    await sign_in(tab, full_stack, Role.ADMIN)
    names: Any = tab.value(_PAGES)
    # One load, and axe once: what is looked at is the document, however its pages are come to.
    tab.value(f"{axe}; 0")
    faults = []
    for name, group in reversed(names):  # the first one is shown already
        address = name if group is not None else pages[name]
        go(tab, address)
        if (opens := _OPENED.get(name)) is not None:
            press(tab, opens)
            tab.wait("document.querySelector('tr.below') !== null")
        faults += faults_of(tab, address)
        assert tab.value("document.querySelectorAll('img').length") == 0, address
    tab.open(f"{full_stack.url}/asyncapi")
    tab.wait("document.querySelector('.topic') !== null")
    tab.value(f"{axe}; 0")
    faults += faults_of(tab, "/asyncapi")
    assert faults == []
    assert tab.faults == []


def open_call(tab: Browser, operation: str) -> None:
    """Open a call of `/docs`."""
    call = _CALL % operation
    tab.value(f"{call}.querySelector('.opblock-summary-control').click()")
    tab.wait(f"{call}.querySelector('.responses-wrapper') !== null")


def show_schema(tab: Browser, operation: str) -> None:
    """Show the schema of an open call's first answer or body, instead of its example."""
    call = _CALL % operation
    tab.value(f"{call}.querySelector('button[data-name=model]').click()")
    tab.wait(f"{call}.querySelector('.json-schema-2020-12') !== null")


def send_call(tab: Browser, operation: str) -> None:
    """Send an open call that needs no parameter."""
    call = _CALL % operation
    tab.value(f"{call}.querySelector('.execute').click()")
    tab.wait(f"{call}.querySelector('.live-responses-table .response-col_status') !== null")


@pytest.mark.asyncio(loop_scope="module")
async def test_the_reference_of_calls_has_no_fault_open_or_closed(
    full_stack: Served, tab: Browser, axe: str
) -> None:
    tab.open(f"{full_stack.url}/docs")
    tab.wait("document.querySelector('.opblock') !== null")
    tab.value(f"{axe}; 0")
    impacts = (*GRAVE, "moderate")
    faults = faults_of(tab, "/docs", impacts)
    open_call(tab, "post_event_event_post")
    tab.wait("document.querySelector('#api textarea')?.value.includes('purchase_completed')")
    for operation in _WITH_SCHEMAS:
        open_call(tab, operation)
        show_schema(tab, operation)
    open_call(tab, "healthz_healthz_get")
    send_call(tab, "healthz_healthz_get")
    faults += faults_of(tab, "/docs with calls open", impacts)
    tab.value("document.querySelector('.btn.authorize').click()")
    tab.wait("document.querySelector('[role=dialog]') !== null")
    faults += faults_of(tab, "/docs with the credentials asked for", impacts)
    assert faults == []
    assert tab.value(_ELSEWHERE) == []
    assert tab.faults == []


@pytest.mark.asyncio(loop_scope="module")
async def test_calls_are_found_by_their_words(full_stack: Served, tab: Browser) -> None:
    tab.open(f"{full_stack.url}/docs")
    tab.wait("document.querySelector('.opblock') !== null")
    tab.value(_TYPE % "get RANK leader")
    tab.wait(f"JSON.stringify({_CALLS}) === '[\"/leaderboard\"]'")
    tab.value(_TYPE % "no such call")
    tab.wait("document.querySelector('[role=status]')?.textContent.startsWith('No call')")
    tab.value(_TYPE % "")
    tab.wait(f"{_CALLS}.length > 50")


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.usefixtures("pages")
async def test_an_admin_sends_a_letter_back_and_then_the_rest(
    full_stack: Served, tab: Browser
) -> None:
    await sign_in(tab, full_stack, Role.ADMIN)
    show(tab, full_stack, "dead-letters")
    press(tab, "Show")
    tab.wait("document.querySelector('pre')?.textContent.includes('uniqueIdentifier')")
    # All of them, and then all but one of them not.
    tab.value("document.querySelector('.tick input').click()")
    tab.wait("document.querySelector('button.main').textContent === 'Redrive 3 records'")
    tab.value("document.querySelector('.tick input').click()")
    tab.value("document.querySelector('td input[type=checkbox]').click()")
    press(tab, "Redrive 1 record")
    press(tab, "Send back")
    said = "/^{} went back[.] /.test(document.querySelector('.outcome').textContent)"
    tab.wait(said.format("1 record"))
    # What went back is refused again, sooner or later.
    tab.wait(
        "[...document.querySelectorAll('td')].some(({ textContent: t }) => t === '2' || t === '3')"
    )
    tab.value("document.querySelector('td button.small:not([aria-expanded])').click()")
    press(tab, "Send back")
    tab.wait(said.format("[23] records"))


@pytest.mark.asyncio(loop_scope="module")
async def test_an_analyst_is_shown_nothing_to_act_with(
    full_stack: Served, pages: dict[str, str], tab: Browser
) -> None:
    await sign_in(tab, full_stack, Role.ANALYST)
    acts = ["Redrive", "Apply", "Cancel", "Look what would change"]
    for address in ("dead-letters", "recalculations", pages["recalculation"]):
        show(tab, full_stack, address)
        buttons = tab.value(
            "[...document.querySelectorAll('main button')].map((each) => each.textContent)"
        )
        assert not [text for text in buttons if any(map(text.startswith, acts))], address
        assert not tab.value("document.querySelectorAll('input[type=checkbox]').length")


@pytest.mark.asyncio(loop_scope="module")
async def test_an_event_is_tried_for_a_member_by_the_fields_that_it_has(
    full_stack: Served, pages: dict[str, str], tab: Browser
) -> None:
    async with await full_stack.client(project=PROJECT) as admin:
        event = {
            "eventId": "bought", "title": "Bought", "type": "TRANSACTION",
            "rewardValueField": "amount", "reward": {"default": 2},
            "limit": 1, "limitPeriod": "daily",
            "metadataFields": [{"key": "amount", "type": "number", "required": True}],
        }  # fmt: skip
        made = await admin.put("/definitions/event/bought", json=event)
        assert made.status_code < 300, made.text
    await sign_in(tab, full_stack, Role.ADMIN)
    show(tab, full_stack, pages["member"])
    tab.wait("document.querySelector('.fields input[type=number]') !== null")
    tab.value("document.querySelector('.fields input[type=number]').value = '21'")
    press(tab, "Try it")
    tab.wait("/would give 42 points/.test(document.querySelector('.outcome')?.textContent)")


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.usefixtures("pages")
async def test_who_signs_out_is_out(full_stack: Served, tab: Browser) -> None:
    await sign_in(tab, full_stack, Role.ANALYST)
    cookies = tab.call("Network.getCookies", urls=[full_stack.url])["cookies"]
    press(tab, "Sign out")
    tab.wait("document.getElementById('title').textContent === 'Signed out'")
    assert tab.call("Network.getCookies", urls=[full_stack.url])["cookies"] == []
    async with full_stack.guest() as guest:
        headers = {HEADER: "1", "cookie": "; ".join(f"{c['name']}={c['value']}" for c in cookies)}
        assert (await guest.get("/dashboard/session", headers=headers)).status_code == 401
