/* The memory of a fit is planned, told, and refused before anything is written. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "train/trainer_priv.h"
#include "unit/train/mean.h"

enum { LOG_SIZE = 1 << 14 };

struct fixture {
    char *dir;
    cairn_trainer_options options;
    cairn_log log;
    char text[LOG_SIZE];
    cairn_memory_plan plan; /* of the last fit */
    cairn_error err;
};

/* ---- A model that says what it takes ---- */

static uint64_t s_bytes_a_sample;
static uint64_t s_validation_bytes; /* a sample */

static cairn_status say_memory(void *self, const cairn_batch *batch, bool is_training,
                               uint64_t *out_bytes, cairn_error *err)
{
    const cairn_batch_field *const ids = cairn_batch_find(batch, "input_ids");
    (void)self;
    (void)err;
    assert_non_null(ids);
    assert_int_equal(ids->shape[0], batch->samples);
    *out_bytes = (uint64_t)(ids->shape[0] * ids->shape[1]) *
                 (is_training ? s_bytes_a_sample : s_validation_bytes);
    return CAIRN_OK;
}

static const cairn_model_ops k_telling = {.struct_size = sizeof(cairn_model_ops),
                                          .name = "telling",
                                          .declare = model_declare,
                                          .initialize = model_initialize,
                                          .compute = model_compute,
                                          .destroy = destroy_nothing,
                                          .memory = say_memory};

static int64_t one_token(const void *self)
{
    (void)self;
    return 1;
}

static const cairn_data_ops k_tokens = {.struct_size = sizeof(cairn_data_ops),
                                        .name = "tokens",
                                        .sample_count = data_count,
                                        .read = data_read,
                                        .sequence_length = one_token,
                                        .destroy = destroy_nothing};

/* @batch samples at once; what is left over makes a smaller last batch. */
static cairn_loader *make_tokens(uint64_t batch)
{
    const cairn_loader_options options = {.struct_size = sizeof options, .batch_size = batch};
    cairn_loader *loader = NULL;
    cairn_error err = {0};
    tk_assert_ok(cairn_loader_new((cairn_data){.ops = &k_tokens}, &options, &loader, &err), &err);
    return loader;
}

/* ---- */

static void note(void *user, cairn_log_level level, const char *text)
{
    struct fixture *const f = user;
    const size_t used = strlen(f->text);
    (void)snprintf(f->text + used, sizeof f->text - used, "%s%s\n",
                   level == CAIRN_LOG_WARNING ? "WARNING " : "", text);
}

static int begin(void **state)
{
    struct fixture *const f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->dir = make_run_folder();
    f->log = (cairn_log){.write = note, .user = f};
    f->options = cairn_trainer_options_default();
    f->options.log = &f->log;
    f->options.seed = cairn_int(1);
    f->options.loop.max_steps = cairn_int(2);
    f->options.loop.eval_frequency = (cairn_opt_number){.kind = CAIRN_NUMBER_INT, .i = 1};
    f->options.checkpoint.steps = cairn_int(2);
    s_bytes_a_sample = 0;
    s_validation_bytes = 0;
    *state = f;
    return 0;
}

static int end(void **state)
{
    struct fixture *const f = *state;
    char *const dir = f->dir;
    free(f);
    return end_run_folder(dir);
}

static cairn_status fit(struct fixture *f, const cairn_model_ops *model, cairn_loader *train,
                        cairn_loader *val)
{
    char model_dir[TK_PATH_SIZE];
    cairn_fit_result result = {0};
    f->options.model_dir = tk_join(model_dir, f->dir, "run");
    cairn_trainer *const trainer = make_mean_trainer(&f->options, model, 0.1, &f->err);
    const cairn_status rc =
        cairn_trainer_fit(trainer, train, &val, 1, (cairn_ckpt){0}, &result, &f->err);
    f->plan = trainer->memory;
    cairn_fit_result_dispose(&result);
    cairn_trainer_destroy(trainer);
    cairn_loader_destroy(train);
    cairn_loader_destroy(val);
    return rc;
}

static void assert_says(const struct fixture *f, const char *part)
{
    if (strstr(f->text, part) == NULL)
        fail_msg("'%s' lacks '%s'", f->text, part);
}

static void a_fit__plans_its_memory_by_batches_and_tells_it(void **state)
{
    struct fixture *const f = *state;
    s_bytes_a_sample = 1 << 20;
    s_validation_bytes = 1 << 10;
    /* 8 samples are 3, 3 and 2; validation has 4 and 4. */
    tk_assert_ok(fit(f, &k_telling, make_tokens(3), make_tokens(4)), &f->err);
    assert_true(f->plan.has_activations);
    assert_int_equal(f->plan.training, 5 << 20);
    assert_int_equal(f->plan.validation, 4 << 10);
    assert_int_equal(f->plan.gradients, 64);
    assert_int_equal(f->plan.parameters, 4096);
    assert_true(f->plan.optimizer >= 8);
    assert_int_equal(f->plan.total, f->plan.parameters + f->plan.gradients + f->plan.optimizer +
                                        f->plan.others + f->plan.training + f->plan.validation +
                                        f->plan.staging);
    assert_says(f, "of memory, free are");
    assert_says(f, "activations 5.00 MiB, those of validation 4.00 KiB");
}

static void a_fit_without_validations__plans_none(void **state)
{
    struct fixture *const f = *state;
    s_bytes_a_sample = 1 << 20;
    s_validation_bytes = 1 << 10;
    f->options.loop.eval_frequency = (cairn_opt_number){0};
    tk_assert_ok(fit(f, &k_telling, make_tokens(4), make_tokens(4)), &f->err);
    assert_int_equal(f->plan.training, 4 << 20);
    assert_int_equal(f->plan.validation, 0);
}

static void a_fit__says_that_it_does_not_know_what_nobody_tells(void **state)
{
    struct fixture *const f = *state;
    tk_assert_ok(fit(f, &k_model, make_tokens(4), make_tokens(4)), &f->err);
    assert_false(f->plan.has_activations);
    assert_says(f, "; activations are not known");
}

static void too_much__is_refused_before_anything_is_written(void **state)
{
    struct fixture *const f = *state;
    uint64_t room = 0;
    if (!crn_memory_available(&room))
        skip();
    s_bytes_a_sample = room / 2;
    tk_assert_status(fit(f, &k_telling, make_tokens(4), make_tokens(4)), CAIRN_ENOMEM, &f->err);
    tk_assert_error_has(&f->err, "lower batch_size");
    tk_assert_error_has(&f->err, "max_sequence_length, set model.gradient_checkpointing");
    assert_int_equal(cairn_exit_code(f->err.status), 7);
    tk_assert_list(f->dir, "");
}

/* A batch fits, what may come besides does not. */
static void what_only_might_be_too_much__is_a_warning(void **state)
{
    struct fixture *const f = *state;
    uint64_t room = 0;
    if (!crn_memory_available(&room))
        skip();
    s_validation_bytes = room / 3;
    tk_assert_ok(fit(f, &k_telling, make_tokens(4), make_tokens(4)), &f->err);
    assert_says(f, "WARNING the memory may not suffice");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(a_fit__plans_its_memory_by_batches_and_tells_it),
        TEST(a_fit_without_validations__plans_none),
        TEST(a_fit__says_that_it_does_not_know_what_nobody_tells),
        TEST(too_much__is_refused_before_anything_is_written),
        TEST(what_only_might_be_too_much__is_a_warning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
