// Copyright (C) The Mesh contributors
// SPDX-License-Identifier: AGPL-3.0-only

// An honest holder: asks again and again with one session, until SIGTERM, and
// then says how long the answers took, as one line of JSON.
//
//     node honest.js PORT TOKEN

"use strict";

const http = require("http");

const [, , port, token] = process.argv;

const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
const times = [];
let refused = 0;
let going = true;


function ask() {
    return new Promise((resolve, reject) => {
        const start = process.hrtime.bigint();

        http.get({ port, agent, path: "/read", headers: {
            Authorization: "Bearer " + token } }, (answer) => {
            answer.resume();
            answer.on("end", () => {
                times.push(Number(process.hrtime.bigint() - start) / 1e6);
                refused += answer.statusCode === 200 ? 0 : 1;
                resolve();
            });
        }).on("error", reject);
    });
}

async function main() {
    process.on("SIGTERM", () => {
        going = false;
    });

    while (going) {
        await ask();
        await new Promise((resolve) => setTimeout(resolve, 2));
    }

    times.sort((a, b) => a - b);

    const at = (share) => times[Math.floor((times.length - 1) * share)];

    console.log(JSON.stringify({ count: times.length, refused,
                                 p50: at(0.5), p99: at(0.99) }));
    process.exit(0);
}

main();
