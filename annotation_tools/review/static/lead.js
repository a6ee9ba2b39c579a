// Withdraw a verdict or settle a question; the page is loaded again once that is on disk.

import { ask } from "./saver.js";

const { review, lead } = document.body.dataset;

document.addEventListener("click", async (event) => {
  const { event: verdict, item, verdict: decision, text = "" } = event.target.dataset;
  if (!verdict && !item) return;
  try {
    if (verdict) await ask("/api/withdraw", { review, reviewer: lead, event: Number(verdict) });
    else await ask("/api/decide", { review, reviewer: lead, item: Number(item), verdict: decision, text });
    location.reload();
  } catch (error) {
    const shown = document.getElementById("error");
    shown.textContent = `Not saved: ${error.message}.`;
    shown.hidden = false;
    shown.scrollIntoView();
  }
});
