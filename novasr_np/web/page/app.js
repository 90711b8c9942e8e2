// The page: a sound in, its two versions on one clock, pictures of both, a file out.

const $ = (id) => document.getElementById(id);
const FORMATS = "WAV, FLAC, MP3, Ogg, Opus or, in most browsers, M4A";
const LIVE = {
  network: "airband-live-2",
  edge: 8000, // Hz, of a 16 kHz recording
  chunk: 480, ahead: 1440, // samples at 48 kHz: 10 and 30 ms
};

let parts = null; // of the archive, by `prepare`
let own = null; // the user's weights
let sound = null; // what came in: { name, channels, rate, bits }
let opened = null; // the file that is read, or was
let result = null; // { before, after, total, ready, done }
let worker = null;
let microphone = null; // { context, node, stop, end } while recording or live

class UserError extends Error {} // whose message is for the page

function say(text, isError = false) {
  $("status").textContent = text;
  $("status").classList.toggle("error", isError);
  if (isError) $("status").scrollIntoView({ block: "nearest" });
}

function fail(error) {
  stopWork();
  say(error instanceof UserError || error.constructor === Error ? error.message
    : error instanceof RangeError ? "There is not enough memory for so long a sound."
    : `Something went wrong: ${error.message}`, true);
}

// Run what an event asks for; whatever goes wrong is told on the page.
const on = (id, event, action) => $(id).addEventListener(event, async (e) => {
  try {
    await action(e);
  } catch (error) {
    fail(error);
  }
});

// What the workers run, and the weights.
async function prepare(file) {
  const engines = ["engine-relaxed.wasm", "engine.wasm"].map((name) => joined(file(`${name}.0`), file(`${name}.1`)));
  const engine = engines.find((e) => WebAssembly.validate(e));
  if (!engine) throw new UserError("This browser lacks WebAssembly SIMD. It needs one of 2023 or later.");
  return {
    module: await WebAssembly.compile(engine),
    worker: blobUrl(file("dsp.js"), file("worker.js")),
    worklet: blobUrl(file("worklet.js")),
    weights: (name) => whole(file(`${name}.safetensors`)),
  };
}

