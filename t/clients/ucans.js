// Copyright (C) The Mesh contributors
// SPDX-License-Identifier: AGPL-3.0-only

// Tokens of UCAN 0.8.1 by the npm package "ucans", for a service: one line of
// JSON with { roots, sessions, later, files }: good for "mesh:" resources, good
// for nothing, good for a URI of https.  Needs NODE_PATH.
//
//     node ucans.js SERVICE

"use strict";

const ucans = require("ucans");

const [, , service] = process.argv;

const LIFE = 3600;


function capability(root, ability = "read") {
    return { with: { scheme: "mesh", hierPart: `//${root.did()}/room/r_1` },
             can: { namespace: "room", segments: [ability] } };
}

async function token(issuer, audience, capabilities, proofs, life = LIFE) {
    return ucans.encode(await ucans.build({
        issuer, audience, capabilities, proofs, lifetimeInSeconds: life }));
}

// From the root through so many hands to the service.

async function chain(root, holders, capabilities = [capability(root)]) {
    const keys = [root, ...holders];
    let proofs = [];

    for (let i = 0; i < keys.length; i++) {
        const audience = keys[i + 1] ? keys[i + 1].did() : service;
        proofs = [await token(keys[i], audience, capabilities, proofs,
                              LIFE - i)];
    }

    return proofs[0];
}

// Under node the package signs the whole buffer that the message is a part
// of, and nobody, itself included, can verify that: here it is all there is.

async function rsaKey() {
    const key = await ucans.RsaKeypair.create({ size: 2048 });
    const sign = key.sign.bind(key);

    key.sign = (message) => sign(Uint8Array.from(message));

    return key;
}

async function main() {
    const [root, ada, bob] = await Promise.all(
        [1, 2, 3].map(() => ucans.EdKeypair.create()));
    const [rsaRoot, rsaHolder] = await Promise.all(
        [1, 2].map(rsaKey));
    const both = [capability(root), capability(root, "send")];

    const sessions = {
        "depth 1, Ed25519": await chain(root, []),
        "depth 2, Ed25519": await chain(root, [ada]),
        "depth 3, Ed25519": await chain(root, [ada, bob]),
        "depth 3, two capabilities": await chain(root, [ada, bob], both),
        "depth 1, RSA": await chain(rsaRoot, []),
        "depth 2, RSA root": await chain(rsaRoot, [ada]),
        "depth 2, RSA holder": await chain(root, [rsaHolder]),
        "depth 3, RSA in between": await chain(root, [rsaHolder, bob]),
        "two proofs, one of them useless": await token(
            bob, service, [capability(root)],
            [await token(ada, bob.did(), [capability(ada)], []),
             await token(root, bob.did(), [capability(root)], [])],
            LIFE - 1),
    };

    const file = { with: { scheme: "https", hierPart: "//example.org/f/1" },
                   can: { namespace: "file", segments: ["read"] } };
    const files = {
        "depth 1": await chain(root, [], [file]),
        "depth 3": await chain(root, [ada, bob], [file]),
        "depth 2, RSA": await chain(rsaRoot, [rsaHolder], [file]),
    };

    const later = {
        "for another service": await token(root, ada.did(),
                                           [capability(root)], []),
        "of nobody's root": await chain(ada, [bob]),
        "a capability that nobody gave": await token(
            ada, service, [capability(root, "send")],
            [await token(root, ada.did(), [capability(root)], [])]),
        "a proof for another": await token(
            bob, service, [capability(root)],
            [await token(root, ada.did(), [capability(root)], [])],
            LIFE - 1),
        "ended": await token(root, service, [capability(root)], [], -10),
        "longer than its proof": await token(
            ada, service, [capability(root)],
            [await token(root, ada.did(), [capability(root)], [])],
            LIFE + 60),
    };

    console.log(JSON.stringify({ roots: [root.did(), rsaRoot.did()],
                                 sessions, later, files }));
}

main();
