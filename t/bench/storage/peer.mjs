// Copyright (C) The Mesh contributors
// SPDX-License-Identifier: AGPL-3.0-only

// What a Node programmer would write: keys and values over fastify and
// better-sqlite3.
//
//     node peer.mjs PORT FILE normal|full|batch
//
// "full" commits each write by itself, "batch" those of one turn of the event
// loop together, both with synchronous=FULL.

import { createRequire } from "node:module";

const [port, file, mode] = process.argv.slice(2);
const require = createRequire(`${process.env.MESH_BENCH_NODE}/x.js`);
const Database = require("better-sqlite3");
const app = require("fastify")({ logger: false, bodyLimit: 1 << 20 });

const db = new Database(file);

db.pragma("journal_mode = WAL");
db.pragma(`synchronous = ${mode === "normal" ? "NORMAL" : "FULL"}`);
db.exec(`CREATE TABLE kv (ns TEXT NOT NULL, key TEXT NOT NULL,
             version INTEGER NOT NULL, value BLOB NOT NULL,
             PRIMARY KEY (ns, key)) STRICT, WITHOUT ROWID`);

const read = db.prepare("SELECT version, value FROM kv"
                        + " WHERE ns = ? AND key = ?");
const write = db.prepare(`INSERT INTO kv (ns, key, version, value)
                          VALUES (?, ?, 1, ?)
                          ON CONFLICT (ns, key) DO UPDATE
                          SET value = excluded.value, version = version + 1
                          RETURNING version`);

app.addContentTypeParser("*", { parseAs: "buffer" },
                         (request, body, done) => done(null, body));

app.get("/kv/:ns/:key", (request, reply) => {
    const row = read.get(request.params.ns, request.params.key);

    if (!row) {
        return reply.code(404).send();
    }

    reply.header("etag", `"${row.version}"`)
         .type("application/octet-stream").send(row.value);
});

let waiting = [];

const commit = db.transaction((list) => list.map(
    (w) => write.get(w.ns, w.key, w.value).version));

function flush() {
    const list = waiting;
    waiting = [];

    commit(list).forEach((version, i) => {
        list[i].reply.header("etag", `"${version}"`).code(204).send();
    });
}

app.put("/kv/:ns/:key", (request, reply) => {
    const { ns, key } = request.params;

    if (mode !== "batch") {
        const row = write.get(ns, key, request.body);
        return reply.header("etag", `"${row.version}"`).code(204).send();
    }

    waiting.push({ ns, key, value: request.body, reply });

    if (waiting.length === 1) {
        setImmediate(flush);
    }
});

await app.listen({ port: Number(port), host: "127.0.0.1" });
