"use strict";
// Signal processing and files: pure functions, for the page and for its worker.
// The formulas are those of novasr_np/dsp; what they give has to be the same.

const RATE_IN = 16000, RATE_OUT = 48000; // Hz, of the networks
const MIN_RATE = 1000, MAX_RATE = 768000;
const MAX_LEVEL = 1e9; // far beyond any sound
const STEEPNESS = 7; // the crossover's frequency in widths of its transition, as in dsp/crossover.py
const STEEP = 0.08; // of half the lower rate, the steep resampler's transition, as in dsp/resample.py
const LOWEST_END = 0.875 * RATE_IN / 2; // Hz, of a sound that is wide enough, as in pipeline/look.py

const ceilDiv = (a, b) => Math.ceil(a / b);
const gcd = (a, b) => (b ? gcd(b, a % b) : a);
const concat = (a, b) => {
  const both = new Float32Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
};

// ---- Filters from one sampling rate to another

const i0 = (x) => { // the Bessel function of Kaiser's window
  let term = 1, sum = 1;
  for (let k = 1; term > sum * 1e-17; k++) sum += term *= (x / (2 * k)) ** 2;
  return sum;
};
const kaiser = (u, beta) =>
  Math.abs(u) <= 1 ? i0(beta * Math.sqrt(1 - u * u)) / i0(beta) : 0;
const sinc = (t) => (t === 0 ? 1 : Math.sin(Math.PI * t) / (Math.PI * t));

// The table of a kernel h(d), d in input samples, that is 0 where |d| > half: a row for each place
// between two input samples where an output can lie.
function makeFilter(rate, newRate, h, half) {
  const divisor = gcd(rate, newRate), o = rate / divisor, n = newRate / divisor;
  const width = Math.ceil(half), taps = 2 * width + 2;
  if (n * taps * 4 > 2e8) {
    throw new Error(`A filter for ${rate} Hz would be too large. Resample the sound to a usual rate first, such as 44.1 kHz.`);
  }
  const table = new Float64Array(n * taps);
  for (let p = 0; p < n; p++) {
    const fraction = ((p * o) % n) / n;
    for (let k = 0; k < taps; k++) table[p * taps + k] = h(k - width - fraction);
  }
  return { o, n, taps, table, before: width, spectra: new Map() };
}

// The resampler of NovaSR's original: a windowed sinc of 6 zero crossings.
function upstreamFilter(rate, newRate) {
  const scale = 0.99 * Math.min(1, newRate / rate), beta = 14.769656459379492;
  return makeFilter(rate, newRate, (d) => {
    const t = Math.max(-6, Math.min(6, d * scale));
    return sinc(t) * kaiser(t / 6, beta) * scale;
  }, 6 / scale);
}

// A low pass: half is left at `hertz`, in the middle of the transition.
function lowPass(rate, newRate, hertz, transition = hertz / STEEPNESS, attenuation = 100) {
  const half = (attenuation - 7.95) / (2.285 * 2 * Math.PI * transition) / 2; // s
  const beta = 0.1102 * (attenuation - 8.7);
  return makeFilter(rate, newRate, (d) => {
    const t = d / rate;
    return sinc(2 * hertz * t) * kaiser(t / half, beta) * 2 * hertz / rate;
  }, half * rate);
}

// The steep resampler: nothing passes from half the lower rate on.
function steepFilter(rate, newRate, attenuation = 120) {
  const half = Math.min(rate, newRate) / 2;
  return lowPass(rate, newRate, half * (1 - STEEP / 2), half * STEEP, attenuation);
}

