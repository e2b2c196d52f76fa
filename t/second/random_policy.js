// Copyright (C) The Mesh contributors
// SPDX-License-Identifier: AGPL-3.0-only

// Random values, selectors and policies of UCAN 1.0; most fit together.

"use strict";

const { CODEC_CBOR, Float, Link, cborEncode, cidOf } = require("./codec.js");
const { matchPolicy } = require("./policy.js");

const NAMES = ["a", "b", "c", "é", "_x", "a-b", "n1$"];
const QUOTED = [...NAMES, "a.b", "", "1", "漢 字", "x]"];
const TEXTS = ["", "a", "ab", "aba", "abab", "A", "a*b", "a\\*b", "a\nb",
               "é漢", "ab.c", "[a]", "a?", "\\"];
const GLOBS = ["*", "**", "a*", "*a", "*b*", "ab*ba", "a*b*", "a\\*b",
               "\\**", "a.b", "[a]", "a?", "é*", "\\", "*\\\\*", ""];
const NUMBERS = [0, 1, -1, 2, 23, 24, 255, 256, 65536, -25,
                 Number.MAX_SAFE_INTEGER, -Number.MAX_SAFE_INTEGER];
const FLOATS = [0, -0, 1, 1.5, -1, 2 ** 53, 1e300, 5e-324];


function randomValue(chance, depth = 0) {
    switch (chance.below(depth > 2 ? 7 : 11)) {
    case 0:
        return null;
    case 1:
        return chance.one(2);
    case 2:
    case 3:
        return chance.pick(NUMBERS);
    case 4:
        return new Float(chance.pick(FLOATS));
    case 5:
        return chance.pick(TEXTS);
    case 6:
        return chance.one(4)
               ? new Link(cidOf(CODEC_CBOR, Buffer.from(chance.pick(TEXTS))))
               : chance.bytes(chance.below(4));
    case 7:
    case 8:
        return Array.from({ length: chance.below(4) },
                          () => randomValue(chance, depth + 1));
    default:
        return randomMap(chance, depth + 1);
    }
}

function randomMap(chance, depth = 0) {
    return new Map(Array.from({ length: chance.below(4) + (depth ? 0 : 1) },
        () => [chance.pick(chance.one(4) ? QUOTED : NAMES),
               randomValue(chance, depth)]));
}


// A selector, most often of something that is there; what it leads to comes
// along so that statements can be about it.

function randomSelector(chance, value) {
    let text = "";

    if (chance.one(10)) {
        return [".", value];
    }

    for (let i = 0; i < 1 + chance.below(3); i++) {
        const [step, next] = randomStep(chance, value, text === "");

        text += step + (chance.one(6) ? "?".repeat(1 + chance.below(2)) : "");
        value = next;
    }

    return [text, value];
}

function randomStep(chance, value, first) {
    const isMap = value instanceof Map;
    const isList = Array.isArray(value) || Buffer.isBuffer(value);
    const dot = first ? "." : "";

    if (isMap && value.size > 0 && !chance.one(8)) {
        const key = chance.pick([...value.keys()]);

        return [NAMES.includes(key) && !chance.one(4)
                ? "." + key : `${dot}["${key}"]`, value.get(key)];
    }

    if (isList && !chance.one(8)) {
        const at = chance.below(value.length + 1) - chance.below(2);

        return chance.one(3)
               ? [dot + randomSlice(chance), value]
               : [`${dot}[${at - (chance.one(3) ? value.length : 0)}]`,
                  value[at]];
    }

    return chance.pick([
        ["." + chance.pick(NAMES), undefined],
        [`${dot}["${chance.pick(QUOTED)}"]`, undefined],
        [`${dot}[${chance.below(4) - 2}]`, undefined],
        Buffer.isBuffer(value) ? ["." + chance.pick(NAMES), undefined]
                               : [dot + "[]", value],
    ].map(([step, next]) => [step.replace("[-0]", "[0]"), next]));
}

function randomSlice(chance) {
    const [a, b] = [chance.below(6) - 2, chance.below(6) - 2];

    return chance.pick([`[${a}:${b}]`, `[${a}:]`, `[:${b}]`]);
}


