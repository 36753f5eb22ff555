#include "app/schedules.h"

#include <string.h>

#include "app/keys.h"
#include "base/mem.h"
#include "base/try.h"

enum { TAGS_LISTED = 32 };

static const char k_where[] = "trainer.init.schedulers";

/* Schedulers made of others are read by hand. */
static const struct {
    const char *name;
    crn_combination combination;
    cairn_scheduled sets;
} k_combinations[] = {
    {"SequentialLR", CRN_SCHEDULER_SEQUENTIAL, CAIRN_SCHEDULED_LEARNING_RATE},
    {"SequentialWD", CRN_SCHEDULER_SEQUENTIAL, CAIRN_SCHEDULED_WEIGHT_DECAY},
    {"ChainedScheduler", CRN_SCHEDULER_CHAINED, CAIRN_SCHEDULED_LEARNING_RATE},
    {"ChainedLR", CRN_SCHEDULER_CHAINED, CAIRN_SCHEDULED_LEARNING_RATE},
    {"ChainedWD", CRN_SCHEDULER_CHAINED, CAIRN_SCHEDULED_WEIGHT_DECAY},
    {"ScalePerParamLR", CRN_SCHEDULER_SCALED, CAIRN_SCHEDULED_LEARNING_RATE},
    {"ScalePerParamWD", CRN_SCHEDULER_SCALED, CAIRN_SCHEDULED_WEIGHT_DECAY},
};

/* ---- Reading ---- */

static void read_one(crn_doc *doc, crn_node *item, const char *where, crn_scheduler_spec *out,
                     crn_diag *diag);

static void read_tag(const crn_node *item, const char *where, crn_scheduler_spec *spec,
                     crn_diag *diag)
{
    const char *tag = NULL;
    if (!crn_node_is_null(item) && !crn_node_to_text(item, where, &tag, diag))
        return;
    for (size_t i = 0; i < spec->tag_count; i++) {
        const char *const other = spec->tags[i];
        if (tag == other || (tag != NULL && other != NULL && strcmp(tag, other) == 0)) {
            crn_diag_error(diag, item, "%s has '%s' twice", where, tag != NULL ? tag : "null");
            return;
        }
    }
    spec->tags[spec->tag_count++] = tag;
}

static void read_tags(const crn_node *node, const char *where, crn_scheduler_spec *spec,
                      crn_diag *diag)
{
    if (crn_node_is_null(node))
        return;
    const bool is_list = node->kind == CRN_NODE_LIST;
    spec->tags = crn_calloc(is_list ? node->count : 1, sizeof *spec->tags);
    if (spec->tags == NULL) {
        diag->is_failed = true;
        return;
    }
    for (const crn_node *item = is_list ? node->first : node; item != NULL;
         item = is_list ? item->next : NULL)
        read_tag(item, where, spec, diag);
}

static void read_milestones(crn_scheduler_spec *spec, const crn_node *node, const char *where,
                            crn_diag *diag)
{
    if (crn_node_is_null(node))
        return;
    if (node->kind != CRN_NODE_LIST) {
        crn_diag_error(diag, node, "%s.milestones must be a list of steps", where);
        return;
    }
    spec->milestones = crn_calloc(node->count, sizeof *spec->milestones);
    if (spec->milestones == NULL) {
        diag->is_failed = true;
        return;
    }
    for (const crn_node *item = node->first; item != NULL; item = item->next) {
        int64_t step = 0;
        if (crn_node_to_int(item, where, 1, INT64_MAX, "steps", &step, diag))
            spec->milestones[spec->milestone_count++] = (uint64_t)step;
    }
}

/* Nesting is bounded by the document's depth. */
static void read_list(crn_doc *doc, crn_node *list, const char *where, crn_scheduler_spec **out,
                      size_t *out_count, crn_diag *diag)
{
    if (crn_node_is_null(list))
        return;
    if (list->kind != CRN_NODE_LIST) {
        crn_diag_error(diag, list, "%s must be a list, such as '- LinearLR: {...}'", where);
        return;
    }
    *out = crn_calloc(list->count, sizeof **out);
    if (*out == NULL) {
        diag->is_failed = true;
        return;
    }
    for (crn_node *item = list->first; item != NULL; item = item->next)
        read_one(doc, item, where, &(*out)[(*out_count)++], diag);
}

static bool same_tags(const crn_scheduler_spec *a, const crn_scheduler_spec *b)
{
    size_t found = 0;
    for (size_t i = 0; i < a->tag_count; i++)
        for (size_t j = 0; j < b->tag_count; j++)
            found += a->tags[i] == b->tags[j] || (a->tags[i] != NULL && b->tags[j] != NULL &&
                                                  strcmp(a->tags[i], b->tags[j]) == 0);
    return found == a->tag_count && found == b->tag_count;
}

