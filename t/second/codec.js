// Copyright (C) The Mesh contributors
// SPDX-License-Identifier: AGPL-3.0-only

// Texts and bytes of UCAN, both ways, for the second verifier and for what
// makes tokens to test with: base58, base64, base32, varint, DAG-CBOR, CID,
// strict JSON.  Decoders throw; nothing here is fast.

"use strict";

const crypto = require("crypto");

const DEPTH_MAX = 64;
const INTEGER_MAX = BigInt(Number.MAX_SAFE_INTEGER);


function fail(why) {
    throw new Error(why);
}

function sha256(bytes) {
    return crypto.createHash("sha256").update(bytes).digest();
}


// Base 58, as numbers.

const B58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

function base58Decode(text) {
    let n = 0n;
    let zeros = 0;

    for (const c of text) {
        const digit = B58.indexOf(c);

        if (digit < 0) {
            fail("base58");
        }

        n = n * 58n + BigInt(digit);
    }

    while (text[zeros] === "1") {
        zeros++;
    }

    let hex = n === 0n ? "" : n.toString(16);

    if (hex.length % 2) {
        hex = "0" + hex;
    }

    return Buffer.concat([Buffer.alloc(zeros), Buffer.from(hex, "hex")]);
}

function base58Encode(bytes) {
    let n = BigInt("0x0" + bytes.toString("hex"));
    let text = "";

    while (n > 0n) {
        text = B58[Number(n % 58n)] + text;
        n /= 58n;
    }

    for (let i = 0; i < bytes.length && bytes[i] === 0; i++) {
        text = "1" + text;
    }

    return text;
}


// Base 64 and 32: one text for each value, so what is decoded must give the
// same text again.

function base64(bytes) {
    return bytes.toString("base64");
}

function base64url(bytes) {
    return bytes.toString("base64url");
}

function base64Decode(text) {
    const bytes = Buffer.from(text, "base64");

    return base64(bytes) === text ? bytes : fail("base64");
}

function base64urlDecode(text) {
    const bytes = Buffer.from(text, "base64url");

    return base64url(bytes) === text ? bytes : fail("base64url");
}

const B32 = "abcdefghijklmnopqrstuvwxyz234567";

function base32Encode(bytes) {
    let bits = "";

    for (const b of bytes) {
        bits += b.toString(2).padStart(8, "0");
    }

    while (bits.length % 5) {
        bits += "0";
    }

    return bits.replace(/.{5}/g, (five) => B32[parseInt(five, 2)]);
}

function base32Decode(text) {
    let bits = "";

    for (const c of text) {
        const digit = B32.indexOf(c);

        if (digit < 0) {
            fail("base32");
        }

        bits += digit.toString(2).padStart(5, "0");
    }

    const bytes = Buffer.from(
        (bits.match(/.{8}/g) || []).map((eight) => parseInt(eight, 2)));

    return base32Encode(bytes) === text ? bytes : fail("base32");
}


// Varints of multiformats: [value, rest], the shortest form only.

function varint(bytes) {
    let value = 0;

    for (let i = 0; i < bytes.length && i < 5; i++) {
        value += (bytes[i] & 0x7f) * 2 ** (7 * i);

        if (!(bytes[i] & 0x80)) {
            return i > 0 && bytes[i] === 0 ? fail("varint")
                                           : [value, bytes.subarray(i + 1)];
        }
    }

    return fail("varint");
}


// DAG-CBOR.  Maps become Map, byte strings Buffer, links Link, floats Float;
// integers are numbers, or BigInt where a number would not be exact.

class Link {
    constructor(bytes) {
        this.bytes = bytes;
    }
}

class Float {
    constructor(value) {
        this.value = value;
    }
}

function cborDecode(bytes) {
    const [value, end] = cborItem(bytes, 0, 0);

    return end === bytes.length ? value : fail("cbor: bytes after the item");
}

function cborHead(bytes, at) {
    const major = bytes[at] >> 5;
    const low = bytes[at] & 31;

    if (low < 24) {
        return [major, BigInt(low), at + 1, low];
    }

    if (low > 27) {
        fail("cbor: head");
    }

    const size = 1 << (low - 24);
    let n = 0n;

    if (at + 1 + size > bytes.length) {
        fail("cbor: end");
    }

    for (let i = 1; i <= size; i++) {
        n = n << 8n | BigInt(bytes[at + i]);
    }

    if (major !== 7 && n < [24n, 1n << 8n, 1n << 16n, 1n << 32n][low - 24]) {
        fail("cbor: not the shortest form");
    }

    return [major, n, at + 1 + size, low];
}

