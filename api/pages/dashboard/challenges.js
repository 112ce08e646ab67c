// How far members are in each challenge, period by period.

import { columns } from "./charts.js";
import { about, amount, ask, bar, empty, make, percent, period, put, sampleNote, words } from "./parts.js";

function history(c) {
  const all = [...c.earlier].reverse().concat([c]);
  if (all.length < 2) return [];
  const chart = columns({ title: `${c.name}, by period`, first: "Period", labels: all.map((each) => period(each.periodKey)), series: [
    { name: "Began", values: all.map((each) => Math.round(each.started / c.share)) },
    { name: "Completed", values: all.map((each) => Math.round(each.completed / c.share)) }] });
  return [make("details", [make("summary", `By period (${all.length})`), chart])];
}

function card(c) {
  const share = (label, part) => bar(label, part, c.started, `${about(part, c.share)} · ${percent(part, c.started)}`);
  return make("article", [
    make("h2", c.name),
    make("p", `${period(c.periodKey)} · ${words(c.period)} · ${about(c.started, c.share)} began`, { class: "quiet" }),
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
  return put(place, make("div", challenges.map(card), { class: "cards" }));
}
