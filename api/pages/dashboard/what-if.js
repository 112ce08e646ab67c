// What an event would give a member: tried, and nothing comes of it.

import { amount, ask, called, choice, empty, grid, make, put, section, words } from "./parts.js";

const JSON_TYPES = new Set(["array", "object"]);
const INPUT_TYPES = { number: "number", date: "date" };

/** An input for a field of an event's metadata, and what it comes to: undefined where it is left empty. */
function fieldOf({ key, type, required }) {
  if (type === "boolean") {
    const select = make("select", [["", "–"], ["true", "yes"], ["false", "no"]].map(([value, text]) => make("option", text, { value })), { required });
    return { key, label: make("label", [key, select]), get: () => (select.value ? select.value === "true" : undefined) };
  }
  const input = make("input", [], { type: INPUT_TYPES[type] ?? "text", step: "any", required, autocomplete: "off", placeholder: JSON_TYPES.has(type) ? "JSON" : null });
  const get = () => {
    if (input.value === "") return undefined;
    if (type === "number") return Number(input.value);
    return JSON_TYPES.has(type) ? parsed(input.value, key) : input.value;
  };
  return { key, label: make("label", [required ? key : `${key} (optional)`, input]), get };
}

function parsed(text, what) {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(`${what} is no JSON.`);
  }
}

/** Say what a dry run came to. */
function told(found, names) {
  const outcome = found.data ? `It would give ${amount(found.data.points)} ${found.data.points === 1 ? "point" : "points"}.` : `It would be refused: ${found.message}`;
  const rules = grid("Rules that were looked at", ["Rule", "Of", "Outcome", "Why"], (found.trace ?? []).map((t) => [words(t.kind), names.get(t.id) ?? called(t.id), words(t.outcome), t.why && called(t.why)]), "No rule was looked at.");
  return [make("p", outcome, { class: "outcome" }), make("h3", "Rules that were looked at"), rules];
}

/** The names of definitions by their ids; none where they are not to be had. */
async function namesOf(frame) {
  try {
    const { definitions } = await ask("dashboard/definitions", { signal: frame.over });
    return new Map(definitions.filter((each) => each.name).map((each) => [each.id, each.name]));
  } catch {
    return new Map(); // ids say it as well
  }
}

export function tryOut(frame, member) {
  const answer = make("div", [], { "aria-live": "polite" });
  const form = make("div");
  const part = section("What if", [form, answer], { note: "An event that this member would send now. It is only tried: nothing comes of it." });

  function fill(events, names) {
    let chosen = events[0];
    let fields = [];
    const inputs = make("div", [], { class: "fields" });
    const more = make("input", [], { value: "", placeholder: "{}", autocomplete: "off" });
    const choose = (id) => {
      chosen = events.find((each) => each.eventId === id);
      fields = (chosen.metadataFields ?? []).map(fieldOf);
      put(inputs, fields.map((each) => each.label));
      put(answer);
    };
    const attempt = async () => {
      const given = fields.map((each) => [each.key, each.get()]).filter(([, value]) => value !== undefined);
      const metadata = { ...(more.value.trim() ? parsed(more.value, "What is given beside") : {}), ...Object.fromEntries(given) };
      const json = { eventId: chosen.eventId, userId: member.externalId, metadata };
      const found = await ask("event?dryRun=true&trace=true", { method: "POST", json, signal: frame.over }).catch((error) => {
        if (error.body?.trace) return error.body;
        throw error;
      });
      put(answer, told(found, await names));
    };
    choose(chosen.eventId);
    put(form, make("form", [
      choice({ label: "Event", options: events.map((each) => [each.eventId, each.title]), value: chosen.eventId, change: choose }), inputs, make("button", "Try it"),
      make("details", [make("summary", "More metadata"), make("label", ["As JSON", more])])], {
      class: "trial", onsubmit: (event) => {
        event.preventDefault();
        frame.attempt(attempt);
      } }));
  }

  frame.attempt(async () => {
    const found = (await ask("event?showAll=false", { signal: frame.over })) ?? [];
    const events = Array.isArray(found) ? found : found.data ?? [];
    if (events.length) fill(events, namesOf(frame));
    else put(form, empty("No event is defined yet."));
  });
  return part;
}
