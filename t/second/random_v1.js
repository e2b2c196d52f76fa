// Copyright (C) The Mesh contributors
// SPDX-License-Identifier: AGPL-3.0-only

// Random cases of UCAN 1.0: a chain that holds, most often broken in one or
// more ways by the rules of validation, and containers, whole and broken.

"use strict";

const zlib = require("zlib");

const { CODEC_CBOR, CODEC_RAW, Float, Link, base64, base64url, cborEncode,
        cidOf, cidText } = require("./codec.js");
const { encodeContainer } = require("./container.js");
const { DLG, INV, SPOILS, envelopeOf, makeEnvelope, makeRevocation,
        spoilBy } = require("./make.js");
const { badPolicy, randomMap, randomPolicy, truePolicy }
    = require("./random_policy.js");

const NOW = 1800000000;
const TAGS = ["1.0.0", "1.0.0-rc.1"];
const SEGMENTS = ["crud", "read", "all", "x", "é"];


// A plan: what each token says; root first, the invocation last.

function plan(chance, world) {
    const depth = chance.pick([0, 1, 1, 2, 2, 3, 3, 4, 5, 7]);
    const holders = [world.root, ...Array.from(
        { length: depth }, () => chance.pick(world.actors))];
    const args = randomMap(chance);
    const leeway = chance.one(4) ? chance.below(60) : 0;
    const command = Array.from({ length: 1 + chance.below(3) },
                               () => chance.pick(SEGMENTS));
    const sizes = Array.from({ length: depth },
                             () => chance.below(command.length + 1)).sort();
    const delegations = holders.slice(0, -1).map((key, i) => ({
        key, tag: DLG + chance.pick(TAGS),
        payload: {
            iss: key.did, aud: holders[i + 1].did,
            sub: i > 0 && chance.one(4) ? null : world.root.did,
            cmd: prefixOf(command, sizes[i]),
            pol: chance.one(2) ? [] : truePolicy(chance, args),
            nonce: chance.bytes(12), ...times(chance, leeway),
            ...(chance.one(6) ? { meta: randomMap(chance) } : {}),
        },
    }));
    const holder = holders[depth];
    const end = times(chance, leeway);

    const top = {
        key: holder, tag: INV + chance.pick(TAGS),
        payload: {
            iss: holder.did, sub: world.root.did, aud: world.service.did,
            cmd: "/" + command.join("/"), args, prf: [],
            nonce: chance.bytes(chance.one(6) ? 0 : 12), ...end,
            ...(chance.one(6) ? { meta: randomMap(chance) } : {}),
            ...(chance.one(6) ? { iat: NOW + chance.below(9) } : {}),
            ...(chance.one(9) ? { cause: someLink(chance) } : {}),
        },
    };

    return {
        delegations, top, leeway, holders, args, limits: {},
        reversed: depth > 1 && chance.one(3),
        required: prefixOf(command, chance.below(command.length + 1)),
    };
}

// The first segments of a command.

function prefixOf(command, size) {
    return "/" + command.slice(0, size).join("/");
}

function times(chance, leeway) {
    const time = { exp: chance.pick([NOW + 3600, NOW + 3600, NOW - leeway,
                                     NOW + 1, null]) };

    if (chance.one(3)) {
        time.nbf = chance.pick([NOW - 3600, NOW + leeway, NOW - 1, 0, -1]);
    }

    return time;
}

function someLink(chance) {
    return new Link(cidOf(CODEC_CBOR, chance.bytes(8)));
}


// Faults in the plan; each has a link to work on.