function joined(a, b) {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

// Weights, of which the archive has the first bytes of all numbers, then the second ones.
function whole(halves) {
  const start = 8 + new DataView(halves.buffer, halves.byteOffset).getUint32(0, true);
  const bytes = halves.slice(), count = (bytes.length - start) / 2;
  for (let i = 0; i < count; i++) {
    bytes[start + 2 * i] = halves[start + i];
    bytes[start + 2 * i + 1] = halves[start + count + i];
  }
  return bytes;
}

// ---- A sound comes in

async function open(file) {
  forget();
  say(`Reading ${file.name}…`);
  const reading = opened = file, decoded = await decode(file);
  if (opened !== reading) return; // another one was chosen meanwhile
  sound = { name: file.name, ...decoded };
  $("narrow").checked = false;
  upsample();
}

async function decode(file) {
  const refuse = (why) => {
    throw new UserError(`${file.name}: ${why}`);
  };
  if (file.size === 0) refuse("the file is empty.");
  let bytes;
  try {
    bytes = new Uint8Array(await file.arrayBuffer());
  } catch {
    refuse("the file cannot be read; it may have been moved, or be too large for the memory.");
  }
  let decoded;
  try {
    decoded = readWav(bytes);
  } catch (error) {
    refuse(error.message);
  }
  if (!decoded) {
    const known = sniff(bytes);
    const rate = known.rate || RATE_OUT; // its own, so that the browser does not resample
    let buffer;
    try {
      buffer = await new OfflineAudioContext(1, 1, rate).decodeAudioData(bytes.buffer);
    } catch {
      refuse(`this is no sound that the browser can read, or it is damaged. Expected ${FORMATS}.`);
    }
    const channels = Array.from({ length: buffer.numberOfChannels }, (_, c) => buffer.getChannelData(c));
    if (known.bits <= 16) channels.forEach(evenScale);
    if (known.samples > buffer.length) {
      refuse(`the file is cut short: ${buffer.length} of ${known.samples} samples are there.`);
    }
    decoded = { channels, rate, bits: known.bits > 16 ? 24 : 16 };
  }
  const { channels, rate } = decoded;
  if (channels.length < 1 || channels.length > 2) {
    refuse(`it has ${channels.length} channels. Expected one or two; the command novasr upsample takes any number.`);
  }
  if (!channels[0].length) refuse("there is no sound in it: 0 samples.");
  if (rate < MIN_RATE || rate > MAX_RATE) {
    refuse(`its sampling rate is ${rate} Hz. Expected ${MIN_RATE} to ${MAX_RATE}.`);
  }
  for (const x of channels) {
    const at = x.findIndex((v) => !(Math.abs(v) <= MAX_LEVEL));
    if (at >= 0) refuse(`sample ${at} is ${x[at]}. Expected numbers with full scale 1.`);
  }
  return decoded;
}

// ---- The work

function stopWork() {
  worker?.terminate();
  worker = null;
  microphone?.stop();
  $("running").hidden = true;
}

// Stop everything, and drop the sound and what came of it.
function forget() {
  stopWork();
  clear();
  opened = sound = null;
}

function clear() {
  player.stop();
  result = null;
  $("result").hidden = true;
}

// Start a worker with a message; `take` gets its answers, but for errors.
function work(message, take, transfer = []) {
  const started = new Worker(parts.worker);
  const trouble = (why) => started === worker && fail(new UserError(why));
  started.onmessage = ({ data }) => (data.error ? trouble(data.error) : take(data));
  started.onerror = (event) => {
    event.preventDefault();
    trouble(`The work broke off: ${event.message || "there may be too little memory."}`);
  };
  worker = started;
  started.postMessage({ module: parts.module, ...message }, transfer);
}

function upsample() {
  const name = $("network").value, weights = name ? parts.weights(name) : own;
  if (!sound || !weights) return;
  stopWork();
  clear();
  $("running").hidden = false;
  $("progress").value = 0;
  $("narrow").disabled = sound.rate <= RATE_IN;
  const { channels, rate } = sound, start = performance.now();
  say(`Restoring ${sound.name}…`);
  work({ weights, channels, rate, narrow: $("narrow").checked && rate > RATE_IN }, (data) => {
    if (data.total) begin(data);
    else if (data.done) finish((performance.now() - start) / 1000);
    else extend(data);
  });
}

function begin({ total, rate, edge, kept, isNovaSR }) {
  const room = () => sound.channels.map(() => new Float32Array(total));
  result = { before: room(), after: room(), total, rate, edge, kept, isNovaSR, ready: 0, done: false, energy: [0, 0] };
  $("seek").max = total / RATE_OUT;
  $("download").disabled = true;
  pictures.forEach((picture) => picture.reset());
  player.reset();
}

function extend({ start, before, after }) {
  [before, after].forEach((side, i) => side.forEach((y, c) => {
    result[i ? "after" : "before"][c].set(y, start);
    for (const v of y) result.energy[i] += v * v;
  }));
  result.ready = start + after[0].length;
  $("progress").value = result.ready / result.total;
  $("result").hidden = false;
  player.level();
  pictures.forEach((picture) => picture.extend());
}

function finish(seconds) {
  result.done = true;
  result.seconds = seconds;
  stopWork();
  pictures.forEach((picture) => picture.extend());
  $("download").disabled = false;
  const length = result.total / RATE_OUT;
  say(`${length.toFixed(1)} s of sound in ${seconds.toFixed(1)} s. ${note()}`);
}

const kHz = (hertz) => `${+(hertz / 1000).toPrecision(3)} kHz`;

// Hz at which the sound ends, and what is new begins.
const end = ({ edge, rate, isNovaSR }) => edge ?? Math.min(rate, isNovaSR ? RATE_IN : RATE_OUT) / 2;

// What becomes of a recording's own sound.
function note() {
  const { edge, kept, rate, isNovaSR } = result;
  if (isNovaSR && end(result) < LOWEST_END) return `Its sound ends at ${kHz(end(result))}, and the network is made for sound up to ${kHz(RATE_IN / 2)}: little is restored above.`;
  if (edge === null && rate > 2 * RATE_IN) return `It has sound up to ${kHz(rate / 2)}, so hardly anything changes: to hear what the network can do, first cut it to 16 kHz.`;
  if (isNovaSR && edge !== null) return `Its sound ends at ${kHz(edge)}: all below ${kHz(kept)} stays, what is above is new.`;
  if (isNovaSR) return `Its own sound below ${kHz(kept)} stays, what is above is new.`;
  return `Its sound ends at ${kHz(end(result))}: all below stays, what is above is new.`;
}

// ---- Before and after on one clock

const player = {
  context: null, gains: [], sources: [], playing: false, after: true,
  at: 0, // s, where it stands, or where it stood when the clock was at `from`
  from: 0,
  scheduled: 0, // samples
  timer: 0,

  position() {
    const end = (result?.ready ?? 0) / RATE_OUT;
    const now = this.playing ? this.at + Math.max(0, this.context.currentTime - this.from) : this.at;
    return Math.min(now, end);
  },

  async play() {
    if (!result || this.playing) return;
    this.playing = true;
    this.from = Infinity; // the clock does not run yet
    if (!this.context) {
      this.context = new AudioContext({ sampleRate: RATE_OUT });
      this.gains = [0, 1].map(() => {
        const gain = this.context.createGain();
        gain.connect(this.context.destination);
        return gain;
      });
    }
    await this.context.resume();
    if (!this.playing) return;
    if (this.at >= result.total / RATE_OUT - 0.01) this.at = 0;
    this.level(true);
    this.scheduled = Math.round(this.at * RATE_OUT);
    this.from = this.context.currentTime + 0.03;
    this.schedule();
    this.timer = setInterval(() => this.schedule(), 100);
    this.show();
  },

  // Hand the next part of both to the clock, up to a minute: while the work goes on, what is ready.
  schedule() {
    const left = this.scheduled / RATE_OUT - this.position();
    if (result.done && this.scheduled === result.total) {
      if (left <= 0.001) {
        this.at = result.total / RATE_OUT;
        this.stop(false);
      }
      return;
    }
    const stop = Math.min(this.scheduled + 60 * RATE_OUT, result.ready);
    if (left > 1 || stop <= this.scheduled) return;
    if (left <= 0) { // the work is behind: the clock waits
      this.at = this.scheduled / RATE_OUT;
      this.from = this.context.currentTime + 0.03;
    }
    const when = this.from + this.scheduled / RATE_OUT - this.at;
    [result.before, result.after].forEach((channels, i) => {
      const buffer = new AudioBuffer({
        length: stop - this.scheduled, numberOfChannels: channels.length, sampleRate: RATE_OUT,
      });
      channels.forEach((y, c) => buffer.copyToChannel(y.subarray(this.scheduled, stop), c));
      const source = new AudioBufferSourceNode(this.context, { buffer });
      source.connect(this.gains[i]);
      source.start(when);
      this.sources.push(source);
      source.onended = () => this.sources.splice(this.sources.indexOf(source), 1);
    });
    this.scheduled = stop;
  },

  stop(keep = true) {
    if (keep) this.at = this.position();
    this.playing = false;
    clearInterval(this.timer);
    for (const source of this.sources) {
      source.onended = null;
      source.stop();
    }
    this.sources = [];
    this.show();
  },

  seek(seconds) {
    const playing = this.playing;
    if (playing) this.stop();
    this.at = Math.max(0, Math.min(seconds, (result?.ready ?? 0) / RATE_OUT));
    this.show();
    return playing && this.play();
  },

  reset() {
    this.at = 0;
    this.show();
  },

  // The louder one is turned down to the other's mean level; the one not chosen is silent.
  level(atOnce = false) {
    if (!this.context || !result) return;
    const [before, after] = result.energy, ratio = Math.sqrt(before / after) || 1;
    [Math.min(1, 1 / ratio), Math.min(1, ratio)].forEach((level, i) => {
      const target = this.after === Boolean(i) ? level : 0;
      this.gains[i].gain.setTargetAtTime(target, this.context.currentTime, atOnce ? 0.001 : 0.008);
    });
  },

  show() {
    const position = this.position(), total = result ? result.total / RATE_OUT : 0;
    $("play").textContent = this.playing ? "Pause" : "Play";
    $("seek").value = position;
    $("seek").setAttribute("aria-valuetext", clock(position));
    $("time").textContent = `${clock(position)} / ${clock(total)}`;
    if (this.playing) requestAnimationFrame(() => this.playing && this.show());
    pictures.forEach((picture) => picture.draw());
  },
};

const clock = (s) => `${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, "0")}`;

// ---- Pictures

const FRAME = 1024, COLUMNS = 480, ROWS = 256, TOP = RATE_OUT / 2;
const DARK = -110, BRIGHT = -20; // dB
const COLOURS = [ // from black over purple and red to pale yellow, evenly lighter
  [0, 0, 4], [28, 16, 68], [79, 18, 123], [129, 37, 129], [181, 54, 122],
  [229, 80, 100], [251, 135, 97], [254, 194, 135], [252, 253, 191],
];

class Picture {
  constructor(canvas, side, title) {
    Object.assign(this, { canvas, side, title, done: 0 });
    this.pixels = new OffscreenCanvas(COLUMNS, ROWS);
    this.paint = this.pixels.getContext("2d");
    this.spectrum = new Spectrum(FRAME, (i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / FRAME));
    new ResizeObserver(() => this.draw()).observe(canvas);
    canvas.addEventListener("pointerdown", (event) => {
      if (!result) return;
      const { left, right } = this.frame();
      player.seek((event.offsetX - left) / (right - left) * result.total / RATE_OUT);
    });
  }

  frame() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    return { left: 30, right: width - 1, top: 4, bottom: height - 34, width, height };
  }

  reset() {
    this.done = 0;
    this.paint.fillStyle = "#000004";
    this.paint.fillRect(0, 0, COLUMNS, ROWS);
    this.canvas.setAttribute("aria-label", `Spectrogram, ${this.title}: 0 to 24 kHz over ${(result.total / RATE_OUT).toFixed(1)} s`);
  }

  // Paint the columns whose sound is there.
  extend() {
    const hop = result.total / COLUMNS, whole = result.done ? result.total + FRAME : result.ready;
    const until = Math.min(COLUMNS, Math.max(0, Math.floor((whole - FRAME) / hop)));
    if (until <= this.done) return;
    const [a, b] = result[this.side], looks = Math.max(1, Math.min(4, Math.round(hop / FRAME)));
    const image = this.paint.createImageData(until - this.done, ROWS);
    for (let column = this.done; column < until; column++) {
      const power = new Float64Array(FRAME / 2 + 1);
      for (let k = 0; k < looks; k++) {
        const i = Math.floor((column + (k + 0.5) / looks) * hop) - FRAME / 2;
        this.spectrum.add(a, b, i, power);
      }
      const scale = (2 / FRAME) ** 2 / looks / result[this.side].length;
      for (let row = 0; row < ROWS; row++) {
        const bin = FRAME / 2 / ROWS * (ROWS - 1 - row);
        const level = 10 * Math.log10(Math.max(1e-12, (power[bin] + power[bin + 1]) / 2 * scale));
        const u = Math.max(0, Math.min(1, (level - DARK) / (BRIGHT - DARK))) * (COLOURS.length - 1);
        const c = Math.min(COLOURS.length - 2, Math.floor(u)), at = 4 * (row * image.width + column - this.done);
        for (let rgb = 0; rgb < 3; rgb++) {
          image.data[at + rgb] = COLOURS[c][rgb] + (u - c) * (COLOURS[c + 1][rgb] - COLOURS[c][rgb]);
        }
        image.data[at + 3] = 255;
      }
    }
    this.paint.putImageData(image, this.done, 0);
    this.done = until;
    this.draw();
  }

  draw() {
    const { left, right, top, bottom, width, height } = this.frame();
    if (!result || width < 60) return;
    const ratio = devicePixelRatio, g = this.canvas.getContext("2d");
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    g.scale(ratio, ratio);
    g.drawImage(this.pixels, left, top, right - left, bottom - top);
    g.font = "12px system-ui, sans-serif";
    g.fillStyle = getComputedStyle(document.body).color;
    const y = (hertz) => bottom - (hertz / TOP) * (bottom - top);
    g.textAlign = "right";
    g.textBaseline = "middle";
    for (let tick = 0; tick <= 20; tick += 4) g.fillText(tick, left - 6, Math.min(y(tick * 1000), bottom - 5));
    g.fillText("kHz", left - 6, y(TOP) + 6);
    const seconds = result.total / RATE_OUT, x = (s) => left + (s / seconds) * (right - left);
    const most = Math.max(2, (right - left) / 60);
    const step = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 120, 300, 600]
      .find((s) => seconds / s <= most) ?? 3600;
    g.textBaseline = "top";
    for (let k = 0; k * step <= seconds; k++) {
      g.textAlign = k ? "center" : "left";
      if (x(k * step) < right - 12) g.fillText(+(k * step).toPrecision(6), x(k * step), bottom + 4);
    }
    g.textAlign = "center";
    g.fillText("seconds", (left + right) / 2, bottom + 19);
    const edge = end(result);
    g.strokeStyle = "#7df9ff";
    g.lineWidth = 1.5;
    g.setLineDash([6, 4]);
    g.beginPath();
    g.moveTo(left, y(edge));
    g.lineTo(right, y(edge));
    g.stroke();
    g.setLineDash([]);
    const label = `${kHz(edge)}: where its sound ends`;
    g.textAlign = "left";
    g.fillStyle = "rgba(0, 0, 4, .75)";
    const above = Math.max(top, y(edge) - 19); // of the label
    g.fillRect(left + 4, above, g.measureText(label).width + 8, 16);
    g.fillStyle = "#7df9ff";
    g.fillText(label, left + 8, above + 2);
    g.fillStyle = "#ffffff";
    g.fillRect(x(player.position()) - 1, top, 2, bottom - top);
  }
}

