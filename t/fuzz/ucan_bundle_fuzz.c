/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * What a request presents, from its text to a verdict: ucan_bundle_parse(),
 * ucan_bundle_add(), and the walk over 0.x and 1.0 chains, once as if every
 * signature were bad and once as if every one were good.
 *
 * An input is lines: the bearer, the members of "ucans", and behind a line
 * "+" tokens that a store would add.  A line that begins with a version (8, 9,
 * 0 for 0.10) and a brace is a payload, which gets a header and a signature of
 * nothing; in it "@3" is the text of line 3, "#3" its CID and "~a" the DID of
 * a key: "a" is a root and "d" the audience.
 */


#include <stdio.h>

#include "base64.h"
#include "fuzz_memory.h"
#include "signature.h"
#include "ucan_chain.h"


#define FUZZ_SIZE_MAX   24576     /* bytes */
#define FUZZ_LINES_MAX  10
#define FUZZ_TEXT_MAX   65536     /* bytes of one line, expanded */
#define FUZZ_NOW        1800000000

/* of t/vectors/ucan */
#define FUZZ_ROOT                                                             \
    "did:key:z6Mki7TcZQHUZ7SZfxPDePUmFUmi6QtnjosAEcwSGUF34ia9"
#define FUZZ_SERVICE                                                          \
    "did:key:z6MkkGTByuSyZNfZbrTrEnn1FZY93kPERegscr6EyTcs92iU"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t split_lines(bytes_t input);
static void expand_line(size_t i, size_t count);
static void expand_payload(bytes_writer_t *w, bytes_t line, size_t i,
    size_t count);
static void expand_name(bytes_writer_t *w, uint8_t sigil, uint8_t name,
    size_t later, size_t count);
static bytes_t did_of(unsigned name);
static int present(ucan_bundle_t *bundle, size_t count);
static void check_bundle(const ucan_bundle_t *bundle);
static void check_refused(size_t count, const ucan_trust_t *trust);
static void check_accepted(size_t count, const ucan_trust_t *trust);
static void check_chain(const ucan_chain_t *chain);
static int know_seal(void *data, const cid_t *cid);


static struct {
    bytes_t   line[FUZZ_LINES_MAX];
    bytes_t   text[FUZZ_LINES_MAX];              /* expanded */
    uint8_t   buf[FUZZ_LINES_MAX][FUZZ_TEXT_MAX];
    uint8_t   header[FUZZ_LINES_MAX * (FUZZ_TEXT_MAX + 1)];
} fuzz;


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t        i, count;
    bytes_t       audiences[2], anchors[2];
    ucan_trust_t  trust;

    if (size > FUZZ_SIZE_MAX) {
        return 0;
    }

    count = split_lines(bytes_make(data, size));

    for (i = count; i > 0; i--) {
        expand_line(i - 1, count);
    }

    audiences[0] = did_of('d');
    audiences[1] = bytes_of(FUZZ_SERVICE);
    anchors[0] = did_of('a');
    anchors[1] = bytes_of(FUZZ_ROOT);

    memset(&trust, 0, sizeof(trust));
    ucan_limits_init(&trust.limits);

    trust.audiences = audiences;
    trust.audience_count = 2;
    trust.anchors = anchors;
    trust.anchor_count = 2;
    trust.session_max = 86400;

    check_refused(count, &trust);

    trust.sealed = know_seal;

    check_accepted(count, &trust);

    fuzz_memory_free();

    return 0;
}


static size_t
split_lines(bytes_t input)
{
    size_t          n;
    const uint8_t  *end;

    for (n = 0; n < FUZZ_LINES_MAX && input.len != 0; n++) {
        end = memchr(input.data, '\n', input.len);

        if (end == NULL) {
            fuzz.line[n] = input;
            input.len = 0;
            continue;
        }

        fuzz.line[n] = bytes_make(input.data, (size_t) (end - input.data));
        input = bytes_make(end + 1, input.len - fuzz.line[n].len - 1);
    }

    return n;
}


