/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The table of commands and roles (design.md section 4): who has what, that
 * roles are nested, and that the policies of grants hold for what they name.
 */


#include "grant.h"
#include "tap.h"
#include "ucan_chain.h"
#include "ucan_make.h"
#include "ucan_policy.h"


/* Does a role cover the command, with the policy switches of its grant? */
static const grant_t *
find_grant(const char *role, const char *command)
{
    size_t          i, count;
    const grant_t  *list;

    list = grant_role_list(grant_role_find(bytes_of(role)), &count);

    for (i = 0; i < count; i++) {
        if (ucan_chain_covers(list[i].command, bytes_of(command))) {
            return &list[i];
        }
    }

    return NULL;
}


static void
test_roles(void)
{
    size_t  i;

    tap_ok(grant_role_count == 7, "there are seven roles");
    tap_ok(strcmp(grant_roles[0].name, "owner") == 0
           && grant_roles[0].priority == 999, "the owner is the highest");

    for (i = 1; i < grant_role_count; i++) {
        tap_ok(grant_roles[i].priority < grant_roles[i - 1].priority,
               "%s is below %s", grant_roles[i].name,
               grant_roles[i - 1].name);
    }

    tap_ok(grant_role_find(bytes_of("king")) == NULL, "a king is no role");
    tap_ok(grant_role_find(bytes_of("Owner")) == NULL, "nor is an Owner");
}


/* Rows of the table: the lowest role that has the command. */
static void
test_who_has_what(void)
{
    size_t  i, r, from;

    static const struct {
        const char  *command;
        const char  *lowest;
    } rows[] = {
        { "/room/list",     "spectator" },
        { "/room/read",     "spectator" },
        { "/room/join",     "spectator" },
        { "/room/send",     "agent" },
        { "/room/create",   "member" },
        { "/room/invite",   "member" },
        { "/room/moderate", "moderator" },
        { "/room/manage",   "admin" },
        { "/dm/send",       "agent" },
        { "/storage/read",  "agent" },
        { "/storage/write", "agent" },
        { "/storage/admin", "agent" },
        { "/model/list",    "agent" },
        { "/model/use",     "agent" },
        { "/bot/read",      "member" },
        { "/bot/spawn",     "member" },
        { "/bot/invoke",    "member" },
        { "/bot/control",   "admin" },
        { "/member/invite", "member" },
        { "/member/manage", "admin" },
        { "/role/manage",   "admin" },
        { "/ucan/delegate", "spectator" },
        { "/ucan/revoke",   "spectator" },
        { "/peer/read",     "admin" },
        { "/peer/manage",   "owner" },
        { "/peer/relay",    "owner" },
        { "/mesh/metrics",  "admin" },
        { "/mesh/admin",    "owner" }
    };

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {

        tap_ok(grant_command_known(bytes_of(rows[i].command)),
               "%s is a command", rows[i].command);

        from = (size_t) (grant_role_find(bytes_of(rows[i].lowest))
                         - grant_roles);

        for (r = 0; r < grant_role_count; r++) {
            tap_ok((find_grant(grant_roles[r].name, rows[i].command) != NULL)
                   == (r <= from), "%s: %s", rows[i].command,
                   grant_roles[r].name);
        }
    }
}


/* What a role has, every higher one has, and on no worse terms. */
static void
test_nesting(void)
{
    size_t          i, r, count;
    const grant_t  *list, *above;

    for (r = 1; r < grant_role_count; r++) {
        list = grant_role_list(&grant_roles[r], &count);

        tap_ok(count != 0 && count <= 16, "%s has a short list",
               grant_roles[r].name);

        for (i = 0; i < count; i++) {
            above = find_grant(grant_roles[r - 1].name,
                               (const char *) list[i].command.data);

            tap_ok(above != NULL
                   && above->own_namespace <= list[i].own_namespace
                   && above->local_only <= list[i].local_only
                   && grant_command_known(list[i].command),
                   "%s has %s of %s", grant_roles[r - 1].name,
                   (const char *) list[i].command.data, grant_roles[r].name);
        }
    }
}


