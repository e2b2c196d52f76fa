/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Marks: which items of REST namespaces are being written, or were, by any
 * worker of any nginx on this host that has the database.
 *
 * A file beside the database, "<path>.marks", is mapped by all of them.  Items
 * share marks by a hash.  Whoever writes begins a mark before the store has
 * the request and ends it before anybody is told that it is done; what was
 * read while a mark stood still, with no write under way, is what the store
 * has until the mark moves.
 *
 * A file, not a zone of nginx: the workers of two masters, as an upgrade of
 * the binary has them for a while, must see each other's writes.
 */


#ifndef _NGX_MESH_STORAGE_MARK_H_INCLUDED_
#define _NGX_MESH_STORAGE_MARK_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "store/store.h"


#define NGX_MESH_STORAGE_MARK_COUNT  8192   /* a power of two; one more stands
                                               for whole namespaces */
#define NGX_MESH_STORAGE_MARK_DEAD   300    /* seconds: who writes for longer
                                               was killed */


/* In the file; 16 bytes.  All access is atomic. */
typedef struct {
    uint64_t                            moved;     /* writes begun and ended */
    uint32_t                            writes;    /* under way */
    uint32_t                            began;     /* the last of them,
                                                      seconds of the boot */
} ngx_mesh_storage_mark_t;


/* Of a worker. */
typedef struct {
    ngx_mesh_storage_mark_t            *marks;     /* mapped; NULL: none */
    ngx_fd_t                            fd;        /* holds a shared lock */
} ngx_mesh_storage_marks_t;


/* What an item's mark, and that of all, were. */
typedef struct {
    uint64_t                            item;
    uint64_t                            all;
    ngx_uint_t                          hash;
} ngx_mesh_storage_mark_place_t;


/* Maps "<path>.marks", which is made when it is not there.  NGX_OK; NGX_ERROR
   after a line in the log: a worker without marks must not write. */
ngx_int_t ngx_mesh_storage_mark_open(ngx_mesh_storage_marks_t *marks,
    const char *path, ngx_log_t *log);
void ngx_mesh_storage_mark_close(ngx_mesh_storage_marks_t *marks);

/* Before the store has a request; when it is done, whatever came of it. */
void ngx_mesh_storage_mark_begin(ngx_mesh_storage_marks_t *marks,
    const store_request_t *request);
void ngx_mesh_storage_mark_end(ngx_mesh_storage_marks_t *marks,
    const store_request_t *request);

/* The hash of an item.  Not for other purposes: it is not keyed. */
ngx_uint_t ngx_mesh_storage_mark_hash(bytes_t ns, bytes_t key);

/* NGX_OK: place is how the marks of place->hash are, and nobody writes;
   NGX_DECLINED: somebody does. */
ngx_int_t ngx_mesh_storage_mark_get(ngx_mesh_storage_marks_t *marks,
    ngx_mesh_storage_mark_place_t *place);

/* 1: nothing was written since, nor is. */
ngx_uint_t ngx_mesh_storage_mark_match(ngx_mesh_storage_marks_t *marks,
    const ngx_mesh_storage_mark_place_t *place);


#endif /* _NGX_MESH_STORAGE_MARK_H_INCLUDED_ */
