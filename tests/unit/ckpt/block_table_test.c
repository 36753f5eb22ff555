/* How the arena is cut, and that its digests are the plan's. */
#include "unit/ckpt/ckpt_kit.h"

#include "ckpt/block_table.h"

enum { MIB = 1024 * 1024 };

typedef struct cut {
    cairn_state_tree *tree;
    crn_plan plan;
    crn_block_table table;
} cut;

static void make_cut(cut *c, cairn_state_tree *tree)
{
    cairn_error err = {0};
    c->tree = tree;
    ck_fill(tree, 5);
    tk_assert_ok(crn_plan_make(&c->plan, tree, NULL, &err), &err);
    tk_assert_ok(crn_block_table_make(&c->table, tree, &c->plan, &err), &err);
}

static void dispose_cut(cut *c)
{
    crn_block_table_dispose(&c->table);
    crn_plan_dispose(&c->plan);
    cairn_state_tree_destroy(c->tree);
}

/* What holds for any arena: whole pages, no gaps, no two regions, no two large tensors. */
static void check_cut(const cut *c)
{
    const crn_block_table *const t = &c->table;
    uint64_t end = 0;
    bool *const is_in_order = calloc(t->count + 1, sizeof *is_in_order);
    for (size_t i = 0; i < t->count; i++) {
        const crn_block_span *const span = &t->spans[i];
        const cairn_state *const state = cairn_state_tree_at(c->tree, span->region);
        const uint64_t region = cairn_state_region_offset(state);
        assert_int_equal(span->offset, end);
        assert_true(span->bytes > 0 && span->bytes <= 4 * MIB);
        assert_int_equal(span->bytes % 4096, 0);
        assert_int_equal(span->region_offset, region);
        end = span->offset + span->bytes;
        assert_true(span->offset >= region && end <= region + cairn_state_region_bytes(state));
        assert_int_equal(crn_block_table_find(t, span->offset), i);
        assert_int_equal(crn_block_table_find(t, end - 1), i);
        size_t large = 0;
        for (size_t j = 0; j < cairn_state_tensor_count(state); j++) {
            const cairn_tensor *const tensor = cairn_state_tensor_at(state, j);
            large += tensor->bytes >= CAIRN_LARGE_BYTES && tensor->offset < end &&
                     tensor->offset + tensor->bytes > span->offset;
        }
        assert_true(large <= 1);
        assert_false(is_in_order[t->order[i]]);
        is_in_order[t->order[i]] = true;
    }
    assert_int_equal(end, cairn_state_tree_bytes(c->tree));
    free(is_in_order);
}

/* Block by block from the end, the digests are those of whole pieces. */
static void check_digests(cut *c)
{
    cairn_error err = {0};
    const uint8_t *const arena = cairn_state_tree_arena(c->tree);
    for (int round = 0; round < 2; round++) {
        memset(c->plan.chunks, 0, c->plan.chunk_count * sizeof *c->plan.chunks);
        crn_block_table_reset(&c->table, &c->plan);
        for (size_t k = 0; k < c->table.count; k++) {
            const size_t i = round == 0 ? c->table.count - 1 - k : k;
            tk_assert_ok(crn_block_table_digest(&c->table, (uint32_t)i,
                                                arena + c->table.spans[i].offset, &c->plan, &err),
                         &err);
        }
        for (size_t i = 0; i < c->plan.piece_count; i++) {
            const crn_piece *const piece = &c->plan.pieces[i];
            if (piece->digest == NULL)
                continue;
            const crn_digest want = crn_hash(arena + piece->arena_offset, (size_t)piece->bytes);
            assert_true(crn_digest_equal(piece->digest, &want));
        }
    }
}

static void table__cuts_large_tensors_at_their_chunks(void **state)
{
    (void)state;
    cut c;
    cairn_state_tree *const tree = ck_empty_tree();
    cairn_state *const model = ck_state(tree, "model");
    (void)ck_add(model, "a", CAIRN_DTYPE_U8, 9 * MIB + 100, 0); /* chunks of 4, 4 and 1 MiB + */
    (void)ck_add(model, "b", CAIRN_DTYPE_U8, 10, 0);
    (void)ck_add(model, "c", CAIRN_DTYPE_U8, 65536, 0);
    (void)ck_add(model, "d", CAIRN_DTYPE_U8, 4 * MIB, 0);
    (void)ck_add(model, "e", CAIRN_DTYPE_U8, 0, 0);
    (void)ck_add(model, "f", CAIRN_DTYPE_U8, 4 * MIB + 10, 0); /* its tail is a block */
    ck_allocate(tree);
    make_cut(&c, tree);
    check_cut(&c);
    check_digests(&c);
    assert_int_equal(c.table.count, 7);
    assert_int_equal(c.table.max_bytes, 4 * MIB);
    assert_int_equal(c.table.spans[2].bytes, MIB + 4096); /* with "b" */
    assert_int_equal(c.table.splice_count, 0);
    dispose_cut(&c);
}

