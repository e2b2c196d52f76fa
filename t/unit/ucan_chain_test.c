/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Sessions and invocations (design.md section 4) over real, signed tokens:
 * who gets in, what they may do, and for each rule the refusal that names it.
 */


#include "tap.h"
#include "ucan_make.h"


#define DAY  86400


/* What the callback below says is revoked, and how often it was asked. */
static struct {
    bytes_t   envelope;
    unsigned  asked;
} revoked;


static ucan_revoked_t
match_revoked(void *data, const cid_t *cid)
{
    cid_t  gone;

    (void) data;

    revoked.asked++;

    if (revoked.envelope.len == 0) {
        return UCAN_REVOKED_NOT;
    }

    cid_of(&gone, revoked.envelope.data[0] == 'e' ? CID_RAW : CID_DAG_CBOR,
           revoked.envelope);

    return cid_equal(&gone, cid) ? UCAN_REVOKED_ALL : UCAN_REVOKED_NOT;
}


/* A trust in "mesh", as nginx would have it. */
static const ucan_trust_t *
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
    trust.session_max = DAY;
    trust.revoked = match_revoked;

    ucan_limits_init(&trust.limits);

    return &trust;
}


static ucan_verdict_t
open_text(ucan_chain_t *chain, bytes_t token, bytes_t proofs)
{
    ucan_verdict_t         rc;
    static ucan_bundle_t   bundle;

    rc = ucan_bundle_parse(&bundle, token, proofs, &trust_mesh()->limits,
                           &make_memory);

    return (rc == UCAN_OK)
           ? ucan_chain_open(chain, &bundle, trust_mesh(), MAKE_NOW) : rc;
}


/* Opens what the list of envelopes holds. */
static ucan_verdict_t
open_list(ucan_chain_t *chain, const bytes_t *list, size_t count)
{
    return open_text(chain, make_container('P', list, count),
                     bytes_make(NULL, 0));
}


static ucan_verdict_t
ask(ucan_chain_t *chain, const char *command, const char *name,
    const char *value)
{
    ucan_request_t  request;

    memset(&request, 0, sizeof(request));

    request.command = bytes_of(command);

    if (name != NULL) {
        request.args[0].name = bytes_of(name);
        request.args[0].value = bytes_of(value);
        request.arg_count = 1;
    }

    return ucan_chain_allow(chain, &request, MAKE_NOW);
}


static void
ok_verdict(ucan_verdict_t rc, ucan_verdict_t expected, const char *promise)
{
    if (!tap_ok(rc == expected, "%s", promise)) {
        printf("#   got: %s, expected: %s\n", ucan_verdict_slug(rc),
               ucan_verdict_slug(expected));
    }
}


static void
test_session_opens(void)
{
    bytes_t       list[3];
    ucan_chain_t  chain;

    list[0] = make_delegation("mesh", "alice", "/room/read");
    list[1] = make_delegation("mesh", "alice", "/dm");
    list[2] = make_session("alice");

    ok_verdict(open_list(&chain, list, 3), UCAN_OK,
               "a session with a chain from the mesh opens");
    tap_ok(chain.kind == UCAN_CHAIN_SESSION, "it is a session");
    tap_ok(bytes_equal(chain.issuer, make_did("alice")),
           "its issuer is the holder");
    tap_ok(bytes_equal(chain.root, make_did("mesh")), "its root is the mesh");
    tap_ok(chain.depth == 2, "its depth counts the top");
    tap_ok(chain.expires == MAKE_NOW + 3600, "it ends with the top");

    ok_verdict(ask(&chain, "/room/read", NULL, NULL), UCAN_OK,
               "what a delegation names is allowed");
    ok_verdict(ask(&chain, "/dm/send", "to", "p_1"), UCAN_OK,
               "what lies below a delegation is allowed");
    ok_verdict(ask(&chain, "/room/send", NULL, NULL), UCAN_NOT_COVERED,
               "another command is not covered");
    ok_verdict(ask(&chain, "/room", NULL, NULL), UCAN_NOT_COVERED,
               "a wider command is not covered");
    ok_verdict(ask(&chain, "/dmx", NULL, NULL), UCAN_NOT_COVERED,
               "a longer name is not below a shorter one");
    ok_verdict(ask(&chain, "room/read", NULL, NULL), UCAN_NOT_COVERED,
               "a malformed command is not covered");
    ok_verdict(ucan_chain_alive(&chain, MAKE_NOW + 3600), UCAN_OK,
               "it lives to its last second");
    ok_verdict(ucan_chain_alive(&chain, MAKE_NOW + 3601), UCAN_EXPIRED,
               "and not a second longer");
}


