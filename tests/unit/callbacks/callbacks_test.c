/* The callbacks without a trainer: this program plays the trainer and the store. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "cairn/callbacks.h"
#include "kit/kit.h"

/* What the callbacks asked of the trainer and the store. */
struct cairn_trainer {
    cairn_state_tree *tree;
    cairn_run run;
    cairn_log log;
    char logged[1024];
    uint64_t plan_keep;
    uint64_t plan_keep_every;
    uint64_t plan_every;
    char plan_states[64];
};

struct cairn_load {
    char selected[64];
};

struct cairn_save {
    int extras;
    char states[64];
    char name[64];
};

static struct {
    cairn_status keep_status;
    int calls;
    char run_id[CAIRN_RUN_ID_SIZE];
    cairn_retention rules;
    char metric[64];
    char protected_path[64];
} s_store;

cairn_state_tree *cairn_trainer_tree(cairn_trainer *trainer)
{
    return trainer->tree;
}

cairn_store *cairn_trainer_store(cairn_trainer *trainer)
{
    (void)trainer;
    return NULL;
}

const cairn_run *cairn_trainer_run(const cairn_trainer *trainer)
{
    return &trainer->run;
}

const cairn_log *cairn_trainer_log(const cairn_trainer *trainer)
{
    return &trainer->log;
}

void cairn_trainer_plan_keep(cairn_trainer *trainer, uint64_t keep)
{
    trainer->plan_keep = keep;
}

void cairn_trainer_plan_keep_every(cairn_trainer *trainer, uint64_t every)
{
    trainer->plan_keep_every = every;
}

void cairn_trainer_plan_extra(cairn_trainer *trainer, uint64_t every, const char *states)
{
    trainer->plan_every = every;
    (void)snprintf(trainer->plan_states, sizeof trainer->plan_states, "%s", states);
}

cairn_status cairn_load_select(cairn_load *load, const char *states, cairn_error *err)
{
    (void)err;
    (void)snprintf(load->selected, sizeof load->selected, "%s", states);
    return CAIRN_OK;
}

cairn_status cairn_save_add_extra(cairn_save *save, const char *states, const char *name_template,
                                  cairn_error *err)
{
    (void)err;
    save->extras++;
    (void)snprintf(save->states, sizeof save->states, "%s", states);
    (void)snprintf(save->name, sizeof save->name, "%s", name_template);
    return CAIRN_OK;
}

cairn_status cairn_catalogue_read(const cairn_store *store, cairn_catalogue **out, cairn_error *err)
{
    (void)store;
    (void)err;
    *out = NULL;
    return CAIRN_OK;
}

size_t cairn_catalogue_count_own(const cairn_catalogue *catalogue, const char *run_id)
{
    (void)catalogue;
    assert_string_equal(run_id, "run-1");
    return 2;
}

void cairn_catalogue_destroy(cairn_catalogue *catalogue)
{
    (void)catalogue;
}

cairn_status cairn_store_prune(cairn_store *store, const char *run_id,
                               const cairn_retention *retention, uint64_t *out_deleted,
                               cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    (void)store;
    (void)out_deleted;
    s_store.calls++;
    s_store.rules = *retention;
    (void)snprintf(s_store.run_id, sizeof s_store.run_id, "%s", run_id);
    (void)snprintf(s_store.metric, sizeof s_store.metric, "%s", retention->metric);
    (void)snprintf(s_store.protected_path, sizeof s_store.protected_path, "%s",
                   retention->protected_path);
    if (s_store.keep_status != CAIRN_OK)
        CRN_FAIL(err, s_store.keep_status, "cannot delete 'old.mdl'");
out:
    return rc;
}

static void write_log(void *user, cairn_log_level level, const char *message)
{
    struct cairn_trainer *const trainer = user;
    const size_t used = strlen(trainer->logged);
    (void)snprintf(trainer->logged + used, sizeof trainer->logged - used, "%s: %s\n",
                   cairn_log_level_name(level), message);
}

