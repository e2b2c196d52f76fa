/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * mesh key: a key of one's own.  The private part never leaves its file.
 */


#include <stdlib.h>
#include <string.h>

#include "json_write.h"
#include "mesh.h"
#include "mesh_file.h"


#define MESH_KEY_BITS  2048       /* of an RSA modulus, when not said */


static int run(mesh_line_t *line);
static int parse_type(const mesh_line_t *line, did_algorithm_t *algorithm,
    unsigned *bits);
static int create_key(const mesh_line_t *line, signature_signer_t *signer);
static void print_key(const mesh_line_t *line, const char *path,
    const signature_signer_t *signer);


static const mesh_option_t  mesh_key_options[] = {
    { "type", 1, 0 },
    { "bits", 1, 0 },
    { NULL, 0, 0 }
};


/* "type" of the option, and the name that people know. */
static const struct {
    const char  *type;
    const char  *name;
} mesh_key_types[DID_ALGORITHM_COUNT] = {
    [DID_ED25519] =   { "ed25519",   "Ed25519" },
    [DID_P256] =      { "p256",      "P-256" },
    [DID_SECP256K1] = { "secp256k1", "secp256k1" },
    [DID_RSA] =       { "rsa",       "RSA" },
    [DID_P384] =      { "p384",      "P-384" },
    [DID_P521] =      { "p521",      "P-521" }
};


const mesh_command_t  mesh_key_command = {
    "key",
    "make a key of your own, or show its DID",

    "usage: mesh key new FILE [--type TYPE] [--bits N]\n"
    "       mesh key show FILE\n"
    "\n"
    "\"new\" makes a key, writes it to FILE (which must not exist, and which\n"
    "only you can read) and prints its DID.  \"show\" prints the DID of a\n"
    "key.  The DID is the name under which others delegate to you; it is\n"
    "public.  The file is the secret: whoever reads it is you.\n"
    "\n"
    "    --type TYPE   ed25519 (when nothing is said: the shortest and the\n"
    "                  fastest), p256, secp256k1, p384, p521, rsa\n"
    "    --bits N      size of an RSA key: 2048 (when nothing is said),\n"
    "                  3072, 4096\n"
    "\n"
    "The other types are for those whose keys live where Ed25519 does not;\n"
    "a node itself signs with Ed25519 alone.  The file is one line, the type\n"
    "and base64url of the seed or scalar, of RSA the PKCS#1 private key.\n"
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
    int                 rc;
    signature_signer_t  signer;

    if (line->word_count != 2) {
        return mesh_refuse_usage("\"new\" or \"show\", and a file");
    }

    if (strcmp(line->words[0], "new") == 0) {
        rc = create_key(line, &signer);

    } else if (strcmp(line->words[0], "show") == 0) {

        if (mesh_option_find(line, "type") || mesh_option_find(line, "bits"))
        {
            return mesh_refuse_usage("\"show\" finds the type in the file");
        }

        rc = mesh_file_signer(line->words[1], &signer);

    } else {
        return mesh_refuse_usage("\"new\" or \"show\" was expected, not "
                                 "\"%s\"", line->words[0]);
    }

    if (rc == MESH_OK) {
        print_key(line, line->words[1], &signer);
        signature_signer_destroy(&signer);
    }

    return rc;
}


static int
parse_type(const mesh_line_t *line, did_algorithm_t *algorithm,
    unsigned *bits)
{
    size_t       i;
    const char  *type, *text;

    *algorithm = DID_ED25519;
    *bits = MESH_KEY_BITS;

    type = mesh_option_get(line, "type");

    for (i = 0; type != NULL && i < DID_ALGORITHM_COUNT; i++) {

        if (strcmp(type, mesh_key_types[i].type) == 0) {
            *algorithm = (did_algorithm_t) i;
            break;
        }
    }

    if (i == DID_ALGORITHM_COUNT) {
        return mesh_refuse_usage("there is no type \"%s\": ed25519, p256, "
                                 "secp256k1, p384, p521 or rsa", type);
    }

    text = mesh_option_get(line, "bits");

    if (text == NULL) {
        return MESH_OK;
    }

    if (*algorithm != DID_RSA) {
        return mesh_refuse_usage("\"--bits\" is for \"--type rsa\": other "
                                 "types have one size");
    }

    if (strcmp(text, "2048") != 0 && strcmp(text, "3072") != 0
        && strcmp(text, "4096") != 0)
    {
        return mesh_refuse_usage("\"--bits\" is 2048, 3072 or 4096, not "
                                 "\"%s\"", text);
    }

    *bits = (unsigned) strtoul(text, NULL, 10);

    return MESH_OK;
}


static int
create_key(const mesh_line_t *line, signature_signer_t *signer)
{
    int               rc, exists;
    unsigned          bits;
    const char       *path;
    did_algorithm_t   algorithm;

    rc = parse_type(line, &algorithm, &bits);
    if (rc != MESH_OK) {
        return rc;
    }

    path = line->words[1];

    if (signature_signer_create(signer, algorithm, bits) != 0) {
        return mesh_fail("the system's libcrypto makes no key of %s",
                         mesh_key_types[algorithm].name);
    }

    rc = mesh_file_create_signer(path, signer, &exists);

    if (rc == MESH_OK && exists) {
        rc = mesh_fail("\"%s\" exists; a key is never written over", path);
    }

    if (rc != MESH_OK) {
        signature_signer_destroy(signer);
    }

    return rc;
}


static void
print_key(const mesh_line_t *line, const char *path,
    const signature_signer_t *signer)
{
    uint8_t         buf[8192];
    json_write_t    j;
    bytes_writer_t  w;

    bytes_writer_open(&w, buf, sizeof(buf));

    if (mesh_option_find(line, "json")) {
        json_write_open(&j, &w);
        json_write_object(&j);
        json_write_member(&j, "did", signature_signer_did(signer));
        json_write_member_text(&j, "type",
                               mesh_key_types[signer->key.algorithm].name);
        json_write_member_text(&j, "file", path);
        json_write_object_end(&j);

    } else {
        bytes_writer_bytes(&w, signature_signer_did(signer));
    }

    mesh_print(bytes_writer_view(&w));
}
