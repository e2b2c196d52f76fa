/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Files: keys, which nobody else may read, and texts from files, stdin or
 * the command line.
 */


#ifndef _MESH_FILE_H_INCLUDED_
#define _MESH_FILE_H_INCLUDED_


#include "signature_signer.h"


#define MESH_FILE_SIZE_MAX  (1024 * 1024)     /* bytes of any input */
#define MESH_FILE_PATH_MAX  4096

#define MESH_FILE_SECRET    0600              /* modes */
#define MESH_FILE_PUBLIC    0644


/* All functions return MESH_OK, or MESH_REFUSED after saying why. */

/* Creates a file with all of its content, durably, or not at all.  "exists",
   when not NULL, is set when there is a file of that name already, which then
   is no failure and stays as it is. */
int mesh_file_create(const char *path, bytes_t content, unsigned mode,
    int *exists);

/* Reads a file of at most MESH_FILE_SIZE_MAX bytes.  "exists", when not NULL,
   is cleared when there is none, which then is no failure. */
int mesh_file_read(const char *path, bytes_t *content, int *exists);

/* Reads 32 secret bytes from a file that only its owner can read; prefix as
   in signature_seed_parse().  "exists" as above. */
int mesh_file_secret(const char *path, const char *prefix, uint8_t *seed,
    int *exists);

/* The signing key in a file that only its owner can read, of any type; the
   caller destroys it. */
int mesh_file_signer(const char *path, signature_signer_t *signer);

/* Creates a file with a secret line. */
int mesh_file_create_secret(const char *path, const char *prefix,
    const uint8_t *seed, int *exists);

/* Creates a file with a signing key. */
int mesh_file_create_signer(const char *path,
    const signature_signer_t *signer, int *exists);

/* A text given on the command line: "-" is stdin, "@path" a file, and so is
   the name of a file that exists; else the word itself.  Blanks around a text
   are dropped; raw containers and envelopes stay as they are. */
int mesh_file_input(const char *word, bytes_t *content);


#endif /* _MESH_FILE_H_INCLUDED_ */
