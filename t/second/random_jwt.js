// Copyright (C) The Mesh contributors
// SPDX-License-Identifier: AGPL-3.0-only

// Random cases of UCAN 0.8, 0.9 and 0.10: small graphs of tokens over few
// names, so that many of them nearly fit, and chains that hold, most often
// broken in one or more ways.

"use strict";

const { base64url, cidOf } = require("./codec.js");
const { jsonText, jwtOf, makeJwt, makeRecord } = require("./make.js");

const NOW = 1800000000;

const RESOURCES = ["https://api.example/notes", "https://api.example/notes/1",
                   "mailto:a@example.com"];
const ABILITIES = ["crud/read", "crud/*", "*", "CRUD/Read", "crud/update",
                   "crudx/read", "crud/read/all"];
const CAVEATS = [{}, {}, { status: "live" }, { day: "mon" },
                 { status: "live", day: "mon" }, { status: "draft" },
                 { n: 1, list: [1, { a: null }] }];
const FACTS = [undefined, {}, { status: "live", day: "mon" },
               { status: "live", n: 1, list: [1, { a: null }] },
               { status: "draft", day: "mon" }];
const ENDS = [NOW + 3600, NOW + 3600, NOW + 7200, NOW, NOW - 1];


function link(key, aud, version, chance) {
    return {
        key, aud: aud.did, version, exp: NOW + 3600, nbf: undefined,
        capabilities: [], proofs: [], header: {}, payload: {},
        embed: version === 8 && !chance.one(4),
    };
}

function capability(resource, can, caveat) {
    return { resource, can, caveat };
}


// A graph: tokens in an order, each with any of those before as its proofs.

function graph(chance, world) {
    const names = [world.root, ...chance.shuffle(world.actors).slice(0, 2)];
    const tokens = [];

    for (let i = 0; i < 2 + chance.below(5); i++) {
        const version = chance.pick([8, 9, 10, 10, 10]);
        const t = link(chance.pick(names), chance.pick(names), version,
                       chance);

        t.exp = chance.pick(version > 8 ? [...ENDS, null] : ENDS);
        t.nbf = chance.pick([undefined, undefined, undefined, NOW - 60, NOW,
                             NOW + 1]);
        t.capabilities = Array.from({ length: 1 + chance.below(3) }, () =>
            capability(chance.pick(RESOURCES.slice(0, 2)),
                       chance.pick(ABILITIES.slice(0, 5)),
                       chance.pick(CAVEATS)));
        t.proofs = tokens.filter(() => chance.one(2));
        tokens.push(t);
    }

    const top = tokens[tokens.length - 1];

    top.aud = world.service.did;
    top.exp = NOW + chance.pick([0, 60]);
    top.proofs = tokens.slice(0, -1);

    return { tokens, top, leeway: 0, limits: {},
             required: { with: RESOURCES[0], can: "crud/read",
                         nb: chance.pick(FACTS) } };
}


// A chain that holds.

function chain(chance, world) {
    const depth = chance.pick([0, 1, 1, 2, 2, 3, 4, 6, 8]);
    const holders = [world.root, ...Array.from(
        { length: depth }, () => chance.pick(world.actors)), world.service];
    const leeway = chance.one(4) ? chance.below(60) : 0;
    const versions = Array.from({ length: depth + 1 },
                                () => chance.pick([8, 9, 10]))
                     .sort((a, b) => a - b);
    const facts = chance.pick(FACTS.slice(1));
    const grows = Object.entries(facts ?? {});
    const tokens = [];

    for (let i = 0; i <= depth; i++) {
        const t = link(holders[i], holders[i + 1], versions[i], chance);
        const share = Math.floor(grows.length * i / (depth + 1));

        t.exp = endOf(chance, i ? tokens[i - 1] : null, t.version, leeway);
        t.nbf = i && tokens[i - 1].nbf !== undefined
                ? chance.pick([tokens[i - 1].nbf, NOW + leeway])
                : chance.one(5) ? NOW - chance.below(99) : undefined;
        t.capabilities = chance.shuffle([
            capability(RESOURCES[0], abilityAt(chance, i, t, tokens[i - 1]),
                       Object.fromEntries(grows.slice(0, share))),
            ...others(chance)]);
        t.proofs = i ? [tokens[i - 1]] : [];
        t.needed = t.capabilities.find((c) => c.resource === RESOURCES[0]);
        tokens.push(t);
    }

    return { tokens, top: tokens[depth], leeway, limits: {}, isChain: true,
             required: { with: RESOURCES[0], can: "crud/read",
                         nb: chance.one(9) ? undefined : facts } };
}

