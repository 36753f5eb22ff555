#include "interop/adapters.h"

#include <string.h>

#include "base/try.h"
#include "config/config.h"

cairn_status crn_adapters_choose(cairn_checkpoint *ckpt, const char *lora_path,
                                 cairn_checkpoint **out_other, cairn_checkpoint **out_lora,
                                 cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    *out_other = NULL;
    *out_lora = cairn_checkpoint_has_state(ckpt, CRN_ADAPTERS_STATE) ? ckpt : NULL;
    if (lora_path != NULL) {
        CRN_TRY_PLAIN(cairn_checkpoint_open(lora_path, out_other, err));
        *out_lora = *out_other;
    }
out:
    return rc;
}

/* The options of the callback Lora; NULL: it is not in the parameters. */
static crn_node *find_lora(const crn_doc *doc)
{
    crn_node *const trainer = crn_node_get(crn_doc_root(doc), "trainer");
    const crn_node *const list = crn_node_get(crn_node_get(trainer, "init"), "callbacks");
    if (list == NULL || list->kind != CRN_NODE_LIST)
        return NULL;
    for (crn_node *item = list->first; item != NULL; item = item->next) {
        crn_node *const lora = crn_node_get(item, "Lora");
        if (!crn_node_is_null(lora))
            return lora;
    }
    return NULL;
}

/* The texts of @out belong to @doc. */
static cairn_status read_options(const char *params, const char *path, crn_doc **doc,
                                 cairn_lora_options *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_diag diag = {0};
    if (params != NULL)
        (void)crn_doc_parse(params, strlen(params), path, &diag, doc);
    CRN_TRY(err, crn_diag_check(&diag, err), "the parameters kept in '%s'", path);
    crn_node *const node = *doc != NULL ? find_lora(*doc) : NULL;
    if (node == NULL)
        CRN_FAIL(err, CAIRN_EINCOMPATIBLE,
                 "the parameters kept in '%s' have no callback Lora that tells of its adapters",
                 path);
    (void)crn_section_read(crn_section_find("lora"), "trainer.init.callbacks.Lora", *doc, node, out,
                           &diag);
    CRN_TRY(err, crn_diag_check(&diag, err), "the parameters kept in '%s'", path);
out:
    crn_diag_dispose(&diag);
    return rc;
}

cairn_status crn_adapters_declare(const cairn_model *model, cairn_state_tree *tree,
                                  const cairn_checkpoint *ckpt, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_doc *doc = NULL;
    cairn_state *state = NULL;
    cairn_lora_options options;
    const char *const path = cairn_checkpoint_get_info(ckpt)->path;
    const cairn_adapter_ops *const adapters = cairn_model_adapters(model);
    if (!cairn_checkpoint_has_state(ckpt, CRN_ADAPTERS_STATE))
        CRN_FAIL(err, CAIRN_EINCOMPATIBLE, "'%s' has no adapters (state " CRN_ADAPTERS_STATE ")",
                 path);
    if (adapters == NULL)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED, "the model %s takes no adapters", model->ops->name);
    CRN_TRY_PLAIN(read_options(cairn_checkpoint_params(ckpt), path, &doc, &options, err));
    CRN_TRY_PLAIN(cairn_state_tree_add(tree, CRN_ADAPTERS_STATE, &state, err));
    CRN_TRY(err, adapters->add(model->self, &options.lora_params, state, err),
            "the adapters of '%s'", path);
out:
    crn_doc_destroy(doc);
    return rc;
}

cairn_status crn_adapters_load(cairn_checkpoint *ckpt, cairn_state_tree *tree, const cairn_log *log,
                               cairn_error *err)
{
    const cairn_load_options options = {.struct_size = sizeof options,
                                        .states = CRN_ADAPTERS_STATE,
                                        .required_state = CRN_ADAPTERS_STATE,
                                        .log = log};
    return cairn_checkpoint_load(ckpt, tree, &options, NULL, err);
}
