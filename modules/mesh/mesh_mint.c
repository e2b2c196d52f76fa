/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Signs what the subcommands draft, in every version and with every key.
 */


#include <string.h>

#include "mesh_file.h"
#include "mesh_mint.h"
#include "mesh_request.h"
#include "mesh_show.h"
#include "ucan_container.h"


static int add_proof(const mesh_mint_t *mint, ucan_jwt_draft_t *draft,
    const ucan_token_t *proof);
static int lessen_window(ucan_jwt_draft_t *draft, const ucan_token_t *proof);


int
mesh_mint_format(mesh_mint_t *mint, const mesh_line_t *line)
{
    int          rc;
    const char  *tag;

    rc = mesh_request_format(line, &mint->version);
    if (rc != MESH_OK) {
        return rc;
    }

    tag = mesh_option_get(line, "tag");

    if (tag == NULL) {
        return MESH_OK;
    }

    if (mint->version != UCAN_TOKEN_VERSION_V1) {
        return mesh_refuse_usage("\"--tag\" is of 1.0");
    }

    mint->final = (strcmp(tag, "1.0.0") == 0);

    if (!mint->final && strcmp(tag, "1.0.0-rc.1") != 0) {
        return mesh_refuse_usage("\"--tag %s\": 1.0.0 or 1.0.0-rc.1 was "
                                 "expected", tag);
    }

    return MESH_OK;
}


int
mesh_mint_open(mesh_mint_t *mint, const mesh_line_t *line)
{
    int          rc;
    const char  *key;

    key = mesh_option_get(line, "key");

    if (key == NULL) {
        return mesh_refuse_usage("\"--key\" is missing");
    }

    rc = mesh_file_signer(key, &mint->signer);

    if (rc == MESH_OK) {
        mint->did = signature_signer_did(&mint->signer);
    }

    return rc;
}


/* Also for one that never opened: then there is nothing to wipe. */
void
mesh_mint_close(mesh_mint_t *mint)
{
    if (mint->did.len != 0) {
        signature_signer_destroy(&mint->signer);
        mint->did = bytes_make(NULL, 0);
    }
}


int
mesh_mint_envelope(const mesh_mint_t *mint, ucan_envelope_draft_t *draft,
    bytes_t *raw, cid_t *cid)
{
    bytes_writer_t  w;

    draft->final = mint->final;

    bytes_writer_open(&w, mesh_alloc(UCAN_TOKEN_BYTES_MAX),
                      UCAN_TOKEN_BYTES_MAX);

    if (ucan_envelope_encode_by(draft, &mint->signer, &w) != 0) {
        return mesh_fail("the token cannot be signed: it is too large");
    }

    *raw = bytes_writer_view(&w);
    cid_of(cid, CID_DAG_CBOR, *raw);

    return MESH_OK;
}


int
mesh_mint_jwt(const mesh_mint_t *mint, ucan_jwt_draft_t *draft, bytes_t *raw,
    cid_t *cid)
{
    bytes_writer_t  w;

    draft->version = mint->version;

    if (mint->version == UCAN_TOKEN_VERSION_08 && draft->exp < 0) {
        return mesh_refuse_usage("a token of 0.8 must end; \"--expires 30d\" "
                                 "says when");
    }

    bytes_writer_open(&w, mesh_alloc(UCAN_TOKEN_BYTES_MAX),
                      UCAN_TOKEN_BYTES_MAX);

    if (ucan_jwt_encode_by(draft, &mint->signer, &w) != 0) {
        return mesh_fail("the token cannot be signed: it is too large");
    }

    *raw = bytes_writer_view(&w);
    cid_of(cid, CID_RAW, *raw);

    return MESH_OK;
}


int
mesh_mint_proofs(const mesh_mint_t *mint, ucan_jwt_draft_t *draft,
    const mesh_source_t *source, int loud, mesh_source_t *rest)
{
    int             rc, cut, used;
    size_t          i;
    ucan_token_t    token;
    ucan_verdict_t  verdict;

    cut = 0;
    used = 0;
    rest->jwt_count = 0;

    for (i = 0; i < source->jwt_count; i++) {

        verdict = ucan_jwt_decode(&token, source->jwts[i], NULL,
                                  &mesh_memory);

        if (verdict != UCAN_OK) {
            return mesh_fail("a proof is no token of ours: %s",
                             ucan_verdict_text(verdict));
        }

        if (bytes_equal(token.aud, mint->did)) {

            rc = add_proof(mint, draft, &token);
            if (rc != MESH_OK) {
                return rc;
            }

            cut |= lessen_window(draft, &token);
            used = 1;

            if (mint->version == UCAN_TOKEN_VERSION_08) {
                continue;
            }
        }

        rc = mesh_source_add_jwt(rest, source->jwts[i]);
        if (rc != MESH_OK) {
            return rc;
        }
    }

    if (source->jwt_count != 0 && !used) {
        return mesh_fail("none of the proofs is for this key, %s",
                         mesh_text(mint->did));
    }

    if (cut && loud) {
        mesh_remark("note: in 0.x nothing outlives its proof, so this one "
                    "has the window of its proofs");
    }

    return MESH_OK;
}


int
mesh_mint_container(const mesh_line_t *line, const mesh_source_t *source,
    char fallback, bytes_t *text)
{
    int             rc;
    char            form;
    bytes_writer_t  w;

    rc = mesh_request_form(line, fallback, &form);
    if (rc != MESH_OK) {
        return rc;
    }

    bytes_writer_open(&w, mesh_alloc(MESH_MINT_TEXT_MAX),
                      MESH_MINT_TEXT_MAX);

    if (ucan_container_encode(form, source->envelopes,
                              source->envelope_count, &w, &mesh_memory)
        != 0)
    {
        return mesh_fail("the container is too large");
    }

    *text = bytes_writer_view(&w);

    return MESH_OK;
}


/* The lists of the draft are those of the caller, UCAN_TOKEN_PROOFS_MAX
   long. */
static int
add_proof(const mesh_mint_t *mint, ucan_jwt_draft_t *draft,
    const ucan_token_t *proof)
{
    cid_t    *proofs;
    bytes_t  *embedded;

    if (proof->version > mint->version) {
        return mesh_fail("a proof is of %s, and a proof is never newer than "
                         "what stands on it; \"--format %s\" would do",
                         mesh_show_version(proof), mesh_show_version(proof));
    }

    if (draft->proof_count + draft->embedded_count == UCAN_TOKEN_PROOFS_MAX) {
        return mesh_fail("more than %d proofs", UCAN_TOKEN_PROOFS_MAX);
    }

    if (mint->version == UCAN_TOKEN_VERSION_08) {
        embedded = (bytes_t *) draft->embedded;
        embedded[draft->embedded_count++] = proof->raw;

    } else {
        proofs = (cid_t *) draft->proofs;
        proofs[draft->proof_count++] = proof->cid;
    }

    return MESH_OK;
}


/* 1 when it became shorter. */
static int
lessen_window(ucan_jwt_draft_t *draft, const ucan_token_t *proof)
{
    int  cut;

    cut = 0;

    if (proof->has_exp && (draft->exp < 0 || draft->exp > proof->exp)) {
        draft->exp = proof->exp;
        cut = 1;
    }

    if (proof->has_nbf && (draft->nbf < 0 || draft->nbf < proof->nbf)) {
        draft->nbf = proof->nbf;
        cut = 1;
    }

    return cut;
}
