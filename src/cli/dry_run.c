/* cairn fit --dry_run */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "cli/cli.h"

/* What the printing of results needs to know and keeps. */
struct dry_run {
    bool is_json;
    uint64_t step; /* of the last trainer */
};

static double tokens_of(const cairn_dry_run *found)
{
    return (double)(found->end_step - found->step) * found->tokens_a_step;
}

/* ---- Text ---- */

static const char *duration_text(double seconds, char buf[64])
{
    const unsigned long long whole = seconds < 1e15 ? (unsigned long long)(seconds + 0.5) : 0;
    if (seconds < 60.0)
        (void)snprintf(buf, 64, "%.3g s", seconds);
    else if (whole < 86400)
        (void)snprintf(buf, 64, "%llu:%02llu:%02llu", whole / 3600, whole / 60 % 60, whole % 60);
    else
        (void)snprintf(buf, 64, "%llu days %llu:%02llu:%02llu", whole / 86400, whole / 3600 % 24,
                       whole / 60 % 60, whole % 60);
    return buf;
}

static void print_room(const char *what, const char *taken, bool is_known, uint64_t room)
{
    char text[32];
    if (is_known)
        (void)printf("  %-12s %s; %s free\n", what, taken, cli_format_bytes(room, text));
    else
        (void)printf("  %-12s %s\n", what, taken);
}

static void print_sizes(const cairn_dry_run *found)
{
    char text[32];
    char taken[96];
    char parts[CAIRN_MEMORY_PLAN_TEXT_SIZE];
    (void)snprintf(taken, sizeof taken, "at most %s more",
                   cli_format_bytes(found->disk_bytes, text));
    print_room("disk", taken, found->has_disk_room, found->disk_room);
    (void)snprintf(taken, sizeof taken, "%s", cli_format_bytes(found->memory_bytes, text));
    print_room("memory", taken, found->memory.has_room, found->memory.room);
    (void)printf("  %-12s %s: %s\n", "planned", cli_format_bytes(found->memory.total, text),
                 cairn_memory_plan_text(&found->memory, parts, sizeof parts));
}

static void print_plan(const cairn_dry_run *found)
{
    char text[32];
    char whole[64];
    char step[64];
    char validation[64];
    (void)printf("  %-12s %" PRIu64 " (%" PRIu64 " to %" PRIu64 ", %s)\n", "steps",
                 found->end_step - found->step, found->step + 1, found->end_step, found->limit);
    (void)printf("  %-12s %" PRIu64 ", of %s each\n", "saves", found->saves,
                 cli_format_bytes(found->save_bytes, text));
    (void)printf("  %-12s %" PRIu64 "\n", "validations", found->validations);
    (void)printf("  %-12s %" PRIu64 "\n", "parameters", found->parameters);
    (void)printf("  %-12s %.0f (%.0f a step)\n", "tokens", tokens_of(found), found->tokens_a_step);
    print_sizes(found);
    (void)printf("  %-12s about %s (a step %s, a validation %s), saves not counted\n", "time",
                 duration_text(found->seconds, whole), duration_text(found->step_seconds, step),
                 duration_text(found->validation_seconds, validation));
    (void)printf("  %-12s %.6g in the first batch\n", "loss", found->loss);
}

static void print_text(const cairn_dry_run *found, size_t index, size_t count)
{
    if (count > 1)
        (void)printf("trainer %zu of %zu\n", index + 1, count);
    (void)printf("  %-12s %s, step %" PRIu64 "\n", "starts from",
                 found->checkpoint != NULL ? found->checkpoint : "nothing", found->step);
    if (found->is_complete)
        (void)printf("  %-12s nothing is left to do\n", "steps");
    else
        print_plan(found);
}

/* ---- JSON ---- */

static void print_json_room(const char *key, bool is_known, uint64_t room)
{
    if (is_known)
        (void)printf(",\"%s\":%" PRIu64, key, room);
    else
        (void)printf(",\"%s\":null", key);
}

