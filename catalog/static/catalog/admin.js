// A picture that the shop does not deliver leaves its place empty instead of showing the browser's broken icon.
document.addEventListener("error", (event) => {
  if (event.target.matches?.("img.thumb")) event.target.classList.add("missing");
}, true);
