/* All optimizers, made from YAML options, and a model of a few small parameters for them. */
#ifndef OPTIM_KIT_H
#define OPTIM_KIT_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef _OPENMP
#include <omp.h>
#endif

#include <cmocka.h>

#include "base/mem.h"
#include "cairn/optim.h"
#include "config/config.h"

typedef cairn_status (*ok_make_fn)(const void *options, cairn_optimizer *out, cairn_error *err);

#define OK_CLASSES(X)                                                                              \
    X(AdamW, adamw)                                                                                \
    X(Adam, adam)                                                                                  \
    X(SGD, sgd)                                                                                    \
    X(Adafactor, adafactor)                                                                        \
    X(Lion, lion)                                                                                  \
    X(Lamb, lamb)                                                                                  \
    X(Muon, muon)                                                                                  \
    X(RMSprop, rmsprop)                                                                            \
    X(NAdam, nadam)                                                                                \
    X(RAdam, radam)                                                                                \
    X(Adagrad, adagrad)                                                                            \
    X(Adamax, adamax)                                                                              \
    X(Adadelta, adadelta)                                                                          \
    X(ASGD, asgd)                                                                                  \
    X(Rprop, rprop)

#define X(name, word)                                                                              \
    static inline cairn_status ok_make_##word(const void *options, cairn_optimizer *out,           \
                                              cairn_error *err)                                    \
    {                                                                                              \
        return cairn_##word##_new(options, out, err);                                              \
    }
OK_CLASSES(X)
#undef X

static const struct {
    const char *name;
    ok_make_fn make;
} k_ok_classes[] = {
#define X(name, word) {#name, ok_make_##word},
    OK_CLASSES(X)
#undef X
};
enum { OK_CLASS_COUNT = sizeof k_ok_classes / sizeof k_ok_classes[0] };

/* Makes optimizer @class from options written as YAML; the status of the maker. */
static inline cairn_status ok_try_make(const char *class, const char *yaml, cairn_optimizer *out,
                                       cairn_error *err)
{
    crn_diag diag = {0};
    crn_doc *doc = NULL;
    const crn_section *const section = crn_section_find(class);
    assert_non_null(section);
    void *const options = crn_calloc(1, section->struct_size);
    assert_true(crn_doc_parse(yaml, strlen(yaml), "options", &diag, &doc));
    if (!crn_section_read(section, NULL, doc, crn_doc_root(doc), options, &diag))
        fail_msg("%s %s: %s", class, yaml, diag.problems[0].text);
    cairn_status status = CAIRN_ENOTFOUND;
    for (size_t i = 0; i < OK_CLASS_COUNT; i++)
        if (strcmp(k_ok_classes[i].name, class) == 0)
            status = k_ok_classes[i].make(options, out, err);
    crn_free(options);
    crn_doc_destroy(doc);
    crn_diag_dispose(&diag);
    return status;
}

/* A tensor of the model; group: its parameter group if "w" and "b" have a tag. */
static const struct {
    const char *name;
    cairn_role role;
    int rank;
    int64_t shape[3];
} k_ok_params[] = {
    {"w", CAIRN_ROLE_WEIGHT, 2, {6, 5}},    {"tall", CAIRN_ROLE_WEIGHT, 2, {7, 3}},
    {"e", CAIRN_ROLE_EMBEDDING, 2, {4, 6}}, {"b", CAIRN_ROLE_BIAS, 1, {5}},
    {"n", CAIRN_ROLE_NORM, 1, {3}},         {"cube", CAIRN_ROLE_WEIGHT, 3, {2, 3, 4}},
};
enum { OK_PARAMS = sizeof k_ok_params / sizeof k_ok_params[0], OK_GROUPS_MAX = 8 };

typedef struct ok_model {
    cairn_state_tree *tree;
    cairn_state *model;
    cairn_state *state;
    cairn_param_groups *groups;
    cairn_optimizer optimizer;
} ok_model;

