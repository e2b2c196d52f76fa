/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Capabilities of UCAN 0.x.  The mapping is that of ucan_chain_resource():
 * what is written here is what a mesh asks for.
 */


#include <string.h>

#include "grant.h"
#include "json_scan.h"
#include "json_write.h"
#include "mesh_caps.h"


#define MESH_CAPS_TEXT_MAX  65536     /* bytes of one object */


static int add_capability(mesh_caps_t *caps, bytes_t with, bytes_t can,
    bytes_t caveat);
static bytes_t make_resource(bytes_t subject, bytes_t command,
    const ucan_arg_t *arg);
static bytes_t make_ability(bytes_t command, unsigned version);
static int make_caveat(const mesh_args_t *args, bytes_t subject_arg,
    bytes_t *caveat);
static int read_caveat(const mesh_line_t *line, bytes_t *caveat);
static void write_object(json_write_t *j, const mesh_caps_t *caps);
static int write_list(json_write_t *j, const mesh_caps_t *caps);
static int write_members(json_write_t *j, bytes_t caveat);
static void write_abilities(json_write_t *j, const mesh_caps_t *caps,
    size_t first);
static int match_earlier(const mesh_caps_t *caps, size_t i, int ability);


int
mesh_caps_add_command(mesh_caps_t *caps, bytes_t subject,
    const char *command, const mesh_args_t *args)
{
    int      rc, named;
    size_t   i;
    bytes_t  cmd, name, caveat;

    rc = mesh_request_command(command, &cmd);
    if (rc != MESH_OK) {
        return rc;
    }

    name = grant_subject_arg(cmd);

    rc = make_caveat(args, name, &caveat);
    if (rc != MESH_OK) {
        return rc;
    }

    named = 0;

    for (i = 0; i < args->arg_count; i++) {

        if (name.len == 0 || !bytes_equal(args->args[i].name, name)) {
            continue;
        }

        named = 1;

        rc = add_capability(caps, make_resource(subject, cmd,
                                                &args->args[i]),
                            make_ability(cmd, caps->version), caveat);
        if (rc != MESH_OK) {
            return rc;
        }
    }

    if (named) {
        return MESH_OK;
    }

    return add_capability(caps, make_resource(subject, cmd, NULL),
                          make_ability(cmd, caps->version), caveat);
}


int
mesh_caps_add_token(mesh_caps_t *caps, const ucan_token_t *token)
{
    int                      rc;
    size_t                   i;
    const ucan_token_cap_t  *cap;

    for (i = 0; i < token->capability_count; i++) {
        cap = &token->capabilities[i];

        rc = add_capability(caps, cap->with, cap->can, cap->caveat);
        if (rc != MESH_OK) {
            return rc;
        }
    }

    return MESH_OK;
}


int
mesh_caps_add_resource(mesh_caps_t *caps, const mesh_line_t *line)
{
    int          rc;
    size_t       i;
    bytes_t      caveat;
    const char  *with, *can;

    with = mesh_option_get(line, "resource");
    can = mesh_option_get(line, "ability");

    if (with == NULL) {
        return (can == NULL && mesh_option_get(line, "caveat") == NULL)
               ? MESH_OK
               : mesh_refuse_usage("\"--ability\" and \"--caveat\" go with "
                                   "\"--resource\"");
    }

    if (strchr(with, ':') == NULL || can == NULL || *can == '\0') {
        return mesh_refuse_usage("\"--resource\" is a URI, as mailto:ada@"
                                 "example.org, and needs an \"--ability\", "
                                 "as mail/send");
    }

    rc = read_caveat(line, &caveat);
    i = 0;

    while (rc == MESH_OK
           && (can = mesh_option_next(line, "ability", &i)) != NULL)
    {
        rc = add_capability(caps, bytes_of(with), bytes_of(can), caveat);
    }

    return rc;
}


