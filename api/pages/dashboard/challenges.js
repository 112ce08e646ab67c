// How far members are in each challenge, period by period.

import { columns } from "./charts.js";
import { address } from "./definitions.js";
import { about, amount, ask, bar, empty, make, percent, period, put, sampleNote, words } from "./parts.js";

function history(c) {
  const all = [...c.earlier].reverse().concat([c]);
  if (all.length < 2) return [];
  const chart = columns({ title: "By period", of: c.name, measure: "members", first: "Period", labels: all.map((each) => period(each.periodKey)), series: [
    { name: "Began", values: all.map((each) => Math.round(each.started / c.share)) },
    { name: "Completed", values: all.map((each) => Math.round(each.completed / c.share)) }] });
  return [make("details", [make("summary", `The last ${all.length} periods`), chart])];
}

function card(c) {
  const share = (label, part) => bar(label, part, c.started, `${about(part, c.share)} · ${percent(part, c.started)}`);
  return make("article", [
    make("h2", make("a", c.name, { href: address("challenge", c.id) })),
    make("p", c.periodKey === "all" ? period(c.periodKey) : `${period(c.periodKey)} · ${words(c.period)}`, { class: "quiet" }),
    bar("Began", c.started, c.started, about(c.started, c.share)),
    c.milestones.map((m) => share(`${m.name} (${amount(m.target)})`, m.reached)),
    share(`Completed (${amount(c.target)})`, c.completed),
    sampleNote([c.share]),
    history(c),
  ], { class: "card" });
}

export async function show(place) {
  const { challenges } = await ask("dashboard/challenges");
  if (!challenges.length) return put(place, empty("No challenge has any progress yet.", "It begins with the first log of a live challenge."));
  return put(place, make("p", "How many members began each challenge in its newest period, and how far they have come.", { class: "about" }),
    make("div", challenges.map(card), { class: "cards" }));
}
