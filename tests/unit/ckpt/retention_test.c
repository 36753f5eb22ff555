/* Which checkpoints stay: the arithmetic alone, without files. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "ckpt/retention.h"
#include "kit/kit.h"

enum { OWN_MAX = 12, RUNS = 4000 };

static const int64_t k_minute_ns = INT64_C(60000000000);

/* Checkpoints of steps 10, 20 ... in order of saving. */
struct made {
    size_t count;
    cairn_checkpoint_info infos[OWN_MAX];
    bool is_damaged[OWN_MAX];
    crn_own own[OWN_MAX]; /* as given to crn_retention_decide: sorted */
    unsigned looks[OWN_MAX];
};

static size_t index_of(const struct made *made, const crn_own *own)
{
    return (size_t)(own->info - made->infos);
}

static bool is_whole(void *user, const crn_own *own)
{
    struct made *const made = user;
    const size_t i = index_of(made, own);
    made->looks[i]++;
    return !made->is_damaged[i];
}

static void make(struct made *made, size_t count)
{
    *made = (struct made){.count = count};
    for (size_t i = 0; i < count; i++) {
        made->infos[i] = (cairn_checkpoint_info){.path = "x",
                                                 .name = {.step = 10 * (i + 1)},
                                                 .step = 10 * (i + 1),
                                                 .save_counter = i + 1,
                                                 .modified_ns = (int64_t)i * 10 * k_minute_ns};
        made->own[i].info = &made->infos[i];
    }
}

static crn_own *own_of(struct made *made, size_t i)
{
    for (size_t k = 0; k < made->count; k++) {
        if (index_of(made, &made->own[k]) == i)
            return &made->own[k];
    }
    return NULL;
}

static void decide(struct made *made, const cairn_retention *rules)
{
    memset(made->looks, 0, sizeof made->looks);
    crn_retention_sort(made->own, made->count);
    crn_retention_decide(made->own, made->count, rules, is_whole, made);
}

/* One letter a checkpoint in order of saving: '-' deleted, '!' left alone, else why it stays. */
static const char *told(struct made *made, char buf[OWN_MAX + 1])
{
    static const struct {
        unsigned reason;
        char letter;
    } k_letters[] = {{CRN_KEEP_NEWEST, 'n'},  {CRN_KEEP_EVERY, 'e'},     {CRN_KEEP_BEST, 'b'},
                     {CRN_KEEP_MINUTES, 'm'}, {CRN_KEEP_PINNED, 'p'},    {CRN_KEEP_NOTES, '?'},
                     {CRN_KEEP_LOADING, 'l'}, {CRN_KEEP_PROTECTED, 'c'}, {CRN_KEEP_ALL, 'a'}};
    for (size_t i = 0; i < made->count; i++) {
        const crn_own *const own = own_of(made, i);
        buf[i] = own->reasons != 0 ? '+' : own->wholeness == CRN_WHOLE ? '-' : '!';
        for (size_t k = 0; k < sizeof k_letters / sizeof k_letters[0]; k++) {
            if (own->reasons == k_letters[k].reason)
                buf[i] = k_letters[k].letter;
        }
    }
    buf[made->count] = '\0';
    return buf;
}

