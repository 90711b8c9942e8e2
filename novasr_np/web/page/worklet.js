// Gathers what the microphone gives and plays what comes back, on the audio thread where it can.

class Duplex {
  constructor(port, { chunk, ahead }) {
    Object.assign(this, { port, chunk, ahead, gathered: new Float32Array(chunk), count: 0 });
    Object.assign(this, { queue: [], at: 0, queued: 0, playing: false });
    port.onmessage = ({ data }) => {
      this.queue.push(data);
      this.queued += data.length;
    };
  }

  process(x, y) {
    if (x) this.gather(x);
    // What is late stays late: if the machine was busy for a while, catch up.
    while (this.queue.length > 1 && this.queued > 4 * this.ahead) this.drop();
    if (!this.playing) this.playing = this.queued >= this.ahead;
    y.fill(0);
    if (this.playing) this.play(y);
  }

  gather(x) {
    for (const sample of x) {
      this.gathered[this.count++] = sample;
      if (this.count < this.chunk) continue;
      this.port.postMessage(this.gathered, [this.gathered.buffer]);
      this.gathered = new Float32Array(this.chunk);
      this.count = 0;
    }
  }

  play(y) {
    for (let i = 0; i < y.length; i++) {
      if (!this.queue.length) {
        this.playing = false; // wait until there is enough again
        return;
      }
      y[i] = this.queue[0][this.at++];
      this.queued--;
      if (this.at === this.queue[0].length) this.drop();
    }
  }

  drop() {
    this.queued -= this.queue.shift().length - this.at;
    this.at = 0;
  }
}

if (self.registerProcessor) {
  registerProcessor("duplex", class extends AudioWorkletProcessor {
    constructor({ processorOptions }) {
      super();
      this.duplex = new Duplex(this.port, processorOptions);
    }
    process([[x]], [[y]]) {
      this.duplex.process(x, y);
      return true;
    }
  });
}
