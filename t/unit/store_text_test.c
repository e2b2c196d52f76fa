/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The text index over a store: what is found after puts, deletes and drops,
 * who leads, and that a missing, damaged or foreign file is met as promised.
 */


#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "store_fixture.h"
#include "store_text.h"


#define EPOCH  "00000000000000a1"


static volatile int  stop;
static char          search_path[320];


static void
put(fixture_t *f, const char *ns, const char *key, const char *type,
    const char *value)
{
    store_op_t       *op;
    fixture_write_t   w;

    memset(&w, 0, sizeof(fixture_write_t));
    op = fixture_op(&w, value ? STORE_PUT : STORE_DELETE, ns, key);
    op->log = 1;

    if (value) {
        op->value = bytes_of(value);
        op->meta = bytes_of(type);
    }

    if (fixture_write(f, &w) != STORE_OK) {
        printf("Bail out! a put failed\n");
        exit(1);
    }
}


static void
say(fixture_t *f, const char *room, const char *id, const char *content)
{
    char             json[600];
    fixture_write_t  w;

    snprintf(json, sizeof(json), "{\"id\":\"%s\",\"senderId\":\"p_x\","
             "\"senderName\":\"ada\",\"content\":\"%s\"}", id, content);

    memset(&w, 0, sizeof(fixture_write_t));
    fixture_op(&w, STORE_APPEND, room, id)->value = bytes_of(json);

    if (fixture_write(f, &w) != STORE_OK) {
        printf("Bail out! an append failed\n");
        exit(1);
    }
}


static store_text_t *
open_index(fixture_t *f)
{
    char                 error[256];
    store_text_t        *text;
    store_text_config_t  config;

    memset(&config, 0, sizeof(store_text_config_t));

    config.path = search_path;
    config.readers_max = 2;
    config.cache_bytes = 1048576;
    config.adapter = &store_sqlite;
    config.store = f->store;
    config.log = fixture_log;
    config.data = f;

    text = store_text_open(&config, error, sizeof(error));

    if (text == NULL) {
        printf("Bail out! no index: %s\n", error);
        exit(1);
    }

    return text;
}


/* Keys of the hits, joined by blanks; "!" and the code when it failed. */
static const char *
search(fixture_t *f, store_text_t *text, const char *ns, const char *query)
{
    static char   found[2048];

    size_t        i, n;
    store_rc_t    rc;
    store_read_t  read;
    store_rows_t  rows;

    memset(&read, 0, sizeof(store_read_t));

    read.kind = STORE_SEARCH;
    read.ns = bytes_of(ns);
    read.key = bytes_of(query);
    read.limit = 20;

    found[0] = '\0';
    rc = store_text_read(text, &read, &rows, 1);

    if (rc != STORE_OK) {
        snprintf(found, sizeof(found), "!%d", rc);
        return found;
    }

    n = 0;

    for (i = 0; i < rows.count; i++) {
        n += (size_t) snprintf(found + n, sizeof(found) - n, "%s%.*s",
                               i ? " " : "", (int) rows.rows[i].key.len,
                               (const char *) rows.rows[i].key.data);
    }

    store_rows_release(&rows, 1);

    return found;
}


