/* XXH3-128 of the xxHash library, inlined for the vector width of the build. */
#ifndef CRN_BASE_HASH_H
#define CRN_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

enum { CRN_DIGEST_BYTES = 16, CRN_DIGEST_TEXT_SIZE = 33 };

/* In canonical (big-endian) byte order, so that its hexadecimal text is xxhsum's. */
typedef struct crn_digest {
    uint8_t bytes[CRN_DIGEST_BYTES];
} crn_digest;

crn_digest crn_hash(const void *bytes, size_t size);

/* Hash of several pieces in a row, for what is not in one place. NULL: out of memory. */
typedef struct crn_hasher crn_hasher;
crn_hasher *crn_hasher_new(void);
void crn_hasher_update(crn_hasher *hasher, const void *bytes, size_t size);
crn_digest crn_hasher_finish(const crn_hasher *hasher);
/* Accepts NULL. */
void crn_hasher_destroy(crn_hasher *hasher);

void crn_digest_to_text(const crn_digest *digest, char out[CRN_DIGEST_TEXT_SIZE]);
/*
 * Reads 32 lower-case hexadecimal digits; 0 on success, else -1 and @out is left alone. What
 * follows the digits is not looked at.
 */
int crn_digest_from_text(const char *text, crn_digest *out);
int crn_digest_equal(const crn_digest *a, const crn_digest *b);

#endif
