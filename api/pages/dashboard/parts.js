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
    /** Whether the same call may be taken later. */
    this.passing = status >= 500 || status === 429 || status === 408;
  }
}

class Unanswered extends Error {
  passing = true;
}

const PATIENCE_SECONDS = 60; // longer than the API takes for anything

/** Return what the API answers to a path; options are those of fetch, `json` is a body to send. */
export async function ask(path, { json, headers, ...options } = {}) {
  const given = { accept: "application/json", "x-milestream-page": "1", ...headers };
  if (json !== undefined) {
    options.body = JSON.stringify(json);
    given["content-type"] = "application/json";
  }
  const late = AbortSignal.timeout(1000 * PATIENCE_SECONDS);
  const signal = options.signal ? AbortSignal.any([options.signal, late]) : late;
  let answer;
  let text;
  try {
    answer = await fetch(new URL(path, location.origin + location.pathname), { ...options, headers: given, signal });
    text = await answer.text();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Unanswered("The API does not answer.");
  }
  let body = null;
  try {
    body = text ? JSON.parse(text) : null;
  } catch {
    throw new Unanswered(`The API answers ${answer.status}, and no JSON.`);
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
const since = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
const regions = new Intl.DisplayNames(undefined, { type: "region", fallback: "code" });

const missing = (value) => value === null || value === undefined;
const signed = (text) => text.replace(/^-/, "−");
/** An amount with its thousands apart: 12,345.5 */
export const amount = (value) => (missing(value) ? NOTHING : signed(exact.format(value)));
/** An amount in few characters: 12.3K */
export const brief = (value) => (missing(value) ? NOTHING : signed((Math.abs(value) < 10000 ? exact : short).format(value)));
/** So many of something: 1 day, 2 days, 1,000 people */
export const count = (value, one, many = `${one}s`) => `${amount(value)} ${value === 1 ? one : many}`;
/** A part of a whole: 42% */
export const percent = (part, of) => (!of ? NOTHING : part > 0 && part / of < 0.01 ? `< ${percents.format(0.01)}` : percents.format(part / of));
/** A figure of a sample: what all come to, ≈ where the sample is not all of them. */
export const about = (value, share) => (missing(value) ? NOTHING : share < 1 ? `≈ ${signed((Math.abs(value / share) < 10000 ? whole : short).format(value / share))}` : amount(value));
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
/** A period's key in words, which stay on one line: November 2026, Week 47 of 2026, All time */
export const period = (key) => (key ? periodWords(key).replaceAll(" ", "\u00a0") : NOTHING);
function periodWords(key) {
  if (key === "all") return "All time";
  const week = /^(\d{4})-W(\d{2})$/.exec(key);
  if (week) return `Week ${Number(week[2])} of ${week[1]}`;
  if (/^\d{4}-\d{2}$/.test(key)) return months.format(new Date(`${key}-01T00:00:00Z`));
  return /^\d{4}-\d{2}-\d{2}$/.test(key) ? day(key) : key;
}
/** The name of a wallet, or of a group of points without one. */
export const wallet = (id, name) => name ?? (id === "_default" ? "Default" : /^[a-z0-9_-]+$/.test(id) ? words(id) : id);
/** A word of the API's as people write it, and the id of what has no name: in_progress is "In progress" */
export function words(text) {
  if (!text) return NOTHING;
  const apart = String(text).replaceAll(/[_-]+/g, " ").trim().toLowerCase();
  return apart ? apart[0].toUpperCase() + apart.slice(1) : String(text);
}
/** What is called by its name, or by its id where that is one: daily_login is "Daily login" */
export const called = (text) => (/^[a-z][a-z0-9]*([_-][a-z0-9]+)*$/.test(text ?? "") && !UUID.test(text) ? words(text) : text);
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** A country by its code, in words where the browser knows them. */
export function country(code) {
  try {
    return regions.of(code);
  } catch {
    return code;
  }
}

// Building blocks ---------------------------------------------------------------------------------

/** A link to a member's page: its name where it has one, else its external id. */
export function member(id, externalId, name) {
  const shown = name || externalId || id;
  const link = make("a", shown, { href: `#member/${encodeURIComponent(id)}` });
  return name && externalId ? make("span", [link, " ", small(externalId)]) : link;
}

/** What something is of, below its name. */
export const under = (name, of) => make("span", of ? [name, " ", small(of)] : name, { class: "within" });

/** What is said beside something, and below it where there is little room. */
export const small = (text) => make("small", text, { class: "quiet" });

const TONES = {
  good: ["live", "active", "completed", "granted", "issued", "grant", "applied", "done", "met", "redriven"],
  bad: ["failed", "broken", "refused", "voided", "revoked", "expired", "cancelled", "blocked", "deleted"],
  busy: ["in_progress", "running", "pending", "held", "paused", "ready", "waiting"],
  told: ["reported"],
};
/** A status as a badge: its word is there, whatever its colour. */
export function badge(status, given) {
  if (!status) return NOTHING;
  const low = String(status).toLowerCase();
  const tone = given ?? Object.keys(TONES).find((each) => TONES[each].includes(low)) ?? "plain";
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

const AT_FIRST = 20;
const SOME_MORE = 5; // so few are not worth a button
const FEW_COLUMNS = 4;
// A style that makes a table's parts blocks takes their roles: they are said again.
const row = (cells) => make("tr", cells, { role: "row" });

/** A table that scrolls by itself where it is too wide; one of many columns, or `listed`, becomes a
 * list on a telephone, each row's first cell its heading. A column is a text, or {name, number: true} for
 * amounts, its name text or elements; a cell is text or elements. Of very many rows the first are
 * shown, and the others when they are asked for, unless `whole`. */
export function grid(title, columns, rows, none = "Nothing yet.", { whole = false, listed = columns.length > FEW_COLUMNS } = {}) {
  if (!rows.length) return empty(none);
  const kinds = columns.map((column) => (column.number ? "number" : null));
  const names = columns.map((column) => column.name ?? column);
  const head = names.map((name, index) => make("th", name, { scope: "col", role: "columnheader", class: kinds[index] }));
  const cell = (content, index) => make("td", content, { role: "cell", class: kinds[index], "data-name": typeof names[index] === "string" ? names[index] : null });
  const body = make("tbody", [], { role: "rowgroup" });
  const add = (some) => body.append(...some.map((cells) => row(cells.map(cell))));
  const table = make("table", [make("thead", row(head), { role: "rowgroup" }), body], { role: "table" });
  const shown = make("div", table, { class: listed ? "scroll listed" : "scroll", tabindex: "0", role: "region", "aria-label": title });
  if (whole || rows.length <= AT_FIRST + SOME_MORE) {
    add(rows);
    return shown;
  }
  add(rows.slice(0, AT_FIRST));
  const more = make("button", `Show ${amount(rows.length - AT_FIRST)} more`, { type: "button" });
  more.addEventListener("click", () => {
    more.parentElement.remove();
    add(rows.slice(AT_FIRST));
    shown.focus();
  });
  return make("div", [shown, make("div", more, { class: "choices" })]);
}

/** A button that shows below its row what `work` returns, and hides it again; `of` is what it says
 * beside its word to who sees no row. */
export function opener(frame, [shows, hides], of, work) {
  let opened = null;
  const word = make("span", shows);
  const made = make("button", [word, make("span", ` ${of}`, { class: "unseen" })], { type: "button", class: "small", "aria-expanded": "false" });
  made.addEventListener("click", () => frame.attempt(async () => {
    if (opened) {
      opened.remove();
      opened = null;
    } else {
      const content = await work();
      if (opened) return; // it was pressed twice
      const line = made.closest("tr");
      opened = row(make("td", content, { role: "cell", colspan: String(line.cells.length), class: "wrap" }));
      opened.className = "below";
      line.after(opened);
    }
    word.textContent = opened ? hides : shows;
    made.setAttribute("aria-expanded", String(Boolean(opened)));
  }));
  return made;
}

/** A table under a heading. */
export const table = (title, columns, rows, none, options) => section(title, grid(title, columns, rows, none, options), options);

/** Figures beside each other: {name, value, note}, and `href` where one leads somewhere. */
export function tiles(figures) {
  if (!figures.length) return [];
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

/** Move content into place without a jump for who looks. */
export function put(place, ...content) {
  place.replaceChildren(...content.flat(Infinity));
}

/** The same for what is drawn anew by itself: never under the eyes or hands of who reads it. */
export function renew(place, ...content) {
  if (place.childElementCount && (place.matches(":hover") || place.contains(document.activeElement))) return;
  put(place, ...content);
}
