// Definitions: which there are, found by kind and by text.

import { ago, ask, badge, called, choice, count, grid, make, put, section, words } from "./parts.js";

export const address = (kind, id) => `#definition/${encodeURIComponent(kind)}/${encodeURIComponent(id)}`;

export async function show(place, frame, wanted = "") {
  const { definitions, more } = await ask("dashboard/definitions");
  const state = { kind: wanted, text: "", deleted: false };
  const found = make("div");
  const counts = Map.groupBy ? Map.groupBy(definitions.filter((each) => !each.deleted), (each) => each.kind) : new Map();
  const kinds = [...new Set(definitions.map((each) => each.kind))].sort();

  function list() {
    const text = state.text.trim().toLowerCase();
    const rows = definitions.filter((each) => (!state.kind || each.kind === state.kind) && (state.deleted || !each.deleted)
      && (!text || `${each.name ?? ""} ${each.id}`.toLowerCase().includes(text)));
    const title = rows.length ? count(rows.length, "definition") : "Nothing";
    put(found, section(title, grid(title, ["Name", "Kind", "Id", "Status", "Written", "By"], rows.map((each) => [
      make("a", each.name ?? called(each.id), { href: address(each.kind, each.id) }), words(each.kind), make("code", each.id),
      badge(each.deleted ? "deleted" : each.status), ago(each.at), each.actor]),
    definitions.length ? "Nothing is called so." : "There are no definitions yet: write them with milestream apply."),
    { note: more ? "Only the last written ones are listed." : undefined }));
  }

  const search = make("input", [], { type: "search", maxlength: "256", autocomplete: "off", oninput: (event) => { state.text = event.target.value; list(); } });
  const deleted = make("input", [], { type: "checkbox", onchange: (event) => { state.deleted = event.target.checked; list(); } });
  const kind = choice({ label: "Kind", value: state.kind, change: (value) => { state.kind = value; list(); },
    options: [["", "all"], ...kinds.map((each) => [each, counts.size ? `${words(each)} (${counts.get(each)?.length ?? 0})` : words(each)])] });
  put(place, make("p", "What is in force, who wrote it, and every version before it.", { class: "about" }), make("form", [make("label", ["Name or id", search]), kind, make("label", [deleted, "Deleted ones too"], { class: "tick" })], { role: "search", onsubmit: (event) => event.preventDefault() }), found);
  list();
}
