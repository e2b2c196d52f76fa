/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The `mesh` command: the table of subcommands, help, and how it speaks.
 * Results go to stdout and nothing else does; remarks and refusals go to
 * stderr.  Exit codes: 0 done, 1 refused or failed, 2 misused.
 */


#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "mesh.h"


typedef struct mesh_block_s  mesh_block_t;

/* Allocated memory, in a list: a leak checker sees an orderly end. */
struct mesh_block_s {
    mesh_block_t  *next;
    uint64_t       data[];
};


static int run_command(const mesh_command_t *command, int argc, char **argv);
static int print_help(int argc, char **argv);
static const mesh_command_t *find_command(const char *name);
static void *memory_alloc(void *data, size_t size);
static void free_blocks(void);
static int close_output(void);


static const mesh_command_t *const  mesh_commands[] = {
    &mesh_init_command,
    &mesh_key_command,
    &mesh_delegate_command,
    &mesh_token_command,
    &mesh_invoke_command,
    &mesh_revoke_command,
    &mesh_inspect_command,
    &mesh_verify_command,
    NULL
};


static mesh_block_t          *mesh_blocks;
static const mesh_command_t  *mesh_running;

ucan_memory_t  mesh_memory = { memory_alloc, NULL };


static const char  mesh_head[] =
    "usage: mesh COMMAND [OPTION]... [WORD]...\n"
    "\n"
    "Keys, delegations and tokens of The Mesh.  Nobody can do anything on a\n"
    "mesh without a token, and every token leads back, signature by\n"
    "signature, to the mesh's own key.  This is how they are made and read.\n"
    "\n";

static const char  mesh_tail[] =
    "\n"
    "\"mesh help COMMAND\" explains one, with examples.  All of them take\n"
    "--json, and print one JSON object then.  Exit code: 0 done, 1 refused\n"
    "or failed, 2 misused.\n"
    "\n"
    "From nothing to a token:\n"
    "\n"
    "    mesh init data                          the mesh: its key and DID\n"
    "    mesh key new bot.key                    a key for a bot\n"
    "    mesh delegate --key data/mesh.key \\\n"
    "        --to \"$(mesh key show bot.key)\" \\\n"
    "        --command /room/read > bot.delegation\n"
    "    mesh token --key bot.key \\\n"
    "        --audience \"$(cat data/mesh.did)\" --proof bot.delegation\n";


int
main(int argc, char **argv)
{
    int                    rc;
    const mesh_command_t  *command;

    if (sodium_init() < 0) {
        return mesh_fail("the crypto library does not start");
    }

    if (argc < 2) {
        (void) print_help(0, NULL);
        (void) close_output();
        return MESH_USAGE;
    }

    if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0) {
        rc = print_help(argc - 2, argv + 2);

    } else {
        command = find_command(argv[1]);

        rc = (command != NULL)
             ? run_command(command, argc - 2, argv + 2)
             : mesh_refuse_usage("there is no command \"%s\"", argv[1]);
    }

    free_blocks();

    if (close_output() != 0 && rc == MESH_OK) {
        rc = mesh_fail("could not write the output");
    }

    return rc;
}


void *
mesh_alloc(size_t size)
{
    mesh_block_t  *block;

    block = (size < SIZE_MAX / 2) ? calloc(1, sizeof(mesh_block_t) + size)
                                  : NULL;
    if (block == NULL) {
        (void) mesh_fail("out of memory");
        exit(MESH_REFUSED);
    }

    block->next = mesh_blocks;
    mesh_blocks = block;

    return block->data;
}


char *
mesh_text(bytes_t b)
{
    char  *text;

    text = mesh_alloc(b.len + 1);

    if (b.len != 0) {
        memcpy(text, b.data, b.len);
    }

    return text;
}


char *
mesh_format(const char *fmt, ...)
{
    char     buf[MESH_FORMAT_MAX];
    va_list  args;

    va_start(args, fmt);

    if (vsnprintf(buf, sizeof(buf), fmt, args) < 0) {
        buf[0] = '\0';
    }

    va_end(args);

    return mesh_text(bytes_of(buf));
}


int
mesh_fail(const char *fmt, ...)
{
    va_list  args;

    fputs("mesh: ", stderr);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);

    return MESH_REFUSED;
}


int
mesh_refuse_usage(const char *fmt, ...)
{
    va_list  args;

    fputs("mesh: ", stderr);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);

    fprintf(stderr, "; \"mesh help%s%s\" explains\n",
            mesh_running != NULL ? " " : "",
            mesh_running != NULL ? mesh_running->name : "");

    return MESH_USAGE;
}


void
mesh_remark(const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
}


void
mesh_print(bytes_t b)
{
    if (b.len != 0) {
        (void) fwrite(b.data, 1, b.len, stdout);
    }

    if (b.len == 0 || b.data[b.len - 1] != '\n') {
        (void) fputc('\n', stdout);
    }
}


static int
run_command(const mesh_command_t *command, int argc, char **argv)
{
    int           rc;
    mesh_line_t  *line;

    mesh_running = command;

    line = mesh_alloc(sizeof(mesh_line_t));

    rc = mesh_option_parse(line, command->options, argc, argv);
    if (rc != MESH_OK) {
        return rc;
    }

    if (mesh_option_find(line, "help")) {
        fputs(command->help, stdout);
        return MESH_OK;
    }

    return command->run(line);
}


static int
print_help(int argc, char **argv)
{
    size_t                 i;
    const mesh_command_t  *command;

    if (argc > 0) {
        command = find_command(argv[0]);

        if (command == NULL) {
            return mesh_refuse_usage("there is no command \"%s\"", argv[0]);
        }

        fputs(command->help, stdout);

        return MESH_OK;
    }

    fputs(mesh_head, stdout);

    for (i = 0; mesh_commands[i] != NULL; i++) {
        printf("    %-10s %s\n", mesh_commands[i]->name,
               mesh_commands[i]->summary);
    }

    fputs(mesh_tail, stdout);

    return MESH_OK;
}


static const mesh_command_t *
find_command(const char *name)
{
    size_t  i;

    for (i = 0; mesh_commands[i] != NULL; i++) {
        if (strcmp(mesh_commands[i]->name, name) == 0) {
            return mesh_commands[i];
        }
    }

    return NULL;
}


static void *
memory_alloc(void *data, size_t size)
{
    (void) data;

    return mesh_alloc(size);
}


static void
free_blocks(void)
{
    mesh_block_t  *block;

    while (mesh_blocks != NULL) {
        block = mesh_blocks;
        mesh_blocks = block->next;
        free(block);
    }
}


/* A full disk shows here at the latest. */
static int
close_output(void)
{
    return (ferror(stdout) || fflush(stdout) != 0) ? -1 : 0;
}
