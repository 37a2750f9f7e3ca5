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

// Who was logged out meanwhile is shown the way back in, not a login form inside the page.
document.addEventListener("htmx:beforeSwap", (event) => {
  const { xhr, pathInfo } = event.detail;
  if (xhr.responseURL && new URL(xhr.responseURL).pathname !== pathInfo.requestPath.split("?")[0]) {
    event.detail.shouldSwap = false;
    location.reload();
  }
});