function endOf(chance, proof, version, leeway) {
    const last = proof ? proof.exp : chance.pick([NOW + 7200, null]);

    if (last === null) {
        return version > 8 && chance.one(2) ? null : NOW + 7200;
    }

    return chance.pick([last, Math.max(last - 60, NOW - leeway),
                        NOW - leeway]);
}

// The wildcards end where a narrower one came.

function abilityAt(chance, i, t, above) {
    const last = above ? above.needed.can : "*";
    const narrow = chance.pick(["crud/read", "crud/read", "CRUD/read"]);

    if (last === "*") {
        return chance.pick(["*", t.version > 8 ? "crud/*" : "*", narrow]);
    }

    return last === "crud/*" ? chance.pick(["crud/*", narrow]) : narrow;
}

function others(chance) {
    return Array.from({ length: chance.one(2) ? chance.below(3) : 0 }, () =>
        capability(chance.pick(RESOURCES.slice(1)), chance.pick(ABILITIES),
                   chance.pick(CAVEATS)));
}


// Faults; each has a token to work on.

const FAULTS = {
    "issued by another": (p, chance, world, t) => {
        t.key = chance.pick(world.actors);
    },
    "signed by another": (p, chance, world, t) => {
        t.sign = chance.pick(world.actors).sign;
    },
    "for another": (p, chance, world, t) => {
        t.aud = chance.pick([...world.actors, world.other]).did;
    },
    "no audience": (p, chance, world, t) => {
        t.aud = chance.pick(["x", "", [world.service.did], 1, null,
                             world.service.did + "#a",
                             world.service.did + "\0x"]);
    },
    "no issuer": (p, chance, world, t) => {
        t.iss = chance.pick([
            "x", "did:web:a.example", "did:key:z", "DID:KEY:z6Mk", 1,
            "did:key:z6LSbysY2xFMRpGMhb7tFTLMpeuPRaqaWM1yECx2AtzE3KCc",
            t.key.did.slice(0, -1), t.key.did + "1", " " + t.key.did,
            t.key.did + "/x", t.key.did.replace(/z./, "z1")]);
    },
    "expired": (p, chance, world, t) => {
        t.exp = NOW - p.leeway - 1 - chance.below(3);
    },
    "not yet": (p, chance, world, t) => {
        t.nbf = NOW + p.leeway + 1;
    },
    "outlives": (p, chance, world, t) => {
        t.exp = chance.pick([NOW + 9999, t.version > 8 ? null : NOW + 7201,
                             NOW + 3601]);
    },
    "earlier than its proof": (p, chance, world, t) => {
        t.nbf = chance.pick([undefined, NOW - 9999, NOW - 100]);
    },
    "another ability": (p, chance, world, t) => {
        t.capabilities.forEach((c) => {
            c.can = chance.pick(ABILITIES);
        });
    },
    "another resource": (p, chance, world, t) => {
        t.capabilities.forEach((c) => {
            c.resource = chance.pick([
                ...RESOURCES, "https://api.example/", "https://api.example/"
                + "notes/", "HTTPS://api.example/notes", "*", "my:*"]);
        });
    },
    "other caveats": (p, chance, world, t) => {
        t.capabilities.forEach((c) => {
            c.caveat = chance.pick(CAVEATS);
        });
    },
    "nothing": (p, chance, world, t) => {
        t.capabilities = chance.one(2) ? [] : others(chance);
    },
    "never": (p, chance, world, t) => {
        t.capabilities.forEach((c) => {
            c.never = t.version === 10;
        });
    },
    "newer than what it proves": (p, chance, world, t) => {
        t.version = chance.pick([8, 9, 10]);
        t.embed = t.version === 8;
    },
    "another algorithm": (p, chance, world, t) => {
        t.header.alg = chance.pick([
            "\"none\"", "\"HS256\"", "\"RS256\"", "\"ES256\"", "\"eddsa\"",
            "\"EdDSA\"", "\"ES256K\"", undefined, "1", "null"]);
    },
    "another type": (p, chance, world, t) => {
        t.header.typ = chance.pick(["\"jwt\"", "\"JOSE\"", undefined, "1"]);
    },
    "another version": (p, chance, world, t) => {
        const where = t.version === 10 ? t.payload : t.header;

        where.ucv = chance.pick([
            "\"0.7.0\"", "\"1.0.0\"", "\"0.11.0\"", "\"\"", undefined, "0.8",
            "8", t.version === 10 ? "\"0.9.1\"" : "\"0.10.0\"",
            "\"0.80.1\"", "null"]);
    },
    "two versions": (p, chance, world, t) => {
        t.header.ucv = "\"0.8.1\"";
        t.payload.ucv = "\"0.10.0\"";
    },
    "the old form": (p, chance, world, t) => {
        t.header.uav = "\"1.0.0\"";
    },
    "no end": (p, chance, world, t) => {
        t.payload.exp = chance.pick([
            undefined, "1800003600.0", "1.8e9", "\"1800003600\"", "true",
            "9007199254740993", "-9007199254740993", "[]", "1e400",
            "99999999999999999999"]);
    },
    "no begin": (p, chance, world, t) => {
        t.payload.nbf = chance.pick(["1.5", "\"0\"", "true", "1e3",
                                     "9007199254740993", "{}"]);
    },
    "other fields": (p, chance, world, t) => {
        const name = chance.pick(["fct", "nnc", "prf", "cap", "att"]);

        t.payload[name] = chance.pick({
            fct: t.version === 10 ? ["[]", "\"x\"", "1", "{\"a\":[1.5]}"]
                                  : ["{}", "\"x\"", "[1]", "[{\"a\":1.5}]"],
            nnc: ["1", "{}", "\"x\""],
            prf: ["\"x\"", "{}", "[1]", "null", "[null]"],
            cap: t.version === 10 ? ["[]", "{\"x:a\":[]}", "1",
                                     "{\"x:a\":{\"b\":{}}}", undefined,
                                     "{\"x:a\":{\"b\":[1]}}"] : [undefined],
            att: t.version === 10 ? [undefined]
                 : ["{}", "[1]", "[{}]", "[{\"with\":\"x:a\"}]", undefined,
                    "[{\"with\":\"x:a\",\"can\":1}]"],
        }[name]);
    },
    "a name twice": (p, chance, world, t) => {
        t.twice = chance.pick(["iss", "aud", "exp", "alg", "typ"]);
    },
    "text that is no JSON": (p, chance, world, t) => {
        t.json = chance.pick([
            (s) => s + " x", (s) => s + ",", (s) => "\ufeff" + s,
            (s) => "[" + s + "]", (s) => s.slice(0, -1),
            (s) => s.replace("{", "{,"), (s) => s.replace(/}$/, ",}"),
            (s) => s.replace(/"/g, "'"), (s) => s.replace("{", "{\"a\":01,"),
            (s) => s.replace("{", "{\"a\":\"\\u0000\","),
            (s) => s.replace("{", "{\"a\":\"\\ud800\","),
            (s) => s.replace("{", "{\"a\":\"\n\","),
            (s) => s.replace("{", "{\"a\":{\"b\":1,\"b\":1},"),
            (s) => s.replace("{", "{\"a\":" + "[".repeat(90)
                                  + "]".repeat(90) + ","),
            (s) => s.replace("{", " {\t") + "\n",
            (s) => s.replace("{", "{\"a\":[1.5,-0,1e3,null,\"\\u00e9\"],")]);
    },
    "another text": (p, chance, world, t) => {
        t.after = chance.pick([
            (s) => s + "=", (s) => s + ".", (s) => s + ".x",
            (s) => s.replace(/\.[^.]*$/, "."), (s) => s.replace(".", ".."),
            (s) => s.replace(/\.[^.]*$/, ""), (s) => "." + s,
            (s) => s.replace(/.$/, (c) => c === "A" ? "B" : "A"),
            (s) => s.replace(/^./, "f"), (s) => s.slice(0, -4),
            (s) => s + "AAAA", (s) => s + "A", (s) => s.replace(/e/, "e "),
            (s) => s.replace(/_/g, "/").replace(/-/g, "+")]);
    },
    "a proof is missing": (p, chance, world, t) => {
        t.missing = true;
    },
    "a proof more": (p, chance, world, t) => {
        t.extra = chance.pick([
            "b" + "a".repeat(58), jwtOf("a.b.c").name,
            "bafkqabtimvwgy3yk", "QmYwAPJzv5CZsnAzt8auVTLbmyxkyBHcs1UF3e5M"
            + "FPTfFu"]);
    },
    "other facts": (p, chance) => {
        p.required.nb = chance.pick(FACTS);
    },
    "another requirement": (p, chance) => {
        p.required.with = chance.pick(RESOURCES);
        p.required.can = chance.pick(ABILITIES);
    },
    "too deep": (p) => {
        p.limits.max_depth = Math.max(p.tokens.length - 1, 1);
    },
    "too many": (p) => {
        p.limits.max_tokens = Math.max(p.tokens.length - 1, 1);
    },
};


