/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * ISO-8601 in UTC.  The proleptic Gregorian calendar by counting days from
 * 0000-01-01: no libc time zone code, no leap seconds (as in POSIX time).
 *
 * Pure: any thread; the time is always an argument.
 */


#include "timestamp.h"


#define TIMESTAMP_YEAR_MAX   9999
#define TIMESTAMP_EPOCH_DAY  719528      /* 1970-01-01 from 0000-01-01 */
#define TIMESTAMP_DAY_MS     86400000
#define TIMESTAMP_FIXED_LEN  19          /* up to the seconds */


static int64_t count_days(int64_t year);
static int count_month_days(int64_t year, unsigned month);
static void write_digits(uint8_t *p, unsigned n, int64_t value);
static int read_digits(const uint8_t *p, unsigned n, int64_t *value);
static int parse_fraction(bytes_t text, int64_t *ms);


void
timestamp_write(bytes_writer_t *w, int64_t ms)
{
    int64_t   day, year;
    uint8_t   out[TIMESTAMP_LEN];
    unsigned  month;

    day = ms / TIMESTAMP_DAY_MS;
    ms %= TIMESTAMP_DAY_MS;

    if (ms < 0) {
        ms += TIMESTAMP_DAY_MS;
        day--;
    }

    day += TIMESTAMP_EPOCH_DAY;

    if (day < 0 || day >= count_days(TIMESTAMP_YEAR_MAX + 1)) {
        w->failed = 1;
        return;
    }

    /* 400 years are 146097 days; the quotient is off by one at most */

    year = day * 400 / 146097;

    while (count_days(year + 1) <= day) {
        year++;
    }

    while (count_days(year) > day) {
        year--;
    }

    day -= count_days(year);

    for (month = 1; day >= count_month_days(year, month); month++) {
        day -= count_month_days(year, month);
    }

    memcpy(out, "0000-00-00T00:00:00.000Z", TIMESTAMP_LEN);
    write_digits(out, 4, year);
    write_digits(out + 5, 2, month);
    write_digits(out + 8, 2, day + 1);
    write_digits(out + 11, 2, ms / 3600000);
    write_digits(out + 14, 2, ms / 60000 % 60);
    write_digits(out + 17, 2, ms / 1000 % 60);
    write_digits(out + 20, 3, ms % 1000);

    bytes_writer_put(w, out, TIMESTAMP_LEN);
}


int
timestamp_parse(bytes_t text, int64_t *ms)
{
    int64_t         year, month, day, hour, minute, second, fraction;
    unsigned        m;
    const uint8_t  *p;

    if (text.len < TIMESTAMP_FIXED_LEN) {
        return -1;
    }

    p = text.data;

    if (read_digits(p, 4, &year) != 0
        || p[4] != '-'
        || read_digits(p + 5, 2, &month) != 0
        || p[7] != '-'
        || read_digits(p + 8, 2, &day) != 0
        || p[10] != 'T'
        || read_digits(p + 11, 2, &hour) != 0
        || p[13] != ':'
        || read_digits(p + 14, 2, &minute) != 0
        || p[16] != ':'
        || read_digits(p + 17, 2, &second) != 0)
    {
        return -1;
    }

    if (month < 1 || month > 12
        || day < 1 || day > count_month_days(year, (unsigned) month)
        || hour > 23 || minute > 59 || second > 59)
    {
        return -1;
    }

    text = bytes_make(p + TIMESTAMP_FIXED_LEN,
                      text.len - TIMESTAMP_FIXED_LEN);

    if (parse_fraction(text, &fraction) != 0) {
        return -1;
    }

    day += count_days(year) - 1 - TIMESTAMP_EPOCH_DAY;

    for (m = 1; m < (unsigned) month; m++) {
        day += count_month_days(year, m);
    }

    *ms = day * TIMESTAMP_DAY_MS
          + (hour * 3600 + minute * 60 + second) * 1000 + fraction;

    return 0;
}


/* Days from 0000-01-01 to the first day of a year, 0 or later. */
static int64_t
count_days(int64_t year)
{
    return year * 365
           + (year + 3) / 4 - (year + 99) / 100 + (year + 399) / 400;
}


static int
count_month_days(int64_t year, unsigned month)
{
    static const uint8_t  days[] = {
        0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31
    };

    if (month == 2 && count_days(year + 1) - count_days(year) == 366) {
        return 29;
    }

    return days[month];
}


static void
write_digits(uint8_t *p, unsigned n, int64_t value)
{
    while (n != 0) {
        p[--n] = (uint8_t) ('0' + value % 10);
        value /= 10;
    }
}


static int
read_digits(const uint8_t *p, unsigned n, int64_t *value)
{
    unsigned  i;

    *value = 0;

    for (i = 0; i < n; i++) {

        if (p[i] < '0' || p[i] > '9') {
            return -1;
        }

        *value = *value * 10 + (p[i] - '0');
    }

    return 0;
}


/* What follows the seconds: "Z" alone, or a point and 1 to 9 digits. */
static int
parse_fraction(bytes_t text, int64_t *ms)
{
    size_t   i;
    int64_t  digit, unit;

    if (text.len == 0 || text.data[text.len - 1] != 'Z') {
        return -1;
    }

    *ms = 0;

    if (text.len == 1) {
        return 0;
    }

    if (text.len < 3 || text.len > 11 || text.data[0] != '.') {
        return -1;
    }

    unit = 100;

    for (i = 1; i < text.len - 1; i++) {

        if (read_digits(text.data + i, 1, &digit) != 0) {
            return -1;
        }

        *ms += digit * unit;
        unit /= 10;
    }

    return 0;
}
