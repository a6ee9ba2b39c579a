// Shortcuts, their list, and the theme.

import { byId } from "./dom.js";

const THEMES = ["system", "light", "dark"];

// Bind keys to actions; an action gets the key. Keys do nothing while a person types.
export function bindKeys(actions, cancel) {
  const dialog = byId("keys-dialog");
  const single = byId("single-keys");
  single.checked = localStorage.getItem("single-keys") !== "off";
  single.addEventListener("change", () => localStorage.setItem("single-keys", single.checked ? "on" : "off"));
  byId("keys").addEventListener("click", () => dialog.showModal());
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !dialog.open) return cancel();
    const types = event.target.matches("input:not([type=checkbox]):not([type=range]), textarea, select");
    if (types || dialog.open || event.ctrlKey || event.metaKey || event.altKey || !single.checked) return;
    if (event.key === "?") { event.preventDefault(); dialog.showModal(); return; }
    const action = actions[event.key.toLowerCase()] ?? (/^[1-9]$/.test(event.key) ? actions.digit : null);
    if (!action) return;
    event.preventDefault();
    action(event.key);
  });
}

export function bindTheme() {
  const button = byId("theme");
  const root = document.documentElement;
  const say = () => { button.textContent = `Theme: ${root.dataset.theme ?? "system"}`; };
  button.addEventListener("click", () => {
    const next = THEMES[(THEMES.indexOf(root.dataset.theme ?? "system") + 1) % THEMES.length];
    if (next === "system") { delete root.dataset.theme; localStorage.removeItem("theme"); }
    else { root.dataset.theme = next; localStorage.setItem("theme", next); }
    say();
  });
  say();
}
