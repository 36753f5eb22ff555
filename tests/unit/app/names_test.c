/* Every name of a class, and every key that leads to one, with one slip: refused, and the right
 * name is said. */
#include "unit/config/slips.h"

#include "app/keys.h"

enum { TEXT_SIZE = 600 };

/* The only problem of @diag, copied; empties it. */
static void take_problem(crn_diag *diag, char text[TEXT_SIZE])
{
    assert_int_equal(diag->error_count, 1);
    assert_int_equal(diag->count, 1);
    (void)snprintf(text, TEXT_SIZE, "%s", diag->problems[0].text);
    crn_diag_dispose(diag);
}

/* ---- Classes ---- */

static void refuse_class(const void *table, const char *name, const char *slip)
{
    const crn_registry *const registry = table;
    crn_diag diag = {0};
    crn_choice choice = {0};
    char text[TEXT_SIZE];
    if (crn_registry_find(registry, slip) != NULL)
        return; /* A name all the same, such as Adam without its W. */
    assert_false(crn_registry_choose(registry, slip, NULL, "here", &choice, &diag));
    take_problem(&diag, text);
    const char *const meant = suggested(text);
    if (crn_registry_find(registry, meant) == NULL || !is_one_slip(meant, slip))
        fail_msg("'%s' for '%s'; it is '%s'", meant, slip, name);
}

static void every_class_one_slip_away__is_refused_with_the_right_name(void **state)
{
    (void)state;
    static const crn_registry *const k_registries[] = {&crn_models,     &crn_optimizers,
                                                       &crn_schedulers, &crn_callbacks,
                                                       &crn_loggers,    &crn_processors};
    size_t names = 0;
    for (size_t i = 0; i < sizeof k_registries / sizeof k_registries[0]; i++) {
        for (size_t j = 0; j < k_registries[i]->count; j++) {
            const crn_class *const class = &k_registries[i]->classes[j];
            if (class->make == NULL && !class->is_harmless)
                continue; /* Not here: nobody is led to it. */
            (void)for_each_slip(k_registries[i], class->name, refuse_class);
            names++;
        }
    }
    assert_true(names > 70);
}

/* ---- Keys ---- */

static bool has_key(const crn_key_table *table, const char *name)
{
    for (size_t i = 0; i < table->count; i++) {
        if (strcmp(table->keys[i].name, name) == 0)
            return true;
    }
    return false;
}

static void refuse_key(const void *data, const char *name, const char *slip)
{
    const crn_key_table *const table = data;
    crn_diag diag = {0};
    char text[TEXT_SIZE];
    (void)snprintf(text, sizeof text, "%s: 1\n", slip);
    if (has_key(table, slip))
        return;
    crn_doc *const doc = must_parse(text);
    assert_false(crn_key_table_check(table, crn_doc_root(doc), table->name, &diag));
    crn_doc_destroy(doc);
    take_problem(&diag, text);
    const char *const meant = suggested(text);
    if (!has_key(table, meant) || !is_one_slip(meant, slip))
        fail_msg("'%s' for '%s'; it is '%s'", meant, slip, name);
}

static void every_key_one_slip_away__is_refused_with_the_right_name(void **state)
{
    (void)state;
    const crn_key_table *const tables[] = {
        &crn_root_keys,
        &crn_trainer_keys,
        &crn_init_keys,
        &crn_fit_keys,
        &crn_validate_keys,
        &crn_validate_all_keys,
        crn_class_keys("SequentialLR"),
        crn_class_keys("ChainedLR"),
        crn_class_keys("ScalePerParamLR"),
    };
    size_t names = 0;
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        for (size_t j = 0; j < tables[i]->count; j++, names++)
            (void)for_each_slip(tables[i], tables[i]->keys[j].name, refuse_key);
    }
    assert_true(names > 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_class_one_slip_away__is_refused_with_the_right_name),
        cmocka_unit_test(every_key_one_slip_away__is_refused_with_the_right_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
