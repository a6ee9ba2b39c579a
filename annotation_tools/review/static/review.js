// The review page: show a question, take a verdict by key, go on to the next.

import { Saver, ask } from "./saver.js";
import { $, showError, showState } from "./status.js";
import { Viewer, addressesIn, prefetch } from "./viewer.js";

const IDLE = 60_000; // ms without input after which the clock stops
const PAN = 60;
const { review, reviewer } = document.body.dataset;
const asks = `review=${review}&reviewer=${encodeURIComponent(reviewer)}`;
const reasonButtons = [...document.querySelectorAll("[data-reason]")];
const verdictButtons = [...document.querySelectorAll("[data-verdict]")];
// The ID in the URLs keeps the browser's cache from returning pictures of another review.
const addresses = addressesIn(review);
const viewer = new Viewer(addresses, $("canvas"), showView);
const saver = new Saver(review, reviewer, showState, refused);

let item = null;
let mode = "judge"; // judge, reasons, edit, note
let pending = ""; // verdict that still needs its reasons
let chosen = new Set();
let seconds = 0;
let lastActive = Date.now();
let last = null; // event that undo would undo
let saving = null; // verdict being sent; keys for another verdict are ignored
let undoing = false;

// Display.

function showView(view) {
  $("zoom").textContent = `${Math.round(view.scale * 100)} %`;
  $("mask").setAttribute("aria-pressed", String(view.masked));
  $("opacity").value = Math.round(view.opacity * 100);
}

function showProgress(progress) {
  const { judged, questions, mine } = progress;
  ({ last } = progress);
  $("bar").max = questions;
  $("bar").value = judged;
  $("count").textContent = `${judged.toLocaleString("en")} of ${questions.toLocaleString("en")} judged, ${mine.toLocaleString("en")} by you`;
}

function showItem(answer) {
  showProgress(answer.progress);
  if (answer.item === null) {
    finish(left(answer.progress));
    return;
  }
  item = answer.item;
  seconds = 0;
  lastActive = Date.now();
  chosen = new Set(item.verdict?.reasons || []);
  $("place").textContent = `${item.place + 1} · question ${item.number + 1} of ${item.questions} about this image`;
  $("question").textContent = item.question;
  if (item.after) showAnswers(item.after.answers);
  else hideAnswers();
  $("gsd").textContent = `${item.width} × ${item.height} px` + (item.ground_resolution ? ` · ${item.ground_resolution.toPrecision(3)} m per pixel` : "");
  $("empty").hidden = !item.is_empty;
  $("text").value = item.draft || item.verdict?.text || item.question;
  $("note").value = item.verdict?.note || "";
  $("drafted").textContent = "";
  verdictButtons.forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.verdict === item.verdict?.verdict)));
  showAfter();
  enter("judge");
  viewer.show(item).catch((error) => showError(error.message));
  ahead(item);
}

function showAnswers(answers) {
  $("answers").replaceChildren(...answers.map((text) => element("p", text)));
}

function hideAnswers() {
  const button = element("button", `Show the answer${item.answers === 1 ? "" : `s (${item.answers})`}, which may name the target `);
  button.type = "button";
  button.append(element("kbd", "s"));
  button.addEventListener("click", openAnswers);
  $("answers").replaceChildren(...(item.answers ? [button] : []));
}

async function openAnswers() {
  if (!item || item.after || !item.answers) return;
  const { place } = item;
  try {
    const { answers } = await ask(`/api/answers?${asks}&place=${place}`);
    if (item?.place !== place) return;
    showAnswers(answers);
  } catch (error) {
    showError(error.message);
  }
}

function showAfter() {
  $("after").hidden = !item.verdict;
  if (!item.verdict) return;
  const { verdict, reasons, text } = item.verdict;
  const said = [`Your verdict: ${verdict}${reasons.length ? ` (${reasons.join(", ")})` : ""}`, text && `New question: ${text}`].filter(Boolean);
  $("after").replaceChildren(
    ...said.map((line) => element("span", line)),
    ...(item.after ? [element("span", `Category: ${item.after.category || "not stated"}`), element("span", item.after.sample_id, "dim")]
      : [element("span", `The category is shown when you have judged all questions about this image (${item.rest} left).`, "dim")]),
  );
}

