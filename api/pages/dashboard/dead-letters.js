// Refused records: by reason and one by one, and sent back by admins.

import { button, outcome, sure } from "./acting.js";
import { ago, amount, ask, badge, choice, count, grid, make, opener, percent, put, section, small, time, words } from "./parts.js";

const NEXT = {
  malformed: "Mend its producer; the record itself stays unreadable.",
  invalid: "Mend its producer, or the definition that it breaks.",
  misplaced: "Look at the keys of who forwards it.",
  unknown_challenge: "Make the challenge, then send it back.",
  unknown_member: "Make the member, then send it back.",
  unknown_event: "Define the event, then send it back.",
  unknown_pathway: "Define the pathway, then send it back.",
  unknown_activity: "Add the activity to its pathway, then send it back.",
  unknown_tier_set: "Define the tier set, then send it back.",
  unknown_tier: "Add the tier to its set, then send it back.",
  inactive: "Make the event active, then send it back.",
  too_large: "Raise the limit, or have it sent in parts.",
  poison: "Look at the worker's log; send it back with the mended version.",
};
const CHOSEN_AT_ONCE = 50;
const CALLS_FOR_NOTHING = 16; // of 64 MiB of others' letters each
const REPEATS = 6; // where another redrive runs; the API waits a while each time
const PAUSE = 1000; // ms
const TURNS = 600; // at most, while the project's redrives have sent as many as they may for now
const records = (number) => count(number, "record");

/** What a redrive did, in a sentence. */
function told(done) {
  const sent = done.sent.reduce((sum, each) => sum + each.letters, 0);
  const parts = [sent ? `${records(sent)} went back.` : "Nothing went back."];
  if (done.redriven) parts.push(`${records(done.redriven)} had gone back before.`);
  if (done.gone) parts.push(`${records(done.gone)} are there no more.`);
  if (done.more) parts.push("It was left before the end; redrive again to go on.");
  if (done.failed.length) parts.push(`${records(done.failed.length)} could not be sent: ${done.failed[0].message}.`);
  if (sent) parts.push("What is refused again comes back as a new letter.");
  return parts.join(" ");
}

/** One call; it is repeated some times where another redrive runs, and until there is room for it. */
async function call(json, over) {
  const left = { redrive_running: REPEATS, too_many_redriven: TURNS };
  for (;;) {
    try {
      return await ask("dashboard/redrive", { method: "POST", json, signal: over });
    } catch (error) {
      if (!left[error.body?.code] || over.aborted) throw error;
      left[error.body.code]--;
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
    }
  }
}

/**
 * Redrive until nothing is left of it, or nothing of it comes; `progress(sent)` is told how far it is.
 * It ends after `count` letters, too: what is refused again comes back as a new one, without an end.
 */
async function redrive(json, count, over, progress) {
  const all = { sent: [], failed: [], redriven: 0, gone: 0, more: true };
  for (let left = CALLS_FOR_NOTHING; all.more && left; ) {
    const done = await call(json, over);
    left = done.sent.length ? CALLS_FOR_NOTHING : left - 1;
    all.sent.push(...done.sent);
    all.failed.push(...done.failed);
    all.redriven += done.redriven;
    all.gone += done.gone;
    const sent = all.sent.reduce((sum, each) => sum + each.letters, 0);
    all.more = done.more && sent + all.failed.length < count;
    progress(sent);
  }
  return all;
}

function original(letter) {
  const headers = letter.headers.map((each) => `${each.key}: ${each.value ?? "–"}`).join("\n");
  let value = letter.value ?? "The letter carries no value: there was none, or it is too large and stays in its topic.";
  try {
    value = letter.valueIsCut ? `${value}\n…` : JSON.stringify(JSON.parse(value), null, 2);
  } catch {
    // shown as it is
  }
  return make("div", [
    make("dl", [["Key", letter.key], ["Headers", headers || null], ["Recorded", time(letter.at)]].map(([name, each]) =>
      make("div", [make("dt", name), make("dd", each)])), { class: "facts" }),
    make("pre", value, { tabindex: "0", "aria-label": "The record" }),
  ]);
}

const named = (letter) => `${letter.topic} ${letter.partition}/${letter.offset}`;

function whole(frame, letter) {
  return opener(frame, ["Show", "Hide"], `the record ${named(letter)}`, async () => original(await ask(`dashboard/dead-letters/${letter.id}`)));
}

/** A count; of very many letters only the newest are counted. */
const counted = (count, { more }) => (more ? `${amount(count)} or more` : amount(count));

function reasonsOf(frame, reasons, chosen, send) {
  const rows = reasons.map((each) => [
    make("a", words(each.reason), { href: `#dead-letters/${each.reason}`, "aria-current": each.reason === chosen ? "true" : null }),
    counted(each.waiting, each),
    counted(each.letters, each),
    ago(each.newest),
    make("span", NEXT[each.reason] ?? "Look at why, mend it, then send it back.", { class: "quiet message" }),
    ...(frame.mayAct ? [each.waiting + each.unplaced ? button("Redrive", () => send(each), { class: "small", "aria-label": `Redrive ${words(each.reason)}` }) : ""] : []),
  ]);
  const columns = ["Reason", { name: "Waiting", number: true }, { name: "In all", number: true }, "Newest", "What to do"];
  return grid("By reason", [...columns, ...(frame.mayAct ? ["Act"] : [])], rows, "No record of this project was refused.", { whole: true });
}