static void check_child(const crn_scheduler_spec *parent, const crn_scheduler_spec *child,
                        const char *where, crn_diag *diag)
{
    if (child->sets != parent->sets)
        crn_diag_error(
            diag, child->node, "%s: %s sets the %s, %s the %s", where, parent->name,
            parent->sets == CAIRN_SCHEDULED_WEIGHT_DECAY ? "weight decay" : "learning rate",
            child->name,
            child->sets == CAIRN_SCHEDULED_WEIGHT_DECAY ? "weight decay" : "learning rate");
    if (child->tag_count > 0 && !same_tags(parent, child))
        crn_diag_error(diag, child->node,
                       "%s: param_group_tags of %s are not those of the %s around it; give them "
                       "there only",
                       where, child->name, parent->name);
}

static void read_children(crn_doc *doc, crn_node *args, const char *where, crn_scheduler_spec *spec,
                          crn_diag *diag)
{
    const bool is_scaled = spec->combination == CRN_SCHEDULER_SCALED;
    char inner[CRN_PLACE_SIZE];
    const size_t errors = diag->error_count;
    if (!crn_key_table_check(crn_class_keys(spec->name), args, where, diag))
        return;
    crn_where_join(inner, where, is_scaled ? "scheduler" : "schedulers");
    crn_node *const child = crn_node_get(args, "scheduler");
    if (!is_scaled) {
        read_list(doc, crn_node_get(args, "schedulers"), inner, &spec->children, &spec->child_count,
                  diag);
        read_milestones(spec, crn_node_get(args, "milestones"), where, diag);
    } else if (!crn_node_is_null(child)) {
        spec->children = crn_calloc(1, sizeof *spec->children);
        if (spec->children == NULL)
            diag->is_failed = true;
        else
            read_one(doc, child, inner, &spec->children[spec->child_count++], diag);
    }
    if (spec->child_count == 0 && diag->error_count == errors)
        crn_diag_error(diag, args,
                       is_scaled ? "%s needs a 'scheduler'"
                                 : "%s needs a list 'schedulers' of at least one",
                       where);
}

static bool ends_with_wd(const char *name)
{
    const size_t length = strlen(name);
    return length > 2 && strcmp(name + length - 2, "WD") == 0;
}

static void read_one(crn_doc *doc, crn_node *item, const char *where, crn_scheduler_spec *out,
                     crn_diag *diag)
{
    crn_node *args = NULL;
    char inner[CRN_PLACE_SIZE];
    char tags[CRN_PLACE_SIZE];
    out->node = item;
    if (!crn_node_class(doc, item, where, &out->name, &args, diag))
        return;
    crn_where_join(inner, where, out->name);
    for (size_t i = 0; i < sizeof k_combinations / sizeof k_combinations[0]; i++) {
        if (!crn_names_equal(out->name, k_combinations[i].name))
            continue;
        out->combination = k_combinations[i].combination;
        out->sets = k_combinations[i].sets;
    }
    if (out->combination != CRN_SCHEDULER_SINGLE) {
        read_children(doc, args, inner, out, diag);
    } else if (crn_registry_read(&crn_schedulers, out->name, doc, item, args, inner, &out->choice,
                                 diag) &&
               ends_with_wd(out->choice.class->name)) {
        out->sets = CAIRN_SCHEDULED_WEIGHT_DECAY;
    }
    crn_where_join(tags, inner, "param_group_tags");
    read_tags(crn_node_get(args, "param_group_tags"), tags, out, diag);
    for (size_t i = 0; i < out->child_count; i++)
        check_child(out, &out->children[i], where, diag);
}

/* ---- Checking ---- */

static bool tags_overlap(const crn_scheduler_spec *a, const crn_scheduler_spec *b)
{
    for (size_t i = 0; i < a->tag_count; i++)
        for (size_t j = 0; j < b->tag_count; j++)
            if (a->tags[i] == b->tags[j] ||
                (a->tags[i] != NULL && b->tags[j] != NULL && strcmp(a->tags[i], b->tags[j]) == 0))
                return true;
    return a->tag_count == 0 || b->tag_count == 0;
}

static void check_pairs(const crn_scheduler_specs *specs, crn_diag *diag)
{
    for (size_t j = 1; j < specs->count; j++) {
        for (size_t i = 0; i < j; i++) {
            const crn_scheduler_spec *const first = &specs->items[i];
            const crn_scheduler_spec *const second = &specs->items[j];
            if (first->sets != second->sets || !tags_overlap(first, second))
                continue;
            crn_diag_error(
                diag, second->node,
                "%s: %s sets the %s that %s in line %zu sets too; put them into one %s, "
                "or give both param_group_tags without one in common",
                k_where, second->name,
                first->sets == CAIRN_SCHEDULED_WEIGHT_DECAY ? "weight decay" : "learning rate",
                first->name, first->node->line,
                first->sets == CAIRN_SCHEDULED_WEIGHT_DECAY ? "SequentialWD" : "SequentialLR");
            break;
        }
    }
}