static void
test_session_of_the_mesh_itself(void)
{
    bytes_t       list[1];
    ucan_chain_t  chain;

    list[0] = make_session("mesh");

    ok_verdict(open_list(&chain, list, 1), UCAN_OK,
               "the mesh's own key needs no chain");
    ok_verdict(ask(&chain, "/mesh/admin", NULL, NULL), UCAN_OK,
               "and may do everything");
}


static void
test_delegation_is_no_login(void)
{
    bytes_t       list[2];
    ucan_chain_t  chain;

    list[0] = make_delegation("mesh", "alice", "/");
    list[1] = make_delegation("alice", "mesh", "/");

    ok_verdict(open_list(&chain, list, 1), UCAN_NO_SESSION,
               "a delegation alone is no login");
    ok_verdict(open_list(&chain, list + 1, 1), UCAN_NO_SESSION,
               "nor is one whose audience is the mesh");
    ok_verdict(open_list(&chain, list, 2), UCAN_NO_SESSION,
               "nor are both together");
}


static void
test_stolen_delegations(void)
{
    bytes_t                list[3];
    ucan_chain_t           chain;
    ucan_envelope_draft_t  draft;

    list[0] = make_delegation("mesh", "alice", "/");
    list[1] = make_session("mallory");

    ok_verdict(open_list(&chain, list, 2), UCAN_UNTRUSTED_ROOT,
               "whoever carries another's delegation has no chain");

    draft = make_opening("alice");
    list[1] = make_envelope("mallory", &draft);

    ok_verdict(open_list(&chain, list, 2), UCAN_NO_SESSION,
               "nobody opens a session about another");

    list[1] = make_session("mallory");
    list[2] = make_delegation("mallory", "mallory", "/");

    ok_verdict(open_list(&chain, list, 3), UCAN_UNTRUSTED_ROOT,
               "nobody delegates from a mesh but the mesh");
}


static void
test_session_rules(void)
{
    cid_t                  cid;
    bytes_t                list[2];
    ucan_chain_t           chain;
    ucan_envelope_draft_t  draft;

    list[0] = make_delegation("mesh", "alice", "/");

    draft = make_opening("alice");
    draft.exp = -1;
    list[1] = make_envelope("alice", &draft);
    ok_verdict(open_list(&chain, list, 2), UCAN_SESSION_TOO_LONG,
               "a session must end");

    draft.exp = MAKE_NOW + DAY;
    list[1] = make_envelope("alice", &draft);
    ok_verdict(open_list(&chain, list, 2), UCAN_OK,
               "it may last as long as the limit");

    draft.exp = MAKE_NOW + DAY + 1;
    list[1] = make_envelope("alice", &draft);
    ok_verdict(open_list(&chain, list, 2), UCAN_SESSION_TOO_LONG,
               "and not a second longer");

    draft = make_opening("alice");
    draft.nonce = bytes_make(NULL, 0);
    list[1] = make_envelope("alice", &draft);
    ok_verdict(open_list(&chain, list, 2), UCAN_NO_SESSION,
               "it must have a nonce");

    draft = make_opening("alice");
    cid_of(&cid, CID_DAG_CBOR, list[0]);
    draft.proofs = &cid;
    draft.proof_count = 1;
    list[1] = make_envelope("alice", &draft);
    ok_verdict(open_list(&chain, list, 2), UCAN_NO_SESSION,
               "it names no proofs");

    draft = make_opening("alice");
    draft.aud = make_did("other");
    list[1] = make_envelope("alice", &draft);
    ok_verdict(open_list(&chain, list, 2), UCAN_WRONG_AUDIENCE,
               "a session for another mesh is refused");

    draft = make_opening("alice");
    draft.aud = bytes_make(NULL, 0);
    list[1] = make_envelope("alice", &draft);
    ok_verdict(open_list(&chain, list, 2), UCAN_WRONG_AUDIENCE,
               "so is one for nobody in particular");

    draft = make_opening("alice");
    draft.nbf = MAKE_NOW + 1;
    list[1] = make_envelope("alice", &draft);
    ok_verdict(open_list(&chain, list, 2), UCAN_NOT_YET,
               "it does not open early");

    draft = make_opening("alice");
    draft.exp = MAKE_NOW - 1;
    list[1] = make_envelope("alice", &draft);
    ok_verdict(open_list(&chain, list, 2), UCAN_EXPIRED,
               "nor late");
}


