"use strict";
// The pages work without this file; it saves clicks.
for (const form of document.querySelectorAll("form[data-auto]")) {
  // Choosing with the mouse asks for the page at once; with the keyboard each arrow key is a choice, so the button does.
  let keyed = false;
  form.addEventListener("keydown", event => { keyed ||= event.key !== "Tab"; });
  form.addEventListener("pointerdown", () => { keyed = false; });
  form.addEventListener("change", event => { if (!keyed && event.target.matches("select")) form.requestSubmit(); });
}
for (const input of document.querySelectorAll("input[type=file][data-most]")) {
  const most = Number(input.dataset.most); // MiB; said before the upload, not after it
  input.addEventListener("change", () => {
    const over = [...input.files].some(file => file.size > most * 2 ** 20);
    input.setCustomValidity(over ? `The file is over ${most} MiB.` : "");
  });
}
for (const form of document.querySelectorAll("form[data-compare]")) {
  const boxes = [...form.querySelectorAll("input[name=ids]")], go = form.querySelector("[data-go]");
  const look = () => {
    const chosen = boxes.filter(box => box.checked).length;
    go.disabled = chosen < 2;
    go.textContent = chosen < 2 ? "Choose 2 to 4 models to compare" : `Compare ${chosen} models`;
    for (const box of boxes) box.disabled = !box.checked && chosen >= 4;
  };
  form.addEventListener("change", look);
  look();
}
for (const table of document.querySelectorAll("table[data-sort]")) {
  const body = table.tBodies[0];
  table.tHead.querySelectorAll("th[data-key]").forEach(head => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const now = head.getAttribute("aria-sort"), column = head.cellIndex;
      const down = now ? now === "ascending" : head.dataset.key !== "model"; // names start at A
      for (const other of table.tHead.querySelectorAll("th")) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const value = row => row.cells[column].dataset.value ?? "";
      const compare = (a, b) => { const x = Number(a), y = Number(b); return Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b) : x - y; };
      body.append(...[...body.rows].sort((a, b) => (down ? -1 : 1) * compare(value(a), value(b))));
    });
  });
}
