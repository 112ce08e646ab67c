// Recalculations: which there were, and a new one, which reports before anything changes.

import { button } from "./acting.js";
import { ago, amount, ask, badge, choice, grid, make, put, renew, section } from "./parts.js";

const MODES = [
  ["additive", "Only give: nothing is lowered or taken back"],
  ["exact", "Exactly: values are lowered and completions taken back, too"],
];

/** What a recalculation is of, in few words. */
export function what(each) {
  const [first, ...rest] = each.names ?? [];
  return each.challenge ?? (rest.length ? `${first} and ${rest.length} more` : first) ?? "nothing";
}

/** What a recalculation is for who reads a list of them. */
function row(each) {
  return [
    make("a", what(each), { href: `#recalculation/${each.id}` }), `${each.apply ? "Applies" : "Reports"}, ${each.mode === "exact" ? "exactly" : "only gives"}`, badge(each.status),
    amount(each.members), amount(each.completions), amount(each.rewards), amount(each.points), ago(each.createdAt)];
}

function begun(frame, wanted) {
  const state = { challenge: "", changed: false, mode: "additive" };
  const text = make("textarea", [], { rows: "16", spellcheck: "false", class: "code" });
  const changed = make("label", ["Definitions as they are to be, as JSON", text], { class: "wide", hidden: true });
  const since = make("input", [], { type: "datetime-local" });

  async function fill() {
    changed.hidden = !state.changed;
    if (!state.changed || !state.challenge) return;
    const { definitions } = await ask(`dashboard/recalculations/of/${encodeURIComponent(state.challenge)}`);
    text.value = definitions;
  }

  async function start() {
    const rest = { mode: state.mode, ...(since.value ? { since: new Date(since.value).toISOString() } : {}) };
    let body = JSON.stringify({ challengeId: state.challenge, ...rest });
    if (state.changed) {
      try {
        JSON.parse(text.value);
      } catch (error) {
        throw new Error(`The definitions are no JSON: ${error.message}`);
      }
      // The text goes as it is: a browser's numbers are not exact.
      body = `{"definitions": ${text.value}, ${JSON.stringify(rest).slice(1)}`;
    }
    const { id } = await ask("recalculations", { method: "POST", body, headers: { "content-type": "application/json" } });
    location.hash = `recalculation/${id}`;
  }

  return async () => {
    const { definitions } = await ask("dashboard/definitions");
    const challenges = definitions.filter((each) => each.kind === "challenge" && !each.deleted);
    if (!challenges.length) return make("p", "There is no challenge to recalculate yet.", { class: "empty" });
    state.challenge = (challenges.find((each) => each.id === wanted) ?? challenges[0]).id;
    return make("form", [
      choice({ label: "Challenge", options: challenges.map((each) => [each.id, each.name ?? each.id]), value: state.challenge, change: (value) => { state.challenge = value; frame.attempt(fill); } }),
      choice({ label: "Under", options: [["no", "its definitions in force"], ["yes", "changed definitions"]], value: "no", change: (value) => { state.changed = value === "yes"; frame.attempt(fill); } }),
      choice({ label: "Correct", options: MODES, value: "additive", change: (value) => { state.mode = value; } }),
      make("label", ["Only periods that end after (optional)", since]),
      changed,
      button("Look what would change", () => frame.attempt(start), { class: "main" }),
    ], { class: "stack", onsubmit: (event) => event.preventDefault() });
  };
}

export async function show(place, frame, wanted = "") {
  const list = make("div");
  const form = make("div");
  put(place, make("p", "What history comes to under other definitions of challenges and milestones, or where something was wrong before.", { class: "about" }),
    ...(frame.mayAct ? [section("A new one", form, { note: "Nothing is changed by this: a report is made, to be read and then applied or left." })] : []), section("The newest", list));
  if (frame.mayAct) put(form, await begun(frame, wanted)());
  await frame.every(5, async () => {
    const { recalculations } = await ask("dashboard/recalculations", { signal: frame.over });
    const number = (name) => ({ name, number: true });
    renew(list, grid("The newest", ["Of", "What it does", "Status", number("Members"), number("Completions"), number("Rewards"), number("Points"), "Asked for"],
      recalculations.map(row), "There was none yet."));
  });
}
