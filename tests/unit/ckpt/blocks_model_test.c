/*
 * Every interleaving of small models of a save: the real state machine, writers and updaters that
 * take one step at a time, in every order, with every point of failure. States that were seen are
 * not entered twice.
 *
 * Checked in each of them: no update to a block that is being read or copied; what a writer reads,
 * and reads again, is what was captured; no slot for two blocks; every block written once, or the
 * save given up and all blocks free; nobody sleeps for ever.
 */
#include "kit/kit.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "ckpt/blocks.h"

enum { BLOCKS = 3, ACTORS = 2, SLOTS = 2, SEEN_BITS = 22 };

typedef struct model {
    uint32_t blocks;
    uint32_t writers;
    uint32_t updaters;
    uint32_t slots;
    uint32_t passes; /* updates of each block by each updater in a round */
    uint32_t rounds; /* saves in a row */
    bool can_fail;   /* any write may fail */
    bool has_runs;   /* a writer takes the next block too where it can */
} model;

typedef enum updater_at { U_ENTER, U_COPY_1, U_COPY_2, U_WRITE } updater_at;
typedef enum writer_at { W_TAKE, W_READ_1, W_READ_2, W_DONE } writer_at;

typedef struct updater {
    uint8_t at;
    uint8_t visits; /* blocks updated in this round */
    uint8_t slot;
    uint8_t is_asleep;
} updater;

typedef struct writer {
    uint8_t at;
    uint8_t block;
    uint8_t slot;  /* 0xff: the arena */
    uint8_t count; /* of blocks in a row */
    uint8_t is_asleep;
} writer;

/* All that changes, beside the machine. Each updater has a part of its own in every block. */
typedef struct world {
    uint8_t arena[BLOCKS][ACTORS];
    uint8_t captured[BLOCKS][ACTORS];
    uint8_t slot[SLOTS][ACTORS];
    uint8_t written[BLOCKS];
    updater updaters[ACTORS];
    writer writers[ACTORS];
    uint8_t round;
    uint8_t is_failed;
} world;

/* The machine and the world as plain bytes. */
typedef struct snapshot {
    struct {
        uint32_t state, slot, next, previous, is_queued;
    } blocks[BLOCKS];
    uint32_t free_slots[SLOTS];
    uint32_t head, left, free_slot_count, is_aborted;
    world world;
} snapshot;

typedef struct explorer {
    const model *m;
    crn_blocks machine;
    world world;
    crn_digest *seen; /* open addressing */
    uint64_t states;
    uint64_t ends;
    uint64_t copies; /* steps of this kind, to see that the model reaches them */
    uint64_t waits;
    uint64_t failures;
    uint64_t runs;
} explorer;

static void take_snapshot(const explorer *x, snapshot *out)
{
    memset(out, 0, sizeof *out);
    for (uint32_t i = 0; i < x->m->blocks; i++) {
        const crn_block *const block = &x->machine.blocks[i];
        out->blocks[i].state = atomic_load(&block->state);
        out->blocks[i].slot = block->slot;
        out->blocks[i].is_queued = block->is_queued;
        out->blocks[i].next = block->is_queued ? block->next : 0;
        out->blocks[i].previous = block->is_queued ? block->previous : 0;
    }
    for (uint32_t i = 0; i < x->machine.free_slot_count; i++)
        out->free_slots[i] = x->machine.free_slots[i];
    out->head = x->machine.head;
    out->left = x->machine.left;
    out->free_slot_count = x->machine.free_slot_count;
    out->is_aborted = x->machine.is_aborted;
    out->world = x->world;
}

static void restore(explorer *x, const snapshot *from)
{
    for (uint32_t i = 0; i < x->m->blocks; i++) {
        crn_block *const block = &x->machine.blocks[i];
        atomic_store(&block->state, from->blocks[i].state);
        block->slot = from->blocks[i].slot;
        block->next = from->blocks[i].next;
        block->previous = from->blocks[i].previous;
        block->is_queued = from->blocks[i].is_queued != 0;
    }
    memcpy(x->machine.free_slots, from->free_slots, x->m->slots * sizeof from->free_slots[0]);
    x->machine.head = from->head;
    x->machine.left = from->left;
    x->machine.free_slot_count = from->free_slot_count;
    x->machine.is_aborted = from->is_aborted != 0;
    x->world = from->world;
}

