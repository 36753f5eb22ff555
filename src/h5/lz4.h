/* The HDF5 filter LZ4 (number 32004), with which the Model Zoo packs its checkpoints. */
#ifndef CRN_H5_LZ4_H
#define CRN_H5_LZ4_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CRN_H5_FILTER_LZ4 = 32004 };

/* False: the library refuses it. */
bool crn_h5_lz4_register(void);

/*
 * Unpacks what the filter made of a chunk. @out has room for exactly the bytes that the chunk says
 * it holds (crn_h5_lz4_size). False: damaged. Any bytes may be given.
 * Formats: registered_filter "LZ4" of the HDF Group, HDF5_LZ4.pdf; lz4_Block_format.md.
 */
bool crn_h5_lz4_unpack(const uint8_t *packed, size_t size, uint8_t *out, size_t out_size);
/* Bytes that a packed chunk says it holds. False: it is too short to say. */
bool crn_h5_lz4_size(const uint8_t *packed, size_t size, uint64_t *out);

#endif
