/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * problem.c: every row is whole, slugs are unique and kebab-case, and the
 * body is the JSON of RFC 9457 whatever the detail holds.
 */


#include "json_scan.h"
#include "problem.h"
#include "tap.h"


#define TEST_ROOM  1024           /* bytes */


static int
is_slug(const char *s)
{
    size_t  i;

    for (i = 0; s[i]; i++) {

        if ((s[i] < 'a' || s[i] > 'z')
            && (s[i] != '-' || i == 0 || s[i + 1] == '\0'))
        {
            return 0;
        }
    }

    return i != 0;
}


static void
test_every_row(void)
{
    problem_t  i, j;
    unsigned   wrong, same;

    wrong = 0;
    same = 0;

    for (i = 0; i < PROBLEM_COUNT; i++) {
        wrong += problem_status(i) < 400 || problem_status(i) > 599
                 || !is_slug(problem_slug(i))
                 || problem_title(i)[0] == '\0';

        for (j = i + 1; j < PROBLEM_COUNT; j++) {
            same += strcmp(problem_slug(i), problem_slug(j)) == 0
                    || strcmp(problem_title(i), problem_title(j)) == 0;
        }
    }

    tap_ok(wrong == 0, "every problem has a status, a slug and a title");
    tap_ok(same == 0, "no two have the same");
}


static void
test_statuses(void)
{
    size_t  i;

    static const struct {
        problem_t    problem;
        unsigned     status;
        const char  *slug;
    } cases[] = {
        { PROBLEM_BAD_REQUEST, 400, "bad-request" },
        { PROBLEM_UNAUTHENTICATED, 401, "unauthenticated" },
        { PROBLEM_FORBIDDEN, 403, "forbidden" },
        { PROBLEM_NOT_FOUND, 404, "not-found" },
        { PROBLEM_NAME_TAKEN, 409, "name-taken" },
        { PROBLEM_FEED_GAP, 410, "feed-gap" },
        { PROBLEM_TOO_LARGE, 413, "too-large" },
        { PROBLEM_WRONG_HOST, 421, "wrong-host" },
        { PROBLEM_RATE_LIMITED, 429, "rate-limited" },
        { PROBLEM_STORAGE_FULL, 507, "storage-full" },
        { PROBLEM_COUNT, 500, "internal" },
        { (problem_t) -1, 500, "internal" }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        tap_ok(problem_status(cases[i].problem) == cases[i].status
               && strcmp(problem_slug(cases[i].problem), cases[i].slug) == 0,
               "problem %d is %u %s", (int) cases[i].problem,
               cases[i].status, cases[i].slug);
    }
}


static void
test_body(void)
{
    uint8_t         buf[TEST_ROOM];
    bytes_t         body;
    json_scan_t     object, value;
    bytes_writer_t  w;

    bytes_writer_open(&w, buf, sizeof(buf));
    problem_write(&w, PROBLEM_FORBIDDEN,
                  bytes_of("The token of \"bob\" does not cover\n\xff this."),
                  bytes_of("/room/send"));
    body = bytes_writer_view(&w);

    tap_ok(!w.failed
           && json_scan_validate(body, NULL) == JSON_SCAN_OK
           && json_scan_open(body, &object) == 0,
           "a body is JSON, whatever its detail holds");
    tap_ok(json_scan_find(&object, "type", &value) == 0
           && json_scan_equal(&value, "/problems/forbidden"), "it has a type");
    tap_ok(json_scan_find(&object, "title", &value) == 0
           && json_scan_equal(&value, problem_title(PROBLEM_FORBIDDEN)),
           "a title");
    tap_ok(json_scan_find(&object, "status", &value) == 0
           && bytes_equal_text(value.raw, "403"), "a status");
    tap_ok(json_scan_find(&object, "detail", &value) == 0
           && json_scan_equal(&value, "The token of \"bob\" does not cover\n"
                                      "\xef\xbf\xbd this."), "a detail");
    tap_ok(json_scan_find(&object, "error", &value) == 0
           && json_scan_equal(&value, "forbidden"), "the slug");
    tap_ok(json_scan_find(&object, "command", &value) == 0
           && json_scan_equal(&value, "/room/send"), "the missing command");

    bytes_writer_open(&w, buf, sizeof(buf));
    problem_write(&w, PROBLEM_NOT_FOUND, bytes_of(""), bytes_make(NULL, 0));
    (void) json_scan_open(bytes_writer_view(&w), &object);

    tap_ok(json_scan_find(&object, "command", &value) != 0,
           "without a command there is no such member");
    tap_ok(json_scan_find(&object, "detail", &value) == 0
           && json_scan_equal(&value, problem_title(PROBLEM_NOT_FOUND)),
           "without a detail the title stands in");

    bytes_writer_open(&w, buf, 40);
    problem_write(&w, PROBLEM_NOT_FOUND, bytes_of(""), bytes_of(""));
    tap_ok(w.failed, "no room is remembered");
}


static void
test_proofs(void)
{
    uint8_t          buf[TEST_ROOM];
    bytes_t          proofs[2];
    json_scan_t      object, value;
    bytes_writer_t   w;
    problem_facts_t  facts;

    memset(&facts, 0, sizeof(facts));

    proofs[0] = bytes_of("bafyone");
    proofs[1] = bytes_of("bafytwo");

    facts.proofs = proofs;
    facts.proof_count = 2;

    bytes_writer_open(&w, buf, sizeof(buf));
    problem_write_facts(&w, PROBLEM_PROOF_MISSING, &facts);

    tap_ok(!w.failed
           && json_scan_validate(bytes_writer_view(&w), NULL) == JSON_SCAN_OK
           && json_scan_open(bytes_writer_view(&w), &object) == 0,
           "missing proofs are JSON, too");
    tap_ok(json_scan_find(&object, "prf", &value) == 0
           && bytes_equal_text(value.raw, "[\"bafyone\",\"bafytwo\"]"),
           "a list of their CIDs");
    tap_ok(json_scan_find(&object, "command", &value) != 0,
           "and nothing that was not said");
}


int
main(void)
{
    test_every_row();
    test_statuses();
    test_body();
    test_proofs();

    return tap_done();
}