static void
test_two_invocations(void)
{
    bytes_t                list[3];
    ucan_chain_t           chain;
    ucan_envelope_draft_t  draft;

    draft = make_opening("alice");
    draft.nonce = bytes_of("another");

    list[0] = make_delegation("mesh", "alice", "/");
    list[1] = make_session("alice");
    list[2] = make_envelope("alice", &draft);

    ok_verdict(open_list(&chain, list, 3), UCAN_MALFORMED,
               "one container speaks once");
}


static void
test_chain_narrows(void)
{
    bytes_t       list[4];
    ucan_chain_t  chain;

    list[0] = make_delegation("mesh", "alice", "/room");
    list[1] = make_delegation("alice", "bob", "/room/read");
    list[2] = make_delegation("bob", "carol", "/room");
    list[3] = make_session("carol");

    ok_verdict(open_list(&chain, list, 4), UCAN_WIDENED,
               "a link in the middle that widens carries nothing");

    list[2] = make_delegation("bob", "carol", "/room/read");

    ok_verdict(open_list(&chain, list, 4), UCAN_OK, "one that does not does");
    tap_ok(chain.depth == 4, "all links are counted");
    ok_verdict(ask(&chain, "/room/read", NULL, NULL), UCAN_OK,
               "what all of them give is allowed");
    ok_verdict(ask(&chain, "/room/send", NULL, NULL), UCAN_NOT_COVERED,
               "what the first alone gives is not");
}


/* The middle link says that alice issued it; mallory signed it. */
static void
test_forged_middle(void)
{
    bytes_t         list[3];
    uint8_t        *forged;
    ucan_chain_t    chain;

    list[0] = make_delegation("mesh", "alice", "/");
    list[1] = make_delegation("alice", "mallory", "/room/read");
    list[2] = make_session("mallory");

    forged = make_alloc(NULL, list[1].len);
    memcpy(forged, list[1].data, list[1].len);
    forged[list[1].len - 3] ^= 1;
    list[1] = bytes_make(forged, list[1].len);

    ok_verdict(open_list(&chain, list, 3), UCAN_BAD_SIGNATURE,
               "a forged link carries nothing");
    tap_ok(chain.has_failed, "the refusal names a token");

    if (chain.has_failed) {
        cid_t  cid;

        cid_of(&cid, CID_DAG_CBOR, list[1]);
        tap_ok(cid_equal(&cid, &chain.failed), "namely the forged one");
    }
}


static void
test_policies(void)
{
    bytes_t                list[3];
    ucan_chain_t           chain;
    ucan_envelope_draft_t  draft;

    draft = make_draft("alice", "/room/send");
    draft.policy = make_policy(".room", "r_1");

    list[0] = make_envelope("mesh", &draft);
    list[1] = make_delegation("alice", "bob", "/room/send");
    list[2] = make_session("bob");

    ok_verdict(open_list(&chain, list, 3), UCAN_OK, "a policy stops no login");
    ok_verdict(ask(&chain, "/room/send", "room", "r_1"), UCAN_OK,
               "arguments that meet it are allowed");
    ok_verdict(ask(&chain, "/room/send", "room", "r_2"), UCAN_POLICY,
               "others are not, two links away");
    ok_verdict(ask(&chain, "/room/send", NULL, NULL), UCAN_POLICY,
               "nor is their absence");
}


