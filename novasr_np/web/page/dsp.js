"use strict";
// Files, and spectra for pictures: pure functions, for the page and for its worker.

const RATE_IN = 16000, RATE_OUT = 48000; // Hz, of NovaSR; airband takes others, too
const MIN_RATE = 1000, MAX_RATE = 768000;
const MAX_LEVEL = 1e9; // far beyond any sound
const LOWEST_END = 0.875 * RATE_IN / 2; // Hz, of a sound that is wide enough for NovaSR, as in pipeline/look.py
const BIN = 50; // Hz, of airband

const ceilDiv = (a, b) => Math.ceil(a / b);
const concat = (a, b) => {
  const both = new Float32Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
};

// ---- Spectra

// A stage: m times stride transforms of four values each, turned.
function fours([xr, xi], [yr, yi], m, stride, cos, sin) {
  const far = m * stride;
  for (let j = 0; j < m; j++) {
    const w = j * stride, c1 = cos[w], s1 = sin[w], c2 = cos[2 * w], s2 = sin[2 * w], c3 = cos[3 * w], s3 = sin[3 * w];
    for (let q = 0, x = w, y = 4 * w; q < stride; q++, x++, y++) {
      const ar = xr[x] + xr[x + 2 * far], ai = xi[x] + xi[x + 2 * far];
      const br = xr[x] - xr[x + 2 * far], bi = xi[x] - xi[x + 2 * far];
      const cr = xr[x + far] + xr[x + 3 * far], ci = xi[x + far] + xi[x + 3 * far];
      const dr = xr[x + far] - xr[x + 3 * far], di = xi[x + far] - xi[x + 3 * far];
      const er = br + di, ei = bi - dr, fr = ar - cr, fi = ai - ci, gr = br - di, gi = bi + dr;
      yr[y] = ar + cr;
      yi[y] = ai + ci;
      yr[y + stride] = er * c1 - ei * s1;
      yi[y + stride] = er * s1 + ei * c1;
      yr[y + 2 * stride] = fr * c2 - fi * s2;
      yi[y + 2 * stride] = fr * s2 + fi * c2;
      yr[y + 3 * stride] = gr * c3 - gi * s3;
      yi[y + 3 * stride] = gr * s3 + gi * c3;
    }
  }
}

class Spectrum { // of frames of a power of 4 samples
  constructor(size, window) {
    const table = (f) => Float64Array.from({ length: size }, (_, i) => f(i));
    this.window = table(window);
    this.cos = table((i) => Math.cos((-2 * Math.PI * i) / size));
    this.sin = table((i) => Math.sin((-2 * Math.PI * i) / size));
    this.parts = [0, 1].map(() => [new Float64Array(size), new Float64Array(size)]);
  }

  // Add the power of frames of a and b from sample i on to power [size / 2]; b may be missing. One
  // transform is enough: of z = a + ib, |A_k|^2 + |B_k|^2 is the mean of |Z_k|^2 and |Z_-k|^2.
  add(a, b, i, power) {
    const { window, cos, sin } = this, size = window.length;
    let [from, to] = this.parts;
    for (let t = 0; t < size; t++) {
      from[0][t] = (a[i + t] || 0) * window[t];
      from[1][t] = b ? (b[i + t] || 0) * window[t] : 0;
    }
    // In Stockham's order (W. T. Cochran et al., What is the fast Fourier transform?, 1967).
    for (let stride = 1; stride < size; stride *= 4) {
      fours(from, to, size / 4 / stride, stride, cos, sin);
      [from, to] = [to, from];
    }
    const [re, im] = from;
    for (let k = 0; k < size / 2; k++) {
      const l = k ? size - k : 0;
      power[k] += (re[k] ** 2 + im[k] ** 2 + re[l] ** 2 + im[l] ** 2) / 2;
    }
  }
}

