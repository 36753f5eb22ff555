/*
 * Batches that a thread reads ahead. Its owner says which samples, in which order; the thread only
 * reads them and keeps copies, so that neither order nor position can depend on it.
 */
#ifndef CRN_DATA_PREFETCH_H
#define CRN_DATA_PREFETCH_H

#include <stdbool.h>

#include "cairn/plugin/data.h"

typedef struct crn_prefetch crn_prefetch;

/*
 * @data: taken, but not on failure; its read is called on the thread only, which begins with the
 * first request. @rows_max: samples of the largest batch. @depth: batches that are kept or read
 * beside the one taken last, at least 1. CAIRN_ENOMEM. All that follows is for one owner thread.
 */
cairn_status crn_prefetch_new(cairn_data data, uint64_t rows_max, uint64_t depth,
                              crn_prefetch **out, cairn_error *err);
/*
 * Ends the thread and the data. A read in progress is waited for, but not longer than @patience_ns:
 * one that hangs keeps both until it returns, and they are released then. Accepts NULL.
 */
void crn_prefetch_destroy(crn_prefetch *prefetch, int64_t patience_ns);

/* Requests that were neither taken nor forgotten. */
uint64_t crn_prefetch_count(crn_prefetch *prefetch);
/* Where the sample numbers of the next request are to be written, [rows_max]; NULL: no room. What
 * was taken last is void then. */
uint64_t *crn_prefetch_room(crn_prefetch *prefetch);
/* Asks for the first @rows of them. CAIRN_EIO: no thread. */
cairn_status crn_prefetch_ask(crn_prefetch *prefetch, uint64_t rows, cairn_error *err);
/* Nothing asked for is wanted any more; waits for a read in progress. */
void crn_prefetch_forget(crn_prefetch *prefetch);
/* Whether the oldest request has been read; waits for that, but not longer than @wait_ns. */
bool crn_prefetch_is_ready(crn_prefetch *prefetch, int64_t wait_ns);
/*
 * The batch of the oldest request, of which there must be one; its arrays stay until the next
 * crn_prefetch_room. Its failure is the read's; the others are forgotten then.
 */
cairn_status crn_prefetch_take(crn_prefetch *prefetch, cairn_batch *out, cairn_error *err);

#endif