const pictures = [
  new Picture($("before"), "before", "before"),
  new Picture($("after"), "after", "after"),
];

// ---- Microphone

async function openMicrophone(button, options) {
  if (!navigator.mediaDevices) throw new UserError("The microphone needs a page from this computer or over https.");
  let stream, context;
  const text = button.textContent;
  const stop = () => {
    stream?.getTracks().forEach((track) => track.stop());
    context?.close();
    microphone = null;
    button.textContent = text;
    button.classList.remove("running");
    $("level").hidden = true;
  };
  try {
    stream = await navigator.mediaDevices.getUserMedia({
      audio: { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false },
    });
    context = new AudioContext(options);
    const source = context.createMediaStreamSource(stream);
    const node = await duplex(context);
    source.connect(node).connect(context.destination);
    microphone = { context, node, stop };
    button.classList.add("running");
  } catch (error) {
    stop();
    throw new UserError(
      error.name === "NotAllowedError" ? "The browser was not allowed to use the microphone. Allow it in the address bar, then try again."
        : error.name === "NotFoundError" ? "No microphone was found."
        : error.name === "NotSupportedError" ? "This browser takes the microphone at its own rate only, and that is not 48 kHz. Set it to 48 kHz, or try another browser."
        : `The microphone cannot be used: ${error.message}`);
  }
}

