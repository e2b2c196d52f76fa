/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * A mint for the tests of the ucan module: tokens good and bad, described by
 * lines on stdin, written as "NAME TEXT" lines on stdout.  Not a test by
 * itself; t/lib/Mesh/Test/Mint.pm runs it and explains the lines.  Keys are
 * made of their names, times are relative to now.
 */


#include <stdio.h>
#include <time.h>

#include "base64.h"
#include "json_scan.h"
#include "ucan_make.h"


#define MINT_LINE_MAX   65536
#define MINT_WORDS_MAX  32
#define MINT_NAMES_MAX  256


typedef struct {
    char     name[32];
    bytes_t  value;               /* envelope, JWT or text; in the arena */
} mint_token_t;


static mint_token_t  mint_tokens[MINT_NAMES_MAX];
static size_t        mint_count;

static char         *mint_words[MINT_WORDS_MAX];
static size_t        mint_word_count;


static void
fail(const char *text, const char *word)
{
    fprintf(stderr, "ucan_mint: %s \"%s\"\n", text, word);
    exit(1);
}


/* The value of "key=value" on this line, or fallback. */
static const char *
get_option(const char *key, const char *fallback)
{
    size_t  i, len;

    len = strlen(key);

    for (i = 2; i < mint_word_count; i++) {
        if (strncmp(mint_words[i], key, len) == 0
            && mint_words[i][len] == '=')
        {
            return mint_words[i] + len + 1;
        }
    }

    return fallback;
}


static bytes_t
get_token(const char *name)
{
    size_t  i;

    for (i = 0; i < mint_count; i++) {
        if (strcmp(mint_tokens[i].name, name) == 0) {
            return mint_tokens[i].value;
        }
    }

    fail("no token", name);

    return bytes_make(NULL, 0);
}


static void
add_token(const char *name, bytes_t value)
{
    if (mint_count == MINT_NAMES_MAX || strlen(name) >= 32) {
        fail("no room for", name);
    }

    memcpy(mint_tokens[mint_count].name, name, strlen(name) + 1);
    mint_tokens[mint_count].value = value;
    mint_count++;
}


/* All tokens of an import, appended to list. */
static size_t
get_import(const char *name, size_t len, bytes_t *list)
{
    size_t  i, n;

    for (i = 0, n = 0; i < mint_count; i++) {

        if (strncmp(mint_tokens[i].name, name, len) == 0
            && mint_tokens[i].name[len] == '.')
        {
            list[n++] = mint_tokens[i].value;
        }
    }

    return n;
}


/* Names parted by commas, as views ended by an empty one. */
static size_t
get_list(const char *names, bytes_t *list)
{
    char    name[32];
    size_t  n, len, found;

    for (n = 0; *names != '\0'; n += found) {
        len = strcspn(names, ",");

        if (len >= sizeof(name)) {
            fail("too much in", names);
        }

        found = get_import(names, len, &list[n]);

        if (found == 0) {
            memcpy(name, names, len);
            name[len] = '\0';
            list[n] = get_token(name);
            found = 1;
        }

        if (n + found > MINT_NAMES_MAX) {
            fail("too much in", names);
        }

        names += len + (names[len] == ',');
    }

    list[n] = bytes_make(NULL, 0);

    return n;
}


/* "exp=60": in a minute; "exp=none": never. */
static int64_t
get_time(const char *key, const char *fallback)
{
    const char  *value;

    value = get_option(key, fallback);

    return (strcmp(value, "none") == 0) ? -1
                                        : (int64_t) time(NULL)
                                          + strtoll(value, NULL, 10);
}


static void
set_cid(cid_t *cid, bytes_t token)
{
    cid_of(cid, token.data[0] == 0x82 ? CID_DAG_CBOR : CID_RAW, token);
}


static size_t
get_proofs(uint8_t codec, cid_t *cids)
{
    size_t   i, n;
    bytes_t  list[2 * MINT_NAMES_MAX + 1];

    n = get_list(get_option("prf", ""), list);

    if (n > UCAN_TOKEN_PROOFS_MAX) {
        fail("too many proofs in", mint_words[1]);
    }

    for (i = 0; i < n; i++) {
        cid_of(&cids[i], codec, list[i]);
    }

    return n;
}


/* "args=room:r_1" as a DAG-CBOR map; "args=revoke:@TOKEN" is a link. */
static bytes_t
get_args(void)
{
    size_t          len;
    const char     *text;
    uint8_t         buf[1024], link[CID_BINARY_LEN];
    bytes_writer_t  w, binary;
    cid_t           cid;

    text = get_option("args", "");

    if (*text == '\0') {
        return bytes_make(NULL, 0);
    }

    len = strcspn(text, ":");

    bytes_writer_open(&w, buf, sizeof(buf));
    cbor_write_map(&w, 1);
    cbor_write_text(&w, bytes_make(text, len));

    if (text[len] == ':' && text[len + 1] == '@') {
        set_cid(&cid, get_token(text + len + 2));

        bytes_writer_open(&binary, link, sizeof(link));
        cid_write_binary(&cid, &binary);
        cbor_write_link(&w, bytes_writer_view(&binary));

    } else {
        cbor_write_text(&w, bytes_of(text + len + 1));
    }

    return make_copy(&w);
}


