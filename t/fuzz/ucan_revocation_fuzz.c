/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * ucan_revocation.c: any text as a record, an envelope or a container.  What
 * is read verifies again from its own bytes, says a DID and a CID, and has a
 * key of its own; whether it is witnessed has an answer.
 */


#include "fuzz_memory.h"
#include "ucan_revocation.h"


#define FUZZ_SIZE_MAX  16384      /* bytes */


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const ucan_revocation_t *revocation,
    ucan_bundle_t *witness);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ucan_bundle_t      witness;
    ucan_revocation_t  revocation;

    if (size > FUZZ_SIZE_MAX) {
        return 0;
    }

    if (ucan_revocation_parse(&revocation, bytes_make(data, size), &witness,
                              &fuzz_memory)
        == UCAN_OK)
    {
        check(&revocation, &witness);
    }

    fuzz_memory_free();

    return 0;
}


static void
check(const ucan_revocation_t *revocation, ucan_bundle_t *witness)
{
    size_t             i;
    uint8_t            all[UCAN_REVOCATION_KEY_LEN];
    uint8_t            key[UCAN_REVOCATION_KEY_LEN];
    ucan_bundle_t      none;
    ucan_revocation_t  again;

    if (!ucan_token_did_valid(revocation->by)
        || witness->top != NULL
        || witness->count == 1
        || ucan_revocation_parse(&again, revocation->raw, &none, &fuzz_memory)
           != UCAN_OK
        || !cid_equal(&again.cid, &revocation->cid)
        || !cid_equal(&again.self, &revocation->self)
        || !bytes_equal(again.by, revocation->by))
    {
        abort();
    }

    ucan_revocation_key(all, &revocation->cid, bytes_make(NULL, 0));
    ucan_revocation_key(key, &revocation->cid, revocation->by);

    if (memcmp(all, key, sizeof(key)) == 0) {
        abort();
    }

    /* as if all were signed, so that the ways up are walked */

    for (i = 0; i < witness->count; i++) {
        witness->tokens[i].seal = UCAN_TOKEN_SIGNED;
    }

    for (i = 0; i < witness->count; i++) {
        (void) ucan_revocation_witnessed(witness, &witness->tokens[i].cid,
                                         revocation->by);
        (void) ucan_revocation_witnessed(witness, &revocation->cid,
                                         witness->tokens[i].aud);
    }
}
