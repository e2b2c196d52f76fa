/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * From options to what the UCAN code takes.  Everything is checked here, so
 * that what gets signed is what was meant.
 */


#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base64.h"
#include "cbor.h"
#include "grant.h"
#include "mesh_file.h"
#include "mesh_json.h"
#include "mesh_request.h"
#include "ucan_policy.h"


#define MESH_REQUEST_POLICY_MAX  65536     /* bytes */


typedef struct {
    const char  *name;
    unsigned     version;
} mesh_request_version_t;


static int check_name(bytes_t name);
static size_t count_names(const mesh_args_t *args);
static int match_first(const mesh_args_t *args, size_t i);
static void write_name(bytes_writer_t *w, const mesh_args_t *args, size_t i);
static void write_equal(bytes_writer_t *w, const ucan_arg_t *arg);
static int compare_args(const void *a, const void *b);


/* the first is the one of who says nothing */

static const mesh_request_version_t  mesh_request_versions[] = {
    { "1.0",  UCAN_TOKEN_VERSION_V1 },
    { "0.10", UCAN_TOKEN_VERSION_10 },
    { "0.9",  UCAN_TOKEN_VERSION_09 },
    { "0.8",  UCAN_TOKEN_VERSION_08 }
};

#define mesh_request_version_count                                            \
    (sizeof(mesh_request_versions) / sizeof(mesh_request_versions[0]))


int
mesh_request_did(const mesh_line_t *line, const char *name, int required,
    bytes_t *did)
{
    int          rc;
    const char  *value;

    *did = bytes_make(NULL, 0);

    value = mesh_option_get(line, name);

    if (value == NULL) {
        return required ? mesh_refuse_usage("\"--%s\" is missing", name)
                        : MESH_OK;
    }

    rc = mesh_file_input(value, did);
    if (rc != MESH_OK) {
        return rc;
    }

    if (!ucan_token_did_valid(*did)) {
        return mesh_refuse_usage("\"--%s\": \"%.60s\" is no DID and no file "
                                 "with one", name, value);
    }

    return MESH_OK;
}


int
mesh_request_args(const mesh_line_t *line, mesh_args_t *args)
{
    size_t       i;
    ucan_arg_t  *arg;
    const char  *value, *equal;

    args->arg_count = 0;
    i = 0;

    while ((value = mesh_option_next(line, "arg", &i)) != NULL) {

        equal = strchr(value, '=');

        if (equal == NULL) {
            return mesh_refuse_usage("\"--arg %s\": name=value was expected",
                                     value);
        }

        if (args->arg_count == MESH_REQUEST_ARGS_MAX) {
            return mesh_refuse_usage("too many arguments");
        }

        arg = &args->args[args->arg_count++];
        arg->name = bytes_make(value, (size_t) (equal - value));
        arg->value = bytes_of(equal + 1);

        if (!check_name(arg->name)) {
            return mesh_refuse_usage("\"--arg %s\": names are letters, "
                                     "digits and \"_\"", value);
        }

        if (arg->value.len > UCAN_CHAIN_ARG_BYTES_MAX) {
            return mesh_refuse_usage("\"--arg %.*s\": the value is too long",
                                     (int) arg->name.len, value);
        }
    }

    return MESH_OK;
}


int
mesh_request_command(const char *text, bytes_t *command)
{
    *command = bytes_of(text);

    if (!ucan_chain_command_valid(*command)) {
        return mesh_refuse_usage("\"%s\" is no command: it starts with a "
                                 "slash, as /room/read, has no upper case and "
                                 "no slash at its end", text);
    }

    if (!grant_command_known(*command)) {
        mesh_remark("note: \"%s\" is no command that a mesh has of itself",
                    text);
    }

    return MESH_OK;
}


