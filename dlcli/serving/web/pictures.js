"use strict";
// From a picture to pixels, as dlcli's own pipeline does it: the browser decodes, the rest is computed here.

const MOST_PIXELS = Math.floor(2 ** 28 / 3);

class Pictures {
  constructor(settings) {
    [this.height, this.width] = settings.image_size;
    this.resize = settings.resize;
    this.channels = settings.color === "grayscale" ? 1 : 3;
  }

  // Returns the model's inputs for a picture, a File or Blob.
  async arrays(picture) {
    const data = await this.pixels(picture);
    return [{ dims: [1, this.height, this.width, this.channels], type: "uint8", data }];
  }

  // Returns uint8, a row after the other, in the size that the model sees.
  async pixels(picture) {
    const image = this.withChannels(this.reduced(await decoded(picture), await isJpeg(picture)));
    const { height, width } = image;
    if (height === this.height && width === this.width) return image.data;
    const down = this.height / height, across = this.width / width;
    if (this.resize === "stretch") return this.scaled(image, [this.height, this.width], [down, across], [0, 0]);
    if (this.resize === "crop") {
      const scale = Math.max(down, across);
      const shift = [(this.height - height * scale) / 2, (this.width - width * scale) / 2];
      return this.scaled(image, [this.height, this.width], [scale, scale], shift);
    }
    const scale = Math.min(down, across);
    const sides = [[height, this.height], [width, this.width]].map(([side, most]) => Math.min(most, Math.max(1, even(side * scale))));
    const inner = this.scaled(image, sides, [sides[0] / height, sides[1] / width], [0, 0]);
    const whole = new Uint8Array(this.height * this.width * this.channels);
    const top = (this.height - sides[0]) >> 1, left = (this.width - sides[1]) >> 1;
    for (let row = 0; row < sides[0]; row++) {
      const from = row * sides[1] * this.channels;
      whole.set(inner.subarray(from, from + sides[1] * this.channels), ((top + row) * this.width + left) * this.channels);
    }
    return whole;
  }

  // A JPEG that is many times as large is decoded at a half, a quarter or an eighth, as the model was trained; browsers
  // decode all of it, and the mean of so many pixels is nearly that.
  reduced(image, jpeg) {
    const times = Math.min(image.height, image.width) / (2 * Math.max(this.height, this.width));
    if (!jpeg || times < 2) return image;
    const ratio = times < 4 ? 2 : times < 8 ? 4 : 8;
    const height = Math.ceil(image.height / ratio), width = Math.ceil(image.width / ratio);
    const data = new Uint8ClampedArray(height * width * 4);
    for (let row = 0; row < height; row++) {
      for (let column = 0; column < width; column++) {
        const sums = [0, 0, 0, 0];
        for (let down = 0; down < ratio; down++) {
          const y = Math.min(image.height - 1, row * ratio + down);
          for (let across = 0; across < ratio; across++) {
            const at = (y * image.width + Math.min(image.width - 1, column * ratio + across)) * 4;
            for (let channel = 0; channel < 4; channel++) sums[channel] += image.data[at + channel];
          }
        }
        for (let channel = 0; channel < 4; channel++) {
          data[(row * width + column) * 4 + channel] = Math.round(sums[channel] / (ratio * ratio));
        }
      }
    }
    return { height, width, data };
  }

  // Brings red, green, blue and alpha to what the model sees; what is transparent lies on white.
  withChannels({ height, width, data }) {
    const found = new Uint8Array(height * width * this.channels);
    for (let pixel = 0; pixel < height * width; pixel++) {
      const alpha = data[pixel * 4 + 3];
      const red = onWhite(data[pixel * 4], alpha);
      const green = onWhite(data[pixel * 4 + 1], alpha);
      const blue = onWhite(data[pixel * 4 + 2], alpha);
      if (this.channels === 1) {
        found[pixel] = (77 * red + 150 * green + 29 * blue + 128) >> 8;
      } else {
        found[pixel * 3] = red;
        found[pixel * 3 + 1] = green;
        found[pixel * 3 + 2] = blue;
      }
    }
    return { height, width, data: found };
  }

  // Resamples with a triangle as wide as a pixel of the result, or of the source where that is wider.
  scaled({ height, width, data }, [down, across], scale, shift) {
    const rows = triangles(height, down, scale[0], shift[0]);
    const columns = triangles(width, across, scale[1], shift[1]);
    const channels = this.channels, line = width * channels;
    const found = new Uint8Array(down * across * channels);
    const mixed = new Float32Array(line);
    for (let row = 0; row < down; row++) {
      mixed.fill(0);
      for (const [source, weight] of rows[row]) {
        for (let place = 0; place < line; place++) mixed[place] += weight * data[source * line + place];
      }
      for (let column = 0; column < across; column++) {
        for (let channel = 0; channel < channels; channel++) {
          let sum = 0;
          for (const [source, weight] of columns[column]) sum += weight * mixed[source * channels + channel];
          found[(row * across + column) * channels + channel] = even(sum);
        }
      }
    }
    return found;
  }
}

function onWhite(value, alpha) {
  const mixed = value * alpha + (255 - alpha) * 255 + 128;
  return (mixed + (mixed >> 8)) >> 8;
}

async function isJpeg(picture) {
  const start = new Uint8Array(await picture.slice(0, 2).arrayBuffer());
  return start[0] === 0xff && start[1] === 0xd8;
}

// Returns red, green, blue and alpha of the picture, upright.
async function decoded(picture) {
  const options = { imageOrientation: "from-image", premultiplyAlpha: "none", colorSpaceConversion: "none" };
  let bitmap;
  try {
    bitmap = await createImageBitmap(picture, options);
  } catch {
    throw new Error("This file cannot be decoded as a picture.");
  }
  const { height, width } = bitmap;
  if (height * width > MOST_PIXELS) throw new Error("This picture has too many pixels.");
  const canvas = document.createElement("canvas");
  [canvas.height, canvas.width] = [height, width];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return { height, width, data: context.getImageData(0, 0, width, height).data };
}

// Returns for each of `side` pixels which of `size` pixels count for it, and how much.
function triangles(size, side, scale, shift) {
  const inverse = 1 / scale, reach = Math.max(inverse, 1);
  return Array.from({ length: side }, (_, number) => {
    const at = (number + 0.5) * inverse - inverse * shift;
    const weights = [];
    for (let place = Math.max(0, Math.floor(at - reach - 0.5)); place < Math.min(size, Math.ceil(at + reach + 0.5)); place++) {
      const weight = 1 - Math.abs((place + 0.5 - at) / reach);
      if (weight > 0) weights.push([place, weight]);
    }
    const sum = weights.reduce((total, [, weight]) => total + weight, 0);
    return weights.map(([place, weight]) => [place, weight / sum]);
  });
}

// Rounds halves to the even number, as NumPy and TensorFlow do.
function even(number) {
  const below = Math.floor(number);
  if (number - below !== 0.5) return Math.round(number);
  return below + (below % 2);
}