static void
test_powerline(void)
{
    bytes_t                list[3];
    ucan_chain_t           chain;
    ucan_envelope_draft_t  draft;

    draft = make_draft("bob", "/room");
    draft.sub = bytes_make(NULL, 0);

    list[0] = make_delegation("mesh", "alice", "/room");
    list[1] = make_envelope("alice", &draft);
    list[2] = make_session("bob");

    ok_verdict(open_list(&chain, list, 3), UCAN_OK,
               "a powerline takes the subject above it");

    draft = make_draft("alice", "/room");
    draft.sub = bytes_make(NULL, 0);
    list[0] = make_envelope("mesh", &draft);

    ok_verdict(open_list(&chain, list, 3), UCAN_UNTRUSTED_ROOT,
               "and is no root");

    draft = make_draft("alice", "/room");
    draft.sub = make_did("other");
    list[0] = make_envelope("mesh", &draft);

    ok_verdict(open_list(&chain, list, 3), UCAN_WRONG_SUBJECT,
               "a chain about another subject is none here");
}


static void
test_link_window(void)
{
    bytes_t                list[3];
    ucan_chain_t           chain;
    ucan_envelope_draft_t  draft;

    draft = make_draft("alice", "/room");
    draft.exp = MAKE_NOW + 60;

    list[0] = make_envelope("mesh", &draft);
    list[1] = make_session("alice");

    ok_verdict(open_list(&chain, list, 2), UCAN_OK, "a link that ends soon");
    tap_ok(chain.expires == MAKE_NOW + 60, "ends the session with it");
    ok_verdict(ucan_chain_alive(&chain, MAKE_NOW + 61), UCAN_EXPIRED,
               "and the session dies then");

    list[2] = make_delegation("mesh", "alice", "/dm");

    ok_verdict(open_list(&chain, list, 3), UCAN_OK, "with another link");
    ok_verdict(ucan_chain_alive(&chain, MAKE_NOW + 61), UCAN_OK,
               "it lives on");

    draft.exp = MAKE_NOW - 1;
    list[0] = make_envelope("mesh", &draft);

    ok_verdict(open_list(&chain, list, 2), UCAN_EXPIRED,
               "a link that has ended carries nothing");

    draft.exp = -1;
    draft.nbf = MAKE_NOW + 1;
    list[0] = make_envelope("mesh", &draft);

    ok_verdict(open_list(&chain, list, 2), UCAN_NOT_YET,
               "nor one that has not begun");
}


static void
test_revocation(void)
{
    bytes_t       list[4];
    ucan_chain_t  chain;

    list[0] = make_delegation("mesh", "alice", "/room");
    list[1] = make_delegation("alice", "bob", "/room/read");
    list[2] = make_session("bob");
    list[3] = make_delegation("mesh", "bob", "/dm");

    ok_verdict(open_list(&chain, list, 4), UCAN_OK, "two ways to a root");

    revoked.envelope = list[0];

    ok_verdict(ask(&chain, "/room/read", NULL, NULL), UCAN_REVOKED,
               "a revoked link above ends what it gave at once");
    ok_verdict(ask(&chain, "/dm/send", NULL, NULL), UCAN_OK,
               "and nothing else");
    ok_verdict(ucan_chain_alive(&chain, MAKE_NOW), UCAN_OK,
               "the session lives by the other way");

    revoked.envelope = list[2];

    ok_verdict(ask(&chain, "/dm/send", NULL, NULL), UCAN_REVOKED,
               "a revoked top ends all");
    ok_verdict(ucan_chain_alive(&chain, MAKE_NOW), UCAN_REVOKED,
               "the session is dead");
    ok_verdict(open_list(&chain, list, 4), UCAN_REVOKED,
               "and does not open again");

    revoked.envelope = list[3];

    ok_verdict(open_list(&chain, list + 2, 2), UCAN_REVOKED,
               "with its only way revoked a session does not open");

    revoked.envelope = bytes_make(NULL, 0);
}


