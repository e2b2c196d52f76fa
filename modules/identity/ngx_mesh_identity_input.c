/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Members of a request's JSON body, each with its type and its bounds; what
 * is wrong is said in a sentence that names the member.  Members that are
 * not known are not looked at.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <sodium.h>

#include "ngx_mesh_identity.h"
#include "base64.h"


#define NGX_MESH_IDENTITY_INPUT_SECRET  32    /* bytes */


static void ngx_mesh_identity_input_fault(ngx_mesh_identity_call_t *call,
    const char *format, ...);
static ngx_int_t ngx_mesh_identity_input_string(
    ngx_mesh_identity_call_t *call, const json_scan_t *value,
    bytes_t *text);
static void ngx_mesh_identity_input_wipe(void *data);
static void ngx_mesh_identity_input_wipe_received(ngx_http_request_t *r,
    bytes_t secret);


static void
ngx_mesh_identity_input_fault(ngx_mesh_identity_call_t *call,
    const char *format, ...)
{
    u_char   *p;
    va_list   args;

    p = ngx_pcalloc(call->request->pool, NGX_MAX_ERROR_STR / 4);

    if (p == NULL) {
        call->detail = "the request is not valid";
        return;
    }

    va_start(args, format);
    (void) ngx_vslprintf(p, p + NGX_MAX_ERROR_STR / 4 - 1, format, args);
    va_end(args);

    call->detail = (const char *) p;
}


