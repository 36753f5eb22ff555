#include "data/prefetch.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "base/checked.h"
#include "base/mem.h"
#include "base/try.h"
#include "os/os.h"

enum { ALIGNMENT = 64 };

/* A request and its answer. Its owner's while it is neither asked for nor being read. */
struct slot {
    uint64_t *indices; /* [rows_max] */
    uint64_t rows;
    cairn_batch batch; /* in bytes */
    uint8_t *bytes;
    size_t capacity;
    cairn_status status;
    cairn_error error;
};

struct crn_prefetch {
    cairn_data data;
    uint64_t rows_max;
    struct slot *slots; /* [slot_count], a ring; one of them is what was taken last */
    uint64_t slot_count;
    bool is_sized; /* the thread's: every slot has its memory */
    pthread_t thread;
    bool is_running;
    pthread_mutex_t lock; /* over all that follows */
    pthread_cond_t asked;
    pthread_cond_t done;
    uint64_t first;      /* slot of the oldest request */
    uint64_t count;      /* requests */
    uint64_t done_count; /* of them, the oldest ones; the next one is being read or waits */
    bool is_reading;
    bool is_finishing; /* the thread is to end */
    bool is_abandoned; /* and to release everything */
};

static struct slot *slot_at(const crn_prefetch *p, uint64_t place)
{
    return &p->slots[(p->first + place) % p->slot_count];
}

/* ---- The thread ---- */

/* Bytes of @rows samples of a field. */
static bool field_bytes(const cairn_batch_field *field, uint64_t rows, uint64_t *out)
{
    uint64_t bits = cairn_dtype_bits(field->dtype);
    if (!crn_mul_u64(bits, rows, &bits))
        return false;
    for (int i = 1; i < field->rank; i++) {
        if (field->shape[i] < 0 || !crn_mul_u64(bits, (uint64_t)field->shape[i], &bits))
            return false;
    }
    *out = bits / 8 + (bits % 8 != 0);
    return true;
}

/* Bytes that the largest batch with these fields takes. */
static cairn_status measure(const crn_prefetch *p, const cairn_batch *batch, size_t *out,
                            cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint64_t all = 0;
    if (batch->field_count < 0 || batch->field_count > CAIRN_BATCH_FIELDS_MAX)
        CRN_FAIL(err, CAIRN_ECALLBACK, "%s gave a batch of %d fields", p->data.ops->name,
                 batch->field_count);
    for (int i = 0; i < batch->field_count; i++) {
        const cairn_batch_field *const field = &batch->field[i];
        uint64_t bytes = 0;
        if (field->rank < 1 || field->rank > CAIRN_BATCH_AXES_MAX || field->shape[0] < 0 ||
            (uint64_t)field->shape[0] > p->rows_max || !field_bytes(field, p->rows_max, &bytes) ||
            !crn_add_u64(all, bytes, &all) || !crn_round_up_u64(all, ALIGNMENT, &all))
            CRN_FAIL(err, CAIRN_ECALLBACK, "%s gave a batch whose %s has an impossible shape",
                     p->data.ops->name, field->name);
    }
    *out = (size_t)all;
out:
    return rc;
}

static cairn_status reserve(struct slot *slot, size_t size, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (size <= slot->capacity)
        goto out;
    crn_free(slot->bytes);
    slot->capacity = 0;
    slot->bytes = crn_calloc(size, 1);
    CRN_NEED(err, slot->bytes, "a batch");
    slot->capacity = size;
out:
    return rc;
}

/* With the first batch all slots get their memory; none of them has been taken yet. */
static cairn_status reserve_all(crn_prefetch *p, size_t size, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    for (uint64_t i = 0; i < p->slot_count; i++)
        CRN_TRY_PLAIN(reserve(&p->slots[i], size, err));
    p->is_sized = true;
out:
    return rc;
}

