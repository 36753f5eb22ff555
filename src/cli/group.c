/* Commands that have commands: `cairn checkpoint list`. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

enum { NAMES_MAX = 32 };

int cli_describe(const char *group, const cli_entry *entries, size_t count)
{
    char describe[] = "--help=json";
    int code = CLI_EXIT_OK;
    (void)printf("{\"group\":\"%s\",\"commands\":[", group != NULL ? group : "");
    for (size_t i = 0; i < count && code == CLI_EXIT_OK; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "%s", entries[i].name);
        char *argv[] = {name, describe, NULL};
        (void)printf("%s\n{\"name\":\"%s\",\"about\":", i > 0 ? "," : "", entries[i].name);
        cli_print_json_text(entries[i].about);
        (void)printf(",\"help\":");
        code = entries[i].run(2, argv);
        (void)printf("}");
    }
    (void)printf("]}\n");
    return code == CLI_EXIT_OK ? cli_finish_output(code) : code;
}

static void print_usage(FILE *out, const char *group, const char *example, const cli_entry *entries,
                        size_t count)
{
    (void)fprintf(out, "usage: cairn %s COMMAND [options]\n\n", group);
    for (size_t i = 0; i < count; i++)
        (void)fprintf(out, "  %s %-*s %s\n", entries[i].name, (int)(15 - strlen(entries[i].name)),
                      entries[i].arguments, entries[i].about);
    (void)fprintf(out, "\nexample: %s\n", example);
}

int cli_run_group(const char *group, const char *example, const cli_entry *entries, size_t count,
                  int argc, char **argv)
{
    const char *names[NAMES_MAX];
    size_t named = 0;
    for (; named < count && named < NAMES_MAX; named++) {
        names[named] = entries[named].name;
        if (argc >= 2 && strcmp(argv[1], entries[named].name) == 0)
            return entries[named].run(argc - 1, argv + 1);
    }
    if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        print_usage(stdout, group, example, entries, count);
        return cli_finish_output(CLI_EXIT_OK);
    }
    if (argc >= 2 && strcmp(argv[1], "--help=json") == 0)
        return cli_describe(group, entries, count);
    if (argc >= 2) {
        const char *const near = cairn_app_nearest(argv[1], names, named);
        (void)fprintf(stderr, "cairn: there is no command '%s %s'", group, argv[1]);
        if (near != NULL)
            (void)fprintf(stderr, "; did you mean '%s'?", near);
        (void)fputs("\n", stderr);
    }
    print_usage(stderr, group, example, entries, count);
    return CLI_EXIT_USAGE;
}