/* True the first time. */
static bool is_new(explorer *x, const snapshot *now)
{
    const uint64_t mask = ((uint64_t)1 << SEEN_BITS) - 1;
    const crn_digest digest = crn_hash(now, sizeof *now);
    const crn_digest none = {{0}};
    uint64_t at = 0;
    memcpy(&at, digest.bytes, sizeof at);
    for (at &= mask; !crn_digest_equal(&x->seen[at], &none); at = (at + 1) & mask) {
        if (crn_digest_equal(&x->seen[at], &digest))
            return false;
    }
    assert_true(x->states < mask / 2);
    x->seen[at] = digest;
    x->states++;
    return true;
}

static void wake_updaters(explorer *x)
{
    for (uint32_t i = 0; i < x->m->updaters; i++)
        x->world.updaters[i].is_asleep = 0;
}

static void wake_writers(explorer *x)
{
    for (uint32_t i = 0; i < x->m->writers; i++)
        x->world.writers[i].is_asleep = 0;
}

/* ---- Updaters: every second one goes backwards, so that they meet ---- */

static uint32_t visits_of(const model *m)
{
    return m->blocks * m->passes;
}

static uint32_t block_of(const model *m, uint32_t who, uint32_t visit)
{
    const uint32_t i = visit % m->blocks;
    return who % 2 == 0 ? i : m->blocks - 1 - i;
}

static bool updater_can_step(const explorer *x, uint32_t who)
{
    const updater *const u = &x->world.updaters[who];
    return u->visits < visits_of(x->m) && u->is_asleep == 0;
}

static void check_slot_is_alone(const explorer *x, uint32_t block, uint32_t slot)
{
    assert_true(slot < x->m->slots);
    for (uint32_t i = 0; i < x->m->blocks; i++)
        assert_true(i == block || x->machine.blocks[i].slot != slot);
    for (uint32_t i = 0; i < x->m->writers; i++)
        assert_true(x->world.writers[i].at == W_TAKE || x->world.writers[i].slot != slot);
}

static void updater_enter(explorer *x, updater *u, uint32_t block)
{
    uint32_t slot = CRN_BLOCK_NONE;
    switch (crn_blocks_enter(&x->machine, block, &slot)) {
    case CRN_ENTER_GO:
        assert_true(crn_blocks_may_write(&x->machine, block));
        u->at = U_WRITE;
        break;
    case CRN_ENTER_COPY:
        check_slot_is_alone(x, block, slot);
        u->slot = (uint8_t)slot;
        u->at = U_COPY_1;
        x->copies++;
        break;
    case CRN_ENTER_WAIT:
        u->is_asleep = 1;
        x->waits++;
        break;
    }
}

static void updater_step(explorer *x, uint32_t who)
{
    updater *const u = &x->world.updaters[who];
    const uint32_t block = block_of(x->m, who, u->visits);
    switch ((updater_at)u->at) {
    case U_ENTER:
        updater_enter(x, u, block);
        break;
    case U_COPY_1:
        x->world.slot[u->slot][0] = x->world.arena[block][0];
        u->at = U_COPY_2;
        break;
    case U_COPY_2:
        for (uint32_t i = 1; i < ACTORS; i++)
            x->world.slot[u->slot][i] = x->world.arena[block][i];
        crn_blocks_copied(&x->machine, block);
        wake_updaters(x);
        wake_writers(x);
        u->at = U_WRITE; /* without asking again */
        break;
    case U_WRITE:
        assert_true(crn_blocks_may_write(&x->machine, block));
        x->world.arena[block][who]++;
        u->at = U_ENTER;
        u->visits++;
        break;
    }
}

/* ---- Writers ---- */

static bool writer_can_step(const explorer *x, uint32_t who)
{
    return x->world.writers[who].is_asleep == 0;
}

static void writer_take(explorer *x, writer *w)
{
    uint32_t block = CRN_BLOCK_NONE;
    uint32_t slot = CRN_BLOCK_NONE;
    if (!crn_blocks_take(&x->machine, &block, &slot)) {
        w->is_asleep = 1;
        return;
    }
    assert_false(x->world.is_failed);
    w->block = (uint8_t)block;
    w->slot = (uint8_t)slot;
    w->count = 1;
    w->at = W_READ_1;
    if (x->m->has_runs && slot == CRN_BLOCK_NONE && block + 1 < x->m->blocks &&
        crn_blocks_take_also(&x->machine, block + 1)) {
        w->count = 2;
        x->runs++;
    }
}

