// What pages are built of. Everything that is shown is text or elements, never HTML: names come from
// members.

const SVG = "http://www.w3.org/2000/svg";
const NOTHING = "–";

function filled(made, content, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...[content].flat(Infinity).map((part) => part ?? NOTHING));
  return made;
}

/** Make an element. An attribute that is null or false is left out; one as onclick is listened to. */
export const make = (tag, content = [], attributes = {}) => filled(document.createElement(tag), content, attributes);
/** Make an element of a drawing. */
export const draw = (tag, attributes = {}, content = []) => filled(document.createElementNS(SVG, tag), content, attributes);

// Asking the API ----------------------------------------------------------------------------------

export class Refused extends Error {
  constructor(status, body) {
    super(body?.detail ?? body?.message ?? `The API answers ${status}.`);
    this.status = status;
    this.body = body;
  }
}

/** Return what the API answers to a path; options are those of fetch, `json` is a body to send. */
export async function ask(path, { json, headers, ...options } = {}) {
  const given = { accept: "application/json", "x-milestream-page": "1", ...headers };
  if (json !== undefined) {
    options.body = JSON.stringify(json);
    given["content-type"] = "application/json";
  }
  let answer;
  try {
    answer = await fetch(new URL(path, location.origin + location.pathname), { ...options, headers: given });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The API does not answer; it is asked again.");
  }
  const text = await answer.text();
  let body = null;
  try {
    body = text ? JSON.parse(text) : null;
  } catch {
    throw new Error(`The API answers ${answer.status}, and no JSON.`);
  }
  if (!answer.ok) throw new Refused(answer.status, body);
  return body;
}

// Words for figures -------------------------------------------------------------------------------

const exact = new Intl.NumberFormat(undefined, { maximumFractionDigits: 2 });
const short = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1, notation: "compact" });
const percents = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0, style: "percent" });
const whole = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });
const fine = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 2, style: "percent" });
const moments = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const exactly = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });
const days = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
const dates = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", timeZone: "UTC" });
const months = new Intl.DateTimeFormat(undefined, { month: "long", year: "numeric", timeZone: "UTC" });
const since = new Intl.RelativeTimeFormat(undefined, { numeric: "auto", style: "short" });

const missing = (value) => value === null || value === undefined;
/** An amount with its thousands apart: 12,345.5 */
export const amount = (value) => (missing(value) ? NOTHING : exact.format(value));
/** An amount in few characters: 12.3K */
export const brief = (value) => (missing(value) ? NOTHING : Math.abs(value) < 10000 ? exact.format(value) : short.format(value));
/** A part of a whole: 42% */
export const percent = (part, of) => (!of ? NOTHING : part > 0 && part / of < 0.01 ? `< ${percents.format(0.01)}` : percents.format(part / of));
/** A figure of a sample: what all come to, ≈ where the sample is not all of them. */
export const about = (value, share) => (missing(value) ? NOTHING : share < 1 ? `≈ ${value / share < 10000 ? whole.format(value / share) : short.format(value / share)}` : exact.format(value));
/** Seconds as people say them: 45 ms, 2.5 s, 3 min */
export function duration(seconds) {
  if (missing(seconds)) return NOTHING;
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 120) return `${exact.format(Math.round(seconds * 10) / 10)} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}
/** A moment, in the reader's zone; the whole of it is its title. */
export function time(text) {
  if (!text) return NOTHING;
  const moment = new Date(text);
  return make("time", moments.format(moment), { datetime: text, title: exactly.format(moment) });
}
const STEPS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
/** How long ago a moment was, or how soon it is; the whole of it is its title. */
export function ago(text) {
  if (!text) return NOTHING;
  const moment = new Date(text);
  const seconds = (moment - Date.now()) / 1000;
  if (Math.abs(seconds) > 30 * 86400) return time(text);
  const [unit, size] = STEPS.find(([, each]) => Math.abs(seconds) >= each) ?? STEPS.at(-1);
  const words = since.format(Math.trunc(seconds / size), unit);
  return make("time", words, { datetime: text, title: exactly.format(moment) });
}
/** A calendar day: 26 Nov 2026 */
export const day = (text) => (text ? days.format(new Date(`${text}T00:00:00Z`)) : NOTHING);
/** A calendar day of these weeks: 26 Nov */
export const date = (text) => dates.format(new Date(`${text}T00:00:00Z`));
/** A period's key in words: November 2026, Week 47 of 2026, All time */
export function period(key) {
  if (!key) return NOTHING;
  if (key === "all") return "All time";
  const week = /^(\d{4})-W(\d{2})$/.exec(key);
  if (week) return `Week ${Number(week[2])} of ${week[1]}`;
  if (/^\d{4}-\d{2}$/.test(key)) return months.format(new Date(`${key}-01T00:00:00Z`));
  return /^\d{4}-\d{2}-\d{2}$/.test(key) ? day(key) : key;
}
/** The name of a wallet, or of a group of points without one. */
export const wallet = (id, name) => name ?? (id === "_default" ? "Default" : id);
/** A word of the API's as people write it: in_progress is "In progress" */
export function words(text) {
  if (!text) return NOTHING;
  const apart = String(text).replaceAll("_", " ").toLowerCase();
  return apart[0].toUpperCase() + apart.slice(1);
}

// Building blocks ---------------------------------------------------------------------------------

/** A link to a member's page: its name where it has one, else its external id. */
export function member(id, externalId, name) {
  const shown = name || externalId || id;
  const link = make("a", shown, { href: `#member/${encodeURIComponent(id)}` });
  return name && externalId ? make("span", [link, " ", make("small", externalId, { class: "quiet" })]) : link;
}

