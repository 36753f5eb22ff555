/* A process that trains nothing and saves: see torture.h. */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "ckpt/store_priv.h"
#include "torture/torture.h"

#define EXTRA_NAME "{checkpoint_states}_{ckpt_name}"

enum { KEEP = 2, UPDATES = 3, UPDATED = 1000 /* no step of any file */ };

static void report(const tt_world *w, const char *word, uint64_t step, uint64_t value)
{
    char line[100];
    (void)snprintf(line, sizeof line, "%s %" PRIu64 " %" PRIu64, word, step, value);
    if (w->report != NULL)
        w->report(w->user, line);
}

/* ---- The tree ---- */

static cairn_status add_tensor(cairn_state *state, const char *name, int64_t size, cairn_error *err)
{
    const cairn_tensor_spec spec = {
        .name = name, .dtype = CAIRN_DTYPE_F32, .rank = 1, .shape = {size}};
    return cairn_state_add_tensor(state, &spec, NULL, err);
}

cairn_state_tree *tt_tree_new(void)
{
    cairn_status rc = CAIRN_OK;
    cairn_state_tree *tree = NULL;
    cairn_state *model = NULL;
    cairn_state *optimizer = NULL;
    CRN_TRY_PLAIN(cairn_state_tree_new(&tree, NULL));
    CRN_TRY_PLAIN(cairn_state_tree_add(tree, "model", &model, NULL));
    CRN_TRY_PLAIN(add_tensor(model, "w", 700, NULL));
    CRN_TRY_PLAIN(add_tensor(model, "b", 5, NULL));
    CRN_TRY_PLAIN(cairn_state_add_alias(model, "tied", "b", NULL));
    CRN_TRY_PLAIN(cairn_state_tree_add(tree, "optimizer", &optimizer, NULL));
    CRN_TRY_PLAIN(add_tensor(optimizer, "w.exp_avg", 700, NULL));
    CRN_TRY_PLAIN(cairn_state_tree_add(tree, "global_step", NULL, NULL));
    CRN_TRY_PLAIN(cairn_state_tree_allocate(tree, NULL));
out:
    if (rc != CAIRN_OK) {
        cairn_state_tree_destroy(tree);
        tree = NULL;
    }
    return tree;
}

static uint8_t byte_of(uint64_t step, uint64_t tensor, uint64_t i)
{
    uint64_t x = step * 1000003 + tensor * 7919 + i;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return (uint8_t)(x >> 56);
}

cairn_status tt_tree_fill(cairn_state_tree *tree, uint64_t step, cairn_error *err)
{
    for (size_t i = 0; i < cairn_state_tree_count(tree); i++) {
        const cairn_state *const state = cairn_state_tree_at(tree, i);
        for (size_t j = 0; j < cairn_state_tensor_count(state); j++) {
            const cairn_tensor *const tensor = cairn_state_tensor_at(state, j);
            uint8_t *const bytes = cairn_tensor_write_begin(tree, tensor, 0, tensor->bytes);
            for (uint64_t k = 0; k < tensor->bytes; k++)
                bytes[k] = byte_of(step, 10 * i + j, k);
            cairn_tensor_write_end(tree, tensor, 0, tensor->bytes);
        }
    }
    return cairn_state_set_u64(cairn_state_tree_find(tree, "global_step"), "step", step, err);
}

static bool is_filled(const cairn_state_tree *tree, const char *states, uint64_t step)
{
    for (size_t i = 0; i < cairn_state_tree_count(tree); i++) {
        const cairn_state *const state = cairn_state_tree_at(tree, i);
        if (states != NULL && strcmp(states, cairn_state_name(state)) != 0)
            continue;
        for (size_t j = 0; j < cairn_state_tensor_count(state); j++) {
            const cairn_tensor *const tensor = cairn_state_tensor_at(state, j);
            const uint8_t *const bytes = tensor->data;
            for (uint64_t k = 0; k < tensor->bytes; k++) {
                if (bytes[k] != byte_of(step, 10 * i + j, k))
                    return false;
            }
        }
    }
    uint64_t value = 0;
    return states != NULL || (cairn_state_get_u64(cairn_state_tree_find(tree, "global_step"),
                                                  "step", &value, NULL) == CAIRN_OK &&
                              value == step);
}

cairn_status tt_load_and_compare(const crn_os *os, const char *path, const char *states,
                                 uint64_t step, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_checkpoint *ckpt = NULL;
    const cairn_load_options options = {.struct_size = sizeof options, .states = states};
    cairn_state_tree *const tree = tt_tree_new();
    CRN_NEED(err, tree, "a tree");
    CRN_TRY_PLAIN(crn_checkpoint_open_os(os, path, &ckpt, err));
    CRN_TRY_PLAIN(cairn_checkpoint_load(ckpt, tree, &options, NULL, err));
    if (!is_filled(tree, states, step))
        CRN_FAIL(err, CAIRN_EBUG, "'%s' loads, but not as step %" PRIu64 " was", path, step);
out:
    cairn_checkpoint_close(ckpt);
    cairn_state_tree_destroy(tree);
    return rc;
}

