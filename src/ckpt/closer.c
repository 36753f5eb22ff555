#include "ckpt/closer.h"

#include <pthread.h>

#include "base/mem.h"
#include "base/try.h"

enum { WAITING_MAX = 64 };

struct crn_closer {
    const crn_os *os;
    pthread_t thread;
    bool is_running;
    pthread_mutex_t lock; /* over all that follows */
    pthread_cond_t changed;
    int waiting[WAITING_MAX];
    unsigned count;  /* of them */
    bool is_closing; /* one more */
    uint64_t closed;
    bool is_finishing; /* the thread is to end when there is nothing left */
};

/* Whatever close says: the file is gone, and nothing of it is wanted. */
static void *closer_main(void *argument)
{
    crn_closer *const c = argument;
    (void)pthread_mutex_lock(&c->lock);
    while (c->count > 0 || !c->is_finishing) {
        if (c->count == 0) {
            (void)pthread_cond_wait(&c->changed, &c->lock);
            continue;
        }
        const int fd = c->waiting[--c->count];
        c->is_closing = true;
        (void)pthread_mutex_unlock(&c->lock);
        (void)c->os->close(c->os, fd);
        (void)pthread_mutex_lock(&c->lock);
        c->is_closing = false;
        c->closed++;
        (void)pthread_cond_broadcast(&c->changed);
    }
    (void)pthread_mutex_unlock(&c->lock);
    return NULL;
}

cairn_status crn_closer_new(const crn_os *os, crn_closer **out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_closer *c = crn_calloc(1, sizeof *c);
    CRN_NEED(err, c, "a thread that closes files");
    c->os = os;
    /* With default attributes these do not fail on Linux. */
    (void)pthread_mutex_init(&c->lock, NULL);
    (void)pthread_cond_init(&c->changed, NULL);
    const int e = crn_thread_start(&c->thread, closer_main, c, "cairn-closer");
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "start a thread that closes files");
    c->is_running = true;
    *out = c;
    c = NULL;
out:
    crn_closer_destroy(c);
    return rc;
}

void crn_closer_add(crn_closer *c, int fd)
{
    (void)pthread_mutex_lock(&c->lock);
    const bool has_room = c->count < WAITING_MAX;
    if (has_room)
        c->waiting[c->count++] = fd;
    (void)pthread_cond_broadcast(&c->changed);
    (void)pthread_mutex_unlock(&c->lock);
    if (!has_room)
        (void)c->os->close(c->os, fd);
}

void crn_closer_wait(crn_closer *c)
{
    (void)pthread_mutex_lock(&c->lock);
    while (c->count > 0 || c->is_closing)
        (void)pthread_cond_wait(&c->changed, &c->lock);
    (void)pthread_mutex_unlock(&c->lock);
}

uint64_t crn_closer_count(crn_closer *c)
{
    (void)pthread_mutex_lock(&c->lock);
    const uint64_t closed = c->closed;
    (void)pthread_mutex_unlock(&c->lock);
    return closed;
}

void crn_closer_destroy(crn_closer *c)
{
    if (c == NULL)
        return;
    if (c->is_running) {
        (void)pthread_mutex_lock(&c->lock);
        c->is_finishing = true;
        (void)pthread_cond_broadcast(&c->changed);
        (void)pthread_mutex_unlock(&c->lock);
        (void)pthread_join(c->thread, NULL);
    }
    (void)pthread_cond_destroy(&c->changed);
    (void)pthread_mutex_destroy(&c->lock);
    crn_free(c);
}
