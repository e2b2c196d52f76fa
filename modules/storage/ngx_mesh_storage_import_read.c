/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Lines of an import into operations.  Runs in a pool thread, on memory that
 * the job has; uses no pool and logs nothing.
 */


#include <unistd.h>

#include "export_line.h"
#include "ngx_mesh_storage_import.h"


static void ngx_mesh_storage_import_read_all(
    ngx_mesh_storage_import_t *import);
static ssize_t ngx_mesh_storage_import_read_chunk(
    ngx_mesh_storage_import_t *import);
static ngx_int_t ngx_mesh_storage_import_read_line(
    ngx_mesh_storage_import_t *import, bytes_t *rest, bytes_writer_t *arena);
static const char *ngx_mesh_storage_import_read_take(
    ngx_mesh_storage_import_t *import, const export_line_t *line,
    bytes_writer_t *arena);
static const char *ngx_mesh_storage_import_read_ns(
    ngx_mesh_storage_import_t *import, bytes_t ns, bytes_t *to,
    bytes_writer_t *arena);


void
ngx_mesh_storage_import_read_job(ngx_mesh_job_t *job)
{
    bytes_t                     text;
    ssize_t                     n;
    bytes_writer_t              arena;
    ngx_mesh_storage_import_t  *import;

    import = job->context;

    if (import->phase == NGX_MESH_STORAGE_IMPORT_CHECK) {
        ngx_mesh_storage_import_read_all(import);
        return;
    }

    n = ngx_mesh_storage_import_read_chunk(import);

    if (n <= 0) {
        return;
    }

    text = bytes_make(import->chunk, (size_t) n);
    bytes_writer_open(&arena, import->arena, NGX_MESH_STORAGE_IMPORT_CHUNK);

    while (import->count < NGX_MESH_STORAGE_IMPORT_OPS
           && (size_t) (arena.pos - arena.start)
              < NGX_MESH_STORAGE_IMPORT_BYTES
           && ngx_mesh_storage_import_read_line(import, &text, &arena)
              == NGX_OK)
    {
        /* void */
    }
}


/* All lines, so that what is written next is known to be whole. */
static void
ngx_mesh_storage_import_read_all(ngx_mesh_storage_import_t *import)
{
    off_t           before;
    bytes_t         text;
    ssize_t         n;
    bytes_writer_t  arena;

    do {
        before = import->offset;
        n = ngx_mesh_storage_import_read_chunk(import);

        if (n <= 0) {
            break;
        }

        text = bytes_make(import->chunk, (size_t) n);

        do {
            bytes_writer_open(&arena, import->arena,
                              NGX_MESH_STORAGE_IMPORT_CHUNK);
            import->count = 0;

        } while (ngx_mesh_storage_import_read_line(import, &text, &arena)
                 == NGX_OK);

    } while (import->fault == NULL && import->offset != before);

    if (import->fault == NULL && import->err == 0 && !import->end) {
        import->fault = "the last line, {\"end\":true,...}, is missing";
    }

    import->count = 0;
}


/* Bytes from the next line on; 0: none, or a failure. */
static ssize_t
ngx_mesh_storage_import_read_chunk(ngx_mesh_storage_import_t *import)
{
    size_t   len;
    ssize_t  n;

    for (len = 0; len < NGX_MESH_STORAGE_IMPORT_CHUNK; len += n) {

        n = pread(import->fd, import->chunk + len,
                  NGX_MESH_STORAGE_IMPORT_CHUNK - len,
                  import->offset + (off_t) len);

        if (n == 0) {
            break;
        }

        if (n == -1) {
            if (ngx_errno != NGX_EINTR) {
                import->err = ngx_errno;
                return -1;
            }

            n = 0;
        }
    }

    return (ssize_t) len;
}


/* One line out of text.  NGX_OK; NGX_DONE: there is no whole one; NGX_ERROR:
   import->fault. */

