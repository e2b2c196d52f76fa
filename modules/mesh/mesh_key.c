/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * mesh key: a key of one's own.  The private part never leaves its file.
 */


#include <string.h>

#include <sodium.h>

#include "json_write.h"
#include "mesh.h"
#include "mesh_file.h"


static int run(mesh_line_t *line);
static int create_key(const char *path, signature_key_t *key);
static void print_key(const mesh_line_t *line, const char *path,
    const signature_key_t *key);


static const mesh_option_t  mesh_key_options[] = {
    { NULL, 0, 0 }
};


const mesh_command_t  mesh_key_command = {
    "key",
    "make a key of your own, or show its DID",

    "usage: mesh key new FILE\n"
    "       mesh key show FILE\n"
    "\n"
    "\"new\" makes an Ed25519 key, writes it to FILE (which must not exist,\n"
    "and which only you can read) and prints its DID.  \"show\" prints the\n"
    "DID of a key.  The DID is the name under which others delegate to you;\n"
    "it is public.  The file is the secret: whoever reads it is you.\n"
    "\n"
    "    mesh key new ada.key\n"
    "    mesh delegate --key data/mesh.key --command /room \\\n"
    "        --to \"$(mesh key show ada.key)\" > ada.delegations\n",

    mesh_key_options,
    run
};


static int
run(mesh_line_t *line)
{
    int              rc;
    signature_key_t  key;

    if (line->word_count != 2) {
        return mesh_refuse_usage("\"new\" or \"show\", and a file");
    }

    if (strcmp(line->words[0], "new") == 0) {
        rc = create_key(line->words[1], &key);

    } else if (strcmp(line->words[0], "show") == 0) {
        rc = mesh_file_key(line->words[1], &key);

    } else {
        return mesh_refuse_usage("\"new\" or \"show\" was expected, not "
                                 "\"%s\"", line->words[0]);
    }

    if (rc == MESH_OK) {
        print_key(line, line->words[1], &key);
        signature_key_destroy(&key);
    }

    return rc;
}


static int
create_key(const char *path, signature_key_t *key)
{
    int      rc, exists;
    uint8_t  seed[SIGNATURE_SEED_LEN];

    randombytes_buf(seed, sizeof(seed));

    rc = mesh_file_create_secret(path, "ed25519", seed, &exists);

    if (rc == MESH_OK && exists) {
        rc = mesh_fail("\"%s\" exists; a key is never written over", path);
    }

    if (rc == MESH_OK) {
        signature_key_open(key, seed);
    }

    sodium_memzero(seed, sizeof(seed));

    return rc;
}


static void
print_key(const mesh_line_t *line, const char *path,
    const signature_key_t *key)
{
    uint8_t         buf[8192];
    json_write_t    j;
    bytes_writer_t  w;

    bytes_writer_open(&w, buf, sizeof(buf));

    if (mesh_option_find(line, "json")) {
        json_write_open(&j, &w);
        json_write_object(&j);
        json_write_member(&j, "did", bytes_make(key->did, DID_ED25519_LEN));
        json_write_member_text(&j, "type", "Ed25519");
        json_write_member_text(&j, "file", path);
        json_write_object_end(&j);

    } else {
        bytes_writer_put(&w, key->did, DID_ED25519_LEN);
    }

    mesh_print(bytes_writer_view(&w));
}
