#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

static const cli_entry k_commands[] = {
    {"fit", cli_fit, "PARAMS.yaml", "train a model as a YAML file says; --resume goes on"},
    {"validate", cli_validate, "PARAMS.yaml", "compute the validation loss of a checkpoint"},
    {"validate_all", cli_validate_all, "PARAMS.yaml",
     "the same for every checkpoint and every loader"},
    {"config", cli_config, "COMMAND", "check, show and compare YAML files"},
    {"checkpoint", cli_checkpoint, "COMMAND", "look at checkpoints, verify, pin and prune them"},
    {"data", cli_data, "COMMAND", "turn text files into files of tokens"},
    {"generate", cli_generate, "", "write text with a trained model"},
    {"help", cli_help, "SECTION", "explain a section of the YAML file"},
};
enum { COMMAND_COUNT = sizeof k_commands / sizeof k_commands[0] };

static void print_usage(FILE *out)
{
    (void)fputs("usage: cairn COMMAND [options]\n\n"
                "Trains language models and never loses a step.\n\ncommands:\n",
                out);
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        (void)fprintf(out, "  %-12s %s\n", k_commands[i].name, k_commands[i].about);
    (void)fputs(
        "\n`cairn COMMAND --help` explains a command, `cairn help SECTION` a section of the "
        "YAML file.\nexample: cairn fit configs/demo.yaml\n",
        out);
}

static int unknown_command(const char *name)
{
    const char *names[COMMAND_COUNT];
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        names[i] = k_commands[i].name;
    const char *const near = cairn_app_nearest(name, names, COMMAND_COUNT);
    (void)fprintf(stderr, "cairn: there is no command '%s'", name);
    if (near != NULL)
        (void)fprintf(stderr, "; did you mean '%s'?", near);
    (void)fputs("\n`cairn --help` lists the commands\n", stderr);
    return CLI_EXIT_USAGE;
}

/*
 * Freed memory stays with the process: each save asks for the same few MiB again, and making them
 * afresh took 23 ms of each save of 3,000 tensors.
 * docs/design/0009-speed-of-saves.md
 */
static void keep_freed_memory(void)
{
    enum {
        KEPT_BYTES = 64 * 1024 * 1024,  /* as large as a thread's heap gets in glibc */
        MAPPED_BYTES = 32 * 1024 * 1024 /* the most that M_MMAP_THRESHOLD takes */
    };
    /* Refused, it is only slower. */
    (void)mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
    (void)mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES);
}

int main(int argc, char **argv)
{
    keep_freed_memory();
    if (argc < 2) {
        print_usage(stderr);
        return CLI_EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_usage(stdout);
        return CLI_EXIT_OK;
    }
    if (strcmp(argv[1], "--help=json") == 0)
        return cli_describe(NULL, k_commands, COMMAND_COUNT);
    if (strcmp(argv[1], "--version") == 0) {
        (void)printf("cairn %s\n", CAIRN_VERSION);
        return CLI_EXIT_OK;
    }
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(argv[1], k_commands[i].name) == 0)
            return k_commands[i].run(argc - 1, argv + 1);
    }
    return unknown_command(argv[1]);
}