function cborItem(bytes, start, depth) {
    if (start >= bytes.length || depth > DEPTH_MAX) {
        fail("cbor: end or depth");
    }

    const [major, n, at, low] = cborHead(bytes, start);

    if (major === 0 || major === 1) {
        const value = major === 0 ? n : -1n - n;

        return [value <= INTEGER_MAX && value >= -INTEGER_MAX
                ? Number(value) : value, at];
    }

    if (major === 7) {
        return cborSimple(bytes, at, low);
    }

    if (major !== 6 && n > BigInt(bytes.length - at)) {
        fail("cbor: count");
    }

    const count = Number(n);

    switch (major) {
    case 2:
        return [bytes.subarray(at, at + count), at + count];
    case 3:
        return [utf8(bytes.subarray(at, at + count)), at + count];
    case 4:
        return cborList(bytes, at, count, depth);
    case 5:
        return cborMap(bytes, at, count, depth);
    default:
        return cborLink(bytes, at, count, depth);
    }
}

function cborSimple(bytes, at, low) {
    switch (low) {
    case 20:
        return [false, at];
    case 21:
        return [true, at];
    case 22:
        return [null, at];
    case 27:
        break;
    default:
        fail("cbor: simple value");
    }

    const value = bytes.readDoubleBE(at - 8);

    return Number.isFinite(value) ? [new Float(value), at]
                                  : fail("cbor: float");
}

function cborList(bytes, at, count, depth) {
    const list = [];

    while (list.length < count) {
        const [item, next] = cborItem(bytes, at, depth + 1);
        list.push(item);
        at = next;
    }

    return [list, at];
}

function keyOrder(a, b) {
    const x = Buffer.from(a);
    const y = Buffer.from(b);

    return x.length - y.length || Buffer.compare(x, y);
}

function cborMap(bytes, at, count, depth) {
    const map = new Map();
    let last = null;

    for (let i = 0; i < count; i++) {
        const [key, next] = cborItem(bytes, at, depth + 1);

        if (typeof key !== "string"
            || (last !== null && keyOrder(last, key) >= 0))
        {
            fail("cbor: keys");
        }

        const [value, end] = cborItem(bytes, next, depth + 1);

        map.set(key, value);
        last = key;
        at = end;
    }

    return [map, at];
}

function cborLink(bytes, at, tag, depth) {
    const [item, next] = cborItem(bytes, at, depth + 1);

    return tag === 42 && Buffer.isBuffer(item) && item[0] === 0
           ? [new Link(item.subarray(1)), next] : fail("cbor: tag");
}

function utf8(bytes) {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
           .decode(bytes);
}

function cborEncode(value) {
    if (value === null) {
        return Buffer.from([0xf6]);
    }

    if (typeof value === "boolean") {
        return Buffer.from([value ? 0xf5 : 0xf4]);
    }

    if (typeof value === "number" || typeof value === "bigint") {
        const n = BigInt(value);
        return n < 0 ? cborWriteHead(1, -1n - n) : cborWriteHead(0, n);
    }

    if (value instanceof Float) {
        const bytes = Buffer.alloc(9, 0xfb);
        bytes.writeDoubleBE(value.value, 1);
        return bytes;
    }

    if (typeof value === "string") {
        const bytes = Buffer.from(value);
        return Buffer.concat([cborWriteHead(3, bytes.length), bytes]);
    }

    if (Buffer.isBuffer(value)) {
        return Buffer.concat([cborWriteHead(2, value.length), value]);
    }

    if (value instanceof Link) {
        return Buffer.concat([Buffer.from([0xd8, 0x2a]), cborEncode(
            Buffer.concat([Buffer.from([0]), value.bytes]))]);
    }

    if (Array.isArray(value)) {
        return Buffer.concat([cborWriteHead(4, value.length),
                              ...value.map(cborEncode)]);
    }

    const entries = value instanceof Map ? [...value] : Object.entries(value);

    entries.sort((a, b) => keyOrder(a[0], b[0]));

    return Buffer.concat([cborWriteHead(5, entries.length),
                          ...entries.flat().map(cborEncode)]);
}