/*
 * All of four people delegate to all of them, sixteen times with different
 * nonces, and none has anything from the mesh: a search that tried each path
 * would not return.
 */

static void
test_tangle(void)
{
    size_t                 i, n;
    bytes_t                list[UCAN_TOKEN_COUNT_MAX];
    char                   nonce[4];
    unsigned               checked;
    ucan_chain_t           chain;
    ucan_envelope_draft_t  draft;
    static const char     *names[] = { "alice", "bob", "carol", "dave" };

    list[0] = make_session("alice");

    for (n = 1; n < UCAN_TOKEN_COUNT_MAX; n++) {
        draft = make_draft(names[n % 4], "/");

        snprintf(nonce, sizeof(nonce), "%zu", n);
        draft.nonce = bytes_of(nonce);

        list[n] = make_envelope(names[n / 4 % 4], &draft);
    }

    revoked.asked = 0;

    ok_verdict(open_list(&chain, list, n), UCAN_UNTRUSTED_ROOT,
               "a tangle without a root is refused");
    tap_ok(revoked.asked <= n, "and each token was looked at once");

    checked = 0;

    for (i = 0; i < chain.bundle->count; i++) {
        checked += chain.bundle->tokens[i].seal != UCAN_TOKEN_UNCHECKED;
    }

    tap_ok(checked <= n, "at most one signature for each was checked");

    list[n - 1] = make_delegation("mesh", "dave", "/");

    ok_verdict(open_list(&chain, list, n), UCAN_OK,
               "a root anywhere in it is found");
    tap_ok(chain.depth == 3, "by the shortest way");
}


static void
test_lazy_signatures(void)
{
    size_t         i;
    bytes_t        list[9];
    unsigned       checked;
    ucan_chain_t   chain;
    static char    command[8][16];

    list[8] = make_session("alice");

    for (i = 0; i < 8; i++) {
        snprintf(command[i], sizeof(command[i]), "/room/c%zu", i);
        list[i] = make_delegation("mesh", "alice", command[i]);
    }

    ok_verdict(open_list(&chain, list, 9), UCAN_OK, "nine tokens open");
    ok_verdict(ask(&chain, "/room/c5", NULL, NULL), UCAN_OK, "one is asked");
    ok_verdict(ask(&chain, "/room/c5", NULL, NULL), UCAN_OK, "and again");

    checked = 0;

    for (i = 0; i < chain.bundle->count; i++) {
        checked += chain.bundle->tokens[i].seal != UCAN_TOKEN_UNCHECKED;
    }

    tap_ok(checked <= 3, "only what is needed is checked (%u)", checked);
}


static void
test_depth(void)
{
    size_t       i;
    char         from[16], to[16];
    bytes_t      list[UCAN_TOKEN_DEPTH_MAX + 1];
    ucan_chain_t chain;

    memcpy(from, "mesh", 5);

    for (i = 0; i < UCAN_TOKEN_DEPTH_MAX; i++) {
        snprintf(to, sizeof(to), "k%zu", i);
        list[i] = make_delegation(from, to, "/");
        memcpy(from, to, sizeof(from));

        if (i + 2 == UCAN_TOKEN_DEPTH_MAX) {
            list[i + 1] = make_session(to);
            ok_verdict(open_list(&chain, list, i + 2), UCAN_OK,
                       "a chain as deep as the limit opens");
        }
    }

    list[i] = make_session(to);

    ok_verdict(open_list(&chain, list, i + 1), UCAN_TOO_DEEP,
               "a deeper one does not");
}


