// The frame: which page is shown, and what it may ask of the frame.
//
// A page is shown by `show(place, frame, ...arguments)`: it fills `place`, an empty element. The frame
// it is given has
//   session             {project, role, version}; `mayAct` is true for admins
//   title(text)         names what is shown, where the page's own name is not enough
//   every(seconds, f)   calls f now and then again and again while the page is shown; f may return
//                       after how many seconds it is to be called from then on
//   attempt(f)          calls f and shows what went wrong, as the frame does for the page itself;
//                       where that may pass, it offers to call f again
//   over                an AbortSignal: the page is left

import { LINKS, PAGES } from "./pages.js";
import { ask, make } from "./parts.js";

const element = (id) => document.getElementById(id);
const HIDDEN_FACTOR = 5; // a page that nobody sees asks more seldom
let leave = new AbortController();
let session = null;

const BY_ITSELF = "It is tried again by itself.";

/** Say what went wrong; `again` is what tries it once more, or says that this happens by itself. */
function say(words, again) {
  const next = again && again !== BY_ITSELF ? make("button", "Try again", { type: "button", class: "small", onclick: again }) : again;
  element("trouble").replaceChildren(...(words ? [words, ...(next ? [" ", next] : [])] : []));
  element("trouble").hidden = !words;
}

let failed = null; // whose words are said

async function attempt(work, over, again) {
  try {
    const found = await work();
    // What goes on by itself takes back its own words alone.
    if (!over.aborted && (again !== BY_ITSELF || failed === work)) say("");
    return found;
  } catch (error) {
    if (!over.aborted) {
      failed = work;
      say(error.message, error.passing ? again : null);
    }
    return undefined;
  }
}

function frameOf(page, over) {
  const frame = {
    session,
    mayAct: session.role === "admin",
    over,
    title(text) {
      if (over.aborted) return;
      element("title").textContent = text;
      document.title = `${text} · Milestream`;
    },
    attempt(work) {
      return attempt(work, over, () => frame.attempt(work));
    },
    async every(seconds, work) {
      const next = (await attempt(work, over, BY_ITSELF)) ?? seconds;
      const again = () => {
        if (!over.aborted) frame.every(next, work); // also where it fails: as seldom as was said last
      };
      if (!over.aborted) setTimeout(again, 1000 * next * (document.hidden ? HIDDEN_FACTOR : 1));
    },
  };
  frame.title(page.title);
  return frame;
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function mark(page) {
  for (const link of element("pages").querySelectorAll("a")) {
    if (link.hash === `#${page.under}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

async function go(event) {
  const [name, ...rest] = (location.hash.slice(1) || PAGES[0].name).split("/");
  if (name === "main") return; // the link that skips the menu
  leave.abort();
  leave = new AbortController();
  const over = leave.signal;
  const page = PAGES.find((each) => each.name === name) ?? PAGES[0];
  const place = make("div");
  fold(true);
  mark(page);
  session ??= await attempt(() => ask("dashboard/session"), over, () => go(event));
  if (!session || over.aborted) return;
  element("project").textContent = session.project;
  element("role").textContent = session.role;
  element("who").hidden = false;
  const frame = frameOf(page, over);
  element("place").replaceChildren(place);
  element("place").setAttribute("aria-busy", "true");
  say("");
  try {
    await (await page.load()).show(place, frame, ...rest.map(decode)); // what it attempts says by itself how it went
  } catch (error) {
    if (!over.aborted) say(error.message, error.passing ? () => go(event) : null);
  }
  if (over.aborted) return;
  element("place").removeAttribute("aria-busy");
  // Who came by a link is read the new page, not left where the old one was.
  if (event && !place.contains(document.activeElement)) element("main").focus({ preventScroll: true });
  if (event) scrollTo(0, 0);
}

function fold(closed) {
  element("menu").setAttribute("aria-expanded", String(!closed));
  element("pages").classList.toggle("open", !closed);
}

function list() {
  const groups = Map.groupBy?.(PAGES, (page) => page.group) ?? new Map();
  if (!groups.size) for (const page of PAGES) groups.set(page.group, [...(groups.get(page.group) ?? []), page]);
  groups.delete(null);
  const items = (links) => make("ul", links.map((link) => make("li", link)));
  const chapters = [...groups].map(([group, pages]) =>
    [make("h2", group), items(pages.map((page) => make("a", page.title, { href: `#${page.name}` })))]);
  chapters.push([make("h2", "Reference"), items(LINKS.map(([href, title]) => make("a", title, { href })))]);
  element("pages").replaceChildren(...chapters.flat());
}

async function signOut() {
  leave.abort();
  leave = new AbortController();
  await attempt(() => ask("logout", { method: "POST" }), leave.signal, signOut);
  if (!element("trouble").hidden) return;
  element("who").hidden = true;
  element("pages").hidden = element("menu").hidden = true;
  element("title").textContent = "Signed out";
  document.title = "Signed out · Milestream";
  element("place").replaceChildren(make("p", "Whoever signed in by a key, and not by a link, closes the browser as well: it keeps the key until then."), make("p", make("a", "Sign in again", { href: "./" })));
  removeEventListener("hashchange", go);
  element("main").focus();
}

element("out").addEventListener("click", signOut);
element("menu").addEventListener("click", () => fold(element("menu").getAttribute("aria-expanded") === "true"));
element("pages").addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  fold(true);
  element("menu").focus();
});
list();
addEventListener("hashchange", go);
go();
