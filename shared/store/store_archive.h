/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Backups as files of a folder:
 *
 *     mesh-20261124T190102123Z.json    the manifest, written last: a backup
 *                                      without one is not finished
 *     mesh-20261124T190102123Z.data    what the adapter wrote
 *     mesh-20261124T190102123Z.blobs   names of the blobs, sorted
 *     blobs/ab/<sha256>                the blobs of all backups, hard links
 *                                      where the file system can
 *     .lock                            held by whoever changes the folder
 *
 * All functions block: they run in pool threads.  Each returns 0, or -1 with a
 * sentence in "error".  Nothing here knows what an adapter writes.
 */


#ifndef _STORE_ARCHIVE_H_INCLUDED_
#define _STORE_ARCHIVE_H_INCLUDED_


#include "store.h"


#define STORE_ARCHIVE_ID_LEN     24     /* "mesh-" and a time */
#define STORE_ARCHIVE_ERROR_MAX  512    /* bytes */
#define STORE_ARCHIVE_LIST_MAX   1000   /* backups of a folder */


typedef struct {
    char       id[STORE_ARCHIVE_ID_LEN + 1];
    int64_t    made_ms;
    uint64_t   bytes;             /* of the data, without blobs */
    uint64_t   blobs;             /* how many */
    char       adapter[16];
} store_archive_fact_t;


/* Paths are borrowed, NUL terminated, and end with "/". */
typedef struct {
    const char             *folder;
    const char             *blobs;
    const store_adapter_t  *adapter;
    store_t                *store;
    uint64_t                keep;      /* backups; 0: all */

    unsigned                busy:1;    /* on failure: another is at work */
    unsigned                absent:1;  /* on failure: no such backup */
    char                    error[STORE_ARCHIVE_ERROR_MAX];
} store_archive_t;


/* 1 when text is the name of a backup, whether or not there is one. */
int store_archive_valid(const char *text, size_t len);

/* Makes one while the store is in use, then removes the oldest beyond
   "keep"; *fact is the new one. */
int store_archive_make(store_archive_t *archive, store_archive_fact_t *fact);

/* Finished backups, oldest first; *list is given to store_archive_release(),
   which takes NULL too. */
int store_archive_list(store_archive_t *archive,
    store_archive_fact_t **list, size_t *count);

/* Frees what store_archive_list() gave. */
void store_archive_release(store_archive_fact_t *list);

/* Removes one, and the blobs that no other has. */
int store_archive_remove(store_archive_t *archive, const char *id);

/* Brings the blobs of a backup back to where the node looks for them, then
   has the adapter replace what the store holds. */
int store_archive_restore(store_archive_t *archive, const char *id);


#endif /* _STORE_ARCHIVE_H_INCLUDED_ */
