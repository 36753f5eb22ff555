/* A fit beside a validation deletes checkpoints that the validation has found. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "unit/train/mean.h"

enum { RESULTS_SIZE = 512 };

struct fixture {
    char *dir;
    const char *victim;    /* NULL: none; deleted when it is about to be loaded */
    const char *successor; /* the name that it has then; NULL: it is gone */
    char results[RESULTS_SIZE];
    cairn_trainer_options options;
    cairn_error err;
};

static int begin(void **state)
{
    struct fixture *const f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->dir = make_run_folder();
    f->options = run_options(f->dir);
    f->options.loop.num_steps = cairn_int(6);
    f->options.loop.eval_frequency = (cairn_opt_number){.kind = CAIRN_NUMBER_NULL};
    f->options.loop.eval_steps = cairn_int(1);
    f->options.checkpoint.steps = cairn_int(2);
    f->options.checkpoint.asynchronous = false;
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

/* It has been found, and is not open yet. */
static cairn_status on_before_load_checkpoint(void *self, const cairn_event *event,
                                              cairn_control *control, cairn_error *err)
{
    struct fixture *const f = self;
    char path[TK_PATH_SIZE];
    char to[TK_PATH_SIZE];
    (void)control;
    (void)err;
    if (f->victim == NULL || strcmp(event->path, tk_join(path, f->dir, f->victim)) != 0)
        return CAIRN_OK;
    if (f->successor != NULL)
        assert_int_equal(rename(path, tk_join(to, f->dir, f->successor)), 0);
    else
        assert_int_equal(unlink(path), 0);
    f->victim = NULL;
    return CAIRN_OK;
}

static const cairn_callback_ops k_callback = {.struct_size = sizeof(cairn_callback_ops),
                                              .name = "Beside",
                                              .on_before_load_checkpoint =
                                                  on_before_load_checkpoint};

static cairn_trainer *make_trainer(struct fixture *f)
{
    cairn_trainer *const trainer = make_mean_trainer(&f->options, &k_model, 0.0, &f->err);
    tk_assert_ok(cairn_trainer_add_callback(trainer, (cairn_callback){&k_callback, f}, &f->err),
                 &f->err);
    return trainer;
}

/* Leaves checkpoints of the steps 2, 4 and 6. */
static void fit(struct fixture *f)
{
    cairn_fit_result result;
    cairn_trainer *const trainer = make_trainer(f);
    cairn_loader *const train = make_loader();
    tk_assert_ok(cairn_trainer_fit(trainer, train, NULL, 0, cairn_ckpt_omitted(), &result, &f->err),
                 &f->err);
    cairn_trainer_destroy(trainer);
    cairn_fit_result_dispose(&result);
    cairn_loader_destroy(train);
}

static cairn_status validate(struct fixture *f, cairn_ckpt ckpt, uint64_t *out_step)
{
    cairn_validate_result result = {0};
    cairn_trainer *const trainer = make_trainer(f);
    cairn_loader *const val = make_loader();
    const cairn_status rc = cairn_trainer_validate(trainer, val, ckpt, &result, &f->err);
    *out_step = result.step;
    cairn_trainer_destroy(trainer);
    cairn_loader_destroy(val);
    return rc;
}

static void note_result(void *user, const cairn_validated *validated)
{
    struct fixture *const f = user;
    const size_t used = strlen(f->results);
    (void)snprintf(f->results + used, RESULTS_SIZE - used, "%s %d;",
                   strrchr(validated->checkpoint, '/') + 1, (int)validated->result.step);
}

static cairn_status validate_all(struct fixture *f, const cairn_ckpts *ckpts)
{
    cairn_trainer *const trainer = make_trainer(f);
    cairn_loader *val[] = {make_loader()};
    f->results[0] = '\0';
    const cairn_status rc =
        cairn_trainer_validate_all(trainer, val, 1, ckpts, note_result, f, &f->err);
    cairn_trainer_destroy(trainer);
    cairn_loader_destroy(val[0]);
    return rc;
}

static void the_latest__is_looked_for_once_more(void **state)
{
    struct fixture *const f = *state;
    uint64_t step = 0;
    fit(f);
    f->victim = "checkpoint_6.mdl";
    tk_assert_ok(validate(f, cairn_ckpt_omitted(), &step), &f->err);
    assert_null(f->victim);
    assert_int_equal(step, 4);
}

static void a_named_one__is_missed(void **state)
{
    struct fixture *const f = *state;
    uint64_t step = 0;
    char path[TK_PATH_SIZE];
    fit(f);
    f->victim = "checkpoint_6.mdl";
    const cairn_ckpt ckpt = {.kind = CAIRN_CKPT_PATH, .path = tk_join(path, f->dir, f->victim)};
    tk_assert_status(validate(f, ckpt, &step), CAIRN_ENOTFOUND, &f->err);
    tk_assert_error_has(&f->err, "checkpoint_6.mdl");
}

static void all__those_saved_meanwhile_take_the_place_of_the_deleted(void **state)
{
    struct fixture *const f = *state;
    char path[TK_PATH_SIZE];
    const char *const pattern = tk_join(path, f->dir, "checkpoint_*");
    const cairn_ckpts rows[] = {
        {.kind = CAIRN_CKPT_OMITTED},
        {.kind = CAIRN_CKPT_PATH, .paths = &pattern, .count = 1},
    };
    fit(f);
    f->victim = "checkpoint_2.mdl";
    f->successor = "checkpoint_8.mdl";
    tk_assert_ok(validate_all(f, &rows[0]), &f->err);
    assert_string_equal(f->results, "checkpoint_4.mdl 4;checkpoint_6.mdl 6;checkpoint_8.mdl 2;");
    f->victim = "checkpoint_6.mdl";
    f->successor = NULL;
    tk_assert_ok(validate_all(f, &rows[1]), &f->err);
    assert_string_equal(f->results, "checkpoint_4.mdl 4;checkpoint_8.mdl 2;");
}

static void all__a_named_one_is_missed_after_the_others(void **state)
{
    struct fixture *const f = *state;
    char first[TK_PATH_SIZE];
    char second[TK_PATH_SIZE];
    const char *const paths[] = {tk_join(first, f->dir, "checkpoint_2.mdl"),
                                 tk_join(second, f->dir, "checkpoint_4.mdl")};
    const cairn_ckpts ckpts = {.kind = CAIRN_CKPT_PATH, .paths = paths, .count = 2};
    fit(f);
    f->victim = "checkpoint_2.mdl";
    tk_assert_status(validate_all(f, &ckpts), CAIRN_ENOTFOUND, &f->err);
    tk_assert_error_has(&f->err, "checkpoint_2.mdl");
    assert_string_equal(f->results, "checkpoint_4.mdl 4;");
}

#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(the_latest__is_looked_for_once_more),
        T(a_named_one__is_missed),
        T(all__those_saved_meanwhile_take_the_place_of_the_deleted),
        T(all__a_named_one_is_missed_after_the_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
