/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Commands and built-in roles: the table of design.md section 4.  What a
 * role delegates by default, as drafts of 1.0 delegations.
 */


#ifndef _GRANT_H_INCLUDED_
#define _GRANT_H_INCLUDED_


#include "bytes.h"


#define GRANT_COMMANDS_MAX  40
#define GRANT_POLICY_MAX    4096  /* bytes of DAG-CBOR */
#define GRANT_NS_MAX        180   /* bytes of a namespace */


typedef struct {
    const char  *name;            /* "owner" */
    unsigned     priority;        /* 999 .. 50 */
} grant_role_t;


typedef struct {
    bytes_t  command;             /* static text */
    int      own_namespace;       /* policy: .ns is the holder's own, or
                                     below it */
    int      local_only;          /* policy: .provider_class is "local" */
} grant_t;


/* Built-in roles, highest first. */
extern const grant_role_t  grant_roles[];
extern const size_t        grant_role_count;

/* The role of that name, or NULL. */
const grant_role_t *grant_role_find(bytes_t name);

/* What a built-in role delegates; *count items, static.  NULL when there is
   no such role. */
const grant_t *grant_role_list(const grant_role_t *role, size_t *count);

/* 1 when text is a command of the table (or "/"). */
int grant_command_known(bytes_t command);

/* The command behind a permission name of the v2 role API
   ("send_message" -> "/room/send"); an empty view when unknown. */
bytes_t grant_permission(bytes_t name);

/* Name i of those, or NULL behind the last. */
const char *grant_permission_name(size_t i);

/* Name of the identifying argument of a command's kind ("room"), for 0.x
   resources; empty when the kind has none. */
bytes_t grant_subject_arg(bytes_t command);

/* Appends the DAG-CBOR policy of a grant: own namespace (.ns is ns, of names
   and dots, or begins with it and a dot), local class, and, when room_count
   is not 0 and the command is of kind "room", that .room is one of rooms.
   0, or -1: no room. */
int grant_policy(bytes_writer_t *w, const grant_t *grant, bytes_t ns,
    const bytes_t *rooms, size_t room_count);


#endif /* _GRANT_H_INCLUDED_ */
