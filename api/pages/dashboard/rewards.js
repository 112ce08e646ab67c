// Milestones that were reached, and rewards.

import { columns } from "./charts.js";
import { ago, amount, ask, badge, date, empty, make, member, period, put, section, table } from "./parts.js";

export async function show(place) {
  const { milestones, days, rewards, counted } = await ask("dashboard/rewards");
  const all = milestones.reduce((sum, each) => sum + each.reached, 0);
  const note = all >= counted ? `Of the newest ${amount(counted)}.` : null;
  const shown = [...days].reverse();
  put(place,
    section("Milestones reached, by day", shown.length
      ? columns({ title: "Milestones reached, by day", first: "Day (UTC)", labels: shown.map((each) => date(each.day)), series: [{ name: "Reached", values: shown.map((each) => each.reached) }] })
      : empty("No milestone was reached yet."), { note }),
    table("Milestones", ["Milestone", "Of", { name: "At", number: true }, { name: "Reached", number: true }, "Last"],
      milestones.map((m) => [m.name, m.of, amount(m.target), amount(m.reached), ago(m.lastAt)]), "No milestone was reached yet.", { note }),
    table("Newest rewards", ["Granted", "Member", "Reward for", "Of", "Period", "Status", "Coupon"],
      rewards.map((r) => [ago(r.createdAt), member(r.memberId, r.member, r.memberName), r.milestone, r.of, period(r.periodKey), badge(r.status), r.couponCode ? make("code", r.couponCode) : "–"]),
      "No reward was granted yet."));
}
