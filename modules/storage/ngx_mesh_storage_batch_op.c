/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * One operation of a batch, from JSON:
 *
 *     {"op": "put|delete|check|incr|patch", "kind": "kv|docs",
 *      "key": "...", or "collection": "...", "id": "...",
 *      "value": any JSON, a text stands for its bytes; or "base64": "...",
 *      "contentType": "...", "by": 1, "expiresAfter": seconds,
 *      "ifMatch": "\"<seq>\"" or "*", "ifNoneMatch": "*"}
 *
 * A member that is not known, or has no meaning for its operation, is an
 * error: a condition with a slip of the pen must not be none.  Event loop
 * only.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "base64.h"
#include "ngx_mesh_storage_batch.h"
#include "ngx_mesh_storage_condition.h"
#include "ngx_mesh_storage_once.h"
#include "timestamp.h"


typedef enum {
    NGX_MESH_STORAGE_BATCH_F_OP = 0,
    NGX_MESH_STORAGE_BATCH_F_KIND,
    NGX_MESH_STORAGE_BATCH_F_KEY,
    NGX_MESH_STORAGE_BATCH_F_COLLECTION,
    NGX_MESH_STORAGE_BATCH_F_ID,
    NGX_MESH_STORAGE_BATCH_F_VALUE,
    NGX_MESH_STORAGE_BATCH_F_BASE64,
    NGX_MESH_STORAGE_BATCH_F_TYPE,
    NGX_MESH_STORAGE_BATCH_F_BY,
    NGX_MESH_STORAGE_BATCH_F_EXPIRES,
    NGX_MESH_STORAGE_BATCH_F_MATCH,
    NGX_MESH_STORAGE_BATCH_F_NONE_MATCH,
    NGX_MESH_STORAGE_BATCH_F_COUNT
} ngx_mesh_storage_batch_field_t;


/* An object with its members by name. */
typedef struct {
    ngx_pool_t                      *pool;
    ngx_mesh_storage_rest_t         *rest;
    ngx_mesh_storage_batch_op_t     *op;
    ngx_mesh_storage_batch_fault_t  *fault;
    json_scan_t                      fields[NGX_MESH_STORAGE_BATCH_F_COUNT];
    u_char                           has[NGX_MESH_STORAGE_BATCH_F_COUNT];
} ngx_mesh_storage_batch_object_t;


static ngx_int_t ngx_mesh_storage_batch_op_open(
    ngx_mesh_storage_batch_object_t *object, const json_scan_t *value);
static ngx_int_t ngx_mesh_storage_batch_op_verb(
    ngx_mesh_storage_batch_object_t *object);
static ngx_int_t ngx_mesh_storage_batch_op_fields(
    ngx_mesh_storage_batch_object_t *object);
static ngx_int_t ngx_mesh_storage_batch_op_key(
    ngx_mesh_storage_batch_object_t *object);
static ngx_int_t ngx_mesh_storage_batch_op_document(
    ngx_mesh_storage_batch_object_t *object);
static ngx_int_t ngx_mesh_storage_batch_op_condition(
    ngx_mesh_storage_batch_object_t *object);
static ngx_int_t ngx_mesh_storage_batch_op_numbers(
    ngx_mesh_storage_batch_object_t *object);
static ngx_int_t ngx_mesh_storage_batch_op_value(
    ngx_mesh_storage_batch_object_t *object);
static ngx_int_t ngx_mesh_storage_batch_op_bytes(
    ngx_mesh_storage_batch_object_t *object);
static ngx_int_t ngx_mesh_storage_batch_op_type(
    ngx_mesh_storage_batch_object_t *object, const char *otherwise);
static ngx_int_t ngx_mesh_storage_batch_op_change(
    ngx_mesh_storage_batch_object_t *object);
static ngx_int_t ngx_mesh_storage_batch_op_text(
    ngx_mesh_storage_batch_object_t *object,
    ngx_mesh_storage_batch_field_t field, bytes_t *text);