function cborWriteHead(major, count) {
    const n = BigInt(count);

    if (n < 24n) {
        return Buffer.from([major << 5 | Number(n)]);
    }

    const step = n < 1n << 8n ? 0 : n < 1n << 16n ? 1 : n < 1n << 32n ? 2 : 3;
    const hex = n.toString(16).padStart(2 << step, "0");

    return Buffer.concat([Buffer.from([major << 5 | (24 + step)]),
                          Buffer.from(hex, "hex")]);
}


// CIDs as bytes.  What is no CIDv1 of a sha2-256 under the codec that is due
// names nothing that anybody could present.

const CODEC_RAW = 0x55;
const CODEC_CBOR = 0x71;

function cidOf(codec, bytes) {
    return Buffer.concat([Buffer.from([1, codec, 0x12, 0x20]),
                          sha256(bytes)]);
}

function cidText(cid) {
    return "b" + base32Encode(cid);
}

function cidParse(text) {
    switch (text[0]) {
    case "b":
        return base32Decode(text.slice(1));
    case "z":
        return base58Decode(text.slice(1));
    default:
        return fail("cid");
    }
}


// JSON: no key twice, no U+0000, no depth beyond the bound, nothing after it.
// Objects become Map, numbers Number, or Real when they are no integers in
// the plain form.

class Real {
    constructor(text) {
        this.text = text;
    }
}

function jsonDecode(bytes) {
    const text = utf8(bytes);
    const state = { text, at: 0 };
    const value = jsonValue(state, 0);

    jsonSpace(state);

    return state.at === text.length ? value : fail("json: text after it");
}

function jsonSpace(state) {
    while (/[ \t\r\n]/.test(state.text[state.at] || "")) {
        state.at++;
    }
}

function jsonTake(state, pattern) {
    const sticky = new RegExp(pattern, "y");

    sticky.lastIndex = state.at;

    const match = sticky.exec(state.text);

    if (match) {
        state.at += match[0].length;
    }

    return match && match[0];
}

function jsonValue(state, depth) {
    if (depth > DEPTH_MAX) {
        fail("json: depth");
    }

    jsonSpace(state);

    switch (state.text[state.at]) {
    case "{":
        return jsonObject(state, depth);
    case "[":
        return jsonList(state, depth);
    case "\"":
        return jsonString(state);
    default:
        break;
    }

    const word = jsonTake(state, "true|false|null");

    if (word) {
        return JSON.parse(word);
    }

    const number = jsonTake(
        state, "-?(?:0|[1-9][0-9]*)(?:\\.[0-9]+)?(?:[eE][-+]?[0-9]+)?");

    if (number === null) {
        fail("json: value");
    }

    return /^-?[0-9]+$/.test(number) && Number.isSafeInteger(Number(number))
           ? Number(number) : new Real(number);
}

function jsonString(state) {
    const text = jsonTake(
        state, "\"(?:[^\"\\\\\\u0000-\\u001f]|\\\\(?:[\"\\\\/bfnrt]"
               + "|u[0-9a-fA-F]{4}))*\"");

    if (text === null) {
        fail("json: string");
    }

    const value = JSON.parse(text);

    return value.includes("\0") || /\p{Surrogate}/u.test(value)
           ? fail("json: character") : value;
}

function jsonObject(state, depth) {
    const map = new Map();

    state.at++;
    jsonSpace(state);

    if (jsonTake(state, "\\}")) {
        return map;
    }

    do {
        jsonSpace(state);

        const key = jsonString(state);

        jsonSpace(state);

        if (map.has(key) || !jsonTake(state, ":")) {
            fail("json: key");
        }

        map.set(key, jsonValue(state, depth + 1));
        jsonSpace(state);
    } while (jsonTake(state, ","));

    return jsonTake(state, "\\}") ? map : fail("json: object");
}

function jsonList(state, depth) {
    const list = [];

    state.at++;
    jsonSpace(state);

    if (jsonTake(state, "\\]")) {
        return list;
    }

    do {
        list.push(jsonValue(state, depth + 1));
        jsonSpace(state);
    } while (jsonTake(state, ","));

    return jsonTake(state, "\\]") ? list : fail("json: list");
}


module.exports = {
    CODEC_CBOR, CODEC_RAW, Float, Link, Real,
    base32Decode, base32Encode, base58Decode, base58Encode, base64,
    base64Decode, base64url, base64urlDecode, cborDecode, cborEncode,
    cborWriteHead, cidOf, cidParse, cidText, fail, jsonDecode, keyOrder,
    sha256, varint,
};
