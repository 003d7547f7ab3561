"use strict";
// The model with what makes its inputs; the page, or your own, uses it so:
//
//     const classifier = await Classifier.load();
//     await classifier.outputs("not bad at all");      // Float32Array, in the order of classifier.card.labels

class Classifier {
  static async load() {
    const card = JSON.parse(textOf(await files.read("card.json", "web/card.js")));
    const contents = new Map();
    for (const [name, script] of Object.entries(card.files)) contents.set(name, await files.read(name, script));
    const runtime = new Blob([contents.get(card.runtime.script)], { type: "text/javascript" });
    ort.env.wasm.numThreads = 1;
    ort.env.wasm.wasmBinary = contents.get(card.runtime.binary).buffer;
    ort.env.wasm.wasmPaths = { mjs: URL.createObjectURL(runtime) };
    const session = await ort.InferenceSession.create(contents.get(card.file), { executionProviders: ["wasm"] });
    return new Classifier(card, contents, session);
  }

  constructor(card, contents, session) {
    this.card = card;
    this.session = session;
    const settings = card.preprocessing;
    this.parts = card.domain === "vision"
      ? [new Pictures(settings)]
      : (settings.members || [settings]).map((member) => new Texts(member, contents));
  }

  // Returns the model's inputs for a text, or for a picture (a File or Blob).
  async inputs(item) {
    return (await Promise.all(this.parts.map((part) => part.arrays(item)))).flat();
  }

  async outputs(item) {
    return this.answer(await this.inputs(item));
  }

  async answer(inputs) {
    const tensors = inputs.map(({ type, data, dims }, place) => [this.card.inputs[place].name, new ort.Tensor(type, data, dims)]);
    const found = await this.session.run(Object.fromEntries(tensors));
    return found[this.card.output].data;
  }
}
