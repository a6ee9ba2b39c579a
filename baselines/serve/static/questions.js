// The fields of questions: one or several, Enter sends.

import { byId, make } from "./dom.js";

export class Questions {
  constructor({ questions, question_length: length }) {
    this.most = questions;
    this.length = length;
    this.examples = [];
    this.list = byId("fields");
    byId("add").addEventListener("click", () => this.add().focus());
    this.add();
  }

  get inputs() {
    return [...this.list.querySelectorAll("textarea")];
  }

  get values() {
    return this.inputs.map((input) => input.value.trim().replace(/\s+/g, " ")).filter(Boolean);
  }

  set values(values) {
    this.list.replaceChildren();
    values.forEach((value) => this.add(value));
  }

  // Offer the examples of a picture: the first goes into the field, unless a person typed something.
  suggest(examples) {
    const typed = this.values.some((value) => !this.examples.includes(value));
    this.examples = examples;
    if (!typed) this.values = [examples[0] ?? ""];
  }

  add(value = "") {
    const input = make("textarea", {
      value, rows: 1, maxLength: this.length, autocomplete: "off", enterKeyHint: "send", placeholder: "Where could a ship unload?", "aria-describedby": "ask-fault",
    });
    input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      input.form.requestSubmit();
    });
    const remove = make("button", { type: "button", className: "plain small", onclick: () => this.#remove(item) }, "×");
    const item = make("li", {}, make("label", {}, make("span"), input), remove);
    this.list.append(item);
    this.#number();
    return input;
  }

  // Put an example into the first empty field, in place of another example that stands alone, or into a new field.
  take(text) {
    const empty = this.inputs.find((input) => !input.value.trim())
      ?? (this.inputs.length === 1 ? this.inputs.find((input) => this.examples.includes(input.value)) : undefined);
    const input = empty ?? (this.inputs.length < this.most ? this.add() : this.inputs.at(-1));
    input.value = text;
    input.focus();
  }

  #remove(item) {
    const place = [...this.list.children].indexOf(item);
    item.remove();
    this.#number();
    this.inputs[Math.max(0, place - 1)].focus();
  }

  #number() {
    const items = [...this.list.children];
    items.forEach((item, place) => {
      item.querySelector("span").textContent = items.length > 1 ? `Question ${place + 1}` : "Question";
      const remove = item.querySelector("button");
      remove.hidden = items.length === 1;
      remove.setAttribute("aria-label", `Remove question ${place + 1}`);
    });
    byId("add").disabled = items.length >= this.most;
  }
}
