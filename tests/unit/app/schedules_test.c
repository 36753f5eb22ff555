/* Schedulers and parameter filters as a configuration has them. */
#include "unit/config/config_kit.h"

#include <math.h>
#include <stdio.h>

#include "app/schedules.h"

enum { LINE_SIZE = 8192 };

/* What a text of trainer.init.optimizer's options and of schedulers became. */
struct reading {
    crn_doc *doc;
    crn_diag diag;
    crn_param_filters filters;
    crn_scheduler_specs specs;
};

/* @yaml is {optimizer: {...}, schedulers: [...]}. */
static void read_yaml(struct reading *r, const char *yaml)
{
    *r = (struct reading){.doc = must_parse(yaml)};
    crn_node *const root = crn_doc_root(r->doc);
    crn_read_param_filters(crn_node_get(root, "optimizer"), "optimizer", &r->filters, &r->diag);
    crn_read_schedulers(r->doc, crn_node_get(root, "schedulers"), &r->filters, &r->specs, &r->diag);
}

static void dispose(struct reading *r)
{
    crn_scheduler_specs_dispose(&r->specs);
    crn_param_filters_dispose(&r->filters);
    crn_diag_dispose(&r->diag);
    crn_doc_destroy(r->doc);
}

static void assert_reading_refused(const char *yaml, const char *expected)
{
    struct reading r;
    read_yaml(&r, yaml);
    assert_errors(&r.diag, expected);
    dispose(&r);
}

/* The only scheduler of @yaml, made; yours. */
static cairn_scheduler *make(const char *yaml)
{
    struct reading r;
    cairn_scheduler *scheduler = NULL;
    char text[LINE_SIZE];
    (void)snprintf(text, sizeof text, "{schedulers: [%s]}", yaml);
    read_yaml(&r, text);
    if (r.diag.error_count > 0)
        fail_msg("%s: %s", yaml, r.diag.problems[0].text);
    assert_int_equal(r.specs.count, 1);
    assert_int_equal(crn_make_scheduler(&r.specs.items[0], false, &scheduler, NULL), CAIRN_OK);
    dispose(&r);
    return scheduler;
}

static void check_values(const cairn_scheduler *scheduler, const char *by, const char *line)
{
    const char *at = line;
    for (uint64_t t = 0;; t++) {
        char *end = NULL;
        const double want = strtod(at, &end);
        if (end == at)
            return;
        at = end;
        const double have = cairn_scheduler_value(scheduler, t);
        if (!(fabs(have - want) <= 1e-11))
            fail_msg("%s at %d is %.12g; %s has %.12g", cairn_scheduler_name(scheduler), (int)t,
                     have, by, want);
    }
}

static void every_scheduler__gives_the_figures_of_float64_and_pytorch(void **state)
{
    char path[4096];
    char line[LINE_SIZE];
    int cases = 0;
    int torchs = 0;
    cairn_scheduler *scheduler = NULL;
    (void)state;
    (void)snprintf(path, sizeof path, "%s/tests/numeric/schedulers.txt",
                   getenv("CAIRN_SOURCE_DIR"));
    FILE *const file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "case ", 5) == 0) {
            cairn_scheduler_destroy(scheduler);
            line[strcspn(line, "\n")] = '\0';
            scheduler = make(line + 5);
            const bool is_decay = cases++ % 2 == 1;
            assert_int_equal(cairn_scheduler_sets(scheduler), is_decay
                                                                  ? CAIRN_SCHEDULED_WEIGHT_DECAY
                                                                  : CAIRN_SCHEDULED_LEARNING_RATE);
        } else if (strncmp(line, "float64 ", 8) == 0) {
            check_values(scheduler, "float64", line + 8);
        } else if (strncmp(line, "torch ", 6) == 0) {
            check_values(scheduler, "PyTorch", line + 6);
            torchs++;
        }
    }
    cairn_scheduler_destroy(scheduler);
    (void)fclose(file);
    assert_int_equal(cases, 60);
    assert_int_equal(torchs, 17);
}

static void names__are_those_of_the_configuration(void **state)
{
    cairn_scheduler *const decay = make("{StepWD: {initial_val: 1, step_size: 2, gamma: 0.5}}");
    cairn_scheduler *const chain = make("{chainedlr: {schedulers: [{ConstantLR: {learning_rate: "
                                        "1}}]}}");
    (void)state;
    assert_string_equal(cairn_scheduler_name(decay), "StepWD");
    assert_string_equal(cairn_scheduler_name(chain), "ChainedScheduler");
    cairn_scheduler_destroy(decay);
    cairn_scheduler_destroy(chain);
}

