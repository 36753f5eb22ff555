/* State trees of the sizes that matter. */
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "base/try.h"
#include "bench.h"

typedef struct gpt {
    int64_t width;
    int64_t layers;
    int64_t vocabulary;
    int64_t positions;
} gpt;

static cairn_status add(cairn_state *const states[2], const char *name, int64_t rows,
                        int64_t columns, cairn_error *err)
{
    static const char *const k_suffixes[] = {"", ".exp_avg", ".exp_avg_sq"};
    cairn_status rc = CAIRN_OK;
    char full[128];
    for (int i = 0; i < 3; i++) {
        const cairn_tensor_spec spec = {.name = full,
                                        .dtype = CAIRN_DTYPE_F32,
                                        .role = CAIRN_ROLE_OTHER,
                                        .rank = columns > 0 ? 2 : 1,
                                        .shape = {rows, columns}};
        (void)snprintf(full, sizeof full, "%s%s", name, k_suffixes[i]);
        CRN_TRY_PLAIN(cairn_state_add_tensor(states[i > 0], &spec, NULL, err));
    }
out:
    return rc;
}

/* The shapes of a block as the Model Zoo's GPT-2 has them. */
static cairn_status add_layer(cairn_state *const states[2], int64_t layer, int64_t width,
                              cairn_error *err)
{
    static const struct {
        const char *name;
        int rows; /* in widths */
        int columns;
    } k_shapes[] = {
        {"norm1.weight", 1, 0},
        {"norm1.bias", 1, 0},
        {"self_attn.proj_q_dense_layer.weight", 1, 1},
        {"self_attn.proj_q_dense_layer.bias", 1, 0},
        {"self_attn.proj_k_dense_layer.weight", 1, 1},
        {"self_attn.proj_k_dense_layer.bias", 1, 0},
        {"self_attn.proj_v_dense_layer.weight", 1, 1},
        {"self_attn.proj_v_dense_layer.bias", 1, 0},
        {"self_attn.proj_output_dense_layer.weight", 1, 1},
        {"self_attn.proj_output_dense_layer.bias", 1, 0},
        {"norm3.weight", 1, 0},
        {"norm3.bias", 1, 0},
        {"ffn.ffn.0.linear_layer.weight", 4, 1},
        {"ffn.ffn.0.linear_layer.bias", 4, 0},
        {"ffn.ffn.1.linear_layer.weight", 1, 4},
        {"ffn.ffn.1.linear_layer.bias", 1, 0},
    };
    cairn_status rc = CAIRN_OK;
    char name[128];
    for (size_t i = 0; i < sizeof k_shapes / sizeof k_shapes[0]; i++) {
        (void)snprintf(name, sizeof name, "transformer_decoder.layers.%d.%s", (int)layer,
                       k_shapes[i].name);
        CRN_TRY_PLAIN(
            add(states, name, k_shapes[i].rows * width, k_shapes[i].columns * width, err));
    }
out:
    return rc;
}

static cairn_status add_gpt(cairn_state *const states[2], gpt shape, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    CRN_TRY_PLAIN(
        add(states, "embedding_layer.word_embeddings.weight", shape.vocabulary, shape.width, err));
    CRN_TRY_PLAIN(add(states, "embedding_layer.position_embeddings.embed.weight", shape.positions,
                      shape.width, err));
    for (int64_t i = 0; i < shape.layers; i++)
        CRN_TRY_PLAIN(add_layer(states, i, shape.width, err));
    CRN_TRY_PLAIN(add(states, "transformer_decoder.norm.weight", shape.width, 0, err));
    CRN_TRY_PLAIN(add(states, "transformer_decoder.norm.bias", shape.width, 0, err));
out:
    return rc;
}

static cairn_status add_shape(cairn_state *const states[2], const char *shape, cairn_error *err)
{
    static const gpt k_gpt2 = {768, 12, 50257, 1024};
    static const gpt k_quarter = {384, 12, 25129, 512};
    static const gpt k_tiny = {64, 2, 1000, 64};
    enum { TENSORS = 1000, TENSOR_FLOATS = 124440 };
    cairn_status rc = CAIRN_OK;
    char name[32];
    if (strcmp(shape, "gpt2") == 0) {
        CRN_TRY_PLAIN(add_gpt(states, k_gpt2, err));
    } else if (strcmp(shape, "gpt2-quarter") == 0) {
        CRN_TRY_PLAIN(add_gpt(states, k_quarter, err));
    } else if (strcmp(shape, "tiny") == 0) {
        CRN_TRY_PLAIN(add_gpt(states, k_tiny, err));
    } else if (strcmp(shape, "tensors") == 0) {
        for (int i = 0; i < TENSORS; i++) {
            (void)snprintf(name, sizeof name, "t%03d.weight", i);
            CRN_TRY_PLAIN(add(states, name, TENSOR_FLOATS, 0, err));
        }
    } else {
        CRN_FAIL(err, CAIRN_EINVAL, "no shape '%s': gpt2, gpt2-quarter, tensors, tiny", shape);
    }
out:
    return rc;
}

static void fill(cairn_state_tree *tree, const cairn_tensor *tensor, uint64_t number)
{
    uint64_t done = 0;
    while (done < tensor->bytes) {
        const uint64_t left = tensor->bytes - done;
        const uint64_t size = left < CAIRN_WRITE_TILE_BYTES ? left : CAIRN_WRITE_TILE_BYTES;
        float *const out = cairn_tensor_write_begin(tree, tensor, done, size);
        for (uint64_t i = 0; i < size / sizeof *out; i += 4) {
            uint32_t bits[4];
            crn_philox(1, CRN_STREAM_INIT, number, (done / sizeof *out + i) / 4, bits);
            for (uint64_t j = 0; j < 4 && i + j < size / sizeof *out; j++)
                out[i + j] = crn_uniform_f32(bits[j]) * 0.02F;
        }
        cairn_tensor_write_end(tree, tensor, done, size);
        done += size;
    }
}

cairn_status bench_make_tree(const char *shape, cairn_state_tree **out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_state_tree *tree = NULL;
    cairn_state *states[2] = {NULL, NULL};
    cairn_state *step = NULL;
    uint64_t number = 0;
    CRN_TRY_PLAIN(cairn_state_tree_new(&tree, err));
    CRN_TRY_PLAIN(cairn_state_tree_add(tree, "model", &states[0], err));
    CRN_TRY_PLAIN(cairn_state_tree_add(tree, "optimizer", &states[1], err));
    CRN_TRY_PLAIN(cairn_state_tree_add(tree, "global_step", &step, err));
    CRN_TRY_PLAIN(add_shape(states, shape, err));
    CRN_TRY_PLAIN(cairn_state_tree_allocate(tree, err));
    for (int s = 0; s < 2; s++) {
        for (size_t i = 0; i < cairn_state_tensor_count(states[s]); i++)
            fill(tree, cairn_state_tensor_at(states[s], i), number++);
    }
    CRN_TRY_PLAIN(cairn_state_set_u64(step, "step", 0, err));
    *out = tree;
    tree = NULL;
out:
    cairn_state_tree_destroy(tree);
    return rc;
}
