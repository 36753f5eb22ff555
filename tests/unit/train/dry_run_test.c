/* A dry run as a program in C sees it: which hooks, which failures, and that nothing is left. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "train/trainer_priv.h"
#include "unit/train/mean.h"

enum { STEPS = 4, SEEN_SIZE = 4096 };

struct fixture {
    char *dir;
    char model_dir[TK_PATH_SIZE];
    tk_fault_os fault;
    cairn_trainer_options options;
    int stops_at; /* the poll that asks to stop; 0: none */
    int polls;
    char seen[SEEN_SIZE]; /* hooks */
    cairn_dry_run found;
    cairn_error err;
};

/* ---- A model that is too large ---- */

static uint64_t s_large_floats;

static cairn_status large_declare(void *self, cairn_state *state, cairn_error *err)
{
    const cairn_tensor *large = NULL;
    const cairn_tensor_spec spec = {.name = "large",
                                    .dtype = CAIRN_DTYPE_F32,
                                    .role = CAIRN_ROLE_WEIGHT,
                                    .rank = 1,
                                    .shape = {(int64_t)s_large_floats}};
    const cairn_status rc = model_declare(self, state, err);
    return rc == CAIRN_OK ? cairn_state_add_tensor(state, &spec, &large, err) : rc;
}

static const cairn_model_ops k_large = {.struct_size = sizeof(cairn_model_ops),
                                        .name = "large",
                                        .declare = large_declare,
                                        .initialize = model_initialize,
                                        .compute = model_compute,
                                        .destroy = destroy_nothing};

/* ---- A callback that notes every hook ---- */

