/* A load in progress: what goes where is decided first, and only then are bytes moved. */
#ifndef CRN_CKPT_LOAD_PRIV_H
#define CRN_CKPT_LOAD_PRIV_H

#include "ckpt/load_report.h"
#include "ckpt/read_priv.h"

/* A tensor of the tree and where its bytes come from. */
typedef struct crn_match {
    size_t state; /* index in tree and report */
    const cairn_tensor *tensor;
    const crn_read_tensor *source; /* NULL: missing in the file */
    bool is_mismatch;              /* in the file with another shape or dtype */
} crn_match;

/* A second tensor of the file that serves the same tensor of the tree: both must be equal. */
typedef struct crn_twin {
    size_t match;
    const crn_read_tensor *source;
} crn_twin;

typedef struct crn_load {
    const cairn_checkpoint *ckpt;
    cairn_state_tree *tree;
    const cairn_load_options *options;
    cairn_load_report *report;
    bool *is_wanted;    /* [states of the tree] */
    crn_match *matches; /* all tensors of the wanted states */
    size_t match_count;
    const crn_match **by_tensor; /* the same, sorted by address of the tensor */
    crn_twin *twins;
    size_t twin_count;
    size_t twin_capacity;
    crn_str mismatch; /* the first tensor whose shape or dtype differs; empty: none */
    size_t mismatch_count;
} crn_load;

/* Fills is_wanted. CAIRN_EINCOMPATIBLE if the file lacks a state that was named. */
cairn_status crn_load_choose_states(crn_load *load, cairn_error *err);
/* Fills matches, twins, mismatch and the report. */
cairn_status crn_load_match(crn_load *load, cairn_error *err);
/* Moves the bytes. */
cairn_status crn_load_read(crn_load *load, cairn_error *err);

#endif