static void rules_alone_and_together(void **state)
{
    static const struct {
        cairn_retention rules;
        const char *want; /* steps 10 to 100; '+' is more than one reason */
    } k_rows[] = {
        {{.newest = 0}, "aaaaaaaaaa"},
        {{.newest = 1}, "---------n"},
        {{.newest = 3}, "-------nnn"},
        {{.newest = 10}, "nnnnnnnnnn"},
        {{.newest = UINT64_MAX}, "nnnnnnnnnn"},
        {{.newest = 1, .every = 30}, "--e--e--en"},
        {{.newest = 2, .every = 30}, "--e--e--+n"},
        {{.newest = 1, .every = 10}, "eeeeeeeee+"},
        {{.newest = 1, .every = UINT64_MAX}, "---------n"},
        {{.newest = 1, .minutes = 30}, "m--m--m--+"},
        {{.newest = 1, .minutes = 10}, "mmmmmmmmm+"},
        {{.newest = 1, .minutes = 10.001}, "m-m-m-m-mn"},
        {{.newest = 1, .minutes = 1e9}, "m--------n"},
        {{.newest = 1, .every = 50, .minutes = 40}, "m---+---m+"},
        {{.newest = 2, .best = 3}, "--------nn"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof k_rows / sizeof k_rows[0]; i++) {
        struct made made;
        char got[OWN_MAX + 1];
        make(&made, 10);
        decide(&made, &k_rows[i].rules);
        if (strcmp(told(&made, got), k_rows[i].want) != 0)
            fail_msg("row %zu: %s instead of %s", i, got, k_rows[i].want);
    }
}

static void best_counts_only_numbers_and_takes_the_newer_of_equal_ones(void **state)
{
    static const double k_none = -12345.0;
    const double nan = (double)NAN;
    const double inf = (double)INFINITY;
    const struct {
        double metric[6];
        uint64_t best;
        bool is_max;
        const char *want;
    } rows[] = {
        {{5, 4, 3, 2, 1, 0}, 1, false, "-----+"},
        {{0, 1, 2, 3, 4, 5}, 1, false, "b----n"},
        {{0, 1, 2, 3, 4, 5}, 2, false, "bb---n"},
        {{0, 1, 2, 3, 4, 5}, 2, true, "----b+"},
        {{0, 1, 2, 3, 4, 5}, 99, false, "bbbbb+"},
        {{1, 1, 1, 1, 2, 2}, 1, false, "---b-n"},
        {{1, 1, 1, 1, 2, 2}, 3, false, "-bbb-n"},
        {{nan, 7, nan, 6, nan, nan}, 1, false, "---b-n"},
        {{nan, 7, nan, 6, nan, nan}, 9, true, "-b-b-n"},
        {{inf, -inf, 3, k_none, nan, 9}, 1, false, "--b--n"},
        {{inf, -inf, 3, k_none, nan, 1}, 1, true, "--b--n"},
        {{k_none, k_none, k_none, k_none, k_none, k_none}, 6, false, "-----n"},
        {{nan, nan, nan, nan, nan, nan}, 6, false, "-----n"},
        {{-0.0, 0.0, 1, 1, 1, 1}, 1, false, "-b---n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const cairn_retention rules = {.newest = 1, .best = rows[i].best, .is_max = rows[i].is_max};
        struct made made;
        char got[OWN_MAX + 1];
        make(&made, 6);
        for (size_t k = 0; k < 6; k++) {
            made.own[k].has_metric = rows[i].metric[k] != k_none;
            made.own[k].metric = rows[i].metric[k];
        }
        decide(&made, &rules);
        if (strcmp(told(&made, got), rows[i].want) != 0)
            fail_msg("row %zu: %s instead of %s", i, got, rows[i].want);
    }
}

/* Whether its metric is known yet or not, the same ones stay. */
static void best_does_not_count_the_one_in_use(void **state)
{
    const cairn_retention rules = {.newest = 1, .best = 1};
    (void)state;
    for (int is_known = 0; is_known < 2; is_known++) {
        struct made made;
        char got[OWN_MAX + 1];
        make(&made, 4);
        for (size_t k = 0; k < 4; k++) {
            made.own[k].has_metric = k < 3 || is_known;
            made.own[k].metric = 4.0 - (double)k;
        }
        made.own[3].is_protected = true;
        decide(&made, &rules);
        assert_string_equal(told(&made, got), "--b+");
    }
}

static void minutes_go_by_the_order_of_saves_when_the_clock_jumps(void **state)
{
    static const struct {
        int64_t minutes[6]; /* when each was written */
        const char *want;   /* one in 60 minutes */
    } k_rows[] = {
        {{0, 30, 60, 90, 120, 150}, "m-m-mn"},
        {{0, 59, 118, 177, 236, 295}, "m-m-mn"},
        {{0, 0, 0, 0, 0, 0}, "m----n"},
        {{100000, 30, 60, 90, 120, 150}, "mm-m-+"},     /* set back after the first */
        {{0, 30, 99999999, 90, 120, 150}, "m-mm-+"},    /* jumped, and was set back */
        {{-99999999, -99999998, 0, 1, 2, 3}, "m-m--n"}, /* before 1970 */
        {{50, 40, 30, 20, 10, 0}, "mmmmm+"},            /* runs backwards: keeps too much */
    };
    const cairn_retention rules = {.newest = 1, .minutes = 60};
    (void)state;
    for (size_t i = 0; i < sizeof k_rows / sizeof k_rows[0]; i++) {
        struct made made;
        char got[OWN_MAX + 1];
        make(&made, 6);
        for (size_t k = 0; k < 6; k++)
            made.infos[k].modified_ns = k_rows[i].minutes[k] * k_minute_ns;
        decide(&made, &rules);
        if (strcmp(told(&made, got), k_rows[i].want) != 0)
            fail_msg("row %zu: %s instead of %s", i, got, k_rows[i].want);
    }
}

static void facts_of_one_file_protect_it(void **state)
{
    const cairn_retention rules = {.newest = 1};
    struct made made;
    char got[OWN_MAX + 1];
    (void)state;
    make(&made, 7);
    made.own[0].is_pinned = true;
    made.own[1].has_bad_notes = true;
    made.own[2].is_loading = true;
    made.own[3].is_protected = true;
    made.own[6].is_pinned = true;
    decide(&made, &rules);
    assert_string_equal(told(&made, got), "p?lc--+");
    assert_int_equal(own_of(&made, 6)->reasons, CRN_KEEP_NEWEST | CRN_KEEP_PINNED);
}

static void the_order_is_that_of_saving_not_of_steps(void **state)
{
    const cairn_retention rules = {.newest = 2};
    struct made made;
    char got[OWN_MAX + 1];
    (void)state;
    make(&made, 4);
    made.infos[3].step = made.infos[3].name.step = 5; /* the run went back */
    decide(&made, &rules);
    assert_string_equal(told(&made, got), "--nn");
}

static void a_damaged_one_takes_no_place_and_is_left_alone(void **state)
{
    struct made made;
    char got[OWN_MAX + 1];
    (void)state;
    make(&made, 6);
    made.is_damaged[5] = made.is_damaged[2] = made.is_damaged[0] = true;
    for (size_t i = 0; i < 6; i++) {
        made.own[i].has_metric = true;
        made.own[i].metric = (double)i;
    }
    const cairn_retention rules = {.newest = 2, .best = 2};
    decide(&made, &rules);
    assert_string_equal(told(&made, got), "!b!+n!");
}

static void a_header_is_read_once_and_only_where_it_matters(void **state)
{
    const cairn_retention rules = {.newest = 2, .every = 10};
    struct made made;
    (void)state;
    make(&made, 10);
    for (size_t i = 0; i < 5; i++)
        made.infos[i].step++; /* no multiple: to be deleted */
    decide(&made, &rules);
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(made.looks[i], i < 5 || i >= 8 ? 1 : 0);
}

static void nothing_is_decided_on_nothing(void **state)
{
    const cairn_retention rules = {.newest = 1, .best = 1, .minutes = 1, .every = 1};
    (void)state;
    crn_retention_sort(NULL, 0);
    crn_retention_decide(NULL, 0, &rules, is_whole, NULL);
}

/* ---- Properties, over random catalogues and rules ---- */

static uint64_t draw(uint64_t run, uint64_t index, uint64_t below)
{
    uint32_t block[4];
    crn_philox(4711, 1, run, index, block);
    return block[0] % below;
}

static void make_random(struct made *made, cairn_retention *rules, uint64_t run)
{
    static const double k_metrics[] = {1.0, 2.0, 2.0, 3.0, (double)NAN, (double)INFINITY};
    uint64_t at = 0;
    make(made, 1 + draw(run, at++, OWN_MAX));
    for (size_t i = 0; i < made->count; i++) {
        crn_own *const own = &made->own[i];
        made->infos[i].step = draw(run, at++, 200);
        made->infos[i].name.step = made->infos[i].step;
        made->infos[i].modified_ns = (int64_t)draw(run, at++, 300) * k_minute_ns;
        made->is_damaged[i] = draw(run, at++, 8) == 0;
        own->is_pinned = draw(run, at++, 8) == 0;
        own->has_bad_notes = draw(run, at++, 20) == 0;
        own->is_loading = draw(run, at++, 20) == 0;
        own->is_protected = draw(run, at++, 20) == 0;
        own->has_metric = draw(run, at++, 3) > 0;
        own->metric = k_metrics[draw(run, at++, 6)];
    }
    *rules = (cairn_retention){.newest = 1 + draw(run, at, 6),
                               .every = draw(run, at + 1, 3) * 7,
                               .best = draw(run, at + 2, 4),
                               .is_max = draw(run, at + 3, 2) == 1,
                               .minutes = (double)(draw(run, at + 4, 3) * 25)};
}

/* Kept or left alone. */
static bool stays(struct made *made, size_t i)
{
    const crn_own *const own = own_of(made, i);
    return own->reasons != 0 || own->wholeness != CRN_WHOLE;
}

static void assert_nothing_precious_goes(struct made *made, uint64_t run)
{
    size_t newest = made->count;
    for (size_t i = 0; i < made->count; i++)
        newest = made->is_damaged[i] ? newest : i;
    for (size_t i = 0; i < made->count; i++) {
        const crn_own *const own = own_of(made, i);
        const bool is_precious = i == newest || made->is_damaged[i] || own->is_pinned ||
                                 own->has_bad_notes || own->is_loading || own->is_protected;
        if (is_precious && !stays(made, i))
            fail_msg("run %llu: checkpoint %zu goes", (unsigned long long)run, i);
        if (made->looks[i] > 1)
            fail_msg("run %llu: checkpoint %zu was read twice", (unsigned long long)run, i);
    }
}

/* The same without the files that go, in the order of saving. */
static void remove_deleted(const struct made *from, struct made *to)
{
    *to = (struct made){.count = 0};
    for (size_t i = 0; i < from->count; i++) {
        struct made *const source = (struct made *)(uintptr_t)from;
        if (!stays(source, i))
            continue;
        to->infos[to->count] = from->infos[i];
        to->is_damaged[to->count] = from->is_damaged[i];
        to->own[to->count] = *own_of(source, i);
        to->own[to->count].info = &to->infos[to->count];
        to->own[to->count].wholeness = CRN_NOT_LOOKED_AT;
        to->count++;
    }
}

static void what_holds_for_every_catalogue(void **state)
{
    (void)state;
    for (uint64_t run = 0; run < RUNS; run++) {
        struct made made;
        struct made more;
        struct made again;
        cairn_retention rules;
        make_random(&made, &rules, run);
        more = made;
        for (size_t i = 0; i < more.count; i++)
            more.own[i].info = &more.infos[i];
        decide(&made, &rules);
        assert_nothing_precious_goes(&made, run);
        /* More newest keep more. */
        rules.newest++;
        decide(&more, &rules);
        rules.newest--;
        for (size_t i = 0; i < made.count; i++) {
            if (stays(&made, i) && !stays(&more, i))
                fail_msg("run %llu: a larger n lets %zu go", (unsigned long long)run, i);
        }
        /* What stayed once stays, until something new comes. */
        remove_deleted(&made, &again);
        decide(&again, &rules);
        for (size_t i = 0; i < again.count; i++) {
            if (!stays(&again, i))
                fail_msg("run %llu: a second time lets %zu go", (unsigned long long)run, i);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_alone_and_together),
        cmocka_unit_test(best_counts_only_numbers_and_takes_the_newer_of_equal_ones),
        cmocka_unit_test(best_does_not_count_the_one_in_use),
        cmocka_unit_test(minutes_go_by_the_order_of_saves_when_the_clock_jumps),
        cmocka_unit_test(facts_of_one_file_protect_it),
        cmocka_unit_test(the_order_is_that_of_saving_not_of_steps),
        cmocka_unit_test(a_damaged_one_takes_no_place_and_is_left_alone),
        cmocka_unit_test(a_header_is_read_once_and_only_where_it_matters),
        cmocka_unit_test(nothing_is_decided_on_nothing),
        cmocka_unit_test(what_holds_for_every_catalogue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
