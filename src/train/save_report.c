/* What saves take: told after each, and summed up at the end. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/str.h"
#include "train/trainer_priv.h"

cairn_save_cost crn_trainer_note_cost(cairn_trainer *trainer, const cairn_save_result *result)
{
    crn_saving *const saving = &trainer->saving;
    const bool is_background = trainer->options.checkpoint.asynchronous;
    cairn_save_cost cost = {
        .struct_size = sizeof cost,
        .blocked_ms = (double)saving->prepared_ns / 1e6 + result->blocked_seconds * 1e3,
        .background_ms = is_background ? result->seconds * 1e3 : 0.0,
        .bytes = result->bytes,
    };
    if (result->seconds > 0.0)
        cost.gb_per_s = (double)result->bytes / 1e9 / result->seconds;
    const bool is_first = saving->fastest_gb_per_s <= 0.0;
    if (cost.gb_per_s > saving->fastest_gb_per_s)
        saving->fastest_gb_per_s = cost.gb_per_s;
    if (!is_first)
        cost.percent_of_fastest = 100.0 * (cost.gb_per_s / saving->fastest_gb_per_s);
    /* Without memory the summary is only less complete. */
    if (crn_grow(&saving->costs, &saving->cost_capacity, saving->cost_count + 1,
                 sizeof *saving->costs, NULL) == CAIRN_OK)
        saving->costs[saving->cost_count++] = cost;
    return cost;
}

void crn_trainer_log_extras(const cairn_trainer *trainer, const cairn_save *save,
                            const cairn_save_result *result)
{
    for (size_t i = 0; i < save->count && i < result->extra_count; i++) {
        if (result->extra_paths[i] != NULL)
            cairn_log_message(trainer->options.log, CAIRN_LOG_INFO, "Saved checkpoint %s (%s only)",
                              result->extra_paths[i], save->extras[i].states);
    }
}

void crn_trainer_log_saved(const cairn_trainer *trainer, const cairn_save_result *result,
                           const cairn_save_cost *cost)
{
    char bytes[32];
    char share[64] = "";
    if (cost->percent_of_fastest > 0.0)
        (void)snprintf(share, sizeof share, ", %.0f %% of the fastest save",
                       cost->percent_of_fastest);
    cairn_log_message(trainer->options.log, CAIRN_LOG_INFO,
                      "Saved checkpoint %s (%s in %.3f s, %.2f GB/s%s; training waited %.1f ms)",
                      result->path, crn_format_bytes(result->bytes, bytes), result->seconds,
                      cost->gb_per_s, share, cost->blocked_ms);
    crn_trainer_log_extras(trainer, &trainer->saving.save, result);
}

/* ---- The summary ---- */

static int compare_numbers(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Value number ceil(@percent / 100 * @count) of the sorted @values. */
static double percentile(const double *values, size_t count, size_t percent)
{
    const size_t number = (count * percent + 99) / 100;
    return values[number > 0 ? number - 1 : 0];
}

static void log_blocked(const cairn_trainer *trainer, double *room)
{
    const crn_saving *const saving = &trainer->saving;
    const size_t count = saving->cost_count;
    for (size_t i = 0; i < count; i++)
        room[i] = saving->costs[i].blocked_ms;
    qsort(room, count, sizeof *room, compare_numbers);
    cairn_log_message(trainer->options.log, CAIRN_LOG_INFO,
                      "%zu saves, %" PRIu64 " failed; training waited for each: p50 %.1f ms, "
                      "p99 %.1f ms, max %.1f ms",
                      count, saving->failed, percentile(room, count, 50),
                      percentile(room, count, 99), room[count - 1]);
}

static void log_rates(const cairn_trainer *trainer, double *room)
{
    const crn_saving *const saving = &trainer->saving;
    uint64_t bytes = 0;
    size_t count = 0;
    char text[32];
    for (size_t i = 0; i < saving->cost_count; i++) {
        bytes += saving->costs[i].bytes;
        if (saving->costs[i].gb_per_s > 0.0)
            room[count++] = saving->costs[i].gb_per_s;
    }
    if (count == 0)
        return;
    qsort(room, count, sizeof *room, compare_numbers);
    const double middle = percentile(room, count, 50);
    const double fastest = saving->fastest_gb_per_s;
    size_t written = 0;
    for (size_t i = 0; i < saving->cost_count; i++) {
        if (saving->costs[i].gb_per_s > 0.0)
            room[written++] = saving->costs[i].background_ms;
    }
    qsort(room, written, sizeof *room, compare_numbers);
    cairn_log_message(trainer->options.log, CAIRN_LOG_INFO,
                      "saves wrote %s; in the background for each: p50 %.1f ms, p99 %.1f ms, max "
                      "%.1f ms; p50 %.2f GB/s, %.0f %% of the fastest (%.2f GB/s)",
                      crn_format_bytes(bytes, text), percentile(room, written, 50),
                      percentile(room, written, 99), room[written - 1], middle,
                      100.0 * middle / fastest, fastest);
}

void crn_trainer_log_saves(const cairn_trainer *trainer)
{
    const size_t count = trainer->saving.cost_count;
    double *const room = count > 0 ? crn_calloc(count, sizeof *room) : NULL;
    if (room != NULL) {
        log_blocked(trainer, room);
        log_rates(trainer, room);
    }
    crn_free(room);
}
