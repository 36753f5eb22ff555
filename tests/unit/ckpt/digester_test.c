/* Digesting on a thread of its own. */
#include "kit/kit.h"

#include <pthread.h>

#include "ckpt/digester.h"

enum { THREADS = 4, JOBS = 500 };

/* A gate that a job waits at. */
typedef struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_reached;
    bool is_open;
} gate;

static void gate_set(gate *g, bool *flag)
{
    (void)pthread_mutex_lock(&g->lock);
    *flag = true;
    (void)pthread_cond_broadcast(&g->changed);
    (void)pthread_mutex_unlock(&g->lock);
}

static void gate_wait(gate *g, const bool *flag)
{
    (void)pthread_mutex_lock(&g->lock);
    while (!*flag)
        (void)pthread_cond_wait(&g->changed, &g->lock);
    (void)pthread_mutex_unlock(&g->lock);
}

static void stand_at_gate(void *user)
{
    gate *const g = user;
    gate_set(g, &g->is_reached);
    gate_wait(g, &g->is_open);
}

typedef struct note {
    unsigned runs;
    pthread_t where;
} note;

static void take_note(void *user)
{
    note *const n = user;
    n->runs++;
    n->where = pthread_self();
}

static void settle__runs_here_what_nobody_has_begun(void **state)
{
    (void)state;
    cairn_error err = {0};
    crn_digester *d = NULL;
    gate g = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    note notes[3] = {{0}};
    crn_digest_job busy = {.run = stand_at_gate, .user = &g};
    crn_digest_job jobs[3];
    tk_assert_ok(crn_digester_new(&d, &err), &err);
    crn_digester_give(d, &busy);
    gate_wait(&g, &g.is_reached);
    for (int i = 0; i < 3; i++) {
        jobs[i] = (crn_digest_job){.run = take_note, .user = &notes[i]};
        crn_digester_give(d, &jobs[i]);
    }
    /* Out of the middle, then the last: the one left behind must still be found. */
    crn_digester_settle(d, &jobs[1]);
    crn_digester_settle(d, &jobs[2]);
    assert_true(pthread_equal(notes[1].where, pthread_self()));
    assert_true(pthread_equal(notes[2].where, pthread_self()));
    assert_int_equal(notes[0].runs, 0);
    gate_set(&g, &g.is_open);
    crn_digester_settle(d, &busy);
    crn_digester_settle(d, &jobs[0]);
    for (int i = 0; i < 3; i++)
        assert_int_equal(notes[i].runs, 1);
    crn_digester_destroy(d);
}

static void settle__waits_for_what_the_thread_has_begun(void **state)
{
    (void)state;
    cairn_error err = {0};
    crn_digester *d = NULL;
    gate g = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    crn_digest_job busy = {.run = stand_at_gate, .user = &g};
    tk_assert_ok(crn_digester_new(&d, &err), &err);
    crn_digester_give(d, &busy);
    gate_wait(&g, &g.is_reached); /* This thread never runs it: it would stand there for ever. */
    gate_set(&g, &g.is_open);
    crn_digester_settle(d, &busy);
    assert_int_equal(busy.progress, CRN_DIGEST_DONE);
    crn_digester_destroy(d);
}

static void *give_and_settle(void *argument)
{
    crn_digester *const d = argument;
    uintptr_t wrong = 0;
    for (int i = 0; i < JOBS; i++) {
        note n = {.runs = 0};
        crn_digest_job job = {.run = take_note, .user = &n};
        crn_digester_give(d, &job);
        crn_digester_settle(d, &job);
        wrong += n.runs != 1;
    }
    return (void *)wrong;
}

static void every_job_runs_once_whoever_gives_it(void **state)
{
    (void)state;
    cairn_error err = {0};
    crn_digester *d = NULL;
    pthread_t threads[THREADS];
    tk_assert_ok(crn_digester_new(&d, &err), &err);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, give_and_settle, d), 0);
    for (int i = 0; i < THREADS; i++) {
        void *wrong = NULL;
        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
    crn_digester_destroy(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settle__runs_here_what_nobody_has_begun),
        cmocka_unit_test(settle__waits_for_what_the_thread_has_begun),
        cmocka_unit_test(every_job_runs_once_whoever_gives_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