export async function show(place, frame, reason = "") {
  const state = { reason, which: "waiting", offset: 0, chosen: new Set() };
  const reasons = make("div");
  const letters = make("div");
  const done = outcome();

  async function send(json, count, title, text) {
    if (!(await sure(title, [text, "Each goes back once, with its time and place. What is still wrong with it comes back as a new letter."], "Send back"))) return;
    const bar = make("progress", [], { max: Math.max(1, count), value: 0, "aria-label": "Sent back" });
    await frame.attempt(async () => {
      const all = await redrive(json, count, frame.over, (sent) => {
        bar.value = sent;
        done.say(`${records(sent)} went back (${percent(Math.min(sent, count), count)})`, bar);
      });
      done.say(told(all));
    });
    state.chosen.clear();
    await frame.attempt(load);
  }

  /** A box for each letter that waits, by its id, and one for all of them. */
  function boxesOf(waiting, act) {
    const told = () => {
      act.disabled = !state.chosen.size;
      act.textContent = state.chosen.size ? `Redrive ${records(state.chosen.size)}` : "Redrive";
      all.checked = state.chosen.size === waiting.length;
      all.indeterminate = Boolean(state.chosen.size) && !all.checked;
    };
    const box = (label, change) => make("input", [], { type: "checkbox", "aria-label": label, onchange: (event) => {
      change(event.target.checked);
      told();
    } });
    const mark = (letter, checked) => state.chosen[checked ? "add" : "delete"](letter.id);
    const boxes = new Map(waiting.map((letter) => [letter.id, box(`Choose ${named(letter)}`, (checked) => mark(letter, checked))]));
    const all = box(null, (checked) => {
      for (const letter of waiting) {
        mark(letter, checked);
        boxes.get(letter.id).checked = checked;
      }
    });
    return { all, boxes };
  }

  function list(found) {
    const act = button("Redrive", () => send({ letters: [...state.chosen].slice(0, CHOSEN_AT_ONCE) }, state.chosen.size, "Send these back?", `${records(state.chosen.size)} that you have chosen.`), { class: "main", disabled: true });
    const { all, boxes } = boxesOf(found.letters.filter((each) => each.waits), act);
    const withState = state.which !== "waiting" || found.letters.some((each) => each.waits === null);
    const rows = found.letters.map((each) => [
      frame.mayAct && boxes.has(each.id)
        ? make("label", [boxes.get(each.id), make("span", each.message, { class: "message" })], { class: "pick" })
        : make("span", each.message, { class: "message" }),
      ...(state.reason ? [] : [words(each.reason)]),
      [each.topic, " ", small(`${each.partition}/${each.offset}`)],
      ago(each.at),
      ...(withState ? [badge(each.waits === null ? "by reason only" : each.waits ? "waiting" : "redriven")] : []),
      each.id === null ? "" : whole(frame, each),
    ]);
    const columns = ["What is wrong", ...(state.reason ? [] : ["Reason"]), "Record", "Recorded", ...(withState ? ["State"] : []), "Original"];
    const which = choice({ label: "Show", value: state.which, options: [["waiting", "those that wait"], ["all", "all"]], change: (value) => page({ which: value, offset: 0 }) });
    const older = found.whole ? "" : make("p", "Only the newest were looked through; there are more.", { class: "quiet note" });
    const none = state.which === "waiting" ? "None waits: nothing was refused, or all of it went back." : "There are none.";
    const turn = [
      state.offset ? button("Newer", () => page({ offset: state.offset - found.letters.length < 0 ? 0 : Math.max(0, state.offset - 50) })) : null,
      found.more ? button("Older", () => page({ offset: state.offset + 50 })) : null,
    ].filter(Boolean);
    const title = state.reason ? `Records: ${words(state.reason)}` : "Records";
    const tools = make("div", [state.reason ? make("a", "All reasons", { href: "#dead-letters" }) : "", which,
      ...(frame.mayAct && boxes.size ? [make("label", [all, "All of these"], { class: "tick" }), act] : [])], { class: "tools" });
    put(letters, section(title, [grid(title, columns, rows, none, { whole: true, listed: true }), older, make("div", turn, { class: "choices" })], { tools }));
  }

  async function page(change) {
    Object.assign(state, change);
    state.chosen.clear();
    await frame.attempt(load);
  }

  async function load() {
    const query = new URLSearchParams({ state: state.which, offset: state.offset });
    if (state.reason) query.set("reason", state.reason);
    const found = await ask(`dashboard/dead-letters?${query}`, { signal: frame.over });
    put(reasons, reasonsOf(frame, found.reasons, state.reason, (each) =>
      send({ reason: each.reason }, each.waiting + each.unplaced, "Send all of these back?", `${each.more ? "At first " : each.unplaced ? "At most " : ""}${records(each.waiting + each.unplaced)} refused as “${words(each.reason)}”.`)));
    if (found.reasons.length) list(found);
    else put(letters);
  }

  await load();
  put(place, make("p", ["Records that were refused changed nothing. Mend the cause, then send them back. Records that name no project are listed by ", make("code", "milestream dead-letters list"), "."], { class: "about" }),
    done.place, section("By reason", reasons), letters);
}
