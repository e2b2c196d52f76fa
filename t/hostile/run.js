// Copyright (C) The Mesh contributors
// SPDX-License-Identifier: AGPL-3.0-only

// Sends requests with changed tokens to an nginx and judges each answer.
// What is changed: all test vectors, and tokens that are good right now.  A
// changed request may be let in only when the second verifier says so and its
// top token is, byte for byte, one that was not changed.
//
//     node run.js PORT VECTORS COUNT SEED changed|whole
//     node run.js PORT VECTORS 0 0 session
//
// Prints one line of JSON; "whole": by requests with nothing changed.  Or a
// session that is good.

"use strict";

const fs = require("fs");
const net = require("net");
const path = require("path");

const { base64, cborDecode } = require("../second/codec.js");
const { decodeContainer, encodeContainer }
    = require("../second/container.js");
const { decodeJwt } = require("../second/jwt.js");
const { makeKey } = require("../second/keys.js");
const { DLG, INV, makeEnvelope, makeJwt } = require("../second/make.js");
const { Chance } = require("../second/random.js");
const { decide } = require("../second/verify.js");
const { mutate } = require("./mutate.js");

const BATCH = 16;               // requests under way on one connection
const HEADER_MAX = 30000;       // bytes of a line that nginx is set to take

const REQUIRED = { with: "https://api.example/notes", can: "crud/read",
                   cmd: "/crud/read" };

const [, , port, folder, count, seed, mode] = process.argv;
const now = Math.floor(Date.now() / 1000);


// What there is to change.

function load(name) {
    return JSON.parse(fs.readFileSync(path.join(folder, name + ".json")));
}

const keys = Object.fromEntries(Object.entries(load("v1").keys)
    .filter(([, key]) => key.seed_hex)
    .map(([name, key]) => [name, makeKey("Ed25519",
                                         Buffer.from(key.seed_hex, "hex"))]));

function vectors() {
    return [
        ...load("v1").cases.map(({ container }) => ({ token: container })),
        ...load("jwt").cases.map(({ token, proofs }) => ({ token, proofs })),
        ...load("container").cases.map(({ header }) => ({ token: header })),
    ].filter(({ token }) => token).map((request) =>
        ({ proofs: [], lines: [], ...request }));
}

function fresh() {
    const { root, alice, bob, svc } = keys;
    const exp = now + 3000;
    const delegation = (from, to) => makeEnvelope(from, DLG + "1.0.0", {
        iss: from.did, aud: to.did, sub: root.did, cmd: "/crud", pol: [],
        nonce: Buffer.from("12345678"), exp });
    const invocation = (key, sub, cmd, prf) => makeEnvelope(
        key, INV + "1.0.0", { iss: key.did, aud: svc.did, sub, cmd, prf,
                              args: {}, nonce: Buffer.from("87654321"),
                              exp });
    const chain = [delegation(root, alice), delegation(alice, bob)];
    const pack = (form, list) => ({
        token: encodeContainer(form, list.map(({ bytes }) => bytes)),
        proofs: [], lines: [] });
    const links = chain.map(({ link }) => link);
    const jwt = (key, aud, version, prf, can = "crud/read") => makeJwt(key,
        [["alg", "\"EdDSA\""], ["typ", "\"JWT\""],
         ...version < 10 ? [["ucv", `"0.${version}.1"`]] : []],
        [...version < 10 ? [] : [["ucv", "\"0.10.0\""]],
         ["iss", JSON.stringify(key.did)], ["aud", JSON.stringify(aud.did)],
         ["exp", String(exp)], ["prf", JSON.stringify(prf)],
         version < 10
         ? ["att", JSON.stringify([{ with: REQUIRED.with, can }])]
         : ["cap", JSON.stringify({ [REQUIRED.with]: { [can]: [{}] } })]
        ]);
    const inner = jwt(root, alice, 10, []);
    const embedded = jwt(root, alice, 8, []);

    return [
        ...["B", "C", "O", "P"].map((form) => pack(form, [
            ...chain, invocation(bob, root.did, "/crud/read", links)])),
        ...["B", "P"].map((form) => pack(form, [
            ...chain, invocation(bob, bob.did, "/session/open", [])])),
        { token: jwt(root, svc, 10, []).text, proofs: [], lines: [] },
        { token: jwt(root, svc, 10, [], "crud/update").text, proofs: [],
          lines: [] },
        { token: jwt(root, svc, 8, [], "crud/update").text, proofs: [],
          lines: [] },
        { token: jwt(alice, svc, 10, [inner.name]).text,
          proofs: [inner.text], lines: [] },
        { token: jwt(alice, svc, 8, [embedded.text]).text, proofs: [],
          lines: [] },
        { token: jwt(alice, svc, 9, [embedded.name]).text,
          proofs: [embedded.text], lines: [] },
    ];
}

const good = fresh();
const all = [...vectors(), ...good, ...good];
const known = new Set(all.flatMap(({ token }) => signedTokens(token)));

// The signed bytes in a text, as text; none when there are none.

function signedTokens(token) {
    try {
        return token.includes(".") ? [token]
             : decodeContainer(token).map(base64);

    } catch {
        return [];
    }
}


// Was it right to let it in?