function build(t, chance) {
    const names = t.proofs.map((proof) => t.embed && proof.version === 8
        ? proof.token.text
        : chance.one(4) ? proof.token.name58 : proof.token.name);

    if (t.extra) {
        names.splice(chance.below(names.length + 1), 0, t.extra);
    }

    const header = {
        alg: JSON.stringify(t.key.alg), typ: "\"JWT\"",
        ...(t.version < 10 ? { ucv: `"0.${t.version}.1"` } : {}),
        ...t.header };
    const payload = {
        ...(t.version === 10 ? { ucv: "\"0.10.0\"" } : {}),
        iss: JSON.stringify(t.iss ?? t.key.did), aud: JSON.stringify(t.aud),
        exp: JSON.stringify(t.exp),
        ...(t.nbf === undefined ? {} : { nbf: JSON.stringify(t.nbf) }),
        ...(chance.one(4) ? { nnc: "\"" + chance.below(99) + "\"" } : {}),
        [t.version === 10 ? "cap" : "att"]: capabilitiesText(t),
        prf: JSON.stringify(names), ...t.payload };

    const options = { sign: t.sign };
    const pairs = [header, payload].map((part) => pairsOf(part, t.twice));
    let token = makeJwt(t.key, ...pairs, options);

    if (t.json) {
        const part = [jsonText(pairs[0]), jsonText(pairs[1])];

        part[chance.below(2)] = t.json(part[chance.below(2)]);

        const text = part.map((s) => base64url(Buffer.from(s))).join(".");

        token = jwtOf(text + "." + base64url((t.sign ?? t.key.sign)(
            Buffer.from(text))));
    }

    t.token = t.after ? jwtOf(t.after(token.text)) : token;

    return t.token;
}

