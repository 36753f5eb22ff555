/* Retention on the disk: gathers facts, tells the verdicts, deletes. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "ckpt/notes_lock.h"
#include "ckpt/retention.h"
#include "ckpt/store_priv.h"

#define METRIC_DEFAULT "val_loss"

enum { RULE_COUNT = 9 };
_Static_assert(CRN_KEEP_ALL == 1 << (RULE_COUNT - 1), "a text for each reason");
_Static_assert((int)CAIRN_REASONS_MAX == RULE_COUNT - 1, "CRN_KEEP_ALL comes without NEWEST");

struct cairn_retention_plan {
    cairn_catalogue *catalogue;
    cairn_judged *judged; /* one a file of the catalogue */
    crn_own *own;         /* newest first */
    size_t own_count;
    char *texts[RULE_COUNT]; /* by bit */
};

cairn_status cairn_store_delete(cairn_store *store, const char *path, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_path_folder at = {.folder = {.fd = -1}};
    int kept_fd = -1;
    CRN_TRY_PLAIN(crn_store_check_writable(store, err));
    const int e = crn_path_folder_open(store->os, path, &at);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "open the folder of '%s'", path);
    /* Open, it keeps its blocks until the closer's thread closes it. Without: it takes longer. */
    if (store->closer != NULL &&
        store->os->open(store->os, at.folder.fd, at.file, CRN_OPEN_READ, &kept_fd) != 0)
        kept_fd = -1;
    CRN_TRY_PLAIN(crn_publish_remove(&at.folder, at.file, err));
    crn_index_update(store);
out:
    if (kept_fd >= 0)
        crn_closer_add(store->closer, kept_fd);
    crn_path_folder_close(&at);
    if (rc != CAIRN_OK)
        crn_error_note(err, rc, __FILE__, __LINE__, "delete checkpoint '%s'", path);
    return rc;
}

/* ---- Facts ---- */

/* NULL: a full checkpoint of the run, to be judged; else why it is left alone. */
static const char *why_left_alone(const cairn_checkpoint_info *info, const char *run_id)
{
    if (!info->is_readable)
        return info->problem[0] != '\0' ? info->problem : "it cannot be read";
    if (!info->has_metadata)
        return "it has no metadata of cairn";
    if (!info->is_full)
        return "it is an alternative";
    if (strcmp(info->run_id, run_id) != 0)
        return "it is of another run";
    if (!info->name_matches)
        return "its name is not a checkpoint's";
    if (info->name.step != info->step)
        return "its name says another step: it was renamed or copied";
    return NULL;
}

static cairn_status read_facts(const crn_os *os, const cairn_retention *rules, crn_own *own,
                               cairn_error *err)
{
    cairn_notes *notes = NULL;
    const cairn_status rc = crn_notes_read_os(os, own->info->path, &notes, err);
    if (rc == CAIRN_ENOMEM)
        return rc;
    own->has_bad_notes = rc != CAIRN_OK;
    if (rc == CAIRN_OK) {
        own->is_pinned = cairn_notes_is_pinned(notes);
        own->has_metric = rules->best > 0 && cairn_notes_number(notes, rules->metric, &own->metric);
    }
    cairn_notes_destroy(notes);
    return CAIRN_OK;
}

static cairn_status gather(cairn_retention_plan *plan, const cairn_store *store, const char *run_id,
                           const cairn_retention *rules, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const size_t count = cairn_catalogue_count(plan->catalogue);
    plan->judged = crn_calloc(count, sizeof *plan->judged);
    plan->own = crn_calloc(count, sizeof *plan->own);
    CRN_NEED(err, plan->judged, "a list of checkpoints");
    CRN_NEED(err, plan->own, "a list of checkpoints");
    for (size_t i = 0; i < count; i++) {
        cairn_judged *const judged = &plan->judged[i];
        judged->info = cairn_catalogue_at(plan->catalogue, i);
        judged->verdict = CAIRN_VERDICT_LEAVE;
        judged->reasons[0] = why_left_alone(judged->info, run_id);
        judged->reason_count = 1;
        if (judged->reasons[0] != NULL)
            continue;
        crn_own *const own = &plan->own[plan->own_count++];
        own->info = judged->info;
        CRN_TRY_PLAIN(read_facts(store->os, rules, own, err));
    }
    crn_retention_sort(plan->own, plan->own_count);
out:
    return rc;
}

/* *@out: the own one that is the file @path, however it is written; NULL if none is. */
static cairn_status find_own(const cairn_retention_plan *plan, const crn_os *os, const char *path,
                             crn_own **out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    char *real = NULL;
    char *other = NULL;
    *out = NULL;
    for (size_t i = 0; i < plan->own_count && *out == NULL; i++) {
        if (strcmp(plan->own[i].info->path, path) == 0)
            *out = &plan->own[i];
    }
    if (*out != NULL)
        return CAIRN_OK;
    int e = os->real_path(os, path, &real);
    if (e == ENOENT)
        return CAIRN_OK;
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "resolve '%s'", path);
    for (size_t i = 0; i < plan->own_count && *out == NULL; i++) {
        crn_free(other);
        other = NULL;
        e = os->real_path(os, plan->own[i].info->path, &other);
        if (e != 0)
            CRN_FAIL_ERRNO(err, e, "resolve '%s'", plan->own[i].info->path);
        if (strcmp(other, real) == 0)
            *out = &plan->own[i];
    }