function randomStatement(chance, args, depth = 0) {
    const op = chance.pick(depth > 2
        ? ["==", "!=", "<", "like"]
        : ["==", "==", "==", "!=", "<", "<=", ">", ">=", "like", "like", "and",
           "or", "not", "all", "any"]);

    if (op === "and" || op === "or") {
        return [op, Array.from({ length: chance.below(4) },
                               () => randomStatement(chance, args,
                                                     depth + 1))];
    }

    if (op === "not") {
        return [op, randomStatement(chance, args, depth + 1)];
    }

    const [selector, found] = randomSelector(chance, args);
    const items = found instanceof Map ? [...found.values()]
                : Array.isArray(found) ? found : [];

    switch (op) {
    case "all":
    case "any":
        return [op, selector,
                randomStatement(chance, items.length ? chance.pick(items)
                                                     : null, depth + 1)];
    case "like":
        return [op, selector,
                chance.one(3) && typeof found === "string"
                ? found.replace(/\*/g, "\\*") : chance.pick(GLOBS)];
    case "==":
    case "!=":
        return [op, selector, found === undefined || chance.one(3)
                              ? randomValue(chance, 1) : likeness(chance,
                                                                  found)];
    default:
        return [op, selector, chance.one(4)
                ? new Float(chance.pick(FLOATS)) : chance.pick(NUMBERS)];
    }
}

// The same, or the same number in the other form.

function likeness(chance, value) {
    if (typeof value === "number" && chance.one(2)) {
        return new Float(value);
    }

    return value instanceof Float && Number.isSafeInteger(value.value)
           ? value.value + 0 : value;
}

function randomPolicy(chance, args) {
    return Array.from({ length: chance.below(4) },
                      () => randomStatement(chance, args));
}

// One that holds.

function truePolicy(chance, args) {
    return randomPolicy(chance, args).map((statement) =>
        matchPolicy([statement], args) ? statement : ["not", statement]);
}


// What is no policy, put somewhere into one that is.

const BAD_SELECTORS = [
    "", "a", "..", ".a..b", ".a[", ".a]", ".[", ".a[x]", ".1a", ".a[1",
    ".a[\"x]", ".a b", "a.b", ".a[1:2:3]", ".a.", ". a", ".a[--1]",
    ".a[1.5]", " .a", ".a[\"x\"", ".a\n", ".-a", ".$a", ".a['x']", "[:]",
    "?", ".a[1]b", ".a[ 1]", ".a[+1]",
];

function badStatement(chance) {
    return chance.pick([
        () => ["foo", ".a", 1],
        () => ["==", ".a"],
        () => ["==", ".a", 1, 2],
        () => ["AND", []],
        () => ["and", ["==", ".a", 1]],
        () => ["or", "x"],
        () => ["not", [["==", ".a", 1]]],
        () => ["not"],
        () => [],
        () => "x",
        () => null,
        () => new Map([["==", 1]]),
        () => [null, ".a", 1],
        () => [chance.pick(["<", "<=", ">", ">="]), ".a",
               chance.pick(["x", null, true, []])],
        () => ["like", ".a", chance.pick([5, null, Buffer.from("a")])],
        () => [chance.pick(["all", "any"]), ".a", [["==", ".", 1]]],
        () => [chance.pick(["all", "any"]), ".a"],
        () => [chance.pick(["==", "!=", "<"]),
               chance.pick([...BAD_SELECTORS, ...BAD_SELECTORS, 1, null,
                            Buffer.from(".a")]), 1],
        () => ["all", chance.pick(BAD_SELECTORS), ["==", ".", 1]],
        () => nested(100),
    ])();
}

function nested(depth) {
    return depth ? ["not", nested(depth - 1)] : ["==", ".", 1];
}

function badPolicy(chance, args) {
    const policy = randomPolicy(chance, args);
    let bad = badStatement(chance);

    for (let i = chance.below(3); i > 0; i--) {
        bad = chance.pick([["not", bad], ["or", [["==", ".", 1], bad]],
                           ["and", [bad]], ["any", ".a", bad],
                           ["or", [["and", []], bad]]]);
    }

    return chance.shuffle([...policy, bad]);
}


// A case of the family policy.

function policyCase(chance) {
    const args = randomMap(chance);
    const policy = chance.one(5) ? badPolicy(chance, args)
                                 : randomPolicy(chance, args);

    return { policy_cbor_hex: cborEncode(policy).toString("hex"),
             args_cbor_hex: cborEncode(args).toString("hex") };
}


module.exports = { badPolicy, policyCase, randomMap, randomPolicy,
                   truePolicy };
