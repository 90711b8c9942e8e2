// The engine as WebAssembly, of each .f32 in a folder its output beside it, as .y:
//   node wasm.mjs engine.wasm weights.safetensors rate edge piece folder
// as native.c has them.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";

const [wasm, file, ...rest] = process.argv.slice(2), folder = rest.pop();
const [rate, edge, block] = rest.map(Number);
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
const from = place(4 * block);
const to = place(4 * engine.novasr_room(model, block));
const floats = new Float32Array(engine.memory.buffer);
engine.novasr_edge(state, edge);

for (const name of readdirSync(folder).filter((name) => name.endsWith(".f32"))) {
  const bytes = readFileSync(`${folder}/${name}`);
  const x = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
  const pieces = [];
  for (let first = 0, last = false; !last; first += block) {
    const piece = x.subarray(first, first + block);
    last = first + piece.length >= x.length;
    floats.set(piece, from / 4);
    const made = engine.novasr_push(state, work, from, piece.length, last ? 1 : 0, to);
    pieces.push(Buffer.from(floats.slice(to / 4, to / 4 + made).buffer));
  }
  writeFileSync(`${folder}/${name}.y`, Buffer.concat(pieces));
}