static void check_known(const crn_scheduler_spec *spec, const crn_param_filters *filters,
                        crn_diag *diag)
{
    const char *known[TAGS_LISTED];
    size_t count = 0;
    for (size_t i = 0; i < filters->count && count < TAGS_LISTED; i++)
        if (filters->items[i].tag != NULL)
            known[count++] = filters->items[i].tag;
    for (size_t i = 0; i < spec->tag_count; i++) {
        if (spec->tags[i] == NULL)
            continue;
        size_t at = 0;
        while (at < count && strcmp(known[at], spec->tags[i]) != 0)
            at++;
        if (at == count && count == 0)
            crn_diag_error(diag, spec->node,
                           "%s: %s is for the tag '%s', but optimizer.params gives no tags",
                           k_where, spec->name, spec->tags[i]);
        else if (at == count)
            crn_diag_unknown(diag, spec->node, "tag", spec->tags[i], spec->name, known, count,
                             NULL);
    }
}

/* A scheduler that cannot be made is reported at its place in the file. */
static void check_makes(const crn_scheduler_spec *spec, crn_diag *diag)
{
    cairn_error err = {0};
    cairn_scheduler *scheduler = NULL;
    const cairn_status status = crn_make_scheduler(spec, false, &scheduler, &err);
    if (status == CAIRN_ENOMEM)
        diag->is_failed = true;
    else if (status != CAIRN_OK)
        crn_diag_error(diag, spec->node, "%s: %s", k_where, err.frame[0].text);
    cairn_scheduler_destroy(scheduler);
}

void crn_read_schedulers(crn_doc *doc, crn_node *list, const crn_param_filters *filters,
                         crn_scheduler_specs *out, crn_diag *diag)
{
    const size_t errors = diag->error_count;
    read_list(doc, list, k_where, &out->items, &out->count, diag);
    if (diag->error_count > errors || diag->is_failed)
        return;
    check_pairs(out, diag);
    for (size_t i = 0; i < out->count; i++) {
        check_known(&out->items[i], filters, diag);
        check_makes(&out->items[i], diag);
    }
}

/* ---- Making ---- */

static cairn_status make_combined(const crn_scheduler_spec *spec, cairn_scheduler **children,
                                  size_t count, cairn_scheduler **out, cairn_error *err)
{
    switch (spec->combination) {
    case CRN_SCHEDULER_CHAINED:
        return cairn_chained_lr_new(children, count, out, err);
    case CRN_SCHEDULER_SCALED:
        return cairn_scale_per_param_lr_new(children[0], out, err);
    case CRN_SCHEDULER_SEQUENTIAL:
    case CRN_SCHEDULER_SINGLE:
        break;
    }
    return cairn_sequential_lr_new(children, count, spec->milestones, spec->milestone_count, out,
                                   err);
}

/* As crn_make_scheduler, not aimed. */
static cairn_status make(const crn_scheduler_spec *spec, cairn_scheduler **out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    size_t made = 0;
    cairn_scheduler **children = NULL;
    if (spec->combination == CRN_SCHEDULER_SINGLE)
        return spec->choice.class->make(spec->choice.options, out, err);
    children = crn_calloc(spec->child_count, sizeof(cairn_scheduler *));
    CRN_NEED(err, children, "schedulers");
    for (; made < spec->child_count; made++)
        CRN_TRY_PLAIN(crn_make_scheduler(&spec->children[made], false, &children[made], err));
    made = 0; /* They are taken, also on failure. */
    CRN_TRY_PLAIN(make_combined(spec, children, spec->child_count, out, err));
out:
    for (size_t i = 0; i < made; i++)
        cairn_scheduler_destroy(children[i]);
    crn_free(children);
    return rc;
}

cairn_status crn_make_scheduler(const crn_scheduler_spec *spec, bool is_scaled,
                                cairn_scheduler **out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_scheduler *scheduler = NULL;
    CRN_TRY_PLAIN(make(spec, &scheduler, err));
    if (is_scaled && spec->combination != CRN_SCHEDULER_SCALED &&
        spec->sets == CAIRN_SCHEDULED_LEARNING_RATE) {
        cairn_scheduler *const inner = scheduler;
        scheduler = NULL; /* taken, also on failure */
        CRN_TRY_PLAIN(cairn_scale_per_param_lr_new(inner, &scheduler, err));
    }
    CRN_TRY_PLAIN(cairn_scheduler_aim(scheduler, spec->sets, spec->tags, spec->tag_count, err));
    *out = scheduler;
    scheduler = NULL;
out:
    cairn_scheduler_destroy(scheduler);
    return rc;
}

static void dispose(crn_scheduler_spec *specs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        /* Depth is bounded by the document's. */
        dispose(specs[i].children, specs[i].child_count);
        crn_free(specs[i].choice.options);
        crn_free(specs[i].milestones);
        crn_free(specs[i].tags);
    }
    crn_free(specs);
}

void crn_scheduler_specs_dispose(crn_scheduler_specs *specs)
{
    dispose(specs->items, specs->count);
    *specs = (crn_scheduler_specs){0};
}
