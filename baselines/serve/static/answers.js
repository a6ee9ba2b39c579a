// The answers of one request: their words, layers and downloads.

import { at, blob, save } from "./api.js";
import { areaText, byId, clearFaults, fault, make, nameOf, percent, plural, secondsText } from "./dom.js";
import { Scores, drawKey } from "./scores.js";

const FILES = [
  ["mask", "Mask", "png"], ["overlay", "Overlay", "png"], ["geojson", "GeoJSON", "geojson"], ["geotiff", "GeoTIFF", "tif"],
];
const SETTLE = 120; // ms without a change of the threshold before regions are counted

export class Answers {
  // stage: where masks are drawn.
  constructor(stage, noTargetThreshold) {
    this.stage = stage;
    this.noTargetThreshold = noTargetThreshold;
    this.shown = [];
    this.threshold = 0.5;
    this.counting = 0;
  }

  // Fetch what the masks of a result are made of: [{scores, onMap}]; the second is for a result shown on a map.
  static fetch(result, mapped, signal) {
    return Promise.all(result.answers.map(async ({ links }) => {
      const scores = await Scores.read(await blob(links.probability, { signal }));
      const onMap = mapped && result.bounds && links.map ? await Scores.read(await blob(links.map, { signal })) : null;
      return { scores, onMap };
    }));
  }

  // Show a result; asked: the threshold it was asked with; bounds: where its masks lie on a map, or null.
  show(result, fetched, { asked, bounds }) {
    this.clear();
    this.asked = asked;
    const list = byId("answers");
    result.answers.forEach((answer, place) => {
      const { scores, onMap } = fetched[place];
      const drawn = onMap ?? scores;
      const canvases = drawn.paint(this.threshold, place);
      const layer = this.stage.addMask(canvases, place, bounds);
      const item = { answer, place, scores, drawn, canvases, layer, key: null };
      item.element = this.#element(item, result);
      list.append(item.element);
      drawKey(item.key, place);
      this.shown.push(item);
    });
    const marked = result.answers.filter((answer) => answer.has_target).length;
    const waited = result.waited >= 0.05 ? `, after ${secondsText(result.waited)} in the queue` : "";
    const found = result.answers.length === 1 ? (marked ? "Found" : "Nothing found") : `${marked} of ${result.answers.length} found`;
    byId("answers-said").textContent = `${found} in ${secondsText(result.seconds)}${waited}.`;
    byId("answers-part").hidden = false;
    this.#say();
  }

  clear() {
    this.stage.clearMasks();
    this.shown = [];
    byId("answers").replaceChildren();
    byId("answers-part").hidden = true;
  }

  // Apply a threshold to every mask at once, and count again when it rests.
  setThreshold(threshold) {
    this.threshold = threshold;
    this.shown.forEach((item) => {
      item.drawn.paint(threshold, item.place, item.canvases);
      this.stage.repaint(item.layer);
    });
    clearTimeout(this.counting);
    this.counting = setTimeout(() => this.#say(), SETTLE);
  }

  // Show or hide an answer by its place.
  toggle(place) {
    this.shown[place]?.box.click();
  }

  #element(item, result) {
    const { answer, place } = item;
    const name = `answer-${place}`;
    item.key = make("canvas", { width: 56, height: 40, className: "key", "aria-hidden": "true" });
    item.box = make("input", { type: "checkbox", checked: true, id: name, onchange: (event) => item.layer.setVisible(event.target.checked) });
    const head = make("label", { className: "answer-head", for: name }, item.box, item.key, make("span", {}, `${place + 1}. ${answer.question}`));
    const parts = [make("h3", {}, head)];
    if (!answer.has_target) {
      const score = `No-target score ${answer.no_target_score.toFixed(2)}; the model says “nothing” above ${this.noTargetThreshold.toFixed(2)}.`;
      parts.push(make("p", { className: "nothing" }, make("strong", {}, "Nothing here answers this question."), ` ${score}`));
    }
    if (answer.text) parts.push(make("p", { className: "dim small said" }, "In words, without a look at the mask:"), make("blockquote", {}, answer.text));
    item.facts = make("dl", { className: "facts" });
    parts.push(item.facts);
    const opacity = make("input", {
      type: "range", min: 0, max: 1, step: 0.05, value: 1, "aria-label": `Opacity of answer ${place + 1}`,
      oninput: (event) => item.layer.setOpacity(Number(event.target.value)),
    });
    if (answer.has_target) parts.push(make("label", { className: "opacity" }, "Opacity", opacity));
    const wrong = make("p", { className: "fault", role: "alert", tabIndex: -1, hidden: true });
    // GeoJSON holds longitudes and latitudes, which a plain picture has not.
    const buttons = FILES.filter(([kind]) => answer.links[kind] && (kind !== "geojson" || result.bounds)).map(([kind, label, suffix]) => make("button", {
      type: "button", className: "plain small", onclick: () => this.#download(answer.links[kind], `${nameOf(answer.question)}.${suffix}`, wrong),
      "aria-label": `Download ${label} (${suffix}) of answer ${place + 1}`,
    }, label));
    parts.push(make("p", { className: "row", role: "group", "aria-label": `Downloads of answer ${place + 1}` }, ...buttons), wrong);
    item.result = result;
    return make("li", { className: "answer" }, ...parts);
  }

  async #download(link, name, wrong) {
    clearFaults(wrong);
    try {
      save(await blob(at(link, this.threshold)), name);
    } catch (error) {
      fault(wrong, error.status === 404 ? `${error.message} Ask again to make it anew.` : error.message);
    }
  }

  // Say what the threshold marks; the server's own numbers hold at the threshold it was asked with.
  #say() {
    this.shown.forEach((item) => {
      const { answer, facts, scores } = item;
      const counted = scores.count(this.threshold);
      const exact = this.threshold === this.asked;
      const rows = [];
      if (counted.pixels) {
        const regions = exact ? answer.regions : counted.regions;
        const about = scores.sampled && !exact ? "about " : "";
        rows.push(["Marked", `${about}${plural(regions, "region")}, ${percent(exact ? answer.share : counted.share)} of the picture`]);
        item.before ??= scores.count(this.asked).pixels;
        if (answer.area_m2 !== null && (exact || item.before)) {
          const area = exact ? answer.area_m2 : (answer.area_m2 * counted.pixels) / item.before;
          rows.push(["Area", `${exact ? "" : "about "}${areaText(area)}`]);
        }
        rows.push(["Confidence", `${counted.mean.toFixed(2)} on the marked pixels`]);
      } else {
        rows.push(["Marked", answer.has_target ? "no pixel at this threshold" : "no pixel"]);
      }
      if (answer.has_target) rows.push(["No-target score", answer.no_target_score.toFixed(2)]);
      facts.replaceChildren(...rows.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
    });
  }
}
