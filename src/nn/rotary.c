#include "nn/rotary.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"

static const double k_two_pi = 6.283185307179586477;

/* Angle of one step for pair @pair of heads of which @size elements are turned, unscaled. */
static double plain_angle(const cairn_gpt2_options *options, int64_t size, int64_t pair)
{
    return pow(options->rope_theta, -2.0 * (double)pair / (double)size);
}

/* Angle of one step for a pair whose unscaled angle is @angle. */
static double scaled(const cairn_gpt2_options *options, double angle)
{
    const bool is_llama3 = strcmp(options->pos_scaling_type, "llama3") == 0;
    const cairn_pos_scaling_options *const o = &options->pos_scaling_extra_args;
    const double slow = angle / options->pos_scaling_factor;
    if (!is_llama3)
        return slow;
    const double wave = k_two_pi / angle;
    const double length = (double)o->original_max_position_embeddings;
    if (wave < length / o->high_freq_factor)
        return angle;
    if (wave > length / o->low_freq_factor)
        return slow;
    const double smooth =
        (length / wave - o->low_freq_factor) / (o->high_freq_factor - o->low_freq_factor);
    return (1.0 - smooth) * slow + smooth * angle;
}

double crn_rotary_stretch(const cairn_gpt2_options *options, int64_t size, int64_t pair)
{
    const double angle = plain_angle(options, size, pair);
    return angle / scaled(options, angle);
}

cairn_status crn_rotary_table_make(const cairn_gpt2_options *options, int64_t positions,
                                   int64_t size, crn_rotary_table *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const int64_t pairs = size / 2;
    crn_rotary_table table = {.positions = positions, .size = size};
    table.cosines = crn_calloc((size_t)positions, (size_t)pairs * sizeof(float));
    table.sines = crn_calloc((size_t)positions, (size_t)pairs * sizeof(float));
    CRN_NEED(err, table.cosines, "the angles of the positions");
    CRN_NEED(err, table.sines, "the angles of the positions");
    for (int64_t i = 0; i < pairs; i++) {
        const double angle = scaled(options, plain_angle(options, size, i));
        for (int64_t t = 0; t < positions; t++) {
            table.cosines[t * pairs + i] = (float)cos((double)t * angle);
            table.sines[t * pairs + i] = (float)sin((double)t * angle);
        }
    }
    *out = table;
    table = (crn_rotary_table){0};
out:
    crn_rotary_table_dispose(&table);
    return rc;
}

void crn_rotary_table_dispose(crn_rotary_table *table)
{
    crn_free(table->cosines);
    crn_free(table->sines);
    *table = (crn_rotary_table){0};
}
