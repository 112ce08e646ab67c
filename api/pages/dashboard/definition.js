// One definition: as YAML, every version of it, and what changed from one to another.

import { button, outcome } from "./acting.js";
import { address } from "./definitions.js";
import { ago, ask, badge, called, choice, empty, grid, make, put, section, time, words } from "./parts.js";

const SAID = { "+": "added", "-": "removed", " ": "as before", "…": "left out" };
const LONG = "Both texts together are too long to compare here.";

function difference(changes, against) {
  if (changes === null) return empty(LONG);
  if (against === null) return empty("This is its first version.");
  if (!changes.length) return empty("The two versions are alike.");
  const lines = changes.map(([mark, text]) => make("div", [
    make("span", mark, { class: "mark", "aria-hidden": "true" }),
    make("span", `${SAID[mark]}: `, { class: "unseen" }), text || " "], { class: `line ${{ "+": "added", "-": "removed", "…": "gap" }[mark] ?? ""}` }));
  return make("div", lines, { class: "diff", role: "region", "aria-label": "What changed", tabindex: "0" });
}

export async function show(place, frame, kind, id, version = "", against = "") {
  const query = new URLSearchParams({ kind, id });
  if (version) query.set("version", version);
  if (against) query.set("against", against);
  const found = await ask(`dashboard/definition?${query}`, { signal: frame.over });
  const at = (one, other) => `${address(kind, id)}/${one}${other === undefined ? "" : `/${other}`}`;
  const newest = found.versions[0];
  const isNewest = found.version === newest.version;
  const name = /^(?:name|title): (.*)$/m.exec(found.yaml ?? "")?.[1] ?? called(id);
  frame.title(`${words(kind)}: ${name.replace(/^(['"])(.*)\1$/, "$2")}`);

  const copied = outcome();
  const copy = found.yaml ? button("Copy", async () => {
    try {
      await navigator.clipboard.writeText(found.yaml);
      copied.say("Copied.");
    } catch {
      copied.say("The browser does not let the page copy.");
    }
  }, { class: "small" }) : "";
  const earlier = found.versions.filter((each) => each.version < found.version);
  const compared = earlier.length ? choice({
    label: "with version", value: String(found.against), change: (value) => { location.hash = at(found.version, value); },
    options: earlier.map((each) => [String(each.version), `${each.version} of ${new Date(each.at).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" })}`]),
  }) : "";
  const state = found.yaml === null ? badge("deleted") : isNewest ? badge("in force", "good") : badge("replaced");
  put(place,
    make("p", [make("a", "All definitions", { href: "#definitions" }), " · ", make("code", id)], { class: "about" }),
    make("p", [state, ` Version ${found.version}, written `, time(found.at), found.actor ? ` by ${found.actor}` : "", ".",
      ...(frame.mayAct && kind === "challenge" && newest.deleted !== true ? [" ", make("a", "Recalculate it", { href: `#recalculations/${encodeURIComponent(id)}` })] : [])]),
    make("div", [
      section("As YAML", [found.yaml === null ? empty("It was deleted here.") : make("pre", found.yaml, { tabindex: "0", "aria-label": "The definition as YAML" }), copied.place],
        { tools: copy, note: found.yaml === null ? undefined : ["As ", make("code", "milestream apply"), " takes it."] }),
      section("What changed", difference(found.changes, found.against), { tools: compared, note: found.against === null ? undefined : `From version ${found.against} to ${found.version}.` }),
    ], { class: "beside" }),
    section("Versions", grid("Versions", ["Version", "Written", "By"], found.versions.map((each) => [
      [each.version === found.version ? make("strong", `${each.version} (shown)`) : make("a", String(each.version), { href: at(each.version) }), " ", stateOf(each, newest)],
      ago(each.at), each.actor]))));
}

/** A badge of a version, where it says something: most were replaced. */
function stateOf(each, newest) {
  if (each.deleted) return badge("deleted");
  return each.version === newest.version ? badge("in force", "good") : "";
}
