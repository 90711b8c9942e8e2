// Off the main thread: the engine, and what `novasr upsample` does around it.
// One message starts it: a whole sound, or the port of a live one.

const BLOCK = 4800; // samples that the engine is given at a time
const NOVASR = 1; // of the engine's kinds, the one whose output lacks the input's own low band

class Engine { // a model, and a state for each channel, all in one memory
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
    this.resampler = this.kind === NOVASR ? upstreamFilter : steepFilter; // that of its record
  }

  place(size) {
    const { memory, __heap_base } = this.wasm, start = Math.ceil((this.end ?? __heap_base.value) / 64) * 64;
    this.end = start + size;
    const missing = this.end - memory.buffer.byteLength;
    if (missing > 0) memory.grow(Math.ceil(missing / 65536));
    return start;
  }

  // Hz at which the network takes a sound.
  takes(rate) {
    return this.kind === NOVASR ? RATE_IN : rateTaken(rate);
  }

  // Begin a sound at a rate that it takes; edge: Hz where it ends, 0 for half the rate.
  open(rate, edge, channels) {
    const { wasm } = this, memory = this.place(wasm.novasr_model_bytes(this.kind));
    const model = wasm.novasr_load(memory, this.bytes, this.size, rate);
    this.states = Array.from({ length: channels }, () => wasm.novasr_begin(this.place(wasm.novasr_state_bytes(model)), model));
    for (const state of this.states) wasm.novasr_edge(state, edge);
    this.work = this.place(wasm.novasr_work_bytes(model));
    this.latency = wasm.novasr_latency(model);
    this.x = this.place(4 * BLOCK);
    this.y = this.place(4 * wasm.novasr_room(model, BLOCK));
  }

  push(channel, x, last = false) {
    const { memory, novasr_push } = this.wasm;
    new Float32Array(memory.buffer, this.x, x.length).set(x);
    const count = novasr_push(this.states[channel], this.work, this.x, x.length, last ? 1 : 0, this.y);
    return new Float32Array(memory.buffer, this.y, count).slice();
  }
}

// A whole sound, in pieces of about a second: its own at 48 kHz, and what the network makes of it.
function upsample({ module, weights, channels, rate, narrow }) {
  const engine = new Engine(module, weights), isNovaSR = engine.kind === NOVASR;
  if (narrow) { // as if it had been recorded at 16 kHz
    const filterIn = engine.resampler(rate, RATE_IN);
    channels = channels.map((x) => filter(filterIn, x, 0, ceilDiv(x.length * RATE_IN, rate)));
    rate = RATE_IN;
  }
  const samples = channels[0].length, total = ceilDiv(samples * RATE_OUT, rate);
  const taken = engine.takes(rate), heard = ceilDiv(samples * taken, rate);
  const found = isNovaSR && rate <= RATE_IN ? null : bandEdge(channels, rate);
  const bin = isNovaSR ? 0 : edgeBin(found, rate);
  const kept = isNovaSR ? keptBelow(found, rate) : bin * BIN; // Hz
  engine.open(taken, bin * BIN, channels.length);
  postMessage({ total, rate, edge: found, kept, isNovaSR });

  const toHeard = rate === taken ? null : engine.resampler(rate, taken);
  const toPlayed = rate === RATE_OUT ? null : steepFilter(rate, RATE_OUT, 80);
  const lowOfInput = isNovaSR ? lowPass(rate, RATE_OUT, kept) : null;
  const outputs = channels.map((x) => new Output(x, total, lowOfInput, isNovaSR && lowPass(RATE_OUT, RATE_OUT, kept)));
  let given = 0, told = 0, pieces = channels.map(() => []);
  for (let start = 0; start < heard; start += BLOCK) {
    const stop = Math.min(start + BLOCK, heard), last = stop === heard;
    channels.forEach((x, c) => {
      const part = toHeard ? filter(toHeard, x, start, stop) : x.subarray(start, stop);
      pieces[c].push(outputs[c].push(engine.push(c, part, last), last));
    });
    if (stop - told < taken && !last) continue;
    told = stop;
    const after = pieces.map((list) => list.reduce(concat, new Float32Array(0)));
    const until = given + after[0].length;
    const before = channels.map((x) => toPlayed ? filter(toPlayed, x, given, until) : x.slice(given, until));
    postMessage({ start: given, before, after }, [...before, ...after].map((y) => y.buffer));
    given = until;
    pieces = channels.map(() => []);
  }
  postMessage({ done: true });
}

// A channel of what the network gave, cut to its length, with the input's low band put back:
// y + k * (x - y), k a low pass.
class Output {
  constructor(x, total, lowOfInput, lowOfNetwork) {
    Object.assign(this, { x, total, lowOfInput, given: 0, came: 0, waiting: new Float32Array(0) });
    this.low = lowOfNetwork ? new Stream(lowOfNetwork) : null;
  }
  push(y, last) {
    y = y.subarray(0, this.total - this.came);
    this.came += y.length;
    if (!this.low) return y;
    const network = this.low.push(y, last), stop = this.given + network.length;
    const input = filter(this.lowOfInput, this.x, this.given, stop);
    this.given = stop;
    const all = concat(this.waiting, y), out = all.slice(0, network.length);
    this.waiting = all.slice(network.length);
    for (let m = 0; m < out.length; m++) out[m] += input[m] - network[m];
    return out;
  }
}

// A microphone's sound at 48 kHz, from the audio thread and back to it. What is above `edge` Hz is made
// anew; null for nothing.
function live({ module, weights, port, edge }) {
  const engine = new Engine(module, weights);
  engine.open(RATE_OUT, edge ?? 0, 1);
  port.onmessage = ({ data }) => {
    const y = engine.push(0, data);
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
