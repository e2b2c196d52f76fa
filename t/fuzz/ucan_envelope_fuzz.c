/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * ucan_envelope.c: what decodes, encodes again under a key of ours, decodes
 * once more and says the same.
 */


#include "fuzz_memory.h"
#include "ucan_chain.h"
#include "ucan_envelope.h"


#define FUZZ_SIZE_MAX  8192       /* bytes */


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_token(const ucan_token_t *token);
static void encode_again(const ucan_token_t *token);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ucan_token_t  token;

    if (size > FUZZ_SIZE_MAX) {
        return 0;
    }

    if (ucan_envelope_decode(&token, bytes_make(data, size), &fuzz_memory)
        == UCAN_OK)
    {
        check_token(&token);
        encode_again(&token);
        (void) ucan_token_verify(&token);
    }

    fuzz_memory_free();

    return 0;
}


static void
check_token(const ucan_token_t *token)
{
    if (token->kind == UCAN_TOKEN_JWT
        || token->proof_count > UCAN_TOKEN_PROOFS_MAX
        || !ucan_token_did_signs(token->iss)
        || !ucan_token_did_valid(token->aud)
        || !ucan_chain_command_valid(token->cmd)
        || (token->kind == UCAN_TOKEN_INVOCATION && token->sub.len == 0)
        || (token->kind == UCAN_TOKEN_INVOCATION) != (token->args.len != 0)
        || (token->kind == UCAN_TOKEN_DELEGATION) != (token->policy.len != 0))
    {
        abort();
    }
}


static void
encode_again(const ucan_token_t *token)
{
    ucan_token_t            again;
    bytes_writer_t          w;
    signature_key_t         key;
    ucan_envelope_draft_t   draft;

    static uint8_t        out[FUZZ_SIZE_MAX * 2];
    static const uint8_t  seed[SIGNATURE_SEED_LEN] = { 7 };

    /* drafts have no time before 1970 */

    if ((token->has_exp && token->exp < 0)
        || (token->has_nbf && token->nbf < 0))
    {
        return;
    }

    signature_key_open(&key, seed);
    memset(&draft, 0, sizeof(draft));

    draft.invocation = token->kind == UCAN_TOKEN_INVOCATION;
    draft.aud = token->aud;
    draft.sub = token->sub;
    draft.cmd = token->cmd;
    draft.policy = token->policy;
    draft.args = token->args;
    draft.nonce = token->nonce;
    draft.proofs = token->proofs;
    draft.proof_count = token->proof_count;
    draft.exp = token->has_exp ? token->exp : -1;
    draft.nbf = token->has_nbf ? token->nbf : -1;

    bytes_writer_open(&w, out, sizeof(out));

    if (ucan_envelope_encode(&draft, &key, &w) != 0
        || ucan_envelope_decode(&again, bytes_writer_view(&w), &fuzz_memory)
           != UCAN_OK
        || ucan_token_verify(&again) != UCAN_OK
        || again.kind != token->kind
        || !bytes_equal(again.aud, token->aud)
        || !bytes_equal(again.sub, token->sub)
        || !bytes_equal(again.cmd, token->cmd)
        || !bytes_equal(again.policy, token->policy)
        || !bytes_equal(again.args, token->args)
        || !bytes_equal(again.nonce, token->nonce)
        || again.proof_count != token->proof_count
        || again.has_exp != token->has_exp || again.exp != token->exp
        || again.has_nbf != token->has_nbf || again.nbf != token->nbf)
    {
        abort();
    }
}
