// Small helpers for elements, faults and numbers.

export const byId = (id) => document.getElementById(id);

// Make an element with properties, attributes (names with a dash, and role) and children.
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role" || name === "for") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}

// Show one line at the thing that caused it, and take the focus there.
export function fault(place, line, focus = place) {
  place.textContent = line;
  place.hidden = false;
  focus.focus();
}

export function clearFaults(...places) {
  places.forEach((place) => { place.hidden = true; place.textContent = ""; });
}

export const plural = (count, one, many = `${one}s`) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;

export const percent = (share) => (share > 0 && share < 0.001 ? "under 0.1 %" : `${(100 * share).toFixed(1)} %`);

export function areaText(squareMetres) {
  const metres = `${Math.round(squareMetres).toLocaleString("en")} m²`;
  const hectares = (squareMetres / 10_000).toLocaleString("en", { maximumFractionDigits: squareMetres < 100_000 ? 2 : 1 });
  return squareMetres < 1000 ? metres : `${metres} (${hectares} ha)`;
}

export const secondsText = (seconds) => `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;

// A file's name from a question.
export const nameOf = (question) => question.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "").slice(0, 60) || "answer";
