#include "ckpt/digester.h"

#include <pthread.h>

#include "base/mem.h"
#include "base/try.h"
#include "os/os.h"

struct crn_digester {
    pthread_t thread;
    bool is_running;
    pthread_mutex_t lock; /* over all that follows, and the progress of jobs */
    pthread_cond_t given;
    pthread_cond_t done;
    crn_digest_job *first;
    crn_digest_job **end; /* where the next is hung */
    bool is_finishing;
};

/* With the lock. */
static void take_out(crn_digester *d, crn_digest_job *job)
{
    crn_digest_job **at = &d->first;
    while (*at != job)
        at = &(*at)->next;
    *at = job->next;
    if (d->end == &job->next)
        d->end = at;
}

/* With the lock, which it leaves meanwhile. */
static void run_next(crn_digester *d, crn_digest_job *job)
{
    take_out(d, job);
    job->progress = CRN_DIGEST_RUNNING;
    (void)pthread_mutex_unlock(&d->lock);
    job->run(job->user);
    (void)pthread_mutex_lock(&d->lock);
    job->progress = CRN_DIGEST_DONE;
}

static void *digester_main(void *argument)
{
    crn_digester *const d = argument;
    (void)pthread_mutex_lock(&d->lock);
    while (!d->is_finishing) {
        if (d->first == NULL) {
            (void)pthread_cond_wait(&d->given, &d->lock);
            continue;
        }
        run_next(d, d->first);
        (void)pthread_cond_broadcast(&d->done);
    }
    (void)pthread_mutex_unlock(&d->lock);
    return NULL;
}

cairn_status crn_digester_new(crn_digester **out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_digester *d = crn_calloc(1, sizeof *d);
    CRN_NEED(err, d, "a thread that digests");
    d->end = &d->first;
    /* With default attributes these do not fail on Linux. */
    (void)pthread_mutex_init(&d->lock, NULL);
    (void)pthread_cond_init(&d->given, NULL);
    (void)pthread_cond_init(&d->done, NULL);
    const int e = crn_thread_start(&d->thread, digester_main, d, "cairn-digester");
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "start a thread that digests");
    d->is_running = true;
    *out = d;
    d = NULL;
out:
    crn_digester_destroy(d);
    return rc;
}

void crn_digester_give(crn_digester *d, crn_digest_job *job)
{
    job->progress = CRN_DIGEST_WAITING;
    job->next = NULL;
    (void)pthread_mutex_lock(&d->lock);
    *d->end = job;
    d->end = &job->next;
    (void)pthread_cond_signal(&d->given);
    (void)pthread_mutex_unlock(&d->lock);
}

void crn_digester_settle(crn_digester *d, crn_digest_job *job)
{
    (void)pthread_mutex_lock(&d->lock);
    if (job->progress == CRN_DIGEST_WAITING)
        run_next(d, job);
    while (job->progress != CRN_DIGEST_DONE)
        (void)pthread_cond_wait(&d->done, &d->lock);
    (void)pthread_mutex_unlock(&d->lock);
}

void crn_digester_destroy(crn_digester *d)
{
    if (d == NULL)
        return;
    if (d->is_running) {
        (void)pthread_mutex_lock(&d->lock);
        d->is_finishing = true;
        (void)pthread_cond_signal(&d->given);
        (void)pthread_mutex_unlock(&d->lock);
        (void)pthread_join(d->thread, NULL);
    }
    (void)pthread_cond_destroy(&d->done);
    (void)pthread_cond_destroy(&d->given);
    (void)pthread_mutex_destroy(&d->lock);
    crn_free(d);
}
