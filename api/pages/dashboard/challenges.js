// How far members are in each challenge.

import { amount, ask, bar, empty, make, percent, period, put } from "./parts.js";

export async function show(place) {
  const { challenges } = await ask("dashboard/challenges");
  if (!challenges.length) return put(place, empty("No challenge has any progress yet."));
  const share = (words, part, whole) => bar(words, part, whole, `${amount(part)} (${percent(part, whole)})`);
  return put(place, make("div", challenges.map((c) => make("article", [
    make("h2", c.name),
    make("p", `${period(c.periodKey)} · ${amount(c.started)} began`, { class: "quiet" }),
    c.milestones.map((m) => share(`${m.name} (${amount(m.target)})`, m.reached, c.started)),
    share("Completed", c.completed, c.started)], { class: "card" })), { class: "cards" }));
}
