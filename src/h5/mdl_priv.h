/* What the files that read a checkpoint of the Model Zoo share. */
#ifndef CRN_H5_MDL_PRIV_H
#define CRN_H5_MDL_PRIV_H

#include <jansson.h>

#include "cairn/tensor.h"
#include "h5/mdl.h"
#include "interop/archive_protocol.h"

enum { CRN_MDL_RANK_MAX = 32 }; /* HDF5's H5S_MAX_RANK; its hid_t is an int64_t */

/* Where a tensor's bytes are. */
typedef struct crn_mdl_tensor {
    char *key; /* of its data set; NULL: every element is @fill */
    cairn_dtype dtype;
    uint32_t rank;
    uint64_t shape[CRN_MDL_RANK_MAX];
    uint64_t bytes;
    uint8_t fill[8];
} crn_mdl_tensor;

/* A leaf of the tree of keys. */
typedef struct crn_mdl_item {
    crn_archive_record record;
    size_t tensor; /* its number, of a tensor */
    char *text;    /* of a text */
} crn_mdl_item;

struct crn_mdl {
    int fd;
    int64_t file;
    crn_mdl_tensor *tensors;
    size_t tensor_count;
    size_t tensor_capacity;
    size_t *listed; /* for each tensor of the table, its number in @tensors */
    size_t listed_count;
    size_t listed_capacity;
    crn_mdl_item *items;
    size_t item_count;
    size_t item_capacity;
    json_t *item_of; /* key: number of its item */
    crn_str table;
    int64_t data;   /* open, of tensor ... */
    size_t data_of; /* ... number */
};

/* An attribute of @object that is a text, as JSON. ECORRUPT: it is none.  ENOMEM. */
cairn_status crn_mdl_read_json(int64_t object, const char *name, json_t **out, cairn_error *err);
/* Reads shape and dtype of the data set @key; @torch: "torch.float32" and so on, or NULL. */
cairn_status crn_mdl_look(const crn_mdl *mdl, const char *key, const char *torch,
                          crn_mdl_tensor *out, cairn_error *err);
/* The dtype of PyTorch's name "torch.float32" and so on; 0: not one that is read. */
cairn_dtype crn_mdl_dtype(const char *torch);
/* Adds the entry of leaf @key: @metadata is what the file says of it. */
cairn_status crn_mdl_add(crn_mdl *mdl, const char *key, const json_t *metadata, cairn_error *err);

#endif