function element(name, text, style = "") {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = style;
  return made;
}

// Another review is now served here, so nothing on this page can be judged.
function leave(error) {
  finish("This review is no longer served here.");
  showError(error.message);
}

function left({ judged, questions }) {
  const rest = questions - judged;
  if (!rest) return "Nothing is left to judge. Thank you.";
  const open = rest === 1 ? "question is" : `${rest.toLocaleString("en")} questions are`;
  return `Nothing is left for you to judge now: the remaining ${open} assigned to others. If they leave an image unfinished for a day, it is offered to you. Thank you.`;
}

function finish(text) {
  item = null;
  $("question").textContent = text;
  $("place").textContent = "";
  $("answers").replaceChildren();
  $("after").hidden = true;
  enter("done");
}

function enter(next) {
  mode = next;
  $("edit").hidden = next !== "edit";
  $("reasons").hidden = next !== "reasons";
  $("noting").hidden = next !== "note";
  document.querySelector(".verdicts").hidden = next === "done";
  if (next === "edit") $("text").focus();
  else if (next === "note") $("note").focus();
  else document.activeElement?.blur?.();
  if (next === "reasons") {
    $("reasonsfor").textContent = pending;
    reasonButtons.forEach((button) => button.setAttribute("aria-pressed", String(chosen.has(button.dataset.reason))));
    $("reasons").scrollIntoView({ block: "nearest" });
  }
}

// Actions.

async function go(place) {
  showError("");
  try {
    showItem(await ask(`/api/place?${asks}${place === undefined ? "" : `&place=${place}`}`));
  } catch (error) {
    if (error.otherReview) leave(error);
    else showError(`${error.message}; press j or k to try again`);
  }
}

async function ahead(from) {
  const next = from.place + from.questions - from.number;
  try {
    const image = await ask(`/api/ahead?${asks}&place=${next}`); // does not reserve it
    if (image.sample) prefetch(addresses, image);
  } catch { /* the image is fetched again when needed */ }
}

function save(verdict, extra = {}) {
  if (saving || undoing) return;
  saving = give(verdict, extra).finally(() => { saving = null; });
}

async function give(verdict, extra) {
  const judged = item;
  const answer = await saver.send({
    review, reviewer, item: judged.item, place: judged.place, verdict, reasons: [], text: "", note: $("note").value.trim(),
    seconds: Math.round(seconds * 10) / 10, revision: judged.verdict?.revision || 0, key: crypto.randomUUID?.() || `${Date.now()}-${Math.random()}`,
    ...extra,
  });
  if (answer === null) return;
  showProgress(answer.progress);
  const { after, verdict: said } = answer.item;
  const told = after ? ` All questions about that image are judged. Category: ${after.category || "not stated"}.` : "";
  $("last").textContent = `Question ${judged.place + 1}: ${said.verdict}.${told}`;
  await go(judged.place + 1);
}

function refused(error, verdict) {
  if (error.otherReview) return leave(error);
  showError(error.message);
  if (error.status === 409 && item?.place === verdict.place) go(verdict.place).then(() => showError(error.message));
}

function judge(verdict) {
  if (!item) return;
  showError("");
  if (verdict === "accept") save("accept");
  else if (verdict === "edit") enter("edit");
  else {
    pending = verdict;
    if (item.verdict?.verdict !== verdict) chosen = new Set();
    enter("reasons");
  }
}

function toggleReason(code) {
  if (!chosen.delete(code)) chosen.add(code);
  enter("reasons");
}

function saveReasons() {
  if (chosen.size) save(pending, { reasons: [...chosen] });
  else showError(`${pending} needs a reason: press its number`);
}

function saveEdit() {
  const text = $("text").value.trim();
  if (!text || text === item.question) showError("Change the question, or press Esc and accept it");
  else save("edit", { text });
}