/* JSON as CBOR: what a policy is made of, texts without escapes. */
static void
write_json(bytes_writer_t *w, const json_scan_t *value)
{
    size_t       pos, count;
    int64_t      n;
    bytes_t      text;
    json_scan_t  item;

    switch (value->type) {

    case JSON_SCAN_ARRAY:
        for (pos = 0, count = 0;
             json_scan_next(value, &pos, NULL, &item) == 0;
             count++)
        {
            /* void */
        }

        cbor_write_list(w, count);
        pos = 0;

        while (json_scan_next(value, &pos, NULL, &item) == 0) {
            write_json(w, &item);
        }

        return;

    case JSON_SCAN_STRING:
        if (json_scan_plain(value, &text) == 0) {
            cbor_write_text(w, text);
            return;
        }

        break;

    case JSON_SCAN_NUMBER:
        if (json_scan_integer(value, &n) == 0) {
            cbor_write_integer(w, n);
            return;
        }

        break;

    case JSON_SCAN_BOOL:
        cbor_write_bool(w, value->truth);
        return;

    default:
        break;
    }

    fail("no part of a policy in", mint_words[1]);
}


/* "policy=[[...],...]", without blanks. */
static bytes_t
get_policy(const char *text)
{
    uint8_t         buf[8192];
    json_scan_t     value;
    bytes_writer_t  w;

    if (json_scan_validate(bytes_of(text), NULL) != JSON_SCAN_OK
        || json_scan_open(bytes_of(text), &value) != 0)
    {
        fail("no policy", text);
    }

    bytes_writer_open(&w, buf, sizeof(buf));
    write_json(&w, &value);

    return make_copy(&w);
}


static bytes_t
make_v1(int invocation)
{
    cid_t                   cids[UCAN_TOKEN_PROOFS_MAX];
    const char             *iss, *sub, *room, *policy;
    ucan_envelope_draft_t   draft;

    memset(&draft, 0, sizeof(draft));

    iss = get_option("iss", "mesh");
    room = get_option("room", "");
    policy = get_option("policy", "");

    draft.invocation = invocation;
    draft.aud = make_did(get_option("aud", "mesh"));

    sub = get_option("sub", "mesh");

    if (strcmp(sub, "null") != 0) {
        draft.sub = make_did(sub);
    }

    draft.cmd = bytes_of(get_option("cmd", "/"));
    draft.nonce = bytes_of(get_option("nonce", "nonce"));
    draft.exp = get_time("exp", invocation ? "3600" : "none");
    draft.nbf = get_time("nbf", "none");

    if (invocation) {
        draft.args = get_args();
        draft.proofs = cids;
        draft.proof_count = get_proofs(CID_DAG_CBOR, cids);

    } else if (*room != '\0') {
        draft.policy = make_policy(".room", room);

    } else if (*policy != '\0') {
        draft.policy = get_policy(policy);
    }

    return make_envelope(iss, &draft);
}


static bytes_t
make_v0(void)
{
    cid_t             cids[UCAN_TOKEN_PROOFS_MAX];
    uint8_t           buf[32 * 1024];
    bytes_writer_t    w;
    ucan_jwt_draft_t  draft;

    memset(&draft, 0, sizeof(draft));

    draft.aud = make_did(get_option("aud", "mesh"));
    draft.caps = bytes_of(get_option("caps", "{}"));
    draft.exp = get_time("exp", "3600");
    draft.nbf = get_time("nbf", "none");
    draft.proofs = cids;
    draft.proof_count = get_proofs(CID_RAW, cids);

    bytes_writer_open(&w, buf, sizeof(buf));

    if (ucan_jwt_encode(&draft, make_key(get_option("iss", "mesh")), &w)
        != 0)
    {
        fail("cannot encode", mint_words[1]);
    }

    return make_copy(&w);
}


/* The same token with another signature: of a 1.0 envelope the bytes after
   82 58 40, of a JWT the last segment. */
static bytes_t
make_forgery(bytes_t token)
{
    size_t          i;
    uint8_t        *p;
    bytes_writer_t  w;

    p = malloc(token.len);
    if (p == NULL) {
        abort();
    }

    memcpy(p, token.data, token.len);

    if (p[0] == 0x82) {
        p[13] ^= 1;

    } else {
        for (i = token.len; p[i - 1] != '.'; i--) { /* void */ }
        p[i + 10] = (p[i + 10] == 'A') ? 'B' : 'A';
    }

    bytes_writer_open(&w, p, token.len);
    w.pos = w.end;
    token = make_copy(&w);
    free(p);

    return token;
}


static bytes_t
make_cid(bytes_t token)
{
    cid_t           cid;
    uint8_t         text[CID_TEXT_LEN];
    bytes_writer_t  w;

    set_cid(&cid, token);

    bytes_writer_open(&w, text, sizeof(text));
    cid_write(&cid, &w);

    return make_copy(&w);
}


