/* What must be left after an accident, and whether it is. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "ckpt/names.h"
#include "ckpt/store_priv.h"
#include "torture/torture.h"

/* ---- The journal ---- */

void tt_acks_add(void *acks, const char *event)
{
    tt_acks *const a = acks;
    char word[16];
    uint64_t step = 0;
    uint64_t value = 0;
    if (sscanf(event, "%15s %" SCNu64 " %" SCNu64, word, &step, &value) < 2)
        return;
    if (strcmp(word, "running") == 0)
        a->run_tried = step;
    if (strcmp(word, "ran") == 0)
        a->run = step;
    tt_fate *const fate = &a->step[step % TT_STEPS_MAX];
    fate->is_tried |= strcmp(word, "saving") == 0;
    fate->is_saved |= strcmp(word, "saved") == 0;
    fate->is_extra_tried |= strcmp(word, "adding") == 0;
    fate->is_extra_saved |= strcmp(word, "added") == 0;
    fate->may_go |= strcmp(word, "pruning") == 0;
    fate->is_gone |= strcmp(word, "pruned") == 0;
    if (strcmp(word, "noting") == 0 && value > fate->note_tried)
        fate->note_tried = value;
    if (strcmp(word, "noted") == 0)
        fate->note = value;
}

bool tt_acks_read(tt_acks *acks, const char *path)
{
    char line[120];
    FILE *const file = fopen(path, "r");
    if (file == NULL)
        return false;
    while (fgets(line, sizeof line, file) != NULL)
        tt_acks_add(acks, line);
    return fclose(file) == 0;
}

/* ---- The judge ---- */

static int no_sync(const crn_os *os, int fd)
{
    (void)os;
    (void)fd;
    return 0;
}

/* A look at the folders. */
typedef struct look {
    crn_os os;
    const char *dir;
    const char *root;
    const tt_acks *acks;
    cairn_store *store;
    cairn_catalogue *catalogue;
    uint64_t counter; /* the largest save counter */
    tt_verdict verdict;
    char *why;
} look;

/* Keeps the worst; a loss is worse than what is merely wrong. */
static void blame(look *l, tt_verdict verdict, const char *format, ...) CAIRN_PRINTF(3, 4);
static void blame(look *l, tt_verdict verdict, const char *format, ...)
{
    va_list args;
    if (l->verdict == TT_LOST || l->verdict == verdict)
        return;
    l->verdict = verdict;
    va_start(args, format);
    (void)vsnprintf(l->why, TT_WHY_SIZE, format, args);
    va_end(args);
}

static void blame_error(look *l, tt_verdict verdict, const char *what, const cairn_error *err)
{
    char text[400];
    (void)cairn_error_format(err, text, sizeof text);
    blame(l, verdict, "%s: %s", what, text);
}

static const char *checkpoint_root(const look *l)
{
    return l->root != NULL ? l->root : l->dir;
}

static bool is_there(const look *l, const char *name)
{
    char path[TT_PATH_SIZE];
    crn_file_stat info;
    (void)snprintf(path, sizeof path, "%s/%s", checkpoint_root(l), name);
    return l->os.stat(&l->os, CRN_OS_CWD, path, &info) == 0;
}

static void check_file(look *l, const char *name, const char *states, uint64_t step, bool must_be,
                       bool must_not)
{
    char path[TT_PATH_SIZE];
    cairn_error err = {0};
    const bool is_here = is_there(l, name);
    (void)snprintf(path, sizeof path, "%s/%s", checkpoint_root(l), name);
    if (!is_here && must_be)
        blame(l, TT_LOST, "%s was acknowledged and is not there", name);
    if (is_here && must_not)
        blame(l, TT_WRONG, "%s was deleted and is there", name);
    if (is_here && tt_load_and_compare(&l->os, path, states, step, &err) != CAIRN_OK)
        blame_error(l, must_be ? TT_LOST : TT_WRONG, name, &err);
}

