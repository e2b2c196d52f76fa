// Copyright (C) The Mesh contributors
// SPDX-License-Identifier: AGPL-3.0-only

// Ways to change a request that carries a token.  A request is { token,
// proofs, lines }: what follows "Bearer ", the list of the "ucans" header,
// further header lines; each way gives another one.

"use strict";

const zlib = require("zlib");

const { base64, base64Decode, base64url, base64urlDecode, cborEncode,
        cborWriteHead } = require("../second/codec.js");
const { decodeContainer, encodeContainer }
    = require("../second/container.js");

const FORMS = ["B", "C", "O", "P"];
const LETTERS = "ABCXYZabcxyz0189-_+/=.,~!\\\"'{}[]:%";


function isJwt(text) {
    return text.startsWith("e") && text.includes(".");
}

function flipBit(chance, bytes) {
    const copy = Buffer.from(bytes);

    if (copy.length > 0) {
        copy[chance.below(copy.length)] ^= 1 << chance.below(8);
    }

    return copy;
}


// Texts of any kind.

const ON_TEXT = {
    "a letter changed": (chance, text) => {
        const at = chance.below(text.length);
        return text.slice(0, at) + chance.pick(LETTERS) + text.slice(at + 1);
    },
    "a letter more": (chance, text) => {
        const at = chance.below(text.length + 1);
        return text.slice(0, at) + chance.pick(LETTERS) + text.slice(at);
    },
    "a letter less": (chance, text) => {
        const at = chance.below(text.length);
        return text.slice(0, at) + text.slice(at + 1);
    },
    "cut": (chance, text) => text.slice(0, chance.below(text.length)),
    "cut in front": (chance, text) => text.slice(chance.below(text.length)),
    "a piece again": (chance, text) => {
        const at = chance.below(text.length);
        const size = chance.below(400);
        return text.slice(0, at + size) + text.slice(at);
    },
    "a piece of itself elsewhere": (chance, text) => {
        const [a, b] = [chance.below(text.length), chance.below(text.length)];
        const piece = text.slice(a, a + 40);
        return text.slice(0, b) + piece + text.slice(b + piece.length);
    },
    "padded": (chance, text) => text + "=".repeat(1 + chance.below(3)),
    "another first letter": (chance, text) =>
        chance.pick("eBCOPM@A0") + text.slice(1),
    "the other alphabet": (chance, text) => text.replace(/[-_+/]/g,
        (c) => "+/-_"["-_+/".indexOf(c)]),
    "as if encoded": (chance, text) => encodeURIComponent(text) + "%00",
    "bytes beyond ASCII": (chance, text) => {
        const at = chance.below(text.length);
        return text.slice(0, at) + "\xc3\xa9\xff" + text.slice(at + 1);
    },
    "very long": (chance, text) => text.repeat(
        Math.min(40, Math.ceil(20000 / text.length))),
};


// JWTs.

function rewrite(text, at, change) {
    const parts = text.split(".");

    if (parts[at] === undefined) {
        return text + ".";
    }

    parts[at] = base64url(change(Buffer.from(parts[at], "base64url")));

    return parts.join(".");
}

function inJson(text, at, change) {
    return rewrite(text, at, (bytes) =>
        Buffer.from(change(bytes.toString("latin1")), "latin1"));
}