const turns = new Map(); // size -> cos and sin of an FFT
function fft(re, im) { // in place; the size is a power of 2
  const size = re.length;
  if (!turns.has(size)) {
    const turn = (f) => Float64Array.from({ length: size / 2 }, (_, i) => f((-2 * Math.PI * i) / size));
    turns.set(size, [turn(Math.cos), turn(Math.sin)]);
  }
  const [cos, sin] = turns.get(size);
  for (let i = 0, r = 0; i < size; i++) { // r has the bits of i from back to front
    if (i < r) {
      [re[i], re[r]] = [re[r], re[i]];
      [im[i], im[r]] = [im[r], im[i]];
    }
    let bit = size >> 1;
    while (r & bit) {
      r ^= bit;
      bit >>= 1;
    }
    r |= bit;
  }
  for (let half = 1, step = size / 2; half < size; half *= 2, step /= 2) {
    for (let begin = 0; begin < size; begin += 2 * half) {
      for (let p = begin, w = 0; p < begin + half; p++, w += step) {
        const q = p + half;
        const x = re[q] * cos[w] - im[q] * sin[w], y = re[q] * sin[w] + im[q] * cos[w];
        re[q] = re[p] - x;
        im[q] = im[p] - y;
        re[p] += x;
        im[p] += y;
      }
    }
  }
}

// Outputs start .. stop - 1 of a signal of which x begins at sample `origin`; around it are zeros.
function filter(design, x, start, stop, origin = 0) {
  const { o, n, taps, table, before } = design;
  if (o === 1 && taps > 64) return filterByFft(design, x, start, stop, origin);
  const y = new Float32Array(Math.max(0, stop - start));
  const at = (m) => Math.floor((m * o) / n) - before;
  const first = at(start), around = new Float64Array(at(stop) + 4 * o + taps - first);
  const begin = Math.max(first, origin), end = Math.min(first + around.length, origin + x.length);
  if (begin < end) around.set(x.subarray(begin - origin, end - origin), begin - first);
  // Four outputs that lie alike between input samples share a row.
  for (let group = start; group < stop; group += 4 * n) {
    for (let m = group; m < Math.min(group + n, stop); m++) {
      const row = (m % n) * taps;
      let i = at(m) - first, a = 0, b = 0, c = 0, d = 0;
      for (let k = row; k < row + taps; k++, i++) {
        const h = table[k];
        a += h * around[i];
        b += h * around[i + o];
        c += h * around[i + 2 * o];
        d += h * around[i + 3 * o];
      }
      const j = m - start;
      y[j] = a;
      if (j + n < y.length) y[j + n] = b;
      if (j + 2 * n < y.length) y[j + 2 * n] = c;
      if (j + 3 * n < y.length) y[j + 3 * n] = d;
    }
  }
  return y;
}

// The same for n outputs on each input sample and long kernels: row p, by a product of spectra,
// gives every n-th output from p on. Both halves of the signal go at once, as a + ib.
function filterByFft({ n, taps, table, before, spectra }, x, start, stop, origin) {
  const y = new Float32Array(Math.max(0, stop - start));
  const from = Math.floor(start / n), half = ceilDiv(ceilDiv(stop, n) - from, 2);
  const size = 2 ** Math.ceil(Math.log2(half + taps));
  if (!spectra.has(size)) {
    spectra.set(size, Array.from({ length: n }, (_, p) => {
      const re = new Float64Array(size), im = new Float64Array(size);
      re.set(table.subarray(p * taps, (p + 1) * taps));
      fft(re, im);
      return [re, im];
    }));
  }
  const [re, im] = [from, from + half].map((at) => {
    const part = new Float64Array(size), first = at - before - origin;
    const begin = Math.max(first, 0), end = Math.min(first + half + taps, x.length);
    if (begin < end) part.set(x.subarray(begin, end), begin - first);
    return part;
  });
  fft(re, im);
  const a = new Float64Array(size), b = new Float64Array(size);
  spectra.get(size).forEach(([hr, hi], p) => {
    for (let k = 0; k < size; k++) {
      a[k] = re[k] * hr[k] + im[k] * hi[k];
      b[k] = im[k] * hr[k] - re[k] * hi[k];
    }
    fft(b, a); // exchanged: the way back
    [a, b].forEach((part, i) => {
      for (let q = 0, m = (from + i * half) * n + p - start; q < half; q++, m += n) {
        // Silence stays silence: what rounding makes of it goes.
        const v = part[q] / size;
        if (m >= 0 && m < y.length) y[m] = Math.abs(v) < 1e-15 ? 0 : v;
      }
    });
  });
  return y;
}

