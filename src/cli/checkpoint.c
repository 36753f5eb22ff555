/* cairn checkpoint info | list | verify: read only, beside a running fit. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

/* ---- info ---- */

/* Notes that cannot be read are told and count as none: the checkpoint is no worse for it. */
static cairn_notes *read_notes(const char *path)
{
    cairn_error err = {0};
    cairn_notes *notes = NULL;
    if (cairn_notes_read(path, &notes, &err) != CAIRN_OK)
        (void)cli_fail(&err);
    return notes;
}

static void print_info_json(const cairn_checkpoint *ckpt, const cairn_notes *notes)
{
    const cairn_checkpoint_info *const info = cairn_checkpoint_get_info(ckpt);
    (void)printf("{\"path\":");
    cli_print_json_text(info->path);
    (void)printf(",\"format\":");
    cli_print_json_text(cairn_checkpoint_format_version(ckpt));
    (void)printf(",\"kind\":\"%s\",\"step\":%llu,\"run_id\":\"%s\",\"save_counter\":%llu,"
                 "\"bytes\":%llu,\"states\":",
                 !info->has_metadata ? "plain"
                 : info->is_full     ? "full"
                                     : "alternative",
                 (unsigned long long)info->step, info->run_id,
                 (unsigned long long)info->save_counter, (unsigned long long)info->bytes);
    cli_print_json_text(info->states);
    (void)printf(",\"state_digest\":\"%s\",\"notes\":%s,\"tensors\":[",
                 cairn_checkpoint_state_digest(ckpt),
                 notes != NULL ? cairn_notes_json(notes) : "null");
    for (size_t i = 0; i < cairn_checkpoint_tensor_count(ckpt); i++) {
        const cairn_file_tensor *const tensor = cairn_checkpoint_tensor_at(ckpt, i);
        (void)printf("%s{\"name\":", i > 0 ? "," : "");
        cli_print_json_text(tensor->name);
        (void)printf(",\"dtype\":\"%s\",\"shape\":[", cairn_dtype_name(tensor->dtype));
        for (int axis = 0; axis < tensor->rank; axis++)
            (void)printf("%s%llu", axis > 0 ? "," : "", (unsigned long long)tensor->shape[axis]);
        (void)printf("],\"bytes\":%llu,\"digest\":\"%s\"}", (unsigned long long)tensor->bytes,
                     tensor->digest != NULL ? tensor->digest : "");
    }
    (void)printf("]}\n");
}

static void print_info(const cairn_checkpoint *ckpt, const cairn_notes *notes, bool with_tensors)
{
    const cairn_checkpoint_info *const info = cairn_checkpoint_get_info(ckpt);
    const char *const version = cairn_checkpoint_format_version(ckpt);
    (void)printf("checkpoint    %s\n", info->path);
    (void)printf("format        %s\n", info->has_metadata ? version : "plain safetensors");
    if (info->has_metadata) {
        (void)printf("kind          %s\n", info->is_full ? "full" : "alternative");
        (void)printf("step          %llu\n", (unsigned long long)info->step);
        (void)printf("run           %s, save %llu\n", info->run_id,
                     (unsigned long long)info->save_counter);
        (void)printf("states        %s\n", info->states);
        (void)printf("state digest  %s\n", cairn_checkpoint_state_digest(ckpt));
    }
    (void)printf("notes         %s\n", notes != NULL ? cairn_notes_json(notes) : "unreadable");
    (void)printf("size          %llu bytes, %zu tensors\n", (unsigned long long)info->bytes,
                 cairn_checkpoint_tensor_count(ckpt));
    for (size_t i = 0; with_tensors && i < cairn_checkpoint_tensor_count(ckpt); i++) {
        const cairn_file_tensor *const tensor = cairn_checkpoint_tensor_at(ckpt, i);
        (void)printf("  %s %s [", tensor->name, cairn_dtype_name(tensor->dtype));
        for (int axis = 0; axis < tensor->rank; axis++)
            (void)printf("%s%llu", axis > 0 ? ", " : "", (unsigned long long)tensor->shape[axis]);
        (void)printf("]\n");
    }
}

static int checkpoint_info(int argc, char **argv)
{
    bool is_json = false;
    bool with_tensors = false;
    const cli_option options[] = {
        {"list_objects", 'l', CLI_FLAG, &with_tensors, NULL, "List the tensors too."},
        {"json", 0, CLI_FLAG, &is_json, NULL, "Print all of it as JSON."},
    };
    const cli_command command = {
        .usage = "cairn checkpoint info FILE [options]",
        .about = "Says what a checkpoint holds. Reads its header only.",
        .example = "cairn checkpoint info run1/checkpoint_200.mdl",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
        .positional_min = 1,
        .positional_max = 1,
    };
    const char *path = NULL;
    size_t count = 0;
    cairn_error err = {0};
    cairn_checkpoint *ckpt = NULL;
    const int code = cli_parse(&command, argc, argv, &path, &count);
    if (code >= 0)
        return code;
    if (cairn_checkpoint_open(path, &ckpt, &err) != CAIRN_OK)
        return cli_fail(&err);
    cairn_notes *const notes = read_notes(path);
    if (is_json)
        print_info_json(ckpt, notes);
    else
        print_info(ckpt, notes, with_tensors);
    cairn_notes_destroy(notes);
    cairn_checkpoint_close(ckpt);
    return cli_finish_output(CLI_EXIT_OK);
}