static inline const cairn_tensor *ok_add(cairn_state *model, const char *name, cairn_role role,
                                         int rank, const int64_t *shape)
{
    const cairn_tensor *tensor = NULL;
    cairn_tensor_spec spec = {.name = name, .dtype = CAIRN_DTYPE_F32, .role = role, .rank = rank};
    memcpy(spec.shape, shape, (size_t)rank * sizeof *shape);
    assert_int_equal(cairn_state_add_tensor(model, &spec, &tensor, NULL), CAIRN_OK);
    return tensor;
}

/* Plans everything, allocates, resets. The model's parameters are there already. */
static inline void ok_start(ok_model *m, const char *class, const char *yaml,
                            const cairn_param_filter *filters, size_t filter_count)
{
    cairn_error err = {0};
    const cairn_status made = ok_try_make(class, yaml, &m->optimizer, &err);
    if (made != CAIRN_OK)
        fail_msg("%s: %s", class, err.frame[0].text);
    assert_int_equal(cairn_param_groups_new(m->model, filters, filter_count, &m->groups, NULL),
                     CAIRN_OK);
    assert_int_equal(cairn_state_tree_add(m->tree, "optimizer", &m->state, NULL), CAIRN_OK);
    assert_int_equal(
        m->optimizer.ops->declare(m->optimizer.self, m->model, m->groups, m->state, NULL),
        CAIRN_OK);
    assert_int_equal(cairn_state_tree_allocate(m->tree, NULL), CAIRN_OK);
    assert_int_equal(cairn_state_allocate_gradients(m->model, NULL), CAIRN_OK);
    assert_int_equal(m->optimizer.ops->reset(m->optimizer.self, m->tree, NULL), CAIRN_OK);
}

static inline void ok_new_tree(ok_model *m)
{
    *m = (ok_model){0};
    assert_int_equal(cairn_state_tree_new(&m->tree, NULL), CAIRN_OK);
    assert_int_equal(cairn_state_tree_add(m->tree, "model", &m->model, NULL), CAIRN_OK);
}

/* The small model; @is_tagged: "w" and "b" have the tag "x", which makes four groups of two. */
static inline void ok_make(ok_model *m, const char *class, const char *yaml, bool is_tagged)
{
    static const char *const k_globs[] = {"w", "b"};
    const cairn_param_filter filter = {.params = {.items = k_globs, .count = 2}, .tag = "x"};
    const int64_t buffer = 3;
    ok_new_tree(m);
    for (int i = 0; i < OK_PARAMS; i++)
        (void)ok_add(m->model, k_ok_params[i].name, k_ok_params[i].role, k_ok_params[i].rank,
                     k_ok_params[i].shape);
    (void)ok_add(m->model, "buffer", CAIRN_ROLE_OTHER, 1, &buffer);
    ok_start(m, class, yaml, &filter, is_tagged ? 1 : 0);
}

static inline void ok_dispose(ok_model *m)
{
    m->optimizer.ops->destroy(m->optimizer.self);
    cairn_param_groups_destroy(m->groups);
    cairn_state_tree_destroy(m->tree);
}

/* The formulas of tests/numeric/make_optimizers.py; they repeat, so that large tensors are quickly
 * filled. */
enum { OK_PERIOD = 4099 };

static inline float ok_first_value(size_t number, int64_t i)
{
    const double x = (double)(i % OK_PERIOD);
    return (float)(0.5 * sin(0.7 * x + 0.11 * x * x + 1.3 * (double)number));
}

static inline float ok_gradient(size_t number, uint64_t step, int64_t i)
{
    const double x = (double)(i % OK_PERIOD);
    const double s = (double)step;
    return (float)(cos(0.9 * x + 0.05 * x * x + 0.8 * (double)number + 1.7 * s) * (0.3 + 0.1 * s));
}

static inline void ok_set_params(ok_model *m)
{
    for (size_t n = 0; n < cairn_state_tensor_count(m->model); n++) {
        const cairn_tensor *const param = cairn_state_tensor_at(m->model, n);
        for (uint64_t at = 0; at < param->bytes; at += CAIRN_WRITE_TILE_BYTES) {
            const uint64_t left = param->bytes - at;
            const uint64_t size = left < CAIRN_WRITE_TILE_BYTES ? left : CAIRN_WRITE_TILE_BYTES;
            float *const p = cairn_tensor_write_begin(m->tree, param, at, size);
            for (uint64_t i = 0; i < size / sizeof(float); i++)
                p[i] = i < OK_PERIOD ? ok_first_value(n, (int64_t)(at / sizeof(float) + i))
                                     : p[i - OK_PERIOD];
            cairn_tensor_write_end(m->tree, param, at, size);
        }
    }
}

