// Milestones that were reached, and rewards.

import { columns } from "./charts.js";
import { ago, amount, ask, badge, called, date, empty, make, member, period, put, section, table, under } from "./parts.js";

export async function show(place) {
  const { milestones, days, rewards, counted } = await ask("dashboard/rewards");
  const all = milestones.reduce((sum, each) => sum + each.reached, 0);
  const note = all >= counted ? `Of the newest ${amount(counted)}.` : null;
  const shown = [...days].reverse();
  put(place,
    section("Milestones reached, by day", shown.length
      ? columns({ title: "Reached", measure: "milestones a day, UTC", first: "Day (UTC)", labels: shown.map((each) => date(each.day)), series: [{ name: "Reached", values: shown.map((each) => each.reached) }] })
      : empty("No milestone was reached yet."), { note }),
    table("Milestones", ["Milestone", "Of", { name: "Target", number: true }, { name: "Reached", number: true }, "Last"],
      milestones.map((m) => [m.name, called(m.of), amount(m.target), amount(m.reached), ago(m.lastAt)]), "No milestone was reached yet.", { note }),
    table("Newest rewards", ["Member", "Reward for", "Period", "Status", "Coupon", "Granted"],
      rewards.map((r) => [member(r.memberId, r.member, r.memberName), under(r.milestone, called(r.of)), period(r.periodKey), badge(r.status), r.couponCode ? make("code", r.couponCode) : null, ago(r.createdAt)]),
      "No reward was granted yet."));
}
