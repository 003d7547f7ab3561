"use strict";
// The page. Names come from data, so they are only ever set as text.

const element = (id) => document.getElementById(id);
const MOST_BARS = 10;
const WAIT = 150; // Milliseconds without a key until a text is classified.
let classifier = null, latest = 0;

function make(kind, name, text = "") {
  const made = document.createElement(kind);
  made.className = name;
  made.textContent = text;
  return made;
}

function fail(error) {
  element("status").textContent = "";
  element("answer").hidden = true;
  element("problem").textContent = error.message || String(error);
  element("problem").hidden = false;
}

function show(outputs) {
  const { labels, outputs: kind } = classifier.card;
  const order = [...outputs.keys()].sort((first, second) => outputs[second] - outputs[first]);
  const shares = kind === "probabilities";
  const low = Math.min(...outputs), high = Math.max(...outputs);
  element("best").textContent = labels[order[0]];
  element("bars").replaceChildren(...order.slice(0, MOST_BARS).map((place) => {
    const share = shares ? outputs[place] : (outputs[place] - low) / (high - low || 1);
    const names = make("div", "names");
    const number = shares ? `${(100 * share).toFixed(1)} %` : outputs[place].toFixed(3);
    names.append(make("span", "name", labels[place]), make("span", "number", number));
    const track = make("div", "track"), fill = make("div", "fill");
    track.setAttribute("aria-hidden", "true");
    fill.style.width = `${100 * share}%`;
    track.append(fill);
    const row = document.createElement("li");
    row.append(names, track);
    return row;
  }));
  element("more").textContent = `the best ${MOST_BARS} of ${labels.length} classes`;
  element("more").hidden = labels.length <= MOST_BARS;
  element("problem").hidden = true;
  element("answer").hidden = false;
}

// Classifies an item; an answer that a newer one has overtaken is dropped.
async function classify(item) {
  const turn = ++latest;
  try {
    const started = performance.now();
    const inputs = await classifier.inputs(item);
    const outputs = await classifier.answer(inputs);
    if (turn !== latest) return;
    element("status").textContent = `classified in ${Math.max(1, Math.round(performance.now() - started))} ms`;
    if (classifier.card.domain === "vision") showSeen(inputs[0]);
    show(outputs);
  } catch (error) {
    if (turn === latest) fail(error);
  }
}

function showSeen({ data, dims }) {
  const [, height, width, channels] = dims;
  const canvas = element("seen"), image = new ImageData(width, height);
  for (let pixel = 0; pixel < height * width; pixel++) {
    for (let channel = 0; channel < 3; channel++) image.data[pixel * 4 + channel] = data[pixel * channels + channel % channels];
    image.data[pixel * 4 + 3] = 255;
  }
  [canvas.height, canvas.width] = [height, width];
  canvas.getContext("2d").putImageData(image, 0, 0);
  element("seen-figure").hidden = false;
}

function ready() {
  const { card } = classifier;
  const what = card.domain === "text" ? "texts" : "pictures";
  const count = `${card.labels.length} classes`;
  // Between marks that keep each name's direction of writing inside.
  const names = card.labels.length <= 12 ? `: ${card.labels.map((label) => `\u2068${label}\u2069`).join(", ")}` : "";
  element("about").textContent = `Sorts ${what} into ${count}${names}.`;
  element("made").textContent = `${card.made_by}; ${card.model}; ${card.runtime.name}`;
  element(card.domain === "text" ? "text-input" : "picture-input").hidden = false;
  element("status").textContent = "";
  if (card.domain === "text") readyForTexts();
  else readyForPictures();
}

function readyForTexts() {
  let timer = 0;
  const box = element("text");
  const changed = () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (box.value.trim()) return classify(box.value);
      latest++;
      element("status").textContent = "";
      element("answer").hidden = true;
    }, WAIT);
  };
  box.addEventListener("input", changed);
  if (box.value) changed(); // The browser has kept it from before.
}

function readyForPictures() {
  const drop = element("drop"), preview = element("preview");
  const take = (file) => {
    if (!file) return;
    if (preview.src) URL.revokeObjectURL(preview.src);
    preview.src = URL.createObjectURL(file);
    preview.alt = file.name;
    preview.hidden = false;
    element("seen-figure").hidden = true;
    element("drop-text").textContent = file.name;
    classify(file);
  };
  preview.addEventListener("error", () => { preview.hidden = true; });
  element("file").addEventListener("change", (event) => take(event.target.files[0]));
  for (const kind of ["dragover", "drop"]) addEventListener(kind, (event) => event.preventDefault());
  drop.addEventListener("dragenter", () => drop.classList.add("over"));
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  addEventListener("drop", (event) => {
    drop.classList.remove("over");
    take(event.dataTransfer.files[0]);
  });
  addEventListener("paste", (event) => take(event.clipboardData.files[0]));
}

Classifier.load().then((loaded) => {
  classifier = loaded;
  ready();
}).catch((error) => {
  const here = location.protocol === "file:" ? " Perhaps this browser keeps pages from a disk from it: in the folder of "
    + "this page type “python -m http.server 8000”, and open http://localhost:8000/." : "";
  fail(new Error(`The model cannot be loaded: ${error.message || error}.${here}`));
});
