/*
 * A thread that digests bytes while the thread that gave them writes them. A device that serves all
 * requests alike ends those in flight at about the same time: were each block digested before its
 * write, the device would stand idle while the writers digest, all at once.
 * docs/design/0009-speed-of-saves.md
 */
#ifndef CRN_CKPT_DIGESTER_H
#define CRN_CKPT_DIGESTER_H

#include "cairn/error.h"

typedef struct crn_digester crn_digester;

/* Lives with whoever gives it, from give to settle. */
typedef struct crn_digest_job {
    void (*run)(void *user);
    void *user;
    struct crn_digest_job *next;
    enum { CRN_DIGEST_WAITING, CRN_DIGEST_RUNNING, CRN_DIGEST_DONE } progress;
} crn_digest_job;

/* @out: yours. @retval CAIRN_ENOMEM, CAIRN_EIO  No thread. */
cairn_status crn_digester_new(crn_digester **out, cairn_error *err);
/* @job->run is called some time before settle returns, on some thread. Any thread. */
void crn_digester_give(crn_digester *digester, crn_digest_job *job);
/* Returns once @job has run: here, if nobody has begun. What it wrote can be read. Any thread. */
void crn_digester_settle(crn_digester *digester, crn_digest_job *job);
/* Everything given has been settled. Accepts NULL. */
void crn_digester_destroy(crn_digester *digester);

#endif
