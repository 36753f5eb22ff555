/*
 * HDF5 files through `cairn-hdf5`, a process of its own that can do nothing but read what it is
 * handed (src/h5). The library itself never loads HDF5.
 */
#ifndef CRN_DATA_H5_CLIENT_H
#define CRN_DATA_H5_CLIENT_H

#include "cairn/error.h"
#include "data/h5_protocol.h"
#include "os/os.h"

typedef struct crn_h5_client crn_h5_client;

/* The `data` of a file, as it was when it was looked at first. */
typedef struct crn_h5_data {
    const char *path; /* borrowed */
    uint32_t number;  /* of the file, among those of its client */
    unsigned rank;    /* 1: [tokens]; 3: [samples, features, tokens] */
    uint64_t shape[3];
    uint64_t n_examples; /* UINT64_MAX: the file does not say */
} crn_h5_data;

/*
 * Starts the helper. @program: its file; NULL: looked for beside this program, in ../libexec/cairn
 * from there, and where it was installed. @os is borrowed as long as the client lives.
 * CAIRN_EUNSUPPORTED: it is not there, since this build lacks HDF5. CAIRN_EIO.
 */
cairn_status crn_h5_client_new(const crn_os *os, const char *program, crn_h5_client **out,
                               cairn_error *err);
/* Accepts NULL. */
void crn_h5_client_destroy(crn_h5_client *client);

/* Looks at a file. CAIRN_EDATA: it cannot be read, is damaged, or would read other files. */
cairn_status crn_h5_client_look(crn_h5_client *client, const char *path, crn_h5_data *out,
                                cairn_error *err);
/* Numbers of it, as CRN_H5_READ says. CAIRN_EDATA: damaged, or changed since it was looked at. */
cairn_status crn_h5_client_read(crn_h5_client *client, const crn_h5_data *data, uint64_t first,
                                uint64_t count, int32_t *out, cairn_error *err);

#endif
