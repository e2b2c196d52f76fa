/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Tokens in whatever form they come.  The first byte tells: containers have a
 * letter of their own, a JWT starts with "e", an envelope with a CBOR list.
 */


#include <string.h>

#include "mesh_file.h"
#include "mesh_show.h"
#include "mesh_source.h"
#include "ucan_container.h"
#include "ucan_envelope.h"
#include "ucan_jwt.h"


#define MESH_SOURCE_ENVELOPE  0x82       /* first byte: a list of two */


static int add_words(mesh_source_t *source, const char *name, bytes_t text);
static int add_container(mesh_source_t *source, const char *name,
    bytes_t text);
static bytes_t next_word(bytes_reader_t *r);
static int match_blank(uint8_t c);
static int add_distinct(bytes_t *list, size_t *count, bytes_t item);
static const char *find_culprit(const mesh_source_t *source);
static void open_limits(ucan_limits_t *limits);


int
mesh_source_add(mesh_source_t *source, const char *word)
{
    int      rc;
    bytes_t  content;

    rc = mesh_file_input(word, &content);

    return (rc == MESH_OK) ? mesh_source_add_text(source, word, content) : rc;
}


int
mesh_source_add_text(mesh_source_t *source, const char *name, bytes_t text)
{
    if (text.len == 0) {
        return MESH_OK;
    }

    switch (text.data[0]) {

    case MESH_SOURCE_ENVELOPE:
        return mesh_source_add_envelope(source, text);

    case '@':
    case 'M':
        return add_container(source, name, text);

    default:
        return add_words(source, name, text);
    }
}


bytes_t
mesh_source_line(bytes_reader_t *r)
{
    bytes_t         line;
    const uint8_t  *end;

    end = memchr(r->pos, '\n', bytes_reader_left(r));

    if (end != NULL) {
        line = bytes_reader_take(r, (size_t) (end - r->pos));
        (void) bytes_reader_byte(r);

    } else {
        line = bytes_reader_take(r, bytes_reader_left(r));
    }

    while (line.len != 0 && line.data[0] <= ' ') {
        line.data++;
        line.len--;
    }

    while (line.len != 0 && line.data[line.len - 1] <= ' ') {
        line.len--;
    }

    return line;
}


int
mesh_source_add_option(mesh_source_t *source, const mesh_line_t *line,
    const char *name)
{
    int          rc;
    size_t       i;
    const char  *value;

    i = 0;

    while ((value = mesh_option_next(line, name, &i)) != NULL) {
        rc = mesh_source_add(source, value);
        if (rc != MESH_OK) {
            return rc;
        }
    }

    return MESH_OK;
}


int
mesh_source_add_envelope(mesh_source_t *source, bytes_t raw)
{
    return add_distinct(source->envelopes, &source->envelope_count, raw);
}


int
mesh_source_add_jwt(mesh_source_t *source, bytes_t text)
{
    return add_distinct(source->jwts, &source->jwt_count, text);
}


int
mesh_source_open(const mesh_source_t *source, ucan_bundle_t *bundle)
{
    int              rc;
    const char      *culprit;
    ucan_verdict_t   verdict;

    rc = mesh_source_parse(source, bundle, &verdict, &culprit);

    if (rc != MESH_OK || verdict == UCAN_OK) {
        return rc;
    }

    return (culprit != NULL)
           ? mesh_fail("%s: %s (%s)", culprit, ucan_verdict_text(verdict),
                       ucan_verdict_slug(verdict))
           : mesh_fail("%s (%s)", ucan_verdict_text(verdict),
                       ucan_verdict_slug(verdict));
}


int
mesh_source_parse(const mesh_source_t *source, ucan_bundle_t *bundle,
    ucan_verdict_t *verdict, const char **culprit)
{
    ucan_limits_t  limits;

    *culprit = NULL;

    open_limits(&limits);
    memset(bundle, 0, sizeof(ucan_bundle_t));

    if (source->envelope_count != 0 && source->jwt_count != 0) {
        return mesh_fail("tokens of 1.0 and of 0.x do not mix; give them one "
                         "after the other");
    }

    if (source->envelope_count != 0) {
        *verdict = ucan_bundle_parse_envelopes(bundle, source->envelopes,
                                               source->envelope_count,
                                               &limits, &mesh_memory);

    } else if (source->jwt_count != 0) {
        *verdict = ucan_bundle_parse(bundle, source->jwts[0],
                                     mesh_source_join(source, 1), &limits,
                                     &mesh_memory);

    } else {
        return mesh_fail("there is no token");
    }

    if (*verdict != UCAN_OK) {
        *culprit = find_culprit(source);
    }

    return MESH_OK;
}


