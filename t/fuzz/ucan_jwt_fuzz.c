/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * ucan_jwt*.c, and the walk behind it.  An input that starts with "{" is a
 * payload of 0.10, with "8{" or "9{" one of 0.8 or 0.9, and gets a good header
 * around it; any other is the whole text.  What decodes keeps its bounds, and
 * questions about it have answers.
 */


#include <stdio.h>

#include "base64.h"
#include "fuzz_memory.h"
#include "ucan_chain.h"
#include "ucan_jwt.h"


#define FUZZ_SIZE_MAX  16384      /* bytes */


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bytes_t wrap(bytes_t payload, const char *version);
static void check_token(const ucan_token_t *token, bytes_t text);
static void check_embedded(const ucan_token_t *token,
    const ucan_jwt_embedded_t *embedded);
static void ask(bytes_t text);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bytes_t               text;
    ucan_token_t          token;
    ucan_jwt_embedded_t   embedded;

    if (size > FUZZ_SIZE_MAX) {
        return 0;
    }

    text = bytes_make(data, size);

    if (size != 0 && data[0] == '{') {
        text = wrap(text, "");

    } else if (size > 1 && data[1] == '{') {
        text = wrap(bytes_make(data + 1, size - 1),
                    data[0] == '8' ? ",\"ucv\":\"0.8.1\""
                                   : ",\"ucv\":\"0.9.1\"");
    }

    if (ucan_jwt_decode(&token, text, &embedded, &fuzz_memory) == UCAN_OK) {
        check_token(&token, text);
        check_embedded(&token, &embedded);
        ask(text);
    }

    fuzz_memory_free();

    return 0;
}


static bytes_t
wrap(bytes_t payload, const char *version)
{
    char            header[64];
    bytes_writer_t  w;

    static uint8_t  out[FUZZ_SIZE_MAX * 2];

    snprintf(header, sizeof(header), "{\"alg\":\"EdDSA\",\"typ\":\"JWT\"%s}",
             version);

    bytes_writer_open(&w, out, sizeof(out));
    (void) base64_encode(BASE64_URL, bytes_of(header), &w);
    bytes_writer_byte(&w, '.');
    (void) base64_encode(BASE64_URL, payload, &w);
    bytes_writer_text(&w, ".AAAA");

    return bytes_writer_view(&w);
}


static void
check_token(const ucan_token_t *token, bytes_t text)
{
    cid_t  cid;

    cid_of(&cid, CID_RAW, text);

    if (token->kind != UCAN_TOKEN_JWT
        || token->proof_count > UCAN_TOKEN_PROOFS_MAX
        || token->capability_count > UCAN_TOKEN_CAPS_MAX
        || !cid_equal(&cid, &token->cid)
        || !bytes_equal(token->raw, text)
        || !bytes_start_with(text, token->signed_part)
        || !ucan_token_did_signs(token->iss)
        || !ucan_token_did_valid(token->aud))
    {
        abort();
    }
}


static void
check_embedded(const ucan_token_t *token,
    const ucan_jwt_embedded_t *embedded)
{
    cid_t   cid;
    size_t  i;

    if (embedded->count > token->proof_count
        || (embedded->count != 0
            && token->version != UCAN_TOKEN_VERSION_08))
    {
        abort();
    }

    for (i = 0; i < embedded->count; i++) {
        cid_of(&cid, CID_RAW, embedded->list[i]);

        if (embedded->proof[i] >= token->proof_count
            || !cid_equal(&cid, &token->proofs[embedded->proof[i]]))
        {
            abort();
        }
    }
}


/* As if it were signed: by an issuer that is a root, for its audience. */
static void
ask(bytes_t text)
{
    ucan_trust_t     trust;
    ucan_chain_t     chain;
    ucan_bundle_t    bundle;
    ucan_request_t   request;

    memset(&trust, 0, sizeof(trust));
    memset(&request, 0, sizeof(request));
    ucan_limits_init(&trust.limits);

    if (ucan_bundle_parse(&bundle, text, text, &trust.limits, &fuzz_memory)
        != UCAN_OK)
    {
        return;
    }

    bundle.top->seal = UCAN_TOKEN_SIGNED;

    trust.audiences = &bundle.top->aud;
    trust.audience_count = 1;
    trust.anchors = &bundle.top->iss;
    trust.anchor_count = 1;
    trust.session_max = -1;

    if (ucan_chain_open(&chain, &bundle, &trust, 1) != UCAN_OK) {
        return;
    }

    request.command = bytes_of("/room/read");
    request.args[0].name = bytes_of("room");
    request.args[0].value = bytes_of("r_1");
    request.arg_count = 1;

    (void) ucan_chain_allow(&chain, &request, 1);

    if (ucan_chain_alive(&chain, 1) != UCAN_OK) {
        abort();
    }
}
