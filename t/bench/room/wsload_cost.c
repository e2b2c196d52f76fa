/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * What the server's processes cost, from /proc: CPU time of every thread in
 * nanoseconds (schedstat), its parts in user space and in the kernel in ticks
 * (stat), and memory (smaps_rollup).
 */


#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "wsload.h"


#define PATH_SIZE  128
#define TEXT_SIZE  8192


static int read_text(const char *path, char *text);
static void read_ticks(int pid, wsload_cost_t *cost);
static void read_threads(int pid, wsload_cost_t *cost);
static void read_memory(int pid, wsload_cost_t *cost);
static uint64_t find_number(const char *text, const char *name);


void
wsload_cost_read(const wsload_t *w, wsload_cost_t *cost)
{
    int  i;

    memset(cost, 0, sizeof(wsload_cost_t));

    for (i = 0; i < w->pid_count; i++) {
        read_ticks(w->pids[i], cost);
        read_threads(w->pids[i], cost);
        read_memory(w->pids[i], cost);
    }
}


/* 0 when there is a text; ends with a zero. */
static int
read_text(const char *path, char *text)
{
    FILE    *file;
    size_t   len;

    file = fopen(path, "r");
    if (file == NULL) {
        return -1;
    }

    len = fread(text, 1, TEXT_SIZE - 1, file);
    text[len] = '\0';

    fclose(file);

    return 0;
}


static void
read_ticks(int pid, wsload_cost_t *cost)
{
    char           path[PATH_SIZE], text[TEXT_SIZE], *p;
    double         ticks;
    unsigned long  userland, kernel;

    ticks = (double) sysconf(_SC_CLK_TCK);

    snprintf(path, sizeof(path), "/proc/%d/stat", pid);

    if (read_text(path, text) != 0) {
        wsload_fail("there is no process %d", pid);
    }

    p = strrchr(text, ')');

    if (p != NULL
        && sscanf(p + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u "
                  "%lu %lu", &userland, &kernel)
           == 2)
    {
        cost->userland += (double) userland / ticks;
        cost->kernel += (double) kernel / ticks;
    }
}


static void
read_threads(int pid, wsload_cost_t *cost)
{
    DIR            *dir;
    char            path[PATH_SIZE], text[TEXT_SIZE];
    double          seconds;
    struct dirent  *entry;

    snprintf(path, sizeof(path), "/proc/%d/task", pid);

    dir = opendir(path);
    if (dir == NULL) {
        wsload_fail("there is no process %d", pid);
    }

    while ((entry = readdir(dir)) != NULL) {

        if (entry->d_name[0] == '.') {
            continue;
        }

        snprintf(path, sizeof(path), "/proc/%d/task/%.20s/schedstat", pid,
                 entry->d_name);

        if (read_text(path, text) == 0) {
            seconds = (double) strtoull(text, NULL, 10) / 1e9;
            cost->cpu += seconds;

            if (strtol(entry->d_name, NULL, 10) == pid) {
                cost->loop += seconds;
            }
        }

        snprintf(path, sizeof(path), "/proc/%d/task/%.20s/status", pid,
                 entry->d_name);

        if (read_text(path, text) == 0) {
            cost->switches += find_number(text, "\nvoluntary_ctxt_switches:")
                          + find_number(text, "\nnonvoluntary_ctxt_switches:");
        }
    }

    closedir(dir);
}


static void
read_memory(int pid, wsload_cost_t *cost)
{
    char  path[PATH_SIZE], text[TEXT_SIZE];

    snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);

    if (read_text(path, text) == 0) {
        cost->rss += find_number(text, "\nRss:") * 1024;
        cost->pss += find_number(text, "\nPss:") * 1024;
        cost->dirty += find_number(text, "\nPrivate_Dirty:") * 1024;
    }
}


static uint64_t
find_number(const char *text, const char *name)
{
    const char  *p;

    p = strstr(text, name);

    return (p != NULL) ? strtoull(p + strlen(name), NULL, 10) : 0;
}
