// Copyright (C) The Mesh contributors
// SPDX-License-Identifier: AGPL-3.0-only

// What a verification costs in the npm packages ucans (0.8) and iso-ucan
// (1.0), of the same tokens (mint.js): lines of name and microseconds of CPU.
// Needs NODE_PATH; a package that is not there is left out.
//
//     node peers.js FOLDER

"use strict";

const fs = require("fs");
const path = require("path");
const { pathToFileURL } = require("url");

const { decodeContainer } = require("../../second/container.js");

const [, , folder] = process.argv;

const SIZES = [1, 3, 10];
const MS = 1500;                // of CPU for each


function read(name) {
    return fs.readFileSync(path.join(folder, name), "utf8");
}

const audience = read("audience");

async function measure(name, verify) {
    const spent = (since) => {
        const { user, system } = process.cpuUsage(since);
        return user + system;
    };
    let count = 0;

    await verify();

    const start = process.cpuUsage();

    while (spent(start) < MS * 1000) {
        await verify();
        count++;
    }

    console.log(`${name} ${(spent(start) / count).toFixed(1)}`);
}


async function runUcans() {
    const ucans = require("ucans");
    const capability = {
        with: { scheme: "https", hierPart: "//api.example/notes" },
        can: { namespace: "crud", segments: ["read"] } };

    for (const size of SIZES) {
        const token = read(`jwt08.${size}`);
        let root = token;

        for (let i = 1; i < size; i++) {
            root = JSON.parse(Buffer.from(root.split(".")[1], "base64url"))
                   .prf[0];
        }

        const rootIssuer = JSON.parse(
            Buffer.from(root.split(".")[1], "base64url")).iss;

        await measure(`ucans.${size}`, async () => {
            const answer = await ucans.verify(token, {
                audience, requiredCapabilities: [{ capability, rootIssuer }],
            });

            if (!answer.ok) {
                throw new Error("ucans: " + answer.error[0]);
            }
        });
    }
}

async function runIsoUcan() {
    const load = (name) => import(pathToFileURL(path.join(
        process.env.NODE_PATH, name)).href);
    const { Delegation } = await load("iso-ucan/src/delegation.js");
    const { Invocation } = await load("iso-ucan/src/invocation.js");
    const { Resolver } = await load("iso-signatures/src/verifiers/"
                                    + "resolver.js");
    const { verifier } = await load("iso-signatures/src/verifiers/eddsa.js");
    const verifierResolver = new Resolver({ ...verifier });

    for (const size of SIZES) {
        const list = decodeContainer(read(`cold.${size}`));
        const isTop = (bytes) => bytes.includes("ucan/inv@");
        const [top] = list.filter(isTop);
        const others = list.filter((bytes) => !isTop(bytes));

        // a delegation is checked when it is resolved as a proof

        await measure(`iso-ucan.${size}`, async () => {
            const proofs = new Map();

            for (const bytes of others) {
                const proof = await Delegation.fromString(
                    bytes.toString("base64"));
                proofs.set(String(proof.cid), proof);
            }

            await Invocation.from({
                bytes: top, audience: { did: audience }, verifierResolver,
                resolveProof: async (cid) => proofs.get(String(cid)) });
        });
    }
}

async function main() {
    for (const [name, run] of [["ucans", runUcans],
                               ["iso-ucan", runIsoUcan]])
    {
        if (fs.existsSync(path.join(process.env.NODE_PATH, name))) {
            await run();
        }
    }
}

main();