// A node with a `port` that gives what it hears in chunks, and plays those that it gets.
async function duplex(context) {
  try {
    await context.audioWorklet.addModule(parts.worklet);
    return new AudioWorkletNode(context, "duplex", {
      outputChannelCount: [1], channelCount: 1, channelCountMode: "explicit", processorOptions: LIVE,
    });
  } catch { // Chromium loads no worklet of a page that was opened from disk
    const node = context.createScriptProcessor(512, 1, 1), { port1, port2 } = new MessageChannel();
    const inner = new Duplex(port1, LIVE);
    node.onaudioprocess = ({ inputBuffer, outputBuffer }) =>
      inner.process(inputBuffer.getChannelData(0), outputBuffer.getChannelData(0));
    node.port = port2;
    return node;
  }
}

async function record() {
  if (microphone) return microphone.end();
  forget();
  await openMicrophone($("record"));
  const pieces = [], { context, node, stop } = microphone, rate = context.sampleRate;
  $("record").textContent = "Stop recording";
  say("Recording…");
  node.port.onmessage = ({ data }) => {
    pieces.push(data);
    const seconds = Math.floor(pieces.length * LIVE.chunk / rate);
    $("record").textContent = `Stop recording (${seconds} s)`;
  };
  microphone.end = () => {
    stop();
    if (!pieces.length) throw new UserError("Nothing was recorded: the microphone gave no sound.");
    const x = new Float32Array(pieces.length * LIVE.chunk);
    pieces.forEach((piece, i) => x.set(piece, i * LIVE.chunk));
    sound = { name: "recording.wav", channels: [x], rate, bits: 16 };
    $("narrow").checked = true; // or there would be nothing to restore
    upsample();
  };
}

