/*
 * Single bits and cut ends of golden checkpoints: many of the header (damage_test.c takes all of a
 * smaller one), 100,000 samples of the data, every length that cuts the header, and each page
 * beyond. Each must be noticed, as what it is.
 */
#include "unit/ckpt/ckpt_kit.h"

#include <fcntl.h>
#include <unistd.h>

#include "format/format.h"

enum { PAGE = 4096 };

/* Sanitizers make a round cost ten times as much and find nothing more in the next. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SAMPLES = 5000, HEADER_STEP = 29 };
#else
enum { SAMPLES = 100000, HEADER_STEP = 7 };
#endif

typedef struct subject {
    char path[TK_PATH_SIZE];
    char *good;
    size_t size;
    size_t data_begin;
    int fd;
} subject;

static void subject_open(subject *s, const char *dir, const char *name)
{
    char folder[TK_PATH_SIZE];
    uint64_t length = 0;
    char message[200];
    const char *const source = getenv("CAIRN_SOURCE_DIR");
    assert_non_null(source);
    s->good = tk_read_file(tk_join(folder, source, "tests/golden/good"), name, &s->size);
    assert_int_equal(
        crn_header_length((const uint8_t *)s->good, s->size, s->size, &length, message),
        CRN_FORMAT_OK);
    s->data_begin = CRN_LENGTH_WORD_BYTES + (size_t)length;
    tk_write_file(dir, "file", s->good, s->size);
    s->fd = open(tk_join(s->path, dir, "file"), O_RDWR | O_CLOEXEC);
    assert_true(s->fd >= 0);
}

static void subject_close(subject *s)
{
    assert_int_equal(close(s->fd), 0);
    free(s->good);
}

static void flip(const subject *s, size_t at, unsigned bit)
{
    const char damaged = (char)(s->good[at] ^ (1 << bit));
    assert_int_equal(pwrite(s->fd, &damaged, 1, (off_t)at), 1);
}

static void mend(const subject *s, size_t at)
{
    assert_int_equal(pwrite(s->fd, s->good + at, 1, (off_t)at), 1);
}

static void open__refuses_flipped_bits_of_the_header_with_a_code(void **state)
{
    subject s;
    subject_open(&s, *state, "full.mdl");
    for (size_t i = 0; i < 8 * s.data_begin; i += HEADER_STEP) {
        cairn_error err = {0};
        cairn_checkpoint *ckpt = NULL;
        flip(&s, i / 8, i % 8);
        const cairn_status status = cairn_checkpoint_open(s.path, &ckpt, &err);
        mend(&s, i / 8);
        if (status != CAIRN_ECORRUPT)
            fail_msg("bit %zu: %s", i, cairn_status_name(status));
        tk_assert_error_has(&err, "(E_");
    }
    subject_close(&s);
}

/* The tensor that byte @at of the file belongs to; NULL: padding. */
static const cairn_file_tensor *tensor_at(const cairn_checkpoint *ckpt, uint64_t at)
{
    for (size_t i = 0; i < cairn_checkpoint_tensor_count(ckpt); i++) {
        const cairn_file_tensor *const tensor = cairn_checkpoint_tensor_at(ckpt, i);
        if (at >= tensor->offset && at - tensor->offset < tensor->bytes)
            return tensor;
    }
    return NULL;
}

typedef struct damages {
    size_t count;
    const char *tensor; /* borrowed from the checkpoint; NULL: padding */
    uint64_t begin;
    uint64_t end;
} damages;

static void note_damage(void *user, const cairn_damage *damage)
{
    damages *const found = user;
    found->count++;
    found->tensor = damage->tensor;
    found->begin = damage->offset;
    found->end = damage->offset + damage->bytes;
}

/* @ckpt is the file before the damage. True if the bit is in a pad. */
static bool verify_flipped(const subject *s, const cairn_checkpoint *ckpt, size_t at, unsigned bit)
{
    cairn_error err = {0};
    cairn_checkpoint *again = NULL;
    damages found = {0};
    const cairn_file_tensor *const tensor = tensor_at(ckpt, at);
    const char *const wanted = tensor != NULL ? tensor->name : NULL;
    flip(s, at, bit);
    tk_assert_ok(cairn_checkpoint_open(s->path, &again, &err), &err);
    const cairn_status status = cairn_checkpoint_verify(again, note_damage, &found, &err);
    mend(s, at);
    const bool is_named = (found.tensor == NULL) == (wanted == NULL) &&
                          (wanted == NULL || strcmp(found.tensor, wanted) == 0);
    if (status != CAIRN_ECORRUPT || found.count != 1 || !is_named || at < found.begin ||
        at >= found.end)
        fail_msg("byte %zu: %s, %zu damages, %s", at, cairn_status_name(status), found.count,
                 found.tensor != NULL ? found.tensor : "padding");
    cairn_checkpoint_close(again);
    return wanted == NULL;
}

/* @samples bits of the data of the golden file @name. */
static void verify_sampled(const char *dir, const char *name, size_t samples)
{
    subject s;
    cairn_error err = {0};
    cairn_checkpoint *ckpt = NULL;
    size_t in_pads = 0;
    subject_open(&s, dir, name);
    tk_assert_ok(cairn_checkpoint_open(s.path, &ckpt, &err), &err);
    tk_assert_ok(cairn_checkpoint_verify(ckpt, NULL, NULL, &err), &err);
    for (uint64_t i = 0; i < samples; i++) {
        uint32_t block[4];
        crn_philox(5, 1, 0, i, block);
        const size_t at = s.data_begin + block[0] % (s.size - s.data_begin);
        in_pads += verify_flipped(&s, ckpt, at, block[1] % 8);
    }
    assert_true(in_pads > 0 && in_pads < samples);
    cairn_checkpoint_close(ckpt);
    subject_close(&s);
}

static void verify__names_the_place_of_every_sampled_bit(void **state)
{
    verify_sampled(*state, "full.mdl", SAMPLES / 10);
    verify_sampled(*state, "mixed.mdl", SAMPLES - SAMPLES / 10);
}

static void open__tells_every_truncation_by_its_code(void **state)
{
    subject s;
    subject_open(&s, *state, "full.mdl");
    for (size_t size = s.size; size-- > 0;) {
        cairn_error err = {0};
        cairn_checkpoint *ckpt = NULL;
        /* Every length up to the first page of data, then each page and its neighbours. */
        const bool is_near_page = (size + 1) % PAGE <= 2;
        if (size > s.data_begin + PAGE && !is_near_page)
            continue;
        assert_int_equal(ftruncate(s.fd, (off_t)size), 0);
        const cairn_status status = cairn_checkpoint_open(s.path, &ckpt, &err);
        if (status != CAIRN_ECORRUPT)
            fail_msg("%zu bytes: %s", size, cairn_status_name(status));
        tk_assert_error_has(&err, size < CRN_LENGTH_WORD_BYTES ? "(E_TRUNCATED)"
                                  : size < s.data_begin        ? "(E_TRUNCATED_HEADER)"
                                                               : "(E_TRUNCATED_DATA)");
    }
    subject_close(&s);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, tk_temp_setup, tk_temp_teardown)
    const struct CMUnitTest tests[] = {
        T(open__refuses_flipped_bits_of_the_header_with_a_code),
        T(verify__names_the_place_of_every_sampled_bit),
        T(open__tells_every_truncation_by_its_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
