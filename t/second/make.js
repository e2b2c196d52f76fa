// Copyright (C) The Mesh contributors
// SPDX-License-Identifier: AGPL-3.0-only

// Makes tokens to test with, good ones, and ones that are signed over bytes
// that nobody should have signed.

"use strict";

const { CODEC_CBOR, CODEC_RAW, Link, base58Encode, base64, base64url,
        cborEncode, cborWriteHead, cidOf, cidText, keyOrder }
    = require("./codec.js");


// UCAN 1.0.

const DLG = "ucan/dlg@";
const INV = "ucan/inv@";

// { bytes, cid, link }; the header and the signature may be other ones.

function makeEnvelope(key, tag, payload, { header, spoil, sign } = {}) {
    let signed = cborEncode({ h: header ?? key.varsig, [tag]: payload });

    if (spoil) {
        signed = spoil(signed, tag, payload, header ?? key.varsig);
    }

    const signature = (sign ?? key.sign)(signed);

    return envelopeOf(Buffer.concat([Buffer.from([0x82]),
                                     cborEncode(signature), signed]));
}

function envelopeOf(bytes) {
    const cid = cidOf(CODEC_CBOR, bytes);

    return { bytes, cid, link: new Link(cid) };
}

// The part that is signed, with a payload that was put together by hand.

function signedPart(tag, header, payload) {
    const pairs = [["h", header], [tag, payload]]
        .sort((a, b) => keyOrder(a[0], b[0]))
        .map(([key, value]) => Buffer.concat([
            cborEncode(key), key === "h" ? cborEncode(value) : value]));

    return Buffer.concat([cborWriteHead(5, 2), ...pairs]);
}

function sortedPairs(payload) {
    return Object.entries(payload).sort((a, b) => keyOrder(a[0], b[0]))
           .map(([key, value]) => [cborEncode(key), cborEncode(value)]);
}

function mapOf(pairs, head = cborWriteHead(5, pairs.length)) {
    return Buffer.concat([head, ...pairs.flat()]);
}

// What no strict decoder takes, though the signature is right.

const SPOILS = {
    "keys in another order": (pairs) => mapOf([...pairs].reverse()),
    "a key twice": (pairs) => mapOf([pairs[0], ...pairs]),
    "a map without a length": (pairs) => Buffer.concat([
        mapOf(pairs, Buffer.from([0xbf])), Buffer.from([0xff])]),
    "a count that is too large": (pairs) =>
        mapOf(pairs, cborWriteHead(5, pairs.length + 1)),
    "a huge count": (pairs) =>
        mapOf(pairs, Buffer.from("bbffffffffffffffff", "hex")),
    "a long form of a count": (pairs) =>
        mapOf(pairs, Buffer.from([0xb8, pairs.length])),
    "a long form of a length": (pairs) => mapOf(pairs.map(([k, v], i) =>
        [i ? k : Buffer.concat([Buffer.from([0x78]), Buffer.from([k.length
                                                                  - 1]),
                                k.subarray(1)]), v])),
    "a key that is a number": (pairs) =>
        mapOf([[Buffer.from([1]), Buffer.from([1])], ...pairs]),
    "an undefined": (pairs) => mapOf(replaced(pairs, "exp", "f7")),
    "a short float": (pairs) => mapOf(replaced(pairs, "exp", "fa4eeeeeee")),
    "a float that is no number": (pairs) =>
        mapOf(replaced(pairs, "exp", "fb7ff8000000000000")),
    "a tag": (pairs) => mapOf(replaced(pairs, "exp", "c11a6b49d200")),
    "text that is no UTF-8": (pairs) =>
        mapOf(replaced(pairs, "cmd", "632f61ff")),
    "a number of 64 bits": (pairs) =>
        mapOf(replaced(pairs, "exp", "1b7fffffffffffffff")),
    "a number of 54 bits": (pairs) =>
        mapOf(replaced(pairs, "exp", "1b0020000000000000")),
    "a nonce that is text": (pairs) =>
        mapOf(replaced(pairs, "nonce", "6161")),
};

function replaced(pairs, name, hex) {
    const wanted = cborEncode(name);

    return pairs.map(([k, v]) => [k, k.equals(wanted)
                                     ? Buffer.from(hex, "hex") : v]);
}

function spoilBy(name) {
    return (signed, tag, payload, header) =>
        signedPart(tag, header, SPOILS[name](sortedPairs(payload)));
}


// JWTs: header and payload as lists of [name, JSON text], so that anything
// can be written.

function jsonText(pairs) {
    return "{" + pairs.map(([name, text]) =>
        JSON.stringify(name) + ":" + text).join(",") + "}";
}

function makeJwt(key, header, payload, { sign } = {}) {
    const part = base64url(Buffer.from(jsonText(header))) + "."
                 + base64url(Buffer.from(jsonText(payload)));
    const signature = (sign ?? key.sign)(Buffer.from(part));

    return jwtOf(part + "." + base64url(signature));
}

function jwtOf(text) {
    const cid = cidOf(CODEC_RAW, Buffer.from(text));

    return { text, cid, name: cidText(cid), name58: "z" + base58Encode(cid) };
}


// Revocations: of 0.x a record, of 1.0 an invocation in base 64.

function makeRecord(key, name, claimed = key.did) {
    return { iss: claimed, revoke: name,
             challenge: base64(key.sign(Buffer.from("REVOKE:" + name)))
                        .replace(/=+$/, "") };
}

function makeRevocation(key, link, { claimed = key.did, alias } = {}) {
    return base64(makeEnvelope(key, INV + "1.0.0", {
        iss: claimed, sub: claimed, cmd: "/ucan/revoke", prf: [], exp: null,
        args: { [alias ? "ucan" : "revoke"]: link }, nonce: Buffer.alloc(0),
    }).bytes);
}


module.exports = {
    DLG, INV, SPOILS, envelopeOf, jsonText, jwtOf, makeEnvelope, makeJwt,
    makeRecord, makeRevocation, spoilBy,
};
