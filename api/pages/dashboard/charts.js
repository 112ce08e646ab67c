// Charts, as drawings of our own: lines, columns and a map of hours.
//
// Each is a figure: a drawing for who sees it, one sentence for who does not, and the same figures as a
// table. Under the pointer, and by the arrow keys once it has the focus, it says what is there.

import { amount, brief, draw, grid, make, small } from "./parts.js";

const HEIGHT = 210;
const LEFT = 46;
const RIGHT = 8;
const BOTTOM = 22;
const TOP = 8;
const TICKS = 4;
const LETTER = 6.7; // pixels that one takes below
const APART = 24;
const known = (values) => values.filter((value) => value !== null);

/** Return a round number that is at least as much. */
function round(most) {
  if (most <= 0) return 1;
  const size = 10 ** Math.floor(Math.log10(most));
  return size * [1, 2, 2.5, 5, 10].find((step) => step * size >= most);
}

const text = (x, y, words, anchor) => draw("text", { x, y, "text-anchor": anchor }, words);

/** Return where a value is, and the rules of a scale from round number to round number. */
function scale(width, values) {
  const most = Math.max(...values, 0);
  const least = Math.min(...values, 0);
  const step = round((most - least) / TICKS);
  const low = Math.floor(least / step) * step;
  const high = Math.max(Math.ceil(most / step), low / step + 1) * step;
  const y = (value) => TOP + ((high - value) / (high - low)) * (HEIGHT - TOP - BOTTOM);
  const ticks = Array.from({ length: Math.round((high - low) / step) + 1 }, (_, index) => low + step * index);
  const rules = ticks.flatMap((value) => [
    draw("line", { x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value), class: value === 0 ? "axis" : "rule" }),
    text(LEFT - 6, y(value) + 4, brief(value), "end"),
  ]);
  return { y, rules };
}

/** Return the words under a chart, as many as have room; the last one always, it is the newest. */
function below(width, words, x) {
  const wide = LETTER * Math.max(...words.map((each) => each.length));
  const step = Math.ceil((words.length * (wide + APART)) / (width - LEFT));
  const word = (place, each) => (place > width - wide / 2 ? text(width - 1, HEIGHT - 5, each, "end") : text(Math.max(place, wide / 2), HEIGHT - 5, each, "middle"));
  return words.flatMap((each, index) => ((words.length - 1 - index) % step ? [] : [word(x(index), each)]));
}

const key = (index) => make("span", [], { class: `key s${index}` });

function legend(series, kind) {
  return make("ul", series.map((each, index) => make("li", [key(index), each.name])), { class: `legend ${kind}` });
}

/** What is at a place: said beside it, and marked in the chart. */
function reading(drawing, said, width, count, x, say) {
  const line = draw("line", { y1: TOP, y2: HEIGHT - BOTTOM, class: "mark", visibility: "hidden" });
  drawing.append(line);
  let at = null;
  const mark = (index) => {
    at = index;
    line.setAttribute("visibility", index === null ? "hidden" : "visible");
    said.replaceChildren(...(index === null ? [] : say(index)));
    if (index === null) return;
    line.setAttribute("x1", x(index));
    line.setAttribute("x2", x(index));
    const right = x(index) > width / 2; // it covers nothing that it speaks of
    said.style.setProperty("left", right ? "auto" : `${x(index) + 12}px`);
    said.style.setProperty("right", right ? `${width - x(index) + 12}px` : "auto");
  };
  drawing.addEventListener("pointermove", (event) => {
    const box = drawing.getBoundingClientRect();
    const place = ((event.clientX - box.left) / box.width) * width;
    let nearest = 0;
    for (let index = 1; index < count; index += 1) if (Math.abs(x(index) - place) < Math.abs(x(nearest) - place)) nearest = index;
    mark(nearest);
  });
  drawing.addEventListener("pointerleave", () => mark(null));
  drawing.addEventListener("blur", () => mark(null));
  drawing.addEventListener("keydown", (event) => {
    if (event.key === "Escape") mark(null);
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    mark(Math.min(count - 1, Math.max(0, (at ?? (step > 0 ? -1 : count)) + step)));
  });
}

const whole = ({ of, title }) => (of ? `${of}: ${title}` : title);

function sentence({ labels, series, unit = "", ...given }) {
  const most = series.map((each) => `${each.name} at most ${amount(Math.max(0, ...known(each.values)))}${unit}`);
  return `${whole(given)}, ${labels[0]} to ${labels.at(-1)}: ${most.join(", ")}. The arrow keys read it.`;
}

