// Copyright (C) The Mesh contributors
// SPDX-License-Identifier: AGPL-3.0-only

// Tokens for the benchmark, as files in a folder: NAME (what follows
// "Bearer "), NAME.proofs (the "ucans" header), calls.DEPTH.ROUND (a new
// invocation a line, all on the same delegations), audience and trust (DIDs).
//
//     node mint.js FOLDER ROUNDS CALLS

"use strict";

const fs = require("fs");
const path = require("path");

const { cborEncode, cborWriteHead, base64url }
    = require("../../second/codec.js");
const { encodeContainer } = require("../../second/container.js");
const { makeKey } = require("../../second/keys.js");
const { DLG, INV, makeEnvelope, makeJwt } = require("../../second/make.js");

const [, , folder, rounds, calls] = process.argv;

const RESOURCE = "https://api.example/notes";
const END = Math.floor(Date.now() / 1000) + 3000;

const service = makeKey("Ed25519", Buffer.from("service"));
const trust = [];


function write(name, text) {
    fs.writeFileSync(path.join(folder, name), text);
}

function key(name, type = "Ed25519") {
    return makeKey(type, Buffer.from("bench " + name));
}

let last = 0;

function nonce() {
    const bytes = Buffer.alloc(12);

    bytes.writeUInt32BE(last++, 8);

    return bytes;
}


// UCAN 1.0: chains of so many tokens, the invocation included.

function chainOf(size, type) {
    const keys = Array.from({ length: size }, (_, i) => key(`v1 ${i}`, type));
    const delegations = keys.slice(0, -1).map((from, i) => makeEnvelope(
        from, DLG + "1.0.0", {
            iss: from.did, aud: keys[i + 1].did, sub: keys[0].did,
            cmd: "/crud", pol: [], nonce: nonce(), exp: END }));

    trust.push(keys[0].did);

    return { keys, delegations };
}

function call({ keys, delegations }) {
    const holder = keys[keys.length - 1];

    return makeEnvelope(holder, INV + "1.0.0", {
        iss: holder.did, aud: service.did, sub: keys[0].did,
        cmd: "/crud/read", args: {}, nonce: nonce(), exp: END - 600,
        prf: delegations.map(({ link }) => link) }).bytes;
}

function container(chain, form = "C") {
    return encodeContainer(form, [...chain.delegations.map((t) => t.bytes),
                                  call(chain)]);
}

// The delegations are the same bytes in each line: only what is new is
// encoded.

function writeCalls(chain, name) {
    const size = chain.delegations.length + 1;
    const head = Buffer.concat([
        Buffer.from("a16663746e2d7631", "hex"), cborWriteHead(4, size),
        ...chain.delegations.map(({ bytes }) => cborEncode(bytes))]);
    const file = fs.openSync(path.join(folder, name), "w");

    for (let i = 0; i < calls; i++) {
        fs.writeSync(file, "C" + base64url(Buffer.concat(
            [head, cborEncode(call(chain))])) + "\n");
    }

    fs.closeSync(file);
}


// 0.x: each token has the ones before it as proofs, by CID or inside.

function jwt(from, to, version, proofs, { list = [RESOURCE], sign } = {}) {
    return makeJwt(from,
        [["alg", JSON.stringify(from.alg)], ["typ", "\"JWT\""],
         ...version < 10 ? [["ucv", `"0.${version}.1"`]] : []],
        [...version < 10 ? [] : [["ucv", "\"0.10.0\""]],
         ["iss", JSON.stringify(from.did)], ["aud", JSON.stringify(to.did)],
         ["exp", String(END)], ["prf", JSON.stringify(proofs)],
         version < 10
         ? ["att", JSON.stringify(list.map((uri) => ({ with: uri,
                                                       can: "crud/read" })))]
         : ["cap", JSON.stringify(Object.fromEntries(list.map((uri) =>
               [uri, { "crud/read": [{}] }])))]], { sign });
}

function writeSession(name, size, version) {
    const keys = Array.from({ length: size }, (_, i) => key(`jwt ${i}`));
    const tokens = [];

    for (let i = 0; i < size; i++) {
        const proofs = tokens.slice(-1).map((t) => version === 8 ? t.text
                                                                 : t.name);
        tokens.push(jwt(keys[i], keys[i + 1] ?? service, version, proofs));
    }

    trust.push(keys[0].did);
    write(name, tokens.pop().text);

    if (version > 8) {
        write(name + ".proofs", tokens.map((t) => t.text).join(", "));
    }
}

// Ten layers of six tokens and a top: each is proven by all of the layer
// below, with two capabilities.  6^10 paths lead to one who is trusted, and
// who signed nothing of it.

function writeAdversary(name) {
    const wide = 6;
    const layers = 10;
    const keys = Array.from({ length: layers + 1 }, (_, i) =>
        key(`adversary ${i}`));
    const all = [];

    keys[0] = key("trusted");
    trust.push(keys[0].did);

    let below = [];

    for (let i = 0; i < layers; i++) {
        const layer = Array.from({ length: wide }, (_, j) => jwt(
            keys[i], keys[i + 1], 10, below.map((t) => t.name),
            { list: [RESOURCE, `x:${i}${j}`],
              sign: i ? undefined : keys[1].sign }));

        all.push(...layer);
        below = layer;
    }

    write(name, jwt(keys[layers], service, 10,
                    below.map((t) => t.name)).text);
    write(name + ".proofs", all.map((t) => t.text).join(","));

    return all.length + 1;
}


const chains = { 1: chainOf(1), 3: chainOf(3), 10: chainOf(10) };

for (const [size, chain] of Object.entries(chains)) {
    write(`cold.${size}`, container(chain));

    for (let round = 1; round <= rounds; round++) {
        writeCalls(chain, `calls.${size}.${round}`);
    }
}

write("packed.3", container(chains[3], "P"));

for (const type of ["P-256", "secp256k1", "P-384", "P-521", "RSA"]) {
    write(`key.${type}`, container(chainOf(1, type)));
}

writeSession("jwt10.1", 1, 10);
writeSession("jwt10.3", 3, 10);
[1, 3, 10].forEach((size) => writeSession(`jwt08.${size}`, size, 8));
write("adversary.tokens", String(writeAdversary("adversary")));
write("audience", service.did);
write("trust", [...new Set(trust)].join(" "));