// The bin of 50 Hz at which a sound ends that ends at some Hz, as Python rounds.
function edgeBin(hertz) {
  const bin = Math.round(hertz / BIN);
  return bin - hertz / BIN === 0.5 ? bin - bin % 2 : bin;
}

// ---- Files

const ascii = (bytes, at, count) => String.fromCharCode(...bytes.subarray(at, at + count));

// What can be told of a file from its first bytes: { rate, bits, samples }, each where known.
function sniff(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = 0;
  if (ascii(bytes, 0, 3) === "ID3" && bytes.length > 10) {
    at = 10 + ((bytes[6] << 21) | (bytes[7] << 14) | (bytes[8] << 7) | bytes[9]);
  }
  if (ascii(bytes, at, 4) === "fLaC" && bytes.length >= at + 26) {
    const word = view.getUint32(at + 18);
    return {
      rate: word >>> 12,
      bits: ((word >>> 4) & 31) + 1,
      samples: (word & 15) * 2 ** 32 + view.getUint32(at + 22),
    };
  }
  if (ascii(bytes, 0, 4) === "OggS" && bytes.length > 64) {
    const page = 27 + bytes[26];
    if (ascii(bytes, page + 1, 6) === "vorbis") return { rate: view.getUint32(page + 12, true) };
    return {};
  }
  if (ascii(bytes, 4, 4) === "ftyp") {
    for (let i = 8; i + 34 < bytes.length; i++) {
      if (bytes[i] === 109 && ascii(bytes, i, 4) === "mp4a") {
        const rate = view.getUint16(i + 28);
        return rate ? { rate } : {};
      }
    }
    return {};
  }
  if (ascii(bytes, 0, 4) === "RIFF" && bytes.length > 28) return { rate: view.getUint32(24, true) };
  while (bytes[at] === 0) at++;
  if (bytes[at] !== 255 || bytes[at + 1] >> 5 !== 7) return {};
  const version = (bytes[at + 1] >> 3) & 3, layer = (bytes[at + 1] >> 1) & 3; // of MPEG's frame
  const rate = [44100, 48000, 32000][(bytes[at + 2] >> 2) & 3] / [4, NaN, 2, 1][version];
  return rate && layer ? { rate } : {};
}

// A WAV file's { channels, rate, bits }; null if it is none, or holds a coding other than plain
// samples. Throws if it is damaged.
function readWav(bytes) {
  if (ascii(bytes, 0, 4) !== "RIFF" || ascii(bytes, 8, 4) !== "WAVE") return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let format = null;
  for (let at = 12; at + 8 <= bytes.length;) {
    const name = ascii(bytes, at, 4), body = at + 8;
    const size = view.getUint32(at + 4, true);
    if (name === "fmt " && size >= 16 && body + size <= bytes.length) {
      let code = view.getUint16(body, true);
      if (code === 0xfffe && size >= 26) code = view.getUint16(body + 24, true);
      format = {
        code,
        count: view.getUint16(body + 2, true),
        rate: view.getUint32(body + 4, true),
        bits: view.getUint16(body + 14, true),
      };
    }
    if (name === "data") {
      if (!format) break;
      const read = sampleReader(format.code, format.bits);
      if (!read) return null;
      const width = format.count * (format.bits / 8);
      const samples = Math.floor(soundSize(bytes, view, body, size) / width);
      const channels = Array.from({ length: format.count }, (_, c) => {
        const x = new Float32Array(samples), step = format.bits / 8;
        for (let t = 0, i = body + c * step; t < samples; t++, i += width) x[t] = read(view, i);
        return x;
      });
      return { channels, rate: format.rate, bits: Math.min(32, Math.max(16, format.bits)) };
    }
    at = body + size + (size & 1);
  }
  throw new Error("The WAV file is damaged: it has no sound data.");
}

