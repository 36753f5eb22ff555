/*
 * The plan of a checkpoint file: which bytes of the arena go where, and the header.
 *
 * A file holds whole regions of the arena, one behind another, so that one with a subset of the
 * states differs from a full one only in the regions' offsets.
 */
#ifndef CRN_CKPT_PLAN_H
#define CRN_CKPT_PLAN_H

#include "ckpt/names.h"
#include "format/format.h"

/* Bytes that are written together and, unless they are a gap, are one digest chunk. */
typedef struct crn_piece {
    uint64_t arena_offset;
    uint64_t data_offset; /* from the start of the data section */
    uint64_t bytes;
    crn_digest *digest; /* where the chunk's digest belongs; NULL: a gap */
} crn_piece;

typedef struct crn_plan_tensor {
    size_t entry;       /* index in entries */
    crn_digest *chunks; /* in the plan's chunks */
    uint64_t chunk_count;
} crn_plan_tensor;

typedef struct crn_plan {
    const cairn_state **states; /* those in the file, in the tree's order */
    size_t state_count;
    crn_file_entry *entries; /* tensors and pads, covering the data section; names are the plan's */
    size_t entry_count;
    crn_plan_tensor *tensors;
    size_t tensor_count;
    crn_digest *chunks; /* zero until the data has been hashed */
    size_t chunk_count;
    crn_piece *pieces; /* in file order */
    size_t piece_count;
    uint64_t *shapes;
    size_t shape_count;
    uint64_t data_bytes;
    size_t pad_count;
    crn_str values; /* those of the states at the time of planning, as they stand in the header */
} crn_plan;

/* What a header says beside the tensors. Borrowed. */
typedef struct crn_file_facts {
    const char *kind; /* "full" or "alternative" */
    uint64_t step;
    const char *run_id;
    uint64_t save_counter;
    const char *params_json;      /* may be NULL */
    const char *environment_json; /* may be NULL */
} crn_file_facts;

/*
 * Plans the file that holds the states in @names (NULL: all), with those that begin with "__", and
 * captures their values.
 * @retval CAIRN_EINVAL  A name that the tree lacks; a tree with tensors that is not allocated.
 */
cairn_status crn_plan_make(crn_plan *out, const cairn_state_tree *tree, const crn_name_list *names,
                           cairn_error *err);
void crn_plan_dispose(crn_plan *plan);

/*
 * Digests the bytes of @piece, which are at @bytes, or makes sure that a gap holds zeros.
 * @retval CAIRN_EBUG  It does not.
 */
cairn_status crn_piece_digest(const crn_piece *piece, const uint8_t *bytes, cairn_error *err);
/* EBUG unless all @size bytes are zero; @at is where they are in the arena. */
cairn_status crn_gap_check(const uint8_t *bytes, uint64_t size, uint64_t at, cairn_error *err);

/* Writes plan->values: a part of crn_plan_make. */
cairn_status crn_plan_capture_values(crn_plan *plan, cairn_error *err);

/*
 * Length word and header for the digests as they are now; their number does not change the size.
 * Looks at nothing of the tree that changes, so any thread may call it.
 * @is_draft  Only its size is wanted: the header digest is zeros, and nothing is checked.
 */
cairn_status crn_plan_header(const crn_plan *plan, const crn_file_facts *facts, bool is_draft,
                             crn_str *out, cairn_error *err);

/* Metadata keys of a checkpoint. */
#define CRN_KEY_PREFIX         "cairn."
#define CRN_KEY_FORMAT         "cairn.format"
#define CRN_KEY_KIND           "cairn.kind"
#define CRN_KEY_STEP           "cairn.step"
#define CRN_KEY_RUN_ID         "cairn.run_id"
#define CRN_KEY_SAVE_COUNTER   "cairn.save_counter"
#define CRN_KEY_STATES         "cairn.states"
#define CRN_KEY_STATE_DIGEST   "cairn.state_digest"
#define CRN_KEY_WRITTEN_BY     "cairn.written_by"
#define CRN_KEY_ALIASES        "cairn.aliases"
#define CRN_KEY_VALUES         "cairn.values"
#define CRN_KEY_PARAMS         "cairn.params"
#define CRN_KEY_ENVIRONMENT    "cairn.environment"
#define CRN_KEY_TENSOR_DIGESTS "cairn.tensor_digests"
#define CRN_KEY_CHUNK_DIGESTS  "cairn.chunk_digests"

#define CRN_KIND_FULL        "full"
#define CRN_KIND_ALTERNATIVE "alternative"

#endif