const FAULTS = {
    "issued by another": (p, chance, world, link) => {
        link.key = chance.pick(world.actors);
        link.payload.iss = link.key.did;
    },
    "signed by another": (p, chance, world, link) => {
        link.options = { sign: chance.pick(world.actors).sign };
    },
    "for another": (p, chance, world, link) => {
        link.payload.aud = chance.pick([...world.actors, world.other]).did;
    },
    "about another": (p, chance, world, link) => {
        link.payload.sub = chance.pick([world.other.did, null,
                                        world.actors[0].did]);
    },
    "expired": (p, chance, world, link) => {
        link.payload.exp = NOW - p.leeway - 1 - chance.below(3);
    },
    "not yet": (p, chance, world, link) => {
        link.payload.nbf = NOW + p.leeway + 1 + chance.below(3);
    },
    "another command": (p, chance, world, link) => {
        link.payload.cmd = chance.pick([
            "/", "/crud", "/crud/read", "/crudx", "/x/y", "/crud/read/all/x",
            link.payload.cmd + "x", link.payload.cmd + "/x"])
            .replace(/^\/\//, "/");
    },
    "no command": (p, chance, world, link) => {
        link.payload.cmd = chance.pick([
            "", "crud", "/crud/", "//", "/crud//read", "/CRUD",
            1, null, Buffer.from("/")]);
    },
    "any policy": (p, chance, world, link) => {
        if ("pol" in link.payload) {
            link.payload.pol = randomPolicy(chance, p.args);
        }
    },
    "no policy": (p, chance, world, link) => {
        if ("pol" in link.payload) {
            link.payload.pol = chance.pick([
                () => badPolicy(chance, p.args), () => null, () => "x",
                () => new Map()])();
        }
    },
    "another requirement": (p, chance) => {
        p.required = chance.pick(["/crud/read/all/x", "/", "/x", p.required
                                                               + "x"]);
    },
    "a field is absent": (p, chance, world, link) => {
        const name = chance.pick(Object.keys(link.payload).filter(
            (key) => !["meta", "nbf", "iat", "cause"].includes(key)));

        delete link.payload[name];
    },
    "a field of another type": (p, chance, world, link) => {
        const name = chance.pick(["iss", "sub", "nonce", "exp", "nbf", "aud",
                                  "meta", "cmd"]);

        link.payload[name] = chance.pick({
            nonce: ["x", 1, [], true], meta: [[], "x", 1, false],
            exp: [new Float(NOW + 9), "x", true, Buffer.alloc(4),
                  2n ** 53n, -(2n ** 53n), 2n ** 64n - 1n],
            nbf: [new Float(NOW - 9), "x", false, 2n ** 53n],
        }[name] ?? [1, true, [], Buffer.alloc(4), "x", "did:key",
                    "did:key:", "mailto:x"]);
    },
    "other fields of the invocation": (p, chance) => {
        const name = chance.pick(["args", "prf", "iat", "cause"]);

        p.top.payload[name] = chance.pick({
            args: [[], "x", null, Buffer.alloc(1)],
            prf: [null, "x", ["x"], [Buffer.alloc(36)], [1], new Map()],
            iat: [new Float(1), "x", 2n ** 53n],
            cause: ["x", Buffer.alloc(36), 1],
        }[name]);
        p.keepProofs = name === "prf";
    },
    "a long integer somewhere": (p, chance, world, link) => {
        const big = chance.pick([2n ** 53n, 2n ** 63n, -(2n ** 53n),
                                 -(2n ** 64n)]);

        if ("pol" in link.payload) {
            link.payload.pol = [["!=", ".a", chance.pick([big, [big]])]];

        } else {
            link.payload.args = new Map([["a", [big]]]);
        }
    },
    "another tag": (p, chance, world, link) => {
        link.tag = chance.pick([
            "ucan/dlg@2.0.0", "ucan/inv@1.0.1", "ucan/dlg@1.0.0-rc.2",
            "ucan/dlg", "ucan/inv@1.0", DLG + TAGS[0], INV + TAGS[1]]);
    },
    "another varsig": (p, chance, world, link) => {
        const good = link.key.varsig.toString("hex");

        link.options = { ...link.options, header: Buffer.from(chance.pick([
            "34ed0171", good.replace(/71$/, "70"), good + "00",
            good.replace(/^3401/, "3402"), good.slice(0, -2), "",
            good.replace(/^(....)ed01/, "$1eb01"),
            chance.pick(world.actors).varsig.toString("hex"),
            "3401ed01ed011271"]), "hex") };
    },
    "bytes that nobody should sign": (p, chance, world, link) => {
        link.options = { ...link.options,
                         spoil: spoilBy(chance.pick(Object.keys(SPOILS))) };
    },
    "another signature": (p, chance, world, link) => {
        const cut = chance.pick([
            (bytes) => bytes.subarray(1), (bytes) => bytes.subarray(0, 63),
            () => Buffer.alloc(0), () => Buffer.alloc(64),
            (bytes) => Buffer.concat([bytes, Buffer.alloc(1)]),
            (bytes) => flipped(chance, bytes)]);
        const sign = link.key.sign;

        link.options = { ...link.options, sign: (bytes) => cut(sign(bytes)) };
    },
    "bytes changed afterwards": (p, chance, world, link) => {
        link.after = chance.pick([
            (bytes) => flipped(chance, bytes),
            (bytes) => Buffer.concat([bytes, Buffer.from([0xf6])]),
            (bytes) => Buffer.concat([Buffer.from([0x83]), bytes.subarray(1),
                                      Buffer.from([0xf6])]),
            (bytes) => bytes.subarray(0, bytes.length - 1)]);
    },
    "a proof is missing": (p, chance) => {
        p.missing = chance.below(p.delegations.length || 1);
    },
    "proofs in another order": (p, chance) => {
        p.arrange = (list) => chance.shuffle(list);
    },
    "fewer proofs": (p, chance) => {
        p.arrange = (list) => list.filter(() => !chance.one(3));
    },
    "a proof more": (p, chance) => {
        p.arrange = (list) => chance.shuffle([someLink(chance), ...list]);
    },
    "a proof under another codec": (p, chance) => {
        p.arrange = (list) => list.map((link, i) => i ? link : chance.pick([
            new Link(Buffer.concat([Buffer.from([1, CODEC_RAW]),
                                    link.bytes.subarray(2)])),
            new Link(Buffer.concat([Buffer.from([1, CODEC_CBOR, 0, 32]),
                                    link.bytes.subarray(4)]))]));
    },
    "for another service": (p, chance, world) => {
        p.top.payload.aud = chance.pick([world.other, world.root,
                                         world.actors[1]]).did;
    },
    "no audience": (p) => {
        delete p.top.payload.aud;
    },
    "two invocations": (p) => {
        p.second = true;
    },
    "no invocation": (p) => {
        p.topless = true;
    },
    "too deep": (p) => {
        p.limits.max_depth = Math.max(p.delegations.length, 1);
    },
    "too many": (p) => {
        p.limits.max_tokens = p.delegations.length;
    },
    "used before": (p) => {
        p.seen = true;
    },
};

function flipped(chance, bytes) {
    const copy = Buffer.from(bytes);

    copy[chance.below(copy.length)] ^= 1 << chance.below(8);

    return copy;
}


function build(link, prf) {
    if (prf) {
        link.payload.prf = prf;
    }

    const token = makeEnvelope(link.key, link.tag, link.payload,
                               link.options);

    return link.after ? envelopeOf(link.after(token.bytes)) : token;
}

// Delegations that no proof names: they change nothing.

function strangers(chance, world) {
    return Array.from({ length: chance.one(3) ? chance.below(4) : 0 }, () => {
        const [key, liar] = [chance.pick(world.actors),
                             chance.pick(world.actors)];

        return makeEnvelope(key, DLG + TAGS[0], {
            iss: key.did, aud: chance.pick(world.actors).did, cmd: "/",
            sub: chance.pick([null, world.root.did]), pol: [],
            nonce: chance.bytes(12), exp: chance.pick([null, NOW - 99]),
        }, chance.one(2) ? { sign: liar.sign } : {});
    });
}

function revocations(chance, world, p, built) {
    if (built.length === 0 || !chance.one(4)) {
        return undefined;
    }

    const at = chance.below(built.length);
    const by = chance.pick([
        p.delegations[at].key, p.delegations[chance.below(at + 1)].key,
        chance.pick(p.delegations).key, chance.pick(world.actors),
        world.other, p.top.key]);
    const link = chance.one(6) ? someLink(chance) : built[at].link;

    return [makeRevocation(by, link, {
        alias: chance.one(3),
        claimed: chance.one(5) ? p.delegations[at].key.did : by.did })];
}

function v1Case(chance, world) {
    const p = plan(chance, world);
    const names = [];

    if (chance.below(10) < 6) {
        for (let i = 0; i < chance.pick([1, 1, 1, 2, 3]); i++) {
            const name = chance.pick(Object.keys(FAULTS));
            const link = chance.pick([...p.delegations, p.top]);

            FAULTS[name](p, chance, world, link);
            names.push(name);
        }

    } else if (chance.one(3)) {
        p.limits = chance.pick([{ max_depth: p.delegations.length + 1 },
                                { max_tokens: p.delegations.length + 1 }]);
        p.alone = true;
    }

    return assemble(chance, world, p, names);
}

function assemble(chance, world, p, names) {
    const built = p.delegations.map((link) => build(link));
    let prf = built.map((token) => token.link);

    if (p.reversed) {
        prf.reverse();
    }

    if (p.arrange) {
        prf = p.arrange(prf);
    }

    const top = build(p.top, p.keepProofs ? undefined : prf);
    const list = [...built.filter((token, i) => i !== p.missing),
                  ...(p.alone ? [] : strangers(chance, world))];

    if (!p.topless) {
        list.push(top);
    }

    if (p.second) {
        list.push(makeEnvelope(p.top.key, INV + TAGS[0],
                               { ...p.top.payload, prf: [],
                                 nonce: Buffer.from("second") }));
    }

    if (list.length > 0 && chance.one(8) && !p.alone) {
        list.push(chance.pick(list));
    }

    const seen = p.seen ? [cidText(top.cid)]
               : chance.one(9) ? [cidText(someLink(chance).bytes)] : undefined;

    return {
        description: names.join(", ") || "whole",
        container: encodeContainer(chance.pick(["B", "C", "O", "P"]),
                                   chance.shuffle(list.map((t) => t.bytes))),
        invocation: base64(top.bytes),
        delegations: built.map((token) => base64(token.bytes)),
        now: NOW, leeway: p.leeway, audience: world.service.did,
        subjects: chance.one(6) ? [world.other.did, world.root.did]
                                : [world.root.did],
        required: { sub: world.root.did, cmd: p.required },
        limits: Object.keys(p.limits).length ? p.limits : undefined,
        revocations: revocations(chance, world, p, built), seen,
    };
}


// A case of the family container.

const WRAPS = {
    whole: (list) => cborEncode({ "ctn-v1": list }),
    "two keys": (list) => cborEncode({ "ctn-v1": list, a: 1 }),
    "another key": (list) => cborEncode({ "ctn-v2": list }),
    "no list": (list) => cborEncode({ "ctn-v1": list[0] }),
    "an empty list": () => cborEncode({ "ctn-v1": [] }),
    "text in the list": (list) => cborEncode({ "ctn-v1": [...list, "x"] }),
    "only the list": (list) => cborEncode(list),
    "bytes after it": (list) => Buffer.concat([WRAPS.whole(list),
                                               Buffer.from([0])]),
    "cut": (list) => WRAPS.whole(list).subarray(0, -1),
    "a long count": (list) => Buffer.concat([
        Buffer.from("a16663746e2d76319801", "hex"),
        cborEncode(list[0])]),
    "a list without a length": (list) => Buffer.concat([
        Buffer.from("a16663746e2d76319f", "hex"), cborEncode(list[0]),
        Buffer.from([0xff])]),
    "a huge count": (list) => Buffer.concat([
        Buffer.from("a16663746e2d76319bffffffffffffffff", "hex"),
        cborEncode(list[0])]),
};

const GZIPS = {
    whole: (bytes) => zlib.gzipSync(bytes),
    stored: (bytes) => zlib.gzipSync(bytes, { level: 0 }),
    "bytes after it": (bytes) => Buffer.concat([zlib.gzipSync(bytes),
                                                Buffer.from([0])]),
    "two members": (bytes) => Buffer.concat([
        zlib.gzipSync(bytes.subarray(0, 9)),
        zlib.gzipSync(bytes.subarray(9))]),
    "another sum": (bytes) => changed(zlib.gzipSync(bytes), -8),
    "another length": (bytes) => changed(zlib.gzipSync(bytes), -1),
    cut: (bytes) => zlib.gzipSync(bytes).subarray(0, -3),
    "another method": (bytes) => changed(zlib.gzipSync(bytes), 2),
    deflate: (bytes) => zlib.deflateSync(bytes),
};

const TEXTS = {
    whole: (text) => text,
    "padding": (text) => text + "=",
    "no padding": (text) => text.replace(/=+$/, ""),
    "a blank": (text) => text + " ",
    "a line end": (text) => text.slice(0, 9) + "\n" + text.slice(9),
    "another alphabet": (text) => text.replace(/[-+]/g,
        (c) => c === "-" ? "+" : "-"),
    "bits at the end": (text) => text.replace(/(.)(=*)$/, "$1$2")
        .replace(/([AQgw])(=+)$/, (all, c, end) =>
            String.fromCharCode(c.charCodeAt(0) + 1) + end),
    "a lonely letter": (text) => text.replace(/=+$/, "") + "A",
};

function changed(bytes, at) {
    bytes[at < 0 ? bytes.length + at : at] ^= 1;

    return bytes;
}

function choose(chance, table, broken) {
    return broken ? chance.pick(Object.keys(table)) : "whole";
}

function containerCase(chance) {
    const list = Array.from({ length: 1 + chance.below(4) },
                            () => chance.bytes(1 + chance.below(300)));
    const form = chance.pick(["B", "C", "O", "P"]);
    const broken = chance.below(5);
    const wrap = choose(chance, WRAPS, broken === 1);
    const pack = choose(chance, GZIPS, broken === 2);
    const write = choose(chance, TEXTS, broken === 3);

    let bytes = WRAPS[wrap](list);

    if (form === "O" || form === "P") {
        bytes = GZIPS[pack](bytes);
    }

    const text = TEXTS[write](form === "B" || form === "O"
                              ? base64(bytes) : base64url(bytes));
    const first = broken === 4 ? chance.pick([..."BCOPM@XbcJ", ""]) : form;

    return { description: [wrap, pack, write].filter((s) => s !== "whole")
                          .join(", ") || "whole",
             header: first + text };
}


module.exports = { NOW, containerCase, v1Case };