static inline void ok_set_gradients(ok_model *m, uint64_t step)
{
    for (size_t n = 0; n < cairn_state_tensor_count(m->model); n++) {
        const cairn_tensor *const param = cairn_state_tensor_at(m->model, n);
        for (int64_t i = 0; param->grad != NULL && i < cairn_tensor_elements(param); i++)
            param->grad[i] = i < OK_PERIOD ? ok_gradient(n, step, i) : param->grad[i - OK_PERIOD];
    }
}

/* One update with rates that differ by step and group. */
static inline cairn_status ok_try_step(ok_model *m, uint64_t step, bool is_varying)
{
    const cairn_optimizer *const o = &m->optimizer;
    double rates[OK_GROUPS_MAX];
    double decays[OK_GROUPS_MAX];
    const double rate = o->ops->learning_rate(o->self);
    const double decay = o->ops->weight_decay != NULL ? o->ops->weight_decay(o->self) : 0.0;
    for (size_t g = 0; g < cairn_param_groups_count(m->groups); g++) {
        const double share = 1.0 + 0.5 * (double)g;
        rates[g] = rate * (1.0 + (is_varying ? 0.25 * (double)(step % 3) : 0.0)) * share;
        decays[g] = cairn_param_groups_is_decayed(m->groups, g) ? decay * share : 0.0;
    }
    return o->ops->step(o->self, m->tree, rates, decays, NULL);
}

static inline void ok_steps(ok_model *m, uint64_t first, uint64_t count, bool is_varying)
{
    for (uint64_t s = first; s < first + count; s++) {
        ok_set_gradients(m, s);
        assert_int_equal(ok_try_step(m, s, is_varying), CAIRN_OK);
    }
}

/* What a checkpoint does: tensors and values of one tree into another. */
static inline void ok_copy_tree(ok_model *to, const ok_model *from)
{
    const char *key = NULL;
    const char *value = NULL;
    cairn_state *const pairs[][2] = {{to->model, from->model}, {to->state, from->state}};
    for (size_t p = 0; p < 2; p++) {
        for (size_t i = 0; i < cairn_state_tensor_count(pairs[p][0]); i++) {
            const cairn_tensor *const tensor = cairn_state_tensor_at(pairs[p][0], i);
            void *const out = cairn_tensor_write_begin(to->tree, tensor, 0, tensor->bytes);
            memcpy(out, cairn_state_tensor_at(pairs[p][1], i)->data, tensor->bytes);
            cairn_tensor_write_end(to->tree, tensor, 0, tensor->bytes);
        }
    }
    cairn_state_clear_values(to->state);
    for (size_t i = 0; i < cairn_state_value_count(from->state); i++) {
        cairn_state_value_at(from->state, i, &key, &value);
        assert_int_equal(cairn_state_set_text(to->state, key, value, NULL), CAIRN_OK);
    }
}

static inline void ok_assert_same(const ok_model *a, const ok_model *b)
{
    const char *key = NULL;
    const char *value = NULL;
    assert_int_equal(cairn_state_tree_bytes(a->tree), cairn_state_tree_bytes(b->tree));
    assert_memory_equal(cairn_state_tree_arena(a->tree), cairn_state_tree_arena(b->tree),
                        cairn_state_tree_bytes(a->tree));
    assert_int_equal(cairn_state_value_count(a->state), cairn_state_value_count(b->state));
    for (size_t i = 0; i < cairn_state_value_count(a->state); i++) {
        cairn_state_value_at(a->state, i, &key, &value);
        assert_string_equal(cairn_state_get_text(b->state, key), value);
    }
}

static inline void ok_set_threads(int count)
{
#ifdef _OPENMP
    omp_set_num_threads(count);
#else
    (void)count;
#endif
}

#endif