static void
test_invocation(void)
{
    cid_t                  cid[2];
    bytes_t                list[3];
    uint8_t                buf[64];
    ucan_chain_t           chain;
    bytes_writer_t         w;
    ucan_request_t         request;
    ucan_envelope_draft_t  draft;

    bytes_writer_open(&w, buf, sizeof(buf));
    cbor_write_map(&w, 1);
    cbor_write_text(&w, bytes_of("room"));
    cbor_write_text(&w, bytes_of("r_1"));

    list[0] = make_delegation("mesh", "alice", "/room");
    list[1] = make_delegation("alice", "bob", "/room/send");
    cid_of(&cid[0], CID_DAG_CBOR, list[0]);
    cid_of(&cid[1], CID_DAG_CBOR, list[1]);

    draft = make_draft("mesh", "/room/send");
    draft.invocation = 1;
    draft.args = bytes_writer_view(&w);
    draft.proofs = cid;
    draft.proof_count = 2;
    draft.exp = MAKE_NOW + 60;
    list[2] = make_envelope("bob", &draft);

    ok_verdict(open_list(&chain, list, 3), UCAN_OK, "an invocation opens");
    tap_ok(chain.kind == UCAN_CHAIN_INVOCATION && chain.depth == 3,
           "it is one, three tokens deep");
    ok_verdict(ask(&chain, "/room/send", "room", "r_1"), UCAN_OK,
               "it allows its command with its arguments");
    ok_verdict(ask(&chain, "/room/send", "room", "r_2"), UCAN_POLICY,
               "not with others");
    ok_verdict(ask(&chain, "/room/send", "to", "r_1"), UCAN_POLICY,
               "not with more");
    ok_verdict(ask(&chain, "/room/read", "room", "r_1"), UCAN_NOT_COVERED,
               "and no other command that its proofs would give");
    ok_verdict(ask(&chain, "/room", NULL, NULL), UCAN_NOT_COVERED,
               "nor the wider one");

    memset(&request, 0, sizeof(request));
    request.command = bytes_of("/room");

    ok_verdict(ucan_chain_require(&chain, &request, NULL, MAKE_NOW), UCAN_OK,
               "a location that requires a wider command takes it");

    request.command = bytes_of("/room/send/all");

    ok_verdict(ucan_chain_require(&chain, &request, NULL, MAKE_NOW),
               UCAN_NOT_COVERED, "one that requires a narrower does not");

    revoked.envelope = list[0];
    ok_verdict(ucan_chain_alive(&chain, MAKE_NOW), UCAN_REVOKED,
               "it dies with its proofs");
    revoked.envelope = bytes_make(NULL, 0);

    ok_verdict(open_list(&chain, list + 1, 2), UCAN_NO_PROOF,
               "without a proof that it names it is refused");

    draft.sub = make_did("bob");
    list[2] = make_envelope("bob", &draft);
    ok_verdict(open_list(&chain, list, 3), UCAN_WRONG_SUBJECT,
               "about a subject of its own it is refused");
}


static void
test_holder(void)
{
    bytes_t         list[1], holder;
    ucan_bundle_t   bundle;
    ucan_verdict_t  rc;

    list[0] = make_session("zoe");

    rc = ucan_bundle_parse(&bundle, make_container('C', list, 1),
                           bytes_make(NULL, 0), &trust_mesh()->limits,
                           &make_memory);
    ok_verdict(rc, UCAN_OK, "a proof of possession parses");

    rc = ucan_chain_holder(&bundle, trust_mesh(), MAKE_NOW, &holder);
    ok_verdict(rc, UCAN_OK, "a stranger can prove a key");
    tap_ok(bytes_equal(holder, make_did("zoe")), "and that key is named");

    rc = ucan_chain_holder(&bundle, trust_mesh(), MAKE_NOW + 3601, &holder);
    ok_verdict(rc, UCAN_EXPIRED, "not for ever");
    tap_ok(holder.len == 0, "and then nobody is named");
}


