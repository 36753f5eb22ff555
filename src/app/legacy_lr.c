#include "app/legacy_lr.h"

#include <string.h>

#include "app/classes.h"

/* The class that an old name means: "Linear" and "LinearLR" are the same. */
static const char *class_of(const crn_node *node, crn_diag *diag)
{
    const crn_node *const name = crn_node_get(node, "scheduler");
    const crn_class *class = NULL;
    if (name == NULL) {
        crn_diag_error(diag, node, "this learning rate names no scheduler, such as Linear");
        return NULL;
    }
    crn_str with_end = {0};
    crn_str_printf(&with_end, "%sLR", name->text);
    if (with_end.text == NULL || with_end.is_failed) {
        diag->is_failed = true;
    } else {
        class = crn_registry_find(&crn_schedulers, name->text);
        if (class == NULL)
            class = crn_registry_find(&crn_schedulers, with_end.text);
        if (class == NULL)
            crn_diag_error(diag, name, "there is no learning rate scheduler called '%s'",
                           name->text);
    }
    crn_str_dispose(&with_end);
    return class != NULL ? class->name : NULL;
}

/* {scheduler: X, ...} as {X: {...}} into the empty map @out. */
static void convert_one(crn_doc *doc, const crn_node *old, crn_node *out, crn_diag *diag)
{
    const char *const class = class_of(old, diag);
    crn_node *const args = class != NULL ? crn_doc_ensure_map(doc, out, class, diag) : NULL;
    for (const crn_node *child = old->first; child != NULL && args != NULL; child = child->next) {
        if (strcmp(child->name, "scheduler") != 0 && strcmp(child->name, "main_scheduler") != 0 &&
            !crn_node_is_null(child))
            (void)crn_doc_put_copy(doc, args, child->name, child, diag);
    }
}

/* What joins the parts of a list. NULL: they contradict each other. */
static const char *main_class(const crn_node *list, crn_diag *diag)
{
    const crn_node *found = NULL;
    for (const crn_node *part = list->first; part != NULL; part = part->next) {
        const crn_node *const name = crn_node_get(part, "main_scheduler");
        if (crn_node_is_null(name))
            continue;
        if (found != NULL && !crn_names_equal(found->text, name->text)) {
            crn_diag_error(diag, name, "main_scheduler is '%s' here and '%s' before", name->text,
                           found->text);
            return NULL;
        }
        found = name;
    }
    const bool is_chained = found != NULL && (crn_names_equal(found->text, "chained") ||
                                              crn_names_equal(found->text, "chainedlr"));
    return is_chained ? "ChainedScheduler" : "SequentialLR";
}

static void convert_list(crn_doc *doc, const crn_node *old, crn_node *out, crn_diag *diag)
{
    const char *const class = main_class(old, diag);
    if (class == NULL)
        return;
    if (old->count == 1 && strcmp(class, "SequentialLR") == 0) {
        convert_one(doc, old->first, out, diag);
        return;
    }
    crn_node *const args = crn_doc_ensure_map(doc, out, class, diag);
    crn_node *const list = args != NULL ? crn_doc_ensure_list(doc, args, "schedulers", diag) : NULL;
    for (const crn_node *part = old->first; part != NULL && list != NULL; part = part->next) {
        crn_node *const item = crn_doc_add_map(doc, list, diag);
        if (item != NULL)
            convert_one(doc, part, item, diag);
    }
}

static void convert_value(crn_doc *doc, const crn_node *old, crn_node *out, crn_diag *diag)
{
    if (old->kind == CRN_NODE_LIST) {
        convert_list(doc, old, out, diag);
    } else if (old->kind == CRN_NODE_MAP) {
        convert_one(doc, old, out, diag);
    } else {
        crn_node *const args = crn_doc_ensure_map(doc, out, "ConstantLR", diag);
        if (args != NULL)
            (void)crn_doc_put_copy(doc, args, "learning_rate", old, diag);
    }
}

void crn_legacy_convert_lr(crn_doc *doc, const crn_node *optimizer, crn_node *init, crn_diag *diag)
{
    const crn_node *const old = crn_node_get(optimizer, "learning_rate");
    const crn_node *const factors = crn_node_get(optimizer, "adjust_learning_rate");
    const bool is_nothing =
        crn_node_is_null(old) ||
        ((old->kind == CRN_NODE_LIST || old->kind == CRN_NODE_MAP) && old->first == NULL);
    if (is_nothing)
        return;
    crn_node *const list = crn_doc_ensure_list(doc, init, "schedulers", diag);
    crn_node *item = list != NULL ? crn_doc_add_map(doc, list, diag) : NULL;
    if (item != NULL && factors != NULL && factors->first != NULL) {
        crn_node *const args = crn_doc_ensure_map(doc, item, "ScalePerParamLR", diag);
        item = args != NULL ? crn_doc_ensure_map(doc, args, "scheduler", diag) : NULL;
    }
    if (item != NULL)
        convert_value(doc, old, item, diag);
}
