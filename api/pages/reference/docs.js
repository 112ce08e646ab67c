// Shows the OpenAPI document by Swagger UI, and mends what of it keeps readers out.
"use strict";

// A link inside the button that opens a call: the address bar has that link once it is open.
const withoutLink = (Path, { React }) => (props) => React.createElement(Path, {
  ...props, operationProps: props.operationProps.set("isDeepLinkingEnabled", false),
});

const searchField = (_Filter, { React }) => function Search({ layoutSelectors, layoutActions }) {
  const typed = layoutSelectors.currentFilter();
  return React.createElement("div", { className: "wrapper search" },
    React.createElement("h2", { id: "calls" }, "Calls"),
    React.createElement("input", {
      type: "search",
      "aria-labelledby": "calls",
      placeholder: "Find by path, method, words or chapter",
      value: typeof typed === "string" ? typed : "",
      onChange: ({ target }) => layoutActions.updateFilter(target.value),
    }));
};

const orNothingFound = (Operations, { React }) => (props) =>
  props.specSelectors.taggedOperations().size > 0
    ? React.createElement(Operations, props)
    : React.createElement("p", { role: "status" }, "No call has all these words.");

// Its name for who cannot see it is another than the text on it.
const namedByItsText = (Button, { React }) => ({ "aria-label": label, ...props }) =>
  React.createElement(Button, typeof props.children === "string" ? props : { ...props, "aria-label": label });

// Swagger UI's own looks at the names of chapters only.
function opsFilter(chapters, typed) {
  const words = typed.toLowerCase().split(/\s+/);
  const isFound = (call, name) => {
    const summary = call.getIn(["operation", "summary"]) ?? "";
    const text = `${name} ${call.get("method")} ${call.get("path")} ${summary}`.toLowerCase();
    return words.every((word) => text.includes(word));
  };
  return chapters
    .map((each, name) => each.update("operations", (calls) => calls.filter((call) => isFound(call, name))))
    .filter((each) => each.get("operations").size > 0);
}

const plugin = {
  fn: { opsFilter },
  wrapComponents: {
    Button: namedByItsText,
    FilterContainer: searchField,
    OperationSummaryPath: withoutLink,
    operations: orNothingFound,
  },
};

const callOf = (node) => node.closest(".opblock")?.querySelector(".opblock-summary-control").textContent;

// What no component of Swagger UI lets be said: by selector, the attribute that is missing, and its value
// (null: it is not).
const MISSING = [
  ["pre.microlight", "tabindex", () => "0"],  // scrolls, by keyboard too
  ["textarea.body-param__text", "aria-label", () => "Request body"],
  ["select.examples-select-element", "aria-label", () => "Example"],
  [".responses-table[role=region]", "aria-label", (node) => `Responses of ${callOf(node)}`],
  [
    "tr[data-param-name] :is(select, input, textarea)", "aria-label",
    (node) => node.closest("tr").dataset.paramName,
  ],
  [
    ".json-schema-2020-12-accordion", "aria-label",
    (node) => node.textContent === "" ? "This schema" : null,
  ],
  [".copy-to-clipboard > button", "aria-label", () => "Copy"],
  [".modal-ux", "role", () => "dialog"],
  [".modal-ux", "aria-label", () => "Available authorizations"],
  [".modal-ux .close-modal", "aria-label", () => "Close"],
  [".modal-ux h3", "aria-level", () => "2"],
  [".modal-ux h4", "aria-level", () => "3"],
  [".modal-ux :is(h5, h6)", "aria-level", () => "4"],
];

function mend(root) {
  for (const [selector, attribute, value] of MISSING)
    for (const node of root.querySelectorAll(`:is(${selector}):not([${attribute}])`)) {
      const missing = value(node);
      if (missing !== null) node.setAttribute(attribute, missing);
    }
}

const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

const api = document.getElementById("api");
new MutationObserver(() => mend(api)).observe(api, { childList: true, subtree: true });
SwaggerUIBundle({
  url: new URL("openapi.json", location.href).href,
  domNode: api,
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  docExpansion: "list",
  filter: true,
  plugins: [plugin],
  tryItOutEnabled: true,
  validatorUrl: null,  // nothing is asked of other sites
});