static void
test_items(fixture_t *f, store_text_t *text)
{
    put(f, "s/n", "k/plain", "text/plain; charset=utf-8", "The quick Fox");
    put(f, "s/n", "k/json", "application/json",
        "{\"fox\":\"hare\",\"a\":[\"caf\\u00e9 noir\",{\"b\":\"brown\"}]}");
    put(f, "s/n", "d/pets/1", "", "{\"name\":\"Reynard the fox\"}");
    put(f, "s/n", "k/bytes", "application/octet-stream", "fox");
    put(f, "s/n", "k/broken", "application/json", "{\"fox\":");
    put(f, "s/n", "b/blob", "text/plain", "fox");
    put(f, "s/other", "k/plain", "text/plain", "a fox elsewhere");

    tap_ok(store_text_follow_all(text) == 0, "a store is followed");

    tap_ok(strcmp(search(f, text, "s/n", "fox"), "pets/1 plain") == 0,
           "texts and documents are found, newest first: keys of JSON, "
           "bytes, blobs and other namespaces are not");
    tap_ok(strcmp(search(f, text, "s/n", "CAFE"), "json") == 0,
           "case and accents do not count");
    tap_ok(strcmp(search(f, text, "s/n", "\"noir brown\""), "") == 0,
           "a phrase does not go from one string into the next");
    tap_ok(strcmp(search(f, text, "s/n", "\"the quick\" -hare"), "plain")
           == 0, "a phrase is found");
    tap_ok(strcmp(search(f, text, "s/n", "fox -quick"), "pets/1") == 0,
           "what must not be there is not");
    tap_ok(strcmp(search(f, text, "s/n", "r*"), "pets/1") == 0,
           "a word may be left open");
    tap_ok(strcmp(search(f, text, "s/none", "fox"), "") == 0,
           "a namespace that is not there has nothing");
    tap_ok(strcmp(search(f, text, "s/n", "\"fox"), "!7") == 0,
           "what is no query is invalid");
}


static void
test_changes(fixture_t *f, store_text_t *text)
{
    put(f, "s/n", "k/plain", "text/plain", "a slow badger");

    tap_ok(strcmp(search(f, text, "s/n", "quick"), "") == 0,
           "what was written over is not shown, before the index knows");

    store_text_follow(text, bytes_of("s/n"));
    store_text_write_flush(text, 1);

    tap_ok(strcmp(search(f, text, "s/n", "badger"), "plain") == 0,
           "what is written over is found anew");
    tap_ok(strcmp(search(f, text, "s/n", "fox"), "pets/1") == 0,
           "and not by what it was");

    put(f, "s/n", "d/pets/1", "", NULL);

    tap_ok(strcmp(search(f, text, "s/n", "reynard"), "") == 0,
           "what was deleted is not shown, before the index knows");

    put(f, "s/n", "d/pets/1", "", "{\"name\":\"again\"}");
    put(f, "s/n", "k/json", "application/json", NULL);
    store_text_follow(text, bytes_of("s/n"));
    store_text_write_flush(text, 1);

    tap_ok(strcmp(search(f, text, "s/n", "reynard"), "") == 0
           && strcmp(search(f, text, "s/n", "hare"), "") == 0
           && strcmp(search(f, text, "s/n", "again"), "pets/1") == 0,
           "what was deleted is gone, what came again is there");
}


static void
test_drop(fixture_t *f, store_text_t *text)
{
    fixture_write_t  w;

    memset(&w, 0, sizeof(fixture_write_t));
    fixture_op(&w, STORE_DROP, "s/n", "");
    fixture_write(f, &w);

    put(f, "s/n", "k/new", "text/plain", "badger again");

    store_text_follow_all(text);

    tap_ok(strcmp(search(f, text, "s/n", "badger"), "new") == 0,
           "a namespace that was dropped is listed anew");

    while (store_text_write_tidy(text) == 1) { /* void */ }

    tap_ok(strcmp(search(f, text, "s/n", "badger"), "new") == 0
           && strcmp(search(f, text, "s/other", "fox"), "plain") == 0,
           "and the sweep takes only what it had");
}


