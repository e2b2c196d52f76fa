// Copyright (C) The Mesh contributors
// SPDX-License-Identifier: AGPL-3.0-only

// Writes random test vectors, in the format of t/vectors/ucan/README.md, with
// the answers of the second verifier.  Where the specification can be read in
// two ways and the answer depends on it, a case is "optional".
//
//     node generate.js FOLDER COUNT SEED

"use strict";

const fs = require("fs");
const path = require("path");

const { TYPES, makeKey } = require("./keys.js");
const { Chance } = require("./random.js");
const { jwtCase } = require("./random_jwt.js");
const { policyCase } = require("./random_policy.js");
const { containerCase, v1Case } = require("./random_v1.js");
const { decide } = require("./verify.js");

// Every second reading that verify.js knows, one at a time.

const READINGS = {
    jwt: ["noBeginIsLater", "anyAncestor", "wellFormedAtt"],
    v1: ["absentFails", "anyOfNothing", "bytesAreItems", "eitherOrder",
         "ownProofs", "anyDelegator", "skipsBroken"],
    policy: ["absentFails", "anyOfNothing", "bytesAreItems"],
    container: [],
    did: [],
};


// Who takes part.  Most have Ed25519 keys, as in life.

function makeWorld(chance) {
    const key = (type) => makeKey(type, chance.bytes(32));
    const rsa = key("RSA");

    return {
        service: key("Ed25519"), other: key("Ed25519"),
        roots: [key("Ed25519"), key("Ed25519"), key("P-256"),
                key("secp256k1"), rsa],
        actors: [...Array.from({ length: 5 }, () => key("Ed25519")),
                 key("P-256"), key("secp256k1"), key("P-384"), key("P-521"),
                 rsa],
    };
}

// A point that nobody made may lie outside the main subgroup: a choice.

function didCase(chance, world) {
    const made = randomDid(chance, world);

    return { ...made, isChoice: made.key_type === "Ed25519"
                                && made.did !== made.from
                                && made.did.startsWith("did:key:z6Mk") };
}

function randomDid(chance, world) {
    const key = chance.pick(world.actors);
    const type = chance.pick(Object.keys(TYPES));
    const did = key.did;
    const at = 9 + chance.below(did.length - 9);

    return {
        key_type: key.type, from: did,
        did: chance.pick([
            () => did,
            () => did.slice(0, at) + did.slice(at + 1),
            () => did.slice(0, at) + "2" + did.slice(at),
            () => did.slice(0, at) + chance.pick([..."0OIl1zA "])
                  + did.slice(at + 1),
            () => did.replace("did:key:z", chance.pick(
                ["did:key:", "did:web:z", "DID:key:z", "did:key:m",
                 "did:key:z1", "did:key:zz"])),
            () => did + chance.pick(["#" + did.slice(8), "/", "?", " ",
                                     "\n", "1"]),
            () => makeKey(type === "RSA" ? "P-521" : type,
                          chance.bytes(32)).did,
        ])(),
    };
}

const MAKERS = { v1: v1Case, jwt: jwtCase, policy: policyCase,
                 container: containerCase, did: didCase };


function makeCase(family, id, chance, world) {
    const whole = { ...world, root: chance.pick(world.roots) };
    const made = MAKERS[family](chance, whole);
    const answer = decide(family, made);
    const isOptional = made.isChoice || READINGS[family].some((name) =>
        decide(family, made, { [name]: true }).expect !== answer.expect);

    return { id, family, ...made, ...answer,
             ...(isOptional ? { optional: true } : {}) };
}

// How the cases are shared out, in tenths.

const SHARES = { v1: 3, jwt: 3, policy: 3, container: 0.5, did: 0.5 };

function generate(folder, count, seed) {
    const chance = new Chance(seed);
    const world = makeWorld(chance);
    const sums = {};

    for (const [family, share] of Object.entries(SHARES)) {
        const cases = Array.from(
            { length: Math.ceil(count * share / 10) },
            (_, i) => makeCase(family, `${seed}-${i}`, chance, world));

        for (const { expect, optional } of cases) {
            const name = `${family} ${optional ? "optional" : expect}`;
            sums[name] = (sums[name] ?? 0) + 1;
        }

        fs.writeFileSync(path.join(folder, family + ".json"),
                         JSON.stringify({ format: 1, family, cases }));
    }

    return sums;
}


const [, , folder, count, seed] = process.argv;

console.log(JSON.stringify(generate(folder, Number(count), seed)));
