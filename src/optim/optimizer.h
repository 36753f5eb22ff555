/*
 * What all optimizers share: a table describes one, optimizer.c does the rest. Most are a function
 * of single elements (`update`), run over the tiles of the write guard; those that need whole
 * tensors bring `step_tensor`.
 */
#ifndef CRN_OPTIM_OPTIMIZER_H
#define CRN_OPTIM_OPTIMIZER_H

#include "cairn/optim.h"

enum {
    CRN_MOMENTS_MAX = 3,            /* state tensors of a parameter */
    CRN_COUNTERS_MAX = 2,           /* values of the state */
    CRN_SCALARS_BYTES = 64,         /* what `prepare` may write for a group */
    CRN_PARALLEL_FLOATS = 16 * 1024 /* below this a loop is not worth waking threads */
};

/* A state tensor of a parameter, to be declared. */
typedef struct crn_moment {
    const char *name;
    double first;     /* what all its elements are before the first step */
    int dropped_axis; /* from the end: 1 is the last axis, 2 the one before; 0: none */
} crn_moment;

/* A value of the state. It is a power or a product in [0, 1], or a count of steps. */
typedef struct crn_counter {
    const char *name; /* NULL: none */
    bool is_count;    /* from 0; else from 1.0 */
} crn_counter;

/* A parameter and its state. Tensors are borrowed from the tree. */
typedef struct crn_slot {
    const cairn_tensor *param;
    const cairn_tensor *moment[CRN_MOMENTS_MAX];
    float first[CRN_MOMENTS_MAX];
    size_t moment_count;
    size_t group;
} crn_slot;

/* A range of a parameter, of its gradient and of moments of its shape. */
typedef struct crn_tile {
    float *restrict p;
    float *restrict m[CRN_MOMENTS_MAX];
    const float *restrict g;
    size_t count;
} crn_tile;

typedef struct crn_optimizer crn_optimizer;

typedef struct crn_optimizer_class {
    cairn_optimizer_ops ops;
    const char *section;
    /* Fills @out, returns how many. NULL: none. */
    size_t (*moments)(const void *options, const cairn_tensor *param,
                      crn_moment out[CRN_MOMENTS_MAX]);
    crn_counter counters[CRN_COUNTERS_MAX];
    /* From the counters of the last step to those of the coming one. NULL: none. */
    void (*advance)(const void *options, double counters[CRN_COUNTERS_MAX]);
    /* The rate where no scheduler sets it, by the counters of the coming step. NULL: the option. */
    double (*rate)(const void *options, const double counters[CRN_COUNTERS_MAX]);
    /* What is the same for all elements of a group in one step; @counters are the coming step's. */
    void (*prepare)(const void *options, const double counters[CRN_COUNTERS_MAX],
                    double learning_rate, double weight_decay, void *scalars);
    /* Element by element, so neither tiles nor threads show in the bits. */
    void (*update)(const crn_tile *tile, const void *scalars);
    /* Instead of `update`. */
    cairn_status (*step_tensor)(crn_optimizer *optimizer, cairn_state_tree *tree,
                                const crn_slot *slot, const void *scalars, cairn_error *err);
    /* Floats that step_tensor needs in optimizer->scratch. NULL: none. */
    uint64_t (*scratch)(const cairn_tensor *param);
} crn_optimizer_class;

struct crn_optimizer {
    const crn_optimizer_class *class;
    void *options;
    cairn_state *state; /* borrowed from the tree */
    crn_slot *slots;
    size_t slot_count;
    size_t slot_capacity;
    unsigned char *scalars; /* [groups][CRN_SCALARS_BYTES] */
    size_t group_count;
    double counters[CRN_COUNTERS_MAX];
    float *scratch;
    uint64_t scratch_bytes;
    double learning_rate;
    double weight_decay;
};

/* Makes an optimizer of @class with a copy of @options, checked against their table. */
cairn_status crn_optimizer_new(const crn_optimizer_class *class, const void *options,
                               double learning_rate, double weight_decay, cairn_optimizer *out,
                               cairn_error *err);

/* The generic operations, for the table of a class. */
cairn_status crn_optimizer_declare(void *self, const cairn_state *model,
                                   const cairn_param_groups *groups, cairn_state *state,
                                   cairn_error *err);
cairn_status crn_optimizer_reset(void *self, cairn_state_tree *tree, cairn_error *err);
cairn_status crn_optimizer_loaded(void *self, cairn_error *err);
cairn_status crn_optimizer_step(void *self, cairn_state_tree *tree, const double *learning_rates,
                                const double *weight_decays, cairn_error *err);
double crn_optimizer_learning_rate(const void *self);
double crn_optimizer_weight_decay(const void *self);
void crn_optimizer_destroy(void *self);

#define CRN_OPTIMIZER_OPS(name_, weight_decay_)                                                    \
    {                                                                                              \
        .struct_size = sizeof(cairn_optimizer_ops), .name = (name_),                               \
        .declare = crn_optimizer_declare, .reset = crn_optimizer_reset,                            \
        .loaded = crn_optimizer_loaded, .step = crn_optimizer_step,                                \
        .learning_rate = crn_optimizer_learning_rate, .weight_decay = (weight_decay_),             \
        .destroy = crn_optimizer_destroy                                                           \
    }

/*
 * Runs @update over a parameter, its gradient and those moments of the slot that have its shape,
 * tile by tile through the write guard. @with_param false: the parameter is not written, tile.p is
 * NULL; likewise the moments.
 */
void crn_update_tiles(cairn_state_tree *tree, const crn_slot *slot, bool with_param,
                      bool with_moments, void (*update)(const crn_tile *, const void *),
                      const void *scalars);
/* Runs @update over one tensor alone, as tile.p; tile.g is @values, of the same shape. */
void crn_update_tensor(cairn_state_tree *tree, const cairn_tensor *tensor, const float *values,
                       void (*update)(const crn_tile *, const void *), const void *scalars);

/* Sum over [first, first + count) of whatever @what is. */
typedef double (*crn_chunk_fn)(const void *what, size_t first, size_t count);
/* The sum over @count elements in chunks of a fixed size, added up in order: the cut, not the
 * threads, decides the bits. */
double crn_sum_chunks(size_t count, crn_chunk_fn chunk, const void *what);
/* Sum of the squares of @x. */
double crn_sum_of_squares(const float *x, size_t count);
/* The same; @squares [crn_square_count(count)] gets its parts. */
double crn_sum_of_squares_kept(const float *x, size_t count, double *squares);
size_t crn_square_count(size_t count);
/* Sum of the squares of x[first .. first + range), most of it out of those parts. */
double crn_sum_of_squares_in(const float *x, size_t count, const double *squares, size_t first,
                             size_t range);

#endif