#define X(hook, when)                                                                              \
    static cairn_status note_##hook(void *self, const cairn_event *event, cairn_control *control,  \
                                    cairn_error *err)                                              \
    {                                                                                              \
        struct fixture *const f = self;                                                            \
        const size_t used = strlen(f->seen);                                                       \
        (void)control;                                                                             \
        (void)err;                                                                                 \
        assert_null(event->save);                                                                  \
        (void)snprintf(f->seen + used, sizeof f->seen - used, "%s ", #hook);                       \
        return CAIRN_OK;                                                                           \
    }
CAIRN_HOOK_LIST(X)
#undef X

#define X(hook, when) .hook = note_##hook,
static const cairn_callback_ops k_noting = {
    .struct_size = sizeof(cairn_callback_ops), .name = "Noting", CAIRN_HOOK_LIST(X)};
#undef X

/* ---- */

static const char *stop_requested(void *user)
{
    struct fixture *const f = user;
    f->polls++;
    return f->stops_at > 0 && f->polls >= f->stops_at ? "SIGINT" : NULL;
}

static int begin(void **state)
{
    struct fixture *const f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->dir = make_run_folder();
    (void)tk_join(f->model_dir, f->dir, "a/run");
    tk_fault_init(&f->fault);
    f->options = run_options(f->model_dir);
    f->options.loop.max_steps = cairn_int(STEPS);
    f->options.loop.eval_frequency = (cairn_opt_number){.kind = CAIRN_NUMBER_INT, .i = 2};
    f->options.checkpoint.steps = cairn_int(2);
    f->options.stop_requested = stop_requested;
    f->options.user = f;
    *state = f;
    return 0;
}

static int end(void **state)
{
    struct fixture *const f = *state;
    char *const dir = f->dir;
    assert_int_equal(tk_fault_open_count(&f->fault), 0);
    tk_fault_dispose(&f->fault);
    free(f);
    return end_run_folder(dir);
}

static cairn_status dry_run(struct fixture *f, const cairn_model_ops *model)
{
    cairn_trainer *trainer = NULL;
    cairn_optimizer optimizer = {0};
    const cairn_sgd_options sgd = cairn_sgd_options_default();
    cairn_loader *const train = make_loader();
    cairn_loader *val = make_loader();
    f->seen[0] = '\0';
    f->polls = 0;
    f->err = (cairn_error){0};
    tk_assert_ok(cairn_sgd_new(&sgd, &optimizer, &f->err), &f->err);
    tk_assert_ok(cairn_trainer_new(&f->options, (cairn_model){.ops = model}, optimizer, NULL, 0,
                                   &trainer, &f->err),
                 &f->err);
    trainer->os = &f->fault.os;
    tk_assert_ok(
        cairn_trainer_add_callback(trainer, (cairn_callback){.ops = &k_noting, .self = f}, &f->err),
        &f->err);
    const cairn_status rc =
        cairn_trainer_dry_run(trainer, train, &val, 1, (cairn_ckpt){0}, &f->found, &f->err);
    cairn_trainer_destroy(trainer);
    cairn_loader_destroy(train);
    cairn_loader_destroy(val);
    return rc;
}

static void dry_run__tells_the_plan_and_leaves_nothing(void **state)
{
    struct fixture *const f = *state;
    tk_assert_ok(dry_run(f, &k_model), &f->err);
    tk_assert_list(f->dir, "");
    assert_false(f->found.is_complete);
    assert_int_equal(f->found.step, 0);
    assert_int_equal(f->found.end_step, STEPS);
    assert_string_equal(f->found.limit, "max_steps");
    assert_int_equal(f->found.saves, 2);
    assert_int_equal(f->found.validations, 2);
    assert_int_equal(f->found.parameters, 1);
    assert_true(f->found.disk_bytes == 2 * f->found.save_bytes);
    assert_true(f->found.tokens_a_step == (double)BATCH);
    assert_true(f->found.step_seconds >= 0.0 && f->found.seconds >= 0.0);
}

static void dry_run__calls_the_hooks_of_a_start_and_no_others(void **state)
{
    struct fixture *const f = *state;
    tk_assert_ok(dry_run(f, &k_model), &f->err);
    assert_string_equal(
        f->seen, "pre_setup setup post_setup on_enter_fit on_before_load_checkpoint on_fit_start ");
}

/* Each half could be had alone; nothing is filled, so the test takes no memory itself. */
static void dry_run__refuses_a_state_that_does_not_fit_into_memory(void **state)
{
    struct fixture *const f = *state;
    uint64_t room = 0;
    if (!crn_memory_available(&room))
        skip();
    s_large_floats = room / sizeof(float) / 10 * 7;
    tk_assert_status(dry_run(f, &k_large), CAIRN_ENOMEM, &f->err);
    tk_assert_error_has(&f->err, "state and its gradients take");
    assert_int_equal(cairn_exit_code(f->err.status), 7);
    tk_assert_list(f->dir, "");
}

static void dry_run__stops_where_it_is_asked_to(void **state)
{
    struct fixture *const f = *state;
    tk_assert_ok(dry_run(f, &k_model), &f->err);
    const int polls = f->polls;
    assert_true(polls >= 5); /* before the load, and before each batch */
    for (f->stops_at = 1; f->stops_at <= polls; f->stops_at++) {
        tk_assert_status(dry_run(f, &k_model), CAIRN_ECANCELED, &f->err);
        tk_assert_error_has(&f->err, "stopped before its end (SIGINT)");
        tk_assert_list(f->dir, "");
    }
}

/* Each call of the system in turn fails; only where a removal itself fails may anything stay. */
static void dry_run__leaves_nothing_whatever_fails(void **state)
{
    struct fixture *const f = *state;
    uint64_t failures = 0;
    bool is_over = false;
    for (uint64_t i = 1; !is_over; i++) {
        char folder[TK_PATH_SIZE];
        char name[32];
        (void)snprintf(name, sizeof name, "%d", (int)i);
        assert_int_equal(mkdir(tk_join(folder, f->dir, name), 0777), 0);
        (void)tk_join(f->model_dir, folder, "a/run");
        tk_fault_reset(&f->fault);
        f->fault.fail_at = i;
        const cairn_status rc = dry_run(f, &k_model);
        is_over = f->fault.failed == 0;
        assert_true(rc == CAIRN_OK || !is_over);
        assert_true(i <= TK_TRACE_SIZE);
        if (is_over || f->fault.trace[i - 1] != 'u')
            tk_assert_list(folder, "");
        failures += rc != CAIRN_OK;
    }
    assert_true(failures >= 10);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        T(dry_run__tells_the_plan_and_leaves_nothing),
        T(dry_run__calls_the_hooks_of_a_start_and_no_others),
        T(dry_run__refuses_a_state_that_does_not_fit_into_memory),
        T(dry_run__stops_where_it_is_asked_to),
        T(dry_run__leaves_nothing_whatever_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
