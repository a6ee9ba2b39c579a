// Show the drawings of a task side by side, take a ruling, and show it as saved once it is on disk.

import { ask } from "/static/review/saver.js";
import { $, showError, showState } from "/static/review/status.js";
import { Viewer } from "/static/review/viewer.js";

const PAN = 60;
const PAUSE = 2000;
const { by } = document.body.dataset;

let tasks = []; // {task, done} in order
let shown = null; // the case on the page
let viewers = [];
let category = null; // of the merged drawing
let sending = false;

function element(name, text = "", style = "") {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = style;
  return made;
}

function showProgress() {
  const done = tasks.filter((entry) => entry.done).length;
  $("bar").max = tasks.length || 1;
  $("bar").value = done;
  $("count").textContent = `${done.toLocaleString("en")} of ${tasks.length.toLocaleString("en")} have a ruling`;
}

// Panels.

function addresses(layer) {
  return (item, box = null) => {
    const rest = `task=${encodeURIComponent(shown.task)}${box ? `&box=${box.join(",")}` : ""}`;
    const path = layer === "difference" ? "/difference?" : `/mask?layer=${layer}&`;
    return [`/picture?${rest}`, ...["false", "true"].map((edge) => `${path}${rest}&edge=${edge}`)];
  };
}

function follow(leader) { // all views show the same part
  if (!viewers.includes(leader) || !leader.canvas.clientWidth) return; // a view of an earlier task
  for (const other of viewers) {
    if (other === leader || (other.scale === leader.scale && other.x === leader.x && other.y === leader.y)) continue;
    Object.assign(other, { scale: leader.scale, x: leader.x, y: leader.y, fitted: leader.fitted });
    other.draw();
  }
}

function panel(layer, title, lines, button, chip = "") {
  const figure = document.createElement("figure");
  const view = element("div", "", "view");
  const canvas = document.createElement("canvas");
  canvas.setAttribute("aria-label", title);
  view.append(canvas, element("span", chip, "chip warn"));
  const caption = document.createElement("figcaption");
  caption.append(element("b", title), ...lines.map((line) => (line instanceof Node ? line : element("span", line, "dim"))));
  if (button) caption.append(button);
  figure.append(view, caption);
  $("panels").append(figure);
  const viewer = new Viewer(addresses(layer), canvas, () => follow(viewer));
  for (const kind of ["pointermove", "wheel", "dblclick"]) canvas.addEventListener(kind, () => follow(viewer));
  viewers.push(viewer);
  return figure;
}

function chooser(key, text, action) {
  const button = element("button", ` ${text}`);
  button.type = "button";
  button.prepend(element("kbd", key));
  button.addEventListener("click", action);
  return button;
}

function describe(drawing) {
  const what = drawing.is_empty ? "no target" : `${drawing.category || "no category"} · ${drawing.pixels.toLocaleString("en")} px`;
  const targets = drawing.targets === null ? "" : ` · ${drawing.targets} targets`;
  const time = [drawing.created.slice(0, 16).replace("T", " "), drawing.seconds === null ? "" : `${Math.round(drawing.seconds)} s`];
  return [`${what}${targets}`, [drawing.iou === null ? "" : `IoU ${drawing.iou.toFixed(2)} with the merged one`, ...time].filter(Boolean).join(" · ")];
}

function legend() {
  const line = element("span", "", "dim legend");
  const names = shown.drawings.map((drawing) => drawing.annotator);
  const parts = names.length === 2
    ? [["first", `only ${names[0]}`], ["second", `only ${names[1]}`], ["both", "both (outline)"]]
    : [["second", "few"], ["first", "most"], ["both", "all (outline)"]];
  for (const [style, text] of parts) line.append(element("i", "", style), `${text} `);
  return line;
}

