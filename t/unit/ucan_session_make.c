/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Writes the vectors of sessions, t/vectors/session/session.json, to stdout:
 * the right ways to open one and every way to get it wrong.  Keys are made of
 * their names, times are fixed, so the bytes are always the same, and
 * t/10-ucan-vectors.t sees that they are those of the file.
 */


#include <stdio.h>

#include "base64.h"
#include "ucan_make.h"
#include "ucan_revocation.h"


#define SESSION_TOKENS_MAX  8
#define SESSION_MAX         86400
#define SESSION_VERSIONS    (sizeof(session_versions)                         \
                             / sizeof(session_versions[0]))


/* What a case is made of. */
typedef struct {
    const char  *id;
    const char  *text;
    const char  *verdict;                      /* "ok": accept */
    bytes_t      list[SESSION_TOKENS_MAX];     /* 1.0: envelopes; 0.x: the
                                                  token and its proofs */
    size_t       count;
    const char  *room;                         /* required, or NULL */
    const char  *command;
    bytes_t      revocation;                   /* JSON, or empty */
    const char  *http;                         /* JSON, or NULL */
} session_case_t;


static const struct {
    const char  *name;
    int          final;
    unsigned     version;      /* of 0.x */
} session_versions[] = {
    { "v1-rc1",   0, 0 },
    { "v1-final", 1, 0 },
    { "10",       0, UCAN_TOKEN_VERSION_10 },
    { "09",       0, UCAN_TOKEN_VERSION_09 },
    { "08",       0, UCAN_TOKEN_VERSION_08 }
};


static unsigned  session_version;
static unsigned  session_written;


static void
write_text(const char *name, bytes_t text)
{
    printf("  \"%s\": \"%.*s\",\n", name, (int) text.len,
           (const char *) text.data);
}


static bytes_t
encode(base64_form_t form, bytes_t b)
{
    void            *buf;
    bytes_writer_t   w;

    buf = make_alloc(NULL, base64_encoded_max(b.len) + 1);

    if (buf == NULL) {
        abort();
    }

    bytes_writer_open(&w, buf, base64_encoded_max(b.len));
    (void) base64_encode(form, b, &w);

    return bytes_writer_view(&w);
}


static void
write_proofs(const session_case_t *c)
{
    size_t  i;

    printf("  \"proofs\": [");

    for (i = 1; i < c->count; i++) {
        printf("%s\"%.*s\"", i == 1 ? "" : ", ", (int) c->list[i].len,
               (const char *) c->list[i].data);
    }

    printf("],\n");
}


static void
write_case(session_case_t *c)
{
    printf("%s\n {\n  \"id\": \"%s-%s\",\n  \"description\": \"%s\",\n",
           session_written++ == 0 ? "" : ",",
           session_versions[session_version].name, c->id, c->text);

    if (session_versions[session_version].version == 0) {
        write_text("container", make_container('C', c->list, c->count));

    } else {
        write_text("token", c->list[0]);
        write_proofs(c);
    }

    write_text("audience", make_did("mesh"));
    printf("  \"subjects\": [\"%.*s\"],\n", DID_ED25519_LEN,
           (const char *) make_did("mesh").data);
    printf("  \"now\": %d,\n  \"leeway\": 0,\n  \"session_max\": %d,\n",
           MAKE_NOW, SESSION_MAX);

    if (c->command != NULL) {
        printf("  \"required\": {\"cmd\": \"%s\", \"args\": "
               "{\"room\": \"%s\"}},\n", c->command, c->room);
    }

    if (c->revocation.len != 0) {
        printf("  \"revocations\": [%.*s],\n", (int) c->revocation.len,
               (const char *) c->revocation.data);
    }

    if (c->http != NULL) {
        printf("  \"http\": %s,\n", c->http);
    }

    printf("  \"expect\": \"%s\",\n  \"verdict\": \"%s\"\n }",
           strcmp(c->verdict, "ok") == 0 ? "accept" : "reject", c->verdict);
}


