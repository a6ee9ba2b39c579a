// The part of a scene that is asked about: a rectangle, drawn, taken from the view, or typed.

import { byId, clearFaults, fault } from "./dom.js";

const SIDES = ["west", "south", "east", "north"];
const DIGITS = 6; // of a degree: about a decimetre

export class Areas {
  constructor(stage) {
    this.stage = stage;
    this.bounds = null;
    this.area = null;
    const draw = byId("draw");
    draw.addEventListener("click", () => this.drawing(draw.getAttribute("aria-pressed") !== "true"));
    byId("view-area").addEventListener("click", () => this.set(stage.view()));
    byId("clear-area").addEventListener("click", () => { this.set(null); draw.focus(); });
    SIDES.forEach((side) => byId(side).addEventListener("change", () => this.#typed()));
  }

  // A scene with bounds can be asked in part; null hides the choice.
  of(bounds) {
    this.bounds = bounds;
    byId("area-part").hidden = !bounds;
    this.set(null);
    this.drawing(false);
    SIDES.forEach((side, place) => { byId(side).placeholder = bounds ? bounds[place].toFixed(DIGITS - 1) : ""; });
  }

  drawing(on) {
    byId("draw").setAttribute("aria-pressed", String(on));
    byId("draw").textContent = on ? "Drag over the map" : "Draw a rectangle";
    this.stage.draw(on);
  }

  // Take a drawn rectangle, cut to the scene.
  drawn([west, south, east, north]) {
    this.drawing(false);
    const [left, bottom, right, top] = this.bounds;
    this.set([Math.max(west, left), Math.max(south, bottom), Math.min(east, right), Math.min(north, top)]);
  }

  set(area) {
    clearFaults(byId("area-fault"));
    if (area && (area[0] >= area[2] || area[1] >= area[3])) {
      fault(byId("area-fault"), "The rectangle lies outside the scene. Draw it over the picture.", byId("draw"));
      area = null;
    }
    this.area = area ? area.map((side) => Number(side.toFixed(DIGITS))) : null;
    SIDES.forEach((side, place) => { byId(side).value = this.area ? this.area[place] : ""; });
    byId("clear-area").disabled = !this.area;
    this.stage.setArea(this.area);
  }

  #typed() {
    const words = SIDES.map((side) => byId(side).value.trim());
    if (words.some((word) => word === "")) return;
    const [west, south, east, north] = words.map(Number);
    clearFaults(byId("area-fault"));
    if (!(west < east && south < north)) {
      fault(byId("area-fault"), "West must be less than east, and south less than north.", byId(west < east ? "south" : "west"));
      return;
    }
    this.set([west, south, east, north]);
  }

  // Return false, with a fault at the field, while only some of the sides are typed.
  complete() {
    const empty = SIDES.filter((side) => !byId(side).value.trim());
    if (!this.bounds || empty.length === 0 || empty.length === 4) return true;
    fault(byId("area-fault"), "Give all four sides, or none for the whole scene.", byId(empty[0]));
    return false;
  }
}
