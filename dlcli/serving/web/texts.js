"use strict";
// From a text to ids, as dlcli's own pipeline does it.

// White space of the regular expressions that a text is split with (RE2's \s), and what counts as such besides.
const SPACE = "\\t\\n\\f\\r ";
const SPACES = "[\\0\\x1c-\\x1f\\x85\\xa0\\u1680\\u2000-\\u200b\\u2028\\u2029\\u202f\\u205f\\u3000\\ufeff]";
const HTML = "<\\/?[A-Za-z!][^<>]*>|&[A-Za-z][A-Za-z0-9]{1,7};|&#[0-9]{1,7};|&#[Xx][0-9A-Fa-f]{1,6};";
// The long s is an s without regard to case.
const URLS = `(?<![0-9A-Za-z_])(?:[Hh][Tt][Tt][Pp][Ss\\u017f]?:\\/\\/|[Ww]{3}\\.)[^${SPACE}<>"]+`;
// Letters that some machines' languages lower in ways of their own.
const LOWER_FIRST = [["\u0130", "i\u0307"], ["\u00cc", "\u00ec"], ["\u00cd", "\u00ed"], ["\u0128", "\u0129"]];
const ID_OF_UNKNOWN = 1;
const TAB = 9, LINE = 10;

class Texts {
  // settings: of model.json; contents: the bytes of the files that it names.
  constructor(settings, contents) {
    this.settings = settings;
    this.vocabulary = new Vocabulary(contents.get(settings.vocabulary));
    this.standsFor = new Map(settings.words ? linesOf(contents.get(settings.words)).slice(1).map((l) => l.split("\t")) : []);
    const characters = JSON.parse(textOf(contents.get(settings.characters)));
    this.lowered = new Set(characters.lower || "");
    this.plain = new Map(Object.entries(characters.plain || {}));
    const { word, mark, number } = characters;
    const rule = (expression, instead) => [new RegExp(expression, "gu"), instead];
    this.cleaning = [rule(settings.strip_html ? `${HTML}|${SPACES}` : SPACES, " ")];
    if (settings.strip_urls) this.cleaning.push(rule(URLS, " "));
    this.splitting = [
      settings.punctuation === "drop" ? rule(`[^${word}${SPACE}]+`, " ") : rule(`([^${word}${SPACE}])`, " $1 "),
    ];
    if (settings.analyzer === "char") this.splitting.push(rule(`([^${SPACE}][${mark}]*)`, "$1 "));
    this.number = new RegExp(`^[${number}]+$`, "u");
    this.markAlone = new RegExp(`^[^${word}]$`, "u");
  }

  // Returns the model's inputs for a text: ids, and where the model takes them the values that belong to them.
  arrays(text) {
    const { ids, values } = this.ids(text);
    const width = Math.max(1, ids.length);
    const padded = new Int32Array(width);
    padded.set(ids);
    const arrays = [{ dims: [1, width], type: "int32", data: padded }];
    if (["counts", "tfidf"].includes(this.settings.features)) {
      const weights = new Float32Array(width);
      weights.set(values);
      arrays.push({ dims: [1, width], type: "float32", data: weights });
    }
    return arrays;
  }

  ids(text) {
    const tokens = this.tokens(text), settings = this.settings;
    if (settings.features === "ids") {
      let ids = tokens.map((token) => this.vocabulary.find(token).id + ID_OF_UNKNOWN);
      const most = settings.max_length;
      if (most) ids = settings.truncating === "pre" ? ids.slice(-most) : ids.slice(0, most);
      return { ids, values: [] };
    }
    const counts = new Map();
    const [shortest, longest] = settings.ngrams;
    for (let size = shortest; size <= longest; size++) {
      for (let start = 0; start + size <= tokens.length; start++) {
        const ngram = tokens.slice(start, start + size).join(" ");
        counts.set(ngram, (counts.get(ngram) || 0) + 1);
      }
    }
    const known = [];
    for (const [ngram, count] of counts) {
      const { id, weight } = this.vocabulary.find(ngram);
      if (id) known.push({ id, value: settings.features === "tfidf" ? Math.fround(count * weight) : count });
    }
    known.sort((first, second) => first.id - second.id);
    let norm = 1;
    if (settings.features === "tfidf") norm = Math.fround(Math.sqrt(known.reduce((sum, one) => sum + one.value ** 2, 0))) || 1;
    return { ids: known.map((one) => one.id), values: known.map((one) => one.value / norm) };
  }

  // Returns a text's words, stop words dropped and stems in their places.
  tokens(text) {
    const settings = this.settings, least = settings.min_word_length;
    let tokens = this.split(text);
    if (settings.numbers === "mask") tokens = tokens.map((token) => (this.number.test(token) ? "0" : token));
    else if (settings.numbers === "drop") tokens = tokens.filter((token) => !this.number.test(token));
    if (least > 1) {
      const marks = settings.punctuation === "keep";
      tokens = tokens.filter((token) => [...token].length >= least || (marks && this.markAlone.test(token)));
    }
    return tokens.map((token) => this.standsFor.get(token) ?? token).filter(Boolean);
  }

  split(text) {
    // Half of a pair of code units is no character.
    text = text.replace(/\p{Surrogate}/gu, "\ufffd");
    for (const [rule, instead] of this.cleaning) text = text.replace(rule, instead);
    if (this.settings.lowercase) text = this.lower(text);
    if (this.settings.strip_accents) text = Array.from(text, (one) => this.plain.get(one) ?? one).join("");
    for (const [rule, instead] of this.splitting) text = text.replace(rule, instead);
    return text.split(/[\t\n\v\f\r ]+/).filter(Boolean);
  }

  lower(text) {
    for (const [upper, lower] of LOWER_FIRST) text = text.replaceAll(upper, lower);
    // Character by character, as the form of a sigma depends on its place.
    const lower = [...text.toLowerCase()];
    return Array.from(text, (one, place) => (one < "\x80" || this.lowered.has(one) ? lower[place] : one)).join("");
  }
}

// The n-grams that have an id: lines of n-gram, tab, id (and tab, weight), in the order of their bytes. They are searched
// as they are: of a million only some dozen are looked up.
class Vocabulary {
  constructor(bytes) {
    this.bytes = bytes;
    this.start = bytes.indexOf(LINE) + 1;
  }

  find(ngram) {
    const wanted = new TextEncoder().encode(ngram), bytes = this.bytes;
    let low = this.start, high = bytes.length;
    while (low < high) {
      let begin = (low + high) >> 1;
      while (begin > low && bytes[begin - 1] !== LINE) begin--;
      const tab = bytes.indexOf(TAB, begin), end = bytes.indexOf(LINE, tab);
      const order = compare(wanted, bytes.subarray(begin, tab));
      if (!order) {
        const [id, weight] = textOf(bytes.subarray(tab + 1, end)).split("\t");
        return { id: Number(id), weight: weight === undefined ? 1 : Math.fround(Number(weight)) };
      }
      if (order > 0) low = end + 1;
      else high = begin;
    }
    return { id: 0, weight: 0 };
  }
}

function compare(first, second) {
  const shared = Math.min(first.length, second.length);
  for (let place = 0; place < shared; place++) {
    if (first[place] !== second[place]) return first[place] - second[place];
  }
  return first.length - second.length;
}

function textOf(bytes) {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
}

function linesOf(bytes) {
  return textOf(bytes).split("\n").slice(0, -1);
}
