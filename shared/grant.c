/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Who has which command by default.  Constant tables and the policies that
 * go with them; any thread, no state.
 *
 * The roles are nested: whatever a role covers, every higher one covers too
 * (t/unit/grant_test.c holds that).  So raising a role never takes anything
 * away, and whoever may grant a role holds all of it.
 *
 * A grant is one delegation in the token of its holder, so a prefix stands
 * for its commands wherever the whole prefix is meant ("/storage", "/ucan").
 */


#include "cbor.h"
#include "grant.h"


#define grant_item(command, own, local)                                       \
    { bytes_literal(command), own, local }

#define grant_count(list)  (sizeof(list) / sizeof((list)[0]))


typedef struct {
    const grant_t  *list;
    size_t          count;
} grant_set_t;


typedef struct {
    const char  *name;            /* of a v2 permission */
    const char  *command;
} grant_permission_t;


typedef struct {
    const char  *kind;            /* first segment of the command */
    const char  *arg;
} grant_kind_t;


static int match_kind(bytes_t command, const char *kind);
static void write_equal(bytes_writer_t *w, const char *selector,
    bytes_t value);
static void write_namespace(bytes_writer_t *w, bytes_t ns);


const grant_role_t  grant_roles[] = {
    { "owner",       999 },
    { "admin",       900 },
    { "moderator",   700 },
    { "super_agent", 600 },
    { "member",      400 },
    { "agent",       300 },
    { "spectator",    50 }
};

const size_t  grant_role_count = grant_count(grant_roles);


static const grant_t  grant_owner[] = {
    grant_item("/",             0, 0)
};

static const grant_t  grant_admin[] = {
    grant_item("/room",         0, 0),
    grant_item("/dm",           0, 0),
    grant_item("/storage",      0, 0),
    grant_item("/model",        0, 0),
    grant_item("/bot",          0, 0),
    grant_item("/role",         0, 0),
    grant_item("/member",       0, 0),
    grant_item("/ucan",         0, 0),
    grant_item("/peer/read",    0, 0),
    grant_item("/mesh/metrics", 0, 0)
};

static const grant_t  grant_moderator[] = {
    grant_item("/room/list",     0, 0),
    grant_item("/room/read",     0, 0),
    grant_item("/room/join",     0, 0),
    grant_item("/room/send",     0, 0),
    grant_item("/room/create",   0, 0),
    grant_item("/room/invite",   0, 0),
    grant_item("/room/moderate", 0, 0),
    grant_item("/dm/send",       0, 0),
    grant_item("/storage",       1, 0),
    grant_item("/model",         0, 0),
    grant_item("/bot/read",      0, 0),
    grant_item("/bot/spawn",     0, 0),
    grant_item("/bot/invoke",    0, 0),
    grant_item("/bot/logs",      0, 0),
    grant_item("/member/invite", 0, 0),
    grant_item("/ucan",          0, 0)
};

static const grant_t  grant_super_agent[] = {
    grant_item("/room/list",     0, 0),
    grant_item("/room/read",     0, 0),
    grant_item("/room/join",     0, 0),
    grant_item("/room/send",     0, 0),
    grant_item("/room/create",   0, 0),
    grant_item("/room/invite",   0, 0),
    grant_item("/dm/send",       0, 0),
    grant_item("/storage",       1, 0),
    grant_item("/model",         0, 0),
    grant_item("/bot/read",      0, 0),
    grant_item("/bot/spawn",     0, 0),
    grant_item("/bot/invoke",    0, 0),
    grant_item("/bot/logs",      0, 0),
    grant_item("/member/invite", 0, 0),
    grant_item("/ucan",          0, 0)
};

