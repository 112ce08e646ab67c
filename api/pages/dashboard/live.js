// What happens now.

import { ago, amount, ask, brief, draw, duration, grid, make, member, period, put, section, tiles } from "./parts.js";

const KEPT = 300;
const samples = [];

function chart() {
  const most = Math.max(1, ...samples.flat());
  const last = Math.max(1, samples.length - 1);
  const lines = ["", "4 3"].map((dashes, index) => draw("polyline", {
    points: samples.map((values, x) => `${(100 * x) / last},${29 - (28 * values[index]) / most}`).join(" "),
    "stroke-dasharray": dashes || null,
  }));
  const drawing = draw("svg", { role: "img", "aria-label": "Logs and events a second", viewBox: "0 0 100 30", preserveAspectRatio: "none", class: "spark" }, lines);
  const words = `Full line: logs; dashed: events. Highest: ${amount(most)} a second.`;
  return make("figure", [drawing, make("figcaption", words, { class: "quiet" })], { class: "card" });
}

export async function show(place, frame) {
  const figures = make("div");
  const flow = make("div");
  const milestones = make("div");
  const rewards = make("div");
  put(place, figures, section("Since this page is open", flow), section("Newest milestones", milestones), section("Newest rewards", rewards));
  await frame.every(2, async () => {
    const data = await ask("dashboard/data", { signal: frame.over });
    samples.push([data.logsPerSecond, data.eventsPerSecond]);
    if (samples.length > KEPT) samples.shift();
    put(figures, tiles([
      { name: "Challenge logs a second", value: brief(data.logsPerSecond) },
      { name: "Events a second", value: brief(data.eventsPerSecond) },
      { name: "Tables are behind by", value: `${brief(data.lag.records)} records`, note: duration(data.lag.seconds) },
    ]));
    put(flow, chart());
    put(milestones, grid("Newest milestones", ["Reached", "Milestone", "Of", "Period", { name: "Value", number: true }, "Member"],
      data.milestones.map((m) => [ago(m.reachedAt), m.milestone, m.challenge, period(m.periodKey), amount(m.value), member(m.memberId, m.member)])));
    put(rewards, grid("Newest rewards", ["Granted", "Milestone", "Period", "Coupon", "Member"],
      data.rewards.map((r) => [ago(r.createdAt), r.milestone, period(r.periodKey), r.couponCode, member(r.memberId, r.member)])));
  });
}
