/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * ucan_policy.c: two bytes of length, a policy, arguments.  A policy that is
 * one gives the same answer twice and, under "not", the other one, unless its
 * work ran out: then no answer is yes.
 */


#include <stdlib.h>

#include "cbor.h"
#include "ucan_policy.h"


#define FUZZ_SIZE_MAX  8192       /* bytes */
#define FUZZ_WORK      65536


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void match_both(bytes_t policy, bytes_t args);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t   len;
    bytes_t  policy, args;

    if (size < 2 || size > FUZZ_SIZE_MAX) {
        return 0;
    }

    len = (size_t) data[0] << 8 | data[1];

    if (len > size - 2) {
        return 0;
    }

    policy = bytes_make(data + 2, len);
    args = bytes_make(data + 2 + len, size - 2 - len);

    if (ucan_policy_validate(policy) == 0 && cbor_validate(args) == 0) {
        match_both(policy, args);
    }

    return 0;
}


/* [["not", ["and", policy]]] */
static void
match_both(bytes_t policy, bytes_t args)
{
    int             holds, again, inverse;
    size_t          work, again_work, inverse_work;
    bytes_writer_t  w;

    static uint8_t  out[FUZZ_SIZE_MAX + 32];

    work = FUZZ_WORK;
    again_work = FUZZ_WORK;
    inverse_work = FUZZ_WORK + 1024;

    holds = ucan_policy_match(policy, args, &work);
    again = ucan_policy_match(policy, args, &again_work);

    if (holds != again || work != again_work || (work == 0 && holds)) {
        abort();
    }

    bytes_writer_open(&w, out, sizeof(out));
    cbor_write_list(&w, 1);
    cbor_write_list(&w, 2);
    cbor_write_text(&w, bytes_of("not"));
    cbor_write_list(&w, 2);
    cbor_write_text(&w, bytes_of("and"));
    bytes_writer_bytes(&w, policy);

    /* nesting has a limit too */

    if (w.failed || ucan_policy_validate(bytes_writer_view(&w)) != 0) {
        return;
    }

    inverse = ucan_policy_match(bytes_writer_view(&w), args, &inverse_work);

    if (work > 1024 && inverse_work != 0 && inverse == holds) {
        abort();
    }
}
