// Copyright (C) The Mesh contributors
// SPDX-License-Identifier: AGPL-3.0-only

// did:key for the second verifier, and keys that sign, for what makes tokens
// to test with.  Signatures are those of node:crypto.

"use strict";

const crypto = require("crypto");

const { base58Decode, base58Encode, fail, sha256, varint }
    = require("./codec.js");

const DID_MAX = 1024;


// One line for each type of key: the table of did:key, JWT and varsig.

const ED_SPKI = "302a300506032b6570032100";

function ecSpki(oid, length) {
    const algorithm = "30" + (oid.length / 2 + 9).toString(16)
                      + "06072a8648ce3d0201" + oid;
    const bits = "03" + (length + 1).toString(16).padStart(2, "0") + "00";
    const size = algorithm.length / 2 + bits.length / 2 + length;

    return "30" + size.toString(16).padStart(2, "0") + algorithm + bits;
}

const TYPES = {
    "Ed25519": { code: 0xed, length: 32, alg: "EdDSA", hash: null,
                 varsig: "ed01ed0113", signature: 64, spki: ED_SPKI },
    "secp256k1": { code: 0xe7, length: 33, alg: "ES256K", hash: "sha256",
                   varsig: "ec01e70112", signature: 64, curve: "secp256k1",
                   spki: ecSpki("06052b8104000a", 33) },
    "P-256": { code: 0x1200, length: 33, alg: "ES256", hash: "sha256",
               varsig: "ec01802412", signature: 64, curve: "prime256v1",
               spki: ecSpki("06082a8648ce3d030107", 33) },
    "P-384": { code: 0x1201, length: 49, alg: "ES384", hash: "sha384",
               varsig: "ec01812420", signature: 96, curve: "secp384r1",
               spki: ecSpki("06052b81040022", 49) },
    "P-521": { code: 0x1202, length: 67, alg: "ES512", hash: "sha512",
               varsig: "ec01822413", signature: 132, curve: "secp521r1",
               spki: ecSpki("06052b81040023", 67) },
    "RSA": { code: 0x1205, alg: "RS256", hash: "sha256" },
};

function varintEncode(n) {
    const bytes = [];

    while (n > 127) {
        bytes.push(n & 127 | 128);
        n >>= 7;
    }

    return Buffer.from([...bytes, n]);
}


// The key of a DID: { type, alg, varsig, verify }.

function keyOf(did) {
    if (typeof did !== "string" || did.length > DID_MAX
        || !did.startsWith("did:key:z"))
    {
        fail("did");
    }

    const [code, raw] = varint(base58Decode(did.slice(9)));
    const name = Object.keys(TYPES).find((key) => TYPES[key].code === code)
                 || fail("did: no key that signs");
    const type = TYPES[name];

    if (name === "RSA") {
        return rsaKey(type, raw);
    }

    if (raw.length !== type.length) {
        fail("did: length of the key");
    }

    if (name === "Ed25519" ? isWeakPoint(raw) : raw[0] !== 2 && raw[0] !== 3) {
        fail("did: point");
    }

    const key = crypto.createPublicKey({
        key: Buffer.concat([Buffer.from(type.spki, "hex"), raw]),
        format: "der", type: "spki" });

    return {
        type: name,
        alg: type.alg,
        varsig: Buffer.from("3401" + type.varsig + "71", "hex"),
        verify: (bytes, signature) =>
            signature.length === type.signature
            && crypto.verify(type.hash, bytes,
                             { key, dsaEncoding: "ieee-p1363" }, signature),
    };
}

