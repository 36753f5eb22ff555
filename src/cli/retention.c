/* cairn checkpoint pin | unpin | prune. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

/* ---- pin, unpin ---- */

/* The exit code for one file. */
static int pin_one(const char *path, bool is_pinned, bool is_json)
{
    cairn_error err = {0};
    const cairn_status status = cairn_checkpoint_pin(path, is_pinned, &err);
    if (status != CAIRN_OK)
        return cli_fail(&err);
    if (is_json) {
        (void)printf("{\"path\":");
        cli_print_json_text(path);
        (void)printf(",\"pinned\":%s}\n", is_pinned ? "true" : "false");
    } else {
        (void)printf("%s: %s\n", path, is_pinned ? "pinned" : "not pinned");
    }
    return CLI_EXIT_OK;
}

static int pin_all(const cli_command *command, int argc, char **argv, bool is_pinned,
                   const bool *is_json)
{
    static const char *s_paths[CLI_FILES_MAX]; /* Too many for the stack. */
    size_t count = 0;
    int code = cli_parse(command, argc, argv, s_paths, &count);
    if (code >= 0)
        return code;
    code = CLI_EXIT_OK;
    for (size_t i = 0; i < count; i++) {
        const int one = pin_one(s_paths[i], is_pinned, *is_json);
        code = one > code ? one : code;
    }
    return cli_finish_output(code);
}

int cli_checkpoint_pin(int argc, char **argv)
{
    bool is_json = false;
    const cli_option options[] = {
        {"json", 0, CLI_FLAG, &is_json, NULL, "Print one JSON object a file."},
    };
    const cli_command command = {
        .usage = "cairn checkpoint pin FILE... [options]",
        .about =
            "Pins checkpoints: neither KeepNCheckpoints nor prune deletes them. Works beside a\n"
            "running fit.",
        .example = "cairn checkpoint pin run1/checkpoint_200.mdl",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
        .positional_min = 1,
        .positional_max = CLI_FILES_MAX,
    };
    return pin_all(&command, argc, argv, true, &is_json);
}

int cli_checkpoint_unpin(int argc, char **argv)
{
    bool is_json = false;
    const cli_option options[] = {
        {"json", 0, CLI_FLAG, &is_json, NULL, "Print one JSON object a file."},
    };
    const cli_command command = {
        .usage = "cairn checkpoint unpin FILE... [options]",
        .about = "Takes pins back.",
        .example = "cairn checkpoint unpin run1/checkpoint_200.mdl",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
        .positional_min = 1,
        .positional_max = CLI_FILES_MAX,
    };
    return pin_all(&command, argc, argv, false, &is_json);
}

/* ---- prune ---- */

struct prune {
    cairn_store_options store;
    cairn_retention rules;
    const char *mode; /* NULL: min */
    bool is_dry;
    bool is_json;
};

static const char *verdict_name(cairn_verdict verdict)
{
    switch (verdict) {
    case CAIRN_VERDICT_KEEP:
        return "keep";
    case CAIRN_VERDICT_DELETE:
        return "delete";
    case CAIRN_VERDICT_LEAVE:
        return "leave";
    }
    return "?";
}

/* Bytes of those to be deleted. */
static unsigned long long doomed_bytes(const cairn_retention_plan *plan)
{
    unsigned long long bytes = 0;
    for (size_t i = 0; i < cairn_retention_plan_count(plan); i++) {
        const cairn_judged *const judged = cairn_retention_plan_at(plan, i);
        bytes += judged->verdict == CAIRN_VERDICT_DELETE ? judged->info->bytes : 0;
    }
    return bytes;
}

static unsigned long long count_doomed(const cairn_retention_plan *plan)
{
    unsigned long long count = 0;
    for (size_t i = 0; i < cairn_retention_plan_count(plan); i++)
        count += cairn_retention_plan_at(plan, i)->verdict == CAIRN_VERDICT_DELETE;
    return count;
}

static void print_plan(const cairn_retention_plan *plan)
{
    for (size_t i = 0; i < cairn_retention_plan_count(plan); i++) {
        const cairn_judged *const judged = cairn_retention_plan_at(plan, i);
        (void)printf("%-6s  %-28s ", verdict_name(judged->verdict), judged->info->file);
        for (size_t k = 0; k < judged->reason_count; k++)
            (void)printf("%s%s", k > 0 ? ", " : "", judged->reasons[k]);
        (void)printf("\n");
    }
}

static void print_plan_json(const cairn_retention_plan *plan)
{
    (void)printf("\"checkpoints\":[");
    for (size_t i = 0; i < cairn_retention_plan_count(plan); i++) {
        const cairn_judged *const judged = cairn_retention_plan_at(plan, i);
        (void)printf("%s\n{\"path\":", i > 0 ? "," : "");
        cli_print_json_text(judged->info->path);
        (void)printf(",\"step\":%llu,\"bytes\":%llu,\"verdict\":\"%s\",\"reasons\":[",
                     (unsigned long long)judged->info->step,
                     (unsigned long long)judged->info->bytes, verdict_name(judged->verdict));
        for (size_t k = 0; k < judged->reason_count; k++) {
            (void)printf("%s", k > 0 ? "," : "");
            cli_print_json_text(judged->reasons[k]);
        }
        (void)printf("]}");
    }
    (void)printf("\n]");
}

