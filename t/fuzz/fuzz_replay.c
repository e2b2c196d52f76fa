/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The main() that a fuzz target gets when it is built without libFuzzer:
 * runs the target once over each file of the seed folders named on the
 * command line, and over its first half and every byte of it turned round
 * (up to FUZZ_REPLAY_FLIPS of them), so that refusals are walked as well.
 *
 * Prints TAP.  A target that finds a fault stops the program by abort() or
 * by a sanitizer, which the caller sees as a plan that was not kept.
 */


#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>


#define FUZZ_REPLAY_SIZE_MAX   (1024 * 1024)
#define FUZZ_REPLAY_FLIPS      4096


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_folder(const char *path, unsigned *n);
static int replay_file(const char *path);
static void replay_bytes(const uint8_t *bytes, size_t size);


int
main(int argc, char **argv)
{
    int       i, failed;
    unsigned  n;

    n = 0;
    failed = 0;

    setvbuf(stdout, NULL, _IONBF, 0);

    for (i = 1; i < argc; i++) {
        failed |= replay_folder(argv[i], &n);
    }

    printf("1..%u\n", n);

    return (failed || n == 0) ? 1 : 0;
}


static int
replay_folder(const char *path, unsigned *n)
{
    int              failed;
    DIR             *dir;
    char             name[4096];
    struct dirent   *entry;

    dir = opendir(path);
    if (dir == NULL) {
        perror(path);
        return 1;
    }

    failed = 0;

    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.') {
            continue;
        }

        snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);

        (*n)++;

        if (replay_file(name) == 0) {
            printf("ok %u - seed %s\n", *n, entry->d_name);

        } else {
            printf("not ok %u - seed %s\n", *n, entry->d_name);
            failed = 1;
        }
    }

    closedir(dir);

    return failed;
}


static int
replay_file(const char *path)
{
    FILE     *file;
    size_t    size;
    uint8_t  *bytes;

    file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return 1;
    }

    bytes = malloc(FUZZ_REPLAY_SIZE_MAX);
    if (bytes == NULL) {
        fclose(file);
        return 1;
    }

    size = fread(bytes, 1, FUZZ_REPLAY_SIZE_MAX, file);
    fclose(file);

    replay_bytes(bytes, size);
    free(bytes);

    return 0;
}


/*
 * Each run gets a block of exactly its size, so that a sanitizer sees a read
 * past the end.
 */

static void
replay_bytes(const uint8_t *bytes, size_t size)
{
    size_t    i, flips, len;
    uint8_t  *copy;

    flips = (size < FUZZ_REPLAY_FLIPS) ? size : FUZZ_REPLAY_FLIPS;

    for (i = 0; i < flips + 2; i++) {
        len = (i == 1) ? size / 2 : size;

        copy = malloc(len + (len == 0));
        if (copy == NULL) {
            abort();
        }

        memcpy(copy, bytes, len);

        if (i >= 2) {
            copy[i - 2] ^= 0xff;
        }

        LLVMFuzzerTestOneInput(copy, len);
        free(copy);
    }
}