function showCase(found) {
  shown = found;
  viewers = [];
  $("panels").replaceChildren();
  const { drawings, merged, ruling } = found;
  const number = tasks.findIndex((entry) => entry.task === found.task);
  $("place").textContent = `${number + 1} of ${tasks.length} · ${found.task} · ${found.width} × ${found.height} px`;
  $("asked").textContent = found.asked;
  $("why").textContent = `Waits because: ${found.reason}`;
  const mine = drawings.some((drawing) => drawing.annotator.toLowerCase() === by.toLowerCase());
  showError(mine ? "You drew this yourself; leave it to somebody else." : "");
  drawings.forEach((drawing, index) => {
    const button = chooser(index + 1, `take ${drawing.annotator}'s`, () => take(index));
    const figure = panel(drawing.fingerprint, drawing.annotator, describe(drawing), button, drawing.is_empty ? "no target" : "");
    figure.classList.toggle("taken", ruling?.choice === "drawing" && ruling.taken === drawing.fingerprint);
  });
  panel("difference", "Difference", [legend()]);
  category = ruling?.choice === "merged" ? ruling.category : merged.category;
  const figure = panel("merged", "Merged proposal", [mergedLine(), merged.is_empty ? "It cannot be taken: it has no pixels." : `by ${merged.method}`],
    merged.is_empty ? null : chooser("m", "take the merged one", takeMerged), merged.is_empty ? "no pixels" : "");
  figure.classList.toggle("taken", ruling?.choice === "merged");
  $("ruled").hidden = !ruling && !found.again;
  if (ruling) $("ruled").textContent = `${ruling.by} ruled: ${words(ruling)}`;
  else if (found.again) $("ruled").textContent = `Waits for a new drawing: ${found.again}`;
  $("withdraw").hidden = !ruling && !found.again;
  $("empty").lastChild.textContent = ` no target${found.empty_said.length ? ` (said by ${found.empty_said.join(", ")})` : ""}`;
  Promise.all(viewers.map((viewer) => viewer.show(found))).catch((error) => showError(error.message));
}

function mergedLine() {
  const { merged, categories } = shown;
  const line = element("span", `${category || "no category"} · ${merged.pixels.toLocaleString("en")} px`, "dim");
  line.id = "category";
  if (categories.length > 1) line.append(" ", chooser("c", "other category", nextCategory));
  return line;
}

function words({ choice, taken, category: named }) {
  const whose = shown.drawings.find((drawing) => drawing.fingerprint === taken)?.annotator;
  return { drawing: `${whose}'s drawing`, merged: `the merged drawing${named ? ` (${named})` : ""}`, empty: "no target" }[choice];
}

function nextCategory() {
  const { categories } = shown;
  if (categories.length < 2 || shown.merged.is_empty) return;
  category = categories[(categories.indexOf(category) + 1) % categories.length];
  $("category").replaceWith(mergedLine());
}

// Rulings.

async function send(choice, more = {}) {
  if (!shown || sending) return;
  sending = true;
  showError("");
  const { task, sources, revision } = shown;
  const body = { task, choice, by, sources, revision, key: crypto.randomUUID?.() || `${Date.now()}-${Math.random()}`, ...more };
  try {
    await deliver(body);
    showState("saved", `saved ${new Date().toLocaleTimeString([], { hour12: false })}`);
    await list();
    if (choice === "withdraw") await open(task);
    else await step(1, true);
  } catch (error) {
    showState("failed", "not saved");
    if (error.status === 409 || error.status === 404) {
      await list();
      await open(task);
    }
    showError(error.message);
  } finally {
    sending = false;
  }
}

async function deliver(body) { // the key makes a repetition harmless
  for (;;) {
    showState("saving", "saving …");
    try {
      return await ask("/api/ruling", body);
    } catch (error) {
      if (!error.offline) throw error;
      showState("failed", "not saved, retrying");
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
    }
  }
}

