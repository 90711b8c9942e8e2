// airband as its PORTING.md tells it, for Node.js, with the weights of a conformance kit:
//   node airband.mjs KIT RATE EDGE INPUT OUTPUT
// KIT: the unpacked kit; RATE: of the input in Hz; EDGE: Hz at which its sound ends; INPUT, OUTPUT:
// raw little-endian float32. Written from that page and the kit alone, in float64, to be read.
import { readFileSync, writeFileSync } from "node:fs";

const RATE = 48000, FRAME = 960, HOP = 240, BINS = 480;

const [kit, ...rest] = process.argv.slice(2), [input, output] = rest.slice(2);
const [rate, edge] = rest.map(Number);
const isLive = JSON.parse(readFileSync(`${kit}/kit.json`)).network === "airband-live";

function floats(bytes) {
  return Float64Array.from({ length: bytes.length >> 2 }, (_, i) => bytes.readFloatLE(4 * i));
}

function tensor(name) {
  return floats(readFileSync(`${kit}/weights/${name}.npy`).subarray(128));
}

// Transform of n complex numbers, by the factors of n: (re, im) -> [re, im], sign -1 forward.
function transform(n) {
  const factors = [];
  for (let left = n, p = 2; left > 1; p++)
    for (; left % p === 0; left /= p) factors.push(p);
  const cos = Float64Array.from({ length: n }, (_, i) => Math.cos(2 * Math.PI * i / n));
  const sin = Float64Array.from({ length: n }, (_, i) => Math.sin(2 * Math.PI * i / n));
  return (re, im, sign) => {
    let [yr, yi] = [new Float64Array(n), new Float64Array(n)], s = 1;
    for (const p of factors) {
      const m = n / (s * p); // transforms that are left to do, after this factor
      for (let q = 0; q < m; q++)
        for (let k = 0; k < p; k++)
          for (let t = 0; t < s; t++) {
            let a = 0, b = 0;
            for (let c = 0; c < p; c++) {
              const w = (c * k * (n / p) + q * k * s) % n, at = t + s * (q + m * c);
              const wr = cos[w], wi = sign * sin[w];
              a += re[at] * wr - im[at] * wi;
              b += re[at] * wi + im[at] * wr;
            }
            yr[t + s * (p * q + k)] = a;
            yi[t + s * (p * q + k)] = b;
          }
      [re, im, yr, yi] = [yr, yi, re, im];
      s *= p;
    }
    return [re, im];
  };
}

// Any other rate: brought to 48 kHz by a windowed sinc.
function resampled(s, r) {
  const H = Math.min(r, RATE) / 2, b = 0.1102 * (120 - 8.7);
  const w = (120 - 7.95) / (2.285 * 2 * Math.PI * 0.08 * H) / 2;
  const sinc = (v) => v === 0 ? 1 : Math.sin(Math.PI * v) / (Math.PI * v);
  const bessel = (v) => {
    let sum = 1;
    for (let k = 1, term = 1; term > 1e-17 * sum; k++) sum += term *= (v / 2 / k) ** 2;
    return sum;
  };
  const h = (t) => Math.abs(t) > w ? 0 : 1.92 * H * sinc(1.92 * H * t) *
    bessel(b * Math.sqrt(1 - (t / w) ** 2)) / bessel(b);
  return Float64Array.from({ length: Math.ceil(RATE * s.length / r) }, (_, m) => {
    let sum = 0;
    const last = Math.min(s.length - 1, Math.floor((m / RATE + w) * r));
    for (let i = Math.max(0, Math.ceil((m / RATE - w) * r)); i <= last; i++)
      sum += h((m * r - i * RATE) / (RATE * r)) * s[i] / r;
    return sum;
  });
}

