/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Backups: one file with all namespaces of a moment, and the way back.
 *
 *     "mesh-mongo-backup-1\n"
 *     record ...               4 bytes: length of the document, little
 *                              endian; 1 byte: kind; the document
 *     record "z"               how many records came before
 *     32 bytes                 BLAKE2b of all that
 *
 * A record "n" is a namespace; its items "i", entries "e" and changes "c"
 * follow.  A restore checks the whole file first, loads it as a generation of
 * its own, under new ids, and then changes one document: which generation is
 * the present one.
 *
 * Any thread; blocks.  A backup reads one moment for as long as the server
 * keeps it (minSnapshotHistoryWindowInSeconds, 300 by default).
 */


#include "store_mongo.h"


#ifdef STORE_HAVE_MONGO

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>


#define STORE_MONGO_BACKUP_MAGIC   "mesh-mongo-backup-1\n"
#define STORE_MONGO_BACKUP_HASH    32
#define STORE_MONGO_RECORD_MAX     (4 * 1024 * 1024)    /* bytes */
#define STORE_MONGO_BULK_MAX       500                  /* documents */
#define STORE_MONGO_BULK_BYTES     (4 * 1024 * 1024)


typedef struct {
    store_mongo_link_t         link;
    FILE                      *file;
    crypto_generichash_state   hash;
    uint64_t                   records;
    char                      *error;
    size_t                     error_size;
    int                        failed;   /* a sentence is there */

    /* a restore's */

    char                       generation[STORE_MONGO_ID_LEN + 1];
    char                       id[STORE_MONGO_ID_LEN + 1];
    char                       epoch[STORE_EPOCH_LEN + 1];
    int                        own;      /* the namespace of the epoch */
    uint8_t                   *buffer;   /* [STORE_MONGO_RECORD_MAX] */
    mongoc_bulk_operation_t   *bulks[4];
    size_t                     counts[4];
    size_t                     bytes;    /* in all bulks */
} store_mongo_backup_t;