// Undo the last verdict, after any verdict that is still being sent.
async function undo() {
  if (undoing) return;
  undoing = true;
  try {
    await saving;
    await saver.flush();
    if (last === null) showError("there is nothing to undo");
    else {
      const answer = await ask("/api/undo", { review, reviewer, event: last });
      await go(answer.place);
      showState("saved", "undone");
    }
  } catch (error) {
    if (error.status === 409 && !error.otherReview) await go(item?.place);
    showError(error.message);
  } finally {
    undoing = false;
  }
}

const KEYS = {
  1: () => judge("accept"), a: () => judge("accept"), 2: () => judge("edit"), e: () => judge("edit"),
  3: () => judge("reject"), r: () => judge("reject"), 4: () => judge("unsure"), u: () => judge("unsure"),
  j: () => item && go(item.place + 1), k: () => go(item ? Math.max(0, item.place - 1) : undefined), g: () => go(),
  s: openAnswers, z: undo, n: () => item && enter("note"), m: () => viewer.toggle(), "[": () => viewer.fade(-0.1), "]": () => viewer.fade(0.1),
  "+": () => viewer.zoomIn(), "=": () => viewer.zoomIn(), "-": () => viewer.zoomOut(), 0: () => viewer.fit(),
  ArrowLeft: () => viewer.pan(PAN, 0), ArrowRight: () => viewer.pan(-PAN, 0),
  ArrowUp: () => viewer.pan(0, PAN), ArrowDown: () => viewer.pan(0, -PAN), "?": () => $("help").showModal(),
};

document.addEventListener("keydown", (event) => {
  active();
  if ($("help").open || event.altKey || event.metaKey || (event.ctrlKey && event.key !== "z")) return;
  if (mode === "edit" || mode === "note") {
    if (event.key === "Escape") enter("judge");
    else if (event.key === "Enter" && !event.shiftKey) mode === "edit" ? saveEdit() : enter("judge");
    else return;
    event.preventDefault();
    return;
  }
  if (event.target.type === "range" && event.key.startsWith("Arrow")) return;
  if (mode === "reasons") {
    const code = reasonButtons[Number(event.key) - 1]?.dataset.reason;
    if (code) toggleReason(code);
    else if (event.key === "Enter") saveReasons();
    else if (event.key === "Escape") enter("judge");
    else if (!["m", "s", "[", "]", "+", "-", "0"].includes(event.key) && !event.key.startsWith("Arrow")) return;
    else KEYS[event.key]?.();
    event.preventDefault();
    return;
  }
  const action = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!action) return;
  event.preventDefault();
  action();
});

let drafting = 0;
$("text").addEventListener("input", () => {
  const { place } = item;
  const text = $("text").value;
  $("drafted").textContent = "";
  clearTimeout(drafting);
  drafting = setTimeout(() => ask("/api/draft", { review, reviewer, place, text }).then(
    () => { $("drafted").textContent = "Draft saved."; }, (error) => { $("drafted").textContent = `Draft not saved: ${error.message}.`; },
  ), 500);
});
verdictButtons.forEach((button) => button.addEventListener("click", () => judge(button.dataset.verdict)));
reasonButtons.forEach((button) => button.addEventListener("click", () => toggleReason(button.dataset.reason)));
$("mask").addEventListener("click", () => viewer.toggle());
$("whole").addEventListener("click", () => viewer.fit());
$("opacity").addEventListener("input", () => viewer.fade($("opacity").value / 100 - viewer.opacity));
["edit", "noting"].forEach((id) => $(id).addEventListener("submit", (event) => event.preventDefault()));

// The clock runs while the reviewer is active.

function active() { lastActive = Date.now(); }
document.addEventListener("pointermove", active);
setInterval(() => {
  if (item && document.visibilityState === "visible" && Date.now() - lastActive < IDLE) seconds += 0.1;
  $("clock").textContent = item ? `${Math.floor(seconds)} s` : "";
}, 100);

showState("saved", "nothing to save");
if (saver.waiting.length) await saver.flush();
await go();
