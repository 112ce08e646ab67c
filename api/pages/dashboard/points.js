// Points: what is owed, what came and went, what lapses.

import { columns } from "./charts.js";
import { about, ask, brief, date, empty, grid, period, put, sampleNote, section, tiles, wallet, words } from "./parts.js";

const number = (name) => ({ name, number: true });
const scaled = (value, share) => Math.round(value / share);

function flowChart({ rows, share }, span) {
  if (!rows.length) return empty(`No points came or went in the last ${span} days.`);
  const last = Date.now();
  const dates = Array.from({ length: span }, (_, index) => new Date(last - (span - 1 - index) * 86400000).toISOString().slice(0, 10));
  const sums = new Map(dates.map((each) => [each, { in: 0, out: 0 }]));
  for (const row of rows) {
    const sum = sums.get(row.day);
    if (sum) sum[row.points > 0 ? "in" : "out"] += row.points;
  }
  return columns({ title: "Points", measure: "a day, UTC", first: "Day (UTC)", labels: dates.map(date), series: [
    { name: "Granted", values: dates.map((each) => scaled(sums.get(each).in, share)) },
    { name: "Spent, lapsed and taken back", values: dates.map((each) => scaled(sums.get(each).out, share)) }] });
}

function operations({ rows, share }) {
  const sums = new Map();
  for (const row of rows) {
    const sum = sums.get(row.operation) ?? { points: 0, entries: 0 };
    sums.set(row.operation, { points: sum.points + row.points, entries: sum.entries + row.entries });
  }
  return grid("By what moved them", ["What", number("Entries"), number("Points")],
    [...sums].sort((a, b) => Math.abs(b[1].points) - Math.abs(a[1].points)).map(([name, sum]) => [words(name), about(sum.entries, share), about(sum.points, share)]), "Nothing moved any points.");
}

function lapseChart({ rows, share }) {
  const dated = rows.filter((row) => row.month);
  if (!dated.length) return empty("No points lapse.", "They do where a wallet has an expiry.");
  return columns({ title: "Points that lapse", measure: "a month, UTC", first: "Month (UTC)", labels: dated.map((row) => period(row.month.slice(0, 7))), series: [{ name: "Points", values: dated.map((row) => scaled(row.points, share)) }] });
}

export async function show(place, frame) {
  const { owed, flow, lapsing, days } = await ask("dashboard/points", { signal: frame.over });
  const sum = (rows, field = "points") => rows.reduce((total, row) => total + row[field], 0);
  const all = (value, share) => (share < 1 ? about(value, share) : brief(value));
  const dated = lapsing.rows.filter((row) => row.month);
  const came = sum(flow.rows.filter((row) => row.points > 0));
  const went = -sum(flow.rows.filter((row) => row.points < 0));
  put(place,
    tiles([
      { name: "Liability", value: all(sum(owed.rows, "balance"), owed.share), note: "points that members have" },
      { name: "Of them held", value: all(sum(owed.rows, "held"), owed.share), note: "reserved, not yet spent" },
      { name: "Pending", value: all(sum(owed.rows, "pending"), owed.share), note: "granted, not yet active" },
      { name: `Granted in ${days} days`, value: all(came, flow.share), note: "by events and rewards" },
      { name: `Taken in ${days} days`, value: all(went, flow.share), note: "spent, lapsed, taken back" },
      { name: "Will lapse", note: "by a wallet's expiry", value: all(sum(dated), lapsing.share) },
    ]),
    sampleNote([owed.share, flow.share, lapsing.share]),
    section("Points by day", flowChart(flow, days)),
    section("By what moved them", operations(flow), { note: `In the last ${days} days.` }),
    section("What is owed, by wallet", grid("What is owed, by wallet", ["Wallet", number("Balance"), number("Held"), number("Pending"), number("Members")],
      owed.rows.map((row) => [wallet(row.group, row.name), about(row.balance, owed.share), about(row.held, owed.share), about(row.pending, owed.share), about(row.members, owed.share)]),
      "Nobody has points.")),
    section("What lapses, by month", lapseChart(lapsing)));
}
