// Copyright (C) The Mesh contributors
// SPDX-License-Identifier: AGPL-3.0-only

// Containers of UCAN 1.0 for the second verifier, both ways.

"use strict";

const zlib = require("zlib");

const { base64, base64Decode, base64url, base64urlDecode, cborDecode,
        cborEncode, fail } = require("./codec.js");

const INFLATED_MAX = 262144;


// One gzip member and nothing after it.

function crc32(bytes) {
    let crc = ~0;

    for (const b of bytes) {
        crc ^= b;

        for (let i = 0; i < 8; i++) {
            crc = crc >>> 1 ^ (crc & 1 ? 0xedb88320 : 0);
        }
    }

    return ~crc >>> 0;
}

function gunzip(bytes, max) {
    if (bytes.length < 18 || bytes.readUInt16BE(0) !== 0x1f8b
        || bytes[2] !== 8 || bytes[3] & 0xe0)
    {
        fail("gzip: header");
    }

    const start = gzipHeader(bytes);
    const { buffer, engine } = zlib.inflateRawSync(
        bytes.subarray(start), { info: true, maxOutputLength: max });
    const end = start + engine.bytesWritten;

    return end + 8 === bytes.length
           && bytes.readUInt32LE(end) === crc32(buffer)
           && bytes.readUInt32LE(end + 4) === buffer.length
           ? buffer : fail("gzip: end");
}

function gzipHeader(bytes) {
    const flags = bytes[3];
    let at = 10;

    if (flags & 4) {
        at += 2 + bytes.readUInt16LE(at);
    }

    for (const bit of [8, 16]) {
        if (flags & bit) {
            at = bytes.indexOf(0, at) + 1 || fail("gzip: text");
        }
    }

    if (flags & 2) {
        if (bytes.readUInt16LE(at) !== (crc32(bytes.subarray(0, at))
                                        & 0xffff))
        {
            fail("gzip: crc of the header");
        }

        at += 2;
    }

    return at;
}


// The envelopes of a container, in its order.

function decodeContainer(text, max = INFLATED_MAX) {
    const body = text.slice(1);
    let bytes;

    switch (text[0]) {
    case "B":
        bytes = base64Decode(body);
        break;
    case "C":
        bytes = base64urlDecode(body);
        break;
    case "O":
        bytes = gunzip(base64Decode(body), max);
        break;
    case "P":
        bytes = gunzip(base64urlDecode(body), max);
        break;
    default:
        fail("container: form");
    }

    const map = cborDecode(bytes);
    const list = map instanceof Map && map.size === 1 && map.get("ctn-v1");

    return Array.isArray(list) && list.length > 0
           && list.every(Buffer.isBuffer)
           ? list : fail("container: contents");
}

function encodeContainer(form, list) {
    const bytes = cborEncode({ "ctn-v1": list });

    switch (form) {
    case "B":
        return form + base64(bytes);
    case "C":
        return form + base64url(bytes);
    case "O":
        return form + base64(zlib.gzipSync(bytes));
    default:
        return form + base64url(zlib.gzipSync(bytes));
    }
}


module.exports = { crc32, decodeContainer, encodeContainer };