out:
    crn_free(other);
    crn_free(real);
    return rc;
}

/* Until a start has saved something, --resume repeats it: what it loaded must stay. */
static cairn_status protect_loaded(const cairn_retention_plan *plan, const cairn_store *store,
                                   const char *run_id, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_run run = {.loaded_path = NULL};
    crn_own *own = NULL;
    rc = cairn_run_read(store, &run, err);
    if (rc == CAIRN_ENOTFOUND || rc == CAIRN_ECORRUPT || rc == CAIRN_EVERSION)
        return CAIRN_OK; /* --resume loads nothing by it. */
    CRN_TRY_PLAIN(rc);
    if (strcmp(run.run_id, run_id) == 0 && run.loaded_path != NULL &&
        (plan->own_count == 0 || plan->own[0].info->save_counter <= run.save_counter))
        CRN_TRY_PLAIN(find_own(plan, store->os, run.loaded_path, &own, err));
    if (own != NULL)
        own->is_loading = true;
out:
    cairn_run_dispose(&run);
    return rc;
}

static cairn_status protect_given(const cairn_retention_plan *plan, const cairn_store *store,
                                  const char *path, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_own *own = NULL;
    if (path != NULL)
        CRN_TRY_PLAIN(find_own(plan, store->os, path, &own, err));
    if (own != NULL)
        own->is_protected = true;
out:
    return rc;
}

/* ---- Verdicts ---- */

static cairn_status make_texts(cairn_retention_plan *plan, const cairn_retention *rules,
                               cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_str texts[RULE_COUNT] = {{0}};
    crn_str_printf(&texts[0], "newest %" PRIu64, rules->newest);
    crn_str_printf(&texts[1], "every %" PRIu64 " steps", rules->every);
    crn_str_printf(&texts[2], "best %" PRIu64 " by %s", rules->best, rules->metric);
    crn_str_printf(&texts[3], "one in %g minutes", rules->minutes);
    crn_str_append(&texts[4], "pinned");
    crn_str_append(&texts[5], "protected: its notes cannot be read");
    crn_str_append(&texts[6], "protected: --resume would load it");
    crn_str_append(&texts[7], "protected: in use");
    crn_str_append(&texts[8], "there is no limit");
    for (size_t i = 0; i < RULE_COUNT; i++) {
        plan->texts[i] = crn_str_take(&texts[i]);
        if (plan->texts[i] == NULL)
            rc = CAIRN_ENOMEM;
        crn_str_dispose(&texts[i]);
    }
    if (rc != CAIRN_OK)
        CRN_FAIL(err, CAIRN_ENOMEM, "no memory for the reasons");
out:
    return rc;
}

static void judge(const cairn_retention_plan *plan, const crn_own *own)
{
    const size_t i = (size_t)(own->info - cairn_catalogue_at(plan->catalogue, 0));
    cairn_judged *const judged = &plan->judged[i];
    judged->reason_count = 0;
    for (size_t bit = 0; bit < RULE_COUNT; bit++) {
        if ((own->reasons & 1U << bit) != 0)
            judged->reasons[judged->reason_count++] = plan->texts[bit];
    }
    judged->verdict = CAIRN_VERDICT_KEEP;
    if (own->reasons != 0)
        return;
    const bool is_whole = own->wholeness == CRN_WHOLE;
    judged->verdict = is_whole ? CAIRN_VERDICT_DELETE : CAIRN_VERDICT_LEAVE;
    judged->reasons[judged->reason_count++] = is_whole ? "no rule keeps it" : "it is damaged";
}

/* The whole header is intact and the file as long as it says. */
static bool is_whole_file(void *user, const crn_own *own)
{
    const crn_os *const os = user;
    cairn_checkpoint *ckpt = NULL;
    const bool is_good = crn_checkpoint_open_os(os, own->info->path, &ckpt, NULL) == CAIRN_OK;
    cairn_checkpoint_close(ckpt);
    return is_good;
}