/* The data lends its arrays until its next read: the slot takes copies. */
static cairn_status keep(crn_prefetch *p, struct slot *slot, const cairn_batch *from)
{
    cairn_status rc = CAIRN_OK;
    size_t size = 0;
    uint64_t at = 0;
    CRN_TRY_PLAIN(measure(p, from, &size, &slot->error));
    if (!p->is_sized)
        CRN_TRY_PLAIN(reserve_all(p, size, &slot->error));
    CRN_TRY_PLAIN(reserve(slot, size, &slot->error));
    slot->batch = *from;
    for (int i = 0; i < from->field_count; i++) {
        cairn_batch_field *const field = &slot->batch.field[i];
        uint64_t bytes = 0;
        if (field_bytes(field, (uint64_t)field->shape[0], &bytes) && bytes > 0)
            memcpy(slot->bytes + at, field->data, (size_t)bytes);
        field->data = slot->bytes + at;
        (void)crn_round_up_u64(at + bytes, ALIGNMENT, &at); /* measure() has tried it */
    }
out:
    return rc;
}

static void read_slot(crn_prefetch *p, struct slot *slot)
{
    cairn_batch batch = {.struct_size = sizeof batch};
    slot->error = (cairn_error){0};
    slot->status =
        p->data.ops->read(p->data.self, slot->indices, (size_t)slot->rows, &batch, &slot->error);
    if (slot->status == CAIRN_OK)
        slot->status = keep(p, slot, &batch);
}

static void release(crn_prefetch *p)
{
    if (p->data.ops != NULL)
        p->data.ops->destroy(p->data.self);
    for (uint64_t i = 0; p->slots != NULL && i < p->slot_count; i++) {
        crn_free(p->slots[i].indices);
        crn_free(p->slots[i].bytes);
    }
    crn_free(p->slots);
    (void)pthread_cond_destroy(&p->done);
    (void)pthread_cond_destroy(&p->asked);
    (void)pthread_mutex_destroy(&p->lock);
    crn_free(p);
}

static void *prefetch_main(void *argument)
{
    crn_prefetch *const p = argument;
    (void)pthread_mutex_lock(&p->lock);
    while (!p->is_finishing) {
        if (p->done_count == p->count) {
            (void)pthread_cond_wait(&p->asked, &p->lock);
            continue;
        }
        struct slot *const slot = slot_at(p, p->done_count);
        p->is_reading = true;
        (void)pthread_mutex_unlock(&p->lock);
        read_slot(p, slot);
        (void)pthread_mutex_lock(&p->lock);
        p->is_reading = false;
        p->done_count++;
        (void)pthread_cond_broadcast(&p->done);
    }
    const bool is_abandoned = p->is_abandoned;
    (void)pthread_mutex_unlock(&p->lock);
    if (is_abandoned)
        release(p);
    return NULL;
}

/* ---- Its owner ---- */

cairn_status crn_prefetch_new(cairn_data data, uint64_t rows_max, uint64_t depth,
                              crn_prefetch **out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    pthread_condattr_t clock;
    crn_prefetch *p = crn_calloc(1, sizeof *p);
    CRN_NEED(err, p, "the batches that are read ahead");
    p->rows_max = rows_max;
    p->slot_count = depth + 1;
    /* On Linux these do not fail. */
    (void)pthread_condattr_init(&clock);
    (void)pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&p->lock, NULL);
    (void)pthread_cond_init(&p->asked, NULL);
    (void)pthread_cond_init(&p->done, &clock);
    (void)pthread_condattr_destroy(&clock);
    p->slots = crn_calloc((size_t)p->slot_count, sizeof *p->slots);
    CRN_NEED(err, p->slots, "the batches that are read ahead");
    for (uint64_t i = 0; i < p->slot_count; i++) {
        p->slots[i].indices = crn_calloc((size_t)rows_max, sizeof(uint64_t));
        CRN_NEED(err, p->slots[i].indices, "the sample numbers of a batch");
    }
    p->data = data;
    *out = p;
    p = NULL;
out:
    if (p != NULL)
        release(p);
    return rc;
}

/* With the lock: waits until the thread has done a read, or until @deadline_ns. False: that came
 * first. */
