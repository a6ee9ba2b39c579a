// The server's HTTP API, and its errors as one line each.

export const THRESHOLD = 0.5; // of a request that names none

export class Refusal extends Error {
  // status: the HTTP status, or 0 if the server did not answer.
  constructor(line, status) {
    super(line);
    this.status = status;
  }
}

// Fetch from the server; raise a Refusal with the server's own line where there is one.
export async function ask(path, options) {
  let response;
  try {
    response = await fetch(path.replace(/^\//, ""), options); // also below the path of a proxy
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal("The server does not answer. Check that it runs, then try again.", 0);
  }
  if (response.ok) return response;
  const said = await response.json().then((body) => body.error, () => null);
  const line = said || `The server answered with status ${response.status}.`;
  const wait = response.status === 429 ? Number(response.headers.get("Retry-After")) : 0;
  throw new Refusal(wait && !line.includes(`${wait} s`) ? `${line.replace(/\.?$/, ".")} Try again in ${wait} s.` : line, response.status);
}

export const json = async (path, options) => (await ask(path, options)).json();
export const blob = async (path, options) => (await ask(path, options)).blob();

// The form of POST /segment: source is {kind: "image" | "sample" | "scene", name, file?}.
export function formOf({ source, questions, area, task, words }) {
  const form = new FormData();
  if (source.kind === "image") form.append("image", source.file, source.name);
  else form.append(source.kind, source.name);
  questions.forEach((question) => form.append("questions", question));
  if (area) form.append("area", area.join(","));
  if (task) form.append("task", task);
  if (words) form.append("words", "true");
  return form;
}

const quote = (text) => `'${text.replaceAll("'", "'\\''")}'`;

// The same request as a command; --form-string keeps a leading @ or < of a question as text.
export function curlOf({ source, questions, area, task, words }, threshold) {
  const picture = source.kind === "image"
    ? `--form ${quote(`image=@"${source.name.replace(/["\\]/g, "\\$&")}"`)}`
    : `--form-string ${quote(`${source.kind}=${source.name}`)}`;
  const fields = questions.map((question) => `questions=${question}`);
  if (area) fields.push(`area=${area.join(",")}`);
  if (task) fields.push(`task=${task}`);
  if (words) fields.push("words=true");
  if (threshold !== THRESHOLD) fields.push(`threshold=${threshold}`);
  const lines = [`curl ${new URL("segment", document.baseURI)}`, picture, ...fields.map((field) => `--form-string ${quote(field)}`)];
  return lines.join(" \\\n  ");
}

// The address of a result at a threshold, in place of the one it was asked with.
export const at = (link, threshold) => `${link.split("?")[0]}?threshold=${threshold}`;

// Hand a file to the browser's downloads.
export function save(content, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(content), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

const [JPEG, EXIF_SEGMENT, PIXELS] = [0xffd8, 0xe1, 0xda];
const [PNG, EXIF_CHUNK] = [0x89504e47, 0x65584966];

// Return a picture without its EXIF block, by which browsers would turn it: the model sees it as it is stored.
export async function asStored(file) {
  const view = new DataView(await file.arrayBuffer());
  const [kept, size] = [[], view.byteLength];
  let place = 0;
  const pass = (length, keep = true) => {
    if (keep) kept.push(view.buffer.slice(place, place + length));
    place += length;
  };
  if (size > 12 && view.getUint16(0) === JPEG) {
    pass(2);
    while (place + 4 < size && view.getUint8(place + 1) !== PIXELS) pass(2 + view.getUint16(place + 2), view.getUint8(place + 1) !== EXIF_SEGMENT);
  } else if (size > 12 && view.getUint32(0) === PNG) {
    pass(8);
    while (place + 12 <= size) pass(12 + view.getUint32(place), view.getUint32(place + 4) !== EXIF_CHUNK);
  }
  pass(Math.max(0, size - place));
  return new Blob(kept, { type: file.type });
}