bytes_t
mesh_source_join(const mesh_source_t *source, size_t first)
{
    size_t           i, size;
    bytes_writer_t   w;

    size = 1;

    for (i = first; i < source->jwt_count; i++) {
        size += source->jwts[i].len + 2;
    }

    bytes_writer_open(&w, mesh_alloc(size), size);

    for (i = first; i < source->jwt_count; i++) {
        bytes_writer_text(&w, (i == first) ? "" : ", ");
        bytes_writer_bytes(&w, source->jwts[i]);
    }

    return bytes_writer_view(&w);
}


int
mesh_source_drop_invocations(mesh_source_t *source)
{
    size_t          i, kept;
    ucan_token_t    token;
    ucan_verdict_t  rc;

    kept = 0;

    for (i = 0; i < source->envelope_count; i++) {
        rc = ucan_envelope_decode(&token, source->envelopes[i],
                                  &mesh_memory);

        if (rc != UCAN_OK) {
            return mesh_fail("a proof is no token of ours: %s",
                             ucan_verdict_text(rc));
        }

        if (token.kind == UCAN_TOKEN_DELEGATION) {
            source->envelopes[kept++] = source->envelopes[i];
        }
    }

    source->envelope_count = kept;

    return MESH_OK;
}


static int
add_words(mesh_source_t *source, const char *name, bytes_t text)
{
    int             rc;
    bytes_t         word;
    bytes_reader_t  r;

    bytes_reader_open(&r, text);

    for ( ;; ) {
        word = next_word(&r);

        if (word.len == 0) {
            return MESH_OK;
        }

        if (word.data[0] == 'e' && memchr(word.data, '.', word.len) != NULL)
        {
            rc = mesh_source_add_jwt(source, word);

        } else {
            rc = add_container(source, name, word);
        }

        if (rc != MESH_OK) {
            return rc;
        }
    }
}


static int
add_container(mesh_source_t *source, const char *name, bytes_t text)
{
    int             rc;
    size_t          i, count;
    bytes_t        *list;
    ucan_limits_t   limits;
    ucan_verdict_t  verdict;

    open_limits(&limits);

    verdict = ucan_container_decode(text, &list, &count, &limits,
                                    &mesh_memory);

    if (verdict != UCAN_OK) {
        return mesh_fail("\"%.40s%s\" is neither a file nor a token: %s",
                         name, strlen(name) > 40 ? "..." : "",
                         ucan_verdict_text(verdict));
    }

    for (i = 0; i < count; i++) {
        rc = mesh_source_add_envelope(source, list[i]);
        if (rc != MESH_OK) {
            return rc;
        }
    }

    return MESH_OK;
}


/* Words are parted by blanks, lines and commas; empty at the end. */
static bytes_t
next_word(bytes_reader_t *r)
{
    const uint8_t  *start;

    while (bytes_reader_left(r) != 0 && match_blank(*r->pos)) {
        r->pos++;
    }

    start = r->pos;

    while (bytes_reader_left(r) != 0 && !match_blank(*r->pos)) {
        r->pos++;
    }

    return bytes_make(start, (size_t) (r->pos - start));
}


static int
match_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == ',';
}


static int
add_distinct(bytes_t *list, size_t *count, bytes_t item)
{
    size_t  i;

    for (i = 0; i < *count; i++) {
        if (bytes_equal(list[i], item)) {
            return MESH_OK;
        }
    }

    if (*count == MESH_SOURCE_MAX) {
        return mesh_fail("more than %d tokens", MESH_SOURCE_MAX);
    }

    list[(*count)++] = item;

    return MESH_OK;
}


/* The first token that no decoder takes, or what is wrong with all of them
   together. */
static const char *
find_culprit(const mesh_source_t *source)
{
    cid_t         cid;
    size_t        i, invocations;
    ucan_token_t  token;

    invocations = 0;

    for (i = 0; i < source->envelope_count; i++) {

        memset(&token, 0, sizeof(token));

        if (ucan_envelope_decode(&token, source->envelopes[i], &mesh_memory)
            != UCAN_OK)
        {
            cid_of(&cid, CID_DAG_CBOR, source->envelopes[i]);
            return mesh_format("token %zu of %zu, %s", i + 1,
                               source->envelope_count, mesh_show_cid(&cid));
        }

        invocations += (token.kind == UCAN_TOKEN_INVOCATION);
    }

    if (invocations > 1) {
        return mesh_format("%zu invocations in one container; one alone can "
                           "speak for a request", invocations);
    }

    if (source->jwt_count != 0
        && ucan_jwt_decode(&token, source->jwts[0], NULL, &mesh_memory)
           != UCAN_OK)
    {
        cid_of(&cid, CID_RAW, source->jwts[0]);
        return mesh_format("the first JWT, %s", mesh_show_cid(&cid));
    }

    return NULL;
}


static void
open_limits(ucan_limits_t *limits)
{
    ucan_limits_init(limits);

    limits->bytes_max = MESH_FILE_SIZE_MAX;
    limits->inflated_max = MESH_FILE_SIZE_MAX;
}
