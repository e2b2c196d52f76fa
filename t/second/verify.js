// Copyright (C) The Mesh contributors
// SPDX-License-Identifier: AGPL-3.0-only

// The second verifier: gives a case of the test vectors its answer.  Written
// from the specification alone, for tests alone: nothing is remembered, every
// path is tried, and it can be read in an hour.
//
//     node verify.js FOLDER        what differs from "expect", case by case

"use strict";

const fs = require("fs");
const path = require("path");

const { cborDecode } = require("./codec.js");
const { decodeContainer } = require("./container.js");
const { verifyJwt } = require("./jwt.js");
const { keyOf } = require("./keys.js");
const { matchPolicy, validatePolicy } = require("./policy.js");
const { verifyV1 } = require("./v1.js");


function attempt(check) {
    try {
        check();
        return { expect: "accept", reason: null };

    } catch (error) {
        return { expect: "reject", reason: error.message };
    }
}

function decidePolicy(object, readings) {
    const [policy, args] = [object.policy_cbor_hex, object.args_cbor_hex]
        .map((hex) => Buffer.from(hex, "hex"));
    let decoded;

    try {
        decoded = cborDecode(policy);
        validatePolicy(decoded);

    } catch (error) {
        return { expect: "invalid", reason: error.message };
    }

    return { expect: matchPolicy(decoded, cborDecode(args), readings),
             reason: null };
}

function decideContainer(object) {
    return attempt(() => {
        const list = decodeContainer(object.header,
                                     object.limits?.max_inflated_bytes);

        const distinct = new Set(list.map((bytes) => bytes.toString("hex")));

        if (object.tokens !== undefined && distinct.size !== object.tokens) {
            throw new Error("number of tokens");
        }
    });
}

// { expect, reason } by the family; readings: see where they are asked for.

function decide(family, object, readings = {}) {
    switch (family) {
    case "jwt":
        return attempt(() => verifyJwt(object, readings));
    case "v1":
        return attempt(() => verifyV1({ ...object, readings }, readings));
    case "container":
        return decideContainer(object);
    case "policy":
        return decidePolicy(object, readings);
    default:
        return attempt(() => keyOf(object.did));
    }
}


function main(folder) {
    let wrong = 0;
    let count = 0;

    for (const name of fs.readdirSync(folder)) {
        if (!name.endsWith(".json")) {
            continue;
        }

        const file = JSON.parse(fs.readFileSync(path.join(folder, name)));

        for (const object of file.cases) {
            const answer = decide(file.family, object);

            count++;

            if (answer.expect !== object.expect) {
                wrong += object.optional ? 0 : 1;
                console.log(`${object.optional ? "choice" : "differs"}: `
                            + `${name}: ${object.id}: ${answer.expect}, `
                            + `${answer.reason}`);
            }
        }
    }

    console.log(`${count} cases, ${wrong} differ`);
    process.exitCode = wrong ? 1 : 0;
}

if (require.main === module) {
    main(process.argv[2]);
}


module.exports = { decide };
