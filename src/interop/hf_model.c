#include "interop/hf_model_priv.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/try.h"
#include "cairn/interop.h"
#include "interop/adapters.h"

void crn_hf_model_dispose(crn_hf_model *model)
{
    if (model->model.ops != NULL)
        model->model.ops->destroy(model->model.self);
    cairn_state_tree_destroy(model->tree);
    crn_doc_destroy(model->doc);
    *model = (crn_hf_model){0};
}

/*
 * Without a table of learned positions the parameters do not depend on the longest sequence, and
 * what a model keeps for each position (angles, keys, values) is not wanted for more than are
 * asked of it: 131,072 positions of a large Llama would be as large as its weights.
 */
static cairn_gpt2_options shortened(const cairn_gpt2_options *options, int64_t positions)
{
    cairn_gpt2_options o = *options;
    if (strcmp(o.position_embedding_type, "rotary") == 0 && o.max_position_embeddings > positions)
        o.max_position_embeddings = positions;
    return o;
}

/* Reads the section and makes the model, its parameters declared. */
static cairn_status make(crn_hf_model *m, const char *where, int64_t positions, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_diag diag = {0};
    cairn_state *state = NULL;
    (void)crn_section_read(crn_section_find("gpt2"), where, m->doc, m->section, &m->options, &diag);
    CRN_TRY_PLAIN(crn_diag_check(&diag, err));
    const cairn_gpt2_options shape = shortened(&m->options, positions);
    CRN_TRY_PLAIN(cairn_gpt2_new(&shape, &m->model, err));
    CRN_TRY_PLAIN(cairn_state_tree_new(&m->tree, err));
    CRN_TRY_PLAIN(cairn_state_tree_add(m->tree, "model", &state, err));
    CRN_TRY_PLAIN(m->model.ops->declare(m->model.self, state, err));
out:
    crn_diag_dispose(&diag);
    return rc;
}

/* ---- From a checkpoint ---- */

static cairn_status parse_params(crn_hf_model *m, const char *params, const char *path,
                                 cairn_error *err)
{
    static const char *const k_names[] = {"gpt2", "gpt3", "llama"};
    cairn_status rc = CAIRN_OK;
    crn_diag diag = {0};
    char shown[100];
    (void)crn_doc_parse(params, strlen(params), path, &diag, &m->doc);
    CRN_TRY(err, crn_diag_check(&diag, err), "the parameters kept in '%s'", path);
    crn_node *const trainer = crn_node_get(crn_doc_root(m->doc), "trainer");
    m->section = crn_node_get(crn_node_get(trainer, "init"), "model");
    const crn_node *const name = crn_node_get(m->section, "name");
    const char *const text = name != NULL ? name->text : "";
    if (crn_names_find(text, k_names, sizeof k_names / sizeof k_names[0]) < 0)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED,
                 "'%s' holds a model '%s'; only gpt2, gpt3 and llama can be converted", path,
                 crn_escape(text, strlen(text), shown, sizeof shown));
out:
    crn_diag_dispose(&diag);
    return rc;
}

/* @lora: the checkpoint that adapters come from; NULL: there are none. */
static cairn_status load(cairn_checkpoint *ckpt, cairn_checkpoint *lora, const cairn_log *log,
                         crn_hf_model *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const char *const path = cairn_checkpoint_get_info(ckpt)->path;
    const cairn_load_options options = {
        .struct_size = sizeof options, .states = "model", .required_state = "model", .log = log};
    if (cairn_checkpoint_params(ckpt) == NULL)
        CRN_FAIL(err, CAIRN_EINCOMPATIBLE, "'%s' holds no parameters that tell the model's shape",
                 path);
    CRN_TRY_PLAIN(parse_params(out, cairn_checkpoint_params(ckpt), path, err));
    CRN_TRY(err, make(out, "trainer.init.model", CRN_HF_POSITIONS, err), "the model of '%s'", path);
    if (lora != NULL)
        CRN_TRY_PLAIN(crn_adapters_declare(&out->model, out->tree, lora, err));
    CRN_TRY_PLAIN(cairn_state_tree_allocate(out->tree, err));
    CRN_TRY_PLAIN(cairn_checkpoint_load(ckpt, out->tree, &options, NULL, err));
    if (lora != NULL)
        CRN_TRY_PLAIN(crn_adapters_load(lora, out->tree, log, err));
out:
    return rc;
}

static void copy_tensor(cairn_state_tree *tree, const cairn_tensor *from, const cairn_tensor *to)
{
    const char *const bytes = from->data;
    for (uint64_t at = 0; at < to->bytes; at += CAIRN_WRITE_TILE_BYTES) {
        const uint64_t left = to->bytes - at;
        const uint64_t size = left < CAIRN_WRITE_TILE_BYTES ? left : CAIRN_WRITE_TILE_BYTES;
        memcpy(cairn_tensor_write_begin(tree, to, at, size), bytes + at, size);
        cairn_tensor_write_end(tree, to, at, size);
    }
}