int
mesh_caps_write(const mesh_caps_t *caps, bytes_t *json)
{
    int             rc;
    size_t          i, size;
    json_write_t    j;
    bytes_writer_t  w;

    size = 16;

    for (i = 0; i < caps->count; i++) {
        size += json_write_string_max(caps->list[i].with.len)
                + json_write_string_max(caps->list[i].can.len)
                + caps->list[i].caveat.len + 32;
    }

    bytes_writer_open(&w, mesh_alloc(size), size);
    json_write_open(&j, &w);

    if (caps->version < UCAN_TOKEN_VERSION_10) {

        rc = write_list(&j, caps);
        if (rc != MESH_OK) {
            return rc;
        }

    } else {
        write_object(&j, caps);
    }

    *json = bytes_writer_view(&w);

    return w.failed ? mesh_fail("the capabilities are too long") : MESH_OK;
}


static int
add_capability(mesh_caps_t *caps, bytes_t with, bytes_t can, bytes_t caveat)
{
    ucan_token_cap_t  *cap;

    if (caps->count == MESH_CAPS_MAX) {
        return mesh_fail("more than %d capabilities", MESH_CAPS_MAX);
    }

    cap = &caps->list[caps->count++];
    cap->with = with;
    cap->can = can;
    cap->caveat = caveat;

    return MESH_OK;
}


static bytes_t
make_resource(bytes_t subject, bytes_t command, const ucan_arg_t *arg)
{
    size_t          size;
    bytes_writer_t  w;
    ucan_request_t  request;

    memset(&request, 0, sizeof(request));

    request.command = command;

    if (arg != NULL) {
        request.args[0] = *arg;
        request.arg_count = 1;
    }

    size = subject.len + command.len + UCAN_CHAIN_ARG_BYTES_MAX + 16;

    bytes_writer_open(&w, mesh_alloc(size), size);
    ucan_chain_resource(&w, subject, &request);

    return bytes_writer_view(&w);
}


/* "/" is everything, "/room" all that begins with it; in 0.x that takes a
   star.  0.8 has no "room/" and a star, but what lies below the resource
   "mesh://<did>/room/" has no other abilities. */
static bytes_t
make_ability(bytes_t command, unsigned version)
{
    bytes_t         ability;
    bytes_writer_t  w;

    ability = bytes_make(command.data + 1, command.len - 1);

    if (ability.len == 0) {
        return bytes_of("*");
    }

    if (memchr(ability.data, '/', ability.len) != NULL) {
        return ability;
    }

    if (version == UCAN_TOKEN_VERSION_08) {
        return bytes_of("*");
    }

    bytes_writer_open(&w, mesh_alloc(ability.len + 2), ability.len + 2);
    bytes_writer_bytes(&w, ability);
    bytes_writer_text(&w, "/*");

    return bytes_writer_view(&w);
}


static int
make_caveat(const mesh_args_t *args, bytes_t subject_arg, bytes_t *caveat)
{
    size_t          i, k;
    json_write_t    j;
    bytes_writer_t  w;

    *caveat = bytes_make(NULL, 0);

    bytes_writer_open(&w, mesh_alloc(MESH_CAPS_TEXT_MAX),
                      MESH_CAPS_TEXT_MAX);
    json_write_open(&j, &w);
    json_write_object(&j);

    for (i = 0; i < args->arg_count; i++) {

        if (subject_arg.len != 0
            && bytes_equal(args->args[i].name, subject_arg))
        {
            continue;
        }

        for (k = 0; k < i; k++) {
            if (bytes_equal(args->args[k].name, args->args[i].name)) {
                return mesh_refuse_usage("in 0.x only the argument that "
                                         "names the thing can have several "
                                         "values");
            }
        }

        json_write_member(&j, mesh_text(args->args[i].name),
                          args->args[i].value);
    }

    json_write_object_end(&j);

    *caveat = bytes_writer_view(&w);

    return w.failed ? mesh_fail("the arguments are too long") : MESH_OK;
}


