"use strict";
// Unpacks the archive, a header of names and places as JSON and the files, and starts the page
// from it.

function blobUrl(...parts) {
  return URL.createObjectURL(new Blob(parts, { type: "text/javascript" }));
}

// Bytes from a text of 7 bits to a character, or, beyond ASCII, 7 for one that HTML does not allow
// and 7 more.
function decode(text, size) {
  const bytes = new Uint8Array(size);
  let bits = 0, count = 0, at = 0;
  const put = (seven) => {
    bits = (bits << 7 | seven) & 0x7fff;
    count += 7;
    if (count >= 8) bytes[at++] = bits >> (count -= 8);
  };
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 127) put([0, 13, 60][(code >> 7) - 1]);
    put(code & 127);
  }
  return bytes;
}

async function unpack() {
  if (!self.DecompressionStream || !self.WebAssembly) {
    throw new Error("This browser is too old for the page. It needs one of 2023 or later.");
  }
  const { textContent, dataset } = document.getElementById("archive");
  const stream = new Blob([decode(textContent, +dataset.size)]).stream().pipeThrough(new DecompressionStream("gzip"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  const start = 4 + new DataView(bytes.buffer).getUint32(0, true);
  const index = JSON.parse(new TextDecoder().decode(bytes.subarray(4, start)));
  return (name) => bytes.subarray(start + index[name][0], start + index[name][1]);
}

const archive = unpack();

archive.then((file) => {
  const script = document.createElement("script");
  script.src = blobUrl(file("dsp.js"), file("worklet.js"), file("app.js"));
  document.head.append(script);
}, (error) => {
  document.getElementById("status").textContent = error.message;
});
