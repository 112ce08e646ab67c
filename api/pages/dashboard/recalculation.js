// One recalculation: how far it is, what it changes, and applying or cancelling it.

import { button, sure } from "./acting.js";
import { what } from "./recalculations.js";
import { amount, ask, badge, bar, grid, make, member, period, put, section, tiles, time, words } from "./parts.js";

const STEPS = [
  ["report", "Replaying history"],
  ["in_force", "Putting the definitions in force"],
  ["cuts", "Marking from where on they hold"],
  ["corrections", "Correcting what was given"],
];
const WHY = {
  above_maximum: "It comes to more than was allowed, so nothing was changed.",
  inputs_gone: "Retention took inputs that it needs.",
  not_taken: "The definitions are not taken any more.",
  folded_by_newer: "History was folded by a newer version.",
  keys_unreadable: "Members' keys are under another master key.",
  internal: "It failed; the log of the API says why.",
};
const KINDS = {
  challenge: "Progress", completion: "Becomes completed", reopened: "Is completed no more", milestone: "Milestone reached",
  points: "Gave fewer points", not_given: "Reward stays",
};
const number = (name) => ({ name, number: true });
// Only of progress do sums over members say something; of milestones they add up what was reached by each.
const progress = (sum) => (sum.kind === "challenge" ? [amount(sum.before), amount(sum.after)] : ["", ""]);

function far(found) {
  const steps = found.apply ? STEPS : STEPS.slice(0, 1);
  const step = Math.max(0, steps.findIndex(([name]) => name === found.step));
  const within = found.partitions ? found.partitionsDone / found.partitions : 0;
  return bar(steps[step][1], step + within, steps.length, `step ${step + 1} of ${steps.length}`);
}

function bound(label, value) {
  const input = make("input", [], { type: "number", min: "0", step: "1", value: String(value) });
  return { label: make("label", [label, input]), get: () => (input.value === "" ? null : Number(input.value)) };
}

async function apply(found) {
  const rewards = bound("Stop above so many rewards", found.rewards);
  const points = bound("Stop above so many points", found.points);
  const words = `${amount(found.completions)} completions, ${amount(found.rewards)} rewards and ${amount(found.points)} points for ${amount(found.members)} members, as reported ${new Date(found.endedAt).toLocaleString()}.`;
  const agreed = await sure("Apply this recalculation?", [words, "The definitions come into force, and what was given is corrected. This cannot be taken back."], "Apply", [rewards.label, points.label]);
  if (!agreed) return;
  const json = { maxRewards: rewards.get(), maxPoints: points.get() };
  const { id } = await ask(`dashboard/recalculations/${found.id}/apply`, { method: "POST", json });
  location.hash = `recalculation/${id}`;
}

async function cancel(found) {
  const text = found.apply ? "What it has put in force and corrected by now stays." : "It has only reported: nothing was changed.";
  if (await sure("Cancel this recalculation?", text, "Cancel it")) {
    await ask(`recalculations/${found.id}`, { method: "DELETE" });
  }
}

function acts(frame, found, again) {
  if (!frame.mayAct) return "";
  const run = (work) => () => frame.attempt(async () => {
    await work(found);
    await again();
  });
  if (found.status === "running") return button("Cancel", run(cancel));
  if (found.status === "reported") return button("Apply…", run(apply), { class: "main" });
  return "";
}

export async function show(place, frame, id) {
  const parts = ["head", "totals", "sums", "changes"].map(() => make("div"));
  const [head, totals, sums, changes] = parts;
  const definitions = make("pre", "", { tabindex: "0", "aria-label": "The definitions" });
  put(place, make("p", make("a", "All recalculations", { href: "#recalculations" })), head, totals, sums, changes,
    section("Definitions", make("details", [make("summary", "The definitions that history was replayed under"), definitions])));

  async function load() {
    const found = await ask(`dashboard/recalculations/${encodeURIComponent(id)}`, { signal: frame.over });
    const running = found.status === "running";
    frame.title(`Recalculation of ${what(found)}`);
    const facts = [found.apply ? "applies" : "only reports", MODE[found.mode], found.since ? ["only periods that end after ", time(found.since)] : "all of history"];
    put(head, make("p", [badge(found.status), " ", facts.flatMap((each, index) => (index ? [", ", each] : [each])), ". Asked for ", time(found.createdAt), found.endedAt ? [", ended ", time(found.endedAt)] : "", "."]),
      found.code ? make("p", WHY[found.code] ?? words(found.code), { class: "warning" }) : "",
      running ? far(found) : "", make("div", acts(frame, found, load), { class: "choices" }));
    put(totals, tiles([
      { name: "Members that change", value: amount(found.members) }, { name: "Completions", value: amount(found.completions) },
      { name: "Rewards", value: amount(found.rewards) }, { name: "Points", value: amount(found.points) }]));
    put(sums, section("What changes", grid("What changes", ["What", "Of", number("Members"), number("Was"), number("Becomes"), number("Points")],
      found.sums.map((each) => [KINDS[each.kind] ?? words(each.kind), each.name, amount(each.members), ...progress(each), amount(each.points)]),
      running ? "It is shown once it has ended." : "Nothing changes.")));
    put(changes, found.changes.length ? section("Members", grid("Members", ["Member", "What", "Of", "Period", number("Was"), number("Becomes"), number("Points")],
      found.changes.map((each) => [member(each.memberId, each.externalId, each.member), KINDS[each.kind] ?? words(each.kind), each.name, period(each.periodKey), amount(each.before), amount(each.after), amount(each.points)])),
    { note: "The first hundred; the table recalculation_changes has all of them." }) : "");
    definitions.textContent = found.definitions;
    return running;
  }

  let running = true;
  await frame.every(1, async () => {
    if (running) running = await load();
  });
}

const MODE = { additive: "only gives", exact: "gives and takes back" };
