// Copyright (C) The Mesh contributors
// SPDX-License-Identifier: AGPL-3.0-only

// UCAN 1.0 for the second verifier: the envelope, and the check of an
// invocation with its delegations, rule by rule.  Throws what is wrong.

"use strict";

const { CODEC_CBOR, Link, cborDecode, cborEncode, cidOf, cidText, fail }
    = require("./codec.js");
const { decodeContainer } = require("./container.js");
const { keyOf } = require("./keys.js");
const { matchPolicy, validatePolicy } = require("./policy.js");

const DEPTH_MAX = 16;
const TOKENS_MAX = 64;

const isInteger = Number.isSafeInteger;
const isText = (value) => typeof value === "string";
const isDid = (value) => isText(value) && /^did:[a-z0-9]+:[^/?#\s]+$/
                                          .test(value);


// One envelope: { kind, cid, signed, signature, header, and the payload }.

function decodeEnvelope(bytes) {
    const envelope = cborDecode(bytes);

    if (!Array.isArray(envelope) || envelope.length !== 2
        || !Buffer.isBuffer(envelope[0]) || !(envelope[1] instanceof Map)
        || envelope[1].size !== 2 || !Buffer.isBuffer(envelope[1].get("h")))
    {
        fail("envelope");
    }

    const [tag, payload] = [...envelope[1]].find(([key]) => key !== "h");
    const match = /^ucan\/(dlg|inv)@1\.0\.0(-rc\.1)?$/.exec(tag);

    if (!match || !(payload instanceof Map)) {
        fail("envelope: tag");
    }

    const token = Object.fromEntries(payload);

    checkFields(token, match[1]);
    checkIntegers(payload);

    // the bytes are canonical, so that what is written again is what came

    return { ...token, kind: match[1], cid: cidOf(CODEC_CBOR, bytes),
             signed: cborEncode(envelope[1]), signature: envelope[0],
             header: envelope[1].get("h") };
}

function checkFields(token, kind) {
    const isEnd = token.exp === null || isInteger(token.exp);

    if (!isDid(token.iss) || !isCommand(token.cmd)
        || !Buffer.isBuffer(token.nonce) || !isEnd
        || ("nbf" in token && !isInteger(token.nbf))
        || ("meta" in token && !(token.meta instanceof Map)))
    {
        fail("payload");
    }

    if (kind === "dlg") {
        if (!isDid(token.aud)
            || !(token.sub === null || isDid(token.sub)))
        {
            fail("delegation");
        }

        validatePolicy(token.pol);
        return;
    }

    if (!isDid(token.sub) || ("aud" in token && !isDid(token.aud))
        || !(token.args instanceof Map) || !Array.isArray(token.prf)
        || !token.prf.every((item) => item instanceof Link)
        || ("iat" in token && !isInteger(token.iat))
        || ("cause" in token && !(token.cause instanceof Link)))
    {
        fail("invocation");
    }
}

// No integer of more than 53 bits, wherever it stands.

function checkIntegers(value) {
    if (typeof value === "bigint") {
        fail("payload: integer");
    }

    if (Array.isArray(value)) {
        value.forEach(checkIntegers);
    }

    if (value instanceof Map) {
        [...value.values()].forEach(checkIntegers);
    }
}

function isCommand(text) {
    return isText(text) && (text === "/" || /^(?:\/[^/]+)+$/.test(text))
           && text === text.toLowerCase();
}

function covers(a, b) {
    return a === "/" || a === b || b.startsWith(a + "/");
}

function checkSignature(token) {
    const key = keyOf(token.iss);

    if (!key.varsig.equals(token.header)
        || !key.verify(token.signed, token.signature))
    {
        fail("signature");
    }
}

function checkTime(token, { now, leeway }) {
    if (token.exp !== null && now - leeway > token.exp) {
        fail("expired");
    }

    if ("nbf" in token && now + leeway < token.nbf) {
        fail("not yet");
    }
}


// A case of the family v1.

function verifyV1(object, readings = {}) {
    const tokens = openContainer(object, readings);
    const top = tokens.find((token) => token.kind === "inv");

    checkSignature(top);
    checkTime(top, object);

    if ((top.aud ?? top.sub) !== object.audience) {
        fail("audience");
    }

    if (!object.subjects.includes(top.sub) || top.sub !== object.required.sub
        || !covers(object.required.cmd, top.cmd))
    {
        fail("requirement");
    }

    if ((object.seen || []).includes(cidText(top.cid))) {
        fail("replay");
    }

    const chain = top.iss === top.sub && !readings.ownProofs
                  ? [] : proofsOf(top, tokens);

    if (chain.length + 1 > (object.limits?.max_depth ?? DEPTH_MAX)) {
        fail("depth");
    }

    try {
        checkProofs(top, chain, object, readings);

    } catch (error) {
        if (!readings.eitherOrder) {
            throw error;
        }

        checkProofs(top, chain.reverse(), object, readings);
    }

    return { top, chain };
}

function checkProofs(top, chain, object, readings) {
    checkChain(top, chain, object);
    checkRevoked(top, chain, object, readings);
}

function openContainer(object, readings) {
    const limits = { max_tokens: TOKENS_MAX, ...object.limits };
    const found = new Map();

    for (const bytes of decodeContainer(object.container,
                                        limits.max_inflated_bytes))
    {
        try {
            const token = decodeEnvelope(bytes);
            found.set(cidText(token.cid), token);

        } catch (error) {
            if (!readings.skipsBroken) {
                throw error;
            }
        }
    }

    const tokens = [...found.values()];
    const tops = tokens.filter((token) => token.kind === "inv");

    if (tops.length !== 1 || tokens.length > limits.max_tokens) {
        fail("tokens");
    }

    return tokens;
}

function proofsOf(top, tokens) {
    const chain = top.prf.map((link) =>
        tokens.find((token) => token.kind === "dlg"
                               && token.cid.equals(link.bytes))
        || fail("missing proof"));

    const isRooted = chain.length > 0 && chain[0].iss === top.sub
                     && chain[0].sub === top.sub;

    return isRooted ? chain : chain.reverse();
}

// Root first.

function checkChain(top, chain, object) {
    let holder = top.sub;
    let command = "/";

    for (const [i, token] of chain.entries()) {
        checkSignature(token);
        checkTime(token, object);

        if (token.iss !== holder) {
            fail("broken chain");
        }

        if (token.sub !== top.sub && (token.sub !== null || i === 0)) {
            fail("subject");
        }

        if (!covers(command, token.cmd)) {
            fail("widened");
        }

        if (!matchPolicy(token.pol, top.args, object.readings)) {
            fail("policy");
        }

        holder = token.aud;
        command = token.cmd;
    }

    if (holder !== top.iss || !covers(command, top.cmd)) {
        fail("chain");
    }
}

function checkRevoked(top, chain, object, readings) {
    for (const text of object.revocations || []) {
        const revocation = decodeEnvelope(Buffer.from(text, "base64"));
        const link = revocation.args
                     && (revocation.args.get("revoke")
                         ?? revocation.args.get("ucan"));

        if (revocation.kind !== "inv" || revocation.cmd !== "/ucan/revoke"
            || !(link instanceof Link))
        {
            continue;
        }

        try {
            checkSignature(revocation);

        } catch {
            continue;
        }

        const at = chain.findIndex((token) => token.cid.equals(link.bytes));
        const judges = readings.anyDelegator ? chain : chain.slice(0, at + 1);

        if (at >= 0
            && judges.some((token) => token.iss === revocation.iss))
        {
            fail("revoked");
        }
    }
}


module.exports = { covers, decodeEnvelope, verifyV1 };
