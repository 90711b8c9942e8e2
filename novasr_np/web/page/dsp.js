"use strict";
// Signal processing and files: pure functions, for the page and for its worker.
// The formulas are those of novasr_np/dsp; what they give has to be the same.

const RATE_IN = 16000, RATE_OUT = 48000; // Hz, of NovaSR; airband takes others, too
const MIN_RATE = 1000, MAX_RATE = 768000;
const MAX_LEVEL = 1e9; // far beyond any sound
const STEEPNESS = 7; // the crossover's frequency in widths of its transition, as in dsp/crossover.py
const STEEP = 0.08; // of half the lower rate, the steep resampler's transition, as in dsp/resample.py
const LOWEST_END = 0.875 * RATE_IN / 2; // Hz, of a sound that is wide enough for NovaSR, as in pipeline/look.py
const BIN = 50; // Hz, of airband

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

const plans = new Map(); // size -> what an FFT of that size needs
function plan(size) {
  if (!plans.has(size)) {
    const turn = (f) => Float64Array.from({ length: size }, (_, i) => f((-2 * Math.PI * i) / size));
    const radices = [];
    let rest = size;
    for (; rest % 4 === 0; rest /= 4) radices.push(4);
    for (let p = 2; rest > 1; p++) for (; rest % p === 0; rest /= p) radices.push(p);
    const other = [new Float64Array(size), new Float64Array(size)];
    plans.set(size, { cos: turn(Math.cos), sin: turn(Math.sin), radices, other });
  }
  return plans.get(size);
}

// In place, for any size; large prime factors take long. In Stockham's order (W. T. Cochran et al.,
// What is the fast Fourier transform?, 1967).
function fft(re, im) {
  const size = re.length, { cos, sin, radices, other } = plan(size);
  let from = [re, im], to = other, stride = 1, length = size;
  for (const p of radices) {
    const m = length / p;
    (p === 4 ? fours : p === 2 ? twos : odds)(from, to, p, m, stride, cos, sin);
    [from, to] = [to, from];
    length = m;
    stride *= p;
  }
  if (from[0] !== re) {
    re.set(from[0]);
    im.set(from[1]);
  }
}