function pairsOf(part, twice) {
    return Object.entries(part).filter(([, text]) => text !== undefined)
           .flatMap((pair) => pair[0] === twice ? [pair, pair] : [pair]);
}

function capabilitiesText(t) {
    if (t.version < 10) {
        return JSON.stringify(t.capabilities.map((c) =>
            ({ ...c.caveat, with: c.resource, can: c.can })));
    }

    const map = {};

    for (const c of t.capabilities) {
        const abilities = map[c.resource] ??= {};
        const list = abilities[c.can] ??= [];

        if (!c.never) {
            list.push(c.caveat);
        }
    }

    return JSON.stringify(map);
}


function revocations(chance, world, p) {
    if (!chance.one(4)) {
        return undefined;
    }

    return Array.from({ length: 1 + chance.below(2) }, () => {
        const t = chance.pick(p.tokens);
        const by = chance.pick([t.key, chance.pick(p.tokens).key, world.root,
                                world.other, chance.pick(world.actors)]);
        const name = chance.one(6) ? jwtOf("x.y.z").name : t.token.name;

        return makeRecord(by, name, chance.one(6) ? t.key.did : by.did);
    });
}

function jwtCase(chance, world) {
    const p = chance.one(3) ? graph(chance, world) : chain(chance, world);
    const names = [];

    if (chance.below(10) < (p.isChain ? 6 : 2)) {
        for (let i = 0; i < chance.pick([1, 1, 1, 2, 3]); i++) {
            const name = chance.pick(Object.keys(FAULTS));

            FAULTS[name](p, chance, world, chance.pick(p.tokens));
            names.push(name);
        }

    } else if (p.isChain && chance.one(3)) {
        p.limits = chance.pick([{ max_depth: p.tokens.length },
                                { max_tokens: p.tokens.length }]);
    }

    p.tokens.forEach((t) => build(t, chance));

    const proofs = p.tokens.filter((t) => t !== p.top && !t.missing)
        .filter((t) => t.version > 8 || !t.embed || chance.one(3)
                || p.tokens.some((u) => u.proofs.includes(t) && !u.embed))
        .map((t) => t.token.text);

    if (chance.one(4) && !p.limits.max_tokens) {
        proofs.push(chance.pick(["x", "a.b.c", "e30.e30.AA",
                                 cidOf(85, Buffer.alloc(1)).toString("hex"),
                                 ...proofs]));
    }

    return {
        description: names.join(", ") || (p.isChain ? "whole" : "a graph"),
        token: p.top.token.text,
        proofs: chance.shuffle(proofs),
        now: NOW, leeway: p.leeway, audience: world.service.did,
        root: world.root.did, required: p.required,
        limits: Object.keys(p.limits).length ? p.limits : undefined,
        revocations: revocations(chance, world, p),
    };
}


module.exports = { jwtCase };