static void trainer_init(struct cairn_trainer *trainer)
{
    memset(&s_store, 0, sizeof s_store);
    *trainer = (struct cairn_trainer){.run = {.run_id = "run-1"}};
    trainer->log = (cairn_log){.level = CAIRN_LOG_DEBUG, .write = write_log, .user = trainer};
    assert_int_equal(cairn_state_tree_new(&trainer->tree, NULL), CAIRN_OK);
    assert_int_equal(cairn_state_tree_add(trainer->tree, "model", NULL, NULL), CAIRN_OK);
    assert_int_equal(cairn_state_tree_add(trainer->tree, "optimizer", NULL, NULL), CAIRN_OK);
}

static void trainer_dispose(struct cairn_trainer *trainer)
{
    cairn_state_tree_destroy(trainer->tree);
}

/* ---- LoadCheckpointStates ---- */

static cairn_callback load_states(const char *states)
{
    cairn_callback callback;
    const cairn_load_checkpoint_states_options options = {
        .load_checkpoint_states = {.items = &states, .count = states != NULL}};
    assert_int_equal(cairn_load_checkpoint_states_new(&options, &callback, NULL), CAIRN_OK);
    return callback;
}

static void load_checkpoint_states__selects_what_is_listed(void **state)
{
    static const struct {
        const char *states;
        const char *selected;
    } k_cases[] = {{"model", "model"},
                   {"model, optimizer", "model,optimizer"},
                   {"all", ""},
                   {"ALL", ""},
                   {NULL, ""}};
    struct cairn_trainer trainer;
    (void)state;
    trainer_init(&trainer);
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++) {
        cairn_load load = {{0}};
        const cairn_event event = {.struct_size = sizeof event, .trainer = &trainer, .load = &load};
        cairn_control control = {0};
        const cairn_callback callback = load_states(k_cases[i].states);
        assert_int_equal(callback.ops->preprocess_checkpoint(callback.self, &event, &control, NULL),
                         CAIRN_OK);
        assert_string_equal(load.selected, k_cases[i].selected);
        callback.ops->destroy(callback.self);
    }
    trainer_dispose(&trainer);
}

static void load_checkpoint_states__checks_its_names_before_training(void **state)
{
    struct cairn_trainer trainer;
    cairn_control control = {0};
    cairn_error err = {0};
    (void)state;
    trainer_init(&trainer);
    const cairn_event event = {.struct_size = sizeof event, .trainer = &trainer};
    const cairn_callback right = load_states("model");
    const cairn_callback wrong = load_states("modle");
    assert_int_equal(right.ops->post_setup(right.self, &event, &control, NULL), CAIRN_OK);
    assert_int_equal(wrong.ops->post_setup(wrong.self, &event, &control, &err), CAIRN_ECONFIG);
    tk_assert_error_has(&err, "did you mean 'model'");
    assert_int_equal(wrong.ops->preprocess_checkpoint(wrong.self, &event, &control, &err),
                     CAIRN_ECONFIG);
    tk_assert_error_has(&err, "did you mean 'model'");
    right.ops->destroy(right.self);
    wrong.ops->destroy(wrong.self);
    trainer_dispose(&trainer);
}

/* ---- SaveCheckpointState ---- */

static cairn_callback save_state(int64_t k, const char *states)
{
    cairn_callback callback;
    const cairn_save_checkpoint_state_options options = {
        .k = k,
        .checkpoint_states = {.items = &states, .count = states != NULL},
        .checkpoint_name = "{checkpoint_states}_{ckpt_name}"};
    assert_int_equal(cairn_save_checkpoint_state_new(&options, &callback, NULL), CAIRN_OK);
    return callback;
}

/* One full save; whether an alternative file comes with it. */
static bool save(struct cairn_trainer *trainer, cairn_callback callback, bool is_last)
{
    cairn_save asked = {0};
    cairn_control control = {0};
    const cairn_event event = {
        .struct_size = sizeof event, .trainer = trainer, .save = &asked, .is_last = is_last};
    assert_int_equal(callback.ops->on_save_checkpoint(callback.self, &event, &control, NULL),
                     CAIRN_OK);
    if (asked.extras > 0) {
        assert_int_equal(asked.extras, 1);
        assert_string_equal(asked.states, "model");
        assert_string_equal(asked.name, "{checkpoint_states}_{ckpt_name}");
    }
    return asked.extras > 0;
}

