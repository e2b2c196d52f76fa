// Copyright (C) The Mesh contributors
// SPDX-License-Identifier: AGPL-3.0-only

// Tokens of UCAN 1.0 by the npm packages "iso-ucan" and "iso-signatures", for
// a service: one line of JSON with { roots, sessions, invocations, later }.
// The containers are made by hand from the bytes of the package, which has
// none, and some of the tokens too, by t/second.  Needs NODE_PATH.
//
//     node iso-ucan.js SERVICE

"use strict";

const path = require("path");
const { pathToFileURL } = require("url");

const { encodeContainer } = require("../second/container.js");
const { makeKey } = require("../second/keys.js");
const { DLG, INV, makeEnvelope } = require("../second/make.js");

const [, , service] = process.argv;

const LIFE = 3600;
const FORMS = ["B", "C", "O", "P"];


// These packages are modules, which NODE_PATH does not serve.

function load(name) {
    return import(pathToFileURL(path.join(process.env.NODE_PATH, name)).href);
}

async function loadAll() {
    const names = ["iso-ucan/src/delegation.js", "iso-ucan/src/invocation.js",
                   "iso-signatures/src/signers/eddsa.js",
                   "iso-signatures/src/signers/ecdsa.js",
                   "iso-signatures/src/signers/es256k.js",
                   "iso-signatures/src/verifiers/resolver.js"];
    const [eddsa, ecdsa] = await Promise.all(["eddsa", "ecdsa"].map((name) =>
        load(`iso-signatures/src/verifiers/${name}.js`)));
    const iso = Object.assign({}, ...await Promise.all(names.map(load)));

    // it checks the proofs of what it makes

    return { ...iso, resolver: new iso.Resolver({ ...eddsa.verifier,
                                                  ...ecdsa.verifier }) };
}


// From the root through the holders, root first.

async function chain(iso, keys, { cmd = "/room", pol = [] } = {}) {
    const list = [];

    for (let i = 0; i + 1 < keys.length; i++) {
        list.push(await iso.Delegation.create({
            iss: keys[i], aud: keys[i + 1].did, sub: keys[0].did, cmd, pol,
            ttl: LIFE }));
    }

    return list;
}

function container(form, tokens) {
    return encodeContainer(form, tokens.map(({ bytes }) =>
        Buffer.from(bytes)));
}

async function session(iso, form, keys, options) {
    const holder = keys[keys.length - 1];
    const top = await iso.Invocation.create({
        iss: holder, sub: holder.did, aud: service, cmd: "/session/open",
        args: {}, prf: [], ttl: LIFE });

    return container(form, [...await chain(iso, keys, options), top]);
}

async function invocation(iso, form, keys, options = {}) {
    const proofs = await chain(iso, keys, options);
    const top = await iso.Invocation.create({
        iss: keys[keys.length - 1], sub: keys[0].did,
        aud: options.aud ?? service, cmd: options.invoked ?? "/room/read",
        args: options.args ?? { room: "r_1" }, prf: proofs, ttl: 300,
        verifierResolver: iso.resolver });

    return container(form, [...options.without ? [] : proofs, top]);
}


// The same by hand.

function byHand(type, form, isSession) {
    const [root, holder] = ["root", "holder"].map((name) =>
        makeKey(type, Buffer.from(process.pid + name + type)));
    const end = Math.floor(Date.now() / 1000) + LIFE;
    const nonce = Buffer.from(String(process.hrtime.bigint()));
    const proof = makeEnvelope(root, DLG + "1.0.0", {
        iss: root.did, aud: holder.did, sub: root.did, cmd: "/room", pol: [],
        nonce, exp: null });

    const top = makeEnvelope(holder, INV + "1.0.0", {
        iss: holder.did, aud: service, nonce, exp: isSession ? end
                                                             : end - LIFE + 60,
        sub: isSession ? holder.did : root.did,
        cmd: isSession ? "/session/open" : "/room/read",
        args: isSession ? {} : { room: "r_1" },
        prf: isSession ? [] : [proof.link] });

    return { root: root.did, token: container(form, [proof, top]) };
}


async function main() {
    const iso = await loadAll();
    const ed = () => iso.EdDSASigner.generate();
    const p256 = () => iso.ECDSASigner.generate("P-256");
    const k1 = () => iso.ES256KSigner.generate();
    const [root, ada, bob] = [await ed(), await ed(), await ed()];
    const rooted = [[root, ada], [root, ada, bob]];
    const roots = [root.did];
    const sessions = {};
    const invocations = {};

    for (const form of FORMS) {
        for (const keys of rooted) {
            sessions[`${form}, depth ${keys.length}`]
                = await session(iso, form, keys);
            invocations[`${form}, depth ${keys.length}`]
                = await invocation(iso, form, keys);
        }
    }

    for (const [name, make] of [["P-256", p256], ["secp256k1", k1],
                                ["P-384", () => iso.ECDSASigner.generate(
                                    "P-384")],
                                ["P-521", () => iso.ECDSASigner.generate(
                                    "P-521")]])
    {
        const [first, last] = [await make(), await make()];

        roots.push(first.did);
        sessions[`root of ${name}`] = await session(iso, "C", [first, ada]);
        sessions[`holder of ${name}`] = await session(iso, "P", [root, last]);
        invocations[`all of ${name}`]
            = await invocation(iso, "B", [first, last]);
    }

    for (const [i, type] of ["Ed25519", "P-256", "secp256k1", "RSA"]
         .entries())
    {
        for (const isSession of [true, false]) {
            const made = byHand(type, FORMS[i], isSession);

            roots.push(made.root);
            (isSession ? sessions : invocations)[`by hand, ${type}`]
                = made.token;
        }
    }

    invocations["a policy that holds"] = await invocation(
        iso, "C", [root, ada], { pol: [["==", ".room", "r_1"]] });

    const later = {
        "for another service": await invocation(iso, "C", [root, ada],
                                                { aud: bob.did }),
        "of nobody's root": await invocation(iso, "C", [ada, bob]),
        "without its proofs": await invocation(iso, "C", [root, ada],
                                               { without: true }),
        "only delegations": container("C", await chain(iso, [root, ada])),
        "a command that is like a prefix": await invocation(
            iso, "C", [root, ada], { cmd: "/ro", invoked: "/room/read" }),
        "a session by a stranger's chain": container("C", [
            ...await chain(iso, [root, ada]),
            await iso.Invocation.create({
                iss: bob, sub: bob.did, aud: service, cmd: "/session/open",
                args: {}, prf: [], ttl: LIFE })]),
    };

    console.log(JSON.stringify({ roots, sessions, invocations, later }));
}

main();
