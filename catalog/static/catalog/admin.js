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

// So does the command palette, which Ctrl + K opens everywhere. Its box says what it finds.
document.addEventListener("DOMContentLoaded", () => {
  const opener = document.querySelector("[x-on\\:click=\"$dispatch('opencommand')\"]");
  if (!opener) return;
  opener.tabIndex = 0;
  opener.setAttribute("role", "button");
  opener.querySelector(".truncate").textContent = "Products, imports, actions…";
  opener.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    opener.click();
  });
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

// A feed's names: whoever fills the last row gets another one.
document.addEventListener("input", (event) => {
  const row = event.target.closest?.(".pair");
  if (!row || row !== row.parentElement.lastElementChild) return;
  const next = row.cloneNode(true);
  for (const box of next.children) box.value = "";
  row.after(next);
});

// The upload: a file that is chosen or dropped is looked at by its first bytes; while it is sent, the page says how far
// it is. Without a script the form is sent as it is.
const inBytes = (number) => {
  const units = ["B", "kB", "MB", "GB"];
  let unit = 0;
  while (number >= 1000 && unit < units.length - 1) { number /= 1000; unit += 1; }
  return `${unit ? number.toFixed(1) : number} ${units[unit]}`;
};
const inTime = (seconds) => {
  if (seconds < 60) return `${Math.ceil(seconds)} s`;
  const minutes = Math.ceil(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
};

async function lookAtFile(form) {
  const place = document.getElementById("look");
  const file = form.elements.import_file.files[0];
  const feed = form.elements.feed?.value;
  place.replaceChildren();
  if (!file || !feed) return;
  const most = Number(form.dataset.most);
  const query = new URLSearchParams({ feed, name: file.name, whole: file.size <= most ? "1" : "0" });
  const headers = { "X-CSRFToken": form.elements.csrfmiddlewaretoken.value, "Content-Type": "application/octet-stream" };
  try {
    const answer = await fetch(`${form.dataset.look}?${query}`, { method: "POST", headers, body: file.slice(0, most), redirect: "error" });
    if (!answer.ok || form.elements.import_file.files[0] !== file) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    place.replaceChildren(...page.body.children);
  } catch { /* the upload itself says what is wrong */ }
}

function sendForm(form) {
  const request = new XMLHttpRequest();
  const box = form.querySelector(".sending");
  const [bar, words] = [box.querySelector("progress"), box.querySelector("p")];
  const button = form.querySelector(".actions button[type=submit]");
  const begun = performance.now();
  const isLeft = (event) => event.preventDefault();
  const end = (sentence) => {
    window.removeEventListener("beforeunload", isLeft);
    button.disabled = false;
    words.textContent = sentence;
  };
  box.hidden = false;
  button.disabled = true;
  window.addEventListener("beforeunload", isLeft);
  request.upload.addEventListener("progress", ({ loaded, total }) => {
    const seconds = (performance.now() - begun) / 1000;
    const left = seconds > 1 && loaded < total ? `, ${inTime((total - loaded) * seconds / loaded)} left` : "";
    bar.value = total ? loaded / total : 0;
    words.textContent = loaded < total ? `${inBytes(loaded)} of ${inBytes(total)}${left}` : "All of it is sent. The server looks at it…";
  });
  request.addEventListener("load", () => {
    end("");
    if (request.responseURL && request.status < 400 && new URL(request.responseURL).pathname !== location.pathname) {
      location.assign(request.responseURL);
    } else {  // the same form with what is wrong
      document.open();
      document.write(request.responseText);
      document.close();
    }
  });
  request.addEventListener("error", () => end("The connection was lost. Nothing was imported. Upload the file again."));
  request.open("POST", form.getAttribute("action") || location.href);
  request.send(new FormData(form));
}

document.addEventListener("DOMContentLoaded", () => {
  const form = document.querySelector("form.upload[data-look]");
  const input = form?.elements.import_file;
  if (!input) return;
  form.querySelector(".drop").hidden = false;
  form.addEventListener("change", (event) => {
    if (event.target === input || event.target.name === "feed") lookAtFile(form);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    sendForm(form);
  });
  form.addEventListener("click", (event) => {
    const feed = event.target.dataset?.feed;
    if (!feed) return;
    form.elements.feed.value = feed;
    form.elements.feed.dispatchEvent(new Event("change", { bubbles: true }));
  });
  for (const kind of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(kind, (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      form.classList.toggle("dropping", kind === "dragover");
      if (kind === "drop" && event.dataTransfer.files.length) {
        input.files = event.dataTransfer.files;
        input.dispatchEvent(new Event("change", { bubbles: true }));
      }
    });
  }
});
