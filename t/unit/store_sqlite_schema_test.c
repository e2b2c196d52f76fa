/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * What a store refuses to start on, with a sentence for the operator, and
 * who checks and migrates.
 */


#include <fcntl.h>
#include <sys/stat.h>

#include "store_fixture.h"


static void test_fresh(void);
static void test_newer(void);
static void test_foreign(void);
static void test_no_database(void);
static void test_damaged(void);
static void test_check_once(void);
static void test_folder(void);
static void test_pragmas(void);
static int refuses(fixture_t *f, const char *what);
static void damage(fixture_t *f);


int
main(void)
{
    test_fresh();
    test_newer();
    test_foreign();
    test_no_database();
    test_damaged();
    test_check_once();
    test_folder();
    test_pragmas();

    return tap_done();
}


static void
test_fresh(void)
{
    fixture_t    f;
    struct stat  st;

    fixture_open(&f);

    tap_ok(fixture_store_open(&f) && f.lines == 1
           && strstr(f.text, "migrated from schema 0 to 2") != NULL,
           "a new database is made, and it says so");
    tap_ok(stat(f.path, &st) == 0 && (st.st_mode & 0777) == 0600,
           "it is private");

    fixture_store_close(&f);
    f.config.migrate = 0;
    tap_ok(fixture_store_open(&f) && f.lines == 1,
           "one that may not migrate opens what is migrated");

    fixture_close(&f);
}


static void
test_newer(void)
{
    fixture_t  f;

    fixture_open(&f);
    fixture_store_open(&f);
    fixture_put(&f, "ns", "k", "v");
    fixture_store_close(&f);

    fixture_sql(&f, "PRAGMA user_version = 999");
    tap_ok(refuses(&f, "newer release (schema 999"),
           "a database of a newer release is refused: %s", f.error);
    tap_ok(fixture_sql(&f, "PRAGMA user_version") == 999
           && fixture_sql(&f, "SELECT count(*) FROM item") == 2,
           "and left untouched");

    fixture_sql(&f, "PRAGMA user_version = 0");
    f.config.migrate = 0;
    tap_ok(refuses(&f, "older release"),
           "one of an older release is for a server: %s", f.error);

    fixture_close(&f);
}


static void
test_foreign(void)
{
    int        fd;
    fixture_t  f;

    fixture_open(&f);

    fixture_store_open(&f);
    fixture_store_close(&f);
    fixture_sql(&f, "PRAGMA application_id = 42");
    tap_ok(refuses(&f, "another program"),
           "another program's database is refused: %s", f.error);

    fixture_close(&f);
    fixture_open(&f);

    fd = open(f.path, O_WRONLY | O_CREAT, 0600);
    tap_ok(write(fd, "this is a letter, not a database, and it is longer than "
                 "a header of SQLite, which has a hundred bytes", 102) == 102
           && refuses(&f, "not a database"),
           "a file that is no database is refused: %s", f.error);
    close(fd);

    fixture_close(&f);
}


static void
test_no_database(void)
{
    fixture_t  f;

    fixture_open(&f);

    f.config.migrate = 0;
    tap_ok(refuses(&f, "No such file"),
           "one that may not migrate makes no file: %s", f.error);
    tap_ok(access(f.path, F_OK) == -1, "and there is none");

    fixture_close(&f);
}


static void
test_damaged(void)
{
    fixture_t  f;

    fixture_open(&f);
    fixture_store_open(&f);
    damage(&f);

    tap_ok(refuses(&f, "damaged") && strchr(f.error, '\n') == NULL,
           "a damaged database is refused, in one line: %s", f.error);

    fixture_close(&f);
}


/* The check is for the first process: a worker that comes later, after a
   reload, would read the whole file for nothing. */
static void
test_check_once(void)
{
    fixture_t  f, other;

    fixture_open(&f);
    fixture_store_open(&f);
    damage(&f);

    f.config.migrate = 0;
    tap_ok(fixture_store_open(&f), "one that does not migrate does not check"
           "%s", f.error);

    fixture_open(&other);
    other.config.path = f.path;
    tap_ok(fixture_store_open(&other), "nor does one that is not the first"
           "%s", other.error);

    fixture_store_close(&f);
    fixture_close(&other);

    f.config.migrate = 1;
    tap_ok(refuses(&f, "damaged"), "the next first one does");

    fixture_close(&f);
}


static void
test_folder(void)
{
    fixture_t  f;

    fixture_open(&f);
    f.config.path = "/nonexistent/mesh.db";
    tap_ok(refuses(&f, "\"/nonexistent\" of the database cannot be written"),
           "a folder that is not there is named: %s", f.error);

    f.config.path = "/proc/mesh.db";
    tap_ok(refuses(&f, "/proc"), "so is one that cannot be written: %s",
           f.error);

    f.config.path = f.path;

    if (getuid() != 0 && chmod(f.folder, 0500) == 0) {
        tap_ok(refuses(&f, "Permission denied"), "without permission: %s",
               f.error);
        (void) chmod(f.folder, 0700);
    }

    fixture_close(&f);
}


static void
test_pragmas(void)
{
    fixture_t  f;

    fixture_open(&f);
    fixture_store_open(&f);

    tap_ok(fixture_sql(&f, "PRAGMA page_size") == 4096, "pages of 4096");
    tap_ok(fixture_sql(&f, "SELECT journal_mode = 'wal'"
                       " FROM pragma_journal_mode") == 1, "a WAL");
    tap_ok(fixture_sql(&f, "SELECT count(*) FROM pragma_table_list"
                       " WHERE schema = 'main' AND name NOT LIKE 'sqlite_%'"
                       " AND strict") == 5, "five tables, all STRICT");

    fixture_close(&f);
}


/* 1 when opening fails with a sentence that holds those words. */
static int
refuses(fixture_t *f, const char *what)
{
    f->error[0] = '\0';

    return !fixture_store_open(f) && strstr(f->error, what) != NULL;
}


/* Fills the store a little, closes it and writes zeroes over pages. */
static void
damage(fixture_t *f)
{
    int    i, fd;
    char   key[32];
    char   zeroes[8192];

    for (i = 0; i < 500; i++) {
        snprintf(key, sizeof(key), "key-%d", i);
        fixture_put(f, "ns", key, "a value of some length, so that it takes "
                    "pages, and a few more words for the same purpose");
    }

    fixture_store_close(f);

    memset(zeroes, 0, sizeof(zeroes));
    fd = open(f->path, O_WRONLY);

    if (pwrite(fd, zeroes, sizeof(zeroes), 4096 * 12) != sizeof(zeroes)) {
        tap_ok(0, "the file is damaged");
    }

    close(fd);
}
