// Members, found by what names them.

import { ask, badge, count, empty, make, member, put, table } from "./parts.js";

export async function show(place, frame, text = "") {
  const found = make("div", [], { "aria-live": "polite" });
  const input = make("input", [], { type: "search", name: "text", required: true, maxlength: "256", autocomplete: "off", value: text });
  async function find() {
    const { members } = await ask(`dashboard/members?search=${encodeURIComponent(input.value)}`);
    history.replaceState(null, "", `#members/${encodeURIComponent(input.value)}`);
    put(found, table(members.length ? count(members.length, "member") : "Nobody", ["Member", "E-mail", "Status"],
      members.map((m) => [member(m.memberId, m.externalId, m.name), m.email, badge(m.status)]), `Nobody is called “${input.value}”. A name is found by any part of it, an id by its beginning, an e-mail as a whole.`));
  }
  const form = make("form", [make("label", ["Id, e-mail, or a part of the name", input]), make("button", "Find")], {
    role: "search",
    onsubmit: (event) => {
      event.preventDefault();
      frame.attempt(find);
    },
  });
  put(place, form, found);
  put(found, text ? [] : empty("Look for somebody: a page of theirs has points, progress, rewards, and why each was given."));
  input.focus();
  if (text) await find();
}