ngx_int_t
ngx_mesh_identity_input_text(ngx_mesh_identity_call_t *call, const char *key,
    size_t max, bytes_t *text)
{
    json_scan_t  value;

    *text = bytes_make(NULL, 0);

    if (json_scan_find(&call->body, key, &value) != 0
        || value.type == JSON_SCAN_NULL)
    {
        ngx_mesh_identity_input_fault(call, "member \"%s\" is missing", key);
        return NGX_DECLINED;
    }

    if (value.type != JSON_SCAN_STRING) {
        ngx_mesh_identity_input_fault(call, "member \"%s\" must be a string",
                                      key);
        return NGX_ERROR;
    }

    if (ngx_mesh_identity_input_string(call, &value, text) != NGX_OK) {
        call->detail = NULL;
        return NGX_ERROR;
    }

    if (text->len == 0 || text->len > max) {
        ngx_mesh_identity_input_fault(call,
            "member \"%s\" must have 1 to %uz bytes", key, max);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_mesh_identity_input_string(ngx_mesh_identity_call_t *call,
    const json_scan_t *value, bytes_t *text)
{
    bytes_writer_t  w;

    ngx_mesh_identity_call_writer(call, &w, value->text.len + 1);

    if (w.failed || json_scan_string(value, &w) != 0) {
        return NGX_ERROR;
    }

    *text = bytes_writer_view(&w);

    return NGX_OK;
}


ngx_int_t
ngx_mesh_identity_input_integer(ngx_mesh_identity_call_t *call,
    const char *key, int64_t min, int64_t max, int64_t *n)
{
    json_scan_t  value;

    if (json_scan_find(&call->body, key, &value) != 0
        || value.type == JSON_SCAN_NULL)
    {
        ngx_mesh_identity_input_fault(call, "member \"%s\" is missing", key);
        return NGX_DECLINED;
    }

    if (value.type != JSON_SCAN_NUMBER
        || json_scan_integer(&value, n) != 0
        || *n < min
        || *n > max)
    {
        ngx_mesh_identity_input_fault(call,
            "member \"%s\" must be an integer from %L to %L", key, min, max);
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_mesh_identity_input_choice(ngx_mesh_identity_call_t *call,
    const char *key, const char *const *words, ngx_uint_t *n)
{
    json_scan_t  value;

    if (json_scan_find(&call->body, key, &value) != 0
        || value.type == JSON_SCAN_NULL)
    {
        ngx_mesh_identity_input_fault(call, "member \"%s\" is missing", key);
        return NGX_DECLINED;
    }

    for (*n = 0; words[*n]; (*n)++) {

        if (value.type == JSON_SCAN_STRING
            && json_scan_equal(&value, words[*n]))
        {
            return NGX_OK;
        }
    }

    if (*n == 2) {
        ngx_mesh_identity_input_fault(call,
            "member \"%s\" must be \"%s\" or \"%s\"", key, words[0],
            words[1]);

    } else {
        ngx_mesh_identity_input_fault(call,
            "member \"%s\" must be \"%s\", \"%s\" or \"%s\"", key, words[0],
            words[1], words[2]);
    }

    return NGX_ERROR;
}


ngx_int_t
ngx_mesh_identity_input_texts(ngx_mesh_identity_call_t *call,
    const char *key, bytes_t *list, size_t max, size_t *count)
{
    size_t       pos;
    json_scan_t  array, value;

    *count = 0;
    pos = 0;

    if (json_scan_find(&call->body, key, &array) != 0
        || array.type == JSON_SCAN_NULL)
    {
        ngx_mesh_identity_input_fault(call, "member \"%s\" is missing", key);
        return NGX_DECLINED;
    }

    if (array.type != JSON_SCAN_ARRAY) {
        ngx_mesh_identity_input_fault(call,
            "member \"%s\" must be an array of strings", key);
        return NGX_ERROR;
    }

    while (json_scan_next(&array, &pos, NULL, &value) == 0) {

        if (*count == max || value.type != JSON_SCAN_STRING) {
            ngx_mesh_identity_input_fault(call,
                "member \"%s\" must be an array of 1 to %uz strings", key,
                max);
            return NGX_ERROR;
        }

        if (ngx_mesh_identity_input_string(call, &value, &list[*count])
            != NGX_OK)
        {
            call->detail = NULL;
            return NGX_ERROR;
        }

        (*count)++;
    }

    if (*count == 0) {
        ngx_mesh_identity_input_fault(call,
            "member \"%s\" must be an array of 1 to %uz strings", key, max);
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_mesh_identity_input_name(ngx_mesh_identity_call_t *call, bytes_t *name,
    bytes_t *folded)
{
    ngx_int_t       rc;
    bytes_writer_t  w;

    rc = ngx_mesh_identity_input_text(call, "name",
                                      NGX_MESH_IDENTITY_NAME_MAX, name);
    if (rc != NGX_OK) {
        return rc;
    }

    ngx_mesh_identity_call_writer(call, &w, NGX_MESH_IDENTITY_NAME_MAX);

    if (w.failed || record_name_fold(&w, *name) != 0) {
        call->detail = "member \"name\" must have 1 to 64 characters, no "
                       "control characters and no blank at its ends";
        return NGX_ERROR;
    }

    *folded = bytes_writer_view(&w);

    return NGX_OK;
}


ngx_int_t
ngx_mesh_identity_input_password(ngx_mesh_identity_call_t *call,
    ngx_uint_t check, bytes_t *password)
{
    json_scan_t     value;
    bytes_writer_t  w;

    *password = bytes_make(NULL, 0);

    if (json_scan_find(&call->body, "password", &value) != 0
        || value.type == JSON_SCAN_NULL)
    {
        call->detail = "member \"password\" is missing";
        return NGX_DECLINED;
    }

    if (value.type != JSON_SCAN_STRING) {
        call->detail = "member \"password\" must be a string";
        return NGX_ERROR;
    }

    ngx_mesh_identity_call_writer(call, &w, value.text.len + 1);

    if (w.failed
        || ngx_mesh_identity_input_wiped(call,
               bytes_make(w.start, value.text.len + 1))
           != NGX_OK)
    {
        call->detail = NULL;
        return NGX_ERROR;
    }

    if (json_scan_string(&value, &w) != 0) {
        call->detail = NULL;
        return NGX_ERROR;
    }

    ngx_mesh_identity_input_wipe_received(call->request, value.text);

    *password = bytes_writer_view(&w);

    if (password->len == 0
        || password->len > SEAL_PASSWORD_MAX
        || (check && password->len < NGX_MESH_IDENTITY_PASSWORD_MIN))
    {
        call->detail = "member \"password\" must have 8 to 1024 bytes";
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_mesh_identity_input_wiped(ngx_mesh_identity_call_t *call, bytes_t b)
{
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(call->request->pool, sizeof(bytes_t));

    if (cln == NULL) {
        return NGX_ERROR;
    }

    *(bytes_t *) cln->data = b;
    cln->handler = ngx_mesh_identity_input_wipe;

    return NGX_OK;
}


ngx_int_t
ngx_mesh_identity_input_secret(ngx_mesh_identity_call_t *call,
    bytes_t *secret)
{
    u_char          random[NGX_MESH_IDENTITY_INPUT_SECRET];
    bytes_writer_t  w;

    ngx_mesh_identity_call_writer(call, &w,
        base64_encoded_max(sizeof(random)));

    if (w.failed
        || ngx_mesh_identity_input_wiped(call,
               bytes_make(w.start, bytes_writer_left(&w)))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    randombytes_buf(random, sizeof(random));

    if (base64_encode(BASE64_URL, bytes_make(random, sizeof(random)), &w)
        != 0)
    {
        w.failed = 1;
    }

    sodium_memzero(random, sizeof(random));

    *secret = bytes_writer_view(&w);

    return w.failed ? NGX_ERROR : NGX_OK;
}


static void
ngx_mesh_identity_input_wipe(void *data)
{
    bytes_t *secret = data;

    if (secret->len != 0) {
        sodium_memzero((void *) secret->data, secret->len);
    }
}


/* The bytes as they came lie in the body and, when they came along with the
   headers, in the buffer of these. */

static void
ngx_mesh_identity_input_wipe_received(ngx_http_request_t *r, bytes_t secret)
{
    u_char     *p, *last;
    ngx_buf_t  *buf[2];
    ngx_uint_t  i;

    buf[0] = r->header_in;
    buf[1] = r->request_body ? r->request_body->buf : NULL;

    /* what is too short to be a password here would be found in headers */

    for (i = 0; secret.len >= NGX_MESH_IDENTITY_PASSWORD_MIN && i < 2; i++) {

        if (buf[i] == NULL || buf[i]->start == NULL) {
            continue;
        }

        p = buf[i]->start;

        /* what lies behind pos is the next request */
        last = (i == 0) ? buf[i]->pos : buf[i]->end;

        while (last - p >= (ptrdiff_t) secret.len) {

            if (*p == secret.data[0]
                && ngx_memcmp(p, secret.data, secret.len) == 0)
            {
                sodium_memzero(p, secret.len);
                p += secret.len;
                continue;
            }

            p++;
        }
    }

    sodium_memzero((void *) secret.data, secret.len);
}
