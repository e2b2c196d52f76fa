/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * mesh init: the data folder of a node and the keys in it.  Whatever is there
 * stays as it is; what is missing is made.
 */


#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include <sodium.h>

#include "json_write.h"
#include "mesh.h"
#include "mesh_file.h"


static int run(mesh_line_t *line);
static int make_folder(const char *folder);
static int check_folder(const char *folder);
static int make_mesh_key(const char *folder, signature_key_t *key,
    int *created);
static int write_did(const char *folder, const signature_key_t *key);
static int make_cursor_key(const char *folder);
static int join_path(char *path, const char *folder, const char *name);
static void print_did(const mesh_line_t *line, const signature_key_t *key,
    int created);


static const mesh_option_t  mesh_init_options[] = {
    { NULL, 0, 0 }
};


const mesh_command_t  mesh_init_command = {
    "init",
    "make a mesh: its data folder and its key",

    "usage: mesh init FOLDER\n"
    "\n"
    "Makes the data folder of a node, with\n"
    "\n"
    "    mesh.key     the key of the mesh.  Whoever has it is the mesh: it\n"
    "                 can delegate everything to anybody.  Keep a copy where\n"
    "                 nobody else gets at it; without it nothing that was\n"
    "                 delegated can be delegated again.\n"
    "    mesh.did     its DID, which is public: the audience and the trusted\n"
    "                 root of every token of this mesh\n"
    "    cursor.key   a secret that only this node uses\n"
    "\n"
    "and prints the DID.  Run again it changes nothing, makes what is\n"
    "missing and prints the DID.  It refuses a key that others can read.\n"
    "\n"
    "    mesh init data\n"
    "    mesh init --json data\n",

    mesh_init_options,
    run
};


static int
run(mesh_line_t *line)
{
    int              rc, created;
    const char      *folder;
    signature_key_t  key;

    if (line->word_count != 1) {
        return mesh_refuse_usage("one folder must be named");
    }

    folder = line->words[0];

    rc = make_folder(folder);
    if (rc != MESH_OK) {
        return rc;
    }

    rc = make_mesh_key(folder, &key, &created);
    if (rc != MESH_OK) {
        return rc;
    }

    rc = write_did(folder, &key);

    if (rc == MESH_OK) {
        rc = make_cursor_key(folder);
    }

    if (rc == MESH_OK) {
        print_did(line, &key, created);
    }

    if (rc == MESH_OK && created) {
        mesh_remark("made %s/mesh.key: keep it secret, and keep a copy",
                    folder);
    }

    signature_key_destroy(&key);

    return rc;
}


/* The last folder of the name is made; those above it must be there. */
static int
make_folder(const char *folder)
{
    if (strlen(folder) > MESH_FILE_PATH_MAX - 64) {
        return mesh_fail("\"%s\": the name is too long", folder);
    }

    if (mkdir(folder, 0700) == 0) {
        return MESH_OK;
    }

    if (errno != EEXIST) {
        return mesh_fail("could not make the folder \"%s\": %s", folder,
                         strerror(errno));
    }

    return check_folder(folder);
}


/* Who can write a folder can put another key in place of ours. */
static int
check_folder(const char *folder)
{
    struct stat  st;

    if (stat(folder, &st) != 0) {
        return mesh_fail("could not look at \"%s\": %s", folder,
                         strerror(errno));
    }

    if (!S_ISDIR(st.st_mode)) {
        return mesh_fail("\"%s\" is no folder", folder);
    }

    if (st.st_mode & S_IWOTH) {
        return mesh_fail("anybody can write to \"%s\" (mode %04o): no place "
                         "for a key; \"chmod o-w %s\" first", folder,
                         (unsigned) (st.st_mode & 07777), folder);
    }

    return MESH_OK;
}


static int
make_mesh_key(const char *folder, signature_key_t *key, int *created)
{
    int      rc, exists;
    char     path[MESH_FILE_PATH_MAX];
    uint8_t  seed[SIGNATURE_SEED_LEN];

    *created = 0;

    rc = join_path(path, folder, "mesh.key");

    if (rc == MESH_OK) {
        rc = mesh_file_secret(path, "ed25519", seed, &exists);
    }

    if (rc == MESH_OK && !exists) {
        randombytes_buf(seed, sizeof(seed));
        rc = mesh_file_create_secret(path, "ed25519", seed, &exists);
        *created = !exists;

        /* made by another at this very moment: that is the one */

        if (rc == MESH_OK && exists) {
            rc = mesh_file_secret(path, "ed25519", seed, NULL);
        }
    }

    if (rc == MESH_OK) {
        signature_key_open(key, seed);
    }

    sodium_memzero(seed, sizeof(seed));

    return rc;
}


static int
write_did(const char *folder, const signature_key_t *key)
{
    int             rc, exists;
    char            path[MESH_FILE_PATH_MAX];
    uint8_t         buf[DID_ED25519_LEN + 1];
    bytes_t         content;
    bytes_writer_t  w;

    rc = join_path(path, folder, "mesh.did");
    if (rc != MESH_OK) {
        return rc;
    }

    bytes_writer_open(&w, buf, sizeof(buf));
    bytes_writer_put(&w, key->did, sizeof(key->did));
    bytes_writer_byte(&w, '\n');

    rc = mesh_file_create(path, bytes_writer_view(&w), MESH_FILE_PUBLIC,
                          &exists);
    if (rc != MESH_OK || !exists) {
        return rc;
    }

    rc = mesh_file_read(path, &content, NULL);
    if (rc != MESH_OK) {
        return rc;
    }

    if (!bytes_equal(content, bytes_writer_view(&w))) {
        return mesh_fail("\"%s\" is not the DID of the key beside it; one of "
                         "them is from another mesh", path);
    }

    return MESH_OK;
}


static int
make_cursor_key(const char *folder)
{
    int      rc, exists;
    char     path[MESH_FILE_PATH_MAX];
    uint8_t  seed[SIGNATURE_SEED_LEN];

    rc = join_path(path, folder, "cursor.key");

    if (rc == MESH_OK) {
        rc = mesh_file_secret(path, "secret", seed, &exists);
    }

    if (rc == MESH_OK && !exists) {
        randombytes_buf(seed, sizeof(seed));
        rc = mesh_file_create_secret(path, "secret", seed, &exists);
    }

    sodium_memzero(seed, sizeof(seed));

    return rc;
}


static int
join_path(char *path, const char *folder, const char *name)
{
    int  n;

    n = snprintf(path, MESH_FILE_PATH_MAX, "%s/%s", folder, name);

    return (n > 0 && n < MESH_FILE_PATH_MAX)
           ? MESH_OK : mesh_fail("\"%s\": the name is too long", folder);
}


static void
print_did(const mesh_line_t *line, const signature_key_t *key, int created)
{
    uint8_t         buf[256];
    json_write_t    j;
    bytes_writer_t  w;

    bytes_writer_open(&w, buf, sizeof(buf));

    if (mesh_option_find(line, "json")) {
        json_write_open(&j, &w);
        json_write_object(&j);
        json_write_member(&j, "did", bytes_make(key->did, DID_ED25519_LEN));
        json_write_member_bool(&j, "created", created);
        json_write_object_end(&j);

    } else {
        bytes_writer_put(&w, key->did, DID_ED25519_LEN);
    }

    mesh_print(bytes_writer_view(&w));
}