static void check_notes(look *l, const char *name, const tt_fate *fate)
{
    char path[TT_PATH_SIZE];
    double value = 0.0;
    (void)snprintf(path, sizeof path, "%s/%s", checkpoint_root(l), name);
    (void)crn_notes_get_number_os(&l->os, path, "count", &value);
    if (value < (double)fate->note || value > (double)fate->note_tried)
        blame(l, fate->note > 0 ? TT_LOST : TT_WRONG,
              "notes of %s: %g, acknowledged %" PRIu64 ", tried %" PRIu64, name, value, fate->note,
              fate->note_tried);
}

static void check_steps(look *l)
{
    for (uint64_t step = 0; step < TT_STEPS_MAX; step++) {
        const tt_fate *const fate = &l->acks->step[step];
        char full[64];
        char extra[80];
        (void)snprintf(full, sizeof full, "checkpoint_%" PRIu64 ".mdl", step);
        (void)snprintf(extra, sizeof extra, "model_%s", full);
        const bool must_be = fate->is_saved && !fate->may_go;
        check_file(l, full, NULL, step, must_be, fate->is_gone || !fate->is_tried);
        check_file(l, extra, "model", step, fate->is_extra_saved, !fate->is_extra_tried);
        if (must_be)
            check_notes(l, full, fate);
    }
}

static void check_run(look *l)
{
    cairn_error err = {0};
    cairn_run run = {.run_id = ""};
    const cairn_status rc = cairn_run_read(l->store, &run, &err);
    if (rc == CAIRN_ENOTFOUND && l->acks->run == 0)
        return;
    if (rc != CAIRN_OK)
        blame_error(l, TT_LOST, "run.json", &err);
    else if (run.seed < l->acks->run || run.seed > l->acks->run_tried)
        blame(l, TT_LOST, "run.json says %" PRIu64 ", acknowledged %" PRIu64 ", tried %" PRIu64,
              run.seed, l->acks->run, l->acks->run_tried);
    cairn_run_dispose(&run);
}

static bool is_checkpoint_name(const char *name)
{
    cairn_checkpoint_name parsed;
    const char *const base = crn_starts_with(name, "model_") ? name + strlen("model_") : name;
    return cairn_checkpoint_name_parse(CAIRN_CHECKPOINT_NAME_DEFAULT, base, &parsed);
}

static int check_name(void *user, const char *name)
{
    look *const l = user;
    static const char *const k_known[] = {CRN_LOCK_FILE, CRN_RUN_FILE, CRN_INDEX_FILE, "ckpt"};
    char base[256];
    for (size_t i = 0; i < sizeof k_known / sizeof k_known[0]; i++) {
        if (strcmp(name, k_known[i]) == 0)
            return 0;
    }
    (void)snprintf(base, sizeof base, "%s", name);
    const size_t length = strlen(base);
    const size_t tail = strlen(CRN_NOTES_SUFFIX);
    const bool is_notes = length > tail && strcmp(base + length - tail, CRN_NOTES_SUFFIX) == 0;
    if (is_notes)
        base[length - tail] = '\0';
    if (!is_checkpoint_name(base) || (is_notes && !is_there(l, base)))
        blame(l, TT_WRONG, "rubbish: %s", name);
    return 0;
}

static void check_names(look *l, const char *folder)
{
    int fd = -1;
    if (l->os.open(&l->os, CRN_OS_CWD, folder, CRN_OPEN_DIRECTORY, &fd) != 0) {
        blame(l, TT_WRONG, "%s cannot be opened", folder);
        return;
    }
    (void)l->os.list(&l->os, fd, check_name, l);
    (void)l->os.close(&l->os, fd);
}

/* The index is of no use to us, but it must be YAML to others. */
static void check_index(look *l)
{
    char path[TT_PATH_SIZE];
    char *text = NULL;
    size_t size = 0;
    (void)snprintf(path, sizeof path, "%s/" CRN_INDEX_FILE, l->dir);
    if (crn_os_read_file(&l->os, CRN_OS_CWD, path, 100000, &text, &size) != 0)
        return;
    if (size == 0 || text[size - 1] != '\n' || (text[0] != '-' && strcmp(text, "[]\n") != 0) ||
        strlen(text) != size)
        blame(l, TT_WRONG, CRN_INDEX_FILE " is torn");
    crn_free(text);
}

