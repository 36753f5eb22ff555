/* From our parameters into a GGUF file. */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/mem.h"
#include "base/try.h"
#include "interop/element.h"
#include "interop/gguf_config.h"
#include "interop/gguf_model.h"
#include "interop/gguf_tokenizer.h"
#include "interop/targets.h"
#include "nn/rotary.h"

/* A file in the making. */
struct plan {
    const crn_hf_model *model;
    crn_hf_family family;
    cairn_dtype dtype; /* of matrices */
    crn_targets targets;
    int64_t stretch_count; /* elements of CRN_GGUF_STRETCHES, the first tensor; 0: there is none */
    crn_str infos;
    uint64_t at; /* where the next tensor begins, behind the data's beginning */
};

cairn_status crn_gguf_check(const crn_hf_model *model, const cairn_log *log, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_gpt2_options *const o = &model->options;
    crn_hf_family family;
    CRN_TRY_PLAIN(crn_gguf_family_of(o, &family, err));
    if (family == CRN_HF_GPT2 && strcmp(o->nonlinearity, "gelu") == 0)
        cairn_log_message(log, CAIRN_LOG_WARNING,
                          "llama.cpp computes every gpt2 with gelu_new; this model has gelu, so "
                          "its numbers differ a little there");
    if (o->attention_sliding_window_length.is_set)
        cairn_log_message(log, CAIRN_LOG_WARNING,
                          "llama.cpp computes llama without a sliding window; for texts longer "
                          "than %lld tokens its numbers differ",
                          (long long)o->attention_sliding_window_length.value);
out:
    return rc;
}

/* As llama.cpp's own files have it: positions and what has one axis is added, and stays exact. */
static cairn_dtype dtype_of(const cairn_tensor *ours, const crn_hf_piece *piece, cairn_dtype dtype)
{
    const bool is_exact = ours->rank == 1 || strcmp(piece->name, "position_embd.weight") == 0;
    return is_exact ? CAIRN_DTYPE_F32 : dtype;
}

/* ---- Rounding ---- */

static cairn_status round_row(float *row, int64_t count, const char *name, cairn_dtype dtype,
                              cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint8_t bytes[sizeof(float)];
    for (int64_t i = 0; i < count; i++) {
        crn_element_put(bytes, dtype, 0, row[i]);
        const float rounded = crn_element_get(bytes, dtype, 0);
        if (isinf(rounded) && !isinf(row[i]))
            CRN_FAIL(err, CAIRN_EUNSUPPORTED, "'%s' has a weight of %g, which %s cannot hold", name,
                     (double)row[i], cairn_dtype_name(dtype));
        row[i] = rounded;
    }
out:
    return rc;
}

static cairn_status round_tensor(crn_hf_model *m, const cairn_tensor *ours, cairn_dtype dtype,
                                 cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const uint64_t row_bytes = (uint64_t)ours->shape[1] * sizeof(float);
    for (int64_t row = 0; row < ours->shape[0] && rc == CAIRN_OK; row++) {
        const uint64_t at = (uint64_t)row * row_bytes;
        float *const to = cairn_tensor_write_begin(m->tree, ours, at, row_bytes);
        rc = round_row(to, ours->shape[1], ours->name, dtype, err);
        cairn_tensor_write_end(m->tree, ours, at, row_bytes);
    }
    return rc;
}

cairn_status crn_gguf_round(crn_hf_model *model, cairn_dtype dtype, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_hf_family family;
    const cairn_state *const state = cairn_state_tree_find(model->tree, "model");
    CRN_TRY_PLAIN(crn_gguf_family_of(&model->options, &family, err));
    for (size_t i = 0; i < cairn_state_tensor_count(state); i++) {
        crn_hf_piece piece;
        const cairn_tensor *const ours = cairn_state_tensor_at(state, i);
        CRN_TRY_PLAIN(crn_gguf_piece_of(family, ours, &piece, err));
        if (dtype_of(ours, &piece, dtype) != CAIRN_DTYPE_F32)
            CRN_TRY_PLAIN(round_tensor(model, ours, dtype, err));
    }
out:
    return rc;
}

