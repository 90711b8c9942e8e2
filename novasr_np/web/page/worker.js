// Off the main thread: the engine, and what `novasr upsample` does around it.
// One message starts it: a whole sound, or the port of a live one.

const BLOCK = 1600; // samples that the engine takes at a time
const NOVASR = 1; // of the engine's kinds, the one whose output lacks the input's own low band

class Engine { // one for each channel, all in one memory
  constructor(module, weights, channels) {
    const wasm = new WebAssembly.Instance(module).exports;
    this.wasm = wasm;
    const align = (address) => Math.ceil(address / 64) * 64;
    const reserve = (end) => {
      const missing = end - wasm.memory.buffer.byteLength;
      if (missing > 0) wasm.memory.grow(Math.ceil(missing / 65536));
    };
    const bytes = align(wasm.__heap_base.value);
    reserve(bytes + weights.length);
    new Uint8Array(wasm.memory.buffer).set(weights, bytes);
    this.kind = wasm.novasr_kind(bytes, weights.length);
    if (this.kind === 0) {
      throw new Error("This is no set of weights that the page knows. It takes a .safetensors file of NovaSR or airband, whole and unchanged in shape.");
    }
    this.resampler = this.kind === NOVASR ? upstreamFilter : steepFilter; // that of its record
    this.latency = wasm.novasr_latency(this.kind);
    const size = align(wasm.novasr_memory(this.kind));
    const first = align(bytes + weights.length);
    this.x = first + channels * size;
    this.y = this.x + BLOCK * 4;
    reserve(this.y + 3 * (BLOCK + this.latency + 160) * 4);
    this.memories = Array.from({ length: channels }, (_, c) => first + c * size);
    for (const memory of this.memories) {
      if (wasm.novasr_open(memory, bytes, weights.length) !== this.kind) {
        throw new Error("These weights cannot be used: a number in them is not finite, or the file is damaged.");
      }
    }
  }

  push(channel, x, last = false) {
    const { memory, novasr_push } = this.wasm;
    new Float32Array(memory.buffer, this.x, x.length).set(x);
    const count = novasr_push(this.memories[channel], this.x, x.length, last ? 1 : 0, this.y);
    return new Float32Array(memory.buffer, this.y, count).slice();
  }
}

// A whole sound, in pieces of about a second: its own at 48 kHz, and what the network makes of it.
function upsample({ module, weights, channels, rate, narrow }) {
  const engine = new Engine(module, weights, channels.length);
  if (narrow) { // as if it had been recorded at 16 kHz
    const filterIn = engine.resampler(rate, RATE_IN);
    channels = channels.map((x) => filter(filterIn, x, 0, ceilDiv(x.length * RATE_IN, rate)));
    rate = RATE_IN;
  }
  const samples = channels[0].length, total = ceilDiv(samples * RATE_OUT, rate);
  const heard = ceilDiv(samples * RATE_IN, rate);
  const keeps = engine.kind === NOVASR || rate > RATE_IN;
  const edge = keeps && rate > RATE_IN ? bandEdge(channels, rate) : null;
  const kept = keeps ? keptBelow(edge, rate) : null;
  postMessage({ total, rate, edge, kept });

  const toHeard = rate === RATE_IN ? null : engine.resampler(rate, RATE_IN);
  const toPlayed = rate === RATE_OUT ? null : steepFilter(rate, RATE_OUT, 80);
  const lowOfInput = keeps ? lowPass(rate, RATE_OUT, kept) : null;
  const outputs = channels.map((x) => new Output(x, total, lowOfInput, keeps && lowPass(RATE_OUT, RATE_OUT, kept)));
  let given = 0, pieces = channels.map(() => []);
  for (let start = 0, block = 1; start < heard; start += BLOCK, block++) {
    const stop = Math.min(start + BLOCK, heard), last = stop === heard;
    channels.forEach((x, c) => {
      const part = toHeard ? filter(toHeard, x, start, stop) : x.subarray(start, stop);
      pieces[c].push(outputs[c].push(engine.push(c, part, last), last));
    });
    if (block % 10 && !last) continue;
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

// A microphone's sound, from the audio thread and back to it.
function live({ module, weights, port }) {
  const engine = new Engine(module, weights, 1);
  const heard = new Stream(engine.resampler(RATE_OUT, RATE_IN));
  port.onmessage = ({ data }) => {
    const y = engine.push(0, heard.push(data));
    if (y.length) port.postMessage(y, [y.buffer]);
  };
  postMessage({ seconds: engine.latency / RATE_IN + heard.filter.before / RATE_OUT });
}

onmessage = ({ data }) => {
  try {
    if (data.port) live(data);
    else if (data.channels) upsample(data);
    else postMessage({ kind: new Engine(data.module, data.weights, 1).kind });
  } catch (error) {
    postMessage({ error: error instanceof RangeError ? "There is not enough memory for so long a sound." : error.message });
  }
};