/* One constructor serves both, so their structs must be laid out alike. */
static void tables_of_weight_decay__are_those_of_learning_rates_but_for_names(void **state)
{
    size_t count = 0;
    size_t pairs = 0;
    const crn_section *const sections = crn_sections(&count);
    (void)state;
    for (size_t i = 0; i < count; i++) {
        char name[64];
        const size_t length = strlen(sections[i].name);
        if (length < 3 || strcmp(sections[i].name + length - 3, "_wd") != 0)
            continue;
        (void)snprintf(name, sizeof name, "%.*s_lr", (int)length - 3, sections[i].name);
        const crn_section *rates = crn_section_find(name);
        if (rates == NULL) {
            name[length - 3] = '\0';
            rates = crn_section_find(name);
        }
        assert_non_null(rates);
        assert_int_equal(rates->struct_size, sections[i].struct_size);
        assert_int_equal(rates->count, sections[i].count);
        for (size_t j = 0; j < rates->count; j++) {
            assert_int_equal(rates->rows[j].kind, sections[i].rows[j].kind);
            assert_int_equal(rates->rows[j].offset, sections[i].rows[j].offset);
        }
        pairs++;
    }
    assert_int_equal(pairs, 15);
}

static void several_schedulers__may_set_different_things(void **state)
{
    struct reading r;
    (void)state;
    read_yaml(&r, "optimizer: {params: [{params: \"*bias\", tag: a}, {params: [x, y], tag: b}]}\n"
                  "schedulers:\n"
                  "- ConstantLR: {learning_rate: 0.1, param_group_tags: a}\n"
                  "- ConstantLR: {learning_rate: 0.2, param_group_tags: [b, null]}\n"
                  "- ConstantWD: {val: 0.3}\n");
    assert_int_equal(r.diag.error_count, 0);
    assert_int_equal(r.specs.count, 3);
    assert_int_equal(r.specs.items[1].tag_count, 2);
    assert_string_equal(r.specs.items[1].tags[0], "b");
    assert_null(r.specs.items[1].tags[1]);
    assert_int_equal(r.filters.count, 2);
    assert_string_equal(r.filters.items[1].params.items[1], "y");
    dispose(&r);
}

static void two_schedulers_of_one_rate__are_refused_with_their_places(void **state)
{
    (void)state;
    assert_reading_refused(
        "schedulers:\n"
        "- ConstantLR: {learning_rate: 0.1}\n"
        "- LinearLR: {initial_learning_rate: 1, end_learning_rate: 0, total_iters: 3}\n",
        "p.yaml:3:3: trainer.init.schedulers: LinearLR sets the learning rate that ConstantLR in "
        "line 2 sets too; put them into one SequentialLR, or give both param_group_tags without "
        "one in common\n");
    assert_reading_refused(
        "optimizer: {params: [{params: x, tag: a}, {params: y, tag: b}]}\n"
        "schedulers:\n"
        "- ConstantWD: {val: 0.1, param_group_tags: [a, b]}\n"
        "- ConstantWD: {val: 0.1, param_group_tags: b}\n",
        "p.yaml:4:3: trainer.init.schedulers: ConstantWD sets the weight decay that ConstantWD in "
        "line 3 sets too; put them into one SequentialWD, or give both param_group_tags without "
        "one in common\n");
}

static void tags__must_be_known_and_once(void **state)
{
    (void)state;
    assert_reading_refused("schedulers: [ConstantLR: {learning_rate: 1, param_group_tags: a}]",
                           "p.yaml:1:14: trainer.init.schedulers: ConstantLR is for the tag 'a', "
                           "but optimizer.params gives no tags\n");
    assert_reading_refused("optimizer: {params: {params: x, tag: body}}\n"
                           "schedulers: [ConstantLR: {learning_rate: 1, param_group_tags: bodi}]",
                           "p.yaml:2:14: unknown tag 'bodi' in ConstantLR; did you mean 'body'?\n");
    assert_reading_refused(
        "optimizer: {params: {params: x, tag: a}}\n"
        "schedulers: [ConstantLR: {learning_rate: 1, param_group_tags: [a, a]}]",
        "p.yaml:2:67: trainer.init.schedulers.ConstantLR.param_group_tags has 'a' twice\n");
}