static void
test_jwt_session(void)
{
    char          caps[512], top[512];
    bytes_t       proofs[2];
    ucan_chain_t  chain;

    snprintf(caps, sizeof(caps),
             "{\"mesh://%.56s/room/\":{\"room/*\":[{}]}}",
             (const char *) make_did("mesh").data);
    snprintf(top, sizeof(top),
             "{\"mesh://%.56s/room/r_1\":{\"room/send\":"
             "[{\"visibility\":\"public\"}]},"
             "\"mesh://%.56s/room/r_2\":{\"room/read\":[{}]}}",
             (const char *) make_did("mesh").data,
             (const char *) make_did("mesh").data);

    proofs[0] = make_jwt("mesh", "alice", caps, MAKE_NOW + 7200, NULL);
    proofs[1] = bytes_make(NULL, 0);

    ok_verdict(open_text(&chain, make_jwt("alice", "mesh", top,
                                          MAKE_NOW + 3600, proofs),
                         make_header(proofs)),
               UCAN_OK, "a 0.10 session opens");
    tap_ok(chain.depth == 2 && chain.expires == MAKE_NOW + 3600
           && bytes_equal(chain.issuer, make_did("alice"))
           && bytes_equal(chain.root, make_did("mesh")),
           "its facts are those of the chain");
    ok_verdict(ask(&chain, "/room/read", "room", "r_2"), UCAN_OK,
               "the resource it claims is allowed");
    ok_verdict(ask(&chain, "/room/read", "room", "r_3"), UCAN_NOT_COVERED,
               "others below the proof's are not");
    ok_verdict(ask(&chain, "/room/send", "room", "r_1"), UCAN_POLICY,
               "a caveat that the request does not meet denies");
    ok_verdict(ask(&chain, "/dm/send", "to", "r_2"), UCAN_NOT_COVERED,
               "another kind is another resource");

    ok_verdict(open_text(&chain, make_jwt("alice", "mesh", top,
                                          MAKE_NOW + 3600, proofs),
                         bytes_make(NULL, 0)),
               UCAN_NO_PROOF, "without its proof it is refused");
    ok_verdict(open_text(&chain, make_jwt("alice", "mesh", top,
                                          MAKE_NOW + 7201, proofs),
                         make_header(proofs)),
               UCAN_OUTLIVES, "it may not outlive its proof");
    ok_verdict(open_text(&chain, make_jwt("mallory", "mesh", top,
                                          MAKE_NOW + 60, proofs),
                         make_header(proofs)),
               UCAN_BROKEN_CHAIN, "a proof for another is none");
    ok_verdict(open_text(&chain, make_jwt("mallory", "mesh", top,
                                          MAKE_NOW + 60, NULL),
                         bytes_make(NULL, 0)),
               UCAN_UNTRUSTED_ROOT, "nobody is a root but the mesh");
    ok_verdict(open_text(&chain, make_jwt("mesh", "mesh", top, -1, NULL),
                         bytes_make(NULL, 0)),
               UCAN_SESSION_TOO_LONG, "a session must end");
}


