/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * The MongoDB adapter against the conformance suite of the store.
 */


#include "store_mongo_fixture.h"


#ifdef STORE_HAVE_MONGO

#include <dirent.h>

#include "store_conform.h"


static void
remove_folder(const char *folder)
{
    DIR            *dir;
    char            name[600];
    struct dirent  *entry;

    dir = opendir(folder);

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        (void) snprintf(name, sizeof(name), "%s/%s", folder, entry->d_name);
        (void) unlink(name);
    }

    if (dir != NULL) {
        closedir(dir);
    }

    (void) rmdir(folder);
}


int
main(void)
{
    char         folder[256];
    conform_t    c;
    fixture_t    f;
    const char  *tmp;

    if (fixture_skip("the conformance suite on MongoDB")) {
        return tap_done();
    }

    tmp = getenv("TMPDIR");
    (void) snprintf(folder, sizeof(folder), "%s/mongo-XXXXXX",
                    tmp ? tmp : "/tmp");

    if (mkdtemp(folder) == NULL) {
        perror(folder);
        return 1;
    }

    fixture_open(&f, "conform");

    memset(&c, 0, sizeof(conform_t));
    c.adapter = &store_mongo;
    c.folder = folder;
    c.config = f.config;

    if (tap_ok(conform_open(&c), "a store opens in an empty database%s",
               c.error))
    {
        conform_run(&c);
        conform_close(&c);
    }

    fixture_close(&f);
    remove_folder(folder);

    return tap_done();
}

#else


int
main(void)
{
    tap_skip("libmongoc is not there", "the conformance suite on MongoDB");

    return tap_done();
}

#endif