static void children__must_fit_their_parent(void **state)
{
    (void)state;
    assert_reading_refused("schedulers: [SequentialLR: {schedulers: [ConstantWD: {val: 1}]}]",
                           "p.yaml:1:42: trainer.init.schedulers: SequentialLR sets the learning "
                           "rate, ConstantWD the weight decay\n");
    assert_reading_refused(
        "optimizer: {params: {params: x, tag: a}}\n"
        "schedulers: [ScalePerParamLR: {scheduler: {ConstantLR: {learning_rate: 1, "
        "param_group_tags: a}}}]",
        "p.yaml:2:43: trainer.init.schedulers: param_group_tags of ConstantLR are not those of the "
        "ScalePerParamLR around it; give them there only\n");
    assert_reading_refused("schedulers: [SequentialLR: {}]",
                           "p.yaml:1:28: trainer.init.schedulers.SequentialLR needs a list "
                           "'schedulers' of at least one\n");
    assert_reading_refused("schedulers: [ScalePerParamLR: {}]",
                           "p.yaml:1:31: trainer.init.schedulers.ScalePerParamLR needs a "
                           "'scheduler'\n");
}

static void what_cannot_be_made__is_reported_at_its_place(void **state)
{
    (void)state;
    assert_reading_refused(
        "schedulers:\n"
        "- SequentialLR:\n"
        "    milestones: [5]\n"
        "    schedulers:\n"
        "    - ConstantLR: {learning_rate: 1, total_iters: 4}\n"
        "    - ConstantLR: {learning_rate: 2}\n",
        "p.yaml:2:3: trainer.init.schedulers: SequentialLR: milestone 1 is 5, but the total_iters "
        "before it add up to 4; leave milestones out or make them equal\n");
    assert_reading_refused(
        "schedulers: [PiecewiseConstantLR: {learning_rates: [1, 2], milestones: [3, 4]}]",
        "p.yaml:1:14: trainer.init.schedulers: PiecewiseConstantLR: 2 values for 2 milestones; "
        "there must be one more\n");
    assert_reading_refused("schedulers: [MultiStepLR: {initial_learning_rate: 1, gamma: 1, "
                           "milestones: [3, 2]}]",
                           "p.yaml:1:14: trainer.init.schedulers: MultiStepLR: milestones must "
                           "grow, but 2 follows 3\n");
    assert_reading_refused(
        "schedulers: [ChainedScheduler: {schedulers: [ConstantLR: {learning_rate: 1}, "
        "LinearLR: {initial_learning_rate: 0, end_learning_rate: 1, total_iters: 2}]}]",
        "p.yaml:1:14: trainer.init.schedulers: ChainedScheduler: scheduler 2 (LinearLR) begins at "
        "0 and cannot be divided by that\n");
}

static void options__are_checked_with_the_nearest_name(void **state)
{
    (void)state;
    assert_reading_refused("schedulers: [StepWD: {initial_val: 1, step_size: 1, gama: 1}]",
                           "p.yaml:1:53: unknown key 'gama' in trainer.init.schedulers.StepWD; did "
                           "you mean 'gamma'?\n"
                           "p.yaml:1:22: trainer.init.schedulers.StepWD lacks 'gamma', which has "
                           "no default\n");
    assert_reading_refused("schedulers: [StepLRR: {}]",
                           "p.yaml:1:14: unknown scheduler 'StepLRR' in trainer.init.schedulers"
                           ".StepLRR; did you mean 'StepLR'?\n");
    assert_reading_refused("schedulers: [LambdaLR: {initial_learning_rate: 1}]",
                           "p.yaml:1:14: trainer.init.schedulers.LambdaLR: this version lacks the "
                           "scheduler LambdaLR\n");
    assert_reading_refused(
        "schedulers: [PiecewiseConstantLR: {learning_rates: [1, x], milestones: 3}]",
        "p.yaml:1:56: trainer.init.schedulers.PiecewiseConstantLR.learning_rates must be a number, "
        "not 'x'\n"
        "p.yaml:1:72: trainer.init.schedulers.PiecewiseConstantLR.milestones must be a list of "
        "numbers, not an integer\n");
}

