/*
 * Copyright (C) The Mesh contributors
 * SPDX-License-Identifier: AGPL-3.0-only
 */


/*
 * Records of model usage: what is taken and refused, costs to the last digit,
 * and keys of sums that come apart as they were put together.
 */


#include "tap.h"
#include "timestamp.h"
#include "usage.h"


static const char *
read_record(usage_record_t *record, const char *json)
{
    json_scan_t     object;
    bytes_writer_t  w;

    static uint8_t  scratch[1024];

    bytes_writer_open(&w, scratch, sizeof(scratch));

    if (json_scan_validate(bytes_of(json), NULL) != JSON_SCAN_OK
        || json_scan_open(bytes_of(json), &object) != 0)
    {
        return "no JSON";
    }

    return usage_record_read(record, &object, &w);
}


static void
test_records(void)
{
    uint8_t         buf[USAGE_RECORD_MAX];
    bytes_writer_t  w;
    usage_record_t  record;

    static const char  stored[] =
        "{\"ns\":\"p_1.p_2\",\"by\":\"did:key:z6\","
        "\"model\":\"a/b \\\"c\\\"\",\"provider\":\"local\","
        "\"requests\":3,\"promptTokens\":10,"
        "\"completionTokens\":0,\"cachedTokens\":4,\"cost\":\"0.000125\","
        "\"currency\":\"EUR\",\"at\":\"2026-11-24T13:05:09.042Z\"}";

    tap_ok(read_record(&record, "{\"model\":\"m\",\"promptTokens\":1,"
                       "\"completionTokens\":2}") == NULL
           && record.counts[USAGE_REQUESTS] == 1
           && record.counts[USAGE_PROMPT] == 1
           && record.counts[USAGE_COMPLETION] == 2
           && record.counts[USAGE_CACHED] == 0 && record.currency.len == 0
           && record.at_ms == 0 && record.id.len == 0,
           "the least that a record says is one request");

    tap_ok(read_record(&record, "{\"model\":\"a\\/b \\\"c\\\"\","
                       "\"provider\":\"local\",\"requests\":3,"
                       "\"promptTokens\":10,\"completionTokens\":0,"
                       "\"cachedTokens\":4,\"cost\":0.000125,"
                       "\"currency\":\"EUR\",\"id\":\"x-1\","
                       "\"at\":\"2026-11-24T13:05:09.042Z\"}") == NULL,
           "a whole one is taken");

    record.ns = bytes_of("p_1.p_2");
    record.by = bytes_of("did:key:z6");

    bytes_writer_open(&w, buf, sizeof(buf));
    usage_record_write(&w, &record);
    tap_ok(bytes_equal_text(bytes_writer_view(&w), stored), "and stored");

    bytes_writer_open(&w, buf, sizeof(buf));
    usage_entry_write(&w, &record);
    tap_ok(bytes_equal_text(bytes_writer_view(&w), "p_1.p_2/x-1"),
           "under its own id");

    bytes_writer_open(&w, buf, sizeof(buf));
    usage_sums_write(&w, record.ns);
    tap_ok(bytes_equal_text(bytes_writer_view(&w), "usage/p_1"),
           "with sums of its maker");

    bytes_writer_open(&w, buf, sizeof(buf));
    usage_sums_write(&w, bytes_of("p_1"));
    tap_ok(bytes_equal_text(bytes_writer_view(&w), "usage/p_1"),
           "who has the same");
}


static void
test_refusals(void)
{
    size_t          i;
    usage_record_t  record;

    static const char *const  bad[] = {
        "[]", "{}", "{\"model\":\"m\"}",
        "{\"model\":\"m\",\"promptTokens\":1}",
        "{\"model\":\"\",\"promptTokens\":1,\"completionTokens\":1}",
        "{\"model\":7,\"promptTokens\":1,\"completionTokens\":1}",
        "{\"model\":\"a\\nb\",\"promptTokens\":1,\"completionTokens\":1}",
        "{\"model\":\"m\",\"promptTokens\":-1,\"completionTokens\":1}",
        "{\"model\":\"m\",\"promptTokens\":1.5,\"completionTokens\":1}",
        "{\"model\":\"m\",\"promptTokens\":\"1\",\"completionTokens\":1}",
        "{\"model\":\"m\",\"promptTokens\":1000000000001,"
        "\"completionTokens\":1}",
        "{\"model\":\"m\",\"promptTokens\":1,\"completionTokens\":1,"
        "\"requests\":-1}",
        "{\"model\":\"m\",\"promptTokens\":1,\"completionTokens\":1,"
        "\"provider\":\"a/b\"}",
        "{\"model\":\"m\",\"promptTokens\":1,\"completionTokens\":1,"
        "\"provider\":\"\"}",
        "{\"model\":\"m\",\"promptTokens\":1,\"completionTokens\":1,"
        "\"id\":\"a b\"}",
        "{\"model\":\"m\",\"promptTokens\":1,\"completionTokens\":1,"
        "\"cost\":1}",
        "{\"model\":\"m\",\"promptTokens\":1,\"completionTokens\":1,"
        "\"cost\":1,\"currency\":\"eur\"}",
        "{\"model\":\"m\",\"promptTokens\":1,\"completionTokens\":1,"
        "\"cost\":1,\"currency\":\"EURO\"}",
        "{\"model\":\"m\",\"promptTokens\":1,\"completionTokens\":1,"
        "\"cost\":-1,\"currency\":\"EUR\"}",
        "{\"model\":\"m\",\"promptTokens\":1,\"completionTokens\":1,"
        "\"cost\":[],\"currency\":\"EUR\"}",
        "{\"model\":\"m\",\"promptTokens\":1,\"completionTokens\":1,"
        "\"at\":\"today\"}",
        "{\"model\":\"m\",\"promptTokens\":1,\"completionTokens\":1,"
        "\"at\":1}"
    };

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        tap_ok(read_record(&record, bad[i]) != NULL, "refused: %s", bad[i]);
    }
}


