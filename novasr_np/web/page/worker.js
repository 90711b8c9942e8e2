// Off the main thread: the engine, and what `novasr upsample` does around it.
// One message starts it: a whole sound, or the port of a live one.

const BLOCK = 4800; // samples that the engine is given at a time
const NOVASR = 1; // of the engine's kinds, the one whose output lacks the input's own low band
const STEEP = 1, UPSTREAM = 2; // its filters

class Engine { // models and filters, and for each channel their states, all in one memory
  constructor(module, weights) {
    const wasm = new WebAssembly.Instance(module).exports;
    this.wasm = wasm;
    this.bytes = this.place(weights.length);
    this.size = weights.length;
    new Uint8Array(wasm.memory.buffer).set(weights, this.bytes);
    this.kind = wasm.novasr_kind(this.bytes, this.size);
    if (this.kind === 0) {
      throw new Error("This is no set of weights that the page knows. It takes a .safetensors file of NovaSR or airband, whole and unchanged in shape.");
    }
    this.isNovaSR = this.kind === NOVASR;
    this.design = this.isNovaSR ? UPSTREAM : STEEP; // of its record
    this.x = this.place(4 * BLOCK);
  }

  place(size) {
    const { memory, __heap_base } = this.wasm, start = Math.ceil((this.end ?? __heap_base.value) / 64) * 64;
    this.end = start + size;
    const missing = this.end - memory.buffer.byteLength;
    if (missing > 0) memory.grow(Math.ceil(missing / 65536));
    return start;
  }

  floats(start, count) {
    return new Float32Array(this.wasm.memory.buffer, start, count);
  }

  // Hz at which the network takes a sound.
  takes(rate) {
    if (this.wasm.novasr_takes(this.kind, rate)) return rate;
    return this.isNovaSR ? RATE_IN : RATE_OUT;
  }

  // Begin a sound. found: Hz where it ends, null for half its rate. Gives the Hz below which it stays.
  open(rate, found, samples, channels) {
    const { wasm } = this, taken = this.takes(rate), each = (f) => Array.from({ length: channels }, f);
    this.missing = each(() => ceilDiv(samples * RATE_OUT, rate));
    this.toHeard = rate === taken ? null : new Filter(this, this.design, rate, taken, channels);
    this.toPlayed = null;
    if (rate !== RATE_OUT) this.toPlayed = taken === RATE_OUT ? this.toHeard : new Filter(this, STEEP, rate, RATE_OUT, channels);

    const model = wasm.novasr_load(this.place(wasm.novasr_model_bytes(this.kind)), this.bytes, this.size, taken);
    this.states = each(() => wasm.novasr_begin(this.place(wasm.novasr_state_bytes(model)), model));
    this.work = this.place(wasm.novasr_work_bytes(model));
    this.latency = wasm.novasr_latency(model);
    const most = wasm.novasr_room(model, this.toHeard?.most ?? BLOCK);
    this.y = this.place(4 * most);
    if (!this.isNovaSR) {
      const edge = BIN * edgeBin(Math.min(found ?? Infinity, taken / 2, rate < taken ? this.toHeard.passes : Infinity));
      for (const state of this.states) wasm.novasr_edge(state, edge);
      return edge;
    }

    const kept = wasm.novasr_crossover_highest(rate, RATE_OUT, found ?? 0), rates = [kept, rate, RATE_OUT];
    const ahead = BLOCK + (this.toHeard?.latency ?? 0) + ceilDiv((this.latency + 1) * rate, taken);
    const crossover = wasm.novasr_crossover_make(this.place(wasm.novasr_crossover_bytes(...rates)), ...rates);
    const bytes = wasm.novasr_crossover_state_bytes(crossover, ahead);
    this.crossovers = each(() => wasm.novasr_crossover_begin(this.place(bytes), crossover, ahead));
    this.out = this.place(4 * (most + wasm.novasr_crossover_room(this.crossovers[0], most)));
    return kept;
  }

  // Take the next samples of a channel; gives what is determined of its own sound at 48 kHz, and of
  // the network's.
  push(channel, x, last) {
    const { wasm } = this;
    this.floats(this.x, x.length).set(x);
    const given = [this.x, x.length], heard = this.toHeard ? this.toHeard.push(channel, x.length, last) : given;
    const played = !this.toPlayed ? given : this.toPlayed === this.toHeard ? heard : this.toPlayed.push(channel, x.length, last);
    const before = this.floats(...played).slice();
    const made = Math.min(this.missing[channel], wasm.novasr_push(this.states[channel], this.work, ...heard, last, this.y));
    this.missing[channel] -= made;
    if (!this.isNovaSR) return [before, this.floats(this.y, made).slice()];
    const mixed = wasm.novasr_crossover_push(this.crossovers[channel], ...given, this.y, made, 1, last, this.out);
    return [before, this.floats(this.out, mixed).slice()];
  }