/* The model of @from alone, without adapters, its doc with the model's section alone. */
static cairn_status copy_model(const crn_hf_model *from, crn_hf_model *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_str params = {0};
    crn_str_append(&params, "{\"trainer\":{\"init\":{\"model\":");
    crn_node_to_json(from->section, &params);
    crn_str_append(&params, "}}}");
    CRN_TRY_PLAIN(crn_str_check(&params, err));
    CRN_TRY_PLAIN(parse_params(out, params.text, "the merged model", err));
    CRN_TRY_PLAIN(make(out, "trainer.init.model", CRN_HF_POSITIONS, err));
    CRN_TRY_PLAIN(cairn_state_tree_allocate(out->tree, err));
    const cairn_state *const source = cairn_state_tree_find(from->tree, "model");
    const cairn_state *const state = cairn_state_tree_find(out->tree, "model");
    for (size_t i = 0; i < cairn_state_tensor_count(state); i++)
        copy_tensor(out->tree, cairn_state_tensor_at(source, i), cairn_state_tensor_at(state, i));
out:
    crn_str_dispose(&params);
    return rc;
}

static cairn_status load_merged(cairn_checkpoint *ckpt, cairn_checkpoint *lora,
                                const cairn_log *log, crn_hf_model *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_hf_model adapted = {0};
    CRN_TRY_PLAIN(load(ckpt, lora, log, &adapted, err));
    CRN_TRY(err, cairn_model_adapters(&adapted.model)->merge(adapted.model.self, adapted.tree, err),
            "merge the adapters of '%s'", cairn_checkpoint_get_info(lora)->path);
    CRN_TRY_PLAIN(copy_model(&adapted, out, err));
out:
    crn_hf_model_dispose(&adapted);
    return rc;
}

cairn_status crn_hf_model_load(const char *path, const char *lora_path, const cairn_log *log,
                               crn_hf_model *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_checkpoint *ckpt = NULL;
    cairn_checkpoint *other = NULL;
    cairn_checkpoint *lora = NULL;
    *out = (crn_hf_model){0};
    CRN_TRY_PLAIN(cairn_checkpoint_import(path, log, &ckpt, err));
    CRN_TRY_PLAIN(crn_adapters_choose(ckpt, lora_path, &other, &lora, err));
    if (lora != NULL)
        CRN_TRY_PLAIN(load_merged(ckpt, lora, log, out, err));
    else
        CRN_TRY_PLAIN(load(ckpt, NULL, log, out, err));
out:
    cairn_checkpoint_close(other);
    cairn_checkpoint_close(ckpt);
    return rc;
}

/* ---- From elsewhere ---- */

cairn_status crn_hf_model_begin(const char *file, crn_hf_model *out, cairn_error *err)
{
    static const char k_empty[] = "{trainer: {init: {model: {}}}}";
    cairn_status rc = CAIRN_OK;
    crn_diag diag = {0};
    *out = (crn_hf_model){0};
    (void)crn_doc_parse(k_empty, sizeof k_empty - 1, file, &diag, &out->doc);
    CRN_TRY_PLAIN(crn_diag_check(&diag, err));
    crn_node *const trainer = crn_node_get(crn_doc_root(out->doc), "trainer");
    out->section = crn_node_get(crn_node_get(trainer, "init"), "model");
out:
    crn_diag_dispose(&diag);
    return rc;
}

cairn_status crn_hf_model_declare(crn_hf_model *model, const char *file, int64_t positions,
                                  cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    CRN_TRY(err, make(model, "model", positions, err), "the model that '%s' describes", file);
out:
    return rc;
}

/* ---- Logits ---- */

cairn_status crn_hf_logits_make(const crn_hf_model *model, crn_hf_logits *out, cairn_error *err)
{
    enum { SEED = 1 };
    cairn_status rc = CAIRN_OK;
    const cairn_model_ops *const ops = model->model.ops;
    const int64_t limit = ops->max_sequence_length(model->model.self);
    const int64_t time = limit < CRN_HF_POSITIONS ? limit : CRN_HF_POSITIONS;
    const int64_t sequences = (CRN_HF_POSITIONS + time - 1) / time;
    int32_t tokens[CRN_HF_POSITIONS] = {0};
    *out = (crn_hf_logits){.positions = sequences * time,
                           .vocabulary = ops->vocab_size(model->model.self)};
    out->values = crn_calloc((size_t)out->positions, (size_t)out->vocabulary * sizeof *out->values);
    CRN_NEED(err, out->values, "logits to compare");
    for (int64_t s = 0; s < sequences; s++) {
        for (int64_t t = 0; t < time; t++) {
            uint32_t words[4];
            crn_philox(SEED, CRN_STREAM_SAMPLE, (uint64_t)s, (uint64_t)t, words);
            tokens[t] = (int32_t)(words[0] % (uint64_t)out->vocabulary);
            CRN_TRY_PLAIN(ops->next_logits(model->model.self, tokens, t + 1,
                                           out->values + (s * time + t) * out->vocabulary, err));
        }
    }
out:
    return rc;
}

void crn_hf_logits_dispose(crn_hf_logits *logits)
{
    crn_free(logits->values);
    *logits = (crn_hf_logits){0};
}

void crn_hf_logits_compare(const crn_hf_logits *a, const crn_hf_logits *b, double *out_difference,
                           double *out_largest)
{
    double difference = 0.0;
    double largest = 0.0;
    for (int64_t i = 0; i < a->positions * a->vocabulary; i++) {
        const double x = a->values[i];
        const double y = b->values[i];
        if (isfinite(x) && fabs(x) > largest)
            largest = fabs(x);
        if (x == y || (isnan(x) && isnan(y)))
            continue;
        const double apart = isfinite(x) && isfinite(y) ? fabs(x - y) : (double)INFINITY;
        difference = apart > difference ? apart : difference;
    }
    *out_difference = difference;
    *out_largest = largest;
}