static session_case_t
open_case(const char *id, const char *text, const char *verdict)
{
    session_case_t  c;

    memset(&c, 0, sizeof(c));

    c.id = id;
    c.text = text;
    c.verdict = verdict;

    return c;
}


static void
add(session_case_t *c, bytes_t token)
{
    c->list[c->count++] = token;
}


static bytes_t
sign(const char *issuer, ucan_envelope_draft_t draft)
{
    draft.final = session_versions[session_version].final;

    return make_envelope(issuer, &draft);
}


static bytes_t
delegation(const char *issuer, const char *audience, const char *command)
{
    return sign(issuer, make_draft(audience, command));
}


/* An invocation of "/ucan/revoke" as the vectors have it, JSON text. */
static bytes_t
revocation_v1(const char *by, bytes_t token)
{
    cid_t                  cid;
    uint8_t                args[64], binary[1 + CID_BINARY_LEN];
    char                   quoted[1024];
    bytes_t                text;
    bytes_writer_t         w, b;
    ucan_envelope_draft_t  draft;

    cid_of(&cid, CID_DAG_CBOR, token);
    bytes_writer_open(&b, binary, sizeof(binary));
    cid_write_binary(&cid, &b);

    bytes_writer_open(&w, args, sizeof(args));
    cbor_write_map(&w, 1);
    cbor_write_text(&w, bytes_of("revoke"));
    cbor_write_link(&w, bytes_writer_view(&b));

    draft = make_draft(by, UCAN_REVOCATION_COMMAND);
    draft.invocation = 1;
    draft.aud = bytes_make(NULL, 0);
    draft.sub = make_did(by);
    draft.args = bytes_writer_view(&w);
    draft.nonce = bytes_make(NULL, 0);

    text = encode(BASE64_STD, sign(by, draft));

    bytes_writer_open(&w, quoted, sizeof(quoted));
    bytes_writer_byte(&w, '"');
    bytes_writer_bytes(&w, text);
    bytes_writer_byte(&w, '"');

    return make_copy(&w);
}


/* A record of 0.x, JSON text. */
static bytes_t
revocation_jwt(const char *by, bytes_t token)
{
    cid_t           cid;
    uint8_t         buf[1024], text[CID_TEXT_LEN], sig[SIGNATURE_ED25519_LEN];
    bytes_writer_t  w, t;

    cid_of(&cid, CID_RAW, token);
    bytes_writer_open(&t, text, sizeof(text));
    cid_write(&cid, &t);

    bytes_writer_open(&w, buf, sizeof(buf));
    bytes_writer_text(&w, "REVOKE:");
    bytes_writer_bytes(&w, bytes_writer_view(&t));
    signature_sign(make_key(by), bytes_writer_view(&w), sig);

    bytes_writer_open(&w, buf, sizeof(buf));
    bytes_writer_text(&w, "{\"iss\": \"");
    bytes_writer_bytes(&w, make_did(by));
    bytes_writer_text(&w, "\", \"revoke\": \"");
    bytes_writer_bytes(&w, bytes_writer_view(&t));
    bytes_writer_text(&w, "\", \"challenge\": \"");
    bytes_writer_bytes(&w, encode(BASE64_URL, bytes_make(sig, sizeof(sig))));
    bytes_writer_text(&w, "\"}");

    return make_copy(&w);
}


/* The last byte of what is signed, turned; the signature stays. */
static bytes_t
forge(bytes_t token)
{
    uint8_t  *p;

    p = make_alloc(NULL, token.len);

    if (p == NULL) {
        abort();
    }

    memcpy(p, token.data, token.len);
    p[token.len - 3] ^= 1;

    return bytes_make(p, token.len);
}


