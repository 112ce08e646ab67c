// One member: what it has, how far it is, what it did, and what an event would give it.

import { address } from "./definitions.js";
import { ago, amount, ask, badge, called, count, country, empty, grid, make, opener, percent, period, put, section, small, table, tiles, time, wallet, words } from "./parts.js";
import { tryOut } from "./what-if.js";

const NUMBER = (name) => ({ name, number: true });

/** What led to a reward or a progress, as the API explains it. */
function told(found) {
  const inputs = found.inputs.map((i) => [time(i.time), i.value === null || NUMBERS.has(typeof i.value) ? amount(i.value) : JSON.stringify(i.value), amount(i.added), amount(i.after), small(`${i.topic} ${i.partition}/${i.offset}`)]);
  const rules = found.definitions.map((each, index) => [index ? ", " : "",
    make("a", each.definition.name ?? each.definition.title ?? words(each.kind), { href: `${address(each.kind, each.id)}/${each.version}` }), " ", small(words(each.kind).toLowerCase())]);
  return [
    make("h3", `${count(inputs.length, "record")} led to it`),
    grid("What led to it", ["Happened", NUMBER("Counted"), NUMBER("Added"), NUMBER("Came to"), "Record"], inputs),
    ...(rules.length ? [make("p", ["By the rules as they were then: ", rules, "."])] : []),
    ...(found.recalculation ? [make("p", make("a", "A recalculation corrected it.", { href: `#recalculation/${found.recalculation}` }))] : []),
  ];
}
const NUMBERS = new Set(["number", "undefined"]);

const why = (frame, kind, id, name) => opener(frame, ["Why", "Hide"], `of ${name}`, async () => told(await ask(`explain/${kind}/${encodeURIComponent(id)}`)));

function track(p) {
  const target = p.target ?? p.value;
  return make("progress", [], { max: Math.max(1, target), value: Math.max(0, p.value), "aria-label": `${p.name}: ${amount(p.value)} of ${amount(target)}` });
}

/** What is said of points beside those that can be spent. */
function besides(b) {
  const parts = [[b.held, "held"], [b.pending, "pending"]].filter(([points]) => points).map(([points, word]) => `${amount(points)} ${word}`);
  return parts.length ? [`balance ${amount(b.balance)}`, ...parts].join(", ") : "to spend";
}

function owned(found) {
  return tiles([
    ...found.balances.map((b) => ({ name: `Points: ${wallet(b.group)}`, value: amount(b.available), note: besides(b) })),
    ...found.tiers.map((t) => ({ name: `Tier: ${t.name}`, value: t.tierId ? words(t.tierId) : "None", note: ["since ", ago(t.since)] })),
    ...found.streaks.map((s) => ({ name: `Streak: ${called(s.streakId)}`, value: `${amount(s.currentLength)} of ${amount(s.targetLength)}`,
      note: [`longest ${amount(s.longestLength)}`, ...(s.activeUntil ? [", ends ", ago(s.activeUntil)] : [])] })),
  ]);
}

/** What each row of the timeline is known by. A log that an event fed has the event's id: it is called as that is. */
function identifiers(timeline) {
  const events = new Map(timeline.filter((t) => t.kind === "event").map((t) => [t.id, t.identifier]));
  return (t) => {
    const known = events.get(t.identifier) ?? t.identifier;
    return known ? make("code", known) : null;
  };
}

const OF_NAMES = new Set(["log", "event"]); // the others are of a wallet

export async function show(place, frame, id) {
  const found = await ask(`dashboard/members/${encodeURIComponent(id)}`, { signal: frame.over });
  const m = found.member;
  const identifier = identifiers(found.timeline);
  frame.title(m.name ? `${m.name} (${m.externalId})` : m.externalId);
  const about = [m.email, m.city, m.country && country(m.country), m.timezone, ...m.groups.map((group) => `group ${group}`)].filter(Boolean).join(" · ");
  put(place,
    make("p", [badge(m.status), " since ", time(m.createdAt), about ? ` · ${about}` : ""], { class: "about" }),
    owned(found),
    table("Progress", ["Challenge", "Period", NUMBER("Value"), NUMBER("Target"), "How far", "Status", "Explanation"], found.progress.map((p) =>
      [p.name, period(p.periodKey), amount(p.value), amount(p.target), track(p), badge(p.status), why(frame, "progress", p.id, p.name)]), "No progress in any challenge yet."),
    table("Rewards", ["Milestone", "Of", "Period", "Status", "Coupon", "Granted", "Explanation"], found.rewards.map((r) =>
      [r.milestone, called(r.of), period(r.periodKey), badge(r.status), r.couponCode ? make("code", r.couponCode) : null, ago(r.createdAt), why(frame, "reward_log", r.id, r.milestone)]), "No reward yet."),
    found.pathways.length
      ? table("Pathways", ["Pathway", NUMBER("Completed"), NUMBER("Activities"), "How far", "Enrolled"], found.pathways.map((p) =>
        [p.name, amount(p.completed), amount(p.activities), track({ name: p.name, value: p.completed, target: p.activities }), p.enrolled ? ago(p.enrolledAt) : "not enrolled"]))
      : [],
    frame.mayAct ? tryOut(frame, m) : [],
    table("Points that lapse", ["Wallet", NUMBER("Points"), "Good from", "Lapses"], found.lots.map((l) =>
      [wallet(l.group), amount(l.points), l.activatesAt ? ago(l.activatesAt) : "now", l.expiresAt ? ago(l.expiresAt) : "never"]), "None of its points lapse."),
    found.timeline.length
      ? table("Timeline", ["What", "Kind", NUMBER("Value"), "When", "Taken back", "Identifier"], found.timeline.map((t) =>
        [OF_NAMES.has(t.kind) ? t.what : `Points: ${wallet(t.what)}`, words(t.kind), amount(t.value), ago(t.at), t.voided > 0 ? percent(t.voided, 1) : "", identifier(t)]), "", { note: "The newest, in the order in which they came." })
      : section("Timeline", empty("It has done nothing yet.")));
}