static void
expand_line(size_t i, size_t count)
{
    bytes_t         line;
    const char     *header;
    bytes_writer_t  w, payload;

    static uint8_t  buf[FUZZ_TEXT_MAX];

    line = fuzz.line[i];
    fuzz.text[i] = line;

    if (line.len < 2 || line.data[1] != '{') {
        return;
    }

    header = (line.data[0] == '8')
             ? "{\"alg\":\"EdDSA\",\"typ\":\"JWT\",\"ucv\":\"0.8.1\"}"
             : (line.data[0] == '9')
               ? "{\"alg\":\"EdDSA\",\"typ\":\"JWT\",\"ucv\":\"0.9.1\"}"
               : "{\"alg\":\"EdDSA\",\"typ\":\"JWT\"}";

    bytes_writer_open(&payload, buf, sizeof(buf));
    expand_payload(&payload, bytes_make(line.data + 1, line.len - 1), i,
                   count);

    bytes_writer_open(&w, fuzz.buf[i], FUZZ_TEXT_MAX);
    (void) base64_encode(BASE64_URL, bytes_of(header), &w);
    bytes_writer_byte(&w, '.');
    (void) base64_encode(BASE64_URL, bytes_writer_view(&payload), &w);
    bytes_writer_text(&w, ".AAAA");

    fuzz.text[i] = bytes_writer_view(&w);
}


static void
expand_payload(bytes_writer_t *w, bytes_t line, size_t i, size_t count)
{
    size_t   n;
    uint8_t  c;

    for (n = 0; n < line.len; n++) {
        c = line.data[n];

        if ((c == '@' || c == '#' || c == '~') && n + 1 < line.len) {
            expand_name(w, c, line.data[++n], i + 1, count);

        } else {
            bytes_writer_byte(w, c);
        }
    }
}


/* Only lines that come later, so that no text stands in itself. */
static void
expand_name(bytes_writer_t *w, uint8_t sigil, uint8_t name, size_t later,
    size_t count)
{
    cid_t   cid;
    size_t  k;

    if (sigil == '~') {
        bytes_writer_bytes(w, did_of(name));
        return;
    }

    k = (size_t) (name - '0');

    if (name < '0' || k < later || k >= count) {
        bytes_writer_byte(w, sigil);
        return;
    }

    if (sigil == '@') {
        bytes_writer_bytes(w, fuzz.text[k]);
        return;
    }

    cid_of(&cid, CID_RAW, fuzz.text[k]);
    cid_write(&cid, w);
}


static bytes_t
did_of(unsigned name)
{
    uint8_t                  seed[SIGNATURE_SEED_LEN];
    static signature_key_t   keys[8];

    name &= 7;

    if (keys[name].did[0] == '\0') {
        memset(seed, (int) name + 1, sizeof(seed));
        signature_key_open(&keys[name], seed);
    }

    return bytes_make(keys[name].did, DID_ED25519_LEN);
}


/* 1 when it is a bundle. */
static int
present(ucan_bundle_t *bundle, size_t count)
{
    size_t          i;
    bytes_t         top;
    ucan_limits_t   limits;
    bytes_writer_t  w;

    ucan_limits_init(&limits);
    limits.bytes_max = sizeof(fuzz.header);

    bytes_writer_open(&w, fuzz.header, sizeof(fuzz.header));

    for (i = 1; i < count; i++) {
        if (bytes_equal_text(fuzz.line[i], "+")) {
            break;
        }

        bytes_writer_bytes(&w, fuzz.text[i]);
        bytes_writer_byte(&w, ',');
    }

    top = (count != 0) ? fuzz.text[0] : bytes_make(NULL, 0);

    if (ucan_bundle_parse(bundle, top, bytes_writer_view(&w), &limits,
                          &fuzz_memory)
        != UCAN_OK)
    {
        if (bundle->count != 0 || bundle->top != NULL) {
            abort();
        }

        return 0;
    }

    check_bundle(bundle);

    for (i++; i < count; i++) {
        (void) ucan_bundle_add(bundle, fuzz.text[i], &limits, &fuzz_memory);
        check_bundle(bundle);
    }

    return 1;
}