static void
make_v1_right(void)
{
    session_case_t         c;
    ucan_envelope_draft_t  draft;

    c = open_case("holder", "A role of the mesh and the holder's opening",
                  "ok");
    add(&c, delegation("mesh", "alice", "/room"));
    add(&c, sign("alice", make_opening("alice")));
    c.command = "/room/send";
    c.room = "r_1";
    write_case(&c);

    c.id = "not-covered";
    c.text = "The session opens, and what no delegation names stays shut";
    c.verdict = "not-covered";
    c.command = "/dm/send";
    write_case(&c);

    c = open_case("mesh-itself", "The mesh's own key needs no chain", "ok");
    add(&c, sign("mesh", make_opening("mesh")));
    write_case(&c);

    c = open_case("bot", "Two links, the second a powerline", "ok");
    draft = make_draft("bot", "/room/read");
    draft.sub = bytes_make(NULL, 0);
    add(&c, delegation("mesh", "alice", "/room"));
    add(&c, sign("alice", draft));
    add(&c, sign("bot", make_opening("bot")));
    c.command = "/room/read";
    c.room = "r_1";
    write_case(&c);

    c = open_case("policy", "The policy holds for the args asked about",
                  "ok");
    draft = make_draft("alice", "/room/send");
    draft.policy = make_policy(".room", "r_1");
    add(&c, sign("mesh", draft));
    add(&c, sign("alice", make_opening("alice")));
    c.command = "/room/send";
    c.room = "r_1";
    write_case(&c);

    c.id = "policy-refuses";
    c.text = "and refuses others";
    c.verdict = "policy-refused";
    c.room = "r_2";
    write_case(&c);

    c = open_case("full-length", "As long as the limit allows", "ok");
    draft = make_opening("alice");
    draft.exp = MAKE_NOW + SESSION_MAX;
    add(&c, delegation("mesh", "alice", "/room"));
    add(&c, sign("alice", draft));
    write_case(&c);
}


static void
make_v1_stolen(void)
{
    session_case_t         c;
    ucan_envelope_draft_t  draft;

    c = open_case("bare-delegation", "A delegation alone is no login",
                  "no-session");
    add(&c, delegation("mesh", "alice", "/"));
    write_case(&c);

    c = open_case("delegation-to-mesh",
                  "A delegation whose audience is the mesh is no login",
                  "no-session");
    add(&c, delegation("alice", "mesh", "/"));
    write_case(&c);

    c.id = "delegation-to-mesh-with-chain";
    c.text = "nor is it with the chain of its issuer";
    add(&c, delegation("mesh", "alice", "/"));
    write_case(&c);

    c = open_case("stolen-chain",
                  "Another's chain and an opening of one's own",
                  "untrusted-root");
    add(&c, delegation("mesh", "alice", "/"));
    add(&c, sign("mallory", make_opening("mallory")));
    write_case(&c);

    c = open_case("opening-about-another",
                  "mallory signs an opening whose subject is alice",
                  "no-session");
    draft = make_opening("alice");
    add(&c, delegation("mesh", "alice", "/"));
    add(&c, sign("mallory", draft));
    write_case(&c);

    c = open_case("opening-about-the-mesh",
                  "alice opens a session about the mesh", "no-session");
    draft = make_opening("alice");
    draft.sub = make_did("mesh");
    add(&c, delegation("mesh", "alice", "/"));
    add(&c, sign("alice", draft));
    write_case(&c);

    c = open_case("own-root", "mallory delegates to herself about the mesh",
                  "untrusted-root");
    add(&c, delegation("mallory", "mallory", "/"));
    add(&c, sign("mallory", make_opening("mallory")));
    write_case(&c);

    c = open_case("foreign-root", "A good chain about another mesh",
                  "wrong-subject");
    draft = make_draft("alice", "/");
    draft.sub = make_did("other");
    add(&c, sign("other", draft));
    add(&c, sign("alice", make_opening("alice")));
    write_case(&c);

    c = open_case("forged-opening", "The opening was changed after signing",
                  "bad-signature");
    add(&c, delegation("mesh", "alice", "/"));
    add(&c, forge(sign("alice", make_opening("alice"))));
    write_case(&c);

    c = open_case("forged-role", "The delegation was changed after signing",
                  "bad-signature");
    add(&c, forge(delegation("mesh", "alice", "/")));
    add(&c, sign("alice", make_opening("alice")));
    write_case(&c);
}