// The bytes of samples from `body` on, of which the header says `size`: as in files/chunks.py.
function soundSize(bytes, view, body, size) {
  const there = bytes.length - body;
  if (size <= there && chunksFollow(bytes, view, body + size)) return size;
  // Marks of a size that its writer did not know.
  const marks = [1e9, 2 ** 30, 2e9, 2 ** 31, 4e9, 2 ** 32];
  if (size === 0 || marks.some((mark) => Math.abs(size - mark) <= 4096)) return there;
  if (size > there) throw new Error(`The file is cut short: ${there} of ${size} bytes of samples are there.`);
  throw new Error(`Its header says ${size} bytes of samples, but ${there - size} more follow: a recording that was never finished, or several in one file. The command novasr says what to do.`);
}

// Whether nothing follows but chunks, tags and a little filling.
function chunksFollow(bytes, view, at) {
  if (at & 1 && bytes[at] === 0) at++;
  while (at + 8 <= bytes.length && /^[ -~]{4}$/.test(ascii(bytes, at, 4)) && ascii(bytes, at, 4) !== "RIFF") {
    const end = at + 8 + view.getUint32(at + 4, true);
    if (end > bytes.length) break;
    at = end + (end & 1 && bytes[end] === 0 ? 1 : 0);
  }
  const rest = bytes.subarray(at);
  return /^(TAG|ID3|APETAGEX)/.test(ascii(rest, 0, 8)) || (rest.length <= 4096 && rest.every((byte) => !byte));
}

function sampleReader(code, bits) {
  return {
    "1/8": (v, i) => (v.getUint8(i) - 128) / 128,
    "1/16": (v, i) => v.getInt16(i, true) / 32768,
    "1/24": (v, i) => ((v.getUint16(i, true) | (v.getInt8(i + 2) << 16))) / 8388608,
    "1/32": (v, i) => v.getInt32(i, true) / 2147483648,
    "3/32": (v, i) => v.getFloat32(i, true),
    "3/64": (v, i) => v.getFloat64(i, true),
  }[`${code}/${bits}`];
}

// Chromium divides 16-bit samples by 32768 if they are negative, else by 32767: make that even.
function evenScale(x) {
  for (let t = 0; t < x.length; t++) {
    if (x[t] > 0 && x[t] * 32768 % 1) x[t] = Math.round(x[t] * 32767) / 32768;
  }
}

// A WAV file of 16, 24 or, as floating point, 32 bits.
function writeWav(channels, rate, bits) {
  const width = bits / 8, count = channels.length, samples = channels[0].length;
  const size = samples * count * width, header = new DataView(new ArrayBuffer(44));
  if (size > 0xffffff00) throw new Error("A WAV file holds at most 4 GB; this sound is longer.");
  const text = (at, word) => [...word].forEach((c, i) => header.setUint8(at + i, c.charCodeAt(0)));
  const u32 = (at, value) => header.setUint32(at, value, true);
  const u16 = (at, value) => header.setUint16(at, value, true);
  text(0, "RIFF"), u32(4, 36 + size + (size & 1)), text(8, "WAVEfmt "), u32(16, 16);
  u16(20, bits === 32 ? 3 : 1), u16(22, count), u32(24, rate), u32(28, rate * count * width);
  u16(32, count * width), u16(34, bits), text(36, "data"), u32(40, size);
  const parts = [header.buffer], piece = 1 << 18, full = 2 ** (bits - 1);
  for (let start = 0; start < samples; start += piece) {
    const stop = Math.min(start + piece, samples);
    const out = new DataView(new ArrayBuffer((stop - start) * count * width));
    for (let t = start, i = 0; t < stop; t++) {
      for (const x of channels) {
        if (bits === 32) {
          out.setFloat32(i, x[t], true);
        } else {
          const v = Math.max(-full, Math.min(full - 1, Math.round(x[t] * full)));
          out.setInt16(i + width - 2, v >> (bits - 16), true);
          if (bits === 24) out.setUint8(i, v & 255);
        }
        i += width;
      }
    }
    parts.push(out.buffer);
  }
  if (size & 1) parts.push(new Uint8Array(1));
  return new Blob(parts, { type: "audio/wav" });
}
