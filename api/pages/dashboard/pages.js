// The pages of the dashboard: a line each. `name` is the address after #, what follows a slash there
// is given to the page. A module exports show(place, frame, ...arguments), see frame.js.

const page = (group, name, title, under = name) => ({ group, name, title, under, load: () => import(`./${name}.js`) });

export const PAGES = [
  page("Watch", "live", "Live"),
  page("Watch", "challenges", "Challenges"),
  page("Watch", "rewards", "Milestones and rewards"),
  page("Watch", "boards", "Boards and streaks"),
  page("Watch", "events", "Events"),
  page("Watch", "points", "Points"),
  page("Watch", "pathways", "Pathways"),
  page("People", "members", "Members"),
  page(null, "member", "Member", "members"), // group null: reached from another page, under whose name it is
  page("Act", "dead-letters", "Dead letters"),
  page("Act", "definitions", "Definitions"),
  page(null, "definition", "Definition", "definitions"),
  page("Act", "recalculations", "Recalculations"),
  page(null, "recalculation", "Recalculation", "recalculations"),
];

export const LINKS = [
  ["docs", "HTTP API"],
  ["asyncapi", "Kafka topics"],
  ["metrics", "Metrics"],
];
