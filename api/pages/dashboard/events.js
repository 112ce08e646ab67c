// Events, by day and hour.

import { columns, hours } from "./charts.js";
import { amount, ask, brief, choice, date, day, empty, grid, make, percent, put, section, tiles } from "./parts.js";

const PERIODS = [["7d", "7 days"], ["30d", "30 days"], ["90d", "90 days"], ["current_month", "This month"], ["ytd", "This year"]];
const DAYS_OF_HOURS = 14;
const number = (name) => ({ name, number: true });

/** Every day from one to another: those without events are left out of the answer. */
function daysOf(first, last) {
  const found = [];
  for (let at = Date.parse(`${first}T00:00:00Z`); at <= Date.parse(`${last}T00:00:00Z`); at += 86400000) found.push(new Date(at).toISOString().slice(0, 10));
  return found;
}

function daily(data, key, first, last) {
  const dates = daysOf(first, last);
  const of = (field) => dates.map((each) => data[each]?.[field] ?? 0);
  const labels = dates.map(date);
  const busy = dates.filter((each) => data[each]?.hourlyDistribution?.length).slice(-DAYS_OF_HOURS).reverse();
  return [
    section("By day", !busy.length ? empty("No events in these days.") : columns({ title: "Events", measure: "and members who sent them, a day", first: "Day", labels, series: [{ name: "Events", values: of(key) }, { name: "Members", values: of("users") }] })),
    section("By hour", busy.length ? hours({ title: "Events by hour", rows: busy.map((each) => [day(each), data[each].hourlyDistribution]) }) : empty("No hours in these days."),
      { note: busy.length ? `The last ${busy.length === 1 ? "day" : `${busy.length} days`} with events, in the project's time zone; the stronger the colour, the more.` : undefined }),
  ];
}

function ofAll(data, titles, first, last) {
  const shares = data.topEvents.map((id) => [id, data.eventBreakdown[id]]).filter(([, share]) => share);
  const rest = Object.entries(data.eventBreakdown).filter(([id]) => !data.topEvents.includes(id)).sort((a, b) => b[1].count - a[1].count);
  return [
    tiles([{ name: "Events", value: brief(data.totalEvents) }, { name: "Members", value: brief(data.uniqueUsers), note: "each counted once" }, { name: "Points granted", value: brief(data.totalPoints) }]),
    ...daily(data.dailyData, "events", first, last),
    section("By event", grid("By event", ["Event", number("Events"), number("Share"), number("Members"), number("Points")],
      [...shares, ...rest].map(([id, share]) => [make("a", titles.get(id) ?? id, { href: `#events/${encodeURIComponent(id)}` }), amount(share.count), percent(share.count, data.totalEvents), amount(share.users), amount(share.points)]),
      "No events in these days.")),
  ];
}

function ofOne(data, first, last) {
  return [
    tiles([{ name: "Events", value: brief(data.totalCount) }, { name: "Members", value: brief(data.uniqueUsers), note: "each counted once" }, { name: "Points granted", value: brief(data.pointsAwarded) },
      { name: "Met the conditions", value: percent(data.conditionMet, data.totalCount), note: `${amount(data.conditionFailed)} did not` },
      { name: "Came after the limit", value: brief(data.limitReached) }]),
    ...daily(data.dailyData, "count", first, last),
  ];
}

export async function show(place, frame, event = "") {
  const figures = make("div", [], { "aria-live": "polite" });
  const events = (await ask("event?showAll=true", { signal: frame.over })) ?? [];
  const titles = new Map((Array.isArray(events) ? events : events.data ?? []).map((each) => [each.eventId, each.title]));
  let chosen = "30d";
  async function draw() {
    const one = event ? `&eventId=${encodeURIComponent(event)}` : "";
    const found = await ask(`stats/event?period=${chosen}${one}`, { signal: frame.over });
    put(figures, event ? ofOne(found.data, found.startDate, found.endDate) : ofAll(found.data, titles, found.startDate, found.endDate));
  }
  if (event) frame.title(titles.get(event) ?? event);
  put(place, make("div", [
    choice({ label: "Event", options: [["", "All events"], ...titles], value: event, change: (value) => { location.hash = value ? `#events/${encodeURIComponent(value)}` : "#events"; } }),
    choice({ label: "Days", options: PERIODS, value: chosen, change: (value) => { chosen = value; frame.attempt(draw); } }),
  ], { class: "tools" }), figures);
  await draw();
}