static void check_catalogue(look *l)
{
    cairn_error err = {0};
    uint64_t newest = 0;
    if (cairn_catalogue_read(l->store, &l->catalogue, &err) != CAIRN_OK) {
        blame_error(l, TT_WRONG, "the catalogue", &err);
        return;
    }
    for (size_t i = 0; i < cairn_catalogue_count(l->catalogue); i++) {
        const cairn_checkpoint_info *const info = cairn_catalogue_at(l->catalogue, i);
        if (!info->is_readable)
            blame(l, TT_WRONG, "%s: %s", info->file, info->problem);
        l->counter = info->save_counter > l->counter ? info->save_counter : l->counter;
    }
    for (uint64_t step = 0; step < TT_STEPS_MAX; step++) {
        if (l->acks->step[step].is_saved && !l->acks->step[step].may_go)
            newest = step;
    }
    const cairn_checkpoint_info *const latest = cairn_catalogue_latest(l->catalogue);
    if (newest > 0 && (latest == NULL || latest->step < newest))
        blame(l, TT_LOST, "the newest is step %" PRIu64 " instead of %" PRIu64,
              latest != NULL ? latest->step : 0, newest);
}

/* Training goes on: the next save and the next prune do what they should. */
static void go_on(look *l)
{
    cairn_error err = {0};
    tt_world world = {.os = &l->os, .dir = l->dir, .root = l->root};
    uint64_t left = 0;
    cairn_store_close(l->store);
    l->store = NULL;
    if (tt_world_play(&world, "oresnp", &err) != CAIRN_OK)
        blame_error(l, TT_WRONG, "going on", &err);
    else if (world.store->save_counter != l->counter + 2)
        blame(l, TT_WRONG, "save counter %" PRIu64 " after %" PRIu64 " and two saves",
              world.store->save_counter, l->counter);
    cairn_catalogue_destroy(l->catalogue);
    l->catalogue = NULL;
    if (l->verdict == TT_GOOD && cairn_catalogue_read(world.store, &l->catalogue, &err) == CAIRN_OK)
        left = cairn_catalogue_count_own(l->catalogue, TT_RUN);
    if (l->verdict == TT_GOOD && left != 2)
        blame(l, TT_WRONG, "%" PRIu64 " checkpoints are left of two to keep", left);
    tt_world_end(&world);
    check_names(l, l->dir);
}

tt_verdict tt_judge(const char *dir, const char *root, const tt_acks *acks, char *why)
{
    cairn_error err = {0};
    look l = {.os = *crn_os_posix(), .dir = dir, .root = root, .acks = acks, .why = why};
    const cairn_store_options options = {
        .struct_size = sizeof options, .model_dir = dir, .checkpoint_root = root};
    l.os.sync = no_sync;
    why[0] = '\0';
    if (crn_store_open_os(&l.os, &options, &l.store, &err) != CAIRN_OK) {
        blame_error(&l, TT_LOST, "the next start", &err);
        return l.verdict;
    }
    check_steps(&l);
    check_run(&l);
    check_catalogue(&l);
    check_names(&l, dir);
    if (root != NULL)
        check_names(&l, root);
    check_index(&l);
    if (l.verdict == TT_GOOD)
        go_on(&l);
    cairn_catalogue_destroy(l.catalogue);
    cairn_store_close(l.store);
    return l.verdict;
}

/* ---- The score ---- */

void tt_score_add(tt_score *score, tt_verdict verdict, const char *where, const char *why)
{
    score->tried++;
    score->lost += verdict == TT_LOST;
    score->wrong += verdict == TT_WRONG;
    if (verdict != TT_GOOD && score->lost + score->wrong == 1)
        (void)snprintf(score->first, sizeof score->first, "%s: %.500s", where, why);
}

void tt_score_print(const tt_score *score, const char *what, const char *more)
{
    (void)printf("torture: %s tried=%" PRIu64 " lost=%" PRIu64 " wrong=%" PRIu64 "%s%s\n", what,
                 score->tried, score->lost, score->wrong, more[0] != '\0' ? " " : "", more);
    if (score->first[0] != '\0')
        (void)printf("first bad: %s\n", score->first);
    (void)fflush(stdout);
}
