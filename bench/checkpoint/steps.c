/*
 * Training without a model: threads that compute for a given time, then AdamW's arithmetic over all
 * parameters, tile by tile through the write guard, as optim/adamw.c does it.
 */
#include <math.h>

#include "base/try.h"
#include "bench.h"
#include "ckpt/store_priv.h"

enum {
    LOOP_FLOATS = 8192, /* in the first-level cache */
    LOOP_ROUNDS = 20,   /* between two looks at the clock: about a tenth of a millisecond */
    UPDATE_THREADS_MIN_FLOATS = 16 * 1024
};

/* All threads compute until @end. By the clock: the speed of a shared machine's processors may
 * change by half from one second to the next, and what is compared are neighbouring steps. */
static void compute(const bench *b, double end)
{
#pragma omp parallel
    {
        float values[LOOP_FLOATS];
        for (int i = 0; i < LOOP_FLOATS; i++)
            values[i] = (float)i;
        while (bench_now(b) < end) {
            for (int round = 0; round < LOOP_ROUNDS; round++) {
                for (int i = 0; i < LOOP_FLOATS; i++)
                    values[i] = values[i] * 0.999F + 0.001F;
                __asm__ volatile("" : : "r"(values) : "memory"); /* Each round counts. */
            }
        }
    }
}

static void adamw(float *p, float *m, float *v, const float *g, uint64_t floats)
{
#pragma omp parallel for schedule(static) if (floats >= UPDATE_THREADS_MIN_FLOATS)
    for (uint64_t i = 0; i < floats; i++) {
        m[i] = 0.9F * m[i] + 0.1F * g[i];
        v[i] = 0.999F * v[i] + 0.001F * g[i] * g[i];
        p[i] = p[i] * 0.9999F - 1e-4F * m[i] / (sqrtf(v[i]) + 1e-8F);
    }
}

static void *begin(bench *b, const cairn_tensor *tensor, uint64_t at, uint64_t size, double *waited)
{
    const double start = bench_now(b);
    void *const out = cairn_tensor_write_begin(b->tree, tensor, at, size);
    *waited += bench_now(b) - start;
    return out;
}

/* Returns the seconds that it spent in the guard. */
static double update(bench *b)
{
    double waited = 0.0;
    const cairn_state *const model = cairn_state_tree_find(b->tree, "model");
    const cairn_state *const optimizer = cairn_state_tree_find(b->tree, "optimizer");
    for (size_t i = 0; i < cairn_state_tensor_count(model); i++) {
        const cairn_tensor *const p = cairn_state_tensor_at(model, i);
        const cairn_tensor *const m = cairn_state_tensor_at(optimizer, 2 * i);
        const cairn_tensor *const v = cairn_state_tensor_at(optimizer, 2 * i + 1);
        for (uint64_t at = 0; at < p->bytes; at += CAIRN_WRITE_TILE_BYTES) {
            const uint64_t left = p->bytes - at;
            const uint64_t size = left < CAIRN_WRITE_TILE_BYTES ? left : CAIRN_WRITE_TILE_BYTES;
            adamw(begin(b, p, at, size, &waited), begin(b, m, at, size, &waited),
                  begin(b, v, at, size, &waited), b->gradients + at / sizeof(float),
                  size / sizeof(float));
            cairn_tensor_write_end(b->tree, p, at, size);
            cairn_tensor_write_end(b->tree, m, at, size);
            cairn_tensor_write_end(b->tree, v, at, size);
        }
    }
    return waited;
}

/* The seconds of an update that nobody holds up. */
static double measure_update(bench *b)
{
    enum { UPDATES = 3 };
    double best = HUGE_VAL;
    for (int i = 0; i < UPDATES; i++) {
        const double start = bench_now(b);
        (void)update(b);
        best = fmin(best, bench_now(b) - start);
    }
    return best;
}

/* The result of the save, waited for if need be; then retention. */
static cairn_status collect(bench *b, uint64_t keep, bench_step *cost, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_save_result saved;
    bool is_done = false;
    const double start = bench_now(b);
    CRN_TRY_PLAIN(cairn_store_save_poll(b->store, &is_done, &saved, err));
    const double polled = bench_now(b);
    cost->poll = polled - start;
    if (!is_done)
        CRN_TRY_PLAIN(cairn_store_save_wait(b->store, &saved, err));
    cost->wait = bench_now(b) - polled;
    cost->write = saved.seconds;
    cost->engine = saved.blocked_seconds;
    cost->copied_bytes = saved.copied_bytes;
    const double collected = bench_now(b);
    if (keep > 0)
        CRN_TRY_PLAIN(cairn_store_keep_newest(b->store, b->store->run_id, keep, NULL, NULL, err));
    cost->prune = bench_now(b) - collected;
out:
    return rc;
}

static cairn_status save(bench *b, uint64_t step, bench_step *cost, cairn_error *err)
{
    cairn_save_request request = {.struct_size = sizeof request, .step = step};
    const double start = bench_now(b);
    const cairn_status rc = cairn_store_save_start(b->store, b->tree, &request, err);
    cost->start = bench_now(b) - start;
    return rc;
}

cairn_status bench_run_steps(bench *b, bench_steps *run, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (b->update_seconds <= 0.0)
        b->update_seconds = measure_update(b);
    for (unsigned i = 0; i < run->count; i++) {
        bench_step *const step = &run->steps[i];
        const double start = bench_now(b);
        step->has_save = run->saves == BENCH_ALL || (run->saves == BENCH_EVERY_OTHER && i % 2 == 1);
        if (step->has_save)
            CRN_TRY_PLAIN(save(b, i, step, err));
        compute(b, start + run->step_seconds - b->update_seconds);
        step->guard = update(b);
        if (step->has_save)
            CRN_TRY_PLAIN(collect(b, run->keep, step, err));
        step->seconds = bench_now(b) - start;
    }
out:
    return rc;
}
