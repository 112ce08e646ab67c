// One recalculation: how far it is, what it changes, and applying or cancelling it.

import { button, sure } from "./acting.js";
import { what } from "./recalculations.js";
import { ago, amount, ask, badge, bar, count, grid, make, member, period, put, section, tiles, time, words } from "./parts.js";

const STEPS = [
  ["report", "Replaying history"],
  ["in_force", "Putting the definitions in force"],
  ["cuts", "Marking from where on they hold"],
  ["corrections", "Sending what corrects it"],
  ["folding", "Waiting until workers have folded that"],
];
const WHY = {
  above_maximum: "It comes to more than was allowed, so nothing was changed.",
  definitions_changed: "Definitions were changed after it was reported, so nothing was corrected. Report it again.",
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
const NO_SUMS = {
  running: "It is shown once it has ended.", cancelled: "It ended before that was added up.", failed: "It ended before that was added up.",
};
// What ended before there were sums has none where its changes were forgotten.
const noSums = (found) => NO_SUMS[found.status] ?? (found.members ? "That was not added up by definition." : "Nothing changes.");
const CHANGES = 100; // that the API answers at most
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
  const sum = `${count(found.completions, "completion")}, ${count(found.rewards, "reward")} and ${count(found.points, "point")} for ${count(found.members, "member")}, as reported `;
  const agreed = await sure("Apply this recalculation?", [[sum, ago(found.endedAt), "."], "The definitions come into force, and what was given is corrected. This cannot be taken back."], "Apply", [rewards.label, points.label]);
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
  if (!frame.mayAct) return [];
  const run = (work) => () => frame.attempt(async () => {
    await work(found);
    await again();
  });
  if (found.status === "running") return button("Cancel", run(cancel));
  if (found.status === "reported") return button("Apply this report…", run(apply), { class: "main" });
  return [];
}

export async function show(place, frame, id) {
  const [told, totals, sums, changes] = ["told", "totals", "sums", "changes"].map(() => make("div"));
  const act = make("div", [], { class: "tools" });
  const head = make("div", [told, act], { class: "card summary" });
  let status = null;
  const definitions = make("pre", "", { tabindex: "0", "aria-label": "The definitions" });
  const arrange = () => put(place, make("p", make("a", "All recalculations", { href: "#recalculations" }), { class: "about" }), head, totals, sums, changes,
    section("Definitions", make("details", [make("summary", "The definitions that history was replayed under"), definitions])));

  async function load() {
    const found = await ask(`dashboard/recalculations/${encodeURIComponent(id)}`, { signal: frame.over });
    const running = found.status === "running";
    if (!place.childElementCount) arrange();
    frame.title(`Recalculation of ${what(found)}`);
    const facts = [
      ["Status", badge(found.status)],
      ["What it does", found.apply ? "Puts the definitions in force and corrects what was given" : "Only reports: nothing is changed"],
      ["Corrects", MODE[found.mode]],
      ["Of", found.since ? ["Periods that end after ", time(found.since)] : "All of history"],
      ["Asked for", [ago(found.createdAt), ...(found.endedAt ? [", ended ", ago(found.endedAt)] : [])]],
    ];
    put(told, make("dl", facts.map(([name, each]) => make("div", [make("dt", name), make("dd", each)])), { class: "facts" }),
      found.code ? make("p", WHY[found.code] ?? words(found.code), { class: "warning" }) : [], running ? far(found) : []);
    // A button keeps the focus while the bar beside it goes on.
    if (found.status !== status) put(act, acts(frame, found, load));
    status = found.status;
    put(totals, tiles([
      { name: "Members that change", value: amount(found.members) }, { name: "Completions", value: amount(found.completions) },
      { name: "Rewards", value: amount(found.rewards) }, { name: "Points", value: amount(found.points) }]));
    put(sums, section("What changes", grid("What changes", ["What", "Of", number("Members"), number("Was"), number("Becomes"), number("Points")],
      found.sums.map((each) => [KINDS[each.kind] ?? words(each.kind), each.name, amount(each.members), ...progress(each), amount(each.points)]),
      noSums(found))));
    put(changes, found.changes.length ? section("Members", grid("Members", ["Member", "What", "Of", "Period", number("Was"), number("Becomes"), number("Points")],
      found.changes.map((each) => [member(each.memberId, each.externalId, each.member), KINDS[each.kind] ?? words(each.kind), each.name, period(each.periodKey), amount(each.before), amount(each.after), amount(each.points)])),
    { note: found.changes.length >= CHANGES ? ["The first hundred; the table ", make("code", "recalculation_changes"), " has all of them."] : undefined }) : []);
    definitions.textContent = found.definitions;
    return running;
  }

  let running = true;
  await frame.every(1, async () => {
    if (running) running = await load();
  });
}

const MODE = { additive: "Only gives: nothing is lowered or taken back", exact: "Exactly: values are lowered and completions taken back, too" };