static const grant_t  grant_member[] = {
    grant_item("/room/list",     0, 0),
    grant_item("/room/read",     0, 0),
    grant_item("/room/join",     0, 0),
    grant_item("/room/send",     0, 0),
    grant_item("/room/create",   0, 0),
    grant_item("/room/invite",   0, 0),
    grant_item("/dm/send",       0, 0),
    grant_item("/storage",       1, 0),
    grant_item("/model",         0, 0),
    grant_item("/bot/read",      0, 0),
    grant_item("/bot/spawn",     0, 0),
    grant_item("/bot/invoke",    0, 0),
    grant_item("/member/invite", 0, 0),
    grant_item("/ucan",          0, 0)
};

static const grant_t  grant_agent[] = {
    grant_item("/room/list",     0, 0),
    grant_item("/room/read",     0, 0),
    grant_item("/room/join",     0, 0),
    grant_item("/room/send",     0, 0),
    grant_item("/dm/send",       0, 0),
    grant_item("/storage",       1, 0),
    grant_item("/model/list",    0, 0),
    grant_item("/model/use",     0, 1),
    grant_item("/ucan",          0, 0)
};

static const grant_t  grant_spectator[] = {
    grant_item("/room/list",     0, 0),
    grant_item("/room/read",     0, 0),
    grant_item("/room/join",     0, 0),
    grant_item("/ucan",          0, 0)
};


/* in the order of grant_roles */

static const grant_set_t  grant_sets[] = {
    { grant_owner,       grant_count(grant_owner) },
    { grant_admin,       grant_count(grant_admin) },
    { grant_moderator,   grant_count(grant_moderator) },
    { grant_super_agent, grant_count(grant_super_agent) },
    { grant_member,      grant_count(grant_member) },
    { grant_agent,       grant_count(grant_agent) },
    { grant_spectator,   grant_count(grant_spectator) }
};

_Static_assert(grant_count(grant_sets) == grant_count(grant_roles), "roles");
_Static_assert(grant_count(grant_moderator) <= GRANT_COMMANDS_MAX, "grants");


/* all commands there are, and the prefixes that a grant may name */

static const char *const  grant_commands[] = {
    "/",
    "/room", "/room/list", "/room/read", "/room/join", "/room/send",
    "/room/create", "/room/invite", "/room/moderate", "/room/manage",
    "/dm", "/dm/send",
    "/storage", "/storage/read", "/storage/write", "/storage/admin",
    "/model", "/model/list", "/model/use",
    "/bot", "/bot/read", "/bot/spawn", "/bot/control", "/bot/logs",
    "/bot/invoke",
    "/peer", "/peer/read", "/peer/manage", "/peer/relay",
    "/role", "/role/manage",
    "/member", "/member/manage", "/member/invite",
    "/ucan", "/ucan/delegate", "/ucan/revoke",
    "/mesh", "/mesh/admin", "/mesh/metrics"
};


/* the first five are the names that v2 documents; the rest follow them */

static const grant_permission_t  grant_permissions[] = {
    { "send_message",    "/room/send" },
    { "create_room",     "/room/create" },
    { "spawn_agent",     "/bot/spawn" },
    { "invite_users",    "/member/invite" },
    { "manage_roles",    "/role/manage" },
    { "list_rooms",      "/room/list" },
    { "read_messages",   "/room/read" },
    { "join_room",       "/room/join" },
    { "manage_messages", "/room/moderate" },
    { "manage_rooms",    "/room/manage" },
    { "send_direct",     "/dm/send" },
    { "manage_members",  "/member/manage" },
    { "manage_agents",   "/bot/control" },
    { "use_models",      "/model/use" }
};


static const grant_kind_t  grant_kinds[] = {
    { "room",    "room" },
    { "dm",      "to" },
    { "storage", "ns" },
    { "model",   "model" },
    { "bot",     "bot" },
    { "peer",    "peer" },
    { "role",    "role" },
    { "member",  "participant" },
    { "ucan",    "cid" }
};


const grant_role_t *
grant_role_find(bytes_t name)
{
    size_t  i;

    for (i = 0; i < grant_role_count; i++) {
        if (bytes_equal_text(name, grant_roles[i].name)) {
            return &grant_roles[i];
        }
    }

    return NULL;
}