const TONES = {
  good: ["live", "active", "completed", "granted", "issued", "grant", "applied", "done", "met"],
  bad: ["failed", "broken", "refused", "voided", "revoked", "expired", "cancelled", "blocked"],
  busy: ["in_progress", "running", "pending", "held", "paused", "ready"],
};
/** A status as a badge: its word is there, whatever its colour. */
export function badge(status) {
  if (!status) return NOTHING;
  const low = String(status).toLowerCase();
  const tone = Object.keys(TONES).find((each) => TONES[each].includes(low)) ?? "plain";
  return make("span", words(status), { class: `badge ${tone}` });
}

/** What is said where there is nothing to show. */
export const empty = (text, next) => make("p", next ? [text, " ", next] : text, { class: "empty" });

/** What is said of figures of which some are made from a sample. */
export function sampleNote(shares) {
  const least = Math.min(1, ...shares);
  if (least === 1) return [];
  return [make("p", `≈ is estimated from ${fine.format(least)} of the members, drawn by lot.`, { class: "quiet note" })];
}

/** A part of a page under a heading; `note` says what it is about, `tools` stand beside the heading. */
export function section(title, content, { note, tools } = {}) {
  const head = make("div", [make("h2", title), ...(tools ? [tools] : [])], { class: "head" });
  return make("section", [head, ...(note ? [make("p", note, { class: "quiet note" })] : []), content]);
}

/** A table that scrolls by itself where it is too wide. A column is a text, or {name, number: true}
 * for amounts; a cell is text or elements. */
export function grid(title, columns, rows, none = "Nothing yet.") {
  if (!rows.length) return empty(none);
  const kinds = columns.map((column) => (column.number ? "number" : null));
  const head = columns.map((column, index) => make("th", column.name ?? column, { scope: "col", class: kinds[index] }));
  const body = rows.map((cells) => make("tr", cells.map((cell, index) => make("td", cell, { class: kinds[index] }))));
  const table = make("table", [make("thead", make("tr", head)), make("tbody", body)]);
  return make("div", table, { class: "scroll", tabindex: "0", role: "region", "aria-label": title });
}

/** A table under a heading. */
export const table = (title, columns, rows, none, options) => section(title, grid(title, columns, rows, none), options);

/** Figures beside each other: {name, value, note}, and `href` where one leads somewhere. */
export function tiles(figures) {
  const tile = ({ name, value, note, href }) => make("div", [
    make("dt", href ? make("a", name, { href }) : name),
    make("dd", value, { class: "value" }),
    ...(note ? [make("dd", note, { class: "quiet" })] : []),
  ]);
  return make("dl", figures.map(tile), { class: "tiles" });
}

/** How far something is: words, a bar, and what they say for who sees no bar. */
export function bar(label, value, most, text) {
  const track = make("progress", [], { max: Math.max(1, most), value: Math.max(0, value), "aria-label": label });
  return make("div", [make("div", [make("span", label), make("span", text ?? percent(value, most))], { class: "bar-words" }), track], { class: "bar" });
}

/** A choice of one: {label, options: [[value, words]], value, change}. */
export function choice({ label, options, value, change }) {
  const all = options.map(([each, text]) => make("option", text, { value: each, selected: each === value }));
  return make("label", [make("span", label), make("select", all, { onchange: (event) => change(event.target.value) })], { class: "choice" });
}

/** Move content into place without a jump for who looks, and keep what has the focus. */
export function put(place, ...content) {
  place.replaceChildren(...content.flat(Infinity));
}
