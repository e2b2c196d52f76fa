/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The Test Anything Protocol for the C unit tests: one test program, one
 * thread, no plan ahead.  A test program calls tap_ok() once for each promise
 * and returns tap_done() from main().  Knows nothing of what is tested.
 */


#ifndef _TAP_H_INCLUDED_
#define _TAP_H_INCLUDED_


#include <stdarg.h>
#include <stdio.h>


#define TAP_TEXT_MAX  512         /* bytes of one promise */


static struct {
    unsigned  run;                /* promises so far */
    unsigned  failed;             /* of them broken */
} tap_state;


/* States one promise, as printf() would; gives back the condition, so that a
   test may stop where going on makes no sense. */
static inline int
tap_ok(int cond, const char *fmt, ...)
{
    char     text[TAP_TEXT_MAX];
    va_list  args;

    va_start(args, fmt);
    (void) vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);

    tap_state.run++;

    if (!cond) {
        tap_state.failed++;
    }

    printf("%sok %u - %s\n", cond ? "" : "not ", tap_state.run, text);
    fflush(stdout);

    return cond;
}


/* States one promise that is not made yet, and why. */
static inline void
tap_skip(const char *why, const char *what)
{
    tap_state.run++;

    printf("ok %u - %s # SKIP %s\n", tap_state.run, what, why);
    fflush(stdout);
}


/* Prints the plan; the exit code of the program: 0 when all held. */
static inline int
tap_done(void)
{
    printf("1..%u\n", tap_state.run);

    if (tap_state.failed != 0) {
        printf("# %u of %u failed\n", tap_state.failed, tap_state.run);
    }

    return (tap_state.failed == 0 && tap_state.run != 0) ? 0 : 1;
}


#endif /* _TAP_H_INCLUDED_ */
