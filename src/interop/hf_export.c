/* From our parameters into a Hugging Face folder. */
#include <inttypes.h>

#include "base/mem.h"
#include "base/try.h"
#include "format/format.h"
#include "interop/hf_model.h"
#include "interop/targets.h"

/* What is the same for all tensors. */
struct plan {
    crn_targets targets;
    crn_hf_family family;
};

static cairn_status make_plan(const crn_hf_model *m, struct plan *plan, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_state *const state = cairn_state_tree_find(m->tree, "model");
    for (size_t i = 0; i < cairn_state_tensor_count(state); i++) {
        crn_hf_piece piece;
        const cairn_tensor *const ours = cairn_state_tensor_at(state, i);
        CRN_TRY_PLAIN(crn_hf_piece_of(plan->family, &m->options, ours, &piece, err));
        CRN_TRY_PLAIN(crn_targets_add(&plan->targets, &piece, ours, err));
    }
out:
    return rc;
}

/* Length word and header; the metadata is what transformers wants to see. */
static cairn_status make_header(const struct plan *plan, crn_str *out, uint64_t *out_data_bytes,
                                cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint64_t at = 0;
    crn_str_append_bytes(out, "\0\0\0\0\0\0\0\0", CRN_LENGTH_WORD_BYTES);
    crn_str_append(out, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (size_t i = 0; i < plan->targets.count; i++) {
        const crn_target *const t = &plan->targets.items[i];
        const crn_hf_piece *const piece = &t->piece[0];
        const uint64_t bytes = crn_target_elements(t) * sizeof(float);
        uint64_t shape[2] = {0};
        const int rank = crn_hf_shape(piece, t->part[0], shape);
        crn_str_printf(out, ",\"%s%s\":{\"dtype\":\"F32\",\"shape\":[%" PRIu64,
                       piece->is_outer ? "" : crn_hf_prefix(plan->family), piece->name, shape[0]);
        if (rank == 2)
            crn_str_printf(out, ",%" PRIu64, shape[1]);
        crn_str_printf(out, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", at, at + bytes);
        at += bytes;
    }
    *out_data_bytes = at;
    crn_str_append(out, "}");
    while (out->length % CRN_LENGTH_WORD_BYTES != 0 && !out->is_failed)
        crn_str_append(out, " ");
    CRN_TRY_PLAIN(crn_str_check(out, err));
    const uint64_t length = out->length - CRN_LENGTH_WORD_BYTES;
    for (int i = 0; i < CRN_LENGTH_WORD_BYTES; i++)
        out->text[i] = (char)(length >> (8 * i) & 0xffU);
out:
    return rc;
}

/* Moves *@at behind the tensor. */
static cairn_status write_tensor(crn_publish *file, const crn_target *t, uint64_t *at,
                                 cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const size_t bytes = (size_t)crn_target_elements(t) * sizeof(float);
    float *const values = crn_calloc(1, bytes);
    CRN_NEED(err, values, t->piece[0].name);
    crn_target_fill(t, values);
    CRN_TRY_PLAIN(crn_publish_write(file, values, bytes, *at, err));
    *at += bytes;
out:
    crn_free(values);
    return rc;
}

static cairn_status write_weights(const struct plan *plan, const crn_folder *folder,
                                  cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    static const char k_name[] = "model.safetensors";
    uint64_t bytes = 0;
    crn_str header = {0};
    crn_publish file = {.fd = -1, .lock_fd = -1, .folder = folder};
    CRN_TRY_PLAIN(make_header(plan, &header, &bytes, err));
    CRN_TRY_PLAIN(crn_publish_begin(&file, folder, k_name, header.length + bytes, err));
    uint64_t at = header.length;
    for (size_t i = 0; i < plan->targets.count; i++)
        CRN_TRY_PLAIN(write_tensor(&file, &plan->targets.items[i], &at, err));
    CRN_TRY_PLAIN(crn_publish_write(&file, header.text, header.length, 0, err));
    CRN_TRY_PLAIN(crn_publish_seal(&file, err));
    CRN_TRY_PLAIN(crn_publish_over(&file, k_name, err));
out:
    crn_publish_end(&file);
    crn_str_dispose(&header);
    return rc;
}

cairn_status crn_hf_model_export(const crn_hf_model *model, const crn_folder *folder,
                                 uint64_t *out_tensors, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_str config = {0};
    struct plan plan = {0};
    CRN_TRY_PLAIN(crn_hf_family_of(&model->options, &plan.family, err));
    CRN_TRY_PLAIN(crn_hf_config_write(&model->options, &config, err));
    CRN_TRY_PLAIN(make_plan(model, &plan, err));
    CRN_TRY_PLAIN(write_weights(&plan, folder, err));
    CRN_TRY_PLAIN(crn_publish_text(folder, "config.json", config.text, config.length, err));
    *out_tensors = plan.targets.count;
out:
    crn_targets_dispose(&plan.targets);
    crn_str_dispose(&config);
    return rc;
}