const take = (index) => shown?.drawings[index] && send("drawing", { taken: shown.drawings[index].fingerprint });
const takeMerged = () => shown && (shown.merged.is_empty ? showError("The merged mask has no pixels; choose a drawing, or say that there is no target.") : send("merged", { category }));
const sayEmpty = () => shown && (shown.empty_said.length ? send("empty") : $("confirming").showModal());
const sayAgain = () => {
  if (!shown) return;
  $("comment").value = shown.ruling?.comment || "";
  $("saying").showModal();
};
const withdraw = () => shown && (shown.ruling || shown.again) && send("withdraw");

// Moving between tasks.

async function list() {
  tasks = await ask("/api/tasks");
  showProgress();
}

async function open(task) {
  try {
    showCase(await ask(`/api/task?task=${encodeURIComponent(task)}`));
  } catch (error) {
    if (error.status !== 404) throw error;
    await first(); // it no longer waits
  }
}

async function step(by_, waiting = false) {
  const here = tasks.findIndex((entry) => entry.task === shown?.task);
  if (waiting) {
    const next = tasks.slice(here + 1).find((entry) => !entry.done) || tasks.find((entry) => !entry.done);
    return next ? open(next.task) : finish();
  }
  const there = tasks[Math.min(tasks.length - 1, Math.max(0, here + by_))];
  if (there && there.task !== shown?.task) await open(there.task);
}

function first() {
  shown = null;
  return step(1, true);
}

function finish() {
  shown = null;
  viewers = [];
  $("panels").replaceChildren();
  $("asked").textContent = "Nothing waits for a third person. Thank you.";
  for (const id of ["place", "why"]) $(id).textContent = "";
  $("ruled").hidden = true;
  $("withdraw").hidden = true;
}

const guarded = (action) => () => Promise.resolve(action()).catch((error) => showError(error.message));
const all = (action) => () => viewers.forEach(action);
const toggle = () => {
  viewers.forEach((viewer) => viewer.toggle());
  $("masks").setAttribute("aria-pressed", String(viewers[0]?.masked ?? true));
};
const one = (action) => () => viewers[0] && action(viewers[0]);

const KEYS = {
  m: takeMerged, c: () => shown && nextCategory(), e: sayEmpty, d: sayAgain, z: withdraw, h: toggle,
  j: () => step(1), k: () => step(shown ? -1 : tasks.length), g: first, "[": all((viewer) => viewer.fade(-0.1)), "]": all((viewer) => viewer.fade(0.1)),
  "+": one((viewer) => viewer.zoomIn()), "=": one((viewer) => viewer.zoomIn()), "-": one((viewer) => viewer.zoomOut()), 0: all((viewer) => viewer.fit()),
  ArrowLeft: one((viewer) => viewer.pan(PAN, 0)), ArrowRight: one((viewer) => viewer.pan(-PAN, 0)),
  ArrowUp: one((viewer) => viewer.pan(0, PAN)), ArrowDown: one((viewer) => viewer.pan(0, -PAN)), "?": () => $("help").showModal(),
};

document.addEventListener("keydown", (event) => {
  if (document.querySelector("dialog[open]")) {
    if (event.target === $("comment") && event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      $("say").requestSubmit();
    }
    return;
  }
  if (event.altKey || event.metaKey || event.ctrlKey || event.repeat && !event.key.startsWith("Arrow")) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const action = /^[1-9]$/.test(key) ? () => take(Number(key) - 1) : KEYS[key];
  if (!action) return;
  event.preventDefault();
  guarded(action)();
});

$("say").addEventListener("submit", (event) => {
  const comment = $("comment").value.trim();
  if (!comment) return event.preventDefault();
  return send("again", { comment });
});
$("confirm").addEventListener("submit", () => send("empty", { confirmed: true }));
$("cancel").addEventListener("click", () => $("saying").close());
$("doubt").addEventListener("click", () => $("confirming").close());
Object.entries({ empty: sayEmpty, again: sayAgain, withdraw, masks: toggle, back: KEYS.k, next: KEYS.j, keys: KEYS["?"] })
  .forEach(([id, action]) => $(id).addEventListener("click", guarded(action)));

showState("saved", "nothing to save");
await guarded(async () => { await list(); await first(); })();