static void
test_costs(void)
{
    size_t          i;
    int64_t         n;
    uint8_t         buf[32];
    bytes_writer_t  w;

    static const struct {
        const char  *text;
        int64_t      cost;
        const char  *back;
    } good[] = {
        { "0", 0, "0.000000" },
        { "1", 1000000, "1.000000" },
        { "0.1", 100000, "0.100000" },
        { "0.000001", 1, "0.000001" },
        { "12.345678", 12345678, "12.345678" },
        { "1000000000", USAGE_COST_MAX, "1000000000.000000" },
        { "007.50", 7500000, "7.500000" }
    };

    static const char *const  bad[] = {
        "", ".", ".5", "5.", "1.2.3", "0.0000001", "-1", "+1", "1e3", " 1",
        "1 ", "1000000000.000001", "99999999999999999999999", "0x1", "1,5"
    };

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        bytes_writer_open(&w, buf, sizeof(buf));
        usage_cost_write(&w, good[i].cost);
        tap_ok(usage_cost_read(&n, bytes_of(good[i].text)) == 0
               && n == good[i].cost
               && bytes_equal_text(bytes_writer_view(&w), good[i].back),
               "%s is %lld millionths", good[i].text,
               (long long) good[i].cost);
    }

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        tap_ok(usage_cost_read(&n, bytes_of(bad[i])) == -1,
               "\"%s\" is no cost", bad[i]);
    }

    bytes_writer_open(&w, buf, sizeof(buf));
    usage_cost_write(&w, INT64_MAX);
    tap_ok(bytes_equal_text(bytes_writer_view(&w), "9223372036854.775807"),
           "sums may be large");
}


static void
test_keys(void)
{
    size_t          i;
    uint8_t         buf[USAGE_KEY_MAX], long_ns[USAGE_NS_MAX];
    uint8_t         long_model[USAGE_MODEL_MAX];
    uint8_t         long_provider[USAGE_PROVIDER_MAX];
    usage_sum_t     sum;
    bytes_writer_t  w;
    usage_record_t  record;

    static const char *const  bad[] = {
        "", "r", "r/", "x/2026-11-24/p/requests//m",
        "r/2026-11-24/p/requests/",
        "r/2026-11-24/p/requests//", "r/2026-11-24//requests//m",
        "r/2026-13-24/p/requests//m", "r/2026-11-2/p/requests//m",
        "r/2026-11-24/p/other//m", "r/2026-11-24/p/cost.//m",
        "r/2026-11-24/p/cost.eur//m"
    };

    memset(&record, 0, sizeof(record));
    memset(long_ns, 'n', sizeof(long_ns));
    memset(long_model, '/', sizeof(long_model));
    memset(long_provider, 'p', sizeof(long_provider));

    record.ns = bytes_make(long_ns, sizeof(long_ns));
    record.model = bytes_make(long_model, sizeof(long_model));
    record.provider = bytes_make(long_provider, sizeof(long_provider));
    record.currency = bytes_of("EUR");
    record.at_ms = 1795525509042;

    for (i = 0; i < USAGE_METRICS; i++) {
        bytes_writer_open(&w, buf, sizeof(buf));
        usage_key_write(&w, &record, (usage_metric_t) i);
        tap_ok(!w.failed && usage_key_read(&sum, bytes_writer_view(&w)) == 0
               && sum.metric == (usage_metric_t) i
               && bytes_equal_text(sum.day, "2026-11-24")
               && bytes_equal(sum.ns, record.ns)
               && bytes_equal(sum.model, record.model)
               && bytes_equal(sum.provider, record.provider),
               "the longest key of metric %zu comes apart", i);
    }

    tap_ok(bytes_equal(sum.currency, record.currency), "with its currency");

    record.provider.len = 0;
    record.model = bytes_of("m");
    record.ns = bytes_of("p_1");

    bytes_writer_open(&w, buf, sizeof(buf));
    usage_key_write(&w, &record, USAGE_PROMPT);
    tap_ok(bytes_equal_text(bytes_writer_view(&w),
                            "r/2026-11-24/p_1/prompt//m"),
           "a key is read by eye");

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        tap_ok(usage_key_read(&sum, bytes_of(bad[i])) == -1,
               "\"%s\" is no key", bad[i]);
    }

    tap_ok(usage_day_valid(bytes_of("2028-02-29"))
           && !usage_day_valid(bytes_of("2027-02-29"))
           && !usage_day_valid(bytes_of("2027-02-2x")),
           "a day is one of the calendar");
}


int
main(void)
{
    test_records();
    test_refusals();
    test_costs();
    test_keys();

    return tap_done();
}
