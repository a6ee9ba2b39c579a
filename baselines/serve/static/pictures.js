// Where the picture comes from: a file, the clipboard, a sample, or a scene of the server.

import { Refusal, asStored, blob } from "./api.js";
import { byId, clearFaults, fault, make } from "./dom.js";

const MEGABYTE = 1_000_000;

const sizeText = ({ width, height }) => `${width.toLocaleString("en")} × ${height.toLocaleString("en")} pixels`;

const press = (list, button) => list.querySelectorAll("button").forEach((one) => one.setAttribute("aria-pressed", String(one === button)));

export class Pictures {
  // onSource(source): called when another picture is open; source is {kind, name, title, questions, bounds?, file?}.
  constructor(info, stage, onSource) {
    this.info = info;
    this.stage = stage;
    this.onSource = onSource;
    this.opening = 0;
    this.#limits();
    this.#list("samples", info.samples, (sample) => [
      make("img", { src: sample.picture.slice(1), alt: "", width: 96, height: 96, loading: "lazy" }), make("span", {}, sample.title),
    ], (sample) => ({ kind: "sample", name: sample.name, title: sample.title, questions: sample.questions, picture: sample.picture }));
    this.#list("scenes", info.scenes, (scene) => [
      make("strong", {}, scene.name), make("span", { className: "dim small" }, `${sizeText(scene)}${scene.gsd ? `, ${Number(scene.gsd.toPrecision(3))} m a pixel` : ""}`),
    ], (scene) => ({ kind: "scene", name: scene.name, title: scene.name, questions: [], bounds: scene.bounds }));
    this.#takeFiles();
  }

  #limits() {
    const { upload_mb: megabytes, megapixels } = this.info.limits;
    byId("limits").textContent = `At most ${megabytes} MB and ${megapixels} megapixels`;
  }

  #list(id, entries, faces, sourceOf) {
    byId(`${id}-part`).hidden = entries.length === 0;
    entries.forEach((entry) => {
      const button = make("button", { type: "button", className: "pick", "aria-pressed": "false" }, ...faces(entry));
      button.addEventListener("click", () => this.open(sourceOf(entry), button));
      button.dataset.name = entry.name;
      byId(id).append(make("li", {}, button));
    });
  }

  #takeFiles() {
    const file = byId("file");
    byId("choose").addEventListener("click", () => file.click());
    file.addEventListener("change", () => { this.openFile(file.files[0]); file.value = ""; });
    document.addEventListener("paste", (event) => {
      const pasted = event.clipboardData.files[0];
      if (!pasted) return;
      event.preventDefault();
      this.openFile(pasted);
    });
    const drop = byId("drop");
    const carries = (event) => event.dataTransfer?.types.includes("Files");
    document.addEventListener("dragover", (event) => {
      if (!carries(event)) return;
      event.preventDefault();
      drop.hidden = false;
    });
    document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) drop.hidden = true; });
    document.addEventListener("drop", (event) => {
      if (!carries(event)) return;
      event.preventDefault();
      drop.hidden = true;
      this.openFile(event.dataTransfer.files[0]);
    });
  }

  openFile(file) {
    if (!file) return;
    const { upload_mb: megabytes } = this.info.limits;
    if (file.size > megabytes * MEGABYTE) {
      const size = (file.size / MEGABYTE).toFixed(1);
      fault(byId("picture-fault"), `${file.name} has ${size} MB; at most ${megabytes} MB are taken. Choose a smaller image.`, byId("choose"));
      return;
    }
    this.open({ kind: "image", name: file.name || "picture.png", title: file.name || "Pasted image", questions: [], file });
  }

  // Show a source, then tell of it. A later call wins over one that is still loading.
  async open(source, button = byId(`${source.kind}s`)?.querySelector(`[data-name="${CSS.escape(source.name)}"]`)) {
    const turn = (this.opening += 1);
    clearFaults(byId("picture-fault"));
    let bitmap = null;
    try {
      if (source.kind === "image") bitmap = await asStored(source.file).then(createImageBitmap).catch(() => null);
      if (source.kind === "sample") bitmap = await createImageBitmap(await blob(source.picture));
      if (source.kind === "scene" && !source.bounds) bitmap = await createImageBitmap(await blob(`api/scenes/${encodeURIComponent(source.name)}/overview.png`));
    } catch (error) {
      const line = error instanceof Refusal ? error.message : `${source.title} is not a picture that this browser can show.`;
      if (turn === this.opening) fault(byId("picture-fault"), line, button ?? byId("choose"));
      return false;
    }
    if (turn !== this.opening) return false;
    ["samples", "scenes"].forEach((id) => press(byId(id), button));
    byId("empty").hidden = true;
    byId("fit").hidden = false;
    if (source.bounds) this.stage.showScene(`api/scenes/${encodeURIComponent(source.name)}/{z}/{x}/{y}.png`, source.bounds, source.title);
    else this.stage.showPicture(bitmap ?? blank(), source.title);
    byId("picture-said").textContent = bitmap || source.bounds
      ? `Open: ${source.title}${bitmap && source.kind !== "scene" ? `, ${sizeText(bitmap)}` : ""}`
      : `Open: ${source.title}. The browser cannot show this file; it appears with the answer.`;
    this.onSource({ ...source, unseen: !bitmap && !source.bounds });
    return true;
  }

  // Show a picture that only the server could read, as it gives it back.
  async showAnswered(source, link) {
    this.stage.showPicture(await createImageBitmap(await blob(link)), source.title);
    byId("picture-said").textContent = `Open: ${source.title}`;
  }
}

const blank = () => Object.assign(document.createElement("canvas"), { width: 512, height: 512 });
