"""The dashboard in a browser: every page for who sees little or nothing, and what is done there."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from psycopg import AsyncConnection

from api.auth import sessions
from api.auth.credentials import Role
from tests.integration.api.browser import Browser, browser, is_there
from tests.integration.api.serving import Served
from tests.integration.api.test_acting import CHALLENGE, log, refused
from tests.integration.api.test_reference import run_beside

PROJECT = "browsed"
NAME = "<img src=x onerror=alert(1)>"
AXE = "axe-core@4.14.1"
GRAVE = ("serious", "critical")
_LOOKS = ((1300, False), (400, True))
_DONE = """
(() => {
    const place = document.getElementById("place"), title = document.getElementById("title");
    return place?.childElementCount > 0 && title.textContent && !place.hasAttribute("aria-busy");
})()
"""
_PAGES = """
import("/assets/pages.js").then(({ PAGES }) => PAGES.map((each) => [each.name, each.group]))
"""
_FAULTS = """
axe.run().then((found) => found.violations.filter((each) => %s.includes(each.impact))
    .map((each) => `${each.id}: ${each.nodes.map((node) => node.html).join(" ")}`))
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


@pytest.fixture
def tab(tmp_path: Path) -> Iterator[Browser]:
    """A browser that nobody is signed in with."""
    with browser(tmp_path) as tab:
        yield tab


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


@pytest.mark.skipif(shutil.which("npm") is None, reason="axe-core comes from npm")
@pytest.mark.asyncio(loop_scope="module")
async def test_no_page_has_a_serious_fault_for_who_cannot_see_it(
    full_stack: Served, pages: dict[str, str], tab: Browser, tmp_path: Path
) -> None:
    (tmp_path / "package.json").write_text("{}")
    run_beside("npm", "install", "--silent", "--no-audit", "--no-fund", AXE, cwd=tmp_path)
    axe = (tmp_path / "node_modules/axe-core/axe.min.js").read_text("utf-8")
    await sign_in(tab, full_stack, Role.ADMIN)
    names: Any = tab.value(_PAGES)
    addresses = [name if group is not None else pages[name] for name, group in names]
    faults = []
    for width, dark in _LOOKS:
        tab.look(width, dark=dark)
        for address in addresses:
            show(tab, full_stack, address)
            tab.value(f"{axe}; 0")
            found = tab.value(_FAULTS % list(GRAVE))
            faults += [(address, width, dark, fault) for fault in found]
            wide = tab.value("document.documentElement.scrollWidth > innerWidth")
            faults += [(address, width, dark, "is wider than the window")] if wide else []
            assert tab.value("document.querySelectorAll('img').length") == 0, address
    assert faults == []


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.usefixtures("pages")
async def test_an_admin_sends_a_letter_back_and_then_the_rest(
    full_stack: Served, tab: Browser
) -> None:
    await sign_in(tab, full_stack, Role.ADMIN)
    show(tab, full_stack, "dead-letters")
    press(tab, "Show")
    tab.wait("document.querySelector('pre')?.textContent.includes('uniqueIdentifier')")
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
