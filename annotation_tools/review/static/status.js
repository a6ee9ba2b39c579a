// Show on a page what is saved and what went wrong.

export const $ = (id) => document.getElementById(id);

export function showState(state, text) {
  $("saved").dataset.state = state;
  $("saved").textContent = text;
}

export function showError(text) {
  $("error").textContent = text;
  $("error").hidden = !text;
}