  // Hz at which a sound ends, looked for in its first five minutes; null if it has no end below half its rate.
  edge(channels, rate) {
    const { wasm } = this, band = wasm.novasr_band_begin(this.place(wasm.novasr_band_bytes(rate, channels.length)), rate, channels.length);
    const whole = 65536, samples = Math.min(channels[0].length, ceilDiv(300 * rate, whole) * whole);
    channels.forEach((x, c) => {
      for (let start = 0; start < samples; start += BLOCK) {
        const part = x.subarray(start, Math.min(start + BLOCK, samples));
        this.floats(this.x, part.length).set(part);
        wasm.novasr_band_push(band, c, this.x, part.length);
      }
    });
    return wasm.novasr_band_edge(band) || null;
  }
}

class Filter { // a filter of the engine's from rate to rate, of what is in its `x`
  constructor(engine, design, rate, newRate, channels) {
    const { wasm } = engine, bytes = wasm.novasr_filter_bytes(design, 0, rate, newRate);
    if (!bytes) {
      throw new Error(`A filter for ${rate} Hz would be too large. Resample the sound to a usual rate first, such as 44.1 kHz.`);
    }
    const filter = wasm.novasr_filter_make(engine.place(bytes), design, 0, rate, newRate);
    this.states = Array.from({ length: channels }, () => wasm.novasr_filter_begin(engine.place(wasm.novasr_filter_state_bytes(filter)), filter));
    this.latency = wasm.novasr_filter_latency(filter);
    this.passes = wasm.novasr_filter_passes(filter); // Hz
    this.most = wasm.novasr_filter_room(filter, BLOCK);
    this.y = engine.place(4 * this.most);
    this.engine = engine;
  }

  // Gives where the outputs are, and how many.
  push(channel, count, last) {
    return [this.y, this.engine.wasm.novasr_filter_push(this.states[channel], this.engine.x, count, last, this.y)];
  }
}

// A whole sound, in pieces of about a second: its own at 48 kHz, and what the network makes of it.
function upsample({ module, weights, channels, rate, narrow }) {
  const engine = new Engine(module, weights), { isNovaSR } = engine;
  if (narrow) { // as if it had been recorded at 16 kHz
    channels = resampled(engine, channels, rate, RATE_IN);
    rate = RATE_IN;
  }
  const samples = channels[0].length, total = ceilDiv(samples * RATE_OUT, rate);
  const found = isNovaSR && rate <= RATE_IN ? null : engine.edge(channels, rate);
  const kept = engine.open(rate, found, samples, channels.length); // Hz
  postMessage({ total, rate, edge: found, kept, isNovaSR });

  let given = 0, sides = [0, 1].map(() => channels.map(() => new Float32Array(0))); // before, after
  for (let start = 0, last = false; !last; start += BLOCK) {
    const stop = Math.min(start + BLOCK, samples);
    last = stop === samples;
    channels.forEach((x, c) => {
      engine.push(c, x.subarray(start, stop), last).forEach((y, side) => (sides[side][c] = concat(sides[side][c], y)));
    });
    const count = Math.min(...sides.map(([y]) => y.length));
    if (count < RATE_OUT && !last) continue;
    const [before, after] = sides.map((side) => side.map((y) => y.slice(0, count)));
    postMessage({ start: given, before, after }, [...before, ...after].map((y) => y.buffer));
    sides = sides.map((side) => side.map((y) => y.slice(count)));
    given += count;
  }
  postMessage({ done: true });
}

// Whole channels at another rate.
function resampled(engine, channels, rate, newRate) {
  const filter = new Filter(engine, engine.design, rate, newRate, channels.length);
  return channels.map((x, c) => {
    const y = new Float32Array(ceilDiv(x.length * newRate, rate));
    for (let start = 0, at = 0; start < x.length; start += BLOCK) {
      const part = x.subarray(start, start + BLOCK);
      engine.floats(engine.x, part.length).set(part);
      const more = engine.floats(...filter.push(c, part.length, start + BLOCK >= x.length));
      y.set(more, at);
      at += more.length;
    }
    return y;
  });
}

// A microphone's sound at 48 kHz, from the audio thread and back to it. What is above `edge` Hz is made
// anew; null for nothing.
function live({ module, weights, port, edge }) {
  const engine = new Engine(module, weights);
  engine.open(RATE_OUT, edge, Infinity, 1);
  port.onmessage = ({ data }) => {
    const [, y] = engine.push(0, data, false);
    if (y.length) port.postMessage(y, [y.buffer]);
  };
  postMessage({ seconds: engine.latency / RATE_OUT });
}

onmessage = ({ data }) => {
  try {
    if (data.port) live(data);
    else if (data.channels) upsample(data);
    else postMessage({ kind: new Engine(data.module, data.weights).kind });
  } catch (error) {
    postMessage({ error: error instanceof RangeError ? "There is not enough memory for so long a sound." : error.message });
  }
};
