// What a page can do better with a script. Without it everything works: times stand in UTC,
// forms are sent, pages are loaded anew.
const lang = document.documentElement.lang || "en";
const relative = new Intl.RelativeTimeFormat(lang, { numeric: "auto" });
const exact = new Intl.DateTimeFormat(lang, { dateStyle: "medium", timeStyle: "short", timeZoneName: undefined });
const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
const market = Number(document.documentElement.dataset.ahead || 0) * 1000;

function distance(milliseconds) {
  const seconds = Math.round(milliseconds / 1000);
  const [unit, size] = UNITS.find(([, size]) => Math.abs(seconds) >= size) || UNITS[3];
  return relative.format(Math.trunc(seconds / size), unit);
}

// Time left in the member's own zone; the exact instant in UTC stays beside it, as the title.
function times(root) {
  for (const time of root.querySelectorAll("time[datetime]:not([data-said])")) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.valueOf())) continue;
    time.dataset.said = time.textContent;
    time.title = time.textContent;
    time.textContent = exact.format(at);
    if (time.closest("[data-left]")) {
      const left = document.createElement("span");
      left.className = "muted small left";
      time.after(" ", left);
    }
  }
  tick(root);
}

function tick(root = document) {
  for (const left of root.querySelectorAll(".left")) {
    const time = left.previousElementSibling;
    if (time) left.textContent = `(${distance(new Date(time.dateTime) - Date.now() - market)})`;
  }
}

// A second press of the same button does nothing; the server would answer it the same way.
document.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (!button || event.defaultPrevented) return;
  if (button.getAttribute("aria-busy") === "true") return event.preventDefault();
  setTimeout(() => button.setAttribute("aria-busy", "true"));
});
addEventListener("pageshow", () => {
  for (const busy of document.querySelectorAll("button[aria-busy]")) busy.removeAttribute("aria-busy");
});

// A lost connection is shown, and healed.
const lost = document.getElementById("lost");
const connection = () => { if (lost) lost.hidden = navigator.onLine; };
addEventListener("offline", connection);
addEventListener("online", connection);

// A menu closes with Escape, and when something else is pressed.
document.addEventListener("keydown", (event) => {
  const menu = event.key === "Escape" && event.target.closest?.("details.menu[open]");
  if (menu) { menu.open = false; menu.querySelector("summary").focus(); }
});
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
  const button = event.target.closest?.("button[data-copy]");
  if (button) navigator.clipboard?.writeText(button.dataset.copy).then(() => {
    button.textContent = button.dataset.done || button.textContent;
  });
});

times(document);
setInterval(tick, 15000);
document.addEventListener("htmx:load", (event) => times(event.target));
