#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

/* ---- Help ---- */

static void print_help(const cli_command *command)
{
    (void)printf("usage: %s\n\n%s\n\noptions:\n", command->usage, command->about);
    for (size_t i = 0; i < command->option_count; i++) {
        const cli_option *const option = &command->options[i];
        char left[64];
        if (option->kind == CLI_NO_EFFECT || option->kind == CLI_REFUSED || option->help == NULL)
            continue;
        (void)snprintf(left, sizeof left, "%s%c%s--%s%s%s", option->letter != 0 ? "-" : " ",
                       option->letter != 0 ? option->letter : ' ',
                       option->letter != 0 ? ", " : "  ", option->name,
                       option->value != NULL ? " " : "",
                       option->value != NULL ? option->value : "");
        (void)printf("  %-36s %s\n", left, option->help);
    }
    (void)printf("  %-36s %s\n\nexample: %s\n", "-h, --help", "Show this text.", command->example);
}

static void print_json_field(const char *key, const char *text)
{
    (void)printf(",\"%s\":", key);
    cli_print_json_text(text);
}

/* For tools/generate.py. */
static void describe(const cli_command *command)
{
    static const char *const k_kinds[] = {"flag",   "text",      "texts",  "count",
                                          "number", "no effect", "refused"};
    (void)printf("{\"usage\":");
    cli_print_json_text(command->usage);
    print_json_field("about", command->about);
    print_json_field("example", command->example);
    (void)printf(",\"positional_max\":%zu,\"options\":[", command->positional_max);
    const char *between = "";
    for (size_t i = 0; i < command->option_count; i++) {
        const cli_option *const option = &command->options[i];
        if (option->help == NULL)
            continue; /* the program's own */
        (void)printf("%s{\"name\":\"%s\",\"kind\":\"%s\"", between, option->name,
                     k_kinds[option->kind]);
        between = ",";
        if (option->letter != 0)
            (void)printf(",\"letter\":\"%c\"", option->letter);
        if (option->value != NULL)
            print_json_field("value", option->value);
        print_json_field("help", option->help);
        (void)printf("}");
    }
    (void)printf("]}");
}

/* ---- Finding an option ---- */

/* Dashes and underscores are the same; @length of @given count. */
static bool is_name(const char *name, const char *given, size_t length)
{
    if (strlen(name) != length)
        return false;
    for (size_t i = 0; i < length; i++) {
        const char c = given[i] == '-' ? '_' : given[i];
        if (c != name[i])
            return false;
    }
    return true;
}

static int unknown_option(const cli_command *command, const char *given)
{
    enum { NAMES_MAX = 64 };
    const char *names[NAMES_MAX] = {"help"};
    size_t count = 1;
    for (size_t i = 0; i < command->option_count && count < NAMES_MAX; i++)
        names[count++] = command->options[i].name;
    const char *const near = cairn_app_nearest(given + strspn(given, "-"), names, count);
    (void)fprintf(stderr, "cairn: unknown option '%s'", given);
    if (near != NULL)
        (void)fprintf(stderr, "; did you mean '--%s'?", near);
    (void)fprintf(stderr, "\nusage: %s\n", command->usage);
    return CLI_EXIT_USAGE;
}

/* *@out_value points behind "=" if the value is in the same word. */
static const cli_option *find_option(const cli_command *command, const char *word,
                                     const char **out_value)
{
    *out_value = NULL;
    for (size_t i = 0; i < command->option_count; i++) {
        const cli_option *const option = &command->options[i];
        if (word[1] != '-') {
            if (option->letter != 0 && word[1] == option->letter && word[2] == '\0')
                return option;
            continue;
        }
        const size_t length = strcspn(word + 2, "=");
        if (is_name(option->name, word + 2, length)) {
            *out_value = word[2 + length] == '=' ? word + 3 + length : NULL;
            return option;
        }
    }
    return NULL;
}

/* ---- Values ---- */

static bool add_text(cli_texts *texts, const char *value)
{
    const char **const grown = realloc(texts->items, (texts->count + 1) * sizeof *grown);
    if (grown == NULL)
        return false;
    texts->items = grown;
    texts->items[texts->count++] = value;
    return true;
}

