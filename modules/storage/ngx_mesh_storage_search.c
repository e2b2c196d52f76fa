/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * REST: full text.
 *
 *     GET /api/storage/search/<namespace>
 *         ?q=  in=kv,docs  prefix=  limit=  cursor=  wait=
 *
 * Newest first.  What the caller may not read is left out, hit by hit.  The
 * index follows the store a moment behind: "position" is what it has reached,
 * and with "wait" the answer comes when that is what the namespace had when
 * it was asked, or after so many seconds.
 */


#include "ngx_mesh_storage_rest.h"
#include "timestamp.h"
#include "store/store_text.h"


#define NGX_MESH_STORAGE_SEARCH_LIMIT     20      /* hits of a page */
#define NGX_MESH_STORAGE_SEARCH_WAIT_MAX  25      /* seconds */
#define NGX_MESH_STORAGE_SEARCH_TICK_MS   10      /* while it waits */
#define NGX_MESH_STORAGE_SEARCH_POOL      2048    /* bytes, of a job */
#define NGX_MESH_STORAGE_SEARCH_HIT       160     /* bytes of an answer beside
                                                     the texts of a hit */


typedef struct {
    ngx_mesh_storage_rest_t  *rest;       /* NULL: the request is gone */
    bytes_t                   query;
    bytes_t                   prefix;
    u_char                    kinds[2];   /* first letters of keys */
    size_t                    kind_count;
    uint64_t                  limit;
    uint64_t                  before;     /* of the cursor; 0: from the end */
    bytes_t                   scope;      /* of cursors */
    uint64_t                  target;     /* seq to be reached */
    ngx_msec_t                until;      /* 0: no waiting */
    ngx_event_t               timer;
} ngx_mesh_storage_search_t;


