/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Memory for one run of a fuzz target: each allocation a block of its own, so
 * that a sanitizer sees both of its ends, and all freed by
 * fuzz_memory_free().
 */


#ifndef _FUZZ_MEMORY_H_INCLUDED_
#define _FUZZ_MEMORY_H_INCLUDED_


#include <stdlib.h>

#include "ucan_token.h"


#define FUZZ_MEMORY_BLOCKS_MAX  8192


static struct {
    void    *blocks[FUZZ_MEMORY_BLOCKS_MAX];
    size_t   count;
} fuzz_blocks;


static void *
fuzz_memory_alloc(void *data, size_t size)
{
    void  *p;

    (void) data;

    if (fuzz_blocks.count == FUZZ_MEMORY_BLOCKS_MAX) {
        return NULL;
    }

    p = malloc(size);
    fuzz_blocks.blocks[fuzz_blocks.count++] = p;

    return p;
}


static ucan_memory_t  fuzz_memory = { fuzz_memory_alloc, NULL };


static void
fuzz_memory_free(void)
{
    while (fuzz_blocks.count != 0) {
        free(fuzz_blocks.blocks[--fuzz_blocks.count]);
    }
}


#endif /* _FUZZ_MEMORY_H_INCLUDED_ */
