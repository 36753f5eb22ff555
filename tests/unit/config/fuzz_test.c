/*
 * Mutated configurations: whatever the bytes, the reader answers with a tree or with errors, and a
 * tree written as JSON parses to the same JSON. Deterministic; it earns its keep under ASan.
 */
#include "unit/config/config_kit.h"

#include "base/rng.h"

enum { ROUNDS = 6000, TEXT_MAX = 4096 };

static const char *const k_seeds[] = {
    "trainer:\n  init:\n    model: {name: gpt2, hidden_size: 768, layer_norm_epsilon: 1.0e-5}\n"
    "    optimizer:\n      AdamW: {betas: [0.9, 0.95], lr: 1e-4}\n    callbacks:\n"
    "    - KeepNCheckpoints: {n: 3}\n    - CheckLoss\n    loop: {max_steps: 0x10, "
    "eval_frequency: 1.0}\n",
    "a: &a {x: 1, y: [yes, ~, .inf, '']}\nb: &b\n  <<: *a\n  z: \"q\\u00e9\\n\"\nc: [*a, *b, *a]\n"
    "d: {<<: [*a, *b], x: 190:20:30}\n",
    "? a\n: |\n  text\n  more\n? \"b\"\n: >-\n  folded\n   lines\n# end\n...\n",
    "{\"a\": {\"b\": [1, 2.5, -3, null, true, \"x\\\\y\"]}, \"c\": !!str 5, \"d\": !!int '7'}",
    "lr: 3e-4x\nbetas: [1, 2, 3]\nlearning_rate: 5\nweigth_decay: -1\namsgrad: on\nname: normal\n"
    "std: .nan\ninitializer: {name: uniform, a: 3}\nsteps: -5\nmax_steps: 99999999999999999999\n",
};
static const char k_alphabet[] = ":-?[]{},#&*!|>'\"%@`~ \n\t0159eE.+_xabnytrue\\<=\x01\x80\xc3\xe2";

struct dice {
    uint64_t index;
};

static uint32_t roll(struct dice *dice, uint32_t sides)
{
    uint32_t words[4];
    crn_philox(20240607, CRN_STREAM_SAMPLE, 0, dice->index++, words);
    return words[0] % sides;
}

/* Changes, removes, inserts or doubles parts of @text, a few times. */
static size_t mutate(struct dice *dice, char *text, size_t size)
{
    const uint32_t changes = 1 + roll(dice, 6);
    for (uint32_t i = 0; i < changes; i++) {
        const size_t at = size > 0 ? roll(dice, (uint32_t)size) : 0;
        const size_t left = size - at;
        const size_t run = left > 0 ? 1 + roll(dice, (uint32_t)(left < 40 ? left : 40)) : 0;
        const char fresh = k_alphabet[roll(dice, sizeof k_alphabet - 1)];
        switch (roll(dice, 4)) {
        case 0:
            if (size > 0)
                text[at] = fresh;
            break;
        case 1:
            memmove(text + at, text + at + run, left - run);
            size -= run;
            break;
        case 2:
            if (size < TEXT_MAX) {
                memmove(text + at + 1, text + at, left);
                text[at] = fresh;
                size++;
            }
            break;
        default:
            if (size + run <= TEXT_MAX) {
                memmove(text + at + run, text + at, left);
                size += run;
            }
            break;
        }
    }
    return size;
}

/* A table reads the tree; what comes out does not matter, only that it comes out. */
static void read_with_table(size_t number, crn_doc *doc, crn_node *node)
{
    crn_diag diag = {0};
    crn_str text = {0};
    size_t count = 0;
    const crn_section *const sections = crn_sections(&count);
    const crn_section *const section = &sections[number % count];
    void *const out = crn_calloc(1, section->struct_size);
    const bool is_clean = crn_section_read(section, NULL, doc, node, out, &diag);
    assert_int_equal(is_clean, diag.error_count == 0);
    append_problems(&diag, CRN_SEVERITY_ERROR, &text);
    crn_str_dispose(&text);
    crn_diag_dispose(&diag);
    crn_free(out);
}

/* Returns whether @text is YAML. */
static bool feed(const char *text, size_t size, size_t number)
{
    crn_diag diag = {0};
    crn_doc *doc = NULL;
    const bool is_good = crn_doc_parse(text, size, "fuzz.yaml", &diag, &doc);
    assert_int_equal(is_good, diag.error_count == 0);
    assert_int_equal(is_good, doc != NULL);
    if (is_good && crn_doc_root(doc) != NULL) {
        crn_str json = {0};
        crn_node_to_json(crn_doc_root(doc), &json);
        assert_parses(json.text, json.text);
        crn_str_dispose(&json);
        (void)crn_doc_set(doc, "trainer.init.callbacks.KeepNCheckpoints.n=3", &diag);
        for (size_t i = 0; i < 3; i++)
            read_with_table(number + i, doc, crn_doc_root(doc));
    }
    crn_doc_destroy(doc);
    crn_diag_dispose(&diag);
    return is_good;
}

static void mutated_texts__are_read_or_refused_in_order(void **state)
{
    (void)state;
    struct dice dice = {0};
    size_t good = 0;
    for (size_t i = 0; i < ROUNDS; i++) {
        char text[TEXT_MAX + 64];
        const char *const seed = k_seeds[i % (sizeof k_seeds / sizeof k_seeds[0])];
        size_t size = strlen(seed);
        memcpy(text, seed, size);
        if (i >= sizeof k_seeds / sizeof k_seeds[0])
            size = mutate(&dice, text, size);
        char *const exact = malloc(size + 1); /* So that ASan sees a read beyond the end. */
        assert_non_null(exact);
        memcpy(exact, text, size);
        good += feed(exact, size, i);
        free(exact);
    }
    /* Both kinds of answer must be common, else the loop tests nothing. */
    assert_in_range(good, ROUNDS / 10, ROUNDS - ROUNDS / 10);
}

static void mutated_assignments__are_applied_or_refused(void **state)
{
    (void)state;
    static const char k_seed[] = "trainer.init.callbacks.KeepNCheckpoints.n={a: [1, x]}";
    struct dice dice = {1u << 20};
    size_t good = 0;
    for (size_t i = 0; i < ROUNDS / 10; i++) {
        crn_diag diag = {0};
        char text[TEXT_MAX + 64];
        memcpy(text, k_seed, sizeof k_seed - 1);
        text[mutate(&dice, text, sizeof k_seed - 1)] = '\0';
        crn_doc *const doc = must_parse(k_seeds[0]);
        const bool is_good = crn_doc_set(doc, text, &diag);
        assert_int_equal(is_good, diag.error_count == 0);
        good += is_good;
        crn_diag_dispose(&diag);
        crn_doc_destroy(doc);
    }
    assert_in_range(good, ROUNDS / 100, ROUNDS / 10 - ROUNDS / 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mutated_texts__are_read_or_refused_in_order),
        cmocka_unit_test(mutated_assignments__are_applied_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
