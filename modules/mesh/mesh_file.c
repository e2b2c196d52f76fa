/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Files.  A new file gets its name only once its content is on disk, and
 * never takes the place of another: a key is not lost by a command typed
 * twice or a machine that stops in between.
 */


#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "mesh.h"
#include "mesh_file.h"


#define MESH_FILE_LINE_MAX  128   /* bytes of a line with a secret */


static int read_private(const char *path, bytes_t *content, int *exists);
static int write_temporary(char *temporary, bytes_t content, unsigned mode);
static int write_all(int fd, bytes_t content);
static void sync_folder(const char *path);
static int read_all(int fd, const char *name, bytes_t *content);
static bytes_t trim(bytes_t b);


int
mesh_file_create(const char *path, bytes_t content, unsigned mode,
    int *exists)
{
    int   rc;
    char  temporary[MESH_FILE_PATH_MAX];

    if (exists != NULL) {
        *exists = 0;
    }

    rc = snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path);

    if (rc < 0 || (size_t) rc >= sizeof(temporary)) {
        return mesh_fail("\"%s\": the name is too long", path);
    }

    rc = write_temporary(temporary, content, mode);
    if (rc != MESH_OK) {
        return rc;
    }

    /* unlike rename(), link() does not replace */

    if (link(temporary, path) != 0) {

        if (errno == EEXIST && exists != NULL) {
            *exists = 1;

        } else {
            rc = mesh_fail("could not create \"%s\": %s", path,
                           strerror(errno));
        }
    }

    (void) unlink(temporary);

    if (rc == MESH_OK) {
        sync_folder(path);
    }

    return rc;
}


int
mesh_file_read(const char *path, bytes_t *content, int *exists)
{
    int  fd, rc;

    *content = bytes_make(NULL, 0);

    if (exists != NULL) {
        *exists = 1;
    }

    fd = open(path, O_RDONLY|O_CLOEXEC);

    if (fd < 0) {

        if (errno == ENOENT && exists != NULL) {
            *exists = 0;
            return MESH_OK;
        }

        return mesh_fail("could not read \"%s\": %s", path, strerror(errno));
    }

    rc = read_all(fd, path, content);

    close(fd);

    return rc;
}


int
mesh_file_secret(const char *path, const char *prefix, uint8_t *seed,
    int *exists)
{
    int      rc;
    bytes_t  content;

    rc = read_private(path, &content, exists);

    if (rc != MESH_OK || (exists != NULL && !*exists)) {
        return rc;
    }

    if (signature_seed_parse(content, prefix, seed) != 0) {
        rc = mesh_fail("\"%s\" is no key file: one line \"%s:...\" was "
                       "expected", path, prefix);
    }

    sodium_memzero((void *) content.data, content.len);

    return rc;
}


int
mesh_file_signer(const char *path, signature_signer_t *signer)
{
    int      rc;
    bytes_t  content;

    rc = read_private(path, &content, NULL);

    if (rc != MESH_OK) {
        return rc;
    }

    if (signature_signer_parse(signer, content) != 0) {
        rc = mesh_fail("\"%s\" is no key file: one line \"ed25519:...\", or "
                       "of another type (\"mesh help key\"), was expected",
                       path);
    }

    sodium_memzero((void *) content.data, content.len);

    return rc;
}


int
mesh_file_create_secret(const char *path, const char *prefix,
    const uint8_t *seed, int *exists)
{
    int             rc;
    uint8_t         buf[MESH_FILE_LINE_MAX];
    bytes_writer_t  w;

    bytes_writer_open(&w, buf, sizeof(buf));
    signature_seed_write(&w, prefix, seed);

    rc = w.failed ? mesh_fail("the key does not fit its line")
                  : mesh_file_create(path, bytes_writer_view(&w),
                                     MESH_FILE_SECRET, exists);

    sodium_memzero(buf, sizeof(buf));

    return rc;
}


int
mesh_file_create_signer(const char *path, const signature_signer_t *signer,
    int *exists)
{
    int             rc;
    uint8_t         buf[SIGNATURE_SIGNER_TEXT_MAX];
    bytes_writer_t  w;

    bytes_writer_open(&w, buf, sizeof(buf));

    rc = (signature_signer_write(signer, &w) != 0)
         ? mesh_fail("the key cannot be written as a line")
         : mesh_file_create(path, bytes_writer_view(&w), MESH_FILE_SECRET,
                            exists);

    sodium_memzero(buf, sizeof(buf));

    return rc;
}