static bool wait_until(crn_prefetch *p, int64_t deadline_ns)
{
    const struct timespec time = {.tv_sec = (time_t)(deadline_ns / 1000000000),
                                  .tv_nsec = (long)(deadline_ns % 1000000000)};
    return pthread_cond_timedwait(&p->done, &p->lock, &time) != ETIMEDOUT;
}

static int64_t deadline_in(int64_t ns)
{
    return crn_os_posix()->monotonic_ns(crn_os_posix()) + ns;
}

void crn_prefetch_destroy(crn_prefetch *p, int64_t patience_ns)
{
    if (p == NULL)
        return;
    const int64_t deadline_ns = deadline_in(patience_ns);
    (void)pthread_mutex_lock(&p->lock);
    const bool is_running = p->is_running;
    p->is_finishing = true;
    (void)pthread_cond_signal(&p->asked);
    while (p->is_reading && wait_until(p, deadline_ns))
        continue;
    const bool is_abandoned = p->is_reading;
    p->is_abandoned = is_abandoned;
    if (is_abandoned)
        (void)pthread_detach(p->thread);
    (void)pthread_mutex_unlock(&p->lock);
    if (is_abandoned)
        return; /* All is the thread's now. */
    if (is_running)
        (void)pthread_join(p->thread, NULL);
    release(p);
}

uint64_t crn_prefetch_count(crn_prefetch *p)
{
    (void)pthread_mutex_lock(&p->lock);
    const uint64_t count = p->count;
    (void)pthread_mutex_unlock(&p->lock);
    return count;
}

uint64_t *crn_prefetch_room(crn_prefetch *p)
{
    const uint64_t count = crn_prefetch_count(p);
    return count < p->slot_count ? slot_at(p, count)->indices : NULL;
}

cairn_status crn_prefetch_ask(crn_prefetch *p, uint64_t rows, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    (void)pthread_mutex_lock(&p->lock);
    if (!p->is_running) {
        const int e = crn_thread_start(&p->thread, prefetch_main, p, "cairn-prefetch");
        if (e != 0)
            CRN_FAIL_ERRNO(err, e, "start a thread that reads ahead");
        p->is_running = true;
    }
    slot_at(p, p->count)->rows = rows;
    p->count++;
    (void)pthread_cond_signal(&p->asked);
out:
    (void)pthread_mutex_unlock(&p->lock);
    return rc;
}

/* With the lock. */
static void forget(crn_prefetch *p)
{
    p->count = p->done_count + p->is_reading; /* The thread begins with no other. */
    while (p->is_reading)
        (void)pthread_cond_wait(&p->done, &p->lock);
    p->count = 0;
    p->done_count = 0;
}

void crn_prefetch_forget(crn_prefetch *p)
{
    (void)pthread_mutex_lock(&p->lock);
    forget(p);
    (void)pthread_mutex_unlock(&p->lock);
}

bool crn_prefetch_is_ready(crn_prefetch *p, int64_t wait_ns)
{
    const int64_t deadline_ns = deadline_in(wait_ns);
    (void)pthread_mutex_lock(&p->lock);
    while (p->done_count == 0 && wait_until(p, deadline_ns))
        continue;
    const bool is_ready = p->done_count > 0;
    (void)pthread_mutex_unlock(&p->lock);
    return is_ready;
}

cairn_status crn_prefetch_take(crn_prefetch *p, cairn_batch *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    (void)pthread_mutex_lock(&p->lock);
    while (p->done_count == 0)
        (void)pthread_cond_wait(&p->done, &p->lock);
    const struct slot *const slot = slot_at(p, 0);
    rc = slot->status;
    if (rc == CAIRN_OK) {
        *out = slot->batch;
        p->first = (p->first + 1) % p->slot_count;
        p->count--;
        p->done_count--;
    } else {
        if (err != NULL)
            *err = slot->error;
        forget(p);
    }
    (void)pthread_mutex_unlock(&p->lock);
    return rc;
}
