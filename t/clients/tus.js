// Copyright (C) The Mesh contributors
// SPDX-License-Identifier: AGPL-3.0-only

// Uploads a file with tus-js-client, and says what became of it.
//
//     node tus.js ENDPOINT TOKEN FILE NAME [option=value ...]
//
// Options: chunk (bytes), defer (1: the length comes later), parallel,
// url (resume this one), stop (bytes: give up after so many), at_once (1).
// The last line is JSON: url, sent (bytes of this run), done, error.

'use strict';

const fs = require('fs');
const { PassThrough } = require('stream');
const tus = require('tus-js-client');

const [endpoint, token, file, name, ...rest] = process.argv.slice(2);
const option = Object.fromEntries(rest.map((text) => {
  const at = text.indexOf('=');
  return [text.slice(0, at), text.slice(at + 1)];
}));

const size = fs.statSync(file).size;
const result = { url: null, sent: 0, done: false, error: null };

function say() {
  result.url = upload.url;
  console.log(JSON.stringify(result));
  process.exit(0);
}

// The client knows the length of a file; with a length that comes later it
// would promise more bytes of it than there are.

const stream = fs.createReadStream(file);
const input = option.defer ? stream.pipe(new PassThrough()) : stream;

const upload = new tus.Upload(input, {
  endpoint,
  uploadUrl: option.url || null,
  uploadSize: option.defer ? null : size,
  uploadLengthDeferred: Boolean(option.defer),
  uploadDataDuringCreation: Boolean(option.at_once),
  chunkSize: option.chunk ? Number(option.chunk) : Infinity,
  retryDelays: [0, 100, 200, 400, 800, 1600],
  headers: { Authorization: `Bearer ${token}` },
  metadata: { filename: name, filetype: 'application/x-test' },
  onError(error) {
    result.error = String(error);
    say();
  },
  onProgress(sent) {
    result.sent = sent;
  },
  onChunkComplete(chunk, accepted) {
    console.log(`accepted ${accepted}`);
    if (option.stop && accepted >= Number(option.stop)) {
      upload.abort().then(say);
    }
  },
  onSuccess() {
    result.done = true;
    say();
  },
});

upload.start();