static void filters__need_globs_and_a_tag(void **state)
{
    (void)state;
    assert_reading_refused("optimizer: {params: [{params: x}]}",
                           "p.yaml:1:22: optimizer.params needs both: params, a glob or a list of "
                           "globs, and tag\n");
    assert_reading_refused("optimizer: {params: [x]}",
                           "p.yaml:1:22: optimizer.params must be a list of maps such as "
                           "{params: \"*bias\", tag: b}\n");
    assert_reading_refused("optimizer: {params: [{params: x, tags: a}]}",
                           "p.yaml:1:34: unknown key 'tags' in optimizer.params; did you mean "
                           "'tag'?\n");
    assert_reading_refused("optimizer: {adjust_learning_rate: 3}",
                           "p.yaml:1:35: optimizer.adjust_learning_rate must be a map such as "
                           "{decoder_kernel: 0.25}\n");
    assert_reading_refused("optimizer: {adjust_learning_rate: {embedding: 0}}",
                           "p.yaml:1:47: optimizer.adjust_learning_rate.embedding is 0; it must be "
                           "from 1e-12 to 1000000000000\n");
}

static void factors__come_from_globs_and_from_known_names(void **state)
{
    struct reading r;
    cairn_scheduler *scheduler = NULL;
    (void)state;
    read_yaml(&r, "{optimizer: {adjust_learning_rate: {decoder_kernel: 0.25, \"ln_f*\": 2}}, "
                  "schedulers: [ConstantLR: {learning_rate: 8}]}");
    assert_int_equal(r.diag.error_count, 0);
    assert_true(r.filters.has_factors);
    assert_int_equal(r.filters.items[0].params.count, 2);
    assert_string_equal(r.filters.items[0].params.items[1], "*decoder*linear*weight");
    assert_string_equal(r.filters.items[1].params.items[0], "ln_f*");
    assert_true(r.filters.items[1].learning_rate_factor == 2.0);
    assert_int_equal(crn_make_scheduler(&r.specs.items[0], true, &scheduler, NULL), CAIRN_OK);
    assert_true(cairn_scheduler_group_value(scheduler, 0, 0.25) == 2.0);
    assert_true(cairn_scheduler_value(scheduler, 0) == 8.0);
    cairn_scheduler_destroy(scheduler);
    assert_int_equal(crn_make_scheduler(&r.specs.items[0], false, &scheduler, NULL), CAIRN_OK);
    assert_true(cairn_scheduler_group_value(scheduler, 0, 0.25) == 8.0);
    cairn_scheduler_destroy(scheduler);
    dispose(&r);
}

static void no_memory__while_making_is_reported(void **state)
{
    struct reading r;
    (void)state;
    read_yaml(&r, "{optimizer: {params: {params: x, tag: a}}, schedulers: [SequentialLR: "
                  "{param_group_tags: a, schedulers: [ConstantLR: {learning_rate: 1, total_iters: "
                  "2}, MultiStepLR: {initial_learning_rate: 1, gamma: 1, milestones: [2]}]}]}");
    assert_int_equal(r.diag.error_count, 0);
    for (uint64_t n = 1;; n++) {
        cairn_scheduler *scheduler = NULL;
        crn_mem_fail_at(n, 0);
        const cairn_status status = crn_make_scheduler(&r.specs.items[0], true, &scheduler, NULL);
        crn_mem_fail_at(0, 0);
        cairn_scheduler_destroy(scheduler);
        if (status == CAIRN_OK) {
            assert_true(n > 8);
            break;
        }
        assert_int_equal(status, CAIRN_ENOMEM);
        assert_null(scheduler);
    }
    dispose(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_scheduler__gives_the_figures_of_float64_and_pytorch),
        cmocka_unit_test(names__are_those_of_the_configuration),
        cmocka_unit_test(tables_of_weight_decay__are_those_of_learning_rates_but_for_names),
        cmocka_unit_test(several_schedulers__may_set_different_things),
        cmocka_unit_test(two_schedulers_of_one_rate__are_refused_with_their_places),
        cmocka_unit_test(tags__must_be_known_and_once),
        cmocka_unit_test(children__must_fit_their_parent),
        cmocka_unit_test(what_cannot_be_made__is_reported_at_its_place),
        cmocka_unit_test(options__are_checked_with_the_nearest_name),
        cmocka_unit_test(filters__need_globs_and_a_tag),
        cmocka_unit_test(factors__come_from_globs_and_from_known_names),
        cmocka_unit_test(no_memory__while_making_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