/** A figure whose drawing is as wide as there is room, so that its words have one size. `drawn` returns
 * where the x of a label is and what is drawn, for a width. */
function figureOf(given, kind, drawn) {
  const { title, labels, series, unit = "", first = "", asTable = true, measure } = given;
  const said = make("output", [], { class: "reading" });
  const holder = make("div", [], { class: "drawing" });
  const say = (index) => [make("strong", labels[index]), ...series.map((each, number) =>
    make("span", [key(number), `${each.name} `, make("b", `${amount(each.values[index])}${unit}`)], { class: kind }))];
  const caption = make("figcaption", [make("strong", title), ...(measure ? [" ", small(measure)] : [])]);
  const figure = make("figure", [make("div", [caption, ...(series.length > 1 ? [legend(series, kind)] : [])], { class: "chart-head" }),
    make("div", [holder, said], { class: "plot" })], { class: "chart card" });
  let last = 0;
  new ResizeObserver(() => {
    const width = Math.round(holder.clientWidth);
    if (width < 100 || width === last) return;
    last = width;
    const { x, parts } = drawn(width);
    const drawing = draw("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": sentence(given), tabindex: "0" }, [parts, below(width, labels, x)]);
    reading(drawing, said, width, labels.length, x, say);
    holder.replaceChildren(drawing);
  }).observe(holder);
  if (asTable) {
    const columns = [first, ...series.map((each) => ({ name: each.name, number: true }))];
    const rows = labels.map((label, index) => [label, ...series.map((each) => amount(each.values[index]))]);
    figure.append(make("details", [make("summary", "As a table"), grid(whole(given), columns, rows)]));
  }
  return figure;
}

/** Lines: {title, of, labels, series: [{name, values}], unit, measure, first}, where `of` tells it from
 * others of that title for who does not see where it stands, `unit` follows each figure that is read, `measure` says beside the title what the scale counts, `first` heads the labels
 * in the table and `asTable: false` leaves that out. Where a value is null, the line has a gap. */
export const lines = (given) => figureOf(given, "lines", (width) => {
  const { labels, series } = given;
  const { y, rules } = scale(width, series.flatMap((each) => known(each.values)));
  const x = (index) => LEFT + ((width - LEFT - RIGHT) * index) / Math.max(1, labels.length - 1);
  const step = (value, index, values) => (value === null ? "" : `${(values[index - 1] ?? null) === null ? "M" : "L"}${x(index).toFixed(1)} ${y(value).toFixed(1)}`);
  const drawn = series.map((each, number) => draw("path", { d: each.values.map(step).join(""), class: `line s${number}` }));
  return { x, parts: [rules, drawn] };
});

/** Columns, those of one label beside each other: given as to `lines`; values below 0 hang. */
export const columns = (given) => figureOf(given, "columns", (width) => {
  const { labels, series } = given;
  const { y, rules } = scale(width, series.flatMap((each) => each.values));
  const room = (width - LEFT - RIGHT) / labels.length;
  const wide = Math.min(28, Math.max(1, (room * 0.8) / series.length));
  const x = (index) => LEFT + room * (index + 0.5);
  const drawn = series.flatMap((each, number) => each.values.map((value, index) => draw("rect", {
    x: (x(index) - (wide * series.length) / 2 + wide * number).toFixed(1), width: Math.max(1, wide - 1).toFixed(1),
    y: y(Math.max(0, value)).toFixed(1), height: Math.abs(y(value) - y(0)).toFixed(1), class: `column s${number}`, rx: 1.5,
  })));
  return { x, parts: [rules, drawn] };
});

/** A map of hours: {title, rows: [[label, 24 figures]]}. */
export function hours({ title, rows }) {
  const most = Math.max(1, ...rows.flatMap(([, values]) => values));
  const head = make("tr", [make("th", "Day", { scope: "col", class: "day" }), ...Array.from({ length: 24 }, (_, hour) => make("th", String(hour), { scope: "col" }))]);
  const cell = (label, value, hour) => {
    const shown = make("td", value ? brief(value) : "", { title: `${label}, ${hour}:00: ${amount(value)}` });
    // By the root, so that one busy hour does not make all others alike.
    // No darker than the words on it can be read on.
    shown.style.setProperty("--share", `${Math.round(48 * Math.sqrt(value / most))}%`);
    return shown;
  };
  const body = rows.map(([label, values]) => make("tr", [make("th", label, { scope: "row" }), values.map((value, hour) => cell(label, value, hour))]));
  const table = make("table", [make("thead", head), make("tbody", body)], { class: "hours" });
  return make("div", table, { class: "scroll", tabindex: "0", role: "region", "aria-label": title });
}