static void writer_read(const explorer *x, const writer *w)
{
    for (uint32_t i = w->block; i < (uint32_t)w->block + w->count; i++) {
        const uint8_t *const from = w->slot == 0xff ? x->world.arena[i] : x->world.slot[w->slot];
        assert_memory_equal(from, x->world.captured[i], ACTORS);
    }
}

static void writer_step(explorer *x, uint32_t who, bool fails)
{
    writer *const w = &x->world.writers[who];
    switch ((writer_at)w->at) {
    case W_TAKE:
        writer_take(x, w);
        break;
    case W_READ_1:
        writer_read(x, w);
        w->at = W_READ_2;
        break;
    case W_READ_2:
        writer_read(x, w);
        w->at = W_DONE;
        if (fails) {
            x->world.is_failed = 1;
            crn_blocks_abort(&x->machine);
            wake_updaters(x);
            x->failures++;
        } else {
            for (uint32_t i = w->block; i < (uint32_t)w->block + w->count; i++)
                assert_int_equal(++x->world.written[i], 1);
        }
        break;
    case W_DONE:
        for (uint32_t i = w->block; i < (uint32_t)w->block + w->count; i++)
            crn_blocks_done(&x->machine, i);
        wake_updaters(x);
        memset(w, 0, sizeof *w);
        break;
    }
}

/* ---- A save after the other ---- */

static bool updates_are_done(const explorer *x)
{
    for (uint32_t i = 0; i < x->m->updaters; i++) {
        if (x->world.updaters[i].visits < visits_of(x->m))
            return false;
    }
    return true;
}

static void capture(explorer *x)
{
    memcpy(x->world.captured, x->world.arena, sizeof x->world.captured);
    memset(x->world.written, 0, sizeof x->world.written);
    memset(x->world.updaters, 0, sizeof x->world.updaters);
    x->world.is_failed = 0;
    crn_blocks_capture(&x->machine);
    wake_writers(x);
}

/* Nobody can take a step: so everything must be done. */
static void check_end(explorer *x)
{
    assert_true(updates_are_done(x));
    assert_true(crn_blocks_is_finished(&x->machine));
    assert_int_equal(x->machine.free_slot_count, x->m->slots);
    assert_int_equal(x->machine.head, CRN_BLOCK_NONE);
    for (uint32_t i = 0; i < x->m->blocks; i++) {
        assert_int_equal(atomic_load(&x->machine.blocks[i].state), CRN_BLOCK_FREE);
        assert_true(x->world.is_failed || x->world.written[i] == 1);
    }
}

/* The block states as they must be in every state of the world. */
static void check_invariants(const explorer *x)
{
    uint32_t left = 0;
    uint32_t slots = 0;
    for (uint32_t i = 0; i < x->m->blocks; i++) {
        const uint32_t state = atomic_load(&x->machine.blocks[i].state);
        const bool has_slot = x->machine.blocks[i].slot != CRN_BLOCK_NONE;
        assert_int_equal(has_slot, state == CRN_BLOCK_COPYING || state == CRN_BLOCK_STAGED);
        left += state != CRN_BLOCK_FREE;
        slots += has_slot;
        if (x->machine.is_aborted)
            assert_true(state != CRN_BLOCK_PENDING);
    }
    assert_int_equal(left, x->machine.left);
    assert_int_equal(slots + x->machine.free_slot_count, x->m->slots);
}

static void explore(explorer *x);

/* Takes one step from @now and explores all that follows. */
static void branch(explorer *x, const snapshot *now, uint32_t actor, bool fails)
{
    restore(x, now);
    if (actor < x->m->writers)
        writer_step(x, actor, fails);
    else
        updater_step(x, actor - x->m->writers);
    check_invariants(x);
    explore(x);
}

static void explore(explorer *x)
{
    snapshot now;
    bool can_step = false;
    take_snapshot(x, &now);
    if (!is_new(x, &now))
        return;
    for (uint32_t i = 0; i < x->m->writers; i++) {
        if (!writer_can_step(x, i))
            continue;
        can_step = true;
        const bool may_fail = x->m->can_fail && !x->world.is_failed;
        const bool is_reading = x->world.writers[i].at == W_READ_2;
        branch(x, &now, i, false);
        if (may_fail && is_reading)
            branch(x, &now, i, true);
        restore(x, &now);
    }
    for (uint32_t i = 0; i < x->m->updaters; i++) {
        if (!updater_can_step(x, i))
            continue;
        can_step = true;
        branch(x, &now, x->m->writers + i, false);
        restore(x, &now);
    }
    if (can_step)
        return;
    check_end(x);
    x->ends++;
    if (x->world.round + 1u < x->m->rounds) {
        x->world.round++;
        capture(x);
        explore(x);
        restore(x, &now);
    }
}