/* One member of the opening is not what it should be. */
static void
make_v1_wrong(void)
{
    cid_t                  cid;
    bytes_t                role;
    session_case_t         c;
    ucan_envelope_draft_t  draft;

    role = delegation("mesh", "alice", "/");
    cid_of(&cid, CID_DAG_CBOR, role);

    c = open_case("proofs", "The opening names proofs", "no-session");
    draft = make_opening("alice");
    draft.proofs = &cid;
    draft.proof_count = 1;
    add(&c, role);
    add(&c, sign("alice", draft));
    write_case(&c);

    c = open_case("no-nonce", "The nonce is empty", "no-session");
    draft = make_opening("alice");
    draft.nonce = bytes_make(NULL, 0);
    add(&c, role);
    add(&c, sign("alice", draft));
    write_case(&c);

    c = open_case("no-expiry", "exp is null", "session-too-long");
    draft = make_opening("alice");
    draft.exp = -1;
    add(&c, role);
    add(&c, sign("alice", draft));
    write_case(&c);

    c = open_case("too-long", "A second beyond the limit",
                  "session-too-long");
    draft.exp = MAKE_NOW + SESSION_MAX + 1;
    add(&c, role);
    add(&c, sign("alice", draft));
    write_case(&c);

    c = open_case("expired", "exp is a second ago", "token-expired");
    draft.exp = MAKE_NOW - 1;
    add(&c, role);
    add(&c, sign("alice", draft));
    write_case(&c);

    c = open_case("early", "nbf is a second ahead", "token-not-yet-valid");
    draft = make_opening("alice");
    draft.nbf = MAKE_NOW + 1;
    add(&c, role);
    add(&c, sign("alice", draft));
    write_case(&c);

    c = open_case("other-mesh", "aud is another mesh", "wrong-audience");
    draft = make_opening("alice");
    draft.aud = make_did("other");
    add(&c, role);
    add(&c, sign("alice", draft));
    write_case(&c);

    c = open_case("no-audience", "No aud, so it is the subject",
                  "wrong-audience");
    draft = make_opening("alice");
    draft.aud = bytes_make(NULL, 0);
    add(&c, role);
    add(&c, sign("alice", draft));
    write_case(&c);

    c = open_case("other-command",
                  "An invocation about oneself of another command",
                  "wrong-subject");
    draft = make_opening("alice");
    draft.cmd = bytes_of("/session/open/now");
    add(&c, role);
    add(&c, sign("alice", draft));
    write_case(&c);

    c = open_case("two-openings", "Two invocations in one container",
                  "token-malformed");
    draft = make_opening("alice");
    add(&c, role);
    add(&c, sign("alice", draft));
    draft.nonce = bytes_of("another");
    add(&c, sign("alice", draft));
    write_case(&c);
}