/* ---- Deeds ---- */

/* Waits for what is under way, which nobody then hears of. */
static cairn_status close_store(tt_world *w)
{
    w->saving = 0;
    cairn_store_close(w->store);
    w->store = NULL;
    return CAIRN_OK;
}

/* What `cairn fit --resume` does before the first step. */
static cairn_status start(tt_world *w, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_catalogue *catalogue = NULL;
    cairn_run run = {.run_id = TT_RUN};
    const cairn_store_options options = {.struct_size = sizeof options,
                                         .model_dir = w->dir,
                                         .checkpoint_root = w->root,
                                         .writer_threads = w->writers};
    CRN_TRY_PLAIN(close_store(w));
    if (w->tree == NULL)
        w->tree = tt_tree_new();
    CRN_NEED(err, w->tree, "a tree");
    CRN_TRY_PLAIN(crn_store_open_os(w->os, &options, &w->store, err));
    rc = cairn_run_read(w->store, &run, err);
    if (rc != CAIRN_OK && rc != CAIRN_ENOTFOUND)
        goto out;
    w->run = rc == CAIRN_OK ? run.seed : w->run;
    rc = CAIRN_OK;
    CRN_TRY_PLAIN(cairn_catalogue_read(w->store, &catalogue, err));
    uint64_t counter = 0;
    for (size_t i = 0; i < cairn_catalogue_count(catalogue); i++) {
        const uint64_t other = cairn_catalogue_at(catalogue, i)->save_counter;
        counter = other > counter ? other : counter;
    }
    cairn_run_adopt(w->store, &run, counter);
    const cairn_checkpoint_info *const newest = cairn_catalogue_latest(catalogue);
    if (newest != NULL) {
        CRN_TRY_PLAIN(tt_load_and_compare(w->os, newest->path, NULL, newest->step, err));
        w->step = newest->step > w->step ? newest->step : w->step;
    }
out:
    cairn_run_dispose(&run);
    cairn_catalogue_destroy(catalogue);
    if (rc != CAIRN_OK)
        (void)close_store(w); /* Nobody trains on after a start that failed. */
    return rc;
}

static cairn_status write_run(tt_world *w, cairn_error *err)
{
    const uint64_t number = ++w->run;
    const cairn_run run = {
        .run_id = TT_RUN, .first_step = 0, .save_counter = w->store->save_counter, .seed = number};
    report(w, "running", number, 0);
    const cairn_status rc = cairn_run_write(w->store, &run, err);
    if (rc == CAIRN_OK)
        report(w, "ran", number, 0);
    return rc;
}

static cairn_status save(tt_world *w, bool has_extra, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const uint64_t step = ++w->step;
    cairn_save_extra extra = {.states = "model", .name_template = EXTRA_NAME};
    cairn_save_request request = {.struct_size = sizeof request,
                                  .step = step,
                                  .extras = &extra,
                                  .extra_count = has_extra ? 1 : 0};
    cairn_save_result result;
    CRN_TRY_PLAIN(tt_tree_fill(w->tree, step, err));
    report(w, "saving", step, 0);
    if (has_extra)
        report(w, "adding", step, 0);
    CRN_TRY_PLAIN(cairn_store_save(w->store, w->tree, &request, &result, err));
    report(w, "saved", step, 0);
    if (has_extra)
        report(w, "added", step, 0);
out:
    return rc;
}

/* The capture; then @UPDATES updates against the writer, which the file must not show. */
static cairn_status begin_save(tt_world *w, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const uint64_t step = ++w->step;
    cairn_save_extra extra = {.states = "model", .name_template = EXTRA_NAME};
    cairn_save_request request = {
        .struct_size = sizeof request, .step = step, .extras = &extra, .extra_count = 1};
    CRN_TRY_PLAIN(tt_tree_fill(w->tree, step, err));
    report(w, "saving", step, 0);
    report(w, "adding", step, 0);
    CRN_TRY_PLAIN(cairn_store_save_start(w->store, w->tree, &request, err));
    w->saving = step;
    for (uint64_t i = 0; i < UPDATES; i++)
        CRN_TRY_PLAIN(tt_tree_fill(w->tree, UPDATED + i, err));
out:
    return rc;
}

static cairn_status end_save(tt_world *w, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const uint64_t step = w->saving;
    cairn_save_result result;
    if (step == 0)
        return CAIRN_OK; /* It did not begin, and has said so. */
    w->saving = 0;
    CRN_TRY_PLAIN(cairn_store_save_wait(w->store, &result, err));
    report(w, "saved", step, 0);
    report(w, "added", step, 0);
out:
    return rc;
}