static void setup(struct cairn_trainer *trainer, cairn_callback callback)
{
    cairn_control control = {0};
    const cairn_event event = {.struct_size = sizeof event, .trainer = trainer};
    assert_int_equal(callback.ops->setup(callback.self, &event, &control, NULL), CAIRN_OK);
}

static uint64_t count_in(const struct cairn_trainer *trainer, const char *name)
{
    uint64_t count = 0;
    const cairn_state *const found = cairn_state_tree_find(trainer->tree, name);
    assert_non_null(found);
    assert_int_equal(cairn_state_get_u64(found, "count", &count, NULL), CAIRN_OK);
    return count;
}

static void save_checkpoint_state__acts_at_every_kth_full_save_and_at_the_last(void **state)
{
    struct cairn_trainer trainer;
    (void)state;
    trainer_init(&trainer);
    const cairn_callback callback = save_state(3, NULL);
    setup(&trainer, callback);
    const bool expected[] = {false, false, true, false, false, true, false};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        assert_int_equal(save(&trainer, callback, false), expected[i]);
    assert_true(save(&trainer, callback, true));
    assert_int_equal(count_in(&trainer, "SaveCheckpointState"), 0);
    callback.ops->destroy(callback.self);
    trainer_dispose(&trainer);
}

static void save_checkpoint_state__with_k_1_acts_at_every_save(void **state)
{
    struct cairn_trainer trainer;
    (void)state;
    trainer_init(&trainer);
    const cairn_callback callback = save_state(1, "model");
    setup(&trainer, callback);
    for (int i = 0; i < 4; i++)
        assert_true(save(&trainer, callback, i == 3));
    callback.ops->destroy(callback.self);
    trainer_dispose(&trainer);
}

/* The value in the tree when the hook returns is the one that the checkpoint holds. */
static void save_checkpoint_state__resumes_its_count_from_the_checkpoint(void **state)
{
    (void)state;
    for (int saves_before = 0; saves_before < 9; saves_before++) {
        struct cairn_trainer whole;
        struct cairn_trainer resumed;
        trainer_init(&whole);
        trainer_init(&resumed);
        const cairn_callback first = save_state(4, NULL);
        const cairn_callback second = save_state(4, NULL);
        setup(&whole, first);
        setup(&resumed, second);
        for (int i = 0; i < saves_before; i++)
            (void)save(&whole, first, false);
        cairn_state *const loaded = cairn_state_tree_find(resumed.tree, "SaveCheckpointState");
        assert_int_equal(
            cairn_state_set_u64(loaded, "count", count_in(&whole, "SaveCheckpointState"), NULL),
            CAIRN_OK);
        for (int i = 0; i < 9; i++)
            assert_int_equal(save(&resumed, second, false), save(&whole, first, false));
        first.ops->destroy(first.self);
        second.ops->destroy(second.self);
        trainer_dispose(&whole);
        trainer_dispose(&resumed);
    }
}

/* A run that goes on from its own checkpoint: whether an alternative belongs to that. */
static bool belongs(struct cairn_trainer *trainer, cairn_callback callback)
{
    cairn_save asked = {0};
    cairn_control control = {0};
    const cairn_event event = {
        .struct_size = sizeof event, .trainer = trainer, .save = &asked, .path = "m/own.mdl"};
    assert_int_equal(callback.ops->on_fit_start(callback.self, &event, &control, NULL), CAIRN_OK);
    if (asked.extras > 0)
        assert_string_equal(asked.states, "model");
    return asked.extras > 0;
}

static void save_checkpoint_state__knows_from_the_count_what_belongs_to_a_checkpoint(void **state)
{
    (void)state;
    for (int64_t k = 1; k <= 3; k++) {
        struct cairn_trainer trainer;
        trainer_init(&trainer);
        const cairn_callback callback = save_state(k, NULL);
        setup(&trainer, callback);
        for (int i = 0; i < 8; i++) {
            const bool was_due = save(&trainer, callback, i == 7);
            assert_int_equal(belongs(&trainer, callback), was_due);
        }
        callback.ops->destroy(callback.self);
        trainer_dispose(&trainer);
    }
}