static void
test_rooms(fixture_t *f, store_text_t *text)
{
    fixture_write_t  w;

    put(f, "rooms", "room/r_1", "", "{}");
    say(f, "r_1", "m_1", "good morning");
    say(f, "r_1", "m_2", "good \\\"night\\\"");
    store_text_follow(text, bytes_of("r_1"));
    store_text_write_flush(text, 1);

    tap_ok(strcmp(search(f, text, "r_1", "good"), "m_2 m_1") == 0,
           "messages are found, newest first");
    tap_ok(strcmp(search(f, text, "r_1", "ada"), "") == 0,
           "by what was said alone");

    memset(&w, 0, sizeof(fixture_write_t));
    fixture_op(&w, STORE_DROP, "r_1", "");
    fixture_op(&w, STORE_DELETE, "rooms", "room/r_1");
    fixture_write(f, &w);

    tap_ok(strcmp(search(f, text, "r_1", "good"), "") == 0,
           "of a room that is gone nothing is shown, before the index knows");

    tap_ok(store_text_follow_all(text) == 0
           && store_text_follow_room(text, bytes_of("r_1")) == 0
           && strcmp(search(f, text, "r_1", "good"), "") == 0,
           "a room that is gone goes from the index");
}


static void
test_leader(fixture_t *f, store_text_t *text)
{
    store_text_t  *other;

    other = open_index(f);

    tap_ok(store_text_lead(other, &stop) == 0,
           "one leads at a time");
    tap_ok(strcmp(search(f, other, "s/n", "badger"), "new") == 0,
           "the others search too");

    store_text_unlead(text);

    tap_ok(store_text_lead(other, &stop) == 1,
           "another takes over");
    put(f, "s/n", "k/more", "text/plain", "one more badger");
    store_text_follow_all(other);

    tap_ok(strcmp(search(f, text, "s/n", "badger"), "more new") == 0,
           "what it takes in is seen by the first");

    store_text_close(other);
}


static void
write_over(const char *path, off_t from, size_t count)
{
    int      fd;
    char     junk[4096];

    memset(junk, 0x5a, sizeof(junk));

    fd = open(path, O_WRONLY);

    while (fd != -1 && count != 0) {
        if (pwrite(fd, junk, sizeof(junk), from) == -1) {
            break;
        }

        from += (off_t) sizeof(junk);
        count--;
    }

    close(fd);
}


/* The file is written over while nobody has it open, but for SQLite's
   readers of this process, which are closed with their index. */