typedef struct errand {
    tt_world *world;
    cairn_error *err;
    cairn_status rc;
} errand;

static void *save_on_thread(void *user)
{
    errand *const e = user;
    e->rc = save(e->world, false, e->err);
    return NULL;
}

static cairn_status save_elsewhere(tt_world *w, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    pthread_t thread;
    errand e = {.world = w, .err = err};
    const int failure = pthread_create(&thread, NULL, save_on_thread, &e);
    if (failure != 0)
        CRN_FAIL_ERRNO(err, failure, "make a thread");
    (void)pthread_join(thread, NULL);
    rc = e.rc;
out:
    return rc;
}

static cairn_status note(tt_world *w, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_catalogue *catalogue = NULL;
    double old = 0.0;
    CRN_TRY_PLAIN(cairn_catalogue_read(w->store, &catalogue, err));
    const cairn_checkpoint_info *const newest = cairn_catalogue_latest(catalogue);
    if (newest == NULL)
        goto out;
    (void)crn_notes_get_number_os(w->os, newest->path, "count", &old);
    const uint64_t number = (uint64_t)old + 1;
    report(w, "noting", newest->step, number);
    CRN_TRY_PLAIN(cairn_notes_set_number(w->store, newest->path, "count", (double)number, err));
    report(w, "noted", newest->step, number);
out:
    cairn_catalogue_destroy(catalogue);
    return rc;
}

/* True if a save is under way whose file was not there when @catalogue was read: it may be now. */
static bool is_one_coming(const tt_world *w, const cairn_catalogue *catalogue)
{
    for (size_t i = 0; i < cairn_catalogue_count(catalogue); i++) {
        const cairn_checkpoint_info *const info = cairn_catalogue_at(catalogue, i);
        if (info->name_matches && info->is_full && info->name.step == w->saving)
            return false;
    }
    return w->saving != 0;
}

/* Reports @word for each full checkpoint but the newest two, the one that is coming included; by
 * their names, since a look into one may fail. Returns how many. */
static uint64_t report_surplus(const tt_world *w, const cairn_catalogue *catalogue,
                               const char *word)
{
    uint64_t surplus = 0;
    size_t full = is_one_coming(w, catalogue) ? 1 : 0;
    for (size_t i = 0; i < cairn_catalogue_count(catalogue); i++) {
        const cairn_checkpoint_info *const info = cairn_catalogue_at(catalogue, i);
        full += info->name_matches && info->is_full;
    }
    for (size_t i = 0; full > KEEP && i < cairn_catalogue_count(catalogue); i++) {
        const cairn_checkpoint_info *const info = cairn_catalogue_at(catalogue, i);
        if (!info->name_matches || !info->is_full)
            continue;
        report(w, word, info->name.step, 0);
        surplus++;
        full--;
    }
    return surplus;
}

static cairn_status prune(tt_world *w, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint64_t deleted = 0;
    cairn_catalogue *catalogue = NULL;
    CRN_TRY_PLAIN(cairn_catalogue_read(w->store, &catalogue, err));
    const uint64_t surplus = report_surplus(w, catalogue, "pruning");
    CRN_TRY_PLAIN(cairn_store_keep_newest(w->store, TT_RUN, KEEP, NULL, &deleted, err));
    /* A file that it could not read just now is never touched, and one that is coming may not have
     * come. */
    if (deleted == surplus)
        (void)report_surplus(w, catalogue, "pruned");
out:
    cairn_catalogue_destroy(catalogue);
    return rc;
}

static cairn_status act(tt_world *w, char deed, cairn_error *err)
{
    if (w->store == NULL && deed != 'o' && deed != 'c')
        return CAIRN_EINVAL; /* The start failed, and has said so. */
    switch (deed) {
    case 'o':
        return start(w, err);
    case 'r':
        return write_run(w, err);
    case 's':
        return save(w, false, err);
    case 'e':
        return save(w, true, err);
    case 't':
        return save_elsewhere(w, err);
    case 'b':
        return begin_save(w, err);
    case 'w':
        return end_save(w, err);
    case 'n':
        return note(w, err);
    case 'p':
        return prune(w, err);
    default:
        return close_store(w);
    }
}

cairn_status tt_world_play(tt_world *world, const char *script, cairn_error *err)
{
    cairn_status first = CAIRN_OK;
    cairn_error later = {0};
    for (const char *p = script; *p != '\0'; p++) {
        const cairn_status rc = act(world, *p, first == CAIRN_OK ? err : &later);
        first = first == CAIRN_OK ? rc : first;
        if (rc != CAIRN_OK && !world->goes_on)
            break;
    }
    return first;
}

void tt_world_end(tt_world *world)
{
    (void)close_store(world);
    cairn_state_tree_destroy(world->tree);
    world->tree = NULL;
}