static void save_checkpoint_state__of_another_run_owes_nothing(void **state)
{
    struct cairn_trainer trainer;
    cairn_control control = {0};
    (void)state;
    trainer_init(&trainer);
    const cairn_callback callback = save_state(1, NULL);
    setup(&trainer, callback);
    const cairn_event event = {.struct_size = sizeof event, .trainer = &trainer};
    assert_int_equal(callback.ops->on_fit_start(callback.self, &event, &control, NULL), CAIRN_OK);
    callback.ops->destroy(callback.self);
    trainer_dispose(&trainer);
}

/* What belongs to the checkpoint could not be written at the start: the next save has it. */
static void save_checkpoint_state__is_due_again_when_it_could_not_be_made_up_for(void **state)
{
    struct cairn_trainer trainer;
    cairn_control control = {0};
    (void)state;
    trainer_init(&trainer);
    const cairn_callback callback = save_state(3, NULL);
    setup(&trainer, callback);
    const cairn_event event = {.struct_size = sizeof event, .trainer = &trainer};
    assert_true(belongs(&trainer, callback));
    assert_int_equal(callback.ops->on_save_exception(callback.self, &event, &control, NULL),
                     CAIRN_OK);
    assert_true(save(&trainer, callback, false));
    assert_false(save(&trainer, callback, false));
    assert_false(belongs(&trainer, callback));
    assert_int_equal(callback.ops->on_save_exception(callback.self, &event, &control, NULL),
                     CAIRN_OK);
    assert_false(save(&trainer, callback, false));
    assert_true(save(&trainer, callback, false));
    callback.ops->destroy(callback.self);
    trainer_dispose(&trainer);
}

static void save_checkpoint_state__twice_has_two_states(void **state)
{
    struct cairn_trainer trainer;
    (void)state;
    trainer_init(&trainer);
    const cairn_callback first = save_state(2, "model");
    const cairn_callback second = save_state(3, "model");
    setup(&trainer, first);
    assert_int_equal(trainer.plan_every, 2);
    setup(&trainer, second);
    assert_int_equal(trainer.plan_every, 3);
    assert_string_equal(trainer.plan_states, "model");
    (void)save(&trainer, first, false);
    (void)save(&trainer, second, false);
    (void)save(&trainer, second, false);
    assert_int_equal(count_in(&trainer, "SaveCheckpointState"), 1);
    assert_int_equal(count_in(&trainer, "SaveCheckpointState_2"), 2);
    first.ops->destroy(first.self);
    second.ops->destroy(second.self);
    trainer_dispose(&trainer);
}

static void save_checkpoint_state__checks_its_names_before_training(void **state)
{
    struct cairn_trainer trainer;
    cairn_control control = {0};
    cairn_error err = {0};
    (void)state;
    trainer_init(&trainer);
    const cairn_event event = {.struct_size = sizeof event, .trainer = &trainer};
    const cairn_callback callback = save_state(1, "model,optimiser");
    assert_int_equal(callback.ops->post_setup(callback.self, &event, &control, &err),
                     CAIRN_ECONFIG);
    tk_assert_error_has(&err, "The states are: model, optimizer");
    callback.ops->destroy(callback.self);
    trainer_dispose(&trainer);
}

static void save_checkpoint_state__refuses_wrong_options(void **state)
{
    cairn_callback callback = {0};
    cairn_save_checkpoint_state_options options = {
        .k = 0, .checkpoint_name = "{checkpoint_states}_{ckpt_name}"};
    (void)state;
    assert_int_equal(cairn_save_checkpoint_state_new(&options, &callback, NULL), CAIRN_ECONFIG);
    options.k = 1;
    options.checkpoint_name = "{checkpoint_states}.mdl";
    assert_int_equal(cairn_save_checkpoint_state_new(&options, &callback, NULL), CAIRN_ECONFIG);
    assert_null(callback.self);
}

/* ---- KeepNCheckpoints ---- */

