// Copyright (C) The Mesh contributors
// SPDX-License-Identifier: AGPL-3.0-only

// Chance that can be repeated: the same seed gives the same choices.

"use strict";

const { sha256 } = require("./codec.js");


class Chance {
    constructor(seed) {
        this.state = sha256(Buffer.from(String(seed))).readUInt32LE(0) || 1;
    }

    word() {
        let x = this.state;

        x ^= x << 13;
        x ^= x >>> 17;
        x ^= x << 5;
        this.state = x >>> 0;

        return Math.imul(this.state, 0x9e3779b1) >>> 0;
    }

    // below n

    below(n) {
        return Math.floor(this.word() / 2 ** 32 * n);
    }

    // 1 in n

    one(n) {
        return this.below(n) === 0;
    }

    pick(list) {
        return list[this.below(list.length)];
    }

    bytes(n) {
        return Buffer.from(Array.from({ length: n }, () => this.below(256)));
    }

    shuffle(list) {
        const copy = [...list];

        for (let i = copy.length - 1; i > 0; i--) {
            const j = this.below(i + 1);
            [copy[i], copy[j]] = [copy[j], copy[i]];
        }

        return copy;
    }
}


module.exports = { Chance };
