#include "kit/kit.h"

#include <errno.h>
#include <string.h>

static int pass(const crn_os *os)
{
    tk_gate_os *const g = os->self;
    (void)pthread_mutex_lock(&g->lock);
    g->arrived++;
    (void)pthread_cond_broadcast(&g->changed);
    while (!g->is_open && !g->is_at_sync && g->allowed == 0)
        (void)pthread_cond_wait(&g->changed, &g->lock);
    g->allowed -= g->allowed > 0;
    const int e = g->fail_errno;
    (void)pthread_mutex_unlock(&g->lock);
    return e;
}

static int gate_write_at(const crn_os *os, int fd, const void *buf, size_t size, uint64_t offset)
{
    const tk_gate_os *const g = os->self;
    const int e = pass(os);
    return e != 0 ? e : g->real->write_at(g->real, fd, buf, size, offset);
}

static int gate_write_uncached(const crn_os *os, int fd, const void *buf, size_t size,
                               uint64_t offset)
{
    const tk_gate_os *const g = os->self;
    if (g->is_uncached_off)
        return EOPNOTSUPP;
    const int e = pass(os);
    return e != 0 ? e : g->real->write_uncached(g->real, fd, buf, size, offset);
}

static int gate_set_direct(const crn_os *os, int fd)
{
    const tk_gate_os *const g = os->self;
    return g->is_direct_off ? EINVAL : g->real->set_direct(g->real, fd);
}

static int gate_sync(const crn_os *os, int fd)
{
    tk_gate_os *const g = os->self;
    (void)pthread_mutex_lock(&g->lock);
    while (!g->is_open && g->is_at_sync)
        (void)pthread_cond_wait(&g->changed, &g->lock);
    const bool fails = g->syncs_to_fail == 1;
    g->syncs_to_fail -= g->syncs_to_fail > 0;
    (void)pthread_mutex_unlock(&g->lock);
    return fails ? EIO : g->real->sync(g->real, fd);
}

void tk_gate_init(tk_gate_os *gate, const crn_os *real)
{
    memset(gate, 0, sizeof *gate);
    gate->real = real;
    gate->os = *real;
    gate->os.write_at = gate_write_at;
    gate->os.write_uncached = gate_write_uncached;
    gate->os.set_direct = gate_set_direct;
    gate->os.sync = gate_sync;
    gate->os.self = gate;
    gate->is_open = true;
    assert_int_equal(pthread_mutex_init(&gate->lock, NULL), 0);
    assert_int_equal(pthread_cond_init(&gate->changed, NULL), 0);
}

void tk_gate_dispose(tk_gate_os *gate)
{
    (void)pthread_mutex_destroy(&gate->lock);
    (void)pthread_cond_destroy(&gate->changed);
}

void tk_gate_set(tk_gate_os *gate, bool is_open, int fail_errno)
{
    (void)pthread_mutex_lock(&gate->lock);
    gate->is_open = is_open;
    gate->fail_errno = fail_errno;
    (void)pthread_cond_broadcast(&gate->changed);
    (void)pthread_mutex_unlock(&gate->lock);
}

void tk_gate_allow(tk_gate_os *gate, uint64_t writes)
{
    (void)pthread_mutex_lock(&gate->lock);
    gate->allowed += writes;
    (void)pthread_cond_broadcast(&gate->changed);
    (void)pthread_mutex_unlock(&gate->lock);
}

void tk_gate_fail_sync(tk_gate_os *gate, uint64_t number)
{
    (void)pthread_mutex_lock(&gate->lock);
    gate->syncs_to_fail = number;
    (void)pthread_mutex_unlock(&gate->lock);
}

void tk_gate_await(tk_gate_os *gate, uint64_t count)
{
    (void)pthread_mutex_lock(&gate->lock);
    while (gate->arrived < count)
        (void)pthread_cond_wait(&gate->changed, &gate->lock);
    (void)pthread_mutex_unlock(&gate->lock);
}