static void
make_v1_revoked(void)
{
    uint8_t                args[128];
    bytes_t                role, opening;
    session_case_t         c;
    bytes_writer_t         w;
    ucan_envelope_draft_t  draft;

    role = delegation("mesh", "alice", "/room");
    opening = sign("alice", make_opening("alice"));

    c = open_case("after-logout", "The holder revoked the opening",
                  "token-revoked");
    add(&c, role);
    add(&c, opening);
    c.revocation = revocation_v1("alice", opening);
    write_case(&c);

    c.id = "ended-by-the-mesh";
    c.text = "A delegator above it revoked the opening";
    c.revocation = revocation_v1("mesh", opening);
    write_case(&c);

    c.id = "role-revoked";
    c.text = "The mesh revoked the only delegation";
    c.revocation = revocation_v1("mesh", role);
    write_case(&c);

    c.id = "revoked-by-stranger";
    c.text = "A stranger's revocation is ignored";
    c.verdict = "ok";
    c.revocation = revocation_v1("mallory", opening);
    write_case(&c);

    c.id = "revoked-by-audience";
    c.text = "The holder cannot revoke what she was given";
    c.revocation = revocation_v1("alice", role);
    write_case(&c);

    c = open_case("bound", "The opening is about this very request", "ok");
    bytes_writer_open(&w, args, sizeof(args));
    cbor_write_map(&w, 1);
    cbor_write_text(&w, bytes_of("http"));
    cbor_write_map(&w, 3);
    cbor_write_text(&w, bytes_of("host"));
    cbor_write_text(&w, bytes_of("mesh.example"));
    cbor_write_text(&w, bytes_of("path"));
    cbor_write_text(&w, bytes_of("/api/rooms"));
    cbor_write_text(&w, bytes_of("method"));
    cbor_write_text(&w, bytes_of("GET"));
    draft = make_opening("alice");
    draft.args = bytes_writer_view(&w);
    add(&c, role);
    add(&c, sign("alice", draft));
    c.http = "{\"scheme\": \"https\", \"method\": \"GET\", "
             "\"host\": \"mesh.example\", \"path\": \"/api/rooms\"}";
    write_case(&c);

    c.id = "bound-elsewhere";
    c.text = "and not about another";
    c.verdict = "wrong-request";
    c.http = "{\"scheme\": \"https\", \"method\": \"DELETE\", "
             "\"host\": \"mesh.example\", \"path\": \"/api/rooms\"}";
    write_case(&c);
}


/* The capability to use all rooms, or one ability on one of them. */
static bytes_t
caps_of(const char *below, const char *can)
{
    char            text[512];
    const char     *format;
    bytes_writer_t  w;

    format = (session_versions[session_version].version
              == UCAN_TOKEN_VERSION_10)
             ? "{\"mesh://%.56s/%s\":{\"%s\":[{}]}}"
             : "[{\"with\":\"mesh://%.56s/%s\",\"can\":\"%s\"}]";

    snprintf(text, sizeof(text), format,
             (const char *) make_did("mesh").data, below, can);

    bytes_writer_open(&w, text, sizeof(text));
    w.pos += strlen(text);

    return make_copy(&w);
}


/* One token with at most one proof, in the form of its version. */
static bytes_t
token(const char *issuer, const char *audience, bytes_t caps, int64_t exp,
    const bytes_t *proof)
{
    cid_t             cid;
    ucan_jwt_draft_t  draft;

    memset(&draft, 0, sizeof(draft));

    draft.version = session_versions[session_version].version;
    draft.aud = make_did(audience);
    draft.caps = caps;
    draft.exp = exp;
    draft.nbf = -1;

    if (proof != NULL && draft.version == UCAN_TOKEN_VERSION_08) {
        draft.embedded = proof;
        draft.embedded_count = 1;

    } else if (proof != NULL) {
        cid_of(&cid, CID_RAW, *proof);
        draft.proofs = &cid;
        draft.proof_count = 1;
    }

    return make_jwt_of(issuer, &draft);
}


/* Embedded proofs need no header. */
static void
add_proof(session_case_t *c, bytes_t proof)
{
    if (session_versions[session_version].version != UCAN_TOKEN_VERSION_08) {
        add(c, proof);
    }
}