static int
match(bytes_t policy, const char *name, const char *value)
{
    size_t          work;
    uint8_t         buf[128];
    bytes_writer_t  w;

    bytes_writer_open(&w, buf, sizeof(buf));
    cbor_write_map(&w, 1);
    cbor_write_text(&w, bytes_of(name));
    cbor_write_text(&w, bytes_of(value));

    work = 100000;

    return ucan_policy_match(policy, bytes_writer_view(&w), &work);
}


static bytes_t
policy_of(const char *role, const char *command, const bytes_t *rooms,
    size_t count)
{
    static uint8_t  buf[GRANT_POLICY_MAX];
    bytes_writer_t  w;

    bytes_writer_open(&w, buf, sizeof(buf));

    tap_ok(grant_policy(&w, find_grant(role, command), bytes_of("p_1"),
                        rooms, count) == 0
           && ucan_policy_validate(bytes_writer_view(&w)) == 0,
           "%s of %s has a policy", command, role);

    return bytes_writer_view(&w);
}


static void
test_policies(void)
{
    bytes_t         policy, rooms[2];
    uint8_t         small[8];
    bytes_writer_t  w;

    policy = policy_of("agent", "/storage/write", NULL, 0);
    tap_ok(match(policy, "ns", "p_1"), "one's own namespace is one's own");
    tap_ok(!match(policy, "ns", "p_2"), "another's is not");
    tap_ok(match(policy, "ns", "p_1.p_3") && match(policy, "ns", "p_1.a.b"),
           "what is below it is one's own too");
    tap_ok(!match(policy, "ns", "p_13") && !match(policy, "ns", "p_1x.p_3")
           && !match(policy, "ns", "x.p_1") && !match(policy, "ns", "p_1_3"),
           "what begins alike is not");
    tap_ok(!match(policy, "key", "p_1"), "nor what has no namespace");

    policy = policy_of("admin", "/storage/write", NULL, 0);
    tap_ok(match(policy, "ns", "p_2"), "an admin has all");

    policy = policy_of("agent", "/model/use", NULL, 0);
    tap_ok(match(policy, "provider_class", "local"), "local models are free");
    tap_ok(!match(policy, "provider_class", "paid"), "paid ones are not");

    policy = policy_of("member", "/model/use", NULL, 0);
    tap_ok(match(policy, "provider_class", "paid"), "members may use them");

    rooms[0] = bytes_of("r_1");
    rooms[1] = bytes_of("r_2");

    policy = policy_of("agent", "/room/send", rooms, 1);
    tap_ok(match(policy, "room", "r_1") && !match(policy, "room", "r_2"),
           "one room is one room");

    policy = policy_of("agent", "/room/send", rooms, 2);
    tap_ok(match(policy, "room", "r_1") && match(policy, "room", "r_2")
           && !match(policy, "room", "r_3") && !match(policy, "to", "r_1"),
           "two rooms are these two");

    policy = policy_of("agent", "/dm/send", rooms, 2);
    tap_ok(match(policy, "to", "p_2"), "rooms do not narrow other kinds");

    policy = policy_of("owner", "/room/send", rooms, 1);
    tap_ok(!match(policy, "room", "r_2"), "but they narrow everything");

    bytes_writer_open(&w, small, sizeof(small));
    tap_ok(grant_policy(&w, find_grant("agent", "/storage/read"),
                        bytes_of("p_1"), NULL, 0) == -1,
           "a policy without room says so");
}


/* A policy of the narrower namespace holds for no more than that of the
   wider one: what makes a bot's chain of its maker's. */