static void print_json_number(const char *key, double value)
{
    if (isfinite(value))
        (void)printf(",\"%s\":%.17g", key, value);
    else
        (void)printf(",\"%s\":null", key);
}

static void print_json_memory(const cairn_memory_plan *plan)
{
    (void)printf(",\"memory_plan\":{\"parameters\":%" PRIu64 ",\"gradients\":%" PRIu64
                 ",\"optimizer\":%" PRIu64 ",\"callbacks\":%" PRIu64,
                 plan->parameters, plan->gradients, plan->optimizer, plan->others);
    print_json_room("training", plan->has_activations, plan->training);
    print_json_room("validation", plan->has_activations, plan->validation);
    (void)printf(",\"copies\":%" PRIu64 ",\"staging\":%" PRIu64 ",\"total\":%" PRIu64 "}",
                 plan->copies, plan->staging, plan->total);
}

static void print_json(const cairn_dry_run *found, size_t index, size_t count)
{
    (void)printf("{\"result\":\"%s\",\"trainer\":%zu,\"trainers\":%zu,\"checkpoint\":",
                 found->is_complete ? "complete" : "tried", index + 1, count);
    if (found->checkpoint != NULL)
        cli_print_json_text(found->checkpoint);
    else
        (void)fputs("null", stdout);
    (void)printf(",\"step\":%" PRIu64 ",\"end_step\":%" PRIu64 ",\"limit\":\"%s\"", found->step,
                 found->end_step, found->limit);
    (void)printf(",\"saves\":%" PRIu64 ",\"save_bytes\":%" PRIu64 ",\"disk_bytes\":%" PRIu64,
                 found->saves, found->save_bytes, found->disk_bytes);
    print_json_room("disk_room", found->has_disk_room, found->disk_room);
    (void)printf(",\"memory_bytes\":%" PRIu64, found->memory_bytes);
    print_json_room("memory_room", found->memory.has_room, found->memory.room);
    print_json_memory(&found->memory);
    (void)printf(",\"validations\":%" PRIu64 ",\"parameters\":%" PRIu64
                 ",\"tokens_a_step\":%.0f,\"tokens\":%.0f",
                 found->validations, found->parameters, found->tokens_a_step, tokens_of(found));
    print_json_number("loss", found->loss);
    print_json_number("val_loss", found->val_loss);
    (void)printf(",\"step_seconds\":%.6g,\"validation_seconds\":%.6g,\"seconds\":%.6g}\n",
                 found->step_seconds, found->validation_seconds, found->seconds);
}

void cli_print_failed_json(const char *reason, int code, const char *message)
{
    (void)printf("{\"result\":\"failed\",\"reason\":\"%s\",\"exit_code\":%d,\"message\":", reason,
                 code);
    cli_print_json_text(message != NULL ? message : "");
    (void)puts("}");
}

/* ---- The verb ---- */

static void print_found(void *user, size_t index, size_t count, const cairn_dry_run *found)
{
    struct dry_run *const dry_run = user;
    dry_run->step = found->step;
    if (dry_run->is_json)
        print_json(found, index, count);
    else
        print_text(found, index, count);
    (void)fflush(stdout); /* Another may follow; an error shows at the end. */
}

int cli_dry_run(const cairn_app_request *request, bool is_json)
{
    cairn_app_request own = *request;
    cairn_error err = {0};
    char text[4096];
    struct dry_run dry_run = {.is_json = is_json};
    int code = CLI_EXIT_OK;
    own.user = &dry_run;
    const cairn_status status = cairn_app_dry_run(&own, print_found, &err);
    if (status != CAIRN_OK)
        code = cli_fail(&err);
    if (status != CAIRN_OK && is_json) {
        (void)cairn_error_format(&err, text, sizeof text);
        cli_print_failed_json(cairn_status_name(status), code, text);
    } else if (!is_json) {
        (void)printf("result=%s step=%" PRIu64 " checkpoint=none reason=%s\n",
                     status == CAIRN_OK ? "tried" : "failed", dry_run.step,
                     status == CAIRN_OK ? "dry_run" : cairn_status_name(status));
    }
    return cli_finish_output(code);
}
