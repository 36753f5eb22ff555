/* From our parameters into a Hugging Face folder. */
#include <inttypes.h>
#include <string.h>

#include "base/checked.h"
#include "base/mem.h"
#include "base/try.h"
#include "format/format.h"
#include "interop/hf_model.h"
#include "interop/hf_names.h"

enum {
    PARTS_MAX = 3, /* query, key and value of GPT-2 */
    NEAR = 8       /* parameters between two parts of one tensor, at most */
};

/* A tensor to write: its parts fill it. */
struct target {
    crn_hf_piece piece[PARTS_MAX];
    const cairn_tensor *part[PARTS_MAX];
    int part_count;
    uint64_t begin;
    uint64_t bytes;
};

struct targets {
    struct target *items;
    size_t count;
    size_t capacity;
    crn_hf_family family;
};

static cairn_status add_part(struct targets *targets, const crn_hf_piece *piece,
                             const cairn_tensor *ours, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    struct target *to = NULL;
    const size_t first = targets->count < NEAR ? 0 : targets->count - NEAR;
    for (size_t i = first; i < targets->count && to == NULL; i++) {
        if (strcmp(targets->items[i].piece[0].name, piece->name) == 0)
            to = &targets->items[i];
    }
    if (to == NULL) {
        CRN_TRY_PLAIN(crn_grow(&targets->items, &targets->capacity, targets->count + 1,
                               sizeof *targets->items, err));
        to = &targets->items[targets->count++];
        to->bytes = (uint64_t)(piece->all * piece->cols) * sizeof(float);
    }
    if (to->part_count == PARTS_MAX)
        CRN_FAIL(err, CAIRN_EBUG, "too many parts of '%s'", piece->name);
    to->piece[to->part_count] = *piece;
    to->part[to->part_count++] = ours;
out:
    return rc;
}

static cairn_status plan(const crn_hf_model *m, struct targets *targets, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint64_t at = 0;
    const cairn_state *const state = cairn_state_tree_find(m->tree, "model");
    for (size_t i = 0; i < cairn_state_tensor_count(state); i++) {
        crn_hf_piece piece;
        const cairn_tensor *const ours = cairn_state_tensor_at(state, i);
        CRN_TRY_PLAIN(crn_hf_piece_of(targets->family, &m->options, ours, &piece, err));
        CRN_TRY_PLAIN(add_part(targets, &piece, ours, err));
    }
    for (size_t i = 0; i < targets->count; i++) {
        targets->items[i].begin = at;
        at += targets->items[i].bytes;
    }
out:
    return rc;
}

/* Length word and header; the metadata is what transformers wants to see. */
static cairn_status make_header(const struct targets *targets, crn_str *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_str_append_bytes(out, "\0\0\0\0\0\0\0\0", CRN_LENGTH_WORD_BYTES);
    crn_str_append(out, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (size_t i = 0; i < targets->count; i++) {
        const struct target *const t = &targets->items[i];
        const crn_hf_piece *const piece = &t->piece[0];
        uint64_t shape[2] = {0};
        const int rank = crn_hf_shape(piece, t->part[0], shape);
        crn_str_printf(out, ",\"%s%s\":{\"dtype\":\"F32\",\"shape\":[%" PRIu64,
                       piece->is_outer ? "" : crn_hf_prefix(targets->family), piece->name,
                       shape[0]);
        if (rank == 2)
            crn_str_printf(out, ",%" PRIu64, shape[1]);
        crn_str_printf(out, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", t->begin,
                       t->begin + t->bytes);
    }
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

static void fill(const struct target *t, float *values)
{
    for (int p = 0; p < t->part_count; p++) {
        const crn_hf_piece *const piece = &t->piece[p];
        const float *const from = t->part[p]->data;
        for (int64_t row = 0; row < piece->rows; row++) {
            for (int64_t col = 0; col < piece->cols; col++)
                values[crn_hf_index(piece, row, col)] = from[row * piece->cols + col];
        }
    }
}

static cairn_status write_tensor(crn_publish *file, const struct target *t, uint64_t data_begin,
                                 cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    float *const values = crn_calloc(1, (size_t)t->bytes);
    CRN_NEED(err, values, t->piece[0].name);
    fill(t, values);
    CRN_TRY_PLAIN(crn_publish_write(file, values, (size_t)t->bytes, data_begin + t->begin, err));
out:
    crn_free(values);
    return rc;
}

static cairn_status write_weights(const struct targets *targets, const crn_folder *folder,
                                  cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    static const char k_name[] = "model.safetensors";
    const struct target *const last = &targets->items[targets->count - 1];
    crn_str header = {0};
    crn_publish file = {.fd = -1, .lock_fd = -1, .folder = folder};
    CRN_TRY_PLAIN(make_header(targets, &header, err));
    CRN_TRY_PLAIN(
        crn_publish_begin(&file, folder, k_name, header.length + last->begin + last->bytes, err));
    for (size_t i = 0; i < targets->count; i++)
        CRN_TRY_PLAIN(write_tensor(&file, &targets->items[i], header.length, err));
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
    struct targets targets = {0};
    CRN_TRY_PLAIN(crn_hf_family_of(&model->options, &targets.family, err));
    CRN_TRY_PLAIN(crn_hf_config_write(&model->options, &config, err));
    CRN_TRY_PLAIN(plan(model, &targets, err));
    CRN_TRY_PLAIN(write_weights(&targets, folder, err));
    CRN_TRY_PLAIN(crn_publish_text(folder, "config.json", config.text, config.length, err));
    *out_tensors = targets.count;
out:
    crn_free(targets.items);
    crn_str_dispose(&config);
    return rc;
}