cairn_status cairn_retention_plan_make(const cairn_store *store, const char *run_id,
                                       const cairn_retention *retention, cairn_retention_plan **out,
                                       cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_retention rules;
    union {
        const crn_os *in;
        void *out;
    } os = {.in = store->os}; /* is_whole_file takes it back as it was. */
    cairn_retention_plan *plan = crn_calloc(1, sizeof *plan);
    CRN_NEED(err, plan, "a retention plan");
    CRN_TRY_PLAIN(crn_options_copy(&rules, sizeof rules, retention, err));
    if (!(rules.minutes >= 0.0))
        CRN_FAIL(err, CAIRN_ECONFIG, "minutes is %g; it must not be negative", rules.minutes);
    if (rules.metric == NULL)
        rules.metric = METRIC_DEFAULT;
    CRN_TRY(err, cairn_catalogue_read(store, &plan->catalogue, err), "find checkpoints to delete");
    CRN_TRY_PLAIN(make_texts(plan, &rules, err));
    CRN_TRY_PLAIN(gather(plan, store, run_id, &rules, err));
    CRN_TRY_PLAIN(protect_loaded(plan, store, run_id, err));
    CRN_TRY_PLAIN(protect_given(plan, store, rules.protected_path, err));
    crn_retention_decide(plan->own, plan->own_count, &rules, is_whole_file, os.out);
    for (size_t i = 0; i < plan->own_count; i++)
        judge(plan, &plan->own[i]);
    *out = plan;
    plan = NULL;
out:
    cairn_retention_plan_destroy(plan);
    return rc;
}

size_t cairn_retention_plan_count(const cairn_retention_plan *plan)
{
    return cairn_catalogue_count(plan->catalogue);
}

const cairn_judged *cairn_retention_plan_at(const cairn_retention_plan *plan, size_t i)
{
    return &plan->judged[i];
}

void cairn_retention_plan_destroy(cairn_retention_plan *plan)
{
    if (plan == NULL)
        return;
    for (size_t i = 0; i < RULE_COUNT; i++)
        crn_free(plan->texts[i]);
    cairn_catalogue_destroy(plan->catalogue);
    crn_free(plan->judged);
    crn_free(plan->own);
    crn_free(plan);
}

/* ---- Deletion ---- */

/* Looks for a pin and deletes under the lock under which pins are set. */
static cairn_status delete_unpinned(cairn_store *store, const char *path, bool *out_deleted,
                                    cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_path_folder at = {.folder = {.fd = -1}};
    crn_notes_lock lock = {.fd = -1};
    cairn_notes *notes = NULL;
    const int e = crn_path_folder_open(store->os, path, &at);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "open the folder of '%s'", path);
    CRN_TRY(err, crn_notes_lock_take(&lock, &at.folder, err), "delete checkpoint '%s'", path);
    rc = crn_notes_read_os(store->os, path, &notes, err);
    *out_deleted = rc == CAIRN_OK && !cairn_notes_is_pinned(notes);
    if (rc == CAIRN_ECORRUPT) /* Since a moment ago: the next plan says so. */
        rc = CAIRN_OK;
    CRN_TRY_PLAIN(rc);
    if (*out_deleted)
        CRN_TRY_PLAIN(cairn_store_delete(store, path, err));
out:
    if (rc != CAIRN_OK)
        *out_deleted = false;
    cairn_notes_destroy(notes);
    crn_notes_lock_release(&lock);
    crn_path_folder_close(&at);
    return rc;
}

cairn_status cairn_retention_plan_apply(cairn_store *store, const cairn_retention_plan *plan,
                                        uint64_t *out_deleted, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint64_t deleted = 0;
    CRN_TRY_PLAIN(crn_store_check_writable(store, err));
    for (size_t i = plan->own_count; i-- > 0;) {
        const crn_own *const own = &plan->own[i];
        bool is_deleted = false;
        if (own->reasons != 0 || own->wholeness != CRN_WHOLE)
            continue;
        CRN_TRY_PLAIN(delete_unpinned(store, own->info->path, &is_deleted, err));
        deleted += is_deleted;
        if (is_deleted)
            cairn_log_message(store->log, CAIRN_LOG_DEBUG, "Deleted checkpoint %s",
                              own->info->path);
    }
out:
    if (out_deleted != NULL)
        *out_deleted = deleted;
    return rc;
}

cairn_status cairn_store_prune(cairn_store *store, const char *run_id,
                               const cairn_retention *retention, uint64_t *out_deleted,
                               cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_retention_plan *plan = NULL;
    if (out_deleted != NULL)
        *out_deleted = 0;
    CRN_TRY_PLAIN(crn_store_check_writable(store, err));
    CRN_TRY_PLAIN(cairn_retention_plan_make(store, run_id, retention, &plan, err));
    rc = cairn_retention_plan_apply(store, plan, out_deleted, err);
out:
    cairn_retention_plan_destroy(plan);
    return rc;
}

cairn_status cairn_store_keep_newest(cairn_store *store, const char *run_id, uint64_t n,
                                     const char *protected_path, uint64_t *out_deleted,
                                     cairn_error *err)
{
    const cairn_retention retention = {
        .struct_size = sizeof retention, .newest = n > 0 ? n : 1, .protected_path = protected_path};
    return cairn_store_prune(store, run_id, &retention, out_deleted, err);
}
