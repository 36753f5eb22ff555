#include "h5/lz4.h"

#include <hdf5.h>
#include <string.h>

enum {
    SIZE_BYTES = 8,
    WORD_BYTES = 4,
    MATCH_MIN = 4,
    LENGTH_MORE = 15, /* of a half byte: further bytes of the length follow */
    UNPACKED_MAX = 256 << 20
};

/* What is left to read, and what is left to fill. */
struct unpacker {
    const uint8_t *in;
    size_t in_left;
    uint8_t *out;
    size_t out_left;
    size_t out_done; /* of this block: matches look back no further */
};

static uint64_t big_endian(const uint8_t *bytes, size_t count)
{
    uint64_t value = 0;
    for (size_t i = 0; i < count; i++)
        value = value << 8 | bytes[i];
    return value;
}

/* Adds the bytes that follow a length of 15. */
static bool read_length(struct unpacker *u, size_t *length)
{
    if (*length < LENGTH_MORE)
        return true;
    for (;;) {
        if (u->in_left == 0)
            return false;
        const uint8_t byte = *u->in++;
        u->in_left--;
        *length += byte; /* at most 255 for each byte at hand */
        if (byte != UINT8_MAX)
            return true;
    }
}

static bool copy_literals(struct unpacker *u, size_t length)
{
    if (length > u->in_left || length > u->out_left)
        return false;
    memcpy(u->out, u->in, length);
    u->in += length;
    u->in_left -= length;
    u->out += length;
    u->out_left -= length;
    u->out_done += length;
    return true;
}

/* Repeats @length bytes from @distance bytes ago; they may overlap. */
static bool copy_match(struct unpacker *u, size_t distance, size_t length)
{
    if (distance == 0 || distance > u->out_done || length > u->out_left)
        return false;
    for (size_t i = 0; i < length; i++)
        u->out[i] = u->out[(ptrdiff_t)i - (ptrdiff_t)distance];
    u->out += length;
    u->out_left -= length;
    u->out_done += length;
    return true;
}

/* One block: sequences of literals and a match; the last has no match. */
static bool unpack_block(const uint8_t *packed, size_t size, uint8_t *out, size_t out_size)
{
    struct unpacker u = {.in = packed, .in_left = size, .out = out, .out_left = out_size};
    while (u.in_left > 0) {
        const uint8_t token = *u.in++;
        u.in_left--;
        size_t literals = token >> 4;
        size_t match = token & 15U;
        if (!read_length(&u, &literals) || !copy_literals(&u, literals))
            return false;
        if (u.in_left == 0)
            break;
        if (u.in_left < 2)
            return false;
        const size_t distance = (size_t)u.in[0] | (size_t)u.in[1] << 8;
        u.in += 2;
        u.in_left -= 2;
        if (!read_length(&u, &match) || !copy_match(&u, distance, match + MATCH_MIN))
            return false;
    }
    return u.out_left == 0;
}

bool crn_h5_lz4_size(const uint8_t *packed, size_t size, uint64_t *out)
{
    if (size < SIZE_BYTES)
        return false;
    *out = big_endian(packed, SIZE_BYTES);
    return true;
}

bool crn_h5_lz4_unpack(const uint8_t *packed, size_t size, uint8_t *out, size_t out_size)
{
    if (size < SIZE_BYTES + WORD_BYTES)
        return false;
    const size_t block = (size_t)big_endian(packed + SIZE_BYTES, WORD_BYTES);
    size_t at = SIZE_BYTES + WORD_BYTES;
    while (out_size > 0) {
        const size_t piece = block < out_size ? block : out_size;
        if (piece == 0 || size - at < WORD_BYTES)
            return false;
        const size_t packed_piece = (size_t)big_endian(packed + at, WORD_BYTES);
        at += WORD_BYTES;
        if (packed_piece > size - at)
            return false;
        if (packed_piece == piece) /* It would not have become smaller. */
            memcpy(out, packed + at, piece);
        else if (!unpack_block(packed + at, packed_piece, out, piece))
            return false;
        at += packed_piece;
        out += piece;
        out_size -= piece;
    }
    return true;
}

/* 0: damaged. Only ever unpacks, since files are only read. */
static size_t filter(unsigned flags, size_t parameter_count, const unsigned *parameters,
                     size_t size, size_t *buffer_size, void **buffer)
{
    uint64_t bytes = 0;
    (void)parameter_count;
    (void)parameters;
    if ((flags & H5Z_FLAG_REVERSE) == 0 || !crn_h5_lz4_size(*buffer, size, &bytes) || bytes == 0 ||
        bytes > UNPACKED_MAX)
        return 0;
    uint8_t *const out = H5allocate_memory((size_t)bytes, false);
    if (out == NULL)
        return 0;
    if (!crn_h5_lz4_unpack(*buffer, size, out, (size_t)bytes)) {
        (void)H5free_memory(out);
        return 0;
    }
    (void)H5free_memory(*buffer);
    *buffer = out;
    *buffer_size = (size_t)bytes;
    return (size_t)bytes;
}

bool crn_h5_lz4_register(void)
{
    static const H5Z_class2_t k_class = {.version = H5Z_CLASS_T_VERS,
                                         .id = CRN_H5_FILTER_LZ4,
                                         .encoder_present = 0,
                                         .decoder_present = 1,
                                         .name = "lz4",
                                         .filter = filter};
    return H5Zregister(&k_class) >= 0;
}