int
mesh_request_open(ucan_request_t *request, const char *command,
    const mesh_args_t *args)
{
    size_t  i;

    memset(request, 0, sizeof(ucan_request_t));

    if (args->arg_count > UCAN_CHAIN_ARGS_MAX) {
        return mesh_refuse_usage("at most %d arguments", UCAN_CHAIN_ARGS_MAX);
    }

    for (i = 0; i < args->arg_count; i++) {

        if (!match_first(args, i)) {
            return mesh_refuse_usage("the argument \"%.*s\" is given twice",
                                     (int) args->args[i].name.len,
                                     (const char *) args->args[i].name.data);
        }

        request->args[i] = args->args[i];
    }

    request->arg_count = args->arg_count;

    return mesh_request_command(command, &request->command);
}


int
mesh_request_cbor(const mesh_line_t *line, const mesh_args_t *args,
    bytes_t *cbor)
{
    size_t          i;
    cbor_item_t     item;
    const char     *json;
    bytes_writer_t  w;
    mesh_args_t    *sorted;

    json = mesh_option_get(line, "args");

    if (json != NULL) {

        if (args->arg_count != 0) {
            return mesh_refuse_usage("\"--args\" or \"--arg\", not both");
        }

        if (mesh_json_encode(bytes_of(json), cbor) != 0
            || cbor_read(*cbor, &item) != 0
            || item.type != CBOR_MAP)
        {
            return mesh_refuse_usage("\"--args\": a JSON object was "
                                     "expected");
        }

        return MESH_OK;
    }

    sorted = mesh_alloc(sizeof(mesh_args_t));
    *sorted = *args;

    qsort(sorted->args, sorted->arg_count, sizeof(ucan_arg_t), compare_args);

    bytes_writer_open(&w, mesh_alloc(MESH_REQUEST_POLICY_MAX),
                      MESH_REQUEST_POLICY_MAX);
    cbor_write_map(&w, sorted->arg_count);

    for (i = 0; i < sorted->arg_count; i++) {

        if (i != 0 && bytes_equal(sorted->args[i - 1].name,
                                  sorted->args[i].name))
        {
            return mesh_refuse_usage("an argument is given twice");
        }

        cbor_write_text(&w, sorted->args[i].name);
        cbor_write_text(&w, sorted->args[i].value);
    }

    *cbor = bytes_writer_view(&w);

    return w.failed ? mesh_fail("the arguments are too long") : MESH_OK;
}


int
mesh_request_policy(const mesh_line_t *line, const mesh_args_t *args,
    bytes_t *policy)
{
    size_t          i;
    bytes_t         given;
    cbor_item_t     list;
    const char     *json;
    bytes_writer_t  w;

    memset(&list, 0, sizeof(list));

    json = mesh_option_get(line, "policy");

    if (json != NULL
        && (mesh_json_encode(bytes_of(json), &given) != 0
            || ucan_policy_validate(given) != 0
            || cbor_read(given, &list) != 0))
    {
        return mesh_refuse_usage("\"--policy\": a JSON list of statements "
                                 "was expected, as [[\"==\",\".room\","
                                 "\"r_1\"]]");
    }

    bytes_writer_open(&w, mesh_alloc(MESH_REQUEST_POLICY_MAX),
                      MESH_REQUEST_POLICY_MAX);
    cbor_write_list(&w, count_names(args) + list.count);

    for (i = 0; i < args->arg_count; i++) {
        if (match_first(args, i)) {
            write_name(&w, args, i);
        }
    }

    bytes_writer_bytes(&w, list.body);

    *policy = bytes_writer_view(&w);

    if (w.failed || ucan_policy_validate(*policy) != 0) {
        return mesh_fail("the policy is too large");
    }

    return MESH_OK;
}


int
mesh_request_time(const mesh_line_t *line, const char *name,
    const char *fallback, int64_t *seconds)
{
    const char  *value;

    value = mesh_option_get(line, name);

    if (value == NULL) {
        value = fallback;
    }

    if (mesh_option_time(value, (int64_t) time(NULL), seconds) != 0) {
        return mesh_refuse_usage("\"--%s %s\": 15m, 12h, 30d, 2026-12-31, "
                                 "2026-12-31T12:00:00Z or never was expected",
                                 name, value);
    }

    return MESH_OK;
}


