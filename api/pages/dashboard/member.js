// One member: what it has, how far it is, what it did, and what an event would give it.

import { amount, ask, badge, make, percent, period, put, section, table, tiles, time, wallet, words } from "./parts.js";

const NUMBER = (name) => ({ name, number: true });

function why(frame, kind, id) {
  const button = make("button", "Why", { type: "button", class: "small" });
  button.addEventListener("click", () => frame.attempt(async () => {
    const found = await ask(`explain/${kind}/${encodeURIComponent(id)}`);
    const rows = found.inputs.map((i) => [time(i.time), i.topic, `${i.partition} / ${i.offset}`, amount(i.value), amount(i.added), amount(i.after)]);
    button.closest("tr").after(make("tr", make("td", [
      table("What led to it", ["Time", "Topic", "Partition / offset", NUMBER("Value"), NUMBER("Added"), NUMBER("After")], rows),
      make("details", [make("summary", "By which definitions"), make("pre", JSON.stringify(found.definitions, null, 2))])],
      { colspan: "9", class: "wrap" })));
    button.remove();
  }));
  return button;
}

function track(p) {
  const target = p.target ?? p.value;
  return make("progress", [], { max: Math.max(1, target), value: Math.max(0, p.value), "aria-label": `${p.name}: ${amount(p.value)} of ${amount(target)}` });
}

function tryOut(frame, member) {
  const answer = make("div", [], { "aria-live": "polite" });
  const events = make("datalist", [], { id: "events" });
  frame.attempt(async () => {
    const known = (await ask("event?showAll=false", { signal: frame.over })) ?? [];
    put(events, known.map((each) => make("option", each.title, { value: each.eventId })));
  });
  const form = make("form", [
    make("label", ["Event", make("input", [], { name: "eventId", required: true, list: "events", autocomplete: "off" }), events]),
    make("label", ["Metadata (JSON)", make("input", [], { name: "metadata", value: "{}" })]),
    make("button", "Try")]);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const given = new FormData(form);
    frame.attempt(async () => {
      const json = { eventId: given.get("eventId"), userId: member.externalId, metadata: JSON.parse(given.get("metadata") || "{}") };
      const found = await ask("event?dryRun=true&trace=true", { method: "POST", json }).catch((error) => {
        if (error.body?.trace) return error.body;
        throw error;
      });
      const outcome = found.data ? `It would give ${amount(found.data.points)} points.` : `It would be refused: ${found.message}`;
      put(answer, make("p", outcome),
        table("Rules that were looked at", ["Rule", "Id", "Outcome", "Why"], (found.trace ?? []).map((t) => [words(t.kind), t.id, words(t.outcome), t.why])));
    });
  });
  return section("What if", [form, answer], { note: "An event that this member would send now; nothing comes of it." });
}

export async function show(place, frame, id) {
  const found = await ask(`dashboard/members/${encodeURIComponent(id)}`);
  const m = found.member;
  frame.title(m.name ? `${m.name} (${m.externalId})` : m.externalId);
  const about = [m.email, m.city, m.country, m.timezone, ...m.groups].filter(Boolean).join(" · ");
  put(place,
    make("p", [badge(m.status), " since ", time(m.createdAt), about ? ` · ${about}` : ""], { class: "quiet" }),
    tiles([
      ...found.balances.map((b) => ({ name: `Points: ${wallet(b.group)}`, value: amount(b.available),
        note: `balance ${amount(b.balance)}, held ${amount(b.held)}, pending ${amount(b.pending)}` })),
      ...found.tiers.map((t) => ({ name: `Tier: ${t.name}`, value: t.tierId ?? "none", note: ["since ", time(t.since)] })),
      ...found.streaks.map((s) => ({ name: `Streak: ${s.streakId}`, value: `${s.currentLength} of ${s.targetLength}`,
        note: [`longest ${s.longestLength}, active until `, time(s.activeUntil)] })),
    ]),
    table("Progress", ["Challenge", "Period", NUMBER("Value"), NUMBER("Target"), "How far", "Status"], found.progress.map((p) =>
      [p.name, period(p.periodKey), amount(p.value), amount(p.target), track(p), badge(p.status)])),
    table("Rewards", ["Granted", "Milestone", "Of", "Period", "Status", "Coupon", "Explanation"], found.rewards.map((r) =>
      [time(r.createdAt), r.milestone, r.of, period(r.periodKey), badge(r.status), r.couponCode, frame.mayAct ? why(frame, "reward_log", r.id) : "–"])),
    table("Points that lapse", ["Group", NUMBER("Points"), "From", "Until"], found.lots.map((l) =>
      [wallet(l.group), amount(l.points), l.activatesAt ? time(l.activatesAt) : "now", l.expiresAt ? time(l.expiresAt) : "never"]), "None."),
    table("Timeline", ["At", "What", "Of", NUMBER("Value"), "Identifier", "Taken back"], found.timeline.map((t) =>
      [time(t.at), words(t.kind), wallet(t.what), amount(t.value), t.identifier, t.voided > 0 ? percent(t.voided, 1) : ""])),
    tryOut(frame, m));
}
