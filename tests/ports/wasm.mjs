// The engine as WebAssembly:
//   node wasm.mjs engine.wasm weights.safetensors rate edge piece
// as native.c has them. A line of its input names the files of two signals, in and out, with a tab
// between them; it answers with the milliseconds that the engine took.
import { readFileSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";

const [wasm, file, ...rest] = process.argv.slice(2);
const [rate, edge, piece] = rest.map(Number);
const { exports: engine } = (await WebAssembly.instantiate(readFileSync(wasm))).instance;
const weights = readFileSync(file);

let end = engine.__heap_base.value;
function place(size) {
  const start = Math.ceil(end / 64) * 64;
  end = start + size;
  const missing = end - engine.memory.buffer.byteLength;
  if (missing > 0) engine.memory.grow(Math.ceil(missing / 65536));
  return start;
}

const at = place(weights.length);
new Uint8Array(engine.memory.buffer).set(weights, at);
const kind = engine.novasr_kind(at, weights.length);
if (!kind) throw new Error(`${file}: no weights of NovaSR or airband`);
const model = engine.novasr_load(place(engine.novasr_model_bytes(kind)), at, weights.length, rate);
if (!model) throw new Error(`${rate} Hz: no rate of this network`);
const state = engine.novasr_begin(place(engine.novasr_state_bytes(model)), model);
const work = place(engine.novasr_work_bytes(model));
const from = place(4 * piece);
const to = place(4 * engine.novasr_room(model, piece));
const floats = new Float32Array(engine.memory.buffer);
engine.novasr_edge(state, edge);

for await (const line of createInterface({ input: process.stdin })) {
  const [input, output] = line.split("\t"), bytes = readFileSync(input);
  const x = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
  const pieces = [], begun = performance.now();
  for (let first = 0, last = false; !last; first += piece) {
    const part = x.subarray(first, first + piece);
    last = first + part.length >= x.length;
    floats.set(part, from / 4);
    const made = engine.novasr_push(state, work, from, part.length, last ? 1 : 0, to);
    pieces.push(Buffer.from(floats.slice(to / 4, to / 4 + made).buffer));
  }
  const taken = performance.now() - begun;
  writeFileSync(output, Buffer.concat(pieces));
  console.log(taken);
}
