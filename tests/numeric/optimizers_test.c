/* Every optimizer against float64 and, where it computes the same, PyTorch: figures of
 * make_optimizers.py. */
#include "unit/optim/optim_kit.h"

enum { STEPS = 7, LINE_SIZE = 4096 };

/* Newton-Schulz multiplies rounding errors; everything else stays within a few of them. */
static double limit_of(const char *class)
{
    return strcmp(class, "Muon") == 0 ? 2e-5 : 1e-6;
}

static const cairn_tensor *find(const ok_model *m, const char *name)
{
    const cairn_tensor *const moment = cairn_state_tensor_find(m->state, name);
    return moment != NULL ? moment : cairn_state_tensor_find(m->model, name);
}

/* One line of figures, "TENSOR VALUES". */
static void check_line(const ok_model *m, const char *test, const char *class, const char *by,
                       char *line)
{
    char *rest = NULL;
    const char *const name = strtok_r(line, " \n", &rest);
    const cairn_tensor *const tensor = find(m, name);
    assert_non_null(tensor);
    for (int64_t i = 0; i < cairn_tensor_elements(tensor); i++) {
        const char *const word = strtok_r(NULL, " \n", &rest);
        assert_non_null(word);
        const double want = strtod(word, NULL);
        const double have = ((const float *)tensor->data)[i];
        if (!(fabs(have - want) <= limit_of(class)))
            fail_msg("%s: %s[%d] is %.9g; %s has %.9g", test, name, (int)i, have, by, want);
    }
}

static FILE *open_figures(void)
{
    char path[4096];
    const char *const source = getenv("CAIRN_SOURCE_DIR");
    assert_non_null(source);
    (void)snprintf(path, sizeof path, "%s/tests/numeric/optimizers.txt", source);
    FILE *const file = fopen(path, "r");
    assert_non_null(file);
    return file;
}

static void every_optimizer__gives_the_figures_of_float64_and_pytorch(void **state)
{
    char line[LINE_SIZE];
    char test[64] = "";
    char class[32] = "";
    int cases = 0;
    int torchs = 0;
    ok_model m = {0};
    FILE *const file = open_figures();
    (void)state;
    while (fgets(line, sizeof line, file) != NULL) {
        int is_varying = 0;
        int options = 0;
        if (sscanf(line, "case %63s %31s %d %n", test, class, &is_varying, &options) == 3) {
            if (cases++ > 0)
                ok_dispose(&m);
            ok_make(&m, class, line + options, true);
            ok_set_params(&m);
            ok_steps(&m, 0, STEPS, is_varying != 0);
        } else if (strncmp(line, "float64 ", 8) == 0) {
            check_line(&m, test, class, "float64", line + 8);
        } else if (strncmp(line, "torch ", 6) == 0) {
            check_line(&m, test, class, "PyTorch", line + 6);
            torchs++;
        }
    }
    ok_dispose(&m);
    (void)fclose(file);
    assert_int_equal(cases, 35);
    assert_true(torchs > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_optimizer__gives_the_figures_of_float64_and_pytorch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