function mayEnter({ token, proofs }) {
    const object = {
        now, leeway: 0, audience: keys.svc.did, root: keys.root.did,
        token, proofs, container: token, subjects: [keys.root.did],
        required: { ...REQUIRED, sub: keys.root.did } };

    if (token.includes(".")) {
        return known.has(token) && decide("jwt", object).expect === "accept";
    }

    const tokens = [...new Set(signedTokens(token))]
                   .filter((text) => known.has(text));
    const tops = tokens.filter((text) => Buffer.from(text, "base64")
                                         .includes("ucan/inv@"));

    if (tops.length !== 1) {
        return false;
    }

    const payload = cborDecode(Buffer.from(tops[0], "base64"))[1];
    const [, top] = [...payload].find(([key]) => key !== "h");

    return top.get("cmd") === "/session/open"
           ? isSession(top, tokens)
           : decide("v1", object).expect === "accept";
}

// The sessions here are good with both links of the one chain.

function isSession(top, tokens) {
    return top.get("iss") === keys.bob.did && top.get("exp") > now
           && signedTokens(good[0].token)
              .filter((text) => Buffer.from(text, "base64")
                                .includes("ucan/dlg@"))
              .every((text) => tokens.includes(text));
}


// HTTP, by hand: these are no headers that a client would let pass.

function clean(text) {
    return text.replace(/[\x00-\x1f\x7f]/g, "~");
}

function write(request) {
    const lines = [`${clean(request.scheme ?? "Bearer")} `
                   + clean(request.token)]
        .map((value) => "Authorization: " + value);

    if (request.proofs.length > 0) {
        lines.push("ucans: " + clean(request.proofs.join(", ")));
    }

    lines.push(...request.lines.map(clean));

    return "GET /read HTTP/1.1\r\nHost: localhost\r\n"
           + lines.map((line) => line + "\r\n").join("") + "\r\n";
}

// What nginx itself answers: the module sees nothing of it.

function isForNginx(request) {
    const lines = write(request).split("\r\n");

    return lines.some((line) => line.length > HEADER_MAX)
           || lines.filter((line) => line.startsWith("Auth")).length > 1;
}

// One answer of those in the buffer: { status, type, body }, and the rest.

function readAnswer(buffer) {
    const end = buffer.indexOf("\r\n\r\n");

    if (end < 0) {
        return null;
    }

    const head = buffer.subarray(0, end).toString("latin1");
    const length = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0);

    if (buffer.length < end + 4 + length) {
        return null;
    }

    return {
        status: Number(head.slice(9, 12)),
        type: /^content-type: ([^\r;]*)/im.exec(head)?.[1] ?? "",
        body: buffer.subarray(end + 4, end + 4 + length),
        closes: /^connection: close/im.test(head),
        rest: buffer.subarray(end + 4 + length),
    };
}

// Those that a closed connection left unanswered are undefined.

function exchange(requests) {
    return new Promise((resolve) => {
        const socket = net.connect(Number(port), "127.0.0.1");
        const answers = [];
        let buffer = Buffer.alloc(0);

        const end = () => {
            socket.destroy();
            resolve(answers);
        };

        socket.setTimeout(60000, end);
        socket.on("error", end);
        socket.on("end", end);
        socket.on("data", (data) => {
            buffer = Buffer.concat([buffer, data]);

            for (let a; (a = readAnswer(buffer)) !== null;) {
                buffer = a.rest;
                answers.push(a);

                if (answers.length === requests.length || a.closes) {
                    return end();
                }
            }
        });

        socket.write(requests.map(write).join(""), "latin1");
    });
}


const STATUSES = [400, 401, 403, 503, 510];

function judge(request, answer, sums) {
    sums.statuses[answer.status] = (sums.statuses[answer.status] ?? 0) + 1;

    if (answer.status === 200) {
        if (!mayEnter(request)) {
            sums.wrong.push(write(request));
        }

        return;
    }

    let problem = {};

    try {
        problem = JSON.parse(answer.body);

    } catch {
        // told below
    }

    if (isForNginx(request) && answer.status === 400) {
        sums.byNginx++;

    } else if (answer.type !== "application/problem+json"
               || problem.status !== answer.status
               || !STATUSES.includes(answer.status)
               || !/^[a-z-]+$/.test(problem.error))
    {
        sums.strange.push(`${answer.status} ${answer.type} `
                          + write(request));
    }
}

async function main() {
    const chance = new Chance(seed);
    const sums = { statuses: {}, wrong: [], strange: [], byNginx: 0,
                   unanswered: 0 };
    let queue = [];

    for (let sent = 0; sent < count || queue.length > 0;) {
        while (sent < count && queue.length < BATCH) {
            const request = chance.pick(all);

            queue.push(mode === "whole" ? request : mutate(
                chance, request, [chance.pick(all), chance.pick(all)]));
            sent++;
        }

        const answers = await exchange(queue);

        answers.forEach((answer, i) => judge(queue[i], answer, sums));

        // nothing at all for the first one is an answer that is missing

        if (answers.length === 0) {
            sums.unanswered++;
            queue = queue.slice(1);
        }

        queue = queue.slice(answers.length);
    }

    console.log(JSON.stringify(sums));
}

if (mode === "session") {
    console.log(good.find(({ token }) => token.startsWith("P")
                          && token !== good[3].token).token);

} else {
    main();
}
