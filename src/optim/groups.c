/* Which parameter is in which group: by tags, by weight decay, by factor. */
#include <fnmatch.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/try.h"
#include "cairn/optim.h"

enum { TAGS_MAX = 32 };

struct group {
    uint32_t tags; /* bit i: tag number i */
    bool is_decayed;
    double factor;
};

struct cairn_param_groups {
    char *tags[TAGS_MAX];
    size_t tag_count;
    struct group *groups;
    size_t count;
    size_t capacity;
    size_t *of; /* [tensor_count] of the model */
    size_t tensor_count;
};

/* The Model Zoo's globs are unanchored at their start, and its parameters begin with "model.". */
static bool matches(const char *glob, const char *name)
{
    for (const char *at = name; *at != '\0'; at++)
        if (fnmatch(glob, at, FNM_NOESCAPE) == 0)
            return true;
    return false;
}

static bool filter_matches(const cairn_param_filter *filter, const char *name)
{
    for (size_t i = 0; i < filter->params.count; i++)
        if (matches(filter->params.items[i], name))
            return true;
    return false;
}

static size_t find_tag(const cairn_param_groups *groups, const char *tag)
{
    size_t i = 0;
    while (i < groups->tag_count && strcmp(groups->tags[i], tag) != 0)
        i++;
    return i;
}

static cairn_status add_tags(cairn_param_groups *groups, const cairn_param_filter *filters,
                             size_t count, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    for (size_t i = 0; i < count; i++) {
        if (filters[i].tag == NULL || find_tag(groups, filters[i].tag) < groups->tag_count)
            continue;
        if (groups->tag_count == TAGS_MAX)
            CRN_FAIL(err, CAIRN_ECONFIG, "optimizer.params has more than %d tags", (int)TAGS_MAX);
        groups->tags[groups->tag_count] = crn_strdup(filters[i].tag);
        CRN_NEED(err, groups->tags[groups->tag_count], "a tag");
        groups->tag_count++;
    }
out:
    return rc;
}

/* The group of this kind, added if it is new; SIZE_MAX if there is no memory. */
static size_t find_group(cairn_param_groups *groups, uint32_t tags, bool is_decayed, double factor)
{
    for (size_t i = 0; i < groups->count; i++) {
        const struct group *const group = &groups->groups[i];
        if (group->tags == tags && group->is_decayed == is_decayed && group->factor == factor)
            return i;
    }
    if (crn_grow(&groups->groups, &groups->capacity, groups->count + 1, sizeof *groups->groups,
                 NULL) != CAIRN_OK)
        return SIZE_MAX;
    groups->groups[groups->count] =
        (struct group){.tags = tags, .is_decayed = is_decayed, .factor = factor};
    return groups->count++;
}

static bool is_decayed(const cairn_tensor *param)
{
    return param->role != CAIRN_ROLE_BIAS && param->role != CAIRN_ROLE_NORM;
}

/* The wish of all filters for one parameter, 0 for no factor; those that match are marked in
 * @used. */
static void ask_filters(const cairn_param_groups *groups, const cairn_param_filter *filters,
                        size_t count, const char *name, bool *used, uint32_t *out_tags,
                        double *out_factor)
{
    *out_tags = 0;
    *out_factor = 0.0;
    for (size_t i = 0; i < count; i++) {
        if (!filter_matches(&filters[i], name))
            continue;
        used[i] = true;
        if (filters[i].tag != NULL)
            *out_tags |= UINT32_C(1) << find_tag(groups, filters[i].tag);
        if (*out_factor == 0.0)
            *out_factor = filters[i].learning_rate_factor;
    }
}

static cairn_status place(cairn_param_groups *groups, const cairn_state *model, size_t index,
                          const cairn_param_filter *filters, size_t count, bool *used,
                          cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_tensor *const param = cairn_state_tensor_at(model, index);
    crn_str name = {0};
    uint32_t tags = 0;
    double factor = 0.0;
    crn_str_printf(&name, "model.%s", param->name);
    CRN_TRY_PLAIN(crn_str_check(&name, err));
    ask_filters(groups, filters, count, name.text, used, &tags, &factor);
    if (factor == 0.0)
        factor = param->learning_rate_factor > 0.0 ? param->learning_rate_factor : 1.0;
    const size_t group = find_group(groups, tags, is_decayed(param), factor);
    if (group == SIZE_MAX)
        CRN_FAIL(err, CAIRN_ENOMEM, "no memory for parameter groups");
    groups->of[index] = group;
out:
    crn_str_dispose(&name);
    return rc;
}

static cairn_status check_used(const cairn_param_filter *filters, size_t count, const bool *used,
                               cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    for (size_t i = 0; i < count; i++) {
        const bool has_tag = filters[i].tag != NULL;
        const bool has_place = filters[i].place != NULL;
        if (!used[i])
            CRN_FAIL(err, CAIRN_ECONFIG, "%s%sno parameter matches '%s'%s of optimizer.%s%s%s",
                     has_place ? filters[i].place : "", has_place ? ": " : "",
                     filters[i].params.count > 0 ? filters[i].params.items[0] : "",
                     filters[i].params.count > 1 ? " or the other globs" : "",
                     has_tag ? "params, tag '" : "adjust_learning_rate",
                     has_tag ? filters[i].tag : "", has_tag ? "'" : "");
    }
out:
    return rc;
}

