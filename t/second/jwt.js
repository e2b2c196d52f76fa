// Copyright (C) The Mesh contributors
// SPDX-License-Identifier: AGPL-3.0-only

// UCAN 0.8, 0.9 and 0.10 for the second verifier: tokens as JWTs, and whether
// one proves a capability, by plain recursion over every path that there is.

"use strict";

const { CODEC_RAW, base64urlDecode, cidOf, cidParse, fail, jsonDecode }
    = require("./codec.js");
const { keyOf } = require("./keys.js");

const DEPTH_MAX = 16;
const TOKENS_MAX = 64;
const BYTES_MAX = 65536;

const isText = (value) => typeof value === "string";
const isMap = (value) => value instanceof Map;
const isTextList = (value) => Array.isArray(value) && value.every(isText);


// One token: { version, iss, aud, exp, nbf, capabilities, proofs, cid }.

function decodeJwt(text, readings = {}) {
    const parts = text.split(".");

    if (parts.length !== 3 || parts.includes("") || text.length > BYTES_MAX) {
        fail("jwt: parts");
    }

    const [header, payload] = parts.slice(0, 2).map(
        (part) => jsonDecode(base64urlDecode(part)));

    if (!isMap(header) || !isMap(payload) || header.get("typ") !== "JWT"
        || header.has("uav") || payload.has("uav"))
    {
        fail("jwt: header");
    }

    const version = versionOf(header, payload);
    const token = { version, alg: header.get("alg"),
                    ...Object.fromEntries(payload) };

    checkFields(token);

    return { ...token, capabilities: capabilitiesOf(token, readings),
             proofs: token.prf || [],
             cid: cidOf(CODEC_RAW, Buffer.from(text)),
             signed: Buffer.from(parts[0] + "." + parts[1]),
             signature: base64urlDecode(parts[2]) };
}

function versionOf(header, payload) {
    const [inHeader, inPayload] = [header.get("ucv"), payload.get("ucv")];
    const old = /^0\.([89])\.[0-9]+$/.exec(inHeader ?? "");

    if (old && inPayload === undefined) {
        return Number(old[1]);
    }

    return inHeader === undefined && /^0\.10\.[0-9]+$/.test(inPayload ?? "")
           ? 10 : fail("jwt: version");
}

function checkFields(token) {
    const { version, exp } = token;
    const isOptional = (name, test) => !(name in token) || test(token[name]);

    if (!isText(token.alg) || !isText(token.iss) || !isText(token.aud)
        || !token.aud.startsWith("did:")
        || !(Number.isInteger(exp) || (exp === null && version > 8))
        || !isOptional("nbf", Number.isInteger)
        || !isOptional("nnc", isText)
        || !(isTextList(token.prf) || (!("prf" in token) && version > 8))
        || !isOptional("fct", version === 10 ? isMap
            : (list) => Array.isArray(list) && list.every(isMap)))
    {
        fail("jwt: fields");
    }
}

// Each alternative is a capability of its own: [resource, ability, caveat].

function capabilitiesOf(token, readings) {
    const list = [];

    if (token.version < 10) {
        for (const item of Array.isArray(token.att) ? token.att
                                                    : fail("jwt: att"))
        {
            if (!isMap(item) || !isText(item.get("with"))
                || !isText(item.get("can"))
                || (readings.wellFormedAtt && !isWellFormed(item)))
            {
                fail("jwt: att");
            }

            const caveat = new Map(item);

            caveat.delete("with");
            caveat.delete("can");
            list.push({ with: item.get("with"), can: item.get("can"),
                        caveat });
        }

        return list;
    }

    for (const [resource, abilities] of isMap(token.cap) ? token.cap
                                                       : fail("jwt: cap"))
    {
        for (const [can, caveats] of isMap(abilities) ? abilities
                                                      : fail("jwt: cap"))
        {
            if (!Array.isArray(caveats) || !caveats.every(isMap)) {
                fail("jwt: caveats");
            }

            list.push(...caveats.map((caveat) =>
                ({ with: resource, can, caveat })));
        }
    }

    return list;
}


// A resource with a scheme, an ability with a name space.

function isWellFormed(item) {
    return /^[A-Za-z][A-Za-z0-9+.-]*:/.test(item.get("with"))
           && /^(?:\*|[^/]+\/(?:.*[^/])?)$/.test(item.get("can"));
}

// What one capability says about another.  In 0.8 "ns/*" is an ability like
// any other, so the same text in a later token would say more.

function covers(d, cap, version, claimed) {
    return d.with === cap.with
           && coversAbility(d.can, cap.can, version, claimed)
           && [...d.caveat].every(([key, value]) =>
                  cap.caveat.has(key) && equal(value, cap.caveat.get(key)));
}

function coversAbility(a, b, version, claimed) {
    a = a.replace(/[A-Z]/g, (c) => c.toLowerCase());
    b = b.replace(/[A-Z]/g, (c) => c.toLowerCase());

    return a === "*"
           || (a === b
               && !(version === 8 && claimed > 8 && a.endsWith("/*")))
           || (version > 8 && a.endsWith("/*")
               && b.startsWith(a.slice(0, -1)));
}

