// Copyright (C) The Mesh contributors
// SPDX-License-Identifier: AGPL-3.0-only

// The policy language of UCAN 1.0 for the second verifier.  A policy is a
// decoded value (codec.js); readings are the points where the specification
// leaves a choice, so that a test can ask for both.

"use strict";

const { Float, Link, fail } = require("./codec.js");

const FAILED = Symbol("failed");

const NESTING_MAX = 64;
const GLOB_MAX = 4096;
const STATEMENTS_MAX = 1024;

const COMPARE = {
    "<": (a, b) => a < b, "<=": (a, b) => a <= b,
    ">": (a, b) => a > b, ">=": (a, b) => a >= b,
};

function isNumber(value) {
    return typeof value === "number" || typeof value === "bigint"
           || value instanceof Float;
}

function plain(value) {
    return value instanceof Float ? value.value : value;
}


// Form.  Throws when the policy is none.

function validatePolicy(policy) {
    const left = { statements: STATEMENTS_MAX };

    if (!Array.isArray(policy)) {
        fail("policy: no list");
    }

    policy.forEach((statement) => validate(statement, 1, left));
}

function validate(statement, depth, left) {
    if (!Array.isArray(statement) || depth > NESTING_MAX
        || --left.statements < 0)
    {
        fail("policy: statement");
    }

    const [op, a, b] = statement;
    const size = ["and", "or", "not"].includes(op) ? 2 : 3;

    if (statement.length !== size) {
        fail("policy: arity");
    }

    switch (op) {
    case "==":
    case "!=":
        parseSelector(a);
        return;

    case "<":
    case "<=":
    case ">":
    case ">=":
        parseSelector(a);
        return isNumber(b) ? undefined : fail("policy: number");

    case "like":
        parseSelector(a);
        return typeof b === "string" && Buffer.byteLength(b) <= GLOB_MAX
               ? undefined : fail("policy: glob");

    case "and":
    case "or":
        if (!Array.isArray(a)) {
            fail("policy: connective");
        }

        a.forEach((inner) => validate(inner, depth + 1, left));
        return;

    case "not":
        validate(a, depth + 1, left);
        return;

    case "all":
    case "any":
        parseSelector(a);
        validate(b, depth + 1, left);
        return;

    default:
        fail("policy: operator");
    }
}


// Selectors: a list of { kind, optional, ... }.

const STEP = new RegExp(
    "^(?:\\.(?<name>[\\p{L}_][\\p{L}0-9_$-]*)"
    + "|(?<first>\\.)?\\[(?:\"(?<key>(?:[^\"\\\\])*)\""
    + "|(?<index>-?[0-9]+)"
    + "|(?<from>-?[0-9]+)?:(?<to>-?[0-9]+)?"
    + "|(?<values>))\\])(?<optional>\\?*)", "u");

function parseSelector(text) {
    if (typeof text !== "string" || text === "") {
        fail("selector");
    }

    const steps = [];

    if (text === ".") {
        return steps;
    }

    while (text !== "") {
        const match = STEP.exec(text);

        // a dot before a bracket stands at the start only

        if (!match || (match.groups.first && steps.length > 0)) {
            fail("selector: step");
        }

        steps.push(stepOf(match.groups));
        text = text.slice(match[0].length);
    }

    return steps;
}

function stepOf(groups) {
    const optional = groups.optional !== "";

    if (groups.name !== undefined || groups.key !== undefined) {
        return { kind: "field", optional, name: groups.name ?? groups.key };
    }

    if (groups.index !== undefined) {
        return { kind: "index", optional, index: bounded(groups.index) };
    }

    if (groups.values !== undefined) {
        return { kind: "values", optional };
    }

    // "[:]" says neither end

    if (groups.from === undefined && groups.to === undefined) {
        fail("selector: slice");
    }

    return { kind: "slice", optional,
             from: bounded(groups.from ?? "0"),
             to: groups.to === undefined ? undefined : bounded(groups.to) };
}