static void run_model(const model *m, explorer *x)
{
    cairn_error err = {0};
    *x = (explorer){.m = m};
    x->seen = calloc((size_t)1 << SEEN_BITS, sizeof *x->seen);
    assert_non_null(x->seen);
    tk_assert_ok(crn_blocks_init(&x->machine, m->blocks, NULL, m->slots, &err), &err);
    capture(x);
    explore(x);
    assert_true(x->ends > 0);
    crn_blocks_dispose(&x->machine);
    free(x->seen);
    x->seen = NULL;
}

static void model__holds_in_every_order(void **state)
{
    (void)state;
    uint64_t all = 0;
    for (uint32_t shape = 0; shape < 16; shape++) {
        for (uint32_t slots = 0; slots <= SLOTS; slots++) {
            const model m = {.blocks = BLOCKS,
                             .writers = 1 + (shape & 1),
                             .updaters = 1 + ((shape >> 1) & 1),
                             .slots = slots,
                             .passes = 2,
                             .rounds = 2,
                             .can_fail = (shape & 4) != 0,
                             .has_runs = (shape & 8) != 0};
            explorer x;
            run_model(&m, &x);
            assert_true(x.waits > 0);
            assert_int_equal(x.copies > 0, slots > 0);
            assert_int_equal(x.failures > 0, m.can_fail);
            assert_int_equal(x.runs > 0, m.has_runs);
            all += x.states;
            print_message("%u blocks, %u writers, %u updaters, %u slots, failures %d, runs %d: "
                          "%llu states\n",
                          m.blocks, m.writers, m.updaters, m.slots, m.can_fail, m.has_runs,
                          (unsigned long long)x.states);
        }
    }
    print_message("%llu states\n", (unsigned long long)all);
}

static void take__follows_the_order_but_for_urgent_blocks(void **state)
{
    (void)state;
    cairn_error err = {0};
    crn_blocks b;
    const uint32_t order[] = {2, 0, 3, 1};
    const uint32_t want[] = {1, 2, 0, 3}; /* 1 is waited for */
    uint32_t block = 0;
    uint32_t slot = 0;
    tk_assert_ok(crn_blocks_init(&b, 4, order, 0, &err), &err);
    assert_true(crn_blocks_is_finished(&b));
    crn_blocks_capture(&b);
    assert_int_equal(crn_blocks_enter(&b, 1, &slot), CRN_ENTER_WAIT);
    for (uint32_t i = 0; i < 4; i++) {
        assert_true(crn_blocks_take(&b, &block, &slot));
        assert_int_equal(block, want[i]);
        assert_int_equal(slot, CRN_BLOCK_NONE);
        assert_false(crn_blocks_may_write(&b, block));
        crn_blocks_done(&b, block);
        assert_true(crn_blocks_may_write(&b, block));
    }
    assert_false(crn_blocks_take(&b, &block, &slot));
    assert_true(crn_blocks_is_finished(&b));
    crn_blocks_dispose(&b);
}

static void take__skips_what_is_being_copied(void **state)
{
    (void)state;
    cairn_error err = {0};
    crn_blocks b;
    uint32_t block = 0;
    uint32_t slot = 0;
    tk_assert_ok(crn_blocks_init(&b, 2, NULL, 1, &err), &err);
    crn_blocks_capture(&b);
    assert_int_equal(crn_blocks_enter(&b, 0, &slot), CRN_ENTER_COPY);
    assert_int_equal(slot, 0);
    assert_true(crn_blocks_take(&b, &block, &slot));
    assert_int_equal(block, 1);
    crn_blocks_copied(&b, 0);
    assert_true(crn_blocks_may_write(&b, 0));
    assert_true(crn_blocks_take(&b, &block, &slot));
    assert_int_equal(block, 0);
    assert_int_equal(slot, 0);
    crn_blocks_dispose(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(model__holds_in_every_order),
        cmocka_unit_test(take__follows_the_order_but_for_urgent_blocks),
        cmocka_unit_test(take__skips_what_is_being_copied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
