#include "base/hash.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

/* The state wants more alignment than crn_calloc gives, so it is placed inside a larger block. */
struct crn_hasher {
    XXH3_state_t state;
    void *block; /* What crn_calloc gave. */
};

static crn_digest digest_of(XXH128_hash_t hash)
{
    crn_digest digest;
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, hash);
    memcpy(digest.bytes, canonical.digest, sizeof digest.bytes);
    return digest;
}

crn_digest crn_hash(const void *bytes, size_t size)
{
    return digest_of(XXH3_128bits(bytes, size));
}

crn_hasher *crn_hasher_new(void)
{
    const size_t unit = _Alignof(crn_hasher);
    char *const block = crn_calloc(1, sizeof(crn_hasher) + unit);
    if (block == NULL)
        return NULL;
    crn_hasher *const hasher = (void *)(block + (unit - (uintptr_t)block % unit));
    hasher->block = block;
    (void)XXH3_128bits_reset(&hasher->state);
    return hasher;
}

void crn_hasher_update(crn_hasher *hasher, const void *bytes, size_t size)
{
    (void)XXH3_128bits_update(&hasher->state, bytes, size);
}

crn_digest crn_hasher_finish(const crn_hasher *hasher)
{
    return digest_of(XXH3_128bits_digest(&hasher->state));
}

void crn_hasher_destroy(crn_hasher *hasher)
{
    if (hasher != NULL)
        crn_free(hasher->block);
}

void crn_digest_to_text(const crn_digest *digest, char out[CRN_DIGEST_TEXT_SIZE])
{
    crn_hex(digest->bytes, sizeof digest->bytes, out);
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

int crn_digest_from_text(const char *text, crn_digest *out)
{
    crn_digest digest;
    for (size_t i = 0; i < CRN_DIGEST_BYTES; i++) {
        const int high = hex_value(text[2 * i]);
        const int low = high < 0 ? -1 : hex_value(text[2 * i + 1]);
        if (low < 0)
            return -1;
        digest.bytes[i] = (uint8_t)(high << 4 | low);
    }
    *out = digest;
    return 0;
}

int crn_digest_equal(const crn_digest *a, const crn_digest *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}
