// Send verdicts until the server confirms that they are on disk. Unsent verdicts survive a reload.

const WAITING = "earthreason-review-waiting";
const PAUSE = 2000;

export async function ask(url, body) {
  const options = body === undefined ? {} : {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  };
  let response;
  try {
    response = await fetch(url, options);
  } catch {
    const error = new Error("the server cannot be reached");
    error.offline = true;
    throw error;
  }
  const answer = await response.json().catch(() => ({ error: `the server failed (${response.status})` }));
  if (response.ok) return answer;
  const error = new Error(answer.error || `the server failed (${response.status})`);
  error.offline = response.status >= 500;
  error.status = response.status;
  error.otherReview = Boolean(answer.other_review);
  throw error;
}

export class Saver {
  // onState(state, text): the state is saving, saved or failed. onRefused(error, verdict): the server refused a verdict.
  constructor(review, reviewer, onState, onRefused) {
    this.name = `${WAITING}-${review}-${reviewer}`;
    this.onState = onState;
    this.onRefused = onRefused;
    this.running = null;
  }

  get waiting() { return JSON.parse(localStorage.getItem(this.name) || "[]"); }
  set waiting(list) { localStorage.setItem(this.name, JSON.stringify(list)); }

  // Resolve with the server's answer when this verdict is on disk, or with null if it was refused.
  send(verdict) {
    this.waiting = [...this.waiting, verdict];
    return new Promise((resolve) => {
      this.resolvers = { ...this.resolvers, [verdict.key]: resolve };
      this.flush();
    });
  }

  flush() {
    if (!this.running) this.running = this.run().finally(() => { this.running = null; });
    return this.running;
  }

  async run() {
    while (this.waiting.length) {
      const [first] = this.waiting;
      this.onState("saving", "saving …");
      let answer = null;
      try {
        answer = await ask("/api/verdict", first);
        this.onState("saved", `saved ${new Date().toLocaleTimeString([], { hour12: false })}`);
      } catch (error) {
        if (error.offline) {
          this.onState("failed", `${this.waiting.length} not saved, retrying`);
          await new Promise((resolve) => setTimeout(resolve, PAUSE));
          continue;
        }
        this.onRefused(error, first);
        if (error.otherReview) { // keep the verdicts, because their review may be served again
          this.onState("failed", `${this.waiting.length} not saved`);
          this.resolvers?.[first.key]?.(null);
          return;
        }
        this.onState("failed", "not saved");
      }
      this.waiting = this.waiting.filter((other) => other.key !== first.key);
      this.resolvers?.[first.key]?.(answer);
    }
  }
}
