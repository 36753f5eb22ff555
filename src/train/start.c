/*
 * How a fit starts: which checkpoint is loaded, which run goes on, and what the user is told.
 *
 * An ordinary start follows ckpt_path and autoload. --resume follows run.json alone: the newest
 * checkpoint that the run has saved since it last started, or else what that start loaded.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "train/trainer_priv.h"

/* What the start decided. */
struct start {
    cairn_catalogue *catalogue;
    bool has_old_run; /* run.json was there and readable */
    cairn_run old_run;
    crn_load_outcome outcome;
};

/* ---- Helpers over the catalogue ---- */

/* By what the file says, whatever its name: checkpoint_name may have been changed meanwhile. */
static bool is_own(const cairn_checkpoint_info *info, const char *run_id)
{
    return info->is_readable && info->is_full && info->has_metadata &&
           strcmp(info->run_id, run_id) == 0;
}

static uint64_t newest_counter(const cairn_catalogue *catalogue, const char *run_id,
                               uint64_t at_least)
{
    uint64_t newest = at_least;
    for (size_t i = 0; i < cairn_catalogue_count(catalogue); i++) {
        const cairn_checkpoint_info *const info = cairn_catalogue_at(catalogue, i);
        if (is_own(info, run_id) && info->save_counter > newest)
            newest = info->save_counter;
    }
    return newest;
}

/* The own checkpoint with the largest counter in (@above, @below); NULL if there is none. */
static const cairn_checkpoint_info *newest_own(const cairn_catalogue *catalogue, const char *run_id,
                                               uint64_t above, uint64_t below)
{
    const cairn_checkpoint_info *best = NULL;
    for (size_t i = 0; i < cairn_catalogue_count(catalogue); i++) {
        const cairn_checkpoint_info *const info = cairn_catalogue_at(catalogue, i);
        if (is_own(info, run_id) && info->save_counter > above && info->save_counter < below &&
            (best == NULL || info->save_counter > best->save_counter))
            best = info;
    }
    return best;
}

static int64_t modified_ns(const cairn_trainer *trainer, const char *path)
{
    crn_file_stat info;
    return trainer->os->stat(trainer->os, CRN_OS_CWD, path, &info) == 0 ? info.mtime_ns : INT64_MAX;
}

/* When the run last started, by the clock of the file system; INT64_MIN if that is not known. */
static int64_t started_ns(const cairn_trainer *trainer)
{
    crn_str path = {0};
    int64_t ns = INT64_MIN;
    crn_str_printf(&path, "%s/run.json", cairn_store_model_dir(trainer->store));
    if (crn_str_check(&path, NULL) == CAIRN_OK)
        ns = modified_ns(trainer, path.text);
    crn_str_dispose(&path);
    return ns != INT64_MAX ? ns : INT64_MIN;
}

/*
 * Names each file that has a checkpoint's name and is none. Returns how many of them may be saves
 * of the run since it started: those that are not older than its start.
 */
static size_t name_damaged(const cairn_trainer *trainer, const cairn_catalogue *catalogue)
{
    const int64_t started = started_ns(trainer);
    size_t count = 0;
    for (size_t i = 0; i < cairn_catalogue_count(catalogue); i++) {
        const cairn_checkpoint_info *const info = cairn_catalogue_at(catalogue, i);
        if (!info->name_matches || info->is_readable)
            continue;
        cairn_log_message(trainer->options.log, CAIRN_LOG_ERROR, "%s is damaged and skipped: %s",
                          info->path, info->problem);
        count += modified_ns(trainer, info->path) >= started;
    }
    return count;
}

/* Whether @path lies in one of the store's folders. */
static bool is_in_store(const cairn_trainer *trainer, const char *path)
{
    const crn_os *const os = trainer->os;
    const char *const folders[] = {cairn_store_model_dir(trainer->store),
                                   cairn_store_checkpoint_root(trainer->store)};
    char *real = NULL;
    bool is_inside = false;
    if (os->real_path(os, path, &real) != 0)
        return false;
    *strrchr(real, '/') = '\0';
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        char *folder = NULL;
        if (os->real_path(os, folders[i], &folder) == 0)
            is_inside = is_inside || strcmp(folder, real) == 0;
        crn_free(folder);
    }
    crn_free(real);
    return is_inside;
}