static int order_of(const struct group *a, const struct group *b, const size_t *first_of_tags,
                    size_t i, size_t j)
{
    if (a->tags != b->tags)
        return first_of_tags[i] < first_of_tags[j] ? -1 : 1;
    return a->is_decayed != b->is_decayed ? (a->is_decayed ? -1 : 1) : 0;
}

/*
 * Groups came in the order of the parameters; the Model Zoo puts those of the same tags together,
 * decayed ones first. There are few: insertion.
 */
static cairn_status sort_groups(cairn_param_groups *groups, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const size_t count = groups->count;
    size_t *const numbers = crn_calloc(3 * count, sizeof *numbers);
    struct group *const sorted = crn_calloc(count, sizeof *sorted);
    size_t *const first_of_tags = numbers + count;
    size_t *const new_number = numbers + 2 * count;
    CRN_NEED(err, numbers, "parameter groups");
    CRN_NEED(err, sorted, "parameter groups");
    for (size_t i = 0; i < count; i++)
        while (groups->groups[first_of_tags[i]].tags != groups->groups[i].tags)
            first_of_tags[i]++;
    for (size_t i = 0; i < count; i++) {
        size_t at = i;
        for (; at > 0 && order_of(&groups->groups[i], &groups->groups[numbers[at - 1]],
                                  first_of_tags, i, numbers[at - 1]) < 0;
             at--)
            numbers[at] = numbers[at - 1];
        numbers[at] = i;
    }
    for (size_t i = 0; i < count; i++) {
        sorted[i] = groups->groups[numbers[i]];
        new_number[numbers[i]] = i;
    }
    for (size_t i = 0; i < groups->tensor_count; i++)
        groups->of[i] = new_number[groups->of[i]];
    for (size_t i = 0; i < count; i++)
        groups->groups[i] = sorted[i];
out:
    crn_free(numbers);
    crn_free(sorted);
    return rc;
}

static cairn_status fill(cairn_param_groups *groups, const cairn_state *model,
                         const cairn_param_filter *filters, size_t count, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    bool *const used = crn_calloc(count + 1, sizeof *used);
    groups->tensor_count = cairn_state_tensor_count(model);
    groups->of = crn_calloc(groups->tensor_count + 1, sizeof *groups->of);
    CRN_NEED(err, used, "parameter groups");
    CRN_NEED(err, groups->of, "parameter groups");
    CRN_TRY_PLAIN(add_tags(groups, filters, count, err));
    if (count == 0 && (find_group(groups, 0, true, 1.0) == SIZE_MAX ||
                       find_group(groups, 0, false, 1.0) == SIZE_MAX))
        CRN_FAIL(err, CAIRN_ENOMEM, "no memory for parameter groups");
    for (size_t i = 0; i < groups->tensor_count; i++)
        if (cairn_state_tensor_at(model, i)->role != CAIRN_ROLE_OTHER)
            CRN_TRY_PLAIN(place(groups, model, i, filters, count, used, err));
    CRN_TRY_PLAIN(check_used(filters, count, used, err));
    CRN_TRY_PLAIN(sort_groups(groups, err));
out:
    crn_free(used);
    return rc;
}

cairn_status cairn_param_groups_new(const cairn_state *model, const cairn_param_filter *filters,
                                    size_t count, cairn_param_groups **out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_param_groups *groups = crn_calloc(1, sizeof *groups);
    CRN_NEED(err, groups, "parameter groups");
    CRN_TRY_PLAIN(fill(groups, model, filters, count, err));
    *out = groups;
    groups = NULL;
out:
    cairn_param_groups_destroy(groups);
    return rc;
}

void cairn_param_groups_destroy(cairn_param_groups *groups)
{
    if (groups == NULL)
        return;
    for (size_t i = 0; i < groups->tag_count; i++)
        crn_free(groups->tags[i]);
    crn_free(groups->groups);
    crn_free(groups->of);
    crn_free(groups);
}

size_t cairn_param_groups_count(const cairn_param_groups *groups)
{
    return groups->count;
}

size_t cairn_param_groups_of(const cairn_param_groups *groups, size_t tensor)
{
    return groups->of[tensor];
}

bool cairn_param_groups_is_decayed(const cairn_param_groups *groups, size_t group)
{
    return groups->groups[group].is_decayed;
}

double cairn_param_groups_factor(const cairn_param_groups *groups, size_t group)
{
    return groups->groups[group].factor;
}

bool cairn_param_groups_has_tag(const cairn_param_groups *groups, size_t group, const char *tag)
{
    const uint32_t tags = groups->groups[group].tags;
    if (tag == NULL)
        return tags == 0;
    const size_t number = find_tag(groups, tag);
    return number < groups->tag_count && (tags >> number & 1) != 0;
}