static ngx_int_t
ngx_mesh_storage_import_read_line(ngx_mesh_storage_import_t *import,
    bytes_t *text, bytes_writer_t *arena)
{
    size_t          len;
    export_line_t   line;
    const uint8_t  *end;

    if (text->len == 0) {
        return NGX_DONE;
    }

    end = memchr(text->data, '\n', text->len);

    if (end == NULL) {
        if (text->len == NGX_MESH_STORAGE_IMPORT_CHUNK) {
            import->line++;
            import->fault = "a line is too long";
            return NGX_ERROR;
        }

        /* a piece of a line that begins the next chunk, or the last one */

        if (text->data != import->chunk) {
            return NGX_DONE;
        }

        end = text->data + text->len;
    }

    len = (size_t) (end - text->data);

    /* what is left of the arena must hold the line */

    if ((size_t) (arena->end - arena->pos) < len + STORE_NS_MAX + 8) {
        return NGX_DONE;
    }

    import->line++;

    import->fault = export_line_read(bytes_make(text->data, len), &line,
                                     arena);
    if (import->fault == NULL) {
        import->fault = ngx_mesh_storage_import_read_take(import, &line,
                                                            arena);
    }

    if (import->fault != NULL) {
        return NGX_ERROR;
    }

    len += (len < text->len);
    import->offset += (off_t) len;
    *text = bytes_make(text->data + len, text->len - len);

    return NGX_OK;
}


/* NULL, or what is wrong with the line. */
static const char *
ngx_mesh_storage_import_read_take(ngx_mesh_storage_import_t *import,
    const export_line_t *line, bytes_writer_t *arena)
{
    store_op_t  *op;
    const char  *fault;

    if (import->end) {
        return "there is something behind the last line";
    }

    if ((line->kind == EXPORT_LINE_HEAD) == (import->line != 1)) {
        return "the first line, and no other, is {\"mesh\":\"export\",...}";
    }

    switch (line->kind) {

    case EXPORT_LINE_HEAD:
        if ((line->ns.len == 0) != (import->ns.len == 0)) {
            return "the export of a namespace is imported with \"ns\", that "
                   "of a node without";
        }

        if (line->ns.len > sizeof(import->from)) {
            return "the first line has a \"namespace\" that is too long";
        }

        ngx_memcpy(import->from, line->ns.data, line->ns.len);
        import->from_len = line->ns.len;
        import->items = 0;
        import->skipped = 0;
        return NULL;

    case EXPORT_LINE_END:
        import->end = 1;
        return (line->seq == import->items)
               ? NULL : "\"lines\" is not how many there are";

    default:
        break;
    }

    import->items++;

    /* a name for bytes that are somewhere is no proof of having them */

    if (import->ns.len != 0 && line->key.len > 2
        && ngx_memcmp(line->key.data, "b/", 2) == 0 && line->value.len == 0)
    {
        import->skipped++;
        return NULL;
    }

    op = &import->ops[import->count];
    ngx_memzero(op, sizeof(store_op_t));

    fault = ngx_mesh_storage_import_read_ns(import, line->ns, &op->ns,
                                              arena);
    if (fault != NULL) {
        return fault;
    }

    op->kind = (line->kind == EXPORT_LINE_ENTRY) ? STORE_APPEND : STORE_PUT;
    op->key = line->key;
    op->value = line->value;
    op->meta = line->meta;
    op->expires_ms = line->expires_ms;
    op->weight = line->weight;

    if (op->kind == STORE_PUT && op->ns.len > 2
        && ngx_memcmp(op->ns.data, "s/", 2) == 0)
    {
        op->log = 1;
        op->note = import->who;
    }

    if (op->ns.len > STORE_NS_MAX || op->key.len > STORE_KEY_MAX
        || op->value.len > STORE_VALUE_MAX || op->meta.len > STORE_META_MAX)
    {
        return "a line has a text that is too long";
    }

    import->count++;

    return NULL;
}


/* The namespace of the store that a line goes to. */
static const char *
ngx_mesh_storage_import_read_ns(ngx_mesh_storage_import_t *import,
    bytes_t ns, bytes_t *to, bytes_writer_t *arena)
{
    uint8_t  *start;

    *to = ns;

    if (import->ns.len == 0) {
        return bytes_equal_text(ns, STORE_NS_STORE)
               ? "a line is of the store's own namespace" : NULL;
    }

    if (ns.len != import->from_len + 2
        || (ns.data[0] != 's' && ns.data[0] != 'x') || ns.data[1] != '/'
        || ngx_memcmp(ns.data + 2, import->from, import->from_len) != 0)
    {
        return "a line is of another namespace than the first line says";
    }

    start = arena->pos;
    bytes_writer_put(arena, ns.data, 2);
    bytes_writer_bytes(arena, import->ns);
    *to = bytes_make(start, (size_t) (arena->pos - start));

    return arena->failed ? "a line is too long" : NULL;
}
