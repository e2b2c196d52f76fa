/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The walk over 0.x (reference 4.1, step 8): windows in windows, and resources
 * that are none of a mesh's.
 */


#include "ucan_fixture.h"


static bytes_t
window_jwt(const char *issuer, const char *audience, int64_t nbf,
    int64_t exp, bytes_t proof)
{
    cid_t             cid;
    char              caps[128];
    ucan_jwt_draft_t  draft;

    memset(&draft, 0, sizeof(draft));
    snprintf(caps, sizeof(caps), "{\"mesh://%.56s/\":{\"*\":[{}]}}",
             (const char *) make_did("mesh").data);

    draft.aud = make_did(audience);
    draft.caps = bytes_of(caps);
    draft.nbf = nbf;
    draft.exp = exp;

    if (proof.len != 0) {
        cid_of(&cid, CID_RAW, proof);
        draft.proofs = &cid;
        draft.proof_count = 1;
    }

    return make_jwt_of(issuer, &draft);
}


/* 0.x: the window of a proof holds that of the token (reference 4.1, 8). */
static void
test_jwt_windows(void)
{
    size_t        i;
    bytes_t       proofs[2], top;
    ucan_chain_t  chain;

    static const struct {
        const char      *name;
        int64_t          nbf, exp, above_nbf, above_exp;    /* -1: none */
        ucan_verdict_t   rc;
    } cases[] = {
        { "no bounds above", -1, MAKE_NOW + 60, -1, -1, UCAN_OK },
        { "the same end", -1, MAKE_NOW + 60, -1, MAKE_NOW + 60, UCAN_OK },
        { "a later end", -1, MAKE_NOW + 61, -1, MAKE_NOW + 60,
          UCAN_OUTLIVES },
        { "the same beginning", MAKE_NOW, MAKE_NOW + 60, MAKE_NOW, -1,
          UCAN_OK },
        { "an earlier beginning", MAKE_NOW - 1, MAKE_NOW + 60, MAKE_NOW, -1,
          UCAN_OUTLIVES },
        { "no beginning under one", -1, MAKE_NOW + 60, MAKE_NOW, -1,
          UCAN_OUTLIVES },
        { "a beginning under none", MAKE_NOW, MAKE_NOW + 60, -1, -1,
          UCAN_OK }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        reset();

        proofs[0] = window_jwt("mesh", "alice", cases[i].above_nbf,
                               cases[i].above_exp, bytes_make(NULL, 0));
        proofs[1] = bytes_make(NULL, 0);
        top = window_jwt("alice", "mesh", cases[i].nbf, cases[i].exp,
                         proofs[0]);

        ok_verdict(open_jwt(&chain, top, proofs), cases[i].rc,
                   cases[i].name);
    }
}


static ucan_verdict_t
require(ucan_chain_t *chain, const char *with, const char *can, int prefix)
{
    ucan_request_t   request;
    ucan_resource_t  resource;

    memset(&request, 0, sizeof(request));
    memset(&resource, 0, sizeof(resource));

    request.command = bytes_of("/crud/read");
    resource.with = bytes_of(with);
    resource.can = bytes_of(can);
    resource.prefix = (prefix != 0);

    return ucan_chain_require(chain, &request, &resource, MAKE_NOW);
}


static void
test_resource(void)
{
    size_t        i;
    bytes_t       top;
    ucan_chain_t  chain;

    static const struct {
        const char  *with;
        const char  *can;
        int          prefix;
        int          allowed;
    } cases[] = {
        { "https://api/notes", "", 0, 1 },
        { "https://api/notes", "crud/read", 0, 1 },
        { "https://api/notes", "crud/write", 0, 0 },
        { "https://api/notes/", "", 0, 0 },
        { "https://api/notes/1", "", 0, 0 },
        { "https://api/notes/1", "", 1, 1 },
        { "https://api/notes/", "", 1, 1 },
        { "https://api/notes", "", 1, 1 },
        { "https://api/notesx", "", 1, 0 },
        { "https://api/note", "", 1, 0 },
        { "https://api/", "", 1, 0 },
        { "https://api/files/1", "", 1, 1 },
        { "https://api/files/", "", 0, 1 },
        { "https://api/files/1", "", 0, 0 },
        { "https://api/files", "", 1, 0 },
        { "", "", 1, 0 }
    };

    reset();

    top = make_jwt("mesh", "mesh",
                   "{\"https://api/notes\":{\"crud/read\":[{}]},"
                   "\"https://api/files/\":{\"crud/*\":[{}]}}",
                   MAKE_NOW + 60, NULL);

    ok_verdict(open_jwt(&chain, top, NULL), UCAN_OK,
               "a token about resources of others opens");

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        tap_ok((require(&chain, cases[i].with, cases[i].can, cases[i].prefix)
                == UCAN_OK) == cases[i].allowed,
               "\"%s\" %s%s: %s", cases[i].with, cases[i].can,
               cases[i].prefix ? " prefix" : "",
               cases[i].allowed ? "allowed" : "refused");
    }
}


