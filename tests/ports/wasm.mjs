// The engine as WebAssembly:  node wasm.mjs engine.wasm weights.safetensors input.f32 output.f32
import { readFileSync, writeFileSync } from "node:fs";

const [wasm, file, input, output] = process.argv.slice(2);
const { exports: engine } = (await WebAssembly.instantiate(readFileSync(wasm))).instance;
const weights = readFileSync(file);
const bytes = readFileSync(input);
const x = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
const BLOCK = 1600;

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
const memory = place(engine.novasr_memory(kind));
engine.novasr_open(memory, at, weights.length);
const from = place(4 * BLOCK);
const to = place(4 * 3 * (BLOCK + engine.novasr_latency(kind) + 160));
const floats = new Float32Array(engine.memory.buffer);
const pieces = [];
for (let first = 0, last = false; !last; first += BLOCK) {
  const piece = x.subarray(first, first + BLOCK);
  last = first + piece.length >= x.length;
  floats.set(piece, from / 4);
  const made = engine.novasr_push(memory, from, piece.length, last ? 1 : 0, to);
  pieces.push(Buffer.from(floats.slice(to / 4, to / 4 + made).buffer));
}
writeFileSync(output, Buffer.concat(pieces));