const ON_JWT = {
    "a bit of a part": (chance, text) =>
        rewrite(text, chance.below(3), (bytes) => flipBit(chance, bytes)),
    "a part again": (chance, text) => {
        const parts = text.split(".");
        parts.splice(chance.below(4), 0, chance.pick(parts));
        return parts.join(".");
    },
    "a part less": (chance, text) => {
        const parts = text.split(".");
        parts.splice(chance.below(3), 1);
        return parts.join(".");
    },
    "parts in another order": (chance, text) =>
        chance.shuffle(text.split(".")).join("."),
    "an empty part": (chance, text) => {
        const parts = text.split(".");
        parts[chance.below(3)] = "";
        return parts.join(".");
    },
    "another algorithm": (chance, text) => inJson(text, 0, (json) =>
        json.replace(/"alg":"[^"]*"/, `"alg":"${chance.pick(
            ["none", "HS256", "ES256", "RS256", "EdDSA", "eddsa"])}"`)),
    "another version": (chance, text) => inJson(text, chance.below(2),
        (json) => json.replace(/"ucv":"[^"]*"/, `"ucv":"${chance.pick(
            ["0.8.1", "0.9.1", "0.10.0", "1.0.0", "0.3.0"])}"`)),
    "a later end": (chance, text) => inJson(text, 1, (json) =>
        json.replace(/"exp":[^,}]*/, `"exp":${chance.pick(
            ["4000000000", "null", "1e99", "-1", "4000000000.0"])}`)),
    "a name twice": (chance, text) => inJson(text, chance.below(2), (json) =>
        json.replace("{", "{\"iss\":\"did:key:z6Mk\",\"alg\":\"none\",")),
    "all abilities": (chance, text) => inJson(text, 1, (json) =>
        json.replace(/crud\/[a-z]*/g, "*")),
    "no proofs": (chance, text) => inJson(text, 1, (json) =>
        json.replace(/"prf":\[[^\]]*\]/, "\"prf\":[]")),
    "a proof many times": (chance, text) => inJson(text, 1, (json) =>
        json.replace(/"prf":\[("[^"]*")/, (all, one) =>
            "\"prf\":[" + Array(200).fill(one.slice(0, 90)).join(","))),
    "deep JSON": (chance, text) => inJson(text, chance.below(2), (json) =>
        json.replace("{", "{\"a\":" + "[".repeat(3000))),
    "many members": (chance, text) => inJson(text, 1, (json) =>
        json.replace("{", "{" + Array.from({ length: 900 },
            (_, i) => `"k${i}":0,`).join(""))),
    "many capabilities": (chance, text) => inJson(text, 1, (json) =>
        json.replace(/"att":\[/, "\"att\":[" + (
            "{\"with\":\"x:y\",\"can\":\"a/b\"},").repeat(500))),
    "a longer signature": (chance, text) => rewrite(text, 2, (bytes) =>
        Buffer.concat([bytes, Buffer.alloc(1 + chance.below(64))])),
    "no signature": (chance, text) => rewrite(text, 2, () =>
        Buffer.alloc(chance.pick([1, 63, 64, 65]))),
    "the order of the curve more": (chance, text) => rewrite(text, 2,
        (bytes) => plusOrder(bytes)),
};

// An S beyond the order, which some verifiers take.

const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;

function plusOrder(bytes) {
    if (bytes.length !== 64) {
        return bytes;
    }

    const s = BigInt("0x" + Buffer.from(bytes.subarray(32)).reverse()
                            .toString("hex")) + ORDER;
    const hex = (s % 2n ** 256n).toString(16).padStart(64, "0");

    return Buffer.concat([bytes.subarray(0, 32),
                          Buffer.from(hex, "hex").reverse()]);
}


// Containers, opened and packed again.

function repack(chance, list) {
    return encodeContainer(chance.pick(FORMS), list);
}

function unpacked(text) {
    const body = text.slice(1);
    const bytes = "BO".includes(text[0]) ? base64Decode(body)
                                         : base64urlDecode(body);

    return "OP".includes(text[0]) ? zlib.gunzipSync(bytes) : bytes;
}

function wrapped(chance, bytes, pack = zlib.gzipSync) {
    const form = chance.pick(FORMS);
    const body = "OP".includes(form) ? pack(bytes) : bytes;

    return form + ("BO".includes(form) ? base64(body) : base64url(body));
}

const ON_CONTAINER = {
    "a bit of the bytes": (chance, text) =>
        wrapped(chance, flipBit(chance, unpacked(text))),
    "a bit of the packed bytes": (chance, text) =>
        "P" + base64url(flipBit(chance, zlib.gzipSync(unpacked(text)))),
    "another form": (chance, text) => repack(chance, decodeContainer(text)),
    "another order": (chance, text) =>
        repack(chance, chance.shuffle(decodeContainer(text))),
    "a token twice": (chance, text) => {
        const list = decodeContainer(text);
        return repack(chance, [...list, chance.pick(list)]);
    },
    "a token less": (chance, text) => {
        const list = decodeContainer(text);
        list.splice(chance.below(list.length), 1);
        return repack(chance, list);
    },
    "a token cut": (chance, text) => {
        const list = decodeContainer(text);
        const at = chance.below(list.length);
        list[at] = list[at].subarray(0, chance.below(list[at].length));
        return repack(chance, list);
    },
    "signatures exchanged": (chance, text) => {
        const list = decodeContainer(text).map((bytes) => Buffer.from(bytes));
        const [a, b] = [list[0], list[list.length - 1]];
        const kept = Buffer.from(a.subarray(3, 67));
        b.copy(a, 3, 3, 67);
        kept.copy(b, 3);
        return repack(chance, list);
    },
    "delegation called invocation": (chance, text) => repack(chance,
        decodeContainer(text).map((bytes) => Buffer.from(
            bytes.toString("latin1").replace("ucan/dlg@", "ucan/inv@"),
            "latin1"))),
    "a command": (chance, text) => repack(chance,
        decodeContainer(text).map((bytes) => Buffer.from(
            bytes.toString("latin1").replace("j/crud/read", "a/"),
            "latin1"))),
    "a huge count": (chance, text) => wrapped(chance, Buffer.concat([
        Buffer.from("a16663746e2d7631", "hex"),
        cborWriteHead(4, chance.pick([2n ** 64n - 1n, 2n ** 32n, 65536n])),
        unpacked(text).subarray(9)])),
    "a huge token": (chance, text) => wrapped(chance, Buffer.concat([
        Buffer.from("a16663746e2d763181", "hex"),
        cborWriteHead(2, chance.pick([2n ** 63n, 2n ** 32n])),
        unpacked(text).subarray(12)])),
    "nested": (chance) => wrapped(chance, Buffer.alloc(30000, 0x81)),
    "many tokens": (chance, text) => repack(chance,
        Array(65 + chance.below(300)).fill(decodeContainer(text)[0])
        .map((bytes, i) => i % 2 ? bytes : flipBit(chance, bytes))),
    "many empty tokens": (chance) => wrapped(chance, cborEncode(
        { "ctn-v1": Array(20000).fill(Buffer.alloc(0)) })),
    "two gzips": (chance, text) => "P" + base64url(Buffer.concat([
        zlib.gzipSync(unpacked(text)), zlib.gzipSync(unpacked(text))])),
    "a gzip and more": (chance, text) => "P" + base64url(Buffer.concat([
        zlib.gzipSync(unpacked(text)), chance.bytes(1 + chance.below(9))])),
    "a gzip with a name": (chance, text) => {
        const packed = zlib.gzipSync(unpacked(text));
        packed[3] |= 8;
        return "P" + base64url(Buffer.concat([
            packed.subarray(0, 10), Buffer.from("name\0"),
            packed.subarray(10)]));
    },
    "a bomb": (chance) => "P" + base64url(zlib.gzipSync(
        Buffer.alloc(5e6 + chance.below(5e6)))),
    "a bomb that begins well": (chance, text) => "P" + base64url(
        zlib.gzipSync(Buffer.concat([unpacked(text), Buffer.alloc(4e6)]))),
    "a cut gzip": (chance, text) => {
        const packed = zlib.gzipSync(unpacked(text));
        return "P" + base64url(packed.subarray(0,
                                               chance.below(packed.length)));
    },
    "no gzip": (chance, text) => "P" + base64url(unpacked(text)),
    "a gzip in a gzip": (chance, text) => "P" + base64url(
        zlib.gzipSync(zlib.gzipSync(unpacked(text)))),
};


// Whole requests.

const ON_REQUEST = {
    "proofs in another order": (chance, request) =>
        ({ ...request, proofs: chance.shuffle(request.proofs) }),
    "a proof less": (chance, request) => {
        const proofs = [...request.proofs];
        proofs.splice(chance.below(proofs.length || 1), 1);
        return { ...request, proofs };
    },
    "a proof changed": (chance, request) => ({
        ...request, proofs: request.proofs.map((text) =>
            text && chance.one(2) ? onText(chance, text) : text) }),
    "proofs of others": (chance, request, others) => ({
        ...request, proofs: [...request.proofs, ...others[0].proofs,
                             others[1].token] }),
    "token and proof exchanged": (chance, request) =>
        request.proofs.length
        ? { ...request, token: request.proofs[0],
            proofs: [request.token, ...request.proofs.slice(1)] }
        : { ...request, proofs: [request.token] },
    "two tokens": (chance, request, others) => ({
        ...request, lines: ["Authorization: Bearer " + others[0].token] }),
    "the token twice": (chance, request) => ({
        ...request, lines: ["Authorization: Bearer " + request.token] }),
    "two lists of proofs": (chance, request) => ({
        ...request, lines: ["ucans: " + request.token] }),
    "another scheme": (chance, request) => ({
        ...request, scheme: chance.pick(["Basic", "Bearer\t", "Bear", "",
                                         "bearer bearer", "Bearer,"]) }),
    "spliced with another": (chance, request, others) => {
        const [a, b] = [request.token, others[0].token];
        return { ...request, token: a.slice(0, chance.below(a.length))
                                    + b.slice(chance.below(b.length)) };
    },
    "tokens of two containers": (chance, request, others) => ({
        ...request, token: repack(chance, [request.token, others[0].token]
                                  .flatMap((text) => decodeContainer(text)))
    }),
    "parts of two tokens": (chance, request, others) => {
        const [a, b] = [request, others[0]].map(({ token }) =>
            token.split("."));
        return { ...request, token: [0, 1, 2].map((i) =>
            (chance.one(2) ? a[i] : b[i]) ?? "").join(".") };
    },
};

function onText(chance, text) {
    const tables = [ON_TEXT, isJwt(text) ? ON_JWT : ON_CONTAINER];
    const table = chance.pick(tables);

    return table[chance.pick(Object.keys(table))](chance, text);
}

// One or two changes; what cannot be opened is changed as text.

function mutate(chance, request, others) {
    let changed = request;

    for (let i = chance.one(4) ? 2 : 1; i > 0; i--) {
        try {
            changed = chance.one(4)
                ? ON_REQUEST[chance.pick(Object.keys(ON_REQUEST))](
                      chance, changed, others)
                : { ...changed, token: onText(chance, changed.token) };

        } catch {
            changed = { ...changed, token: ON_TEXT["a letter changed"](
                chance, changed.token || "x") };
        }
    }

    return changed;
}


module.exports = { mutate };