static bool set_value(const cli_option *option, const char *value)
{
    char *end = NULL;
    errno = 0;
    switch (option->kind) {
    case CLI_FLAG:
        *(bool *)option->target = true;
        return true;
    case CLI_TEXT:
        *(const char **)option->target = value;
        return true;
    case CLI_TEXTS:
        return add_text(option->target, value);
    case CLI_COUNT:
        if (value[0] < '0' || value[0] > '9')
            return false;
        *(uint64_t *)option->target = strtoull(value, &end, 10);
        return errno == 0 && *end == '\0';
    case CLI_NUMBER:
        *(double *)option->target = strtod(value, &end);
        return errno == 0 && end != value && *end == '\0';
    case CLI_NO_EFFECT:
    case CLI_REFUSED:
        break; /* take_option treats them before. */
    }
    return false;
}

static bool is_config_file(const char *word)
{
    const char *const dot = strrchr(word, '.');
    return dot != NULL && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0);
}

/* Says that the flag means nothing here and passes over its values, of which cszoo takes several;
 * the configuration is not one of them. */
static void pass_over(const cli_option *option, int argc, char **argv, bool has_value, int *i)
{
    (void)fprintf(stderr, "cairn: --%s has no effect: %s\n", option->name, option->help);
    while (!has_value && *i + 1 < argc && argv[*i + 1][0] != '-' && !is_config_file(argv[*i + 1]))
        ++*i;
}

/* Reads the option in argv[*i] and its value; -1 or an exit code. */
static int take_option(const cli_command *command, int argc, char **argv, int *i)
{
    const char *value = NULL;
    const cli_option *const option = find_option(command, argv[*i], &value);
    if (option == NULL)
        return unknown_option(command, argv[*i]);
    if (option->kind == CLI_REFUSED) {
        (void)fprintf(stderr, "cairn: --%s: %s\n", option->name, option->help);
        return CLI_EXIT_USAGE;
    }
    if (option->kind == CLI_NO_EFFECT) {
        pass_over(option, argc, argv, value != NULL, i);
        return -1;
    }
    if (option->kind == CLI_FLAG && value != NULL) {
        (void)fprintf(stderr, "cairn: --%s takes no value\n", option->name);
        return CLI_EXIT_USAGE;
    }
    if (option->kind != CLI_FLAG && value == NULL) {
        if (*i + 1 >= argc) {
            (void)fprintf(stderr, "cairn: --%s needs a value%s%s\nusage: %s\n", option->name,
                          option->value != NULL ? ": " : "",
                          option->value != NULL ? option->value : "", command->usage);
            return CLI_EXIT_USAGE;
        }
        value = argv[++*i];
    }
    if (!set_value(option, value)) {
        (void)fprintf(stderr, "cairn: --%s: '%s' is no %s\n", option->name, value,
                      option->kind == CLI_COUNT ? "whole number of 0 or more" : "number");
        return CLI_EXIT_USAGE;
    }
    return -1;
}

static int check_count(const cli_command *command, size_t count, const char *extra)
{
    if (extra != NULL)
        (void)fprintf(stderr, "cairn: unexpected argument '%s'\nusage: %s\n", extra,
                      command->usage);
    else if (count < command->positional_min)
        (void)fprintf(stderr, "cairn: an argument is missing\nusage: %s\nexample: %s\n",
                      command->usage, command->example);
    else
        return -1;
    return CLI_EXIT_USAGE;
}

int cli_parse(const cli_command *command, int argc, char **argv, const char **positional,
              size_t *out_count)
{
    size_t count = 0;
    const char *extra = NULL;
    bool only_positional = false;
    for (int i = 1; i < argc; i++) {
        const char *const word = argv[i];
        if (!only_positional && (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)) {
            print_help(command);
            return cli_finish_output(CLI_EXIT_OK);
        }
        if (!only_positional && strcmp(word, "--help=json") == 0) {
            describe(command);
            return cli_finish_output(CLI_EXIT_OK);
        }
        if (!only_positional && strcmp(word, "--") == 0) {
            only_positional = true;
        } else if (!only_positional && word[0] == '-' && word[1] != '\0') {
            const int code = take_option(command, argc, argv, &i);
            if (code >= 0)
                return code;
        } else if (count < command->positional_max) {
            positional[count++] = word;
        } else {
            extra = word;
        }
    }
    *out_count = count;
    return check_count(command, count, extra);
}