static int
read_caveat(const mesh_line_t *line, bytes_t *caveat)
{
    json_scan_t  object;
    const char  *value;

    value = mesh_option_get(line, "caveat");

    *caveat = bytes_of(value != NULL ? value : "{}");

    if (json_scan_validate(*caveat, NULL) != JSON_SCAN_OK
        || json_scan_open(*caveat, &object) != 0
        || object.type != JSON_SCAN_OBJECT)
    {
        return mesh_refuse_usage("\"--caveat\": a JSON object was expected, "
                                 "as {\"day\":\"monday\"}");
    }

    return MESH_OK;
}


/* 0.10: {resource: {ability: [caveat]}} */
static void
write_object(json_write_t *j, const mesh_caps_t *caps)
{
    size_t  i;

    json_write_object(j);

    for (i = 0; i < caps->count; i++) {
        if (!match_earlier(caps, i, 0)) {
            json_write_key(j, mesh_text(caps->list[i].with));
            write_abilities(j, caps, i);
        }
    }

    json_write_object_end(j);
}


/* Before: [{"with": resource, "can": ability, and the caveat's members}] */
static int
write_list(json_write_t *j, const mesh_caps_t *caps)
{
    int     rc;
    size_t  i;

    json_write_array(j);

    for (i = 0; i < caps->count; i++) {
        json_write_object(j);
        json_write_member(j, "with", caps->list[i].with);
        json_write_member(j, "can", caps->list[i].can);

        rc = write_members(j, caps->list[i].caveat);
        if (rc != MESH_OK) {
            return rc;
        }

        json_write_object_end(j);
    }

    json_write_array_end(j);

    return MESH_OK;
}


static int
write_members(json_write_t *j, bytes_t caveat)
{
    size_t          pos;
    bytes_t         name;
    json_scan_t     object, key, value;
    bytes_writer_t  w;

    if (json_scan_open(caveat, &object) != 0) {
        return MESH_OK;
    }

    pos = 0;

    while (json_scan_next(&object, &pos, &key, &value) == 0) {

        bytes_writer_open(&w, mesh_alloc(key.text.len + 1), key.text.len);
        (void) json_scan_string(&key, &w);
        name = bytes_writer_view(&w);

        if (bytes_equal_text(name, "with") || bytes_equal_text(name, "can")) {
            return mesh_fail("before 0.10 a caveat cannot be named \"with\" "
                             "or \"can\"");
        }

        json_write_key(j, mesh_text(name));
        json_write_raw(j, value.raw);
    }

    return MESH_OK;
}


/* All abilities of one resource, each once, with all its caveats. */
static void
write_abilities(json_write_t *j, const mesh_caps_t *caps, size_t first)
{
    size_t                   i, k;
    const ucan_token_cap_t  *cap, *other;

    json_write_object(j);

    for (i = first; i < caps->count; i++) {

        cap = &caps->list[i];

        if (!bytes_equal(cap->with, caps->list[first].with)
            || match_earlier(caps, i, 1))
        {
            continue;
        }

        json_write_key(j, mesh_text(cap->can));
        json_write_array(j);

        for (k = i; k < caps->count; k++) {
            other = &caps->list[k];

            if (bytes_equal(other->with, cap->with)
                && bytes_equal(other->can, cap->can))
            {
                json_write_raw(j, other->caveat);
            }
        }

        json_write_array_end(j);
    }

    json_write_object_end(j);
}


/* 1 when one before has the same resource (and ability). */
static int
match_earlier(const mesh_caps_t *caps, size_t i, int ability)
{
    size_t  k;

    for (k = 0; k < i; k++) {
        if (bytes_equal(caps->list[k].with, caps->list[i].with)
            && (!ability
                || bytes_equal(caps->list[k].can, caps->list[i].can)))
        {
            return 1;
        }
    }

    return 0;
}
