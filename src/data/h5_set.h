/* The HDF5 files of some folders as one list of samples. */
#ifndef CRN_DATA_H5_SET_H
#define CRN_DATA_H5_SET_H

#include "cairn/options.h"
#include "data/files.h"
#include "data/h5_client.h"
#include "data/subset.h"

typedef struct crn_h5_set_spec {
    cairn_opt_list data_dir;
    const char *data_subset; /* NULL: all */
    /* Of a corpus: what it is cut into. Of samples: null, or what they have. */
    cairn_opt_int max_sequence_length;
    bool takes_corpus;
    bool obeys_n_examples; /* Of each file only so many samples count as its attribute says. */
} crn_h5_set_spec;

typedef struct crn_h5_set {
    crn_data_files files; /* sorted by path */
    crn_h5_data *data;    /* [files.count] */
    uint64_t *first;      /* [files.count + 1] first row or token of each file; the sum */
    bool is_corpus;
    uint64_t length; /* tokens of a sample */
    crn_subset subset;
} crn_h5_set;

/*
 * Finds the *.h5 files of the folders and looks at each. On failure too, crn_h5_set_dispose.
 * CAIRN_EDATA: no files, unreadable ones, or files that do not fit together or the spec;
 * CAIRN_ECONFIG: data_subset.
 */
cairn_status crn_h5_set_open(const crn_os *os, crn_h5_client *client, const crn_h5_set_spec *spec,
                             crn_h5_set *out, cairn_error *err);
/*
 * Sample @index < subset.samples as [length] input_ids, labels and mask. @scratch is
 * [3 * length + 1]. Samples of a corpus may begin in one file and end in the next.
 */
cairn_status crn_h5_set_read(const crn_h5_set *set, crn_h5_client *client, uint64_t index,
                             int32_t *input_ids, int32_t *labels, float *mask, int32_t *scratch,
                             cairn_error *err);
void crn_h5_set_dispose(crn_h5_set *set);

#endif
