#include "ckpt/retention.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int compare_newest_first(const void *a, const void *b)
{
    const cairn_checkpoint_info *const x = ((const crn_own *)a)->info;
    const cairn_checkpoint_info *const y = ((const crn_own *)b)->info;
    if (x->save_counter != y->save_counter)
        return x->save_counter < y->save_counter ? 1 : -1;
    const int order = cairn_checkpoint_name_compare(&x->name, &y->name);
    return order != 0 ? -order : -strcmp(x->path, y->path);
}

void crn_retention_sort(crn_own *own, size_t count)
{
    if (count > 0)
        qsort(own, count, sizeof *own, compare_newest_first);
}

typedef struct look {
    crn_is_whole_fn is_whole;
    void *user;
} look;

static bool is_intact(crn_own *own, const look *how)
{
    if (own->wholeness == CRN_NOT_LOOKED_AT)
        own->wholeness = how->is_whole(how->user, own) ? CRN_WHOLE : CRN_DAMAGED;
    return own->wholeness == CRN_WHOLE;
}

/* A damaged one must not take the place of a good one. */
static void keep_newest(crn_own *own, size_t count, uint64_t n, const look *how)
{
    uint64_t kept = 0;
    for (size_t i = 0; i < count && kept < n; i++) {
        if (!is_intact(&own[i], how))
            continue;
        own[i].reasons |= CRN_KEEP_NEWEST;
        kept++;
    }
}

/* The best that has not been chosen yet, the newer of equal ones; NULL if none is left. */
static crn_own *next_best(crn_own *own, size_t count, bool is_max)
{
    crn_own *best = NULL;
    for (size_t i = 0; i < count; i++) {
        crn_own *const one = &own[i];
        if (one->is_protected || !one->has_metric || !isfinite(one->metric) ||
            one->wholeness == CRN_DAMAGED || (one->reasons & CRN_KEEP_BEST) != 0)
            continue;
        if (best == NULL || (is_max ? one->metric > best->metric : one->metric < best->metric))
            best = one;
    }
    return best;
}

static void keep_best(crn_own *own, size_t count, const cairn_retention *rules, const look *how)
{
    uint64_t kept = 0;
    crn_own *best = NULL;
    while (kept < rules->best && (best = next_best(own, count, rules->is_max)) != NULL) {
        if (!is_intact(best, how))
            continue; /* It is not offered again. */
        best->reasons |= CRN_KEEP_BEST;
        kept++;
    }
}

/* From the oldest on, so that what was kept once is kept for ever. */
static void keep_by_time(crn_own *own, size_t count, double minutes)
{
    const double ns_a_minute = 60e9;
    double last = 0.0;
    bool has_last = false;
    for (size_t i = count; i-- > 0;) {
        const double now = (double)own[i].info->modified_ns;
        if (has_last && now >= last && now - last < minutes * ns_a_minute)
            continue;
        own[i].reasons |= CRN_KEEP_MINUTES;
        last = now;
        has_last = true;
    }
}

static void keep_for_itself(crn_own *own, const cairn_retention *rules)
{
    if (rules->newest == 0)
        own->reasons |= CRN_KEEP_ALL;
    if (rules->every > 0 && own->info->step % rules->every == 0)
        own->reasons |= CRN_KEEP_EVERY;
    if (own->is_pinned)
        own->reasons |= CRN_KEEP_PINNED;
    if (own->has_bad_notes)
        own->reasons |= CRN_KEEP_NOTES;
    if (own->is_loading)
        own->reasons |= CRN_KEEP_LOADING;
    if (own->is_protected)
        own->reasons |= CRN_KEEP_PROTECTED;
}

void crn_retention_decide(crn_own *own, size_t count, const cairn_retention *rules,
                          crn_is_whole_fn is_whole, void *user)
{
    const look how = {.is_whole = is_whole, .user = user};
    for (size_t i = 0; i < count; i++) {
        own[i].reasons = 0;
        keep_for_itself(&own[i], rules);
    }
    keep_newest(own, count, rules->newest, &how);
    keep_best(own, count, rules, &how);
    if (rules->minutes > 0.0)
        keep_by_time(own, count, rules->minutes);
    for (size_t i = 0; i < count; i++) {
        if (own[i].reasons == 0)
            (void)is_intact(&own[i], &how);
    }
}
