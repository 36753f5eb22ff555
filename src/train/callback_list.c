#include "train/callback_list.h"

#include <string.h>

#include "base/mem.h"
#include "base/try.h"

/* Where each hook stands in the table, and what it is called. */
static const struct {
    size_t offset;
    const char *name;
} k_hooks[] = {
#define X(hook, when) {offsetof(cairn_callback_ops, hook), #hook},
    CAIRN_HOOK_LIST(X)
#undef X
};

cairn_status crn_callback_list_add(crn_callback_list *list, cairn_callback callback,
                                   cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (callback.ops == NULL || callback.ops->name == NULL)
        CRN_FAIL(err, CAIRN_EINVAL, "a callback needs a table with a name");
    if (callback.ops->struct_size > sizeof(cairn_callback_ops))
        CRN_FAIL(err, CAIRN_EVERSION,
                 "callback '%s' was compiled for a newer cairn (its table has %zu bytes, ours %zu)",
                 callback.ops->name, callback.ops->struct_size, sizeof(cairn_callback_ops));
    CRN_TRY_PLAIN(
        crn_grow(&list->items, &list->capacity, list->count + 1, sizeof *list->items, err));
    list->items[list->count++] = callback;
    callback.ops = NULL;
out:
    if (callback.ops != NULL && callback.ops->destroy != NULL)
        callback.ops->destroy(callback.self);
    return rc;
}

static cairn_hook_fn hook_of(const cairn_callback_ops *ops, crn_hook hook)
{
    cairn_hook_fn fn = NULL;
    if (k_hooks[hook].offset + sizeof fn <= ops->struct_size)
        memcpy(&fn, (const char *)ops + k_hooks[hook].offset, sizeof fn);
    return fn;
}

cairn_status crn_callback_list_call(const crn_callback_list *list, crn_hook hook,
                                    const cairn_event *event, cairn_control *control,
                                    cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    for (size_t i = 0; i < list->count; i++) {
        const cairn_callback *const callback = &list->items[i];
        const cairn_hook_fn fn = hook_of(callback->ops, hook);
        if (fn == NULL)
            continue;
        CRN_TRY(err, fn(callback->self, event, control, err),
                "Encountered error when calling %s.%s", callback->ops->name, k_hooks[hook].name);
    }
out:
    return rc;
}

void crn_callback_list_tell(const crn_callback_list *list, crn_hook hook, const cairn_event *event)
{
    for (size_t i = 0; i < list->count; i++) {
        const cairn_callback *const callback = &list->items[i];
        const cairn_hook_fn fn = hook_of(callback->ops, hook);
        cairn_control unheard = {0};
        cairn_error second = {0}; /* The first failure is the one that counts. */
        if (fn != NULL)
            (void)fn(callback->self, event, &unheard, &second);
    }
}

void crn_callback_list_dispose(crn_callback_list *list)
{
    for (size_t i = list->count; i-- > 0;) {
        const cairn_callback *const callback = &list->items[i];
        if (callback->ops->destroy != NULL)
            callback->ops->destroy(callback->self);
    }
    crn_free(list->items);
    *list = (crn_callback_list){0};
}
