/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * What the UCAN tests have in common: an arena, keys by name, and short ways
 * to make tokens.  All of it real: keys sign, containers are encoded.  One
 * thread; views live until make_reset().
 */


#ifndef _UCAN_MAKE_H_INCLUDED_
#define _UCAN_MAKE_H_INCLUDED_


#include <stdlib.h>

#include <sodium.h>

#include "cbor.h"
#include "ucan_chain.h"
#include "ucan_container.h"
#include "ucan_envelope.h"
#include "ucan_jwt.h"


#define MAKE_ARENA_SIZE  (16 * 1024 * 1024)
#define MAKE_KEYS_MAX    64
#define MAKE_NOW         1800000000


static struct {
    uint8_t          *start;
    size_t            used;
    size_t            fail_after;    /* allocations that succeed; 0: all */
    size_t            count;         /* allocations so far */
} make_arena;


static struct {
    char              name[16];
    signature_key_t   key;
} make_keys[MAKE_KEYS_MAX];


static inline void *
make_alloc(void *data, size_t size)
{
    void  *p;

    (void) data;

    make_arena.count++;

    if (make_arena.fail_after != 0
        && make_arena.count > make_arena.fail_after)
    {
        return NULL;
    }

    if (make_arena.start == NULL) {
        make_arena.start = malloc(MAKE_ARENA_SIZE);
    }

    size = (size + 15) & ~(size_t) 15;

    if (make_arena.start == NULL || MAKE_ARENA_SIZE - make_arena.used < size)
    {
        return NULL;
    }

    p = make_arena.start + make_arena.used;
    make_arena.used += size;

    return p;
}


static ucan_memory_t  make_memory = { make_alloc, NULL };


static inline void
make_reset(void)
{
    make_arena.used = 0;
    make_arena.count = 0;
    make_arena.fail_after = 0;
}


/* The key of that name; always the same one. */
static inline const signature_key_t *
make_key(const char *name)
{
    size_t   i;
    uint8_t  seed[SIGNATURE_SEED_LEN];

    for (i = 0; i < MAKE_KEYS_MAX; i++) {

        if (make_keys[i].name[0] == '\0') {
            memcpy(make_keys[i].name, name, strlen(name) + 1);
            crypto_generichash(seed, sizeof(seed), (const uint8_t *) name,
                               strlen(name), NULL, 0);
            signature_key_open(&make_keys[i].key, seed);
        }

        if (strcmp(make_keys[i].name, name) == 0) {
            return &make_keys[i].key;
        }
    }

    abort();
}


static inline bytes_t
make_did(const char *name)
{
    return bytes_make(make_key(name)->did, DID_ED25519_LEN);
}


static inline bytes_t
make_copy(bytes_writer_t *w)
{
    void    *p;
    bytes_t  b;

    b = bytes_writer_view(w);

    if (w->failed || (p = make_alloc(NULL, b.len + 1)) == NULL) {
        abort();
    }

    memcpy(p, b.data, b.len);

    return bytes_make(p, b.len);
}


/* Signs a draft; the name is that of the issuer. */
static inline bytes_t
make_envelope(const char *issuer, const ucan_envelope_draft_t *draft)
{
    uint8_t         buf[UCAN_ENVELOPE_DRAFT_MAX];
    bytes_writer_t  w;

    bytes_writer_open(&w, buf, sizeof(buf));

    if (ucan_envelope_encode(draft, make_key(issuer), &w) != 0) {
        abort();
    }

    return make_copy(&w);
}


/* A delegation about "mesh", without end. */
static inline ucan_envelope_draft_t
make_draft(const char *audience, const char *command)
{
    ucan_envelope_draft_t  draft;

    memset(&draft, 0, sizeof(draft));

    draft.aud = make_did(audience);
    draft.sub = make_did("mesh");
    draft.cmd = bytes_of(command);
    draft.nonce = bytes_of("nonce");
    draft.exp = -1;
    draft.nbf = -1;

    return draft;
}


static inline bytes_t
make_delegation(const char *issuer, const char *audience,
    const char *command)
{
    ucan_envelope_draft_t  draft;

    draft = make_draft(audience, command);

    return make_envelope(issuer, &draft);
}