static int fail(store_mongo_backup_t *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static int fail_server(store_mongo_backup_t *b);
static int open_backup(store_mongo_backup_t *b, store_t *store);
static int write_file(store_mongo_backup_t *b, const char *part);
static int write_spaces(store_mongo_backup_t *b);
static int write_range(store_mongo_backup_t *b, char kind, const char *id);
static int write_record(store_mongo_backup_t *b, char kind,
    const bson_t *document);
static int write_bytes(store_mongo_backup_t *b, const void *data,
    size_t size);
static int write_end(store_mongo_backup_t *b);
static int keep_file(store_mongo_backup_t *b, const char *part,
    const char *path);
static int sync_folder(const char *path);
static int read_file(store_mongo_backup_t *b, const char *path, int load);
static int read_record(store_mongo_backup_t *b, char *kind, bson_t *document);
static int check_end(store_mongo_backup_t *b, const bson_t *document);
static int load_space(store_mongo_backup_t *b, const bson_t *document);
static int load_row(store_mongo_backup_t *b, char kind,
    const bson_t *document);
static void add_place(store_mongo_backup_t *b, bson_t *copy,
    const char *name, bytes_t old);
static int add_bulk(store_mongo_backup_t *b, size_t n,
    const bson_t *document);
static int flush_bulks(store_mongo_backup_t *b);
static int begin_generation(store_mongo_backup_t *b);
static int swap_generation(store_mongo_backup_t *b);
static void drop_generation(store_mongo_backup_t *b);


static const char *const  store_mongo_backup_collections[] = {
    STORE_MONGO_NAMESPACE, STORE_MONGO_ITEM, STORE_MONGO_ENTRY,
    STORE_MONGO_CHANGE
};

static const char  store_mongo_backup_kinds[] = "niec";


int
store_mongo_backup_make(store_t *store, const char *path, char *error,
    size_t error_size)
{
    int                    rc, wire;
    char                  *part;
    store_mongo_backup_t   b;

    memset(&b, 0, sizeof(store_mongo_backup_t));
    b.error = error;
    b.error_size = error_size;

    pthread_mutex_lock(&store->mutex);
    wire = store->wire;
    pthread_mutex_unlock(&store->mutex);

    if (access(path, F_OK) == 0) {
        return fail(&b, "\"%s\" is there already", path);
    }

    if (wire < STORE_MONGO_WIRE_SNAPSHOT) {
        return fail(&b, "the MongoDB server is too old for a backup of one "
                    "moment, 5.0 is needed; use mongodump");
    }

    if (asprintf(&part, "%s.part", path) == -1) {
        return fail(&b, "out of memory");
    }

    rc = open_backup(&b, store);

    if (rc == 0) {
        rc = write_file(&b, part);
    }

    if (rc == 0) {
        rc = read_file(&b, part, 0);
    }

    if (rc == 0) {
        rc = keep_file(&b, part, path);
    }

    (void) unlink(part);

    store_mongo_pool_release(&b.link);
    free(b.buffer);
    free(part);

    return rc;
}


int
store_mongo_backup_restore(store_t *store, const char *path, char *error,
    size_t error_size)
{
    int                    rc;
    store_mongo_backup_t   b;

    memset(&b, 0, sizeof(store_mongo_backup_t));
    b.error = error;
    b.error_size = error_size;

    rc = open_backup(&b, store);

    if (rc == 0) {
        rc = read_file(&b, path, 0);
    }

    if (rc == 0) {
        rc = begin_generation(&b);
    }

    if (rc == 0) {
        rc = read_file(&b, path, 1);

        if (rc == 0) {
            rc = flush_bulks(&b);
        }

        if (rc == 0) {
            rc = swap_generation(&b);

        } else {
            drop_generation(&b);
        }
    }

    store_mongo_pool_release(&b.link);
    free(b.buffer);

    return rc;
}


/* The first sentence stays. */
static int
fail(store_mongo_backup_t *b, const char *fmt, ...)
{
    va_list  args;

    if (!b->failed) {
        b->failed = 1;

        va_start(args, fmt);
        (void) vsnprintf(b->error, b->error_size, fmt, args);
        va_end(args);
    }

    return -1;
}


static int
fail_server(store_mongo_backup_t *b)
{
    return fail(b, "MongoDB: %s failed: %s (%u)",
                b->link.what ? b->link.what : "a call",
                b->link.error.message, b->link.error.code);
}


static int
open_backup(store_mongo_backup_t *b, store_t *store)
{
    int  ready;

    pthread_mutex_lock(&store->mutex);
    ready = store->ready;
    pthread_mutex_unlock(&store->mutex);

    b->buffer = malloc(STORE_MONGO_RECORD_MAX);

    if (b->buffer == NULL) {
        return fail(b, "out of memory");
    }

    if (!ready || store_mongo_breaker_tripped(store)) {
        return fail(b, "the MongoDB server is away");
    }

    if (store_mongo_pool_take(store, &b->link) != STORE_MONGO_DONE) {
        return fail_server(b);
    }

    return 0;
}


/* Backup. */

static int
write_file(store_mongo_backup_t *b, const char *part)
{
    int  fd, rc;

    (void) unlink(part);

    fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    b->file = (fd == -1) ? NULL : fdopen(fd, "w");

    if (b->file == NULL) {
        rc = fail(b, "\"%s\" cannot be made: %s", part, strerror(errno));

        if (fd != -1) {
            close(fd);
        }

        return rc;
    }

    (void) crypto_generichash_init(&b->hash, NULL, 0,
                                   STORE_MONGO_BACKUP_HASH);

    rc = write_bytes(b, STORE_MONGO_BACKUP_MAGIC,
                     sizeof(STORE_MONGO_BACKUP_MAGIC) - 1);

    if (rc == 0) {
        rc = write_spaces(b);
    }

    if (rc == 0) {
        rc = write_end(b);
    }

    if (rc == 0 && (fflush(b->file) != 0 || fsync(fd) == -1)) {
        rc = fail(b, "\"%s\" cannot be written: %s", part, strerror(errno));
    }

    if (fclose(b->file) != 0 && rc == 0) {
        rc = fail(b, "\"%s\" cannot be closed: %s", part, strerror(errno));
    }

    b->file = NULL;

    return rc;
}


static int
write_spaces(store_mongo_backup_t *b)
{
    int               rc;
    char              last[STORE_MONGO_ID_LEN + 8];
    bson_t           *filter, *opts;
    const bson_t     *document;
    mongoc_cursor_t  *cursor;
    store_mongo_space_t  space;

    if (store_mongo_pool_hold(&b->link) != STORE_MONGO_DONE
        || store_mongo_pool_generation(&b->link) != STORE_MONGO_DONE)
    {
        return fail_server(b);
    }

    (void) snprintf(last, sizeof(last), "%s\xc4\x80", b->link.generation);

    filter = BCON_NEW("_id", "{", "$gte", BCON_UTF8(b->link.generation),
                      "$lt", BCON_UTF8(last), "}",
                      "id", "{", "$gt", "", "}");
    opts = BCON_NEW("sort", "{", "_id", BCON_INT32(1), "}");
    cursor = store_mongo_pool_find(&b->link, STORE_MONGO_NAMESPACE, filter,
                                   opts);
    rc = 0;

    while (rc == 0 && mongoc_cursor_next(cursor, &document)) {
        store_mongo_document_space(document, &space);

        rc = write_record(b, 'n', document);

        if (rc == 0) {
            rc = write_range(b, 'i', space.id);
        }

        if (rc == 0) {
            rc = write_range(b, 'e', space.id);
        }

        if (rc == 0) {
            rc = write_range(b, 'c', space.id);
        }
    }

    if (rc == 0 && store_mongo_pool_found(&b->link, cursor, "a read of "
                                          "namespaces") != STORE_MONGO_DONE)
    {
        rc = fail_server(b);
    }

    mongoc_cursor_destroy(cursor);
    bson_destroy(filter);
    bson_destroy(opts);

    return rc;
}


static int
write_range(store_mongo_backup_t *b, char kind, const char *id)
{
    int               rc;
    char              last[STORE_MONGO_ID_LEN + 8];
    bson_t           *filter, *opts;
    const char       *collection;
    const bson_t     *document;
    mongoc_cursor_t  *cursor;

    (void) snprintf(last, sizeof(last), "%s\xc4\x80", id);

    collection = store_mongo_backup_collections[
                     strchr(store_mongo_backup_kinds, kind)
                     - store_mongo_backup_kinds];

    filter = BCON_NEW("_id", "{", "$gte", BCON_UTF8(id),
                      "$lt", BCON_UTF8(last), "}");
    opts = BCON_NEW("sort", "{", "_id", BCON_INT32(1), "}");
    cursor = store_mongo_pool_find(&b->link, collection, filter, opts);
    rc = 0;

    while (rc == 0 && mongoc_cursor_next(cursor, &document)) {
        rc = write_record(b, kind, document);
    }

    if (rc == 0 && store_mongo_pool_found(&b->link, cursor, "a read")
                   != STORE_MONGO_DONE)
    {
        rc = fail_server(b);
    }

    mongoc_cursor_destroy(cursor);
    bson_destroy(filter);
    bson_destroy(opts);

    return rc;
}


static int
write_record(store_mongo_backup_t *b, char kind, const bson_t *document)
{
    uint8_t  head[5];

    head[0] = (uint8_t) document->len;
    head[1] = (uint8_t) (document->len >> 8);
    head[2] = (uint8_t) (document->len >> 16);
    head[3] = (uint8_t) (document->len >> 24);
    head[4] = (uint8_t) kind;

    b->records++;

    if (write_bytes(b, head, sizeof(head)) != 0) {
        return -1;
    }

    return write_bytes(b, bson_get_data(document), document->len);
}


static int
write_bytes(store_mongo_backup_t *b, const void *data, size_t size)
{
    (void) crypto_generichash_update(&b->hash, data, size);

    if (fwrite(data, 1, size, b->file) != size) {
        return fail(b, "the backup cannot be written: %s", strerror(errno));
    }

    return 0;
}


static int
write_end(store_mongo_backup_t *b)
{
    int       rc;
    bson_t   *document;
    uint8_t   hash[STORE_MONGO_BACKUP_HASH];

    document = BCON_NEW("records", BCON_INT64((int64_t) b->records));
    rc = write_record(b, 'z', document);
    bson_destroy(document);

    if (rc != 0) {
        return rc;
    }

    (void) crypto_generichash_final(&b->hash, hash, sizeof(hash));

    if (fwrite(hash, 1, sizeof(hash), b->file) != sizeof(hash)) {
        return fail(b, "the backup cannot be written: %s", strerror(errno));
    }

    return 0;
}


/* A link, not a rename: what has the name already stays. */
static int
keep_file(store_mongo_backup_t *b, const char *part, const char *path)
{
    if (link(part, path) == -1) {
        return fail(b, "\"%s\" cannot be made: %s", path, strerror(errno));
    }

    if (sync_folder(path) != 0) {
        (void) unlink(path);
        return fail(b, "the folder of \"%s\" cannot be synced", path);
    }

    return 0;
}


static int
sync_folder(const char *path)
{
    int          fd, rc;
    char        *folder;
    const char  *slash;

    slash = strrchr(path, '/');
    folder = (slash == NULL) ? strdup(".")
                             : strndup(path, (size_t) (slash - path) + 1);
    if (folder == NULL) {
        return -1;
    }

    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(folder);

    if (fd == -1) {
        return -1;
    }

    rc = fsync(fd);
    close(fd);

    return rc;
}


/* Restore. */

/*
 * Reads a file to its end and checks it; with "load" each record goes to the
 * server as well.  Nothing of a file is believed before a first reading to
 * the end.
 */

static int
read_file(store_mongo_backup_t *b, const char *path, int load)
{
    int      rc;
    char     kind, magic[sizeof(STORE_MONGO_BACKUP_MAGIC) - 1];
    bson_t   document;

    b->records = 0;
    b->file = fopen(path, "re");

    if (b->file == NULL) {
        return fail(b, "\"%s\" cannot be opened: %s", path, strerror(errno));
    }

    (void) crypto_generichash_init(&b->hash, NULL, 0,
                                   STORE_MONGO_BACKUP_HASH);
    rc = 0;

    if (fread(magic, 1, sizeof(magic), b->file) != sizeof(magic)
        || memcmp(magic, STORE_MONGO_BACKUP_MAGIC, sizeof(magic)) != 0)
    {
        rc = fail(b, "\"%s\" is no backup of the MongoDB adapter", path);
    }

    (void) crypto_generichash_update(&b->hash, (uint8_t *) magic,
                                     sizeof(magic));

    while (rc == 0) {
        rc = read_record(b, &kind, &document);

        if (rc == 0 && kind == 'z') {
            rc = check_end(b, &document);
            break;
        }

        if (rc == 0 && load) {
            rc = (kind == 'n') ? load_space(b, &document)
                               : load_row(b, kind, &document);
        }

        b->records++;
    }

    if (rc != 0) {
        (void) fail(b, "\"%s\" is damaged", path);
    }

    (void) fclose(b->file);
    b->file = NULL;

    return rc;
}


static int
read_record(store_mongo_backup_t *b, char *kind, bson_t *document)
{
    size_t    len;
    uint8_t   head[5];

    if (fread(head, 1, sizeof(head), b->file) != sizeof(head)) {
        return -1;
    }

    len = (size_t) head[0] | (size_t) head[1] << 8 | (size_t) head[2] << 16
          | (size_t) head[3] << 24;
    *kind = (char) head[4];

    if (len > STORE_MONGO_RECORD_MAX
        || fread(b->buffer, 1, len, b->file) != len
        || *kind == '\0' || strchr("niecz", *kind) == NULL
        || !bson_init_static(document, b->buffer, len)
        || !bson_validate(document, BSON_VALIDATE_UTF8, NULL))
    {
        return -1;
    }

    /* the first record is a namespace: the others are of one */

    if (b->records == 0 && *kind != 'n' && *kind != 'z') {
        return -1;
    }

    (void) crypto_generichash_update(&b->hash, head, sizeof(head));
    (void) crypto_generichash_update(&b->hash, b->buffer, len);

    return 0;
}


static int
check_end(store_mongo_backup_t *b, const bson_t *document)
{
    uint8_t  hash[STORE_MONGO_BACKUP_HASH], want[STORE_MONGO_BACKUP_HASH];

    (void) crypto_generichash_final(&b->hash, hash, sizeof(hash));

    return (fread(want, 1, sizeof(want), b->file) == sizeof(want)
            && memcmp(hash, want, sizeof(hash)) == 0
            && fgetc(b->file) == EOF
            && (uint64_t) store_mongo_document_int(document, "records")
               == b->records)
           ? 0 : -1;
}


/* The namespace gets another id, which is that of the rows that follow. */
static int
load_space(store_mongo_backup_t *b, const bson_t *document)
{
    int       rc;
    char      id[STORE_MONGO_ID_LEN + 1];
    bson_t    copy;
    bytes_t   place, name;

    place = store_mongo_document_text(document, "_id");

    if (place.len <= STORE_MONGO_ID_LEN
        || place.len >= STORE_MONGO_PLACE_MAX)
    {
        return -1;
    }

    name = bytes_make(place.data + STORE_MONGO_ID_LEN,
                      place.len - STORE_MONGO_ID_LEN);
    b->own = bytes_equal_text(name, STORE_NS_STORE);

    memcpy(b->id, b->generation, sizeof(b->id));
    store_mongo_random(id);

    bson_init(&copy);
    add_place(b, &copy, "_id", place);
    store_mongo_document_add_text(&copy, "id", id, STORE_MONGO_ID_LEN);
    bson_copy_to_excluding_noinit(document, &copy, "_id", "id", NULL);

    memcpy(b->id, id, sizeof(b->id));

    rc = add_bulk(b, 0, &copy);
    bson_destroy(&copy);

    return rc;
}


static int
load_row(store_mongo_backup_t *b, char kind, const bson_t *document)
{
    int       rc, epoch;
    bson_t    copy;
    size_t    n;
    bytes_t   place, text;

    n = (size_t) (strchr(store_mongo_backup_kinds, kind)
                  - store_mongo_backup_kinds);
    place = store_mongo_document_text(document, "_id");

    if (place.len <= STORE_MONGO_ID_LEN
        || place.len >= STORE_MONGO_PLACE_MAX)
    {
        return -1;
    }

    epoch = b->own && kind == 'i'
            && bytes_equal_text(bytes_make(place.data + STORE_MONGO_ID_LEN,
                                           place.len - STORE_MONGO_ID_LEN),
                                STORE_KEY_EPOCH);

    bson_init(&copy);
    add_place(b, &copy, "_id", place);

    if (kind == 'e') {
        add_place(b, &copy, "i", store_mongo_document_text(document, "i"));

        text = store_mongo_document_text(document, "d");

        if (text.len != 0) {
            add_place(b, &copy, "d", text);
        }

        bson_copy_to_excluding_noinit(document, &copy, "_id", "i", "d",
                                      NULL);

    } else if (epoch) {
        store_mongo_document_add_bytes(&copy, "v",
                                       bytes_make(b->epoch,
                                                  STORE_EPOCH_LEN));
        bson_copy_to_excluding_noinit(document, &copy, "_id", "v", NULL);

    } else {
        bson_copy_to_excluding_noinit(document, &copy, "_id", NULL);
    }

    rc = add_bulk(b, n, &copy);
    bson_destroy(&copy);

    return rc;
}


/* A text with the id in hand in the place of the old one. */
static void
add_place(store_mongo_backup_t *b, bson_t *copy, const char *name,
    bytes_t old)
{
    char  place[STORE_MONGO_PLACE_MAX];

    if (old.len < STORE_MONGO_ID_LEN || old.len >= sizeof(place)) {
        return;
    }

    memcpy(place, old.data, old.len);
    memcpy(place, b->id, STORE_MONGO_ID_LEN);

    store_mongo_document_add_text(copy, name, place, old.len);
}


static int
add_bulk(store_mongo_backup_t *b, size_t n, const bson_t *document)
{
    if (b->bulks[n] == NULL) {
        b->bulks[n] = store_mongo_pool_bulk(&b->link,
                          store_mongo_backup_collections[n]);
    }

    if (!mongoc_bulk_operation_insert_with_opts(b->bulks[n], document, NULL,
                                                &b->link.error))
    {
        b->link.what = "a document";
        return fail_server(b);
    }

    b->counts[n]++;
    b->bytes += document->len;

    if (b->counts[n] < STORE_MONGO_BULK_MAX
        && b->bytes < STORE_MONGO_BULK_BYTES)
    {
        return 0;
    }

    return flush_bulks(b);
}


/* Namespaces first, so that rows which belong to nobody can be found. */
static int
flush_bulks(store_mongo_backup_t *b)
{
    size_t            n;
    store_mongo_rc_t  rc;

    rc = STORE_MONGO_DONE;

    for (n = 0; n < sizeof(b->bulks) / sizeof(b->bulks[0]); n++) {

        if (b->bulks[n] == NULL) {
            continue;
        }

        if (rc == STORE_MONGO_DONE) {
            rc = store_mongo_pool_execute(&b->link, b->bulks[n],
                                          "a load");

        } else {
            mongoc_bulk_operation_destroy(b->bulks[n]);
        }

        b->bulks[n] = NULL;
        b->counts[n] = 0;
    }

    b->bytes = 0;

    return (rc == STORE_MONGO_DONE) ? 0 : fail_server(b);
}


/* A number after the present one, also when clocks are not of one mind. */
static int
begin_generation(store_mongo_backup_t *b)
{
    char      random[STORE_MONGO_ID_LEN + 1];
    uint64_t  now_ms, present_ms;

    if (store_mongo_pool_generation(&b->link) != STORE_MONGO_DONE) {
        return fail_server(b);
    }

    now_ms = (uint64_t) store_mongo_now_ms();
    present_ms = strtoull(b->link.generation, NULL, 16) >> 16;

    if (now_ms <= present_ms) {
        now_ms = present_ms + 1;
    }

    store_mongo_random(random);

    (void) snprintf(b->generation, sizeof(b->generation), "%012llx%.4s",
                    (unsigned long long) now_ms & 0xffffffffffffULL, random);

    store_mongo_random(b->epoch);

    return 0;
}


/* The one write that makes the new generation the present one. */
static int
swap_generation(store_mongo_backup_t *b)
{
    int                   done;
    bson_t               *selector, *update, reply;
    mongoc_collection_t  *spaces;

    selector = BCON_NEW("_id", BCON_UTF8(STORE_MONGO_ROOT),
                        "generation", BCON_UTF8(b->link.generation));
    update = BCON_NEW("$set", "{", "generation", BCON_UTF8(b->generation),
                      "}");
    spaces = mongoc_client_get_collection(b->link.client,
                                          b->link.store->database,
                                          STORE_MONGO_NAMESPACE);

    done = mongoc_collection_update_one(spaces, selector, update, NULL,
                                        &reply, &b->link.error);
    if (!done) {
        (void) store_mongo_pool_rc(&b->link, &reply, "the swap");
    }

    mongoc_collection_destroy(spaces);
    bson_destroy(selector);
    bson_destroy(update);
    bson_destroy(&reply);

    /* whatever was answered, the document says what is so */

    if (store_mongo_pool_generation(&b->link) != STORE_MONGO_DONE) {
        return fail(b, "MongoDB went away during the last step of the "
                    "restore: it may have been carried out");
    }

    if (strcmp(b->link.generation, b->generation) == 0) {
        return 0;
    }

    return done ? fail(b, "another restore was faster") : fail_server(b);
}


/* What was loaded of a restore that failed before its last step. */
static void
drop_generation(store_mongo_backup_t *b)
{
    int     more;
    char    last[STORE_MONGO_ID_LEN + 8];
    size_t  n;

    for (n = 0; n < sizeof(b->bulks) / sizeof(b->bulks[0]); n++) {
        if (b->bulks[n] != NULL) {
            mongoc_bulk_operation_destroy(b->bulks[n]);
            b->bulks[n] = NULL;
        }
    }

    (void) snprintf(last, sizeof(last), "%s\xc4\x80", b->generation);

    /* what this cannot do, the sweep does */

    do {
        more = 0;

        if (store_mongo_sweep_spaces(&b->link, b->generation, last, &more)
            != STORE_MONGO_DONE)
        {
            return;
        }
    } while (more);
}


#endif /* STORE_HAVE_MONGO */