// A stage: m times stride transforms of four values each, turned.
function fours([xr, xi], [yr, yi], p, m, stride, cos, sin) {
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

// The same of two values.
function twos([xr, xi], [yr, yi], p, m, stride, cos, sin) {
  for (let j = 0; j < m; j++) {
    const w = j * stride, c = cos[w], s = sin[w];
    for (let q = 0, x = w, z = w + m * stride, y = 2 * w; q < stride; q++, x++, y++, z++) {
      const r = xr[x] - xr[z], i = xi[x] - xi[z];
      yr[y] = xr[x] + xr[z];
      yi[y] = xi[x] + xi[z];
      yr[y + stride] = r * c - i * s;
      yi[y + stride] = r * s + i * c;
    }
  }
}

// The same of an odd number of values, by the definition: the sums and differences of those that
// lie opposite each other serve two outputs at once.
function odds([xr, xi], [yr, yi], p, m, stride, cos, sin) {
  const half = (p - 1) / 2, far = m * stride;
  const [sr, si, dr, di] = Array.from({ length: 4 }, () => new Float64Array(half));
  for (let j = 0; j < m; j++) {
    for (let q = 0; q < stride; q++) {
      const x = j * stride + q, y = p * j * stride + q;
      let real = xr[x], imaginary = xi[x];
      for (let i = 0, u = x + far, v = x + (p - 1) * far; i < half; i++, u += far, v -= far) {
        real += sr[i] = xr[u] + xr[v];
        imaginary += si[i] = xi[u] + xi[v];
        dr[i] = xr[u] - xr[v];
        di[i] = xi[u] - xi[v];
      }
      yr[y] = real;
      yi[y] = imaginary;
      for (let k = 1; k <= half; k++) {
        let ar = xr[x], ai = xi[x], br = 0, bi = 0;
        for (let i = 0, n = k; i < half; i++, n = n + k < p ? n + k : n + k - p) {
          const c = cos[n * far], s = sin[n * far];
          ar += sr[i] * c;
          ai += si[i] * c;
          br -= di[i] * s;
          bi += dr[i] * s;
        }
        const w = j * k * stride, v = j * (p - k) * stride, z = y + k * stride, o = y + (p - k) * stride;
        yr[z] = (ar + br) * cos[w] - (ai + bi) * sin[w];
        yi[z] = (ar + br) * sin[w] + (ai + bi) * cos[w];
        yr[o] = (ar - br) * cos[v] - (ai - bi) * sin[v];
        yi[o] = (ar - br) * sin[v] + (ai - bi) * cos[v];
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

  // The power of two frames, a from sample i and b from j on, added to two arrays [size / 2] or to
  // one; b may be null. One transform is enough: with z = a + ib, A_k is half the sum and iB_k half
  // the difference of Z_k and the conjugate of Z_-k.
  add(a, i, powerA, b = null, j = 0, powerB = powerA) {
    const { window, re, im } = this, size = re.length;
    for (let t = 0; t < size; t++) {
      re[t] = (a[i + t] || 0) * window[t];
      im[t] = b ? (b[j + t] || 0) * window[t] : 0;
    }
    fft(re, im);
    for (let k = 0; k < size / 2; k++) {
      const l = k ? size - k : 0;
      powerA[k] += ((re[k] + re[l]) ** 2 + (im[k] - im[l]) ** 2) / 4;
      powerB[k] += ((re[k] - re[l]) ** 2 + (im[k] + im[l]) ** 2) / 4;
    }
  }
}

const median = (x) => {
  const sorted = x.slice().sort(), half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
};

// Hz at which the sound ends, null if nothing below half its rate shows it: as dsp/band.py finds it,
// from the mean power of all frames and the mean of its logarithm.
function bandEdge(channels, rate) {
  const silent = 1e-7, floor = 1e-9, lowest = 40, block = 65536; // for frames of 960 samples
  const size = Math.max(4, Math.round(rate / BIN) & ~3), hop = size / 2, bins = size / 2;
  const samples = Math.min(channels[0].length, ceilDiv(300 * rate, block) * block);
  const spectrum = new Spectrum(size, (i) => Math.sin((Math.PI * i) / size) * 960 / size);
  const power = new Float64Array(bins), logs = new Float64Array(bins), product = new Float64Array(bins).fill(1);
  const pair = [new Float64Array(bins), new Float64Array(bins)];
  let count = 0;
  const take = (frame) => {
    let sum = 0;
    for (let k = 0; k < bins; k++) sum += frame[k];
    if (sum <= silent) return;
    count++;
    for (let k = 0; k < bins; k++) {
      power[k] += frame[k];
      product[k] *= Math.max(frame[k], floor);
    }
    if (count % 8 === 0) logarithm();
  };
  const logarithm = () => { // of several frames at once: it takes longer than all else
    for (let k = 0; k < bins; k++) logs[k] += Math.log10(product[k]);
    product.fill(1);
  };
  const frames = Math.max(0, Math.floor((samples - size) / hop) + 1);
  for (const x of channels) {
    for (let f = 0; f < frames; f += 2) {
      for (const one of pair) one.fill(0);
      spectrum.add(x, f * hop, pair[0], f + 1 < frames ? x : null, (f + 1) * hop, pair[1]);
      pair.forEach(take);
    }
  }
  logarithm();
  if (!count) return null;
  const smooth = (x) => x.map((v, k) => (x[Math.max(0, k - 1)] + v + x[Math.min(bins - 1, k + 1)]) / 3);
  const loud = smooth(power.map((p) => p / count)).map((p) => 10 * Math.log10(Math.max(p, floor)));
  const usual = smooth(logs.map((l) => (10 * l) / count));
  const fall = (level, k) =>
    median(level.slice(k - 10, k - 1)) - level.subarray(Math.min(k + 6, bins - 1)).reduce((a, b) => Math.max(a, b));
  for (let k = lowest; k < bins - 3; k++) {
    const inLoud = fall(loud, k), inAll = fall(usual, k);
    if (inLoud < 18 || inAll < 12 || inLoud + inAll < 34) continue;
    if (median(loud.slice(k - 30, k - 11)) < median(loud.slice(k - 10, k - 1)) - 12) continue;
    const below = median(loud.slice(k - 9, k - 1)) - 6;
    const edge = power.findIndex((p, i) => i >= k - 2 && 10 * Math.log10(Math.max(p / count, floor)) < below);
    return edge < 0 ? null : (edge * rate) / size;
  }
  return null;
}

// ---- airband

// Hz at which airband takes a sound, as its record says.
const rateTaken = (rate) => (rate % 200 === 0 && rate >= 4000 && rate <= RATE_OUT ? rate : RATE_OUT);

// The bin at which a sound ends for airband, whose end was found at `edge`, null for none: at most
// where the steep resampler cuts, if it has to go up.
function edgeBin(edge, rate) {
  const taken = rateTaken(rate), half = taken / 2;
  const end = Math.min(edge ?? half, half, rate < taken ? rate / 2 * (1 - STEEP / 2) : half);
  const bin = Math.round(end / BIN);
  return bin - end / BIN === 0.5 ? bin - bin % 2 : bin; // as Python rounds
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