/* ---- list ---- */

static const char *kind_of(const cairn_checkpoint_info *info)
{
    if (!info->is_readable)
        return "damaged";
    if (!info->has_metadata)
        return "plain";
    return info->is_full ? "full" : "alternative";
}

/* What a list shows of the notes. */
struct noted {
    bool is_pinned;
    bool has_loss;
    double loss;
};

static struct noted noted_of(const char *path)
{
    struct noted noted = {0};
    cairn_notes *const notes = read_notes(path);
    if (notes != NULL) {
        noted.is_pinned = cairn_notes_is_pinned(notes);
        noted.has_loss = cairn_notes_number(notes, "val_loss", &noted.loss);
    }
    cairn_notes_destroy(notes);
    return noted;
}

/* JSON has no word for what is not finite: those are texts, as in the notes. */
static void print_json_number(double value)
{
    (void)printf(isfinite(value) ? "%.17g" : "\"%g\"", value);
}

static void print_list(const cairn_catalogue *catalogue, const char *own_run)
{
    const size_t count = cairn_catalogue_count(catalogue);
    if (count > 0)
        (void)printf("%10s  %-11s %6s %14s %12s %6s  %-28s %s\n", "step", "kind", "run", "bytes",
                     "val_loss", "pinned", "file", "states");
    for (size_t i = 0; i < count; i++) {
        const cairn_checkpoint_info *const info = cairn_catalogue_at(catalogue, i);
        const bool is_own = own_run[0] != '\0' && strcmp(info->run_id, own_run) == 0;
        const struct noted noted = noted_of(info->path);
        char loss[32] = "-";
        if (noted.has_loss)
            (void)snprintf(loss, sizeof loss, "%.6g", noted.loss);
        (void)printf("%10llu  %-11s %6s %14llu %12s %6s  %-28s %s\n",
                     (unsigned long long)info->step, kind_of(info), is_own ? "own" : "other",
                     (unsigned long long)info->bytes, loss, noted.is_pinned ? "pinned" : "-",
                     info->file, info->is_readable ? info->states : info->problem);
    }
}

static void print_list_json(const cairn_catalogue *catalogue, const char *own_run)
{
    (void)printf("[");
    for (size_t i = 0; i < cairn_catalogue_count(catalogue); i++) {
        const cairn_checkpoint_info *const info = cairn_catalogue_at(catalogue, i);
        const bool is_own = own_run[0] != '\0' && strcmp(info->run_id, own_run) == 0;
        (void)printf("%s\n{\"path\":", i > 0 ? "," : "");
        cli_print_json_text(info->path);
        (void)printf(",\"step\":%llu,\"kind\":\"%s\",\"own\":%s,\"run_id\":\"%s\","
                     "\"save_counter\":%llu,\"bytes\":%llu,\"states\":",
                     (unsigned long long)info->step, kind_of(info), is_own ? "true" : "false",
                     info->run_id, (unsigned long long)info->save_counter,
                     (unsigned long long)info->bytes);
        cli_print_json_text(info->states);
        const struct noted noted = noted_of(info->path);
        (void)printf(",\"pinned\":%s,\"val_loss\":", noted.is_pinned ? "true" : "false");
        if (noted.has_loss)
            print_json_number(noted.loss);
        else
            (void)printf("null");
        (void)printf(",\"problem\":");
        cli_print_json_text(info->problem);
        (void)printf("}");
    }
    (void)printf("\n]\n");
}

static int checkpoint_list(int argc, char **argv)
{
    bool is_json = false;
    cairn_store_options store_options = {.struct_size = sizeof store_options, .is_read_only = true};
    const cli_option options[] = {
        {"checkpoint_root", 0, CLI_TEXT, &store_options.checkpoint_root, "DIR",
         "Folder of the checkpoints, if it is not DIR."},
        {"checkpoint_name", 0, CLI_TEXT, &store_options.checkpoint_name, "NAME",
         "Name template (checkpoint_{step}.mdl)."},
        {"json", 0, CLI_FLAG, &is_json, NULL, "Print JSON."},
    };
    const cli_command command = {
        .usage = "cairn checkpoint list DIR [options]",
        .about =
            "Lists the checkpoints in a model_dir, oldest first. The last full one that matches\n"
            "the name template is what autoload takes.",
        .example = "cairn checkpoint list run1",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
        .positional_min = 1,
        .positional_max = 1,
    };
    size_t count = 0;
    cairn_error err = {0};
    cairn_store *store = NULL;
    cairn_catalogue *catalogue = NULL;
    cairn_run run = {0};
    int code = cli_parse(&command, argc, argv, &store_options.model_dir, &count);
    if (code >= 0)
        return code;
    if (cairn_store_open(&store_options, &store, &err) != CAIRN_OK ||
        cairn_catalogue_read(store, &catalogue, &err) != CAIRN_OK) {
        code = cli_fail(&err);
        goto out;
    }
    if (cairn_run_read(store, &run, NULL) != CAIRN_OK)
        run.run_id[0] = '\0';
    if (is_json)
        print_list_json(catalogue, run.run_id);
    else
        print_list(catalogue, run.run_id);
    code = cli_finish_output(CLI_EXIT_OK);
out:
    cairn_run_dispose(&run);
    cairn_catalogue_destroy(catalogue);
    cairn_store_close(store);
    return code;
}