// Middles of the 73 bands in Hz, c[0] .. c[72], with c[-1] and c[73].
function middles() {
  const mel = (f) => 2595 * Math.log10(1 + f / 700), low = mel(40), high = mel(8000);
  const c = [];
  for (let m = 0; m <= 40; m++)
    c[m] = 700 * (10 ** ((low + (high - low) * m / 40) / 2595) - 1);
  for (let m = 41; m <= 73; m++) c[m] = 8000 + 500 * (m - 40);
  c[-1] = 2 * c[0] - c[1];
  return c;
}

// Rows of E bins of each frame -> [f: 73 rows of F numbers, share].
function features(frames, E) {
  const c = middles(), F = frames.length, f = [], share = new Float64Array(73);
  let heard = 0;
  for (let m = 0; m < 73; m++) {
    const M = Float64Array.from({ length: BINS }, (_, k) => Math.max(0, Math.min(
      (50 * k - c[m - 1]) / (c[m] - c[m - 1]), (c[m + 1] - 50 * k) / (c[m + 1] - c[m]))));
    const sum = (values) => values.reduce((a, v) => a + v, 0);
    const W = sum(M.subarray(0, E));
    share[m] = W / sum(M);
    f[m] = new Float64Array(F);
    if (share[m] < 0.2) {
      share[m] = 0;
      for (let i = 0; i < F; i++) f[m][i] = (f[heard - 1][i] + f[heard - 2][i]) / 2;
      continue;
    }
    heard++;
    frames.forEach(([re, im], i) => {
      let P = 0;
      for (let k = 0; k < E; k++) if (M[k]) P += M[k] * (re[k] ** 2 + im[k] ** 2);
      f[m][i] = (Math.log10(Math.max(P / W, 1e-8)) + 3) / 2;
    });
  }
  return [f, share];
}

// Convolutions: rows of channels, d frames between taps, a frames ahead.
function add(y, x, weight, shift) {
  const from = Math.max(0, -shift), to = Math.min(x.length, x.length - shift);
  for (let i = from; i < to; i++) y[i] += weight * x[i + shift];
}

function convolution(x, name, taps, d, a) {
  const weight = tensor(`${name}.weight`), F = x[0].length;
  return Array.from(tensor(`${name}.bias`), (bias, o) => {
    const y = new Float64Array(F).fill(bias);
    for (let c = 0; c < x.length; c++)
      for (let t = 0; t < taps; t++)
        add(y, x[c], weight[(o * x.length + c) * taps + t], a - d * (taps - 1 - t));
    return y;
  });
}

function depthwise(x, name, d, a) {
  const weight = tensor(`${name}.weight`), bias = tensor(`${name}.bias`);
  return x.map((row, c) => {
    const y = new Float64Array(row.length).fill(bias[c]);
    for (let t = 0; t < 5; t++) add(y, row, weight[5 * c + t], a - d * (4 - t));
    return y;
  });
}

function network(f, share) {
  const matrix = tensor("share.weight");
  let h = convolution(f, "conv_in", 3, 1, 1).map((row, c) => {
    const second = share.reduce((sum, s, m) => sum + matrix[73 * c + m] * s, 0);
    return row.map((v) => v + second);
  });
  for (let N = 0; N < 6; N++) {
    const name = `blocks.${N}`, slope = tensor(`${name}.prelu.slope`);
    const ahead = isLive ? [2, 2, 0, 0, 0, 0][N] : 2 ** (N + 1);
    const inner = depthwise(h, `${name}.depthwise`, 2 ** N, ahead)
      .map((row, c) => row.map((v) => v > 0 ? v : slope[c] * v));
    const outer = convolution(inner, `${name}.pointwise`, 1, 1, 0);
    h = h.map((row, c) => row.map((v, i) => v + outer[c][i]));
  }
  return convolution(h.map((row) => row.map((v) => v > 0 ? v : Math.exp(v) - 1)),
    "conv_out", 1, 1, 0);
}