function equal(a, b) {
    if (isMap(a) && isMap(b)) {
        return a.size === b.size
               && [...a].every(([k, v]) => b.has(k) && equal(v, b.get(k)));
    }

    if (Array.isArray(a) && Array.isArray(b)) {
        return a.length === b.length && a.every((v, i) => equal(v, b[i]));
    }

    return a === b;
}


// Steps 4 to 6 of the algorithm.

function checkToken(token, { now, leeway }) {
    const key = keyOf(token.iss);

    if (token.alg !== key.alg || !key.verify(token.signed, token.signature)) {
        fail("jwt: signature");
    }

    if (token.exp !== null && now - leeway > token.exp) {
        fail("jwt: expired");
    }

    if ("nbf" in token && now + leeway < token.nbf) {
        fail("jwt: not yet");
    }
}

function isSound(token, object) {
    try {
        checkToken(token, object);
        return true;

    } catch {
        return false;
    }
}


// A case of the family jwt.

function verifyJwt(object, readings = {}) {
    const limits = { max_depth: DEPTH_MAX, max_tokens: TOKENS_MAX,
                     ...object.limits };
    const top = decodeJwt(object.token, readings);
    const pool = [];

    const texts = [object.token, ...object.proofs].flatMap(withEmbedded);

    if (new Set(texts).size > limits.max_tokens) {
        fail("tokens");
    }

    for (const text of object.proofs) {
        try {
            pool.push(decodeJwt(text, readings));

        } catch {
            // broken tokens beside are nobody's business
        }
    }

    checkToken(top, object);

    if (top.aud !== object.audience) {
        fail("audience");
    }

    const facts = object.required.nb
                  && new Map(Object.entries(decodeFacts(object)));
    const context = { object, pool, readings, facts,
                      depth: limits.max_depth };

    const found = top.capabilities.some((cap) =>
        satisfies(cap, top, context) && proves([top], cap, context));

    return found ? { top } : fail("not proven");
}

// A token and those inside it.

function withEmbedded(text) {
    try {
        return [text, ...decodeJwt(text).proofs
                .filter((proof) => proof.includes(".")).flatMap(withEmbedded)];

    } catch {
        return [text];
    }
}

function decodeFacts(object) {
    return Object.fromEntries(
        jsonDecode(Buffer.from(JSON.stringify(object.required.nb))));
}

function satisfies(cap, top, { object, facts }) {
    return cap.with === object.required.with
           && coversAbility(cap.can, object.required.can, top.version, 8)
           && [...cap.caveat].every(([key, value]) =>
                  facts && facts.has(key) && equal(value, facts.get(key)));
}

// path: the tokens so far, that which is nearest to the root last.

function proves(path, cap, context) {
    const token = path[path.length - 1];
    const { object, readings, depth } = context;

    if (path.length > depth) {
        return false;
    }

    if (token.iss === object.root && !isRevoked(path, context)) {
        return true;
    }

    return token.proofs.some((text) => proofsNamed(text, context)
        .some((proof) =>
            proof.aud === token.iss && proof.version <= token.version
            && isSound(proof, object) && isNested(token, proof, readings)
            && proof.capabilities.some((d) =>
                covers(d, cap, proof.version, token.version)
                && proves([...path, proof], d, context))));
}

function proofsNamed(text, { pool, readings }) {
    try {
        if (text.includes(".")) {
            return [decodeJwt(text, readings)];
        }

        const cid = cidParse(text);

        return pool.filter((token) => token.cid.equals(cid));

    } catch {
        return [];
    }
}

function isNested(token, proof, readings) {
    const ends = proof.exp === null
                 || (token.exp !== null && token.exp <= proof.exp);
    const begins = !("nbf" in proof)
                   || ("nbf" in token ? token.nbf >= proof.nbf
                                      : readings.noBeginIsLater === true);

    return ends && begins;
}

// Dead when it was revoked by who issued it, or a token above it.

function isRevoked(path, { object, readings, pool }) {
    return (object.revocations || []).some((record) => {
        const at = path.findIndex((token) => {
            try {
                return token.cid.equals(cidParse(record.revoke));

            } catch {
                return false;
            }
        });

        if (at < 0 || !isGenuine(record)) {
            return false;
        }

        const judges = readings.anyAncestor
                       ? ancestors(path[at], { pool, readings })
                       : path.slice(at);

        return judges.some((token) => token.iss === record.iss);
    });
}

function ancestors(token, context) {
    return [token, ...token.proofs.flatMap((text) =>
        proofsNamed(text, context).flatMap((proof) =>
            ancestors(proof, context)))];
}

function isGenuine(record) {
    try {
        const text = record.challenge.replace(/-/g, "+").replace(/_/g, "/");

        return keyOf(record.iss).verify(
            Buffer.from("REVOKE:" + record.revoke),
            Buffer.from(text, "base64"));

    } catch {
        return false;
    }
}


module.exports = { decodeJwt, verifyJwt };
