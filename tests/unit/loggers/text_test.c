#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "kit/kit.h"
#include "loggers/text.h"

static void duration__is_hours_minutes_seconds(void **state)
{
    static const struct {
        double seconds;
        const char *expected;
    } k_cases[] = {{0.0, "0:00:00"},    {0.99, "0:00:00"},     {10.0, "0:00:10"},
                   {59.999, "0:00:59"}, {60.0, "0:01:00"},     {3599.0, "0:59:59"},
                   {3600.0, "1:00:00"}, {90061.5, "25:01:01"}, {-5.0, "0:00:00"}};
    char buf[32];
    (void)state;
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++)
        assert_string_equal(crn_duration_text(k_cases[i].seconds, buf), k_cases[i].expected);
    assert_string_equal(crn_duration_text((double)NAN, buf), "0:00:00");
    assert_string_equal(crn_duration_text((double)INFINITY, buf), "10000000:00:00");
}

static void rate__has_two_decimals_or_three_digits_below_one(void **state)
{
    char buf[40];
    (void)state;
    assert_string_equal(crn_rate_text(69.371, buf), "69.37");
    assert_string_equal(crn_rate_text(1.0, buf), "1.00");
    assert_string_equal(crn_rate_text(0.99951, buf), "1");
    assert_string_equal(crn_rate_text(0.123456, buf), "0.123");
    assert_string_equal(crn_rate_text(0.0, buf), "0");
    assert_string_equal(crn_rate_text(123456.789, buf), "123456.79");
}

static void number__is_short_and_reads_back_with_the_same_bits(void **state)
{
    char buf[40];
    (void)state;
    assert_string_equal(crn_number_text(0.0006, buf), "0.0006");
    assert_string_equal(crn_number_text(0.1 + 0.2, buf), "0.30000000000000004");
    assert_string_equal(crn_number_text(2.0, buf), "2");
    assert_string_equal(crn_number_text((double)NAN, buf), "nan");
    assert_string_equal(crn_number_text(-(double)INFINITY, buf), "-inf");
    for (uint64_t i = 0; i < 10000; i++) {
        uint32_t random[4];
        uint64_t bits = 0;
        double value = 0.0;
        crn_philox(1, CRN_STREAM_INIT, 0, i, random);
        bits = (uint64_t)random[0] << 32 | random[1];
        memcpy(&value, &bits, sizeof value);
        if (!isfinite(value))
            continue;
        const double again = strtod(crn_number_text(value, buf), NULL);
        assert_memory_equal(&again, &value, sizeof value);
    }
}

static crn_progress_facts facts_of_the_reference(void)
{
    return (crn_progress_facts){.device = "CPU",
                                .step = 50,
                                .loss = 8.3125,
                                .has_rate = true,
                                .rate = 69.37,
                                .global_rate = 69.37,
                                .has_times = true,
                                .loop_left = 10.4,
                                .has_total = true,
                                .total_left = 41.9,
                                .total_is_minimum = true};
}

static void line__is_the_model_zoos(void **state)
{
    crn_str line = {0};
    crn_progress_facts facts = facts_of_the_reference();
    (void)state;
    crn_progress_line(&facts, &line);
    assert_string_equal(line.text,
                        "| Train Device=CPU, Step=50, Loss=8.31250, Rate=69.37 samples/sec, "
                        "GlobalRate=69.37 samples/sec, LoopTimeRemaining=0:00:10, "
                        "TimeRemaining>0:00:41");
    line.length = 0;
    facts.total_is_minimum = false;
    crn_progress_line(&facts, &line);
    assert_non_null(strstr(line.text, ", TimeRemaining=0:00:41"));
    crn_str_dispose(&line);
}

static void line__leaves_out_what_is_not_known(void **state)
{
    crn_str line = {0};
    const crn_progress_facts facts = {.device = "CPU", .step = 1, .loss = 0.5};
    (void)state;
    crn_progress_line(&facts, &line);
    assert_string_equal(line.text, "| Train Device=CPU, Step=1, Loss=0.50000");
    crn_str_dispose(&line);
}

static void line__of_a_validation_names_the_batch(void **state)
{
    crn_str line = {0};
    crn_progress_facts facts = facts_of_the_reference();
    (void)state;
    facts.is_validation = true;
    facts.batch = 10;
    facts.loss = 7.25;
    facts.has_total = false;
    crn_progress_line(&facts, &line);
    assert_string_equal(line.text,
                        "| Eval Device=CPU, GlobalStep=50, Batch=10, Loss=7.25000, Rate=69.37 "
                        "samples/sec, GlobalRate=69.37 samples/sec, LoopTimeRemaining=0:00:10");
    crn_str_dispose(&line);
}

static void bar__fills_79_columns_and_no_more(void **state)
{
    crn_str bar = {0};
    crn_progress_facts facts = facts_of_the_reference();
    (void)state;
    crn_progress_bar(&facts, 50, 200, &bar);
    assert_int_equal(bar.length, 80);
    assert_memory_equal(bar.text,
                        "\rTrain [##--------]  25% 50/200 ETA 0:00:41 loss 8.31250 69.37 "
                        "samples/s        ",
                        80);
    bar.length = 0;
    facts.loss = 1e300;
    crn_progress_bar(&facts, 200, 200, &bar);
    assert_int_equal(bar.length, 80);
    assert_null(strchr(bar.text, '\n'));
    crn_str_dispose(&bar);
}

static void metrics__are_one_json_object(void **state)
{
    static const cairn_metric k_metrics[] = {{"loss", 8.3125}, {"lr", 0.0006}, {"a\"b", 1.0}};
    crn_str line = {0};
    (void)state;
    crn_metrics_line(50, k_metrics, 3, &line);
    assert_string_equal(line.text, "{\"step\":50,\"loss\":8.3125,\"lr\":0.0006,\"a\\\"b\":1}\n");
    line.length = 0;
    crn_metrics_line(UINT64_MAX, NULL, 0, &line);
    assert_string_equal(line.text, "{\"step\":18446744073709551615}\n");
    crn_str_dispose(&line);
}

static void metrics__that_are_no_numbers_are_texts(void **state)
{
    const cairn_metric metrics[] = {{"loss", (double)NAN}, {"grad_norm", (double)INFINITY}};
    crn_str line = {0};
    (void)state;
    crn_metrics_line(1, metrics, 2, &line);
    assert_string_equal(line.text, "{\"step\":1,\"loss\":\"nan\",\"grad_norm\":\"inf\"}\n");
    crn_str_dispose(&line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(duration__is_hours_minutes_seconds),
        cmocka_unit_test(rate__has_two_decimals_or_three_digits_below_one),
        cmocka_unit_test(number__is_short_and_reads_back_with_the_same_bits),
        cmocka_unit_test(line__is_the_model_zoos),
        cmocka_unit_test(line__leaves_out_what_is_not_known),
        cmocka_unit_test(line__of_a_validation_names_the_batch),
        cmocka_unit_test(bar__fills_79_columns_and_no_more),
        cmocka_unit_test(metrics__are_one_json_object),
        cmocka_unit_test(metrics__that_are_no_numbers_are_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