async function live() {
  if (microphone) return microphone.end();
  player.stop();
  stopWork();
  await openMicrophone($("live"), { sampleRate: RATE_OUT, latencyHint: "interactive" });
  const { context, node } = microphone, wave = new Float32Array(2048);
  const analyser = new AnalyserNode(context, { fftSize: wave.length });
  node.connect(analyser);
  $("live").textContent = "Stop live";
  $("level").hidden = false;
  const meter = setInterval(() => {
    if (microphone?.node !== node) return clearInterval(meter);
    analyser.getFloatTimeDomainData(wave);
    $("level").value = Math.max(...wave.map(Math.abs));
  }, 100);
  microphone.end = () => {
    stopWork();
    say("Live has stopped.");
  };
  work({ weights: parts.weights(LIVE.network), port: node.port, edge: LIVE.edge }, ({ seconds }) => {
    const device = (context.baseLatency || 0) + (context.outputLatency || 0);
    const delay = seconds + (LIVE.chunk + LIVE.ahead + (node.bufferSize || 128)) / RATE_OUT + device;
    say(`Live: you hear yourself about ${Math.round(delay * 1000)} ms later, by ${LIVE.network}.`);
  }, [node.port]);
}

// ---- What the user does

on("file", "change", ({ target }) => {
  const [file] = target.files;
  target.value = ""; // so that the same file can be chosen again
  return file && open(file);
});
const drop = (event, action) => document.addEventListener(event, (e) => {
  e.preventDefault();
  $("drop").classList.toggle("over", event === "dragover");
  action?.(e);
});
drop("dragover");
drop("dragleave");
drop("drop", (e) => {
  const [file] = e.dataTransfer.files;
  if (file) open(file).catch(fail);
});
on("network", "change", () => {
  const isOwn = !$("network").value;
  $("own-weights").hidden = !isOwn;
  if (isOwn && !own) {
    stopWork();
    say("Choose a .safetensors file with your weights.");
  } else {
    upsample();
  }
});
on("own-weights", "change", async ({ target }) => {
  const [file] = target.files;
  if (!file) return;
  own = null;
  const most = 1 << 22; // bytes; more than any weights of these networks
  const weights = new Uint8Array(await file.slice(0, most).arrayBuffer());
  if (ascii(weights, 0, 2) === "PK") {
    throw new UserError(`${file.name} is a PyTorch checkpoint. Convert it first: novasr weights convert IN.bin OUT.safetensors`);
  }
  stopWork();
  work({ weights }, () => {
    stopWork();
    own = weights;
    say(`${file.name} is ready. Choose a recording.`);
    upsample();
  });
});
on("narrow", "change", upsample);
on("cancel", "click", () => {
  stopWork();
  clear();
  say("Cancelled.");
});
on("play", "click", () => (player.playing ? player.stop() : player.play()));
on("switch", "click", () => {
  player.after = !player.after;
  $("switch").setAttribute("aria-checked", player.after);
  player.level();
});
on("seek", "input", ({ target }) => player.seek(+target.value));
on("download", "click", () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(writeWav(result.after, RATE_OUT, sound.bits));
  link.download = `${sound.name.replace(/\.[^.]*$/, "")}_48k.wav`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
});
on("record", "click", record);
on("live", "click", live);

// For tests, and for the curious.
self.novasr = {
  get result() {
    return result;
  },
};

$("inputs").inert = true;
archive.then(prepare).then((prepared) => {
  parts = prepared;
  $("inputs").inert = false;
  say("Ready. Choose a recording.");
}, fail);
