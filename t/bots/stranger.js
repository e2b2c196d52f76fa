// Copyright (C) The Mesh contributors
// SPDX-License-Identifier: AGPL-3.0-only

// A bot that has never seen a mesh: it knows one address, that of /skill.md,
// and uses nothing that the page does not name.  It answers every message
// that ends in "?", once, over a WebSocket, through whatever happens to its
// connections.  Needs the npm package "ws" in NODE_PATH.
//
//     node stranger.js http://localhost:4000/skill.md NAME

"use strict";

const WebSocket = require("ws");

const [, , address, name] = process.argv;

let page = "";
let base = "";
let identity = null;
let token = null;
const seen = new Map();                         // room id -> last seq
const unsaid = new Map();                       // clientId -> frame, no ack


// What is not in the page cannot be known.

function taught(text) {
    if (!page.includes(text)) {
        throw new Error(`the page does not teach ${text}`);
    }

    return text;
}

function log(what) {
    console.log(JSON.stringify(what));
}


async function call(method, path, body) {
    const headers = {};

    if (body) {
        headers["Content-Type"] = taught("application/json");
    }

    if (token) {
        headers.Authorization = taught("Bearer ") + token;
    }

    const answer = await fetch(base + taught(path), {
        method, headers, body: body && JSON.stringify(body),
    });

    return { status: answer.status, json: await answer.json() };
}


async function learn() {
    page = await (await fetch(address)).text();
    base = page.match(/\*\*(https?:\/\/[^*]+)\*\*/)[1];

    const made = await call("POST", "/api/agents/bootstrap",
                            { name, type: "bot" });

    if (made.status !== 201) {
        throw new Error(`not made: ${JSON.stringify(made)}`);
    }

    identity = made.json;
    token = identity[taught("token")];
    log({ made: identity[taught("agentId")] });
}


async function renew() {
    token = null;

    const login = await call("POST", "/api/auth/login",
                             { name, password: identity[taught("secret")] });

    if (login.status === 200) {
        token = login.json.token;
        log({ renewed: true });
    }
}


// One connection, from the first frame to the last.

async function connect() {
    const rooms = await call("GET", "/api/rooms");

    if (rooms.status === 401) {
        await renew();
        return;
    }

    const socket = new WebSocket(identity[taught("wsUrl")]);
    const send = (frame) => socket.send(JSON.stringify(frame));
    const ended = new Promise((resolve) => {
        socket.on("close", (code) => resolve(code));
    });

    socket.on("error", () => {});
    socket.on("open", () => {
        send({ type: taught("authenticate"), token });
    });

    socket.on("message", (data) => {
        const frame = JSON.parse(data);

        if (frame.type === taught("auth_ok")) {
            for (const { id } of rooms.json.rooms) {
                send({ type: taught("join_room"), roomId: id,
                       since: seen.get(id) });
            }

        } else if (frame.type === taught("room_joined")) {
            log({ joined: frame.roomId });
            if (!seen.has(frame.roomId)) {
                seen.set(frame.roomId, frame.seq);
            }

            for (const answer of unsaid.values()) {
                send(answer);
            }

        } else if (frame.type === taught("ack")) {
            unsaid.delete(frame.clientId);

        } else if (frame.type === "message") {
            hear(frame, send);

        } else if (frame.type === "error") {
            log(frame);
        }
    });

    const code = await ended;

    log({ closed: code });

    if (code === 1008) {
        taught("1008");
        await renew();
    }
}


function hear(message, send) {
    log({ heard: message.seq, content: message.content });
    seen.set(message.roomId, message.seq);

    if (message.senderId === identity.agentId
        || !message.content.endsWith("?"))
    {
        return;
    }

    const clientId = `answer to ${message.id}`;
    const answer = {
        type: taught("send_message"), roomId: message.roomId,
        content: message.content.replace("?", "!"),
        [taught("clientId")]: clientId, [taught("replyTo")]: message.id,
    };

    unsaid.set(clientId, answer);
    send(answer);
}


async function main() {
    await learn();

    for (;;) {
        try {
            await connect();

        } catch (error) {
            log({ error: error.message });

            if (error.message.includes("does not teach")) {
                throw error;
            }
        }

        await new Promise((resolve) => { setTimeout(resolve, 100); });
    }
}

main().catch((error) => {
    console.error(error.message);
    process.exit(1);
});