static ngx_int_t ngx_mesh_storage_batch_op_bad(
    ngx_mesh_storage_batch_object_t *object, const char *detail);


#define ngx_mesh_storage_batch_bit(field)                                     \
    (1u << NGX_MESH_STORAGE_BATCH_F_##field)


static const char *const  ngx_mesh_storage_batch_fields[] = {
    [NGX_MESH_STORAGE_BATCH_F_OP] = "op",
    [NGX_MESH_STORAGE_BATCH_F_KIND] = "kind",
    [NGX_MESH_STORAGE_BATCH_F_KEY] = "key",
    [NGX_MESH_STORAGE_BATCH_F_COLLECTION] = "collection",
    [NGX_MESH_STORAGE_BATCH_F_ID] = "id",
    [NGX_MESH_STORAGE_BATCH_F_VALUE] = "value",
    [NGX_MESH_STORAGE_BATCH_F_BASE64] = "base64",
    [NGX_MESH_STORAGE_BATCH_F_TYPE] = "contentType",
    [NGX_MESH_STORAGE_BATCH_F_BY] = "by",
    [NGX_MESH_STORAGE_BATCH_F_EXPIRES] = "expiresAfter",
    [NGX_MESH_STORAGE_BATCH_F_MATCH] = "ifMatch",
    [NGX_MESH_STORAGE_BATCH_F_NONE_MATCH] = "ifNoneMatch"
};


static const char *const  ngx_mesh_storage_batch_verbs[] = {
    [NGX_MESH_STORAGE_BATCH_PUT] = "put",
    [NGX_MESH_STORAGE_BATCH_DELETE] = "delete",
    [NGX_MESH_STORAGE_BATCH_CHECK] = "check",
    [NGX_MESH_STORAGE_BATCH_INCR] = "incr",
    [NGX_MESH_STORAGE_BATCH_PATCH] = "patch"
};


/* what may come with a verb beside its target and conditions: of kv, docs */

static const unsigned  ngx_mesh_storage_batch_takes[][2] = {
    [NGX_MESH_STORAGE_BATCH_PUT] = {
        ngx_mesh_storage_batch_bit(VALUE) | ngx_mesh_storage_batch_bit(BASE64)
        | ngx_mesh_storage_batch_bit(TYPE)
        | ngx_mesh_storage_batch_bit(EXPIRES),
        ngx_mesh_storage_batch_bit(VALUE)
        | ngx_mesh_storage_batch_bit(EXPIRES) },
    [NGX_MESH_STORAGE_BATCH_DELETE] = { 0, 0 },
    [NGX_MESH_STORAGE_BATCH_CHECK] = { 0, 0 },
    [NGX_MESH_STORAGE_BATCH_INCR] = {
        ngx_mesh_storage_batch_bit(BY)
        | ngx_mesh_storage_batch_bit(EXPIRES), 0 },
    [NGX_MESH_STORAGE_BATCH_PATCH] = {
        0,
        ngx_mesh_storage_batch_bit(VALUE)
        | ngx_mesh_storage_batch_bit(EXPIRES) }
};


const char *
ngx_mesh_storage_batch_op_verb_name(const ngx_mesh_storage_batch_op_t *op)
{
    return ngx_mesh_storage_batch_verbs[op->verb];
}


ngx_int_t
ngx_mesh_storage_batch_op_parse(ngx_mesh_storage_rest_t *rest,
    ngx_pool_t *pool, const json_scan_t *value,
    ngx_mesh_storage_batch_op_t *op, ngx_mesh_storage_batch_fault_t *fault)
{
    ngx_int_t                        rc;
    ngx_mesh_storage_batch_object_t  object;

    ngx_memzero(&object, sizeof(ngx_mesh_storage_batch_object_t));

    object.pool = pool;
    object.rest = rest;
    object.op = op;
    object.fault = fault;

    rc = ngx_mesh_storage_batch_op_open(&object, value);

    if (rc == NGX_OK) {
        rc = ngx_mesh_storage_batch_op_verb(&object);
    }

    if (rc == NGX_OK) {
        rc = ngx_mesh_storage_batch_op_fields(&object);
    }

    if (rc == NGX_OK) {
        rc = op->docs ? ngx_mesh_storage_batch_op_document(&object)
                      : ngx_mesh_storage_batch_op_key(&object);
    }

    if (rc == NGX_OK) {
        rc = ngx_mesh_storage_batch_op_condition(&object);
    }

    if (rc == NGX_OK) {
        rc = ngx_mesh_storage_batch_op_numbers(&object);
    }

    if (rc == NGX_OK) {
        rc = ngx_mesh_storage_batch_op_value(&object);
    }

    if (rc == NGX_OK && op->docs
        && op->verb != NGX_MESH_STORAGE_BATCH_CHECK)
    {
        rc = ngx_mesh_storage_batch_op_change(&object);
    }

    return rc;
}


void
ngx_mesh_storage_batch_op_result(json_write_t *j,
    const ngx_mesh_storage_batch_op_t *op)
{
    int64_t         expires_ms;
    u_char          buf[TIMESTAMP_LEN];
    bytes_writer_t  time;

    json_write_object(j);
    json_write_member_text(j, "op", ngx_mesh_storage_batch_op_verb_name(op));

    if (op->verb == NGX_MESH_STORAGE_BATCH_CHECK) {
        json_write_object_end(j);
        return;
    }

    if (op->verb != NGX_MESH_STORAGE_BATCH_DELETE) {
        json_write_key(j, "etag");
        ngx_mesh_storage_once_etag(j, op->main);
    }

    json_write_key(j, "seq");
    ngx_mesh_storage_once_seq(j, op->main);

    if (op->verb == NGX_MESH_STORAGE_BATCH_INCR) {
        json_write_key(j, "number");
        ngx_mesh_storage_once_number(j, op->main);
    }

    expires_ms = op->change ? op->change->until_ms : op->expires_ms;

    /* a number that was there keeps its own time */

    if (expires_ms != 0 && op->verb != NGX_MESH_STORAGE_BATCH_INCR) {
        bytes_writer_open(&time, buf, sizeof(buf));
        timestamp_write(&time, expires_ms);
        json_write_member(j, "expiresAt", bytes_writer_view(&time));
    }

    json_write_object_end(j);
}


static ngx_int_t
ngx_mesh_storage_batch_op_open(ngx_mesh_storage_batch_object_t *object,
    const json_scan_t *value)
{
    size_t       i, pos;
    json_scan_t  key, member;

    if (value->type != JSON_SCAN_OBJECT) {
        return ngx_mesh_storage_batch_op_bad(object,
                                             "an operation is an object");
    }

    pos = 0;

    while (json_scan_next(value, &pos, &key, &member) == 0) {

        for (i = 0; i < NGX_MESH_STORAGE_BATCH_F_COUNT; i++) {
            if (json_scan_equal(&key, ngx_mesh_storage_batch_fields[i])) {
                break;
            }
        }

        if (i == NGX_MESH_STORAGE_BATCH_F_COUNT) {
            return ngx_mesh_storage_batch_op_bad(object,
                       "an operation has members op, kind, key, collection, "
                       "id, value, base64, contentType, by, expiresAfter, "
                       "ifMatch, ifNoneMatch, and no other");
        }

        object->fields[i] = member;
        object->has[i] = 1;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_storage_batch_op_verb(ngx_mesh_storage_batch_object_t *object)
{
    size_t              i, count;
    const json_scan_t  *kind;

    count = sizeof(ngx_mesh_storage_batch_verbs)
            / sizeof(ngx_mesh_storage_batch_verbs[0]);

    for (i = 0; i < count; i++) {
        if (object->has[NGX_MESH_STORAGE_BATCH_F_OP]
            && json_scan_equal(&object->fields[NGX_MESH_STORAGE_BATCH_F_OP],
                               ngx_mesh_storage_batch_verbs[i]))
        {
            break;
        }
    }

    if (i == count) {
        return ngx_mesh_storage_batch_op_bad(object,
                   "member \"op\" must be put, delete, check, incr or patch");
    }

    object->op->verb = (ngx_mesh_storage_batch_verb_t) i;

    if (!object->has[NGX_MESH_STORAGE_BATCH_F_KIND]) {
        return NGX_OK;
    }

    kind = &object->fields[NGX_MESH_STORAGE_BATCH_F_KIND];
    object->op->docs = (json_scan_equal(kind, "docs") != 0);

    if (!object->op->docs && !json_scan_equal(kind, "kv")) {
        return ngx_mesh_storage_batch_op_bad(object,
                   "member \"kind\" must be kv or docs");
    }

    return NGX_OK;
}


/* Each member has a meaning for the verb and the kind. */

static ngx_int_t
ngx_mesh_storage_batch_op_fields(ngx_mesh_storage_batch_object_t *object)
{
    size_t                        i;
    unsigned                      takes;
    ngx_mesh_storage_batch_op_t  *op;

    op = object->op;

    if ((op->verb == NGX_MESH_STORAGE_BATCH_INCR && op->docs)
        || (op->verb == NGX_MESH_STORAGE_BATCH_PATCH && !op->docs))
    {
        return ngx_mesh_storage_batch_op_bad(object,
                   "incr is for kind kv, patch for docs");
    }

    takes = ngx_mesh_storage_batch_takes[op->verb][op->docs]
            | ngx_mesh_storage_batch_bit(OP)
            | ngx_mesh_storage_batch_bit(KIND)
            | ngx_mesh_storage_batch_bit(MATCH)
            | ngx_mesh_storage_batch_bit(NONE_MATCH);

    takes |= op->docs ? ngx_mesh_storage_batch_bit(COLLECTION)
                        | ngx_mesh_storage_batch_bit(ID)
                      : ngx_mesh_storage_batch_bit(KEY);

    for (i = 0; i < NGX_MESH_STORAGE_BATCH_F_COUNT; i++) {
        if (object->has[i] && !(takes & (1u << i))) {
            return ngx_mesh_storage_batch_op_bad(object,
                       "a member of this operation has no meaning for its "
                       "\"op\" and \"kind\"");
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_storage_batch_op_key(ngx_mesh_storage_batch_object_t *object)
{
    ngx_int_t                     rc;
    ngx_mesh_storage_batch_op_t  *op;

    op = object->op;

    rc = ngx_mesh_storage_batch_op_text(object, NGX_MESH_STORAGE_BATCH_F_KEY,
                                        &op->name);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc != NGX_OK || op->name.len == 0
        || op->name.len > NGX_MESH_STORAGE_KEY_MAX)
    {
        return ngx_mesh_storage_batch_op_bad(object,
                   "member \"key\" must be a text of 1 to 512 bytes");
    }

    op->key = ngx_mesh_storage_rest_key(object->pool, "k/", op->name,
                                        bytes_make(NULL, 0));

    return op->key.len ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_mesh_storage_batch_op_document(ngx_mesh_storage_batch_object_t *object)
{
    bytes_t                       collection, id, slash;
    ngx_int_t                     rc;
    const char                   *fault;
    ngx_mesh_storage_batch_op_t  *op;

    op = object->op;

    rc = ngx_mesh_storage_batch_op_text(object,
             NGX_MESH_STORAGE_BATCH_F_COLLECTION, &collection);

    if (rc == NGX_OK) {
        rc = ngx_mesh_storage_batch_op_text(object,
                 NGX_MESH_STORAGE_BATCH_F_ID, &id);
    }

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc != NGX_OK || collection.len == 0 || id.len == 0) {
        return ngx_mesh_storage_batch_op_bad(object,
                   "a document needs texts \"collection\" and \"id\"");
    }

    fault = ngx_mesh_storage_docs_name(collection, id);

    if (fault) {
        return ngx_mesh_storage_batch_op_bad(object, fault);
    }

    slash = ngx_mesh_storage_rest_key(object->pool, "/", id,
                                      bytes_make(NULL, 0));
    op->key = ngx_mesh_storage_rest_key(object->pool, "d/", collection,
                                        slash);

    if (op->key.len == 0 || slash.len == 0) {
        return NGX_ERROR;
    }

    op->name = bytes_make(op->key.data + 2, op->key.len - 2);

    return NGX_OK;
}


/* As the header lines of the same name. */

static ngx_int_t
ngx_mesh_storage_batch_op_condition(ngx_mesh_storage_batch_object_t *object)
{
    bytes_t                       text;
    ngx_int_t                     rc;
    ngx_mesh_storage_batch_op_t  *op;

    op = object->op;

    if (object->has[NGX_MESH_STORAGE_BATCH_F_NONE_MATCH]) {

        if (!json_scan_equal(
                &object->fields[NGX_MESH_STORAGE_BATCH_F_NONE_MATCH], "*")
            || object->has[NGX_MESH_STORAGE_BATCH_F_MATCH])
        {
            return ngx_mesh_storage_batch_op_bad(object,
                       "member \"ifNoneMatch\" must be \"*\", without "
                       "\"ifMatch\"");
        }

        op->condition = STORE_IF_ABSENT;

        return NGX_OK;
    }

    rc = ngx_mesh_storage_batch_op_text(object,
                                        NGX_MESH_STORAGE_BATCH_F_MATCH,
                                        &text);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc == NGX_OK) {

        if (bytes_equal_text(text, "*")) {
            op->condition = STORE_IF_PRESENT;
            return NGX_OK;
        }

        op->condition = STORE_IF_SEQ;
        op->if_seq = ngx_mesh_storage_condition_seq((u_char *) text.data,
                                                    text.len);
        return NGX_OK;
    }

    if (object->has[NGX_MESH_STORAGE_BATCH_F_MATCH]) {
        return ngx_mesh_storage_batch_op_bad(object,
                   "member \"ifMatch\" must be an ETag with its quotes, or "
                   "\"*\"");
    }

    if (op->verb == NGX_MESH_STORAGE_BATCH_CHECK) {
        return ngx_mesh_storage_batch_op_bad(object,
                   "a check needs \"ifMatch\" or \"ifNoneMatch\"");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_storage_batch_op_numbers(ngx_mesh_storage_batch_object_t *object)
{
    int64_t                       n;
    ngx_time_t                   *tp;
    const json_scan_t            *field;
    ngx_mesh_storage_batch_op_t  *op;

    op = object->op;
    op->number = 1;

    if (object->has[NGX_MESH_STORAGE_BATCH_F_BY]
        && json_scan_integer(&object->fields[NGX_MESH_STORAGE_BATCH_F_BY],
                             &op->number)
           != 0)
    {
        return ngx_mesh_storage_batch_op_bad(object,
                   "member \"by\" must be an integer");
    }

    if (!object->has[NGX_MESH_STORAGE_BATCH_F_EXPIRES]) {
        return NGX_OK;
    }

    field = &object->fields[NGX_MESH_STORAGE_BATCH_F_EXPIRES];

    if (json_scan_integer(field, &n) != 0 || n < 1
        || n > NGX_MESH_STORAGE_CONDITION_TIME_MAX)
    {
        return ngx_mesh_storage_batch_op_bad(object,
                   "member \"expiresAfter\" must be seconds from 1 to "
                   "315360000");
    }

    tp = ngx_timeofday();
    op->expires_ms = ((int64_t) tp->sec + n) * 1000 + tp->msec;

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_storage_batch_op_value(ngx_mesh_storage_batch_object_t *object)
{
    ngx_int_t                     rc;
    const json_scan_t            *value;
    ngx_mesh_storage_batch_op_t  *op;

    op = object->op;
    value = &object->fields[NGX_MESH_STORAGE_BATCH_F_VALUE];

    if (op->verb == NGX_MESH_STORAGE_BATCH_INCR) {
        op->type = bytes_of("text/plain");
        return NGX_OK;
    }

    if (op->verb != NGX_MESH_STORAGE_BATCH_PUT
        && op->verb != NGX_MESH_STORAGE_BATCH_PATCH)
    {
        return NGX_OK;
    }

    if (!op->docs) {
        rc = ngx_mesh_storage_batch_op_bytes(object);

    } else if (!object->has[NGX_MESH_STORAGE_BATCH_F_VALUE]
               || value->type != JSON_SCAN_OBJECT)
    {
        return ngx_mesh_storage_batch_op_bad(object,
                   "member \"value\" of a document must be an object");

    } else {
        op->value = ngx_mesh_storage_rest_key(object->pool, "", value->raw,
                                              bytes_make(NULL, 0));
        rc = op->value.len ? NGX_OK : NGX_ERROR;
    }

    if (rc == NGX_OK
        && op->value.len > (size_t) object->rest->lcf->value_size)
    {
        object->fault->problem = PROBLEM_TOO_LARGE;
        object->fault->limit = object->rest->lcf->value_size;
        return NGX_DECLINED;
    }

    return rc;
}


/* The bytes of a key: a text, the text of other JSON, or base64. */

static ngx_int_t
ngx_mesh_storage_batch_op_bytes(ngx_mesh_storage_batch_object_t *object)
{
    bytes_t             text;
    ngx_int_t           rc;
    bytes_writer_t      w;
    const json_scan_t  *value;

    if (object->has[NGX_MESH_STORAGE_BATCH_F_VALUE]
        == object->has[NGX_MESH_STORAGE_BATCH_F_BASE64])
    {
        return ngx_mesh_storage_batch_op_bad(object,
                   "a put needs \"value\" or \"base64\"");
    }

    if (object->has[NGX_MESH_STORAGE_BATCH_F_VALUE]) {
        value = &object->fields[NGX_MESH_STORAGE_BATCH_F_VALUE];

        if (value->type == JSON_SCAN_STRING) {
            rc = ngx_mesh_storage_batch_op_text(object,
                                          NGX_MESH_STORAGE_BATCH_F_VALUE,
                                          &object->op->value);

            return rc == NGX_OK
                   ? ngx_mesh_storage_batch_op_type(object,
                                             "text/plain; charset=utf-8")
                   : NGX_ERROR;
        }

        object->op->value = ngx_mesh_storage_rest_key(object->pool, "",
                                value->raw, bytes_make(NULL, 0));

        return object->op->value.len
               ? ngx_mesh_storage_batch_op_type(object, "application/json")
               : NGX_ERROR;
    }

    rc = ngx_mesh_storage_batch_op_text(object,
                                        NGX_MESH_STORAGE_BATCH_F_BASE64,
                                        &text);
    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    /* decoded, it is shorter: over itself */

    bytes_writer_open(&w, (u_char *) text.data, text.len);

    if (rc != NGX_OK || base64_decode(BASE64_STD, text, &w) != 0) {
        return ngx_mesh_storage_batch_op_bad(object,
                   "member \"base64\" must be padded base64");
    }

    object->op->value = bytes_writer_view(&w);

    return ngx_mesh_storage_batch_op_type(object, "application/octet-stream");
}


static ngx_int_t
ngx_mesh_storage_batch_op_type(ngx_mesh_storage_batch_object_t *object,
    const char *otherwise)
{
    size_t      i;
    bytes_t    *type;
    ngx_int_t   rc;

    type = &object->op->type;
    *type = bytes_of(otherwise);

    if (!object->has[NGX_MESH_STORAGE_BATCH_F_TYPE]) {
        return NGX_OK;
    }

    rc = ngx_mesh_storage_batch_op_text(object, NGX_MESH_STORAGE_BATCH_F_TYPE,
                                        type);
    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    /* it will be a header line */

    for (i = 0; rc == NGX_OK && i < type->len; i++) {
        if (type->data[i] < 0x20 || type->data[i] > 0x7e) {
            rc = NGX_DECLINED;
        }
    }

    if (rc != NGX_OK || type->len == 0
        || type->len > NGX_MESH_STORAGE_TYPE_MAX)
    {
        return ngx_mesh_storage_batch_op_bad(object,
                   "member \"contentType\" must be 1 to 127 characters of "
                   "ASCII");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_storage_batch_op_change(ngx_mesh_storage_batch_object_t *object)
{
    const uint8_t                   *slash;
    ngx_mesh_storage_rest_t         *rest;
    ngx_mesh_storage_batch_op_t     *op;
    ngx_mesh_storage_docs_change_t  *change;

    static const ngx_mesh_storage_docs_kind_t  kinds[] = {
        [NGX_MESH_STORAGE_BATCH_PUT] = NGX_MESH_STORAGE_DOCS_PUT,
        [NGX_MESH_STORAGE_BATCH_DELETE] = NGX_MESH_STORAGE_DOCS_DELETE,
        [NGX_MESH_STORAGE_BATCH_PATCH] = NGX_MESH_STORAGE_DOCS_PATCH
    };

    rest = object->rest;
    op = object->op;
    change = ngx_pcalloc(object->pool,
                         sizeof(ngx_mesh_storage_docs_change_t));
    if (change == NULL) {
        return NGX_ERROR;
    }

    slash = memchr(op->name.data, '/', op->name.len);

    change->kind = kinds[op->verb];
    change->ns = ngx_mesh_storage_rest_key(object->pool, "", rest->ns,
                                           bytes_make(NULL, 0));
    change->collection = bytes_make(op->name.data, slash - op->name.data);
    change->id = bytes_make(slash + 1,
                            op->name.len - change->collection.len - 1);
    change->body = op->value;
    change->condition = op->condition;
    change->if_seq = op->if_seq;
    change->expires_ms = op->expires_ms;
    change->value_max = (size_t) rest->lcf->value_size;
    change->note = ngx_mesh_storage_rest_key(object->pool, "",
                                      bytes_make(rest->principal->did.data,
                                                 rest->principal->did.len),
                                      bytes_make(NULL, 0));
    if (change->ns.len == 0 || change->note.len == 0) {
        return NGX_ERROR;
    }

    change->note.len = ngx_min(change->note.len, STORE_META_MAX);
    op->change = change;

    return ngx_mesh_storage_docs_open(change, object->pool);
}


/* NGX_OK; NGX_DECLINED: absent, or no text; NGX_ERROR: out of memory. */

static ngx_int_t
ngx_mesh_storage_batch_op_text(ngx_mesh_storage_batch_object_t *object,
    ngx_mesh_storage_batch_field_t field, bytes_t *text)
{
    u_char             *p;
    bytes_writer_t      w;
    const json_scan_t  *value;

    *text = bytes_make(NULL, 0);
    value = &object->fields[field];

    if (!object->has[field] || value->type != JSON_SCAN_STRING) {
        return NGX_DECLINED;
    }

    p = ngx_pnalloc(object->pool, ngx_max(value->text.len, 1));

    if (p == NULL) {
        return NGX_ERROR;
    }

    bytes_writer_open(&w, p, value->text.len);

    if (json_scan_string(value, &w) != 0) {
        return NGX_DECLINED;
    }

    *text = bytes_writer_view(&w);

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_storage_batch_op_bad(ngx_mesh_storage_batch_object_t *object,
    const char *detail)
{
    object->fault->problem = PROBLEM_BAD_REQUEST;
    object->fault->detail = detail;

    return NGX_DECLINED;
}
