// The page: a picture, questions about it, and the answers as layers over it.

import { Answers } from "./answers.js";
import { THRESHOLD, at, curlOf, formOf, json } from "./api.js";
import { Areas } from "./areas.js";
import { byId, clearFaults, fault, make, plural } from "./dom.js";
import { bindKeys, bindTheme } from "./keys.js";
import { Pictures } from "./pictures.js";
import { Questions } from "./questions.js";
import { Stage } from "./stage.js";
import { Waiting } from "./waiting.js";

const KEPT = 8; // requests of this session that can be shown again
const ROOM = 60_000_000; // pixels of their probabilities, two bytes each

const waiting = new Waiting();
let past = [];
let source = null;
let [stage, areas, pictures, questions, answers] = [];

const gentle = () => (matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth");

// Show another picture: its examples, its area, and no answers yet.
function onSource(opened) {
  source = opened;
  waiting.cancel();
  answers.clear();
  clearFaults(byId("ask-fault"));
  areas.of(opened.kind === "scene" ? opened.bounds : null);
  questions.suggest(opened.questions);
  byId("examples-part").hidden = opened.questions.length === 0;
  byId("examples").replaceChildren(...opened.questions.map((question) => make("li", {}, make("button", { type: "button", className: "pill", onclick: () => questions.take(question) }, question))));
  byId("questions").scrollIntoView({ block: "nearest", behavior: gentle() });
}

// Return what is wrong with the form, shown at its place, or null.
function refuse() {
  if (!source) return [byId("picture-fault"), "Choose a picture first, or click a sample.", byId("choose")];
  if (questions.values.length === 0) return [byId("ask-fault"), "Type a question first.", questions.inputs[0]];
  return null;
}

// Where an error of the server belongs.
function placeOf(error, request) {
  const ofPicture = error.status === 413 || error.status === 415 || error.status === 404;
  if (ofPicture) return [byId("picture-fault"), byId("choose")];
  if (error.status === 422 && error.message.startsWith(request.source.name)) return [byId("picture-fault"), byId("choose")];
  if (request.source.bounds && error.status === 422 && /^area\b/.test(error.message)) {
    byId("area-part").open = true;
    return [byId("area-fault"), byId(request.area ? "west" : "draw")];
  }
  return [byId("ask-fault"), questions.inputs[0]];
}

async function send(event) {
  event.preventDefault();
  if (waiting.busy) return;
  clearFaults(byId("picture-fault"), byId("ask-fault"), byId("area-fault"));
  const wrong = refuse();
  if (wrong) return fault(...wrong);
  if (!areas.complete()) return;
  const request = { source, questions: questions.values, area: areas.area, task: byId("task").value, words: byId("words").checked };
  try {
    const done = await waiting.during(async (signal) => {
      const result = await json("segment", { method: "POST", body: formOf(request), signal });
      return { request, result, fetched: await Answers.fetch(result, Boolean(source.bounds), signal) };
    });
    if (!done) { byId("wait-said").textContent = ""; return; }
    if (source !== request.source) return;
    if (source.unseen) await pictures.showAnswered(source, at(done.result.answers[0].links.overlay, 1));
    show(done);
    remember(done);
  } catch (error) {
    const [place, focus] = placeOf(error, request);
    fault(place, error.message, focus);
  }
}

function show({ request, result, fetched }) {
  const bounds = request.source.bounds ? result.bounds : null;
  answers.clear();
  answers.show(result, fetched, { asked: THRESHOLD, bounds });
  sayCurl(request);
  byId("answers-part").scrollIntoView({ behavior: gentle() });
}

function sayCurl(request) {
  answers.request = request;
  byId("curl").textContent = curlOf(request, answers.threshold);
  byId("copied").textContent = "";
}

// Keep the last requests with their masks, so that they show again even after the server has let them go.
function remember(done) {
  let room = ROOM;
  const fits = ({ fetched }) => (room -= fetched.reduce((sum, { scores }) => sum + scores.values.length, 0)) >= 0;
  past = [done, ...past].slice(0, KEPT).filter((one) => fits(one) || one === done);
  byId("history-part").hidden = false;
  byId("history").replaceChildren(...past.map((one) => {
    const { request, result } = one;
    const found = plural(result.answers.filter((answer) => answer.has_target).length, "answer");
    return make("li", {}, make("button", { type: "button", className: "pick", onclick: () => recall(one) },
      make("span", {}, request.questions.join(" · ")), make("span", { className: "dim small" }, `${request.source.title}, ${found} found`)));
  }));
}

async function recall(done) {
  const { request } = done;
  if (!(await pictures.open(request.source))) return;
  questions.values = request.questions;
  byId("task").value = request.task;
  byId("words").checked = request.words;
  if (request.area) areas.set(request.area);
  if (source.unseen) await pictures.showAnswered(source, at(done.result.answers[0].links.overlay, 1)).catch(() => {});
  show(done);
  byId("answers-title").focus();
}

function setThreshold(value) {
  const slider = byId("threshold");
  slider.value = value;
  byId("threshold-value").textContent = Number(slider.value).toFixed(2);
  answers.setThreshold(Number(slider.value));
  if (answers.request) sayCurl(answers.request);
}

async function copy() {
  const done = await navigator.clipboard.writeText(byId("curl").textContent).then(() => true, () => false);
  if (!done) getSelection().selectAllChildren(byId("curl")); // without HTTPS browsers have no clipboard
  byId("copied").textContent = done ? "Copied" : "Selected: copy it with Ctrl C";
}

async function start() {
  bindTheme();
  let info;
  try {
    info = await json("api/info");
  } catch (error) {
    byId("empty").hidden = true;
    fault(byId("picture-fault"), `${error.message} Then load the page again.`);
    return;
  }
  byId("model").textContent = `${info.model} · ${info.checkpoint} · ${info.device}`;
  stage = new Stage(byId("map"), (area) => areas.drawn(area));
  areas = new Areas(stage);
  questions = new Questions(info.limits);
  answers = new Answers(stage, info.no_target_threshold);
  pictures = new Pictures(info, stage, onSource);
  const tasks = info.tasks ?? [];
  byId("task-part").hidden = tasks.length < 2;
  byId("task").append(...tasks.map((task) => make("option", { value: task }, task.replaceAll("_", " "))));
  byId("words-part").hidden = !info.words;
  byId("ask").addEventListener("submit", send);
  byId("fit").addEventListener("click", () => stage.fit());
  byId("threshold").addEventListener("input", (event) => setThreshold(event.target.value));
  byId("copy").addEventListener("click", copy);
  setThreshold(info.threshold);
  const nudge = (step) => () => { if (!byId("answers-part").hidden) setThreshold(answers.threshold + step); };
  bindKeys({
    "/": () => questions.inputs[0].focus(),
    o: () => byId("choose").click(),
    f: () => stage.fit(),
    "[": nudge(-0.05),
    "]": nudge(0.05),
    digit: (key) => answers.toggle(Number(key) - 1),
  }, () => { waiting.cancel(); areas.drawing(false); });
}

start();