/* What covers in one place must cover between the links as well. */
static void
test_resource_chain(void)
{
    bytes_t       proofs[2], top;
    ucan_chain_t  chain;

    reset();

    proofs[0] = make_jwt("mesh", "alice",
                         "{\"https://api/notes\":{\"*\":[{}]}}",
                         MAKE_NOW + 60, NULL);
    proofs[1] = bytes_make(NULL, 0);
    top = make_jwt("alice", "mesh",
                   "{\"https://api/notes/1\":{\"crud/read\":[{}]},"
                   "\"https://api/notes\":{\"crud/read\":[{}]}}",
                   MAKE_NOW + 60, proofs);

    ok_verdict(open_jwt(&chain, top, proofs), UCAN_OK, "two links open");
    ok_verdict(require(&chain, "https://api/notes/1", "", 0), UCAN_WIDENED,
               "a resource below its proof's is another one");
    ok_verdict(require(&chain, "https://api/notes/2", "", 1), UCAN_OK,
               "where prefixes count it is not");

    proofs[0] = make_jwt("mallory", "alice",
                         "{\"https://api/notes\":{\"*\":[{}]}}",
                         MAKE_NOW + 60, NULL);
    top = make_jwt("alice", "mesh",
                   "{\"https://api/notes\":{\"*\":[{}]}}", MAKE_NOW + 60,
                   proofs);

    ok_verdict(open_jwt(&chain, top, proofs), UCAN_UNTRUSTED_ROOT,
               "only the anchors own it");

    top = make_jwt("mesh", "mesh",
                   "{\"mesh:\":{\"*\":[{}]},\"mesh:/\":{\"*\":[{}]},"
                   "\"https://api/\":{\"*\":[{}]}}",
                   MAKE_NOW + 60, NULL);

    ok_verdict(open_jwt(&chain, top, NULL), UCAN_OK, "an anchor's opens");
    ok_verdict(require(&chain, "mesh://did:key:zOther/room/1", "", 1),
               UCAN_UNTRUSTED_ROOT,
               "no prefix makes an anchor own another mesh");
}


/* A link may narrow to what lies below its proof's resource, where the trust
   says so and at a slash. */
static void
test_prefix_opens(void)
{
    size_t        i;
    bytes_t       proofs[2], top;
    ucan_chain_t  chain;

    static const struct {
        const char      *name;
        const char      *caps;
        int              below;
        ucan_verdict_t   rc;
    } cases[] = {
        { "narrower, bytewise", "{\"https://x/a/b\":{\"f/r\":[{}]}}", 0,
          UCAN_WIDENED },
        { "narrower, prefix", "{\"https://x/a/b\":{\"f/r\":[{}]}}", 1,
          UCAN_OK },
        { "wider, prefix", "{\"https://x/\":{\"f/r\":[{}]}}", 1,
          UCAN_WIDENED },
        { "a longer name, prefix", "{\"https://x/ab\":{\"f/r\":[{}]}}", 1,
          UCAN_WIDENED }
    };

    proofs[0] = make_jwt("mesh", "alice",
                         "{\"https://x/a\":{\"f/r\":[{}]}}", MAKE_NOW + 60,
                         NULL);
    proofs[1] = bytes_make(NULL, 0);

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        top = make_jwt("alice", "mesh", cases[i].caps, MAKE_NOW + 60, proofs);
        reset();
        memo.prefix = cases[i].below;

        ok_verdict(open_jwt(&chain, top, proofs), cases[i].rc,
                   cases[i].name);

        if (cases[i].rc == UCAN_OK) {
            ok_verdict(ucan_chain_alive(&chain, MAKE_NOW), UCAN_OK,
                       "and lives on");
        }
    }

    memo.prefix = 0;
}


/* Namespaces lie below each other by dots, those of storage only. */
static void
test_namespaces(void)
{
    size_t          i;
    bytes_t         top, mesh;
    char            caps[512];
    ucan_chain_t    chain;
    ucan_request_t  request;

    static const struct {
        const char  *command;
        const char  *arg;
        const char  *value;
        int          allowed;
    } cases[] = {
        { "/storage/read", "ns", "p_1", 1 },
        { "/storage/read", "ns", "p_1.p_2", 1 },
        { "/storage/read", "ns", "p_1.p_2.p_3", 1 },
        { "/storage/read", "ns", "p_12", 0 },
        { "/storage/read", "ns", "p_1/p_2", 0 },
        { "/storage/write", "ns", "p_1.p_2", 0 },
        { "/storage/read", "ns", "p_2", 1 },
        { "/storage/read", "ns", "p_2.p_3", 0 },
        { "/room/read", "room", "r_1.r_2", 0 },
        { "/room/read", "room", "r_1.", 1 }
    };

    reset();
    mesh = make_did("mesh");

    snprintf(caps, sizeof(caps),
             "{\"mesh://%.56s/storage/p_1\":{\"storage/read\":[{}]},"
             "\"mesh://%.56s/storage/p_1.\":{\"storage/read\":[{}]},"
             "\"mesh://%.56s/storage/p_2\":{\"storage/read\":[{}]},"
             "\"mesh://%.56s/storage/.\":{\"storage/read\":[{}]},"
             "\"mesh://%.56s/room/r_1.\":{\"room/read\":[{}]}}",
             (const char *) mesh.data, (const char *) mesh.data,
             (const char *) mesh.data, (const char *) mesh.data,
             (const char *) mesh.data);

    top = make_jwt("mesh", "mesh", caps, MAKE_NOW + 60, NULL);

    ok_verdict(open_jwt(&chain, top, NULL), UCAN_OK,
               "a token about namespaces opens");

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memset(&request, 0, sizeof(request));
        request.command = bytes_of(cases[i].command);
        request.args[0].name = bytes_of(cases[i].arg);
        request.args[0].value = bytes_of(cases[i].value);
        request.arg_count = 1;

        tap_ok((ucan_chain_allow(&chain, &request, MAKE_NOW) == UCAN_OK)
               == cases[i].allowed, "%s of %s: %s", cases[i].command,
               cases[i].value, cases[i].allowed ? "allowed" : "refused");
    }
}


int
main(void)
{
    if (sodium_init() < 0) {
        return 1;
    }

    test_jwt_windows();
    test_resource();
    test_resource_chain();
    test_prefix_opens();
    test_namespaces();

    return tap_done();
}