const grant_t *
grant_role_list(const grant_role_t *role, size_t *count)
{
    size_t  i;

    for (i = 0; i < grant_role_count; i++) {
        if (role == &grant_roles[i]) {
            *count = grant_sets[i].count;
            return grant_sets[i].list;
        }
    }

    *count = 0;

    return NULL;
}


int
grant_command_known(bytes_t command)
{
    size_t  i;

    for (i = 0; i < grant_count(grant_commands); i++) {
        if (bytes_equal_text(command, grant_commands[i])) {
            return 1;
        }
    }

    return 0;
}


bytes_t
grant_permission(bytes_t name)
{
    size_t  i;

    for (i = 0; i < grant_count(grant_permissions); i++) {
        if (bytes_equal_text(name, grant_permissions[i].name)) {
            return bytes_of(grant_permissions[i].command);
        }
    }

    return bytes_make(NULL, 0);
}


const char *
grant_permission_name(size_t i)
{
    return i < grant_count(grant_permissions) ? grant_permissions[i].name
                                              : NULL;
}


bytes_t
grant_subject_arg(bytes_t command)
{
    size_t  i;

    for (i = 0; i < grant_count(grant_kinds); i++) {
        if (match_kind(command, grant_kinds[i].kind)) {
            return bytes_of(grant_kinds[i].arg);
        }
    }

    return bytes_make(NULL, 0);
}


int
grant_policy(bytes_writer_t *w, const grant_t *grant, bytes_t ns,
    const bytes_t *rooms, size_t room_count)
{
    int     narrow;
    size_t  i;

    /* "/" holds the room commands as well: narrowing it must not be lost */

    narrow = room_count != 0
             && (match_kind(grant->command, "room")
                 || bytes_equal_text(grant->command, "/"));

    cbor_write_list(w, (grant->own_namespace != 0) + (grant->local_only != 0)
                       + narrow);

    if (grant->own_namespace) {
        write_namespace(w, ns);
    }

    if (grant->local_only) {
        write_equal(w, ".provider_class", bytes_of("local"));
    }

    if (narrow && room_count == 1) {
        write_equal(w, ".room", rooms[0]);

    } else if (narrow) {
        cbor_write_list(w, 2);
        cbor_write_text(w, bytes_of("or"));
        cbor_write_list(w, room_count);

        for (i = 0; i < room_count; i++) {
            write_equal(w, ".room", rooms[i]);
        }
    }

    return w->failed ? -1 : 0;
}


/* 1 when the first segment of the command is kind. */
static int
match_kind(bytes_t command, const char *kind)
{
    size_t  len;

    len = strlen(kind);

    return command.len > len
           && command.data[0] == '/'
           && memcmp(command.data + 1, kind, len) == 0
           && (command.len == len + 1 || command.data[len + 1] == '/');
}


static void
write_equal(bytes_writer_t *w, const char *selector, bytes_t value)
{
    cbor_write_list(w, 3);
    cbor_write_text(w, bytes_of("=="));
    cbor_write_text(w, bytes_of(selector));
    cbor_write_text(w, value);
}


/* The namespace and those below it, "ns.*".  A namespace has no character
   that a pattern would take for its own. */
static void
write_namespace(bytes_writer_t *w, bytes_t ns)
{
    uint8_t         buf[GRANT_NS_MAX + 2];
    bytes_writer_t  below;

    bytes_writer_open(&below, buf, sizeof(buf));
    bytes_writer_bytes(&below, ns);
    bytes_writer_text(&below, ".*");

    if (below.failed) {
        w->failed = 1;
        return;
    }

    cbor_write_list(w, 2);
    cbor_write_text(w, bytes_of("or"));
    cbor_write_list(w, 2);

    write_equal(w, ".ns", ns);

    cbor_write_list(w, 3);
    cbor_write_text(w, bytes_of("like"));
    cbor_write_text(w, bytes_of(".ns"));
    cbor_write_text(w, bytes_writer_view(&below));
}
