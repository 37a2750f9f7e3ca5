// A picture that the shop does not deliver leaves its place empty instead of showing the browser's broken icon.
const NOTHING = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7";
document.addEventListener("error", (event) => {
  if (event.target.matches?.("img.thumb") && event.target.src !== NOTHING) event.target.src = NOTHING;
}, true);

// The moving part of an import's page is new every second; only its next step is worth interrupting a reader for.
document.addEventListener("htmx:afterSwap", () => {
  const said = document.getElementById("said");
  const step = document.querySelector(".live h2");
  if (said && step && said.textContent !== step.textContent) said.textContent = step.textContent;
});

// The import form proposes what the chosen feed does, and says how many products are at stake.
document.addEventListener("change", (event) => {
  const facts = document.getElementById("feed-facts");
  if (!facts || event.target.name !== "feed") return;
  const { mode, products } = JSON.parse(facts.textContent)[event.target.value];
  document.querySelector(`.upload [name="mode"][value="${mode}"]`).checked = true;
  document.getElementById("feed-products").textContent = products.toLocaleString("en");
});

// The sidebar's groups and the menu of one's own name open by keyboard, too. They are made for the mouse alone.
document.addEventListener("DOMContentLoaded", () => {
  const isOpen = (opener) => { const { navigationOpen, openUserLinks } = Alpine.$data(opener); return Boolean(navigationOpen ?? openUserLinks); };
  for (const opener of document.querySelectorAll('[x-on\\:click^="navigationOpen ="], [x-on\\:click^="openUserLinks ="]')) {
    opener.tabIndex = 0;
    opener.setAttribute("role", "button");
    const tell = () => opener.setAttribute("aria-expanded", isOpen(opener));
    opener.addEventListener("click", () => setTimeout(tell));
    opener.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      opener.click();
    });
    setTimeout(tell);
  }
});

// The answer that ends an import's progress reloads the page. Asking again before that page is there would cancel it.
let isLeaving = false;
document.addEventListener("htmx:beforeRequest", (event) => {
  if (isLeaving) event.preventDefault();
});
document.addEventListener("htmx:beforeOnLoad", (event) => {
  if (event.detail.xhr.getResponseHeader("HX-Refresh")) isLeaving = true;
});

// Who was logged out meanwhile is shown the way back in, not a login form inside the page.
document.addEventListener("htmx:beforeSwap", (event) => {
  const { xhr, pathInfo } = event.detail;
  if (xhr.responseURL && new URL(xhr.responseURL).pathname !== pathInfo.requestPath.split("?")[0]) {
    event.detail.shouldSwap = false;
    isLeaving = true;
    location.reload();
  }
});