static void
make_jwt_cases(void)
{
    size_t          i;
    bytes_t         role, one, top;
    session_case_t  c;

    static const struct {
        const char  *id, *text, *verdict, *issuer, *audience;
        int64_t      exp;
        int          proof;
    } cases[] = {
        { "holder", "The holder's token for the mesh", "ok",
          "alice", "mesh", MAKE_NOW + 3600, 1 },
        { "mesh-itself", "The mesh's own token needs no proof", "ok",
          "mesh", "mesh", MAKE_NOW + 3600, 0 },
        { "full-length", "As long as the limit allows", "ok",
          "alice", "mesh", MAKE_NOW + SESSION_MAX, 1 },
        { "stolen-proof", "A token for the mesh on another's proof",
          "chain-broken", "mallory", "mesh", MAKE_NOW + 3600, 1 },
        { "no-proof", "A stranger's token for the mesh", "untrusted-root",
          "mallory", "mesh", MAKE_NOW + 3600, 0 },
        { "other-mesh", "aud is another mesh", "wrong-audience",
          "alice", "other", MAKE_NOW + 3600, 1 },
        { "to-oneself", "aud is the holder", "wrong-audience",
          "alice", "alice", MAKE_NOW + 3600, 1 },
        { "too-long", "A second beyond the limit", "session-too-long",
          "alice", "mesh", MAKE_NOW + SESSION_MAX + 1, 1 },
        { "expired", "exp is a second ago", "token-expired",
          "alice", "mesh", MAKE_NOW - 1, 1 }
    };

    role = token("mesh", "alice", caps_of("room/", "*"),
                 MAKE_NOW + 2 * SESSION_MAX, NULL);
    one = caps_of("room/r_1", "room/send");

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        c = open_case(cases[i].id, cases[i].text, cases[i].verdict);
        add(&c, token(cases[i].issuer, cases[i].audience, one, cases[i].exp,
                      cases[i].proof ? &role : NULL));

        if (cases[i].proof) {
            add_proof(&c, role);
        }

        c.command = "/room/send";
        c.room = "r_1";
        write_case(&c);
    }

    c = open_case("bare-proof", "The proof itself, which names the holder",
                  "wrong-audience");
    add(&c, role);
    write_case(&c);

    if (session_versions[session_version].version != UCAN_TOKEN_VERSION_08) {

        c = open_case("no-expiry", "exp is null", "session-too-long");
        add(&c, token("mesh", "mesh", one, -1, NULL));
        write_case(&c);

        c = open_case("proof-missing", "The proof did not come along",
                      "proof-missing");
        add(&c, token("alice", "mesh", one, MAKE_NOW + 3600, &role));
        write_case(&c);
    }

    top = token("alice", "mesh", one, MAKE_NOW + 3600, &role);

    c = open_case("not-covered", "Another room than the token says",
                  "not-covered");
    add(&c, top);
    add_proof(&c, role);
    c.command = "/room/send";
    c.room = "r_2";
    write_case(&c);

    c = open_case("after-logout", "The holder revoked the token",
                  "token-revoked");
    add(&c, top);
    add_proof(&c, role);
    c.revocation = revocation_jwt("alice", top);
    write_case(&c);

    c.id = "ended-by-the-mesh";
    c.text = "A delegator above it revoked the token";
    c.revocation = revocation_jwt("mesh", top);
    write_case(&c);

    c.id = "role-revoked";
    c.text = "The mesh revoked the proof";
    c.revocation = revocation_jwt("mesh", role);
    write_case(&c);

    c.id = "revoked-by-stranger";
    c.text = "A stranger's revocation is ignored";
    c.verdict = "ok";
    c.revocation = revocation_jwt("mallory", top);
    write_case(&c);
}


int
main(void)
{
    if (sodium_init() < 0) {
        return 1;
    }

    printf("{\n \"format\": 1,\n \"family\": \"session\",\n \"cases\": [");

    for (session_version = 0; session_version < SESSION_VERSIONS;
         session_version++)
    {
        make_reset();

        if (session_versions[session_version].version != 0) {
            make_jwt_cases();
            continue;
        }

        make_v1_right();
        make_v1_stolen();
        make_v1_wrong();
        make_v1_revoked();
    }

    printf("\n ]\n}\n");

    return fflush(stdout) == 0 ? 0 : 1;
}