/* ---- What stands before the numbers ---- */

static uint32_t type_of(cairn_dtype dtype)
{
    enum { F32 = 0, F16 = 1, BF16 = 30 };
    return dtype == CAIRN_DTYPE_F16 ? F16 : dtype == CAIRN_DTYPE_BF16 ? BF16 : F32;
}

/* The axis along which elements are neighbours comes first. */
static void add_info(struct plan *plan, const char *name, int rank, const uint64_t *shape,
                     cairn_dtype dtype)
{
    uint64_t bytes = cairn_dtype_bits(dtype) / 8;
    crn_gguf_append_text(&plan->infos, name, strlen(name));
    crn_gguf_append_number(&plan->infos, (uint64_t)rank, 4);
    for (int i = rank - 1; i >= 0; i--) {
        crn_gguf_append_number(&plan->infos, shape[i], 8);
        bytes *= shape[i];
    }
    crn_gguf_append_number(&plan->infos, type_of(dtype), 4);
    crn_gguf_append_number(&plan->infos, plan->at, 8);
    (void)crn_round_up_u64(plan->at + bytes, CRN_GGUF_ALIGNMENT, &plan->at);
}

static cairn_status make_plan(struct plan *plan, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_gpt2_options *const o = &plan->model->options;
    const cairn_state *const state = cairn_state_tree_find(plan->model->tree, "model");
    for (size_t i = 0; i < cairn_state_tensor_count(state); i++) {
        crn_hf_piece piece;
        const cairn_tensor *const ours = cairn_state_tensor_at(state, i);
        CRN_TRY_PLAIN(crn_gguf_piece_of(plan->family, ours, &piece, err));
        CRN_TRY_PLAIN(crn_targets_add(&plan->targets, &piece, ours, err));
    }
    if (plan->family == CRN_HF_LLAMA && strcmp(o->pos_scaling_type, "llama3") == 0) {
        plan->stretch_count = o->hidden_size / o->num_heads / 2;
        const uint64_t count = (uint64_t)plan->stretch_count;
        add_info(plan, CRN_GGUF_STRETCHES, 1, &count, CAIRN_DTYPE_F32);
    }
    for (size_t i = 0; i < plan->targets.count; i++) {
        const crn_target *const t = &plan->targets.items[i];
        uint64_t shape[2] = {0};
        const int rank = crn_hf_shape(&t->piece[0], t->part[0], shape);
        add_info(plan, t->piece[0].name, rank, shape,
                 dtype_of(t->part[0], &t->piece[0], plan->dtype));
    }
    CRN_TRY_PLAIN(crn_str_check(&plan->infos, err));
out:
    return rc;
}

static void pad(crn_str *out)
{
    while (out->length % CRN_GGUF_ALIGNMENT != 0 && !out->is_failed)
        crn_str_append_bytes(out, "", 1);
}

static cairn_status make_beginning(const struct plan *plan, const char *tokenizer, crn_str *out,
                                   cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_gguf_pairs pairs = {0};
    const uint64_t tensors = plan->targets.count + (plan->stretch_count > 0 ? 1 : 0);
    crn_gguf_config_write(&plan->model->options, plan->family, plan->dtype, &pairs);
    CRN_TRY_PLAIN(crn_gguf_put_tokenizer(tokenizer, plan->model->options.vocab_size, &pairs, err));
    CRN_TRY_PLAIN(crn_str_check(&pairs.bytes, err));
    crn_str_append(out, CRN_GGUF_MAGIC);
    crn_gguf_append_number(out, CRN_GGUF_VERSION, 4);
    crn_gguf_append_number(out, tensors, 8);
    crn_gguf_append_number(out, pairs.count, 8);
    crn_str_append_bytes(out, pairs.bytes.text, pairs.bytes.length);
    crn_str_append_bytes(out, plan->infos.text, plan->infos.length);
    pad(out);
    CRN_TRY_PLAIN(crn_str_check(out, err));
out:
    crn_gguf_pairs_dispose(&pairs);
    return rc;
}

