/* Sums whose order does not depend on the number of threads. */
#include <string.h>

#include "optim/optimizer.h"

enum {
    CHUNK_FLOATS = 32 * 1024, /* one partial sum */
    GROUP_CHUNKS = 512,       /* partial sums that are added up at a time */
    LANES = 8                 /* running sums in a chunk, so that it can be vectorised */
};

/* @kept: [chunks] gets their sums; NULL: nobody wants them. */
static double sum_chunks(size_t count, crn_chunk_fn chunk, const void *what, double *kept)
{
    const size_t group_floats = (size_t)GROUP_CHUNKS * CHUNK_FLOATS;
    double sum = 0.0;
    for (size_t start = 0; start < count; start += group_floats) {
        double partial[GROUP_CHUNKS];
        const size_t left = count - start;
        const size_t size = left < group_floats ? left : group_floats;
        const size_t chunks = (size + CHUNK_FLOATS - 1) / CHUNK_FLOATS;
#pragma omp parallel for schedule(static) if (chunks > 1)
        for (size_t c = 0; c < chunks; c++) {
            const size_t first = c * CHUNK_FLOATS;
            const size_t rest = size - first;
            partial[c] = chunk(what, start + first, rest < CHUNK_FLOATS ? rest : CHUNK_FLOATS);
        }
        for (size_t c = 0; c < chunks; c++)
            sum += partial[c];
        if (kept != NULL)
            memcpy(kept + start / CHUNK_FLOATS, partial, chunks * sizeof *partial);
    }
    return sum;
}

double crn_sum_chunks(size_t count, crn_chunk_fn chunk, const void *what)
{
    return sum_chunks(count, chunk, what, NULL);
}

static double chunk_sum_of_squares(const void *what, size_t first, size_t count)
{
    const float *const x = (const float *)what + first;
    double lane[LANES] = {0};
    double sum = 0.0;
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        for (size_t j = 0; j < LANES; j++)
            lane[j] += (double)x[i + j] * (double)x[i + j];
    }
    for (; i < count; i++)
        lane[i % LANES] += (double)x[i] * (double)x[i];
    for (size_t j = 0; j < LANES; j++)
        sum += lane[j];
    return sum;
}

double crn_sum_of_squares(const float *x, size_t count)
{
    return crn_sum_chunks(count, chunk_sum_of_squares, x);
}

size_t crn_square_count(size_t count)
{
    return (count + CHUNK_FLOATS - 1) / CHUNK_FLOATS;
}

double crn_sum_of_squares_kept(const float *x, size_t count, double *squares)
{
    return sum_chunks(count, chunk_sum_of_squares, x, squares);
}

double crn_sum_of_squares_in(const float *x, size_t count, const double *squares, size_t first,
                             size_t range)
{
    double sum = 0.0;
    for (size_t at = first; at < first + range;) {
        const size_t chunk = at / CHUNK_FLOATS;
        const size_t chunk_end = (chunk + 1) * CHUNK_FLOATS;
        const size_t next = chunk_end < first + range ? chunk_end : first + range;
        const bool is_whole = at % CHUNK_FLOATS == 0 && (next == chunk_end || next == count);
        sum += is_whole ? squares[chunk] : chunk_sum_of_squares(x, at, next - at);
        at = next;
    }
    return sum;
}

/* Chunks of any ranges, to be summed at one start of the threads. */
struct chunks {
    const float *x[GROUP_CHUNKS];
    size_t count[GROUP_CHUNKS];
    size_t range[GROUP_CHUNKS];
    double partial[GROUP_CHUNKS];
    size_t used;
};

static void sum_collected(struct chunks *chunks, double *out)
{
#pragma omp parallel for schedule(static, 1) if (chunks->used > 1)
    for (size_t c = 0; c < chunks->used; c++)
        chunks->partial[c] = chunk_sum_of_squares(chunks->x[c], 0, chunks->count[c]);
    for (size_t c = 0; c < chunks->used; c++)
        out[chunks->range[c]] += chunks->partial[c];
    chunks->used = 0;
}

void cairn_sums_of_squares(const cairn_floats *ranges, size_t count, double *out)
{
    struct chunks chunks;
    chunks.used = 0;
    for (size_t i = 0; i < count; i++) {
        out[i] = 0.0;
        for (size_t first = 0; first < ranges[i].count; first += CHUNK_FLOATS) {
            const size_t left = ranges[i].count - first;
            const size_t c = chunks.used++;
            chunks.x[c] = ranges[i].values + first;
            chunks.count[c] = left < CHUNK_FLOATS ? left : CHUNK_FLOATS;
            chunks.range[c] = i;
            if (chunks.used == GROUP_CHUNKS)
                sum_collected(&chunks, out);
        }
    }
    sum_collected(&chunks, out);
}
