// What pages that change something have in common: asking before, and telling after.

import { make, put } from "./parts.js";

/** Ask whether to do something; `fields` may be inputs. Resolves to whether it was agreed to. */
export function sure(title, words, agree, fields = []) {
  return new Promise((done) => {
    const form = make("form", [
      make("h2", title, { id: "sure-title" }),
      [words].flat().map((each) => make("p", each)),
      fields,
      make("div", [
        make("button", "Leave it", { type: "button", class: "plain", onclick: () => dialog.close("") }),
        make("button", agree, { value: "yes" }),
      ], { class: "choices" }),
    ], { method: "dialog" });
    const dialog = make("dialog", form, { "aria-labelledby": "sure-title" });
    dialog.addEventListener("close", () => {
      dialog.remove();
      done(dialog.returnValue === "yes");
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** A place for what was done, which screen readers read out; say(...content) fills it. */
export function outcome() {
  const place = make("div", [], { role: "status", class: "outcome" });
  return { place, say: (...content) => put(place, ...content) };
}

/** A button that cannot be pressed again while what it does goes on. */
export function button(words, work, attributes = {}) {
  const made = make("button", words, { type: "button", ...attributes });
  made.addEventListener("click", async () => {
    made.disabled = true;
    try {
      await work();
    } finally {
      made.disabled = false;
    }
  });
  return made;
}