/* A revocation of 0.x. */
static bytes_t
make_record(bytes_t token)
{
    uint8_t                 buf[1024], text[128], sig[SIGNATURE_ED25519_LEN];
    bytes_t                 cid;
    bytes_writer_t          w, challenge;
    const signature_key_t  *key;

    key = make_key(get_option("iss", "mesh"));
    cid = make_cid(token);

    bytes_writer_open(&challenge, text, sizeof(text));
    bytes_writer_text(&challenge, "REVOKE:");
    bytes_writer_bytes(&challenge, cid);
    signature_sign(key, bytes_writer_view(&challenge), sig);

    bytes_writer_open(&w, buf, sizeof(buf));
    bytes_writer_text(&w, "{\"iss\":\"");
    bytes_writer_put(&w, key->did, sizeof(key->did));
    bytes_writer_text(&w, "\",\"revoke\":\"");
    bytes_writer_bytes(&w, cid);
    bytes_writer_text(&w, "\",\"challenge\":\"");
    base64_encode(BASE64_STD_RAW, bytes_make(sig, sizeof(sig)), &w);
    bytes_writer_text(&w, "\"}");

    return make_copy(&w);
}


/* A key from elsewhere: its seed, or nothing but its DID.  With "by" it is
   the key of a liar, who writes one DID and signs with the key of another. */
static void
set_key(const char *name)
{
    uint8_t           seed[SIGNATURE_SEED_LEN];
    bytes_t           text, did;
    signature_key_t  *key;

    text = bytes_of(get_option("seed", ""));
    did = bytes_of(get_option("did", ""));

    key = (signature_key_t *) make_key(name);
    *key = *make_key(get_option("by", name));

    if (text.len != 0) {

        if (signature_seed_parse(text, "ed25519", seed) != 0) {
            fail("no seed of", name);
        }

        signature_key_open(key, seed);
    }

    if (did.len == DID_ED25519_LEN) {
        memcpy(key->did, did.data, did.len);
    }
}


/* The tokens of a container: NAME.0, NAME.1, ... */
static void
import_container(const char *name)
{
    char           part[40];
    size_t         i, count;
    bytes_t       *list;
    ucan_limits_t  limits;

    ucan_limits_init(&limits);

    if (ucan_container_decode(bytes_of(get_option("text", "")), &list,
                              &count, &limits, &make_memory)
        != UCAN_OK)
    {
        fail("no container", name);
    }

    for (i = 0; i < count; i++) {
        snprintf(part, sizeof(part), "%.20s.%u", name, (unsigned) i);
        add_token(part, list[i]);
    }
}


static void
print_text(const char *name, bytes_t value)
{
    printf("%s %.*s\n", name, (int) value.len, (const char *) value.data);
}


static void
mint_line(void)
{
    size_t       n;
    bytes_t      value, list[2 * MINT_NAMES_MAX + 1];
    const char  *verb;

    verb = mint_words[0];

    if (strcmp(verb, "key") == 0) {
        set_key(mint_words[1]);
        return;
    }

    if (strcmp(verb, "import") == 0) {
        import_container(mint_words[1]);
        return;
    }

    n = get_list(get_option("list", ""), list);

    if (strcmp(verb, "delegation") == 0) {
        add_token(mint_words[1], make_v1(0));
        return;
    }

    if (strcmp(verb, "invocation") == 0) {
        add_token(mint_words[1], make_v1(1));
        return;
    }

    if (strcmp(verb, "forgery") == 0) {
        value = make_forgery(list[0]);
        add_token(mint_words[1], value);

        if (value.data[0] == 0x82) {
            return;
        }

    } else if (strcmp(verb, "jwt") == 0) {
        value = make_v0();
        add_token(mint_words[1], value);

    } else if (strcmp(verb, "container") == 0) {
        value = make_container(get_option("form", "C")[0], list, n);

    } else if (strcmp(verb, "header") == 0) {
        value = make_header(list);

    } else if (strcmp(verb, "cid") == 0) {
        value = make_cid(list[0]);

    } else if (strcmp(verb, "record") == 0) {
        value = make_record(list[0]);

    } else if (strcmp(verb, "did") == 0) {
        value = make_did(get_option("key", "mesh"));

    } else {
        fail("no verb", verb);
        return;
    }

    print_text(mint_words[1], value);
}


int
main(void)
{
    char  line[MINT_LINE_MAX], *p;

    while (fgets(line, sizeof(line), stdin) != NULL) {
        mint_word_count = 0;
        p = line;

        while (*(p += strspn(p, " \n")) != '\0') {

            if (mint_word_count == MINT_WORDS_MAX) {
                fail("too many words in", line);
            }

            mint_words[mint_word_count++] = p;
            p += strcspn(p, " \n");

            if (*p != '\0') {
                *p++ = '\0';
            }
        }

        if (mint_word_count >= 2) {
            mint_line();
        }
    }

    return 0;
}