// The filter for a signal that comes piece by piece.
class Stream {
  constructor(filter) {
    Object.assign(this, { filter, x: new Float32Array(0), origin: 0, given: 0 });
  }
  push(x, last = false) {
    const { o, n, taps, before } = this.filter;
    this.x = concat(this.x, x);
    const end = this.origin + this.x.length - (last ? 0 : taps - before - 1);
    const ready = Math.max(this.given, ceilDiv(end * n, o));
    const y = filter(this.filter, this.x, this.given, ready, this.origin);
    this.given = ready;
    const begin = Math.max(this.origin, Math.floor((ready * o) / n) - before);
    this.x = this.x.slice(begin - this.origin);
    this.origin = begin;
    return y;
  }
}

// Hz below which a recording's own sound is kept, whose sound ends at `edge`, null for nowhere
// below half its rate.
function keptBelow(edge, rate) {
  const share = (2 * STEEPNESS) / (2 * STEEPNESS + 2);
  const most = Math.min(rate, RATE_OUT) / 2 * share;
  return edge === null ? most : Math.min(most, edge * share);
}

// ---- Spectra

class Spectrum {
  constructor(size, window) {
    this.window = Float64Array.from({ length: size }, (_, i) => window(i));
    this.re = new Float64Array(size);
    this.im = new Float64Array(size);
  }

  // Add to power[size / 2 + 1] that of two frames, a from sample i and b from j on, b null for none.
  // One transform is enough: with z = a + ib, |A_k|^2 + |B_k|^2 = (|Z_k|^2 + |Z_-k|^2) / 2.
  add(power, a, i, b = null, j = 0) {
    const { window, re, im } = this, size = re.length;
    for (let t = 0; t < size; t++) {
      re[t] = (a[i + t] || 0) * window[t];
      im[t] = b ? (b[j + t] || 0) * window[t] : 0;
    }
    fft(re, im);
    for (let k = 0; k <= size / 2; k++) {
      const l = (size - k) % size;
      power[k] += (re[k] ** 2 + im[k] ** 2 + re[l] ** 2 + im[l] ** 2) / 2;
    }
  }
}

// Hz at which the sound ends, to 250 Hz; null if nothing below half the rate shows it: the lowest
// frequency at which the mean spectrum falls by 30 dB within 1 kHz and stays there.
function bandEdge(channels, rate) {
  const band = 250, slope = 4, drop = 30, block = 65536;
  const n = 2 ** Math.round(Math.log2((10 * rate) / band));
  const samples = Math.min(channels[0].length, ceilDiv(300 * rate, block) * block);
  const spectrum = new Spectrum(n, (i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / (n - 1)));
  const power = new Float64Array(n / 2 + 1);
  const frames = Math.floor(samples / n);
  for (const x of channels) {
    for (let f = 0; f < frames; f += 2) {
      spectrum.add(power, x, f * n, f + 1 < frames ? x : null, (f + 1) * n);
    }
  }
  const count = Math.floor(rate / 2 / band), sums = new Float64Array(count + 1);
  const width = 1 / (n * (1 / rate)); // of a bin, rounded as numpy does
  power.forEach((p, k) => {
    let b = Math.floor((k * width) / band);
    if (b * band > k * width) b--;
    sums[Math.min(count, b)] += p;
  });
  const level = Array.from(sums.subarray(0, count), (p) => 10 * Math.log10(p + 1e-20));
  for (let b = 3500 / band; b < count - slope; b++) {
    const below = Math.max(...level.slice(b - slope, b));
    if (below - Math.max(...level.slice(b + slope)) < drop) continue;
    let last = b + slope - 1;
    while (level[last] < below - drop / 2) last--;
    return (last + 1) * band;
  }
  return null;
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