static cairn_callback keep(cairn_opt_int n)
{
    cairn_callback callback;
    const cairn_keep_n_checkpoints_options options = {.n = n, .metric = "val_loss", .mode = "min"};
    assert_int_equal(cairn_keep_n_checkpoints_new(&options, &callback, NULL), CAIRN_OK);
    return callback;
}

static cairn_status after_save(struct cairn_trainer *trainer, cairn_callback callback,
                               cairn_error *err)
{
    cairn_control control = {0};
    const cairn_event event = {
        .struct_size = sizeof event, .trainer = trainer, .path = "m/checkpoint_4.mdl"};
    return callback.ops->on_after_save_checkpoint(callback.self, &event, &control, err);
}

static void keep_n__keeps_the_newest_of_this_run_after_a_save(void **state)
{
    struct cairn_trainer trainer;
    (void)state;
    trainer_init(&trainer);
    const cairn_callback callback = keep(cairn_int(3));
    setup(&trainer, callback);
    assert_int_equal(trainer.plan_keep, 3);
    assert_int_equal(after_save(&trainer, callback, NULL), CAIRN_OK);
    assert_int_equal(s_store.calls, 1);
    assert_int_equal(s_store.rules.struct_size, sizeof s_store.rules);
    assert_int_equal(s_store.rules.newest, 3);
    assert_int_equal(s_store.rules.every, 0);
    assert_int_equal(s_store.rules.best, 0);
    assert_true(s_store.rules.minutes == 0.0);
    assert_string_equal(s_store.run_id, "run-1");
    assert_string_equal(s_store.protected_path, "m/checkpoint_4.mdl");
    callback.ops->destroy(callback.self);
    trainer_dispose(&trainer);
}

static void keep_n__says_at_the_start_how_many_it_found(void **state)
{
    struct cairn_trainer trainer;
    cairn_control control = {0};
    (void)state;
    trainer_init(&trainer);
    const cairn_event event = {.struct_size = sizeof event, .trainer = &trainer};
    const cairn_callback callback = keep(cairn_int(3));
    assert_int_equal(callback.ops->on_fit_start(callback.self, &event, &control, NULL), CAIRN_OK);
    assert_string_equal(trainer.logged, "INFO: KeepNCheckpoints: keeping 3; found 2 of this run\n");
    assert_int_equal(s_store.calls, 0); /* Nothing of this run was loaded. */
    callback.ops->destroy(callback.self);
    trainer_dispose(&trainer);
}

static void keep_n__finishes_a_deletion_that_was_cut_off_when_the_run_goes_on(void **state)
{
    struct cairn_trainer trainer;
    cairn_control control = {0};
    (void)state;
    trainer_init(&trainer);
    const cairn_event event = {
        .struct_size = sizeof event, .trainer = &trainer, .path = "m/checkpoint_4.mdl"};
    const cairn_callback callback = keep(cairn_int(3));
    assert_int_equal(callback.ops->on_fit_start(callback.self, &event, &control, NULL), CAIRN_OK);
    assert_int_equal(s_store.calls, 1);
    assert_int_equal(s_store.rules.newest, 3);
    assert_string_equal(s_store.run_id, "run-1");
    assert_string_equal(s_store.protected_path, "m/checkpoint_4.mdl");
    callback.ops->destroy(callback.self);
    trainer_dispose(&trainer);
}

static void keep_n__null_keeps_all(void **state)
{
    struct cairn_trainer trainer;
    (void)state;
    trainer_init(&trainer);
    const cairn_callback callback = keep((cairn_opt_int){0});
    setup(&trainer, callback);
    assert_int_equal(after_save(&trainer, callback, NULL), CAIRN_OK);
    assert_int_equal(s_store.calls, 0);
    assert_int_equal(trainer.plan_keep, 0);
    callback.ops->destroy(callback.self);
    trainer_dispose(&trainer);
}