// Levels of 56 bands -> the amplitude of each bin.
function amplitudes(z) {
  const g = z.map((_, b) => b < 24 ? 42 + 5 * b : 164.5 + 10 * (b - 24));
  return Float64Array.from({ length: BINS }, (_, k) => {
    const b = Math.max(0, Math.min(54, g.findLastIndex((middle) => middle <= k)));
    const at = Math.max(0, Math.min(1, (k - g[b]) / (g[b + 1] - g[b])));
    return 10 ** ((2 * (z[b] + at * (z[b + 1] - z[b])) - 4) / 2);
  });
}

// Each bin over the root of the mean power of those `reach` to either side, within low .. high.
function flat([re, im], low, high, reach) {
  const y = [new Float64Array(BINS + 1), new Float64Array(BINS + 1)];
  for (let k = low; k <= high; k++) {
    let sum = 0;
    for (let q = k - reach; q <= k + reach; q++) {
      const j = Math.min(Math.max(q, low), high);
      sum += re[j] ** 2 + im[j] ** 2;
    }
    const level = Math.sqrt(1e-20 + sum / (2 * reach + 1));
    y[0][k] = re[k] / level;
    y[1][k] = im[k] / level;
  }
  return y;
}

const whole = transform(FRAME);

// Inverse real transform of the bins 0 .. 480.
function inverse([re, im]) {
  const a = new Float64Array(FRAME), b = new Float64Array(FRAME);
  for (let k = 1; k < BINS; k++) {
    a[k] = a[FRAME - k] = re[k];
    b[k] = im[k];
    b[FRAME - k] = -im[k];
  }
  a[0] = re[0];
  a[BINS] = re[BINS];
  return whole(a, b, 1)[0].map((v) => v / FRAME);
}

function carrier(X, E) {
  const rectified = inverse(flat(X, 4, Math.min(E, 80) - 1, 8)).map(Math.abs);
  return flat(whole(rectified, new Float64Array(FRAME), -1), 0, BINS, 6);
}

function airband(x, r, E) {
  const h = r / 200, N = 4 * h, F = Math.ceil(x.length / h) + 3, T = x.length;
  const padded = new Float64Array(h * (F + 3)), dft = transform(N);
  padded.set(x, 3 * h);
  const window = Float64Array.from({ length: N }, (_, n) => Math.sin(Math.PI * n / N) * RATE / r);
  const frames = Array.from({ length: F }, (_, i) =>
    dft(window.map((w, n) => w * padded[h * i + n]), new Float64Array(N), -1)
      .map((part) => part.slice(0, E)));
  const z = network(...features(frames, E));
  const y = new Float64Array(HOP * (F + 3));
  frames.forEach((X, i) => {
    const A = amplitudes(z.map((row) => row[i])), C = carrier(X, E);
    const Y = [0, 1].map((part) => Float64Array.from({ length: BINS + 1 }, (_, k) =>
      k < E ? 0.5 * X[part][k] : k < BINS ? 0.56 * A[k] * C[part][k] : 0));
    inverse(Y).forEach((v, n) => { y[HOP * i + n] += Math.sin(Math.PI * n / FRAME) * v; });
  });
  return y.subarray(720, 720 + Math.ceil(RATE * T / r));
}

function rounded(v) { // halves to the even number
  const low = Math.floor(v);
  return v - low > 0.5 || (v - low === 0.5 && low % 2) ? low + 1 : low;
}

const s = floats(readFileSync(input));
const isOwn = rate % 200 === 0 && rate >= 4000 && rate <= RATE;
const y = isOwn
  ? airband(s, rate, Math.min(Math.floor(rate / 100), rounded(edge / 50)))
  : airband(resampled(s, rate), RATE, Math.min(BINS, rounded(Math.min(edge, 0.48 * rate) / 50)))
    .subarray(0, Math.ceil(RATE * s.length / rate));
const bytes = Buffer.alloc(4 * y.length);
y.forEach((v, i) => bytes.writeFloatLE(v, 4 * i));
writeFileSync(output, bytes);