static void
test_damage(fixture_t *f)
{
    int            i;
    char           mark[340];
    struct stat    st;
    store_text_t  *text;

    for (i = 0; i < 3; i++) {
        text = open_index(f);
        store_text_lead(text, &stop);
        sqlite3_wal_checkpoint_v2(text->db.handle, NULL,
                                  SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
        store_text_close(text);

        if (i == 0) {
            (void) unlink(search_path);

        } else {
            write_over(search_path, (i == 1) ? 0 : 4096, 8);
        }

        text = open_index(f);

        tap_ok(store_text_lead(text, &stop) == 1
               && store_text_follow_all(text) == 0
               && strcmp(search(f, text, "s/n", "badger"), "more new") == 0,
               "a file %s is made again", i == 0 ? "that is missing"
               : i == 1 ? "of junk" : "with broken pages");

        tap_ok(stat(search_path, &st) == 0 && (st.st_mode & 0777) == 0600,
               "and is private");

        store_text_close(text);
    }

    text = open_index(f);
    store_text_lead(text, &stop);
    store_text_mark(text);

    tap_ok(store_text_check(text) == -1, "damage that a search meets is told "
           "to the leader");

    store_text_unlead(text);
    f->text[0] = '\0';

    snprintf(mark, sizeof(mark), "%s.damaged", search_path);

    tap_ok(store_text_lead(text, &stop) == 1
           && store_text_follow_all(text) == 0
           && access(mark, F_OK) == -1
           && strstr(f->text, "made again") != NULL
           && strcmp(search(f, text, "s/n", "badger"), "more new") == 0,
           "who makes it again");

    (void) unlink(search_path);

    tap_ok(store_text_check(text) == -1
           && strcmp(search(f, text, "s/n", "badger"), "!4") == 0,
           "a file that is deleted under way is noticed");

    store_text_unlead(text);

    tap_ok(store_text_lead(text, &stop) == 1
           && store_text_follow_all(text) == 0
           && strcmp(search(f, text, "s/n", "badger"), "more new") == 0,
           "and made again, for open searches too");

    store_text_close(text);
}


static void
test_foreign(fixture_t *f)
{
    char           saved[320];
    store_text_t  *text;

    snprintf(saved, sizeof(saved), "%s", search_path);
    snprintf(search_path, sizeof(search_path), "%s", f->path);

    text = open_index(f);

    tap_ok(store_text_lead(text, &stop) == -1
           && strstr(f->text, "another program") != NULL,
           "the database of another program is left alone");

    store_text_close(text);
    snprintf(search_path, sizeof(search_path), "%s", saved);
}


static void
test_epoch(fixture_t *f)
{
    store_text_t  *text;

    text = open_index(f);
    store_text_lead(text, &stop);
    store_text_follow_all(text);

    put(f, STORE_NS_STORE, STORE_KEY_EPOCH, "", "00000000000000b2");

    tap_ok(strcmp(search(f, text, "s/n", "badger"), "") == 0,
           "of another epoch nothing is shown");
    tap_ok(store_text_follow_all(text) == -1, "the leader notices");

    store_text_unlead(text);

    tap_ok(store_text_lead(text, &stop) == 1
           && store_text_follow_all(text) == 0
           && strcmp(search(f, text, "s/n", "badger"), "more new") == 0,
           "and the index is made again");

    store_text_close(text);
}


/* A bomb: words that are everywhere and never together. */
static void
test_bomb(fixture_t *f)
{
    int               i, k;
    char              key[32], value[200];
    int64_t           us, ns;
    uint64_t          seq;
    const char       *found;
    store_text_t     *text;
    store_text_doc_t  doc;

    text = open_index(f);
    store_text_lead(text, &stop);
    store_text_write_ns(text, bytes_of("s/bomb"), &ns, &seq);

    for (i = 1; i <= 20000; i++) {
        snprintf(key, sizeof(key), "k/%d", i);
        k = snprintf(value, sizeof(value), "%s", (i & 1) ? "odd" : "even");
        snprintf(value + k, sizeof(value) - (size_t) k,
                 " aa ab ac ad ae af ag ah ai aj ak al am an");

        memset(&doc, 0, sizeof(store_text_doc_t));
        doc.key = bytes_of(key);
        doc.text = bytes_of(value);
        doc.seq = (uint64_t) i;
        doc.item = 1;

        store_text_write_doc(text, ns, &doc);
        store_text_write_flush(text, 0);
    }

    store_text_write_flush(text, 1);

    us = store_sqlite_now_us();
    found = search(f, text, "s/bomb", "odd even aa ab ac ad ae af ag ah ai "
                   "aj ak al a* an*");
    us = store_sqlite_now_us() - us;

    tap_ok((found[0] == '\0' || strcmp(found, "!4") == 0)
           && us < (int64_t) STORE_TEXT_READ_MS * 1500,
           "a query that matches everything and nothing ends in time (%d ms)",
           (int) (us / 1000));

    store_text_close(text);
}


int
main(void)
{
    fixture_t      f;
    store_text_t  *text;

    fixture_open(&f);

    if (!tap_ok(fixture_store_open(&f), "a store opens (%s)", f.error)) {
        return tap_done();
    }

    snprintf(search_path, sizeof(search_path), "%s/search.db", f.folder);
    put(&f, STORE_NS_STORE, STORE_KEY_EPOCH, "", EPOCH);

    text = open_index(&f);

    tap_ok(strcmp(search(&f, text, "s/n", "fox"), "!4") == 0,
           "before there is an index, searches are told to wait");
    tap_ok(store_text_lead(text, &stop) == 1,
           "the first one leads (%s)", f.text);

    test_items(&f, text);
    test_changes(&f, text);
    test_drop(&f, text);
    test_rooms(&f, text);
    test_leader(&f, text);

    store_text_close(text);

    test_damage(&f);
    test_foreign(&f);
    test_epoch(&f);
    test_bomb(&f);

    fixture_close(&f);

    return tap_done();
}