/* ---- verify ---- */

/* Where verify prints what it finds. */
struct verify_output {
    const char *path;
    bool is_json;
    bool has_damage;
};

static void print_damage(void *user, const cairn_damage *damage)
{
    struct verify_output *const output = user;
    const unsigned long long begin = damage->offset;
    const unsigned long long end = damage->offset + damage->bytes;
    if (output->is_json) {
        (void)printf("%s{\"tensor\":", output->has_damage ? "," : "");
        if (damage->tensor != NULL)
            cli_print_json_text(damage->tensor);
        else
            (void)printf("null");
        (void)printf(",\"begin\":%llu,\"end\":%llu,\"text\":", begin, end);
        cli_print_json_text(damage->text);
        (void)printf("}");
    } else {
        (void)printf("%s: damaged: %s, bytes %llu to %llu: %s\n", output->path,
                     damage->tensor != NULL ? damage->tensor : "(header or padding)", begin, end,
                     damage->text);
    }
    output->has_damage = true;
}

/* The exit code for one file. */
static int verify_one(const char *path, bool is_json)
{
    cairn_error err = {0};
    cairn_checkpoint *ckpt = NULL;
    char text[2048] = "";
    struct verify_output output = {.path = path, .is_json = is_json};
    if (is_json) {
        (void)printf("{\"path\":");
        cli_print_json_text(path);
        (void)printf(",\"damage\":[");
    }
    cairn_status status = cairn_checkpoint_open(path, &ckpt, &err);
    const bool has_digests = status == CAIRN_OK && cairn_checkpoint_get_info(ckpt)->has_metadata;
    if (status == CAIRN_OK)
        status = cairn_checkpoint_verify(ckpt, print_damage, &output, &err);
    if (status != CAIRN_OK)
        (void)cairn_error_format(&err, text, sizeof text);
    if (is_json) {
        (void)printf("],\"ok\":%s,\"has_digests\":%s,\"problem\":",
                     status == CAIRN_OK ? "true" : "false", has_digests ? "true" : "false");
        cli_print_json_text(text);
        (void)printf("}\n");
    } else if (status == CAIRN_OK) {
        (void)printf("%s: %s\n", path, has_digests ? "ok" : "readable; it has no digests to check");
    } else {
        (void)fprintf(stderr, "cairn: %s\n", text);
    }
    cairn_checkpoint_close(ckpt);
    return cairn_exit_code(status);
}

static int checkpoint_verify(int argc, char **argv)
{
    static const char *s_paths[CLI_FILES_MAX]; /* Too many for the stack. */
    bool is_json = false;
    const cli_option options[] = {
        {"json", 0, CLI_FLAG, &is_json, NULL, "Print one JSON object a file."},
    };
    const cli_command command = {
        .usage = "cairn checkpoint verify FILE... [options]",
        .about = "Reads whole files and checks every digest; names each damaged place.\n"
                 "Exit code 3 if any is damaged.",
        .example = "cairn checkpoint verify run1/checkpoint_*.mdl",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
        .positional_min = 1,
        .positional_max = CLI_FILES_MAX,
    };
    size_t count = 0;
    int code = cli_parse(&command, argc, argv, s_paths, &count);
    if (code >= 0)
        return code;
    code = CLI_EXIT_OK;
    for (size_t i = 0; i < count; i++) {
        const int one = verify_one(s_paths[i], is_json);
        code = one > code ? one : code;
    }
    return cli_finish_output(code);
}

static const cli_entry k_commands[] = {
    {"info", checkpoint_info, "FILE", "say what a checkpoint holds"},
    {"list", checkpoint_list, "DIR", "list the checkpoints of a model_dir"},
    {"verify", checkpoint_verify, "FILE...", "check every digest"},
    {"pin", cli_checkpoint_pin, "FILE...", "keep checkpoints whatever retention says"},
    {"unpin", cli_checkpoint_unpin, "FILE...", "take a pin back"},
    {"convert", cli_checkpoint_convert, "SRC DST", "from and to Hugging Face folders"},
    {"prune", cli_checkpoint_prune, "DIR", "delete old checkpoints, or say which would be"},
};

int cli_checkpoint(int argc, char **argv)
{
    return cli_run_group("checkpoint", "cairn checkpoint list run1", k_commands,
                         sizeof k_commands / sizeof k_commands[0], argc, argv);
}