static void
test_jwt_resources(void)
{
    size_t        i;
    char          caps[256];
    ucan_chain_t  chain;

    static const struct {
        const char  *caps;        /* "%.56s" is the mesh */
        int          allowed;     /* /room/read with room=r_1 */
    } cases[] = {
        { "{\"mesh://%.56s/room/r_1\":{\"room/read\":[{}]}}", 1 },
        { "{\"mesh://%.56s/room/\":{\"room/read\":[{}]}}", 1 },
        { "{\"mesh://%.56s/\":{\"*\":[{}]}}", 1 },
        { "{\"mesh://%.56s/\":{\"room/*\":[{}]}}", 1 },
        { "{\"mesh://%.56s/\":{\"ROOM/Read\":[{}]}}", 1 },
        { "{\"mesh://%.56s/\":{\"room/read\":[{\"room\":\"r_1\"}]}}", 1 },
        { "{\"mesh://%.56s/\":{\"room/read\":[{\"room\":\"r_2\"}]}}", 0 },
        { "{\"mesh://%.56s/\":{\"room/read\":"
          "[{\"room\":\"r_2\"},{\"room\":\"r_1\"}]}}", 1 },
        { "{\"mesh://%.56s/room\":{\"room/read\":[{}]}}", 0 },
        { "{\"mesh://%.56s/room/r_\":{\"room/read\":[{}]}}", 0 },
        { "{\"mesh://%.56s/room/r_1/\":{\"room/read\":[{}]}}", 0 },
        { "{\"mesh://%.56s\":{\"room/read\":[{}]}}", 0 },
        { "{\"mesh://\":{\"room/read\":[{}]}}", 0 },
        { "{\"mesh:///\":{\"room/read\":[{}]}}", 0 },
        { "{\"MESH://%.56s/room/\":{\"room/read\":[{}]}}", 0 },
        { "{\"mesh://%.55s/room/\":{\"room/read\":[{}]}}", 0 },
        { "{\"mesh://%.56s/\":{\"room\":[{}]}}", 0 },
        { "{\"mesh://%.56s/\":{\"room/\":[{}]}}", 0 },
        { "{\"mesh://%.56s/\":{\"roo*\":[{}]}}", 0 },
        { "{\"ucan:*\":{\"*\":[{}]}}", 0 }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(caps, sizeof(caps), cases[i].caps,
                 (const char *) make_did("mesh").data);

        (void) open_text(&chain, make_jwt("mesh", "mesh", caps,
                                          MAKE_NOW + 60, NULL),
                         bytes_make(NULL, 0));

        tap_ok((ask(&chain, "/room/read", "room", "r_1") == UCAN_OK)
               == cases[i].allowed,
               "%s %s", cases[i].caps,
               cases[i].allowed ? "covers room r_1" : "does not");
    }
}


/* Every token of a level names both of the next: 2^13 paths, 27 tokens. */
static void
test_jwt_diamond(void)
{
    int            i, level;
    char           caps[2][256], name[16], above[16];
    bytes_t        all[40], proofs[3], top;
    unsigned       asked;
    ucan_chain_t   chain;

    snprintf(caps[0], sizeof(caps[0]),
             "{\"mesh://%.56s/\":{\"*\":[{}]}}",
             (const char *) make_did("mesh").data);

    all[26] = bytes_make(NULL, 0);
    proofs[0] = bytes_make(NULL, 0);

    memcpy(above, "mallory", 8);

    for (level = 0; level < 13; level++) {

        snprintf(name, sizeof(name), "d%d", level);

        for (i = 0; i < 2; i++) {
            snprintf(caps[1], sizeof(caps[1]), "{\"mesh://%.56s/\":{\"*\":"
                     "[{\"n\":%d},{}]}}",
                     (const char *) make_did("mesh").data, i);
            all[level * 2 + i] = make_jwt(above, name, caps[1],
                                          MAKE_NOW + 60, proofs);
        }

        memcpy(above, name, sizeof(above));
        proofs[0] = all[level * 2];
        proofs[1] = all[level * 2 + 1];
        proofs[2] = bytes_make(NULL, 0);
    }

    top = make_jwt(above, "mesh", caps[0], MAKE_NOW + 60, proofs);

    revoked.asked = 0;

    ok_verdict(open_text(&chain, top, make_header(all)), UCAN_UNTRUSTED_ROOT,
               "a diamond rooted in a stranger is refused");

    asked = revoked.asked;
    tap_ok(asked <= 27, "each token was looked at once (%u)", asked);
}


int
main(void)
{
    if (sodium_init() < 0) {
        return 1;
    }

    test_session_opens();
    test_session_of_the_mesh_itself();
    test_delegation_is_no_login();
    test_stolen_delegations();
    test_session_rules();
    test_two_invocations();
    test_chain_narrows();
    test_forged_middle();
    test_policies();
    test_powerline();
    test_link_window();
    test_revocation();
    test_tangle();
    test_lazy_signatures();
    test_depth();
    test_invocation();
    test_holder();
    test_jwt_session();
    test_jwt_resources();
    test_jwt_diamond();

    return tap_done();
}