bytes_t
mesh_request_nonce(void)
{
    uint8_t         random[MESH_REQUEST_NONCE];
    bytes_writer_t  w;

    randombytes_buf(random, sizeof(random));

    bytes_writer_open(&w, mesh_alloc(base64_encoded_max(sizeof(random))),
                      base64_encoded_max(sizeof(random)));
    (void) base64_encode(BASE64_URL, bytes_make(random, sizeof(random)), &w);

    return bytes_writer_view(&w);
}


int
mesh_request_form(const mesh_line_t *line, char fallback, char *form)
{
    const char  *value;

    value = mesh_option_get(line, "form");

    *form = (value != NULL) ? value[0] : fallback;

    if (value != NULL
        && (strlen(value) != 1 || strchr("BCOP", value[0]) == NULL))
    {
        return mesh_refuse_usage("\"--form %s\": B, C, O or P was expected",
                                 value);
    }

    return MESH_OK;
}


int
mesh_request_format(const mesh_line_t *line, unsigned *version)
{
    size_t       i;
    const char  *value;

    value = mesh_option_get(line, "format");

    for (i = 0; i < mesh_request_version_count; i++) {
        if (value == NULL
            || strcmp(value, mesh_request_versions[i].name) == 0)
        {
            *version = mesh_request_versions[i].version;
            return MESH_OK;
        }
    }

    return mesh_refuse_usage("\"--format %s\": 1.0, 0.10, 0.9 or 0.8 was "
                             "expected", value);
}


int
mesh_request_cid(const char *word, cid_t *cid)
{
    if (cid_parse(cid, bytes_of(word)) != 0) {
        return mesh_refuse_usage("\"%.60s\" is no CID of a token; \"mesh "
                                 "inspect\" tells the CID of each", word);
    }

    return MESH_OK;
}


static int
check_name(bytes_t name)
{
    size_t   i;
    uint8_t  c;

    if (name.len == 0 || name.len > UCAN_CHAIN_NAME_BYTES_MAX) {
        return 0;
    }

    for (i = 0; i < name.len; i++) {
        c = name.data[i];

        if ((c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '_'
            && (i == 0 || c < '0' || c > '9'))
        {
            return 0;
        }
    }

    return 1;
}


static size_t
count_names(const mesh_args_t *args)
{
    size_t  i, n;

    n = 0;

    for (i = 0; i < args->arg_count; i++) {
        n += (size_t) match_first(args, i);
    }

    return n;
}


/* 1 when no argument before has the name of this one. */
static int
match_first(const mesh_args_t *args, size_t i)
{
    size_t  j;

    for (j = 0; j < i; j++) {
        if (bytes_equal(args->args[j].name, args->args[i].name)) {
            return 0;
        }
    }

    return 1;
}


/* The statement about a name: one value, or one of several. */
static void
write_name(bytes_writer_t *w, const mesh_args_t *args, size_t i)
{
    size_t  j, n;

    n = 0;

    for (j = i; j < args->arg_count; j++) {
        n += bytes_equal(args->args[j].name, args->args[i].name);
    }

    if (n > 1) {
        cbor_write_list(w, 2);
        cbor_write_text(w, bytes_of("or"));
        cbor_write_list(w, n);
    }

    for (j = i; j < args->arg_count; j++) {
        if (bytes_equal(args->args[j].name, args->args[i].name)) {
            write_equal(w, &args->args[j]);
        }
    }
}


static void
write_equal(bytes_writer_t *w, const ucan_arg_t *arg)
{
    uint8_t         buf[UCAN_CHAIN_NAME_BYTES_MAX + 1];
    bytes_writer_t  selector;

    bytes_writer_open(&selector, buf, sizeof(buf));
    bytes_writer_byte(&selector, '.');
    bytes_writer_bytes(&selector, arg->name);

    cbor_write_list(w, 3);
    cbor_write_text(w, bytes_of("=="));
    cbor_write_text(w, bytes_writer_view(&selector));
    cbor_write_text(w, arg->value);
}


static int
compare_args(const void *a, const void *b)
{
    const ucan_arg_t  *x, *y;

    x = a;
    y = b;

    return cbor_key_compare(x->name, y->name);
}