static void table__cuts_between_small_tensors_where_a_page_ends(void **state)
{
    (void)state;
    cut c;
    cairn_state_tree *const tree = ck_empty_tree();
    cairn_state *const model = ck_state(tree, "model");
    char name[32];
    for (int i = 0; i < 300; i++) { /* each 15 pages */
        (void)snprintf(name, sizeof name, "t%d", i);
        (void)ck_add(model, name, CAIRN_DTYPE_U8, 15 * 4096, 0);
    }
    ck_allocate(tree);
    make_cut(&c, tree);
    check_cut(&c);
    check_digests(&c);
    assert_int_equal(c.table.splice_count, 0);
    assert_int_equal(c.table.spans[0].bytes, 68 * 15 * 4096); /* 69 would be over 4 MiB */
    dispose_cut(&c);
}

static void table__splices_a_small_tensor_where_no_page_ends_between_two(void **state)
{
    (void)state;
    cut c;
    cairn_state_tree *const tree = ck_empty_tree();
    cairn_state *const model = ck_state(tree, "model");
    char name[32];
    (void)ck_add(model, "first", CAIRN_DTYPE_U8, 64, 0);
    for (int i = 0; i < 400; i++) { /* whole pages, 64 bytes off */
        (void)snprintf(name, sizeof name, "t%d", i);
        (void)ck_add(model, name, CAIRN_DTYPE_U8, 7 * 4096, 0);
    }
    ck_allocate(tree);
    make_cut(&c, tree);
    check_cut(&c);
    check_digests(&c);
    assert_int_equal(c.table.count, 3);
    assert_int_equal(c.table.splice_count, 2);
    assert_int_equal(c.table.spans[0].bytes, 4 * MIB);
    dispose_cut(&c);
}

static void table__orders_blocks_by_their_place_in_the_region(void **state)
{
    (void)state;
    cut c;
    cairn_state_tree *const tree = ck_empty_tree();
    cairn_state *const model = ck_state(tree, "model");
    cairn_state *const optimizer = ck_state(tree, "optimizer");
    (void)ck_state(tree, "values");
    (void)ck_add(model, "a", CAIRN_DTYPE_U8, 4 * MIB, 0);
    (void)ck_add(model, "b", CAIRN_DTYPE_U8, 4 * MIB, 0);
    (void)ck_add(optimizer, "a.m", CAIRN_DTYPE_U8, 4 * MIB, 0);
    (void)ck_add(optimizer, "a.v", CAIRN_DTYPE_U8, 4 * MIB, 0);
    (void)ck_add(optimizer, "b.m", CAIRN_DTYPE_U8, 4 * MIB, 0);
    (void)ck_add(optimizer, "b.v", CAIRN_DTYPE_U8, 4 * MIB, 0);
    ck_allocate(tree);
    make_cut(&c, tree);
    check_cut(&c);
    static const uint32_t k_want[] = {0, 2, 3, 1, 4, 5}; /* a, a.m, a.v, b, b.m, b.v */
    assert_int_equal(c.table.count, 6);
    assert_memory_equal(c.table.order, k_want, sizeof k_want);
    dispose_cut(&c);
}

static void table__holds_for_arenas_of_any_shape(void **state)
{
    (void)state;
    size_t splices = 0;
    for (uint64_t seed = 0; seed < 12; seed++) {
        cut c;
        cairn_state_tree *const tree = ck_empty_tree();
        char name[32];
        uint32_t n[4];
        for (uint64_t s = 0; s < 3; s++) {
            (void)snprintf(name, sizeof name, "s%d", (int)s);
            cairn_state *const one = ck_state(tree, name);
            crn_philox(seed, 1, s, 0, n);
            for (uint32_t i = 0, count = n[0] % 150; i < count; i++) {
                uint32_t r[4];
                crn_philox(seed, 2, s, i, r);
                const uint32_t most = r[0] % 20 == 0 ? 3 * MIB : r[0] % 2 == 0 ? 65535 : 3000;
                (void)snprintf(name, sizeof name, "t%u", i);
                (void)ck_add(one, name, CAIRN_DTYPE_U8, r[1] % most, 0);
            }
        }
        ck_allocate(tree);
        make_cut(&c, tree);
        check_cut(&c);
        check_digests(&c);
        splices += c.table.splice_count;
        dispose_cut(&c);
    }
    print_message("%zu splices\n", splices);
}

static void digest__notices_what_was_written_into_a_gap(void **state)
{
    (void)state;
    cut c;
    cairn_error err = {0};
    make_cut(&c, ck_tree(0));
    uint8_t *const arena = malloc(c.table.spans[0].bytes);
    assert_non_null(arena);
    memcpy(arena, cairn_state_tree_arena(c.tree), c.table.spans[0].bytes);
    arena[4095] = 1;
    crn_block_table_reset(&c.table, &c.plan);
    tk_assert_status(crn_block_table_digest(&c.table, 0, arena, &c.plan, &err), CAIRN_EBUG, &err);
    tk_assert_error_has(&err, "gap");
    free(arena);
    dispose_cut(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table__cuts_large_tensors_at_their_chunks),
        cmocka_unit_test(table__cuts_between_small_tensors_where_a_page_ends),
        cmocka_unit_test(table__splices_a_small_tensor_where_no_page_ends_between_two),
        cmocka_unit_test(table__orders_blocks_by_their_place_in_the_region),
        cmocka_unit_test(table__holds_for_arenas_of_any_shape),
        cmocka_unit_test(digest__notices_what_was_written_into_a_gap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