int
mesh_file_input(const char *word, bytes_t *content)
{
    int  rc;

    if (strcmp(word, "-") == 0) {
        rc = read_all(STDIN_FILENO, "stdin", content);

    } else if (word[0] == '@') {
        rc = mesh_file_read(word + 1, content, NULL);

    } else if (strlen(word) < MESH_FILE_PATH_MAX && access(word, F_OK) == 0) {
        rc = mesh_file_read(word, content, NULL);

    } else {
        *content = bytes_of(word);
        rc = MESH_OK;
    }

    if (rc != MESH_OK) {
        return rc;
    }

    /* bytes are taken as they are, texts without the blanks around them */

    if (content->len != 0 && strchr("@M\x82", content->data[0]) == NULL) {
        *content = trim(*content);
    }

    if (content->len == 0) {
        return mesh_fail("\"%.60s\" holds nothing", word);
    }

    return MESH_OK;
}


/* The content of a file with a secret, which the caller wipes. */
static int
read_private(const char *path, bytes_t *content, int *exists)
{
    int          rc;
    struct stat  st;

    rc = mesh_file_read(path, content, exists);

    if (rc != MESH_OK || (exists != NULL && !*exists)) {
        return rc;
    }

    if (stat(path, &st) != 0) {
        rc = mesh_fail("could not look at \"%s\": %s", path,
                       strerror(errno));

    } else if (st.st_mode & (S_IRWXG|S_IRWXO)) {
        rc = mesh_fail("\"%s\" is a secret, but others than its owner can "
                       "reach it (mode %04o); \"chmod 600 %s\" first, and "
                       "make a new key if somebody may have read it", path,
                       (unsigned) (st.st_mode & 07777), path);
    }

    if (rc != MESH_OK) {
        sodium_memzero((void *) content->data, content->len);
    }

    return rc;
}


static int
write_temporary(char *temporary, bytes_t content, unsigned mode)
{
    int  fd, failed;

    fd = mkostemp(temporary, O_CLOEXEC);

    if (fd < 0) {
        return mesh_fail("could not create \"%s\": %s", temporary,
                         strerror(errno));
    }

    /* mkostemp() made it for its owner alone; umask does not count here */

    failed = fchmod(fd, (mode_t) mode) != 0
             || write_all(fd, content) != 0
             || fsync(fd) != 0;

    if (close(fd) != 0 || failed) {
        (void) unlink(temporary);
        return mesh_fail("could not write \"%s\": %s", temporary,
                         strerror(errno));
    }

    return MESH_OK;
}


static int
write_all(int fd, bytes_t content)
{
    ssize_t  n;
    size_t   done;

    for (done = 0; done < content.len; done += (size_t) n) {
        n = write(fd, content.data + done, content.len - done);

        if (n < 0) {
            return -1;
        }
    }

    return 0;
}


/* Makes the name durable; not every file system can, so it is no failure. */
static void
sync_folder(const char *path)
{
    int    fd;
    char  *folder, *slash;

    folder = mesh_text(bytes_of(path));
    slash = strrchr(folder, '/');

    if (slash == NULL) {
        fd = open(".", O_RDONLY|O_DIRECTORY|O_CLOEXEC);

    } else {
        slash[slash == folder] = '\0';
        fd = open(folder, O_RDONLY|O_DIRECTORY|O_CLOEXEC);
    }

    if (fd >= 0) {
        (void) fsync(fd);
        close(fd);
    }
}


static int
read_all(int fd, const char *name, bytes_t *content)
{
    size_t    len;
    ssize_t   n;
    uint8_t  *buf;

    buf = mesh_alloc(MESH_FILE_SIZE_MAX + 1);
    len = 0;

    do {
        n = read(fd, buf + len, MESH_FILE_SIZE_MAX + 1 - len);

        if (n < 0) {
            return mesh_fail("could not read \"%s\": %s", name,
                             strerror(errno));
        }

        len += (size_t) n;

    } while (n != 0 && len <= MESH_FILE_SIZE_MAX);

    if (len > MESH_FILE_SIZE_MAX) {
        return mesh_fail("\"%s\" is larger than %d bytes", name,
                         MESH_FILE_SIZE_MAX);
    }

    *content = bytes_make(buf, len);

    return MESH_OK;
}


static bytes_t
trim(bytes_t b)
{
    while (b.len != 0 && strchr(" \t\r\n", b.data[b.len - 1]) != NULL
           && b.data[b.len - 1] != '\0')
    {
        b.len--;
    }

    while (b.len != 0 && strchr(" \t\r\n", b.data[0]) != NULL
           && b.data[0] != '\0')
    {
        b.data++;
        b.len--;
    }

    return b;
}