static void keep_n__hands_its_other_rules_on_and_tells_the_plan(void **state)
{
    struct cairn_trainer trainer;
    cairn_callback callback;
    char metric[] = "accuracy";
    cairn_keep_n_checkpoints_options options = {.n = cairn_int(3),
                                                .every = cairn_int(1000),
                                                .best = cairn_int(2),
                                                .metric = metric,
                                                .mode = "max"};
    (void)state;
    trainer_init(&trainer);
    assert_int_equal(cairn_keep_n_checkpoints_new(&options, &callback, NULL), CAIRN_OK);
    metric[0] = 'X'; /* It was copied. */
    setup(&trainer, callback);
    assert_int_equal(trainer.plan_keep, 5);
    assert_int_equal(trainer.plan_keep_every, 1000);
    assert_int_equal(after_save(&trainer, callback, NULL), CAIRN_OK);
    assert_int_equal(s_store.rules.newest, 3);
    assert_int_equal(s_store.rules.every, 1000);
    assert_int_equal(s_store.rules.best, 2);
    assert_true(s_store.rules.is_max);
    assert_string_equal(s_store.metric, "accuracy");
    callback.ops->destroy(callback.self);
    trainer_dispose(&trainer);
    /* How many the minutes keep is not known: the plan counts all. */
    options.minutes = cairn_float(30.0);
    trainer_init(&trainer);
    assert_int_equal(cairn_keep_n_checkpoints_new(&options, &callback, NULL), CAIRN_OK);
    setup(&trainer, callback);
    assert_int_equal(trainer.plan_keep, 0);
    assert_int_equal(after_save(&trainer, callback, NULL), CAIRN_OK);
    assert_true(s_store.rules.minutes == 30.0);
    callback.ops->destroy(callback.self);
    trainer_dispose(&trainer);
}

static void keep_n__warns_and_goes_on_when_a_file_cannot_be_deleted(void **state)
{
    static const cairn_status k_failures[] = {CAIRN_EIO, CAIRN_ENOSPACE, CAIRN_ELOCKED};
    struct cairn_trainer trainer;
    (void)state;
    trainer_init(&trainer);
    const cairn_callback callback = keep(cairn_int(1));
    for (size_t i = 0; i < sizeof k_failures / sizeof k_failures[0]; i++) {
        s_store.keep_status = k_failures[i];
        assert_int_equal(after_save(&trainer, callback, NULL), CAIRN_OK);
    }
    assert_non_null(strstr(trainer.logged, "WARNING: KeepNCheckpoints: an old checkpoint stays"));
    assert_non_null(strstr(trainer.logged, "cannot delete 'old.mdl'"));
    callback.ops->destroy(callback.self);
    trainer_dispose(&trainer);
}

static void keep_n__ends_the_run_when_its_memory_ends(void **state)
{
    struct cairn_trainer trainer;
    cairn_error err = {0};
    (void)state;
    trainer_init(&trainer);
    const cairn_callback callback = keep(cairn_int(1));
    s_store.keep_status = CAIRN_ENOMEM;
    assert_int_equal(after_save(&trainer, callback, &err), CAIRN_ENOMEM);
    tk_assert_error_has(&err, "cannot delete 'old.mdl'");
    callback.ops->destroy(callback.self);
    trainer_dispose(&trainer);
}

