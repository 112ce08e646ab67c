// Leaderboards, and streaks.

import { about, amount, ask, called, choice, empty, grid, make, member, percent, put, sampleNote, section, words } from "./parts.js";

const SPANS = [["", "This month"], ["7d", "Last 7 days"], ["30d", "Last 30 days"], ["365d", "Last 365 days"]];

async function board(place, frame, span) {
  const found = await ask(`leaderboard?limit=25${span ? `&timeframe=${span}` : ""}`, { signal: frame.over });
  put(place, grid("Leaderboard", [{ name: "Rank", number: true }, "Member", { name: "Points", number: true }],
    found.users.map((each) => [amount(each.rank), member(each.userId, each.userId, each.username === each.userId ? null : each.username), amount(each.points)]),
    "Nobody was granted points in that time.", { whole: true }));
}

function streak(s) {
  return [make("strong", called(s.id)), words(s.period), about(s.participants, s.share), [about(s.alive, s.share), " ", make("small", percent(s.alive, s.participants), { class: "quiet" })],
    amount(s.averageLength), amount(s.longestLength), amount(s.targetLength), about(s.completed, s.share)];
}

export async function show(place, frame) {
  const ranks = make("div", [], { "aria-live": "polite" });
  const span = choice({ label: "Points of", options: SPANS, value: "", change: (value) => frame.attempt(() => board(ranks, frame, value)) });
  const { streaks } = await ask("dashboard/streaks", { signal: frame.over });
  const number = (name) => ({ name, number: true });
  put(place, section("Leaderboard", ranks, { tools: span }),
    section("Streaks", streaks.length ? [grid("Streaks", ["Streak", "Period", number("Took part"), number("Alive"), number("Average, alive"), number("Longest"), number("Target"), number("Reached it")], streaks.map(streak)), sampleNote(streaks.map((s) => s.share))]
      : empty("No streak is defined."), { note: "Alive are those whose run has not broken yet." }));
  await board(ranks, frame, "");
}