function bounded(text) {
    return Number.isSafeInteger(Number(text)) ? Number(text)
                                              : fail("selector: number");
}

function select(selector, value, readings) {
    const steps = parseSelector(selector);

    for (let i = 0; i < steps.length; i++) {
        let next = take(steps[i], value);

        if (next === FAILED && absent(steps[i], value)
            && !readings.absentFails)
        {
            next = null;
        }

        if (next === FAILED) {
            if (!steps[i].optional) {
                return FAILED;
            }

            next = null;
        }

        value = next;
    }

    return value;
}

function absent(step, value) {
    return step.kind === "field" && value instanceof Map;
}

function take(step, value) {
    const isList = Array.isArray(value) || Buffer.isBuffer(value);

    switch (step.kind) {
    case "field":
        return value instanceof Map && value.has(step.name)
               ? value.get(step.name) : FAILED;

    case "index": {
        const at = step.index < 0 && isList ? value.length + step.index
                                            : step.index;

        return isList && at >= 0 && at < value.length ? value[at] : FAILED;
    }

    case "slice":
        return isList ? value.slice(step.from, step.to) : FAILED;

    default:
        return value instanceof Map ? [...value.values()]
             : Array.isArray(value) ? value : FAILED;
    }
}


// Truth.

function matchPolicy(policy, args, readings = {}) {
    return policy.every((statement) => holds(statement, args, readings));
}

function holds(statement, value, readings) {
    const [op, a, b] = statement;

    switch (op) {
    case "and":
        return a.every((inner) => holds(inner, value, readings));
    case "or":
        return a.length === 0
               || a.some((inner) => holds(inner, value, readings));
    case "not":
        return !holds(a, value, readings);
    default:
        break;
    }

    const found = select(a, value, readings);

    if (found === FAILED) {
        return false;
    }

    switch (op) {
    case "==":
        return equal(found, b);
    case "!=":
        return !equal(found, b);
    case "like":
        return typeof found === "string" && globMatch(b, found);
    case "all":
    case "any":
        return items(found, readings) !== null
               && holdsFor(op, items(found, readings), b, readings);
    default:
        return isNumber(found) && COMPARE[op](plain(found), plain(b));
    }
}

function items(value, readings) {
    return value instanceof Map ? [...value.values()]
         : Array.isArray(value) ? value
         : Buffer.isBuffer(value) && readings.bytesAreItems ? [...value]
                                                            : null;
}

function holdsFor(op, list, statement, readings) {
    if (op === "all") {
        return list.every((item) => holds(statement, item, readings));
    }

    return (readings.anyOfNothing && list.length === 0)
           || list.some((item) => holds(statement, item, readings));
}

function equal(a, b) {
    if (isNumber(a) && isNumber(b)) {
        return plain(a) == plain(b);        // a number may meet a BigInt
    }

    if (Buffer.isBuffer(a) || Buffer.isBuffer(b)) {
        return Buffer.isBuffer(a) && Buffer.isBuffer(b) && a.equals(b);
    }

    if (a instanceof Link || b instanceof Link) {
        return a instanceof Link && b instanceof Link
               && a.bytes.equals(b.bytes);
    }

    if (Array.isArray(a) || Array.isArray(b)) {
        return Array.isArray(a) && Array.isArray(b) && a.length === b.length
               && a.every((item, i) => equal(item, b[i]));
    }

    if (a instanceof Map || b instanceof Map) {
        return a instanceof Map && b instanceof Map && a.size === b.size
               && [...a].every(([key, item]) => b.has(key)
                                                && equal(item, b.get(key)));
    }

    return a === b;
}

function globMatch(glob, text) {
    const pattern = glob.replace(/\\\*|[^]/gu, (piece) =>
        piece === "*" ? "[^]*"
                      : "\\u{" + piece.codePointAt(piece.length > 1
                                                   && piece[0] === "\\"
                                                   ? 1 : 0).toString(16)
                        + "}");

    return new RegExp("^" + pattern + "$", "u").test(text);
}


module.exports = { matchPolicy, validatePolicy };
