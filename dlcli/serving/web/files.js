"use strict";
// The files that the page needs, each in a script of its own: a page that is opened from a disk may load scripts, and
// nothing else. Such a script calls deposit() with the file's bytes, gzipped, in Base64.

const files = (() => {
  const deposited = new Map();

  const bytesOf = async (base64) => {
    const text = atob(base64);
    const packed = new Uint8Array(text.length);
    for (let place = 0; place < text.length; place++) packed[place] = text.charCodeAt(place);
    const unpacked = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(unpacked).arrayBuffer());
  };

  // Returns the bytes of a file; `script` is its place beside the page.
  const read = (name, script) => new Promise((resolve, reject) => {
    const element = document.createElement("script");
    element.src = script;
    element.onload = () => {
      const content = deposited.get(name);
      deposited.delete(name);
      element.remove();
      if (content === undefined) reject(new Error(`${script} does not hold ${name}`));
      else bytesOf(content).then(resolve, reject);
    };
    element.onerror = () => reject(new Error(`${script} cannot be read`));
    document.head.append(element);
  });

  return { deposit: (name, base64) => deposited.set(name, base64), read };
})();