static const char *base_name(const char *path)
{
    const char *const slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static bool has_checkpoint_name(const cairn_trainer *trainer, const char *path)
{
    cairn_checkpoint_name name;
    return cairn_checkpoint_name_parse(trainer->options.checkpoint.checkpoint_name, base_name(path),
                                       &name) &&
           is_in_store(trainer, path);
}

/* ---- Loading ---- */

static cairn_status load_one(cairn_trainer *trainer, struct start *start, const crn_load_plan *plan,
                             cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_load_outcome_dispose(&start->outcome);
    crn_free(trainer->loaded_path);
    trainer->loaded_path = crn_strdup(plan->path);
    CRN_NEED(err, trainer->loaded_path, "a path");
    CRN_TRY_PLAIN(crn_trainer_reset_tree(trainer, err));
    /* Others may start from a file elsewhere at the same time, and its folder is not ours. */
    if (!trainer->is_dry_run && is_in_store(trainer, plan->path))
        crn_trainer_start_begins(trainer, start->catalogue);
    CRN_TRY_PLAIN(crn_trainer_load(trainer, plan, &start->outcome, err));
out:
    return rc;
}

/*
 * As load_one, for a checkpoint that was chosen by itself: damage is named and *out_loaded stays
 * false, so that an older one is tried. What does not fit is an error at once.
 */
static cairn_status load_or_skip(cairn_trainer *trainer, struct start *start,
                                 const crn_load_plan *plan, bool *out_loaded, cairn_error *err)
{
    cairn_error damage = {0};
    const cairn_status rc = load_one(trainer, start, plan, &damage);
    if (rc == CAIRN_OK) {
        *out_loaded = true;
        return CAIRN_OK;
    }
    if (rc == CAIRN_ECORRUPT || rc == CAIRN_ENOTFOUND || rc == CAIRN_EIO) {
        char text[1024];
        (void)cairn_error_format(&damage, text, sizeof text);
        cairn_log_message(trainer->options.log, CAIRN_LOG_ERROR, "%s is damaged and skipped: %s",
                          plan->path, text);
        crn_trainer_start_withdrawn(trainer);
        return CAIRN_OK;
    }
    if (err != NULL)
        *err = damage;
    return rc;
}

/* From random weights, with the hooks of a load that loads nothing. */
static cairn_status load_nothing(cairn_trainer *trainer, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_event event = crn_trainer_event(trainer);
    crn_free(trainer->loaded_path);
    trainer->loaded_path = NULL;
    CRN_TRY_PLAIN(crn_trainer_call(trainer, CRN_HOOK_on_before_load_checkpoint, &event, err));
    CRN_TRY_PLAIN(crn_trainer_reset_tree(trainer, err));
    CRN_TRY_PLAIN(crn_trainer_initialize_model(trainer, err));
    cairn_log_message(trainer->options.log, CAIRN_LOG_INFO,
                      "No checkpoint was provided. Using randomly initialized model parameters.");
out:
    return rc;
}

static cairn_status none_is_good(const cairn_trainer *trainer, size_t damaged, cairn_error *err)
{
    return crn_error_set(
        err, CAIRN_ECORRUPT, 0, __FILE__, __LINE__,
        "all %zu checkpoints in '%s' are damaged; copy a good one there, or%s name "
        "one as ckpt_path, or give ckpt_path: null to start from scratch",
        damaged, cairn_store_checkpoint_root(trainer->store),
        trainer->options.checkpoint.resume ? " without --resume" : "");
}

static size_t count_alternatives(const cairn_catalogue *catalogue)
{
    size_t count = 0;
    for (size_t i = 0; i < cairn_catalogue_count(catalogue); i++) {
        const cairn_checkpoint_info *const info = cairn_catalogue_at(catalogue, i);
        count += info->is_readable && info->has_metadata && !info->is_full;
    }
    return count;
}

/* Newest first; damage is skipped; files but none good is an error, never a silent new start. */
static cairn_status autoload(cairn_trainer *trainer, struct start *start, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_log *const log = trainer->options.log;
    const char *const folder = cairn_store_checkpoint_root(trainer->store);
    bool is_loaded = false;
    size_t damaged = 0;
    cairn_log_message(log, CAIRN_LOG_INFO,
                      "Checkpoint autoloading is enabled. Looking for latest checkpoint in \"%s\" "
                      "directory",
                      folder);
    for (size_t i = cairn_catalogue_count(start->catalogue); i-- > 0 && !is_loaded;) {
        const cairn_checkpoint_info *const info = cairn_catalogue_at(start->catalogue, i);
        if (!info->name_matches || (info->is_readable && info->has_metadata && !info->is_full))
            continue;
        const crn_load_plan plan = {.path = info->path};
        cairn_log_message(log, CAIRN_LOG_INFO, "Found latest checkpoint at \"%s\".", info->path);
        CRN_TRY_PLAIN(load_or_skip(trainer, start, &plan, &is_loaded, err));
        damaged += !is_loaded;
    }
    if (!is_loaded && damaged > 0)
        CRN_TRY_PLAIN(none_is_good(trainer, damaged, err));
    if (!is_loaded) {
        const size_t alternatives = count_alternatives(start->catalogue);
        if (alternatives > 0)
            cairn_log_message(log, CAIRN_LOG_INFO,
                              "Only alternative checkpoints (%zu) are in \"%s\"; they are never "
                              "autoloaded.",
                              alternatives, folder);
        else
            cairn_log_message(log, CAIRN_LOG_INFO, "No checkpoints were found in \"%s\".", folder);
        CRN_TRY_PLAIN(load_nothing(trainer, err));
    }
out:
    return rc;
}

static cairn_status ordinary(cairn_trainer *trainer, struct start *start, cairn_ckpt ckpt,
                             cairn_error *err)
{
    const bool is_autoload =
        ckpt.kind == CAIRN_CKPT_OMITTED && trainer->options.checkpoint.autoload_last_checkpoint;
    if (ckpt.kind == CAIRN_CKPT_PATH) {
        const crn_load_plan plan = {.path = ckpt.path,
                                    .is_plain_allowed = !has_checkpoint_name(trainer, ckpt.path)};
        return load_one(trainer, start, &plan, err);
    }
    return is_autoload ? autoload(trainer, start, err) : load_nothing(trainer, err);
}

/* The run's own checkpoints since its start, newest first. */
static cairn_status resume_own(cairn_trainer *trainer, struct start *start, bool *out_loaded,
                               cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_run *const run = &start->old_run;
    size_t damaged = name_damaged(trainer, start->catalogue);
    uint64_t below = UINT64_MAX;
    for (;;) {
        const cairn_checkpoint_info *const info =
            newest_own(start->catalogue, run->run_id, run->save_counter, below);
        if (info == NULL)
            break;
        const crn_load_plan plan = {.path = info->path, .is_fixed = true};
        below = info->save_counter;
        CRN_TRY_PLAIN(load_or_skip(trainer, start, &plan, out_loaded, err));
        if (*out_loaded)
            break;
        damaged++;
    }
    if (!*out_loaded && damaged > 0)
        CRN_TRY_PLAIN(none_is_good(trainer, damaged, err));
out:
    return rc;
}

/* --resume: *out_resumed stays false if there is nothing to resume. */
static cairn_status resume(cairn_trainer *trainer, struct start *start, bool *out_resumed,
                           cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_run *const run = &start->old_run;
    bool is_loaded = false;
    if (!start->has_old_run) {
        cairn_log_message(trainer->options.log, CAIRN_LOG_INFO,
                          "--resume: no run has started in '%s' yet; an ordinary start",
                          cairn_store_model_dir(trainer->store));
        return CAIRN_OK;
    }
    *out_resumed = true;
    CRN_TRY_PLAIN(resume_own(trainer, start, &is_loaded, err));
    if (is_loaded)
        goto out;
    if (run->loaded_path == NULL) {
        CRN_TRY_PLAIN(load_nothing(trainer, err));
        goto out;
    }
    const crn_load_plan plan = {.path = run->loaded_path,
                                .states = run->loaded_states,
                                .is_fixed = true,
                                .is_plain_allowed =
                                    !has_checkpoint_name(trainer, run->loaded_path)};
    CRN_TRY_PLAIN(load_one(trainer, start, &plan, err));
out:
    return rc;
}

/* ---- Seed and run ---- */

static cairn_status choose_seed(cairn_trainer *trainer, const struct start *start, bool is_resume,
                                cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (trainer->options.seed.is_set) {
        trainer->seed = (uint64_t)trainer->options.seed.value;
    } else if (is_resume && start->has_old_run) {
        trainer->seed = start->old_run.seed;
    } else {
        uint32_t drawn = 0;
        const int e = trainer->os->random(trainer->os, &drawn, sizeof drawn);
        if (e != 0)
            CRN_FAIL_ERRNO(err, e, "draw a seed");
        trainer->seed = drawn;
    }
    cairn_loader_set_seed(trainer->train, trainer->seed);
out:
    return rc;
}

static cairn_status copy_text(char **out, const char *text, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    *out = NULL;
    if (text == NULL)
        return CAIRN_OK;
    *out = crn_strdup(text);
    CRN_NEED(err, *out, "a text of the run");
out:
    return rc;
}

/* Which run this process is part of; see DESIGN "own" and "run". */
static cairn_status identify_run(cairn_trainer *trainer, const struct start *start,
                                 cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_run *const run = &trainer->run;
    const crn_load_outcome *const outcome = &start->outcome;
    const cairn_run *const old = &start->old_run;
    if (trainer->is_resumed) {
        *run = *old;
        run->loaded_path = NULL;
        run->loaded_states = NULL;
        run->complete_reason = NULL;
        CRN_TRY_PLAIN(copy_text(&run->complete_reason, old->complete_reason, err));
        CRN_TRY_PLAIN(copy_text(&run->loaded_path, old->loaded_path, err));
        CRN_TRY_PLAIN(copy_text(&run->loaded_states, old->loaded_states, err));
        cairn_run_adopt(trainer->store, run,
                        newest_counter(start->catalogue, run->run_id, run->save_counter));
        goto out;
    }
    *run = (cairn_run){
        .first_step = trainer->step, .seed = trainer->seed, .stage = trainer->options.stage};
    const bool continues = outcome->step_loaded && outcome->run_id[0] != '\0' &&
                           is_in_store(trainer, trainer->loaded_path);
    if (continues) {
        memcpy(run->run_id, outcome->run_id, sizeof run->run_id);
        run->save_counter = newest_counter(start->catalogue, run->run_id, 0);
        if (start->has_old_run && strcmp(old->run_id, run->run_id) == 0)
            memcpy(run->parent_run_id, old->parent_run_id, sizeof run->parent_run_id);
    } else {
        CRN_TRY_PLAIN(cairn_run_new_id(run->run_id, err));
        memcpy(run->parent_run_id, outcome->run_id, sizeof run->parent_run_id);
    }
    CRN_TRY_PLAIN(copy_text(&run->loaded_path, trainer->loaded_path, err));
    CRN_TRY_PLAIN(copy_text(&run->loaded_states, outcome->states, err));
out:
    return rc;
}

/* ---- What the user is told ---- */

static void warn_about_newer(const cairn_trainer *trainer, const struct start *start)
{
    if (trainer->is_resumed || !start->has_old_run)
        return;
    const cairn_checkpoint_info *const newest = newest_own(start->catalogue, start->old_run.run_id,
                                                           start->old_run.save_counter, UINT64_MAX);
    if (newest == NULL || newest->step <= trainer->step)
        return;
    cairn_log_message(trainer->options.log, CAIRN_LOG_WARNING,
                      "STARTING OVER at step %" PRIu64 " although this run was at step %" PRIu64
                      " already (%s). To go on from there, give --resume.",
                      trainer->step, newest->step, newest->path);
}

/* A file may have been copied or renamed: its name decides what is newest, its contents where the
 * training goes on. */
static void say_name_differs(const cairn_trainer *trainer, const struct start *start)
{
    cairn_checkpoint_name name;
    if (trainer->loaded_path == NULL || !start->outcome.step_loaded ||
        !cairn_checkpoint_name_parse(trainer->options.checkpoint.checkpoint_name,
                                     base_name(trainer->loaded_path), &name) ||
        name.step == trainer->step)
        return;
    cairn_log_message(trainer->options.log, CAIRN_LOG_WARNING,
                      "%s is named for step %" PRIu64 " but holds step %" PRIu64
                      "; training goes on at step %" PRIu64,
                      trainer->loaded_path, name.step, trainer->step, trainer->step);
}

static void say_start(const cairn_trainer *trainer, const struct start *start)
{
    const cairn_log *const log = trainer->options.log;
    const cairn_run *const run = &trainer->run;
    const char *const path = trainer->loaded_path;
    const crn_load_outcome *const outcome = &start->outcome;
    if (path == NULL && trainer->is_resumed) {
        cairn_log_message(log, CAIRN_LOG_WARNING,
                          "fresh start again: no checkpoint of run %s is there (none was saved, or "
                          "they were removed)",
                          run->run_id);
    } else if (path == NULL) {
        cairn_log_message(log, CAIRN_LOG_INFO, "fresh start (run %s)", run->run_id);
    } else if (outcome->step_loaded && strcmp(outcome->run_id, run->run_id) == 0) {
        cairn_log_message(log, CAIRN_LOG_INFO, "continues run %s from %s at step %" PRIu64,
                          run->run_id, path, trainer->step);
    } else {
        cairn_log_message(log, CAIRN_LOG_INFO, "new run%s from %s: loaded %s; fresh: %s (run %s)",
                          trainer->is_resumed ? " again" : "", path, outcome->loaded.text,
                          outcome->fresh.length > 0 ? outcome->fresh.text : "nothing", run->run_id);
    }
}

cairn_status crn_trainer_make_schedule(cairn_trainer *trainer, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_opt_float minutes = trainer->options.checkpoint.minutes;
    if (minutes.is_set && !(minutes.value >= 0.0))
        CRN_FAIL(err, CAIRN_ECONFIG, "checkpoint.minutes is %g; it must not be negative",
                 minutes.value);
    rc = crn_run_schedule_make(&trainer->options.loop, trainer->options.checkpoint.steps,
                               trainer->run.first_step,
                               cairn_loader_batches_per_epoch(trainer->train),
                               trainer->val_count > 0, &trainer->schedule, err);
out:
    return rc;
}

static cairn_status read_old_run(cairn_trainer *trainer, struct start *start, bool is_resume,
                                 cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_error damage = {0};
    rc = cairn_run_read(trainer->store, &start->old_run, &damage);
    start->has_old_run = rc == CAIRN_OK;
    if (rc == CAIRN_ENOTFOUND || (rc != CAIRN_OK && !is_resume)) {
        rc = CAIRN_OK; /* An ordinary start does not need it and replaces it. */
    } else if (rc != CAIRN_OK) {
        if (err != NULL)
            *err = damage;
        crn_error_note(err, rc, __FILE__, __LINE__,
                       "--resume needs run.json; without the flag ckpt_path and autoload decide");
    }
    return rc;
}

/* Segments and rounds of validations are counted from where the run started. */
static void number_loops(cairn_trainer *trainer)
{
    const crn_run_schedule *const schedule = &trainer->schedule;
    const uint64_t done = crn_run_schedule_validations_after(schedule, schedule->first_step) -
                          crn_run_schedule_validations_after(schedule, trainer->step);
    trainer->loop_index = done;
    trainer->validation_index = done;
}

/* Of several trainers of a file, run.json is that of the one that started last. */
static bool is_my_turn(cairn_trainer *trainer, const cairn_run *old)
{
    const uint64_t stage = trainer->options.stage;
    if (old->stage > stage) {
        trainer->is_superseded = true;
        trainer->step = old->first_step;
    } else if (old->stage < stage) {
        cairn_log_message(trainer->options.log, CAIRN_LOG_INFO,
                          "--resume: trainer %" PRIu64
                          " of the file has not started yet; an ordinary start",
                          stage + 1);
    }
    return old->stage == stage;
}

cairn_status crn_trainer_start(cairn_trainer *trainer, cairn_ckpt ckpt, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    struct start start = {0};
    bool is_resume = trainer->options.checkpoint.resume;
    CRN_TRY_PLAIN(cairn_catalogue_read(trainer->store, &start.catalogue, err));
    CRN_TRY_PLAIN(read_old_run(trainer, &start, is_resume, err));
    if (is_resume && start.has_old_run)
        is_resume = is_my_turn(trainer, &start.old_run);
    if (trainer->is_superseded)
        goto out;
    CRN_TRY_PLAIN(choose_seed(trainer, &start, is_resume, err));
    if (is_resume)
        CRN_TRY_PLAIN(resume(trainer, &start, &trainer->is_resumed, err));
    if (!trainer->is_resumed)
        CRN_TRY_PLAIN(ordinary(trainer, &start, ckpt, err));
    CRN_TRY_PLAIN(identify_run(trainer, &start, err));
    CRN_TRY_PLAIN(crn_trainer_make_schedule(trainer, err));
    number_loops(trainer);
    if (crn_trainer_is_ended_for_good(trainer))
        trainer->schedule.end_step = trainer->step;
    if (!trainer->options.seed.is_set)
        cairn_log_message(trainer->options.log, CAIRN_LOG_INFO,
                          "No seed was given; using seed %" PRIu64 ".", trainer->seed);
    warn_about_newer(trainer, &start);
    say_name_differs(trainer, &start);
    say_start(trainer, &start);
    if (trainer->step < trainer->schedule.end_step)
        CRN_TRY_PLAIN(crn_trainer_plan(trainer, start.catalogue, err));
    if (start.outcome.step_loaded && start.outcome.fresh.length == 0 &&
        strcmp(start.outcome.run_id, trainer->run.run_id) == 0) {
        trainer->saved_step = trainer->step;
        trainer->saved_path = crn_strdup(trainer->loaded_path);
        CRN_NEED(err, trainer->saved_path, "a path");
    }
out:
    crn_load_outcome_dispose(&start.outcome);
    cairn_run_dispose(&start.old_run);
    cairn_catalogue_destroy(start.catalogue);
    return rc;
}

/* A validation opens the store only to look for checkpoints, and changes nothing in it. */
static cairn_status read_catalogue(cairn_trainer *trainer, cairn_catalogue **out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (trainer->store == NULL)
        CRN_TRY_PLAIN(crn_trainer_open_store(trainer, true, err));
    CRN_TRY_PLAIN(cairn_catalogue_read(trainer->store, out, err));
out:
    return rc;
}

cairn_status crn_trainer_start_validation(cairn_trainer *trainer, cairn_ckpt ckpt, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_catalogue *catalogue = NULL;
    crn_load_outcome outcome = {0};
    crn_load_plan plan = {.path = ckpt.path, .is_plain_allowed = true};
    CRN_TRY_PLAIN(crn_trainer_reset_tree(trainer, err));
    if (ckpt.kind == CAIRN_CKPT_OMITTED && trainer->options.checkpoint.autoload_last_checkpoint) {
        CRN_TRY_PLAIN(read_catalogue(trainer, &catalogue, err));
        const cairn_checkpoint_info *const latest = cairn_catalogue_latest(catalogue);
        plan.path = latest != NULL ? latest->path : NULL;
        plan.is_plain_allowed = false;
    }
    crn_free(trainer->loaded_path);
    CRN_TRY_PLAIN(copy_text(&trainer->loaded_path, plan.path, err));
    if (plan.path != NULL) {
        CRN_TRY_PLAIN(crn_trainer_load(trainer, &plan, &outcome, err));
    } else {
        cairn_event event = crn_trainer_event(trainer);
        event.is_validation = true;
        CRN_TRY_PLAIN(crn_trainer_call(trainer, CRN_HOOK_on_before_load_checkpoint, &event, err));
        CRN_TRY_PLAIN(crn_trainer_initialize_model(trainer, err));
        cairn_log_message(trainer->options.log, CAIRN_LOG_WARNING,
                          "No checkpoint was provided. Using randomly initialized model "
                          "parameters.");
    }
out:
    crn_load_outcome_dispose(&outcome);
    cairn_catalogue_destroy(catalogue);
    return rc;
}

static cairn_status add_all(const cairn_catalogue *catalogue, crn_path_list *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    for (size_t i = 0; i < cairn_catalogue_count(catalogue); i++) {
        const cairn_checkpoint_info *const info = cairn_catalogue_at(catalogue, i);
        if (info->name_matches && (info->is_full || !info->is_readable))
            CRN_TRY_PLAIN(crn_path_list_add(out, info->path, err)); /* Damage is said on load. */
    }
out:
    return rc;
}

cairn_status crn_trainer_find_ckpts(cairn_trainer *trainer, const cairn_ckpts *ckpts,
                                    crn_path_list *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_catalogue *catalogue = NULL;
    if (ckpts->kind == CAIRN_CKPT_PATH)
        return crn_path_list_expand(trainer->os, ckpts->paths, ckpts->count, out, err);
    if (ckpts->kind == CAIRN_CKPT_NULL)
        return CAIRN_OK;
    if (!trainer->options.checkpoint.autoload_last_checkpoint)
        CRN_FAIL(err, CAIRN_ENOTFOUND,
                 "validate_all has no ckpt_paths, and autoload_last_checkpoint is false; give one "
                 "of them");
    CRN_TRY_PLAIN(read_catalogue(trainer, &catalogue, err));
    CRN_TRY_PLAIN(add_all(catalogue, out, err));
    if (out->count == 0)
        CRN_FAIL(err, CAIRN_ENOTFOUND, "there are no checkpoints in '%s'; give ckpt_paths",
                 cairn_store_checkpoint_root(trainer->store));
out:
    cairn_catalogue_destroy(catalogue);
    return rc;
}
