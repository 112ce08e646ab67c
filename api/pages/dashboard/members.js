// Members, found by what names them.

import { ask, badge, make, member, put, table } from "./parts.js";

export async function show(place, frame, text = "") {
  const found = make("div", [], { "aria-live": "polite" });
  const input = make("input", [], { type: "search", name: "text", required: true, maxlength: "256", autocomplete: "off", value: text });
  async function find() {
    const { members } = await ask(`dashboard/members?search=${encodeURIComponent(input.value)}`);
    history.replaceState(null, "", `#members/${encodeURIComponent(input.value)}`);
    put(found, table(`Found: ${members.length}`, ["Member", "E-mail", "Status"],
      members.map((m) => [member(m.memberId, m.externalId, m.name), m.email, badge(m.status)]), "Nobody is called so."));
  }
  const form = make("form", [make("label", ["Id, e-mail, or a part of the name", input]), make("button", "Find")], {
    role: "search",
    onsubmit: (event) => {
      event.preventDefault();
      frame.attempt(find);
    },
  });
  put(place, form, found);
  input.focus();
  if (text) await find();
}
