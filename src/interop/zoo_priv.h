/* What the files that read the Model Zoo's states share. */
#ifndef CRN_INTEROP_ZOO_PRIV_H
#define CRN_INTEROP_ZOO_PRIV_H

#include "base/str.h"
#include "ckpt/foreign.h"
#include "interop/zoo.h"

enum { CRN_ZOO_VALUES_MAX = 16, CRN_ZOO_TEXT_MAX = 40 };

/* A file and what was found in it. */
typedef struct crn_zoo {
    crn_archive *archive;
    const char *path;
    const cairn_log *log;
    const crn_file_entry *theirs; /* the archive's */
    size_t their_count;
    crn_file_entry *tensors; /* ours: names are owned, shapes are the archive's */
    size_t *sources;         /* for each of them, its number in @theirs */
    size_t tensor_count;
    crn_foreign_value values[CRN_ZOO_VALUES_MAX];
    char texts[CRN_ZOO_VALUES_MAX][CRN_ZOO_TEXT_MAX]; /* of the values */
    size_t value_count;
    uint64_t step;
    crn_str states; /* "model,optimizer" */
    crn_str params; /* JSON; empty: none */
} crn_zoo;

/* Adds a tensor of ours, "<state>.<path>" or with @more "<state>.<path>.<more>", whose bytes are
 * those of tensor @source of the archive. */
cairn_status crn_zoo_add_tensor(crn_zoo *zoo, const char *state, const char *path, const char *more,
                                size_t source, cairn_error *err);
void crn_zoo_add_value(crn_zoo *zoo, const char *state, const char *key, const char *text);
cairn_status crn_zoo_add_state(crn_zoo *zoo, const char *state, cairn_error *err);

/* The number that is kept under @name as a value or as a tensor of one element. *out_is_there:
 * whether there is one. Statuses of crn_archive_read. */
cairn_status crn_zoo_number(const crn_zoo *zoo, const char *name, double *out, bool *out_is_there,
                            cairn_error *err);

/* The state of the optimizer, under the names of parameters. The model's tensors must be there. */
cairn_status crn_zoo_add_optimizer(crn_zoo *zoo, cairn_error *err);
/* Finds the section of the model among the parameters. */
cairn_status crn_zoo_add_params(crn_zoo *zoo, cairn_error *err);

#endif