static void keep_n__refuses_wrong_options(void **state)
{
    const struct {
        cairn_keep_n_checkpoints_options options;
        const char *says;
    } rows[] = {
        {{.n = cairn_int(0)}, "n is 0"},
        {{.n = cairn_int(1), .every = cairn_int(0)}, "every is 0"},
        {{.n = cairn_int(1), .best = cairn_int(-1)}, "best is -1"},
        {{.n = cairn_int(1), .minutes = cairn_float(-1.0)}, "minutes is -1"},
        {{.n = cairn_int(1), .minutes = cairn_float((double)NAN)}, "minutes is nan"},
        {{.n = cairn_int(1), .mode = "least"}, "mode is 'least'"},
        {{.every = cairn_int(2)}, "give n too"},
        {{.best = cairn_int(2)}, "give n too"},
        {{.minutes = cairn_float(2.0)}, "give n too"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cairn_callback callback = {0};
        cairn_error err = {0};
        assert_int_equal(cairn_keep_n_checkpoints_new(&rows[i].options, &callback, &err),
                         CAIRN_ECONFIG);
        tk_assert_error_has(&err, rows[i].says);
        assert_null(callback.self);
    }
}

/* ---- CheckLoss ---- */

/* The two hooks in the order of a step: the second one is not called if the first fails. */
static cairn_status check_loss(double loss, double norm, cairn_error *err)
{
    cairn_callback callback;
    cairn_control control = {0};
    cairn_event event = {.struct_size = sizeof event, .step = 41, .loss = loss};
    assert_int_equal(cairn_check_loss_new(&callback, NULL), CAIRN_OK);
    const cairn_status rc = callback.ops->on_after_forward(callback.self, &event, &control, err);
    event.gradient_norm = norm;
    return rc == CAIRN_OK
               ? callback.ops->on_before_optimizer_step(callback.self, &event, &control, err)
               : rc;
}

static void check_loss__stops_before_the_update_when_something_is_not_finite(void **state)
{
    cairn_error err = {0};
    (void)state;
    assert_int_equal(check_loss(8.3, 1.0, NULL), CAIRN_OK);
    assert_int_equal(check_loss((double)NAN, 1.0, &err), CAIRN_ENONFINITE);
    tk_assert_error_has(&err, "the loss of step 42 is nan; ");
    tk_assert_error_has(&err, "max_gradient_norm");
    assert_int_equal(check_loss(-(double)INFINITY, 1.0, &err), CAIRN_ENONFINITE);
    tk_assert_error_has(&err, "the loss of step 42 is -inf; ");
    assert_int_equal(check_loss(8.3, (double)INFINITY, &err), CAIRN_ENONFINITE);
    tk_assert_error_has(&err, "the gradient norm of step 42 is inf; ");
}

static void check_loss__stops_a_validation_at_the_batch_that_is_not_finite(void **state)
{
    cairn_error err = {0};
    cairn_callback callback;
    cairn_control control = {0};
    const cairn_event event = {.struct_size = sizeof event,
                               .step = 41,
                               .is_validation = true,
                               .batch_index = 2,
                               .loss = (double)NAN};
    (void)state;
    assert_int_equal(cairn_check_loss_new(&callback, NULL), CAIRN_OK);
    assert_int_equal(callback.ops->on_after_forward(callback.self, &event, &control, &err),
                     CAIRN_ENONFINITE);
    tk_assert_error_has(&err, "the loss of batch 3 is nan in the validation after step 41");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(load_checkpoint_states__selects_what_is_listed),
        cmocka_unit_test(load_checkpoint_states__checks_its_names_before_training),
        cmocka_unit_test(save_checkpoint_state__acts_at_every_kth_full_save_and_at_the_last),
        cmocka_unit_test(save_checkpoint_state__with_k_1_acts_at_every_save),
        cmocka_unit_test(save_checkpoint_state__resumes_its_count_from_the_checkpoint),
        cmocka_unit_test(save_checkpoint_state__knows_from_the_count_what_belongs_to_a_checkpoint),
        cmocka_unit_test(save_checkpoint_state__of_another_run_owes_nothing),
        cmocka_unit_test(save_checkpoint_state__is_due_again_when_it_could_not_be_made_up_for),
        cmocka_unit_test(save_checkpoint_state__twice_has_two_states),
        cmocka_unit_test(save_checkpoint_state__checks_its_names_before_training),
        cmocka_unit_test(save_checkpoint_state__refuses_wrong_options),
        cmocka_unit_test(keep_n__keeps_the_newest_of_this_run_after_a_save),
        cmocka_unit_test(keep_n__says_at_the_start_how_many_it_found),
        cmocka_unit_test(keep_n__finishes_a_deletion_that_was_cut_off_when_the_run_goes_on),
        cmocka_unit_test(keep_n__null_keeps_all),
        cmocka_unit_test(keep_n__hands_its_other_rules_on_and_tells_the_plan),
        cmocka_unit_test(keep_n__warns_and_goes_on_when_a_file_cannot_be_deleted),
        cmocka_unit_test(keep_n__ends_the_run_when_its_memory_ends),
        cmocka_unit_test(keep_n__refuses_wrong_options),
        cmocka_unit_test(check_loss__stops_before_the_update_when_something_is_not_finite),
        cmocka_unit_test(check_loss__stops_a_validation_at_the_batch_that_is_not_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
