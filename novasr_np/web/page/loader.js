"use strict";
// Unpacks the archive, a header of names and places as JSON and the files, and starts the page
// from it.

function blobUrl(...parts) {
  return URL.createObjectURL(new Blob(parts, { type: "text/javascript" }));
}

async function unpack() {
  if (!self.DecompressionStream || !self.WebAssembly) {
    throw new Error("This browser is too old for the page. It needs one of 2023 or later.");
  }
  const packed = Uint8Array.from(atob(document.getElementById("archive").textContent), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
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
