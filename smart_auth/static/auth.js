// The pages work without it: it shows a typed password, keeps a form from being sent twice, and prints recovery codes.
"use strict";

for (const button of document.querySelectorAll("[data-reveals]")) {
  const entry = document.getElementById(button.dataset.reveals);
  button.hidden = false;
  button.addEventListener("click", () => {
    const shown = entry.type === "password";
    entry.type = shown ? "text" : "password";
    button.setAttribute("aria-pressed", String(shown));
    entry.focus();
  });
  entry.form.addEventListener("submit", () => { entry.type = "password"; });
}

for (const form of document.forms) {
  let sent = false;
  form.addEventListener("submit", (event) => {
    if (sent) event.preventDefault();
    sent = form.method === "post";
  });
  window.addEventListener("pageshow", () => { sent = false; });
}

for (const button of document.querySelectorAll("[data-prints]")) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}

// Where something is wrong, begin there.
document.querySelector("[aria-invalid=true]")?.focus();
