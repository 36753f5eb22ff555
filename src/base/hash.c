#include "base/hash.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

struct crn_hasher {
    XXH3_state_t *state;
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
    crn_hasher *const hasher = crn_calloc(1, sizeof *hasher);
    if (hasher == NULL)
        return NULL;
    hasher->state = XXH3_createState();
    if (hasher->state == NULL) {
        crn_free(hasher);
        return NULL;
    }
    (void)XXH3_128bits_reset(hasher->state);
    return hasher;
}

void crn_hasher_update(crn_hasher *hasher, const void *bytes, size_t size)
{
    (void)XXH3_128bits_update(hasher->state, bytes, size);
}

crn_digest crn_hasher_finish(const crn_hasher *hasher)
{
    return digest_of(XXH3_128bits_digest(hasher->state));
}

void crn_hasher_destroy(crn_hasher *hasher)
{
    if (hasher == NULL)
        return;
    (void)XXH3_freeState(hasher->state);
    crn_free(hasher);
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
    for (size_t i = 0; i < CRN_DIGEST_BYTES; i++) {
        const int high = hex_value(text[2 * i]);
        const int low = high < 0 ? -1 : hex_value(text[2 * i + 1]);
        if (low < 0)
            return -1;
        out->bytes[i] = (uint8_t)(high << 4 | low);
    }
    return 0;
}

int crn_digest_equal(const crn_digest *a, const crn_digest *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}
