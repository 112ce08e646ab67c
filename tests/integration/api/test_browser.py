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
from tests import browser
from tests.browser import Page
from tests.integration.api.serving import Served
from tests.integration.api.test_acting import CHALLENGE, log, refused
from tests.integration.api.test_reference import run_beside

PROJECT = "browsed"
NAME = "<img src=x onerror=alert(1)>"
AXE = "axe-core@4.14.1"
GRAVE = ("serious", "critical")
_LOOKS = (("light", 1300), ("dark", 400))
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

pytestmark = pytest.mark.skipif(not browser.is_there(), reason="there is no browser")


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
def page(tmp_path: Path) -> Iterator[Page]:
    """A browser that nobody is signed in with."""
    with browser.page(tmp_path) as page:
        yield page


async def sign_in(page: Page, api: Served, role: Role) -> None:
    key = await api.key(role, PROJECT)
    async with await AsyncConnection.connect(api.settings.database_url) as connection:
        token = await sessions.make_link(connection, key.key_id)
    page.open(f"{api.url}/login?token={token}")
    page.wait_for(_DONE)


def show(page: Page, api: Served, address: str) -> None:
    page.open("about:blank")
    page.open(f"{api.url}/#{address}")
    page.wait_for(_DONE)
    trouble = page.evaluate("document.getElementById('trouble').textContent")
    assert not trouble, (address, trouble)


def press(page: Page, words: str) -> None:
    """Press the button that begins with these words."""
    page.wait_for(
        f"[...document.querySelectorAll('button')].some((each) => "
        f"each.textContent.startsWith({words!r}) && !each.disabled && (each.click(), true))"
    )


@pytest.mark.skipif(shutil.which("npm") is None, reason="axe-core comes from npm")
@pytest.mark.asyncio(loop_scope="module")
async def test_no_page_has_a_serious_fault_for_who_cannot_see_it(
    full_stack: Served, pages: dict[str, str], page: Page, tmp_path: Path
) -> None:
    (tmp_path / "package.json").write_text("{}")
    run_beside("npm", "install", "--silent", "--no-audit", "--no-fund", AXE, cwd=tmp_path)
    axe = (tmp_path / "node_modules/axe-core/axe.min.js").read_text("utf-8")
    await sign_in(page, full_stack, Role.ADMIN)
    names: Any = page.evaluate(_PAGES)
    addresses = [name if group is not None else pages[name] for name, group in names]
    faults = []
    for scheme, width in _LOOKS:
        page.look(scheme, width)
        for address in addresses:
            show(page, full_stack, address)
            page.evaluate(f"{axe}; 0")
            found = page.evaluate(_FAULTS % list(GRAVE))
            faults += [(address, scheme, width, fault) for fault in found]
            wide = page.evaluate("document.documentElement.scrollWidth > innerWidth")
            faults += [(address, scheme, width, "is wider than the window")] if wide else []
            assert page.evaluate("document.querySelectorAll('img').length") == 0, address
    assert faults == []


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.usefixtures("pages")
async def test_an_admin_sends_a_letter_back_and_then_the_rest(
    full_stack: Served, page: Page
) -> None:
    await sign_in(page, full_stack, Role.ADMIN)
    show(page, full_stack, "dead-letters")
    press(page, "Show")
    page.wait_for("document.querySelector('pre')?.textContent.includes('uniqueIdentifier')")
    page.evaluate("document.querySelector('td input[type=checkbox]').click()")
    press(page, "Redrive 1 record")
    press(page, "Send back")
    said = "/^{} went back[.] /.test(document.querySelector('.outcome').textContent)"
    page.wait_for(said.format("1 record"))
    # What went back is refused again, sooner or later.
    page.wait_for(
        "[...document.querySelectorAll('td')].some(({ textContent: t }) => t === '2' || t === '3')"
    )
    page.evaluate("document.querySelector('td button.small:not([aria-expanded])').click()")
    press(page, "Send back")
    page.wait_for(said.format("[23] records"))


@pytest.mark.asyncio(loop_scope="module")
async def test_an_analyst_is_shown_nothing_to_act_with(
    full_stack: Served, pages: dict[str, str], page: Page
) -> None:
    await sign_in(page, full_stack, Role.ANALYST)
    acts = ["Redrive", "Apply", "Cancel", "Look what would change"]
    for address in ("dead-letters", "recalculations", pages["recalculation"]):
        show(page, full_stack, address)
        buttons = page.evaluate(
            "[...document.querySelectorAll('main button')].map((each) => each.textContent)"
        )
        assert not [text for text in buttons if any(map(text.startswith, acts))], address
        assert not page.evaluate("document.querySelectorAll('input[type=checkbox]').length")
