// What happens now.

import { lines } from "./charts.js";
import { ago, amount, ask, brief, called, count, duration, grid, make, member, period, put, renew, section, tiles, under } from "./parts.js";

const SECONDS = 2;
const KEPT = 150;
const SHOWN = 10;
const samples = []; // of this visit: they outlast a look at another page
let replies = null;

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium", hourCycle: "h23" });

/** The seconds within which so much of the replies came since the answer before. */
function within(part, now, before) {
  const counts = now.map(([bound, count], index) => [bound, count - (before?.[index]?.[1] ?? 0)]);
  const all = counts.at(-1)?.[1] ?? 0;
  if (all <= 0) return null;
  const index = counts.findIndex(([, count]) => count >= part * all);
  const [bound, reached] = counts[index];
  if (bound === null) return counts.at(-2)[0];
  const [low, fewer] = index ? counts[index - 1] : [0, 0];
  return low + ((bound - low) * (part * all - fewer)) / Math.max(1, reached - fewer);
}

function charts() {
  const labels = samples.map((each) => clock.format(each.at));
  const flow = lines({ title: "Flow", measure: "records a second", labels, unit: " a second", asTable: false, series: [
    { name: "Challenge logs", values: samples.map((each) => each.logs) },
    { name: "Events", values: samples.map((each) => each.events) },
    { name: "Dead letters", values: samples.map((each) => each.dead) }] });
  const wait = lines({ title: "Delay", measure: "seconds", labels, unit: " s", asTable: false, series: [
    { name: "From input to table", values: samples.map((each) => each.age) },
    { name: "Tables behind", values: samples.map((each) => each.lag) }] });
  return make("div", [flow, wait], { class: "cards" });
}

function figures(data, lately) {
  const p95 = within(0.95, data.replies, null);
  return tiles([
    { name: "Logs a second", value: brief(data.logsPerSecond) },
    { name: "Events a second", value: brief(data.eventsPerSecond) },
    { name: "From input to table", value: duration(data.newestAge), note: data.newestAge === null ? "nothing came lately" : "end to end, now" },
    { name: "Answered within", value: duration(lately ?? within(0.5, data.replies, null)), note: p95 === null ? "no call yet" : `95% within ${duration(p95)}` },
    { name: "Records behind", value: brief(data.lag.records), note: !data.lag.records ? "the tables have all" : data.lag.seconds ? `the tables, ${duration(data.lag.seconds)}` : "the tables" },
    { name: "Refused a second", value: brief(data.deadLettersPerSecond), note: data.deadLettersPerSecond ? "to the dead letters" : "nothing is refused" },
    ...(data.withoutWorker ? [{ name: "Without a worker", value: count(data.withoutWorker, "partition"), note: "for 90 s" }] : []),
  ]);
}

export async function show(place, frame) {
  const now = make("div");
  const flow = make("div");
  const milestones = make("div");
  const rewards = make("div");
  await frame.every(SECONDS, async () => {
    const data = await ask("dashboard/data", { signal: frame.over });
    const lately = replies && within(0.5, data.replies, replies);
    replies = data.replies;
    samples.push({ at: new Date(), logs: data.logsPerSecond, events: data.eventsPerSecond, dead: data.deadLettersPerSecond, age: data.newestAge, lag: data.lag.seconds });
    if (samples.length > KEPT) samples.shift();
    if (!place.childElementCount) put(place, now, section("Since this page was opened", flow), section("Newest milestones", milestones), section("Newest rewards", rewards));
    put(now, figures(data, lately));
    renew(flow, charts());
    renew(milestones, grid("Newest milestones", ["Member", "Milestone", "Period", { name: "Value", number: true }, "Reached"],
      data.milestones.slice(0, SHOWN).map((m) => [member(m.memberId, m.member, m.memberName), under(m.milestone, called(m.challenge)), period(m.periodKey), amount(m.value), ago(m.reachedAt)]),
      "No milestone was reached yet."));
    renew(rewards, grid("Newest rewards", ["Member", "Reward for", "Period", "Coupon", "Granted"],
      data.rewards.slice(0, SHOWN).map((r) => [member(r.memberId, r.member, r.memberName), r.milestone, period(r.periodKey), r.couponCode ? make("code", r.couponCode) : null, ago(r.createdAt)]),
      "No reward was granted yet."));
    return data.askAgainSeconds; // the more look, the more seldom each asks
  });
}