static ngx_int_t ngx_mesh_storage_search_args(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_search_t *search, ngx_int_t *rc);
static ngx_int_t ngx_mesh_storage_search_kinds(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_search_t *search, ngx_int_t *rc);
static ngx_int_t ngx_mesh_storage_search_scope(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_search_t *search, ngx_int_t *rc);
static ngx_int_t ngx_mesh_storage_search_allow(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_search_t *search, ngx_int_t *rc);
static ngx_int_t ngx_mesh_storage_search_off(ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_search_target(
    ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_search_target_done(
    ngx_mesh_storage_rest_t *rest, ngx_mesh_store_job_t *job);
static ngx_int_t ngx_mesh_storage_search_read(ngx_mesh_storage_rest_t *rest);
static ngx_int_t ngx_mesh_storage_search_done(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job);
static ngx_uint_t ngx_mesh_storage_search_waits(
    ngx_mesh_storage_search_t *search, ngx_mesh_store_job_t *job);
static void ngx_mesh_storage_search_tick(ngx_event_t *ev);
static void ngx_mesh_storage_search_cleanup(void *data);
static ngx_int_t ngx_mesh_storage_search_reply(ngx_mesh_storage_rest_t *rest,
    const store_rows_t *rows);
static void ngx_mesh_storage_search_hit(json_write_t *j,
    const store_row_t *row);
static ngx_int_t ngx_mesh_storage_search_end(ngx_mesh_storage_rest_t *rest,
    const store_rows_t *rows, json_write_t *j);


ngx_int_t
ngx_mesh_storage_search(ngx_mesh_storage_rest_t *rest)
{
    ngx_int_t                   rc;
    ngx_pool_cleanup_t         *cln;
    ngx_mesh_storage_search_t  *search;

    if (rest->r->method != NGX_HTTP_GET && rest->r->method != NGX_HTTP_HEAD) {
        return ngx_mesh_storage_rest_method(rest, "GET, HEAD");
    }

    if (rest->path.len != 0) {
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_NOT_FOUND, NULL);
    }

    cln = ngx_pool_cleanup_add(rest->r->pool,
                               sizeof(ngx_mesh_storage_search_t));

    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    search = cln->data;
    ngx_memzero(search, sizeof(ngx_mesh_storage_search_t));

    cln->handler = ngx_mesh_storage_search_cleanup;

    search->rest = rest;
    search->timer.handler = ngx_mesh_storage_search_tick;
    search->timer.data = search;
    search->timer.log = rest->r->connection->log;

    rest->data = search;

    if (ngx_mesh_storage_search_kinds(rest, search, &rc) != NGX_OK
        || ngx_mesh_storage_search_args(rest, search, &rc) != NGX_OK
        || ngx_mesh_storage_search_allow(rest, search, &rc) != NGX_OK)
    {
        return rc;
    }

    if (rest->mcf->search.len == 0) {
        return ngx_mesh_storage_search_off(rest);
    }

    return search->until ? ngx_mesh_storage_search_target(rest)
                         : ngx_mesh_storage_search_read(rest);
}


/* Arguments: NGX_OK, or *rc is the answer that was sent. */

static ngx_int_t
ngx_mesh_storage_search_args(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_search_t *search, ngx_int_t *rc)
{
    uint64_t                wait;
    store_text_query_t      query;
    store_text_query_rc_t   error;

    static const ngx_mesh_storage_rest_number_t  limit = {
        "limit", 1, STORE_TEXT_LIMIT_MAX
    };
    static const ngx_mesh_storage_rest_number_t  seconds = {
        "wait", 0, NGX_MESH_STORAGE_SEARCH_WAIT_MAX
    };

    wait = 0;
    search->limit = NGX_MESH_STORAGE_SEARCH_LIMIT;

    if (ngx_mesh_storage_rest_query(rest, "q", STORE_TEXT_QUERY_MAX,
                                    &search->query, rc)
        == NGX_ERROR
        || ngx_mesh_storage_rest_query(rest, "prefix",
                                       NGX_MESH_STORAGE_KEY_MAX,
                                       &search->prefix, rc)
           == NGX_ERROR
        || ngx_mesh_storage_rest_number(rest, &limit, &search->limit, rc)
           == NGX_ERROR
        || ngx_mesh_storage_rest_number(rest, &seconds, &wait, rc)
           == NGX_ERROR)
    {
        return NGX_ERROR;
    }

    error = store_text_query_parse(search->query, &query);

    if (error != STORE_TEXT_QUERY_OK) {
        *rc = ngx_mesh_storage_rest_problem(rest, PROBLEM_BAD_REQUEST,
                                            store_text_query_error(error));
        return NGX_ERROR;
    }

    if (wait != 0) {
        search->until = ngx_current_msec + (ngx_msec_t) wait * 1000;
    }

    return ngx_mesh_storage_search_scope(rest, search, rc);
}


static ngx_int_t
ngx_mesh_storage_search_kinds(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_search_t *search, ngx_int_t *rc)
{
    size_t          start, i;
    bytes_t         in, word;
    ngx_int_t       found;
    u_char          letter;

    found = ngx_mesh_storage_rest_query(rest, "in", 32, &in, rc);

    if (found == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (found == NGX_DECLINED) {
        in = bytes_of("kv,docs");
    }

    for (start = 0; start <= in.len; start = i + 1) {

        for (i = start; i < in.len && in.data[i] != ','; i++) { /* void */ }

        word = bytes_make(in.data + start, i - start);

        letter = bytes_equal_text(word, "kv") ? 'k'
                 : bytes_equal_text(word, "docs") ? 'd' : 0;

        if (letter == 0) {
            *rc = ngx_mesh_storage_rest_problem(rest, PROBLEM_BAD_REQUEST,
                      "\"in\" is \"kv\", \"docs\" or \"kv,docs\"; messages "
                      "are searched at /api/rooms/<id>/search");
            return NGX_ERROR;
        }

        if (search->kind_count != 0 && search->kinds[0] == letter) {
            continue;
        }

        if (search->kind_count < 2) {
            search->kinds[search->kind_count++] = letter;
        }
    }

    return NGX_OK;
}


/* A cursor goes with what was searched for. */
static ngx_int_t
ngx_mesh_storage_search_scope(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_search_t *search, ngx_int_t *rc)
{
    size_t          i;
    bytes_t         place;
    ngx_int_t       found;
    bytes_writer_t  w;

    if (ngx_mesh_storage_rest_writer(rest, &w, rest->ns.len
                                     + search->query.len + search->prefix.len
                                     + 16)
        != NGX_OK)
    {
        *rc = NGX_HTTP_INTERNAL_SERVER_ERROR;
        return NGX_ERROR;
    }

    bytes_writer_text(&w, "search\n");
    bytes_writer_bytes(&w, rest->ns);
    bytes_writer_byte(&w, '\n');
    bytes_writer_put(&w, search->kinds, search->kind_count);
    bytes_writer_byte(&w, '\n');
    bytes_writer_bytes(&w, search->query);
    bytes_writer_byte(&w, '\n');
    bytes_writer_bytes(&w, search->prefix);

    search->scope = bytes_writer_view(&w);

    found = ngx_mesh_storage_rest_cursor(rest, search->scope, &place, rc);

    if (found == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (found == NGX_OK && place.len == sizeof(uint64_t)) {
        for (i = 0; i < place.len; i++) {
            search->before = search->before << 8 | place.data[i];
        }
    }

    return NGX_OK;
}


/* A kind that may not be read is not looked at; none left: nothing is here. */
static ngx_int_t
ngx_mesh_storage_search_allow(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_storage_search_t *search, ngx_int_t *rc)
{
    size_t       i, kept;
    const char  *kind;

    kept = 0;

    for (i = 0; i < search->kind_count; i++) {
        kind = (search->kinds[i] == 'k') ? "kv" : "docs";

        if (ngx_mesh_storage_rest_may(rest, "/storage/read", kind,
                                      search->prefix)
            == UCAN_OK)
        {
            search->kinds[kept++] = search->kinds[i];
        }
    }

    if (kept != 0) {
        search->kind_count = kept;
        return NGX_OK;
    }

    kind = (search->kinds[0] == 'k') ? "kv" : "docs";

    return ngx_mesh_storage_rest_allow(rest, "/storage/read", kind,
                                       search->prefix, rc);
}


static ngx_int_t
ngx_mesh_storage_search_off(ngx_mesh_storage_rest_t *rest)
{
    problem_facts_t   facts;
    problem_member_t  capability;

    ngx_memzero(&facts, sizeof(problem_facts_t));
    ngx_memzero(&capability, sizeof(problem_member_t));

    capability.name = "capability";
    capability.text = bytes_of("fts");

    facts.members = &capability;
    facts.member_count = 1;
    facts.detail = bytes_of("this node has no text index");

    return ngx_mesh_reply_problem_facts(rest->r, PROBLEM_UNSUPPORTED, &facts);
}


/* Waiting: for the seq that the namespace has now. */

static ngx_int_t
ngx_mesh_storage_search_target(ngx_mesh_storage_rest_t *rest)
{
    store_read_t          *read;
    ngx_mesh_store_job_t  *job;

    job = ngx_mesh_store_job_create(NGX_MESH_STORAGE_SEARCH_POOL,
                                    rest->r->connection->log);

    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    read = ngx_mesh_store_job_reads(job, 1);

    if (read) {
        read->kind = STORE_USAGE;
        read->ns = ngx_mesh_storage_rest_key(job->pool, "", rest->store_ns,
                                             bytes_make(NULL, 0));
    }

    if (read == NULL || read->ns.len == 0) {
        ngx_mesh_store_job_destroy(&rest->mcf->store, job);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_storage_rest_read(rest, job,
                                      ngx_mesh_storage_search_target_done);
}


static ngx_int_t
ngx_mesh_storage_search_target_done(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    ngx_mesh_storage_search_t  *search;

    search = rest->data;

    if (job->rc != STORE_OK) {
        return ngx_mesh_storage_rest_store_problem(rest, job);
    }

    search->target = job->rows[0].head;

    return ngx_mesh_storage_search_read(rest);
}


static ngx_int_t
ngx_mesh_storage_search_read(ngx_mesh_storage_rest_t *rest)
{
    bytes_t                     none = bytes_make(NULL, 0);
    store_read_t               *read;
    ngx_mesh_store_job_t       *job;
    ngx_mesh_storage_search_t  *search;

    search = rest->data;

    job = ngx_mesh_store_job_create(NGX_MESH_STORAGE_SEARCH_POOL,
                                    rest->r->connection->log);

    if (job == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    read = ngx_mesh_store_job_reads(job, 1);

    if (read) {
        read->kind = STORE_SEARCH;
        read->limit = search->limit;
        read->before = search->before;
        read->ns = ngx_mesh_storage_rest_key(job->pool, "", rest->store_ns,
                                             none);
        read->key = ngx_mesh_storage_rest_key(job->pool, "", search->query,
                                              none);
        read->from_key = ngx_mesh_storage_rest_key(job->pool, "",
                             bytes_make(search->kinds, search->kind_count),
                             none);
        read->to_key = ngx_mesh_storage_rest_key(job->pool, "",
                                                 search->prefix, none);
    }

    if (read == NULL || read->ns.len == 0 || read->key.len == 0
        || read->from_key.len == 0 || read->to_key.data == NULL)
    {
        ngx_mesh_store_job_destroy(&rest->mcf->store, job);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_mesh_storage_rest_read(rest, job,
                                      ngx_mesh_storage_search_done);
}


static ngx_int_t
ngx_mesh_storage_search_done(ngx_mesh_storage_rest_t *rest,
    ngx_mesh_store_job_t *job)
{
    ngx_mesh_storage_search_t  *search;

    search = rest->data;

    if (ngx_mesh_storage_search_waits(search, job)) {
        ngx_add_timer(&search->timer, NGX_MESH_STORAGE_SEARCH_TICK_MS);

        return ngx_mesh_storage_rest_park(rest, (void **) &search->rest);
    }

    switch (job->rc) {

    case STORE_OK:
        return ngx_mesh_storage_search_reply(rest, &job->rows[0]);

    case STORE_BUSY:
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_BUSY,
                   "the search took too long, or the text index is being "
                   "made: ask for rarer words, or again");

    case STORE_TYPE:
        return ngx_mesh_storage_rest_problem(rest, PROBLEM_STORE_DOWN, NULL);

    default:
        return ngx_mesh_storage_rest_store_problem(rest, job);
    }
}


static ngx_uint_t
ngx_mesh_storage_search_waits(ngx_mesh_storage_search_t *search,
    ngx_mesh_store_job_t *job)
{
    if (search->until == 0
        || (ngx_msec_int_t) (search->until - ngx_current_msec) <= 0
        || ngx_exiting || ngx_terminate)
    {
        return 0;
    }

    return job->rc == STORE_BUSY
           || (job->rc == STORE_OK && job->rows[0].head < search->target);
}


static void
ngx_mesh_storage_search_tick(ngx_event_t *ev)
{
    ngx_mesh_storage_search_t  *search;

    search = ev->data;

    if (search->rest) {
        ngx_mesh_storage_rest_resume(search->rest,
                               ngx_mesh_storage_search_read(search->rest));
    }
}


static void
ngx_mesh_storage_search_cleanup(void *data)
{
    ngx_mesh_storage_search_t  *search = data;

    if (search->timer.timer_set) {
        ngx_del_timer(&search->timer);
    }
}


/* {hits: [{kind, key, etag, seq, at, snippet}], next?, position} */
static ngx_int_t
ngx_mesh_storage_search_reply(ngx_mesh_storage_rest_t *rest,
    const store_rows_t *rows)
{
    size_t              i, size;
    json_write_t        j;
    bytes_writer_t      w;
    const store_row_t  *row;

    size = NGX_MESH_STORAGE_SEARCH_HIT + CURSOR_TEXT_MAX;

    for (i = 0; i < rows->count; i++) {
        row = &rows->rows[i];

        size += NGX_MESH_STORAGE_SEARCH_HIT
                + json_write_string_max(row->key.len)
                + json_write_string_max(row->value.len);
    }

    if (ngx_mesh_storage_rest_writer(rest, &w, size) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    json_write_open(&j, &w);
    json_write_object(&j);
    json_write_key(&j, "hits");
    json_write_array(&j);

    for (i = 0; i < rows->count; i++) {
        row = &rows->rows[i];

        if (ngx_mesh_storage_rest_may(rest, "/storage/read",
                                      (const char *) row->meta.data,
                                      row->key)
            == UCAN_OK)
        {
            ngx_mesh_storage_search_hit(&j, row);
        }
    }

    json_write_array_end(&j);

    if (ngx_mesh_storage_search_end(rest, rows, &j) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    json_write_object_end(&j);

    return ngx_mesh_storage_rest_reply(rest, NGX_HTTP_OK, &w);
}


static void
ngx_mesh_storage_search_hit(json_write_t *j, const store_row_t *row)
{
    u_char          etag[NGX_INT64_LEN + 2], buf[TIMESTAMP_LEN];
    bytes_writer_t  at;

    bytes_writer_open(&at, buf, sizeof(buf));
    timestamp_write(&at, row->at_ms);

    json_write_object(j);
    json_write_member(j, "kind", row->meta);
    json_write_member(j, "key", row->key);
    json_write_member(j, "etag",
                      bytes_make(etag, ngx_sprintf(etag, "\"%uL\"", row->seq)
                                       - etag));
    json_write_member_integer(j, "seq", (int64_t) row->seq);
    json_write_member(j, "at", bytes_writer_view(&at));
    json_write_member(j, "snippet", row->value);
    json_write_object_end(j);
}


static ngx_int_t
ngx_mesh_storage_search_end(ngx_mesh_storage_rest_t *rest,
    const store_rows_t *rows, json_write_t *j)
{
    u_char                      place[sizeof(uint64_t)];
    u_char                      position[STORE_EPOCH_LEN + NGX_INT64_LEN + 2];
    ngx_uint_t                  i;
    ngx_mesh_storage_search_t  *search;

    search = rest->data;

    if (rows->more) {
        for (i = 0; i < sizeof(place); i++) {
            place[i] = (u_char) (rows->usage.items >> (56 - 8 * i));
        }

        if (ngx_mesh_storage_rest_next(rest, search->scope,
                                       bytes_make(place, sizeof(place)), j)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    json_write_member(j, "position",
                      bytes_make(position,
                                 ngx_sprintf(position, "%016xL.%uL",
                                             rows->oldest, rows->head)
                                 - position));

    return NGX_OK;
}