/* ---- Numbers ---- */

/* Writes elements and their padding; moves *@at behind them. */
static cairn_status write_values(crn_publish *file, const float *values, uint64_t count,
                                 cairn_dtype dtype, uint64_t *at, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint64_t size = 0;
    (void)crn_round_up_u64(count * (cairn_dtype_bits(dtype) / 8), CRN_GGUF_ALIGNMENT, &size);
    uint8_t *const bytes = crn_calloc(1, (size_t)size + 1);
    CRN_NEED(err, bytes, "a tensor to write");
    for (uint64_t i = 0; i < count; i++)
        crn_element_put(bytes, dtype, i, values[i]);
    CRN_TRY_PLAIN(crn_publish_write(file, bytes, (size_t)size, *at, err));
    *at += size;
out:
    crn_free(bytes);
    return rc;
}

static cairn_status write_stretches(crn_publish *file, const struct plan *plan, uint64_t *at,
                                    cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const int64_t count = plan->stretch_count;
    float *const values = crn_calloc((size_t)count + 1, sizeof *values);
    CRN_NEED(err, values, CRN_GGUF_STRETCHES);
    for (int64_t i = 0; i < count; i++)
        values[i] = (float)crn_rotary_stretch(&plan->model->options, 2 * count, i);
    CRN_TRY_PLAIN(write_values(file, values, (uint64_t)count, CAIRN_DTYPE_F32, at, err));
out:
    crn_free(values);
    return rc;
}

static cairn_status write_target(crn_publish *file, const crn_target *t, cairn_dtype dtype,
                                 uint64_t *at, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const uint64_t count = crn_target_elements(t);
    float *const values = crn_calloc((size_t)count, sizeof *values);
    CRN_NEED(err, values, t->piece[0].name);
    crn_target_fill(t, values);
    CRN_TRY_PLAIN(
        write_values(file, values, count, dtype_of(t->part[0], &t->piece[0], dtype), at, err));
out:
    crn_free(values);
    return rc;
}

static cairn_status write_file(const struct plan *plan, const crn_str *beginning,
                               const crn_folder *folder, const char *name, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_publish file = {.fd = -1, .lock_fd = -1, .folder = folder};
    uint64_t at = beginning->length;
    CRN_TRY_PLAIN(crn_publish_begin(&file, folder, name, at + plan->at, err));
    if (plan->stretch_count > 0)
        CRN_TRY_PLAIN(write_stretches(&file, plan, &at, err));
    for (size_t i = 0; i < plan->targets.count; i++)
        CRN_TRY_PLAIN(write_target(&file, &plan->targets.items[i], plan->dtype, &at, err));
    CRN_TRY_PLAIN(crn_publish_write(&file, beginning->text, beginning->length, 0, err));
    CRN_TRY_PLAIN(crn_publish_seal(&file, err));
    CRN_TRY_PLAIN(crn_publish_over(&file, name, err));
out:
    crn_publish_end(&file);
    return rc;
}

cairn_status crn_gguf_export(const crn_hf_model *model, const crn_gguf_export_options *options,
                             const crn_folder *folder, const char *name, uint64_t *out_tensors,
                             cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    struct plan plan = {.model = model, .dtype = options->dtype};
    crn_str beginning = {0};
    CRN_TRY_PLAIN(crn_gguf_family_of(&model->options, &plan.family, err));
    CRN_TRY_PLAIN(make_plan(&plan, err));
    CRN_TRY_PLAIN(make_beginning(&plan, options->tokenizer, &beginning, err));
    CRN_TRY_PLAIN(write_file(&plan, &beginning, folder, name, err));
    *out_tensors = plan.targets.count + (plan.stretch_count > 0 ? 1 : 0);
out:
    crn_targets_dispose(&plan.targets);
    crn_str_dispose(&plan.infos);
    crn_str_dispose(&beginning);
    return rc;
}
