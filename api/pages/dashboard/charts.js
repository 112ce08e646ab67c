// Charts, as drawings of our own: lines, columns and a map of hours.
//
// Each is a figure: a drawing for who sees it, one sentence for who does not, and the same figures as a
// table. Under the pointer, and by the arrow keys once it has the focus, it says what is there.

import { amount, brief, draw, grid, make } from "./parts.js";

const HEIGHT = 210;
const LEFT = 46;
const RIGHT = 8;
const BOTTOM = 22;
const TOP = 8;
const TICKS = 4;
const WORD = 84; // pixels that a label below takes

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

/** Return the words under a chart, as many as have room. */
function below(width, words, x) {
  const step = Math.ceil((words.length * WORD) / (width - LEFT));
  const inside = (place) => Math.min(Math.max(place, LEFT + WORD / 3), width - WORD / 2);
  return words.flatMap((each, index) => (index % step ? [] : [text(inside(x(index)), HEIGHT - 5, each, "middle")]));
}

function legend(series) {
  return make("ul", series.map((each, index) => make("li", [make("span", [], { class: `key s${index}` }), each.name])), { class: "legend" });
}

/** What is at a place: said under the chart, and marked in it. */
function reading(drawing, said, width, count, x, say) {
  const line = draw("line", { y1: TOP, y2: HEIGHT - BOTTOM, class: "mark", visibility: "hidden" });
  drawing.append(line);
  let at = null;
  const mark = (index) => {
    at = index;
    line.setAttribute("visibility", index === null ? "hidden" : "visible");
    said.textContent = index === null ? "" : say(index);
    if (index === null) return;
    line.setAttribute("x1", x(index));
    line.setAttribute("x2", x(index));
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
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    mark(Math.min(count - 1, Math.max(0, (at ?? (step > 0 ? -1 : count)) + step)));
  });
}

function sentence({ title, labels, series, unit = "" }) {
  const most = series.map((each) => `${each.name} at most ${amount(Math.max(...each.values))}${unit}`);
  return `${title}, ${labels[0]} to ${labels.at(-1)}: ${most.join(", ")}. The arrow keys read it.`;
}

/** A figure whose drawing is as wide as there is room, so that its words have one size. `drawn` returns
 * where the x of a label is and what is drawn, for a width. */
function figureOf(given, drawn) {
  const { title, labels, series, unit = "", first = "", asTable = true } = given;
  const said = make("output", [], { class: "reading" });
  const holder = make("div", [], { class: "drawing" });
  const say = (index) => `${labels[index]}: ${series.map((each) => `${each.name} ${amount(each.values[index])}${unit}`).join(", ")}`;
  const figure = make("figure", [...(series.length > 1 ? [legend(series)] : []), holder, said], { class: "chart card" });
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
    figure.append(make("details", [make("summary", "As a table"), grid(title, columns, rows)]));
  }
  return figure;
}

/** Lines: {title, labels, series: [{name, values}], unit, first}, where `first` heads the labels in the
 * table and `asTable: false` leaves that out. */
export const lines = (given) => figureOf(given, (width) => {
  const { labels, series } = given;
  const { y, rules } = scale(width, series.flatMap((each) => each.values));
  const x = (index) => LEFT + ((width - LEFT - RIGHT) * index) / Math.max(1, labels.length - 1);
  const drawn = series.map((each, number) => draw("polyline", {
    points: each.values.map((value, index) => `${x(index).toFixed(1)},${y(value).toFixed(1)}`).join(" "), class: `line s${number}`,
  }));
  return { x, parts: [rules, drawn] };
});

/** Columns, those of one label beside each other: given as to `lines`; values below 0 hang. */
export const columns = (given) => figureOf(given, (width) => {
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
  const head = make("tr", [make("th", "Day", { scope: "col" }), ...Array.from({ length: 24 }, (_, hour) => make("th", String(hour), { scope: "col" }))]);
  const cell = (label, value, hour) => {
    const shown = make("td", value ? brief(value) : "", { title: `${label}, ${hour}:00: ${amount(value)}` });
    // By the root, so that one busy hour does not make all others alike.
    const share = Math.sqrt(value / most);
    shown.style.setProperty("--share", `${Math.round(85 * share)}%`);
    if (share > 0.6) shown.className = "full";
    return shown;
  };
  const body = rows.map(([label, values]) => make("tr", [make("th", label, { scope: "row" }), values.map((value, hour) => cell(label, value, hour))]));
  const table = make("table", [make("thead", head), make("tbody", body)], { class: "hours" });
  return make("div", table, { class: "scroll", tabindex: "0", role: "region", "aria-label": title });
}