/* The policy [["==", selector, value]]. */
static inline bytes_t
make_policy(const char *selector, const char *value)
{
    uint8_t         buf[512];
    bytes_writer_t  w;

    bytes_writer_open(&w, buf, sizeof(buf));
    cbor_write_list(&w, 1);
    cbor_write_list(&w, 3);
    cbor_write_text(&w, bytes_of("=="));
    cbor_write_text(&w, bytes_of(selector));
    cbor_write_text(&w, bytes_of(value));

    return make_copy(&w);
}


/* The invocation that opens a session of an hour. */
static inline ucan_envelope_draft_t
make_opening(const char *holder)
{
    ucan_envelope_draft_t  draft;

    draft = make_draft("mesh", UCAN_CHAIN_SESSION_OPEN);

    draft.invocation = 1;
    draft.sub = make_did(holder);
    draft.exp = MAKE_NOW + 3600;

    return draft;
}


static inline bytes_t
make_session(const char *holder)
{
    ucan_envelope_draft_t  draft;

    draft = make_opening(holder);

    return make_envelope(holder, &draft);
}


static inline bytes_t
make_container(char form, const bytes_t *list, size_t count)
{
    void            *buf;
    size_t           size;
    bytes_t          text;
    bytes_writer_t   w;

    size = 512 * 1024;

    buf = malloc(size);
    if (buf == NULL) {
        abort();
    }

    bytes_writer_open(&w, buf, size);

    if (ucan_container_encode(form, list, count, &w, &make_memory) != 0) {
        abort();
    }

    text = make_copy(&w);
    free(buf);

    return text;
}


/* Signs a draft of a JWT; the name is that of the issuer. */
static inline bytes_t
make_jwt_of(const char *issuer, const ucan_jwt_draft_t *draft)
{
    void            *buf;
    bytes_t          text;
    bytes_writer_t   w;

    buf = malloc(2 * UCAN_TOKEN_BYTES_MAX);
    if (buf == NULL) {
        abort();
    }

    bytes_writer_open(&w, buf, 2 * UCAN_TOKEN_BYTES_MAX);

    if (ucan_jwt_encode(draft, make_key(issuer), &w) != 0) {
        abort();
    }

    text = make_copy(&w);
    free(buf);

    return text;
}


/* A 0.10 token; proofs is a list of JWTs, ended by an empty view, or NULL. */
static inline bytes_t
make_jwt(const char *issuer, const char *audience, const char *caps,
    int64_t exp, const bytes_t *proofs)
{
    cid_t             cids[UCAN_TOKEN_PROOFS_MAX];
    ucan_jwt_draft_t  draft;

    memset(&draft, 0, sizeof(draft));

    draft.aud = make_did(audience);
    draft.caps = bytes_of(caps);
    draft.exp = exp;
    draft.nbf = -1;
    draft.proofs = cids;

    while (proofs != NULL && proofs[draft.proof_count].len != 0) {
        cid_of(&cids[draft.proof_count], CID_RAW, proofs[draft.proof_count]);
        draft.proof_count++;
    }

    return make_jwt_of(issuer, &draft);
}


/* A 0.8 token with its proofs in it; caps is a list. */
static inline bytes_t
make_jwt_08(const char *issuer, const char *audience, const char *caps,
    int64_t exp, const bytes_t *proofs)
{
    ucan_jwt_draft_t  draft;

    memset(&draft, 0, sizeof(draft));

    draft.version = UCAN_TOKEN_VERSION_08;
    draft.aud = make_did(audience);
    draft.caps = bytes_of(caps);
    draft.exp = exp;
    draft.nbf = -1;
    draft.embedded = proofs;

    while (proofs != NULL && proofs[draft.embedded_count].len != 0) {
        draft.embedded_count++;
    }

    return make_jwt_of(issuer, &draft);
}


/* Joins with commas, as the "ucans" header does; an empty view ends the
   list. */
static inline bytes_t
make_header(const bytes_t *list)
{
    void            *buf;
    size_t           i, size;
    bytes_writer_t   w;

    size = 1;

    for (i = 0; list[i].len != 0; i++) {
        size += list[i].len + 2;
    }

    buf = make_alloc(NULL, size);
    if (buf == NULL) {
        abort();
    }

    bytes_writer_open(&w, buf, size);

    for (i = 0; list[i].len != 0; i++) {
        if (i != 0) {
            bytes_writer_text(&w, ", ");
        }

        bytes_writer_bytes(&w, list[i]);
    }

    return bytes_writer_view(&w);
}


#endif /* _UCAN_MAKE_H_INCLUDED_ */
