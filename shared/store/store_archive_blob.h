/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Blobs in a folder of backups: copies that are linked where they can be,
 * and the sorted list that each backup has of them.
 */


#ifndef _STORE_ARCHIVE_BLOB_H_INCLUDED_
#define _STORE_ARCHIVE_BLOB_H_INCLUDED_


#include "store_archive.h"


#define STORE_ARCHIVE_NAME_MAX  64        /* bytes of a file's name */
#define STORE_ARCHIVE_PATH_MAX  4096      /* bytes */


/* The folder while it is locked. */
typedef struct {
    store_archive_t  *archive;            /* borrowed */
    int               folder;             /* descriptors; -1: none */
    int               lock;
} store_archive_place_t;


/* Links or copies all blobs of the node, and writes the list that the backup
   of that fact has; sets fact->blobs.  0, or -1 with archive->error. */
int store_archive_blob_save(store_archive_place_t *place,
    store_archive_fact_t *fact);

/* Brings those of the list back; one that is nowhere is an error.  The time
   of each is now: the sweep of blobs spares what is young.  0, or -1 with
   archive->error. */
int store_archive_blob_restore(store_archive_place_t *place, const char *id);

/* Removes copies that no list names.  0, or -1 and errno. */
int store_archive_blob_sweep(store_archive_place_t *place);

/* Writes a file by way of a temporary one, on disk when it returns.  0, or -1
   and errno. */
int store_archive_blob_write(int folder, const char *name, bytes_t text);


#endif /* _STORE_ARCHIVE_BLOB_H_INCLUDED_ */