static void
check_bundle(const ucan_bundle_t *bundle)
{
    cid_t                cid;
    size_t               i, caps;
    const ucan_token_t  *token;

    caps = 0;

    for (i = 0; i < bundle->count; i++) {
        token = &bundle->tokens[i];
        caps += token->capability_count;

        cid_of(&cid, token->kind == UCAN_TOKEN_JWT ? CID_RAW : CID_DAG_CBOR,
               token->raw);

        if (!cid_equal(&cid, &token->cid)
            || ucan_bundle_find(bundle, &cid) != token
            || token->kind != (bundle->top != NULL
                               && bundle->top->kind == UCAN_TOKEN_JWT
                               ? UCAN_TOKEN_JWT
                               : token == bundle->top
                                 ? UCAN_TOKEN_INVOCATION
                                 : UCAN_TOKEN_DELEGATION)
            || token->proof_count > UCAN_TOKEN_PROOFS_MAX)
        {
            abort();
        }
    }

    if (bundle->count > bundle->capacity
        || bundle->count > UCAN_TOKEN_COUNT_MAX
        || caps > UCAN_TOKEN_CAPS_MAX
        || (bundle->top != NULL
            && (bundle->top < bundle->tokens
                || bundle->top >= bundle->tokens + bundle->count)))
    {
        abort();
    }
}


/* Signatures that do not verify never open anything. */
static void
check_refused(size_t count, const ucan_trust_t *trust)
{
    size_t         i;
    ucan_chain_t   chain;
    ucan_bundle_t  bundle;

    if (!present(&bundle, count) || bundle.top == NULL) {
        return;
    }

    for (i = 0; i < bundle.count; i++) {
        bundle.tokens[i].seal = UCAN_TOKEN_FORGED;
    }

    if (ucan_chain_open(&chain, &bundle, trust, FUZZ_NOW) == UCAN_OK) {
        abort();
    }
}


static void
check_accepted(size_t count, const ucan_trust_t *trust)
{
    cid_t            missing[8];
    ucan_chain_t     chain;
    ucan_bundle_t    bundle;
    ucan_request_t   request;
    ucan_resource_t  resource;

    if (!present(&bundle, count) || bundle.top == NULL) {
        return;
    }

    /* seals are not asked about what is used once */

    if (ucan_chain_missing(&bundle, missing, 8) > 8
        || ucan_chain_unchecked(&bundle, trust)
           > (bundle.top->kind == UCAN_TOKEN_INVOCATION))
    {
        abort();
    }

    bundle.top->seal = UCAN_TOKEN_SIGNED;

    if (ucan_chain_open(&chain, &bundle, trust, FUZZ_NOW) != UCAN_OK) {
        return;
    }

    check_chain(&chain);

    memset(&request, 0, sizeof(request));
    request.command = bytes_of("/crud/read");
    request.args[0].name = bytes_of("room");
    request.args[0].value = bytes_of("r_1");
    request.arg_count = 1;

    memset(&resource, 0, sizeof(resource));
    resource.with = bytes_of("https://api.example/notes");
    resource.prefix = 1;

    (void) ucan_chain_allow(&chain, &request, FUZZ_NOW);
    (void) ucan_chain_allow_resource(&chain, resource.with,
                                     bytes_of("crud/read"),
                                     bytes_of("{\"status\":\"draft\"}"),
                                     FUZZ_NOW);

    if (ucan_chain_require(&chain, &request, &resource, FUZZ_NOW)
        == UCAN_OK)
    {
        check_chain(&chain);
    }

    if (ucan_chain_alive(&chain, FUZZ_NOW) != UCAN_OK) {
        abort();
    }
}


/* A path is what it must be, told from its tokens alone. */
static void
check_chain(const ucan_chain_t *chain)
{
    size_t               i;
    bytes_t              iss;
    const ucan_token_t  *token, *next;

    if (chain->path_count + 1 != chain->depth
        || chain->depth > UCAN_TOKEN_DEPTH_MAX)
    {
        abort();
    }

    iss = (chain->path_count != 0) ? chain->path[0]->iss
                                   : chain->bundle->top->iss;

    if (!bytes_equal(iss, chain->root)
        || (!bytes_equal(iss, did_of('a'))
            && !bytes_equal_text(iss, FUZZ_ROOT)))
    {
        abort();
    }

    for (i = 0; i < chain->path_count; i++) {
        token = chain->path[i];
        next = (i + 1 < chain->path_count) ? chain->path[i + 1]
                                           : chain->bundle->top;

        if (!bytes_equal(token->aud, next->iss)
            || token->kind == UCAN_TOKEN_INVOCATION
            || token->version > next->version
            || (token->has_exp && token->exp < FUZZ_NOW)
            || (token->has_nbf && token->nbf > FUZZ_NOW))
        {
            abort();
        }
    }
}


static int
know_seal(void *data, const cid_t *cid)
{
    (void) data;
    (void) cid;

    return 1;
}
