/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * A trust in "mesh" that remembers what it was asked, for the tests of the
 * walks.  One thread.
 */


#ifndef _UCAN_FIXTURE_H_INCLUDED_
#define _UCAN_FIXTURE_H_INCLUDED_


#include "tap.h"
#include "ucan_make.h"


#define REVOKED_MAX  32


/* Who revoked what, and whose signatures are known; asked by the trust. */
static struct {
    cid_t     cid[REVOKED_MAX];
    bytes_t   by[REVOKED_MAX];
    size_t    count;
    unsigned  questions;
    unsigned  sealed;
    unsigned  seals;
    int       know;            /* all signatures are known */
    int       prefix;          /* 0.x resources cover what lies below */
} memo;


static inline ucan_revoked_t
match_revoked(void *data, const cid_t *cid)
{
    size_t  i;

    (void) data;

    for (i = 0; i < memo.count; i++) {
        if (cid_equal(&memo.cid[i], cid)) {
            return UCAN_REVOKED_BY;
        }
    }

    return UCAN_REVOKED_NOT;
}


static inline int
match_revoked_by(void *data, const cid_t *cid, bytes_t did)
{
    size_t  i;

    (void) data;

    memo.questions++;

    for (i = 0; i < memo.count; i++) {
        if (cid_equal(&memo.cid[i], cid) && bytes_equal(memo.by[i], did)) {
            return 1;
        }
    }

    return 0;
}


static inline int
find_seal(void *data, const cid_t *cid)
{
    (void) data;
    (void) cid;

    memo.sealed++;

    return memo.know;
}


static inline void
add_seal(void *data, const cid_t *cid)
{
    (void) data;
    (void) cid;

    memo.seals++;
}


static inline void
revoke(const char *by, bytes_t token)
{
    cid_of(&memo.cid[memo.count],
           token.data[0] == 'e' ? CID_RAW : CID_DAG_CBOR, token);
    memo.by[memo.count++] = make_did(by);
}


static inline void
reset(void)
{
    memset(&memo, 0, sizeof(memo));
    make_reset();
}


static inline ucan_trust_t *
trust_mesh(void)
{
    static bytes_t       did;
    static ucan_trust_t  trust;

    did = make_did("mesh");

    memset(&trust, 0, sizeof(trust));

    trust.audiences = &did;
    trust.audience_count = 1;
    trust.anchors = &did;
    trust.anchor_count = 1;
    trust.session_max = 86400;
    trust.prefix = (memo.prefix != 0);
    trust.revoked = match_revoked;
    trust.revoked_by = match_revoked_by;
    trust.sealed = find_seal;
    trust.seal = add_seal;

    ucan_limits_init(&trust.limits);

    return &trust;
}


static inline ucan_verdict_t
open_at(ucan_chain_t *chain, const bytes_t *list, size_t count,
    const ucan_trust_t *trust, int64_t now)
{
    ucan_verdict_t         rc;
    static ucan_bundle_t   bundle;

    rc = ucan_bundle_parse_envelopes(&bundle, list, count, &trust->limits,
                                     &make_memory);

    return (rc == UCAN_OK) ? ucan_chain_open(chain, &bundle, trust, now)
                           : rc;
}


static inline ucan_verdict_t
open_list(ucan_chain_t *chain, const bytes_t *list, size_t count)
{
    return open_at(chain, list, count, trust_mesh(), MAKE_NOW);
}


static inline ucan_verdict_t
open_jwt(ucan_chain_t *chain, bytes_t token, const bytes_t *proofs)
{
    bytes_t                header;
    ucan_verdict_t         rc;
    static ucan_bundle_t   bundle;

    header = (proofs != NULL) ? make_header(proofs) : bytes_make(NULL, 0);

    rc = ucan_bundle_parse(&bundle, token, header, &trust_mesh()->limits,
                           &make_memory);

    return (rc == UCAN_OK)
           ? ucan_chain_open(chain, &bundle, trust_mesh(), MAKE_NOW) : rc;
}


static inline void
ok_verdict(ucan_verdict_t rc, ucan_verdict_t expected, const char *promise)
{
    if (!tap_ok(rc == expected, "%s", promise)) {
        printf("#   got: %s, expected: %s\n", ucan_verdict_slug(rc),
               ucan_verdict_slug(expected));
    }
}


/* Everything about the mesh, for audience; caps of 0.10. */
static inline bytes_t
jwt_all(const char *issuer, const char *audience, const bytes_t *proofs)
{
    char  caps[128];

    snprintf(caps, sizeof(caps), "{\"mesh://%.56s/\":{\"*\":[{}]}}",
             (const char *) make_did("mesh").data);

    return make_jwt(issuer, audience, caps, MAKE_NOW + 60, proofs);
}


#endif /* _UCAN_FIXTURE_H_INCLUDED_ */