function rsaKey(type, raw) {
    const key = crypto.createPublicKey({ key: raw, format: "der",
                                         type: "pkcs1" });
    const bits = key.asymmetricKeyDetails.modulusLength;
    const { n, e } = key.export({ format: "jwk" });
    const isEven = (text) => Buffer.from(text, "base64url").at(-1) % 2 === 0;

    if (!key.export({ format: "der", type: "pkcs1" }).equals(raw)
        || bits < 2048 || bits > 8192 || isEven(n) || isEven(e))
    {
        fail("did: rsa");
    }

    const size = varintEncode(Math.ceil(bits / 8)).toString("hex");

    return {
        type: "RSA",
        alg: type.alg,
        varsig: Buffer.from("3401852412" + size + "71", "hex"),
        verify: (bytes, signature) =>
            signature.length === Math.ceil(bits / 8)
            && crypto.verify(type.hash, bytes, key, signature),
    };
}


// Points of Ed25519 that nobody may have for a key, by their y: beyond the
// field, off the curve, of small order (the two of order 8 are the known
// constants).

const P = 2n ** 255n - 19n;

const SMALL_Y = [
    0n, 1n, P - 1n,
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
].map((y) => typeof y === "bigint" ? y : littleEndian(Buffer.from(y, "hex")));

function littleEndian(bytes) {
    return BigInt("0x" + Buffer.from(bytes).reverse().toString("hex"));
}

function isWeakPoint(raw) {
    const y = littleEndian(raw) & (1n << 255n) - 1n;

    return y >= P || SMALL_Y.includes(y) || !isOnCurve(y);
}

// x^2 = (y^2 - 1) / (d y^2 + 1) has a root: Euler's criterion.

const D = modulo(-121665n * power(121666n, P - 2n));

function modulo(n) {
    return (n % P + P) % P;
}

function power(base, exponent) {
    let result = 1n;

    for (base %= P; exponent > 0n; exponent >>= 1n) {
        if (exponent & 1n) {
            result = result * base % P;
        }

        base = base * base % P;
    }

    return result;
}

function isOnCurve(y) {
    const x2 = modulo((y * y - 1n) * power(D * y * y + 1n, P - 2n));

    return x2 === 0n || power(x2, (P - 1n) / 2n) === 1n;
}


// Keys that sign: { did, type, alg, varsig, sign }.

function signer(type, raw, hash, key) {
    const prefix = varintEncode(TYPES[type].code);
    const did = "did:key:z" + base58Encode(Buffer.concat([prefix, raw]));
    const { alg, varsig } = keyOf(did);

    return {
        did, type, alg, varsig, private: key,
        sign: (bytes) => crypto.sign(hash, bytes,
                                     { key, dsaEncoding: "ieee-p1363" }),
    };
}

// A key by its seed, so that the same seed makes the same key; RSA has none.

function makeKey(type, seed) {
    const { curve, hash } = TYPES[type];

    if (type === "RSA") {
        const pair = crypto.generateKeyPairSync("rsa",
                                                { modulusLength: 2048 });
        const raw = pair.publicKey.export({ format: "der", type: "pkcs1" });

        return signer(type, raw, hash, pair.privateKey);
    }

    if (type === "Ed25519") {
        const key = crypto.createPrivateKey({
            key: Buffer.concat([
                Buffer.from("302e020100300506032b657004220420", "hex"),
                seed.length === 32 ? seed : sha256(seed)]),
            format: "der", type: "pkcs8" });
        const spki = crypto.createPublicKey(key)
                     .export({ format: "der", type: "spki" });

        return signer(type, spki.subarray(-32), hash, key);
    }

    const ecdh = crypto.createECDH(curve);
    const size = TYPES[type].length - 1;
    const secret = Buffer.alloc(size);

    // shorter than the order, so that any seed is a key

    secret.set(sha256(seed).subarray(0, 24), size - 24);

    ecdh.setPrivateKey(secret);

    const point = ecdh.getPublicKey();
    const jwk = {
        kty: "EC", crv: type,
        x: point.subarray(1, 1 + size).toString("base64url"),
        y: point.subarray(1 + size).toString("base64url"),
        d: secret.toString("base64url") };

    return signer(type, ecdh.getPublicKey(null, "compressed"), hash,
                  crypto.createPrivateKey({ key: jwk, format: "jwk" }));
}


module.exports = { TYPES, keyOf, makeKey };
