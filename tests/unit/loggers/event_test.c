/* Records of TensorBoard's event files, compared with those that TensorBoard's own code makes. */
#include <math.h>
#include <string.h>

#include "kit/kit.h"
#include "loggers/event.h"
#include "unit/loggers/event_records.h"

static const double k_wall_time = 1700000000.25;

static void crc32c__has_the_values_of_rfc_3720(void **state)
{
    uint8_t bytes[32] = {0};
    (void)state;
    assert_int_equal(crn_crc32c("123456789", 9), 0xe3069283u);
    assert_int_equal(crn_crc32c(bytes, 32), 0x8a9136aau);
    memset(bytes, 0xff, sizeof bytes);
    assert_int_equal(crn_crc32c(bytes, 32), 0x62a8ab43u);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)i;
    assert_int_equal(crn_crc32c(bytes, 32), 0x46dd794eu);
}

#define ASSERT_RECORD(str, record)                                                                 \
    do {                                                                                           \
        assert_false((str).is_failed);                                                             \
        assert_int_equal((str).length, sizeof(record));                                            \
        assert_memory_equal((str).text, (record), sizeof(record));                                 \
        (str).length = 0;                                                                          \
    } while (0)

static void records__are_those_of_tensorboard(void **state)
{
    static const float k_values[] = {-1.5f, -1.5f, NAN, -1.5f, INFINITY};
    const crn_scalar scalars[] = {{"loss", 8.3125f}, {"lr/0", 0.0f}, {"nan", NAN}};
    crn_histogram histogram;
    crn_event_encoder *const encoder = crn_event_encoder_new();
    crn_str out = {0};
    (void)state;
    assert_non_null(encoder);
    crn_event_version(encoder, k_wall_time, &out);
    ASSERT_RECORD(out, k_version_record);
    crn_event_start(encoder, k_wall_time, 7, &out);
    ASSERT_RECORD(out, k_start_record);
    crn_event_scalars(encoder, k_wall_time, 300, scalars, 3, &out);
    ASSERT_RECORD(out, k_scalars_record);
    crn_event_text(encoder, k_wall_time, 1, "note", "two\nlines", &out);
    ASSERT_RECORD(out, k_text_record);
    crn_histogram_make(k_values, 5, &histogram);
    crn_event_histogram(encoder, k_wall_time, 2, "weights", &histogram, &out);
    ASSERT_RECORD(out, k_histogram_record);
    crn_str_dispose(&out);
    crn_event_encoder_destroy(encoder);
}

static void histogram__counts_every_finite_value_once(void **state)
{
    float values[302];
    crn_histogram histogram;
    double count = 0.0;
    (void)state;
    /* Ten in the middle of each of the 30 buckets of [0, 30], and the two ends. */
    for (size_t i = 0; i < 300; i++)
        values[i] = (float)(i / 10) + 0.5f;
    values[300] = 0.0f;
    values[301] = 30.0f;
    crn_histogram_make(values, 302, &histogram);
    assert_int_equal(histogram.bucket_count, CRN_HISTOGRAM_BUCKETS);
    for (size_t i = 0; i < histogram.bucket_count; i++) {
        const bool is_end = i == 0 || i + 1 == histogram.bucket_count;
        assert_true(histogram.buckets[i] == (is_end ? 11.0 : 10.0));
        assert_true(histogram.limits[i] == (double)(i + 1));
        count += histogram.buckets[i];
    }
    assert_true(count == 302.0 && histogram.count == 302.0);
    assert_true(histogram.min == 0.0 && histogram.max == 30.0);
    assert_true(histogram.sum == 300.0 * 15.0 + 30.0);
}

static void histogram__without_a_finite_value_is_empty(void **state)
{
    static const float k_values[] = {NAN, INFINITY, -INFINITY};
    crn_histogram histogram;
    (void)state;
    crn_histogram_make(k_values, 3, &histogram);
    assert_int_equal(histogram.bucket_count, 0);
    crn_histogram_make(NULL, 0, &histogram);
    assert_int_equal(histogram.bucket_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc32c__has_the_values_of_rfc_3720),
        cmocka_unit_test(records__are_those_of_tensorboard),
        cmocka_unit_test(histogram__counts_every_finite_value_once),
        cmocka_unit_test(histogram__without_a_finite_value_is_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