static void
test_namespaces(void)
{
    size_t          i;
    bytes_t         wide, narrow;
    uint8_t         one[GRANT_POLICY_MAX], two[GRANT_POLICY_MAX];
    uint8_t         name[GRANT_NS_MAX + 1];
    const grant_t  *grant;
    bytes_writer_t  w;

    static const char *const  names[] = {
        "p_1", "p_1.p_2", "p_1.p_2.p_4", "p_1.p_3", "p_2", "p_1.p_22",
        "p_1p_2", "", ".", "p_1.", "p_1.p_2."
    };

    grant = find_grant("agent", "/storage");

    bytes_writer_open(&w, one, sizeof(one));
    (void) grant_policy(&w, grant, bytes_of("p_1"), NULL, 0);
    wide = bytes_writer_view(&w);

    bytes_writer_open(&w, two, sizeof(two));
    (void) grant_policy(&w, grant, bytes_of("p_1.p_2"), NULL, 0);
    narrow = bytes_writer_view(&w);

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        tap_ok(!match(narrow, "ns", names[i]) || match(wide, "ns", names[i]),
               "a bot's \"%s\" is its maker's", names[i]);
    }

    tap_ok(match(narrow, "ns", "p_1.p_2") && match(narrow, "ns", "p_1.p_2.x"),
           "a bot has its own and what is below");
    tap_ok(!match(narrow, "ns", "p_1") && !match(narrow, "ns", "p_1.p_3")
           && !match(narrow, "ns", "p_1.p_22"),
           "neither its maker's nor its sibling's");

    memset(name, 'n', sizeof(name));

    bytes_writer_open(&w, one, sizeof(one));
    tap_ok(grant_policy(&w, grant, bytes_make(name, GRANT_NS_MAX), NULL, 0)
           == 0, "a namespace may be as long as the limit");
    bytes_writer_open(&w, one, sizeof(one));
    tap_ok(grant_policy(&w, grant, bytes_make(name, GRANT_NS_MAX + 1), NULL,
                        0) == -1, "and not longer");
}


static void
test_names(void)
{
    tap_ok(bytes_equal_text(grant_permission(bytes_of("send_message")),
                            "/room/send"), "send_message is /room/send");
    tap_ok(bytes_equal_text(grant_permission(bytes_of("spawn_agent")),
                            "/bot/spawn"), "spawn_agent is /bot/spawn");
    tap_ok(grant_permission(bytes_of("fly")).len == 0, "fly is nothing");

    tap_ok(bytes_equal_text(grant_subject_arg(bytes_of("/room/send")),
                            "room"), "a room command names a room");
    tap_ok(bytes_equal_text(grant_subject_arg(bytes_of("/dm")), "to"),
           "a direct message names who it is to");
    tap_ok(bytes_equal_text(grant_subject_arg(bytes_of("/member/manage")),
                            "participant"), "a member is a participant");
    tap_ok(grant_subject_arg(bytes_of("/")).len == 0
           && grant_subject_arg(bytes_of("/roomy/send")).len == 0
           && grant_subject_arg(bytes_of("/mesh/admin")).len == 0,
           "others name nothing");
    tap_ok(!grant_command_known(bytes_of("/room/"))
           && !grant_command_known(bytes_of("/rooms"))
           && grant_command_known(bytes_of("/")), "unknown is unknown");
}


/*
 * The largest token that the mesh issues by itself: a member's bot, each
 * command over three links.
 */

static void
test_size(void)
{
    size_t          i, count, n;
    bytes_t         list[UCAN_TOKEN_COUNT_MAX], text;
    const grant_t  *grants;

    grants = grant_role_list(grant_role_find(bytes_of("agent")), &count);
    n = 0;

    for (i = 0; i < count; i++) {
        const char  *command;

        command = (const char *) grants[i].command.data;
        list[n++] = make_delegation("mesh", "maker", command);
        list[n++] = make_delegation("maker", "mesh", command);
        list[n++] = make_delegation("mesh", "bot", command);
    }

    list[n++] = make_session("bot");
    text = make_container('P', list, n);

    tap_ok(text.len < 7168, "a bot's token is short (%zu bytes of %zu "
           "tokens)", text.len, n);
}


int
main(void)
{
    if (sodium_init() < 0) {
        return 1;
    }

    test_roles();
    test_who_has_what();
    test_nesting();
    test_policies();
    test_namespaces();
    test_names();
    test_size();

    return tap_done();
}
