// How far members are on each pathway.

import { amount, ask, bar, count, empty, make, percent, put, words } from "./parts.js";

function level(pathway, number) {
  const activities = pathway.activities.filter((each) => each.level === number);
  return [
    ...(number ? [make("h3", `Level ${number}`)] : []),
    activities.map((each) => bar(each.name, each.completed, pathway.enrolled,
      `${words(each.type)}${each.required ? "" : ", optional"} · ${amount(each.completed)} · ${percent(each.completed, pathway.enrolled)}`)),
  ];
}

export async function show(place, frame) {
  const { pathways } = await ask("dashboard/pathways", { signal: frame.over });
  if (!pathways.length) return put(place, empty("No pathway is defined.", "A definition of kind pathway makes one."));
  return put(place, make("p", "How many of those who are enrolled have completed each activity.", { class: "about" }), make("div", pathways.map((pathway) => make("article", [
    make("h2", pathway.name),
    make("p", `${count(pathway.enrolled, "member")} enrolled · ${count(pathway.activities.length, "activity", "activities")}`, { class: "quiet" }),
    [...new Set(pathway.activities.map((each) => each.level))].sort((a, b) => a - b).map((number) => level(pathway, number)),
  ], { class: "card" })), { class: "cards" }));
}
