// Members, found by what names them.

import { ask, badge, count, empty, make, member, put, table } from "./parts.js";

export async function show(place, frame, text = "") {
  const found = make("div", [], { "aria-live": "polite" });
  const input = make("input", [], { type: "search", name: "text", required: true, maxlength: "256", autocomplete: "off", value: text });
  async function find() {
    const { members, more, whole } = await ask(`dashboard/members?search=${encodeURIComponent(input.value)}`);
    history.replaceState(null, "", `#members/${encodeURIComponent(input.value)}`);
    const notes = [
      more ? "There are more: write more of it." : "",
      whole ? "" : "Found by how their id, e-mail, name or last name begins: there are too many to look into the middle of every name.",
    ].filter(Boolean);
    const none = `Nobody is called “${input.value}”. An id, an e-mail, a name or a last name is found by its beginning${whole ? ", a name by any part of it" : ""}.`;
    put(found, table(members.length ? `${count(members.length, "member")}${more ? ", and more" : ""}` : "Nobody", ["Member", "E-mail", "Status"],
      members.map((m) => [member(m.memberId, m.externalId, m.name), m.email, badge(m.status)]), none),
      ...notes.map((note) => make("p", note, { class: "quiet note" })));
  }
  const form = make("form", [make("label", ["Id, e-mail or name", input]), make("button", "Find")], {
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
