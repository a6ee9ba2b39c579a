// One request at a time: its progress, the queue, and its end by a person.

import { json } from "./api.js";
import { byId, plural, secondsText } from "./dom.js";

const LOOK = 1000; // ms between two looks at the queue

export class Waiting {
  constructor() {
    this.controller = null;
    byId("cancel").addEventListener("click", () => this.cancel());
  }

  get busy() {
    return this.controller !== null;
  }

  cancel() {
    this.controller?.abort();
  }

  // Run work(signal) with its progress on the page; return its value, or null if it was cancelled.
  async during(work) {
    this.controller = new AbortController();
    const { signal } = this.controller;
    const began = performance.now();
    byId("waiting").hidden = false;
    byId("send").setAttribute("aria-disabled", "true");
    byId("wait-said").textContent = "Asking the model";
    const clock = setInterval(() => { byId("wait-clock").textContent = secondsText((performance.now() - began) / 1000); }, 100);
    const look = setInterval(async () => {
      const queue = await json("health", { signal }).then((health) => health.queue, () => 0);
      const said = queue > 0 ? `In the queue: ${plural(queue, "request")}` : "Asking the model";
      if (byId("wait-said").textContent !== said) byId("wait-said").textContent = said;
    }, LOOK);
    try {
      return await work(signal);
    } catch (error) {
      if (error.name === "AbortError") return null;
      throw error;
    } finally {
      clearInterval(clock);
      clearInterval(look);
      byId("waiting").hidden = true;
      byId("wait-clock").textContent = "";
      byId("send").removeAttribute("aria-disabled");
      this.controller = null;
    }
  }
}