/* A folder that is not there must not be made, and one without a run has nothing of its own. */
static cairn_status read_run(const struct prune *prune, cairn_run *out, cairn_error *err)
{
    cairn_store_options options = prune->store;
    cairn_store *store = NULL;
    options.is_read_only = true;
    cairn_status rc = cairn_store_open(&options, &store, err);
    if (rc == CAIRN_OK)
        rc = cairn_run_read(store, out, err);
    cairn_store_close(store);
    return rc;
}

static cairn_status run_prune(const struct prune *prune, cairn_error *err)
{
    cairn_store *store = NULL;
    cairn_retention_plan *plan = NULL;
    cairn_run run = {0};
    uint64_t deleted = 0;
    cairn_status rc = read_run(prune, &run, err);
    if (rc == CAIRN_OK)
        rc = cairn_store_open(&prune->store, &store, err);
    if (rc == CAIRN_OK)
        rc = cairn_retention_plan_make(store, run.run_id, &prune->rules, &plan, err);
    if (rc != CAIRN_OK)
        goto out;
    if (!prune->is_dry)
        rc = cairn_retention_plan_apply(store, plan, &deleted, err);
    if (prune->is_json) {
        (void)printf("{\"dry_run\":%s,\"to_delete\":%llu,\"to_delete_bytes\":%llu,"
                     "\"deleted\":%llu,",
                     prune->is_dry ? "true" : "false", count_doomed(plan), doomed_bytes(plan),
                     (unsigned long long)deleted);
        print_plan_json(plan);
        (void)printf("}\n");
    } else {
        print_plan(plan);
        if (prune->is_dry)
            (void)printf("would delete %llu of %zu files, %llu bytes\n", count_doomed(plan),
                         cairn_retention_plan_count(plan), doomed_bytes(plan));
        else
            (void)printf("deleted %llu of %zu files\n", (unsigned long long)deleted,
                         cairn_retention_plan_count(plan));
    }
out:
    cairn_retention_plan_destroy(plan);
    cairn_run_dispose(&run);
    cairn_store_close(store);
    return rc;
}

/* -1 or an exit code. */
static int check_rules(struct prune *prune)
{
    if (prune->mode != NULL && strcmp(prune->mode, "min") != 0 && strcmp(prune->mode, "max") != 0) {
        (void)fprintf(stderr, "cairn: --mode: '%s' is neither min nor max\n", prune->mode);
        return CLI_EXIT_USAGE;
    }
    if (prune->rules.newest == 0) {
        (void)fputs(
            "cairn: give --n N, at least 1: how many of the newest to keep; --every, --best "
            "and --minutes keep others besides\n",
            stderr);
        return CLI_EXIT_USAGE;
    }
    prune->rules.is_max = prune->mode != NULL && strcmp(prune->mode, "max") == 0;
    prune->store.is_read_only = prune->is_dry;
    return -1;
}

int cli_checkpoint_prune(int argc, char **argv)
{
    struct prune prune = {.store = {.struct_size = sizeof prune.store},
                          .rules = {.struct_size = sizeof prune.rules}};
    const cli_option options[] = {
        {"n", 'n', CLI_COUNT, &prune.rules.newest, "N", "Keep the N newest."},
        {"every", 0, CLI_COUNT, &prune.rules.every, "M", "Keep steps that are multiples of M."},
        {"best", 0, CLI_COUNT, &prune.rules.best, "K", "Keep the K best by the metric."},
        {"metric", 0, CLI_TEXT, &prune.rules.metric, "NAME", "Metric of --best (val_loss)."},
        {"mode", 0, CLI_TEXT, &prune.mode, "MODE", "Which is best: min or max (min)."},
        {"minutes", 0, CLI_NUMBER, &prune.rules.minutes, "T", "Keep one in T minutes."},
        {"dry_run", 0, CLI_FLAG, &prune.is_dry, NULL,
         "Delete nothing, take no lock; say what would go, and why."},
        {"checkpoint_root", 0, CLI_TEXT, &prune.store.checkpoint_root, "DIR",
         "Folder of the checkpoints, if it is not DIR."},
        {"checkpoint_name", 0, CLI_TEXT, &prune.store.checkpoint_name, "NAME",
         "Name template (checkpoint_{step}.mdl)."},
        {"json", 0, CLI_FLAG, &prune.is_json, NULL, "Print JSON."},
    };
    const cli_command command = {
        .usage = "cairn checkpoint prune DIR --n N [options]",
        .about = "Deletes old full checkpoints of the run that DIR/run.json names, but for those\n"
                 "that a rule keeps or that are pinned. Others are left alone: of another run,\n"
                 "alternative, damaged, renamed. Exit code 8 beside a running fit.",
        .example = "cairn checkpoint prune run1 --n 3 --best 2 --dry-run",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
        .positional_min = 1,
        .positional_max = 1,
    };
    size_t count = 0;
    cairn_error err = {0};
    int code = cli_parse(&command, argc, argv, &prune.store.model_dir, &count);
    if (code < 0)
        code = check_rules(&prune);
    if (code >= 0)
        return code;
    return cli_finish_output(run_prune(&prune, &err) == CAIRN_OK ? CLI_EXIT_OK : cli_fail(&err));
}
