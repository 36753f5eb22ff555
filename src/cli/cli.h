/* The `cairn` program: a file a subcommand. Only public headers of the library are used. */
#ifndef CRN_CLI_CLI_H
#define CRN_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cairn/app.h"

enum {
    CLI_EXIT_OK = 0,
    CLI_EXIT_FAILED = 1,
    CLI_EXIT_USAGE = 2,
    CLI_FILES_MAX = 4096, /* positional arguments of a command that takes many files */
    CLI_EXIT_STOPPED = 75 /* EX_TEMPFAIL: run the same command again with --resume */
};

/* ---- Options of a subcommand: one row each ---- */

typedef enum cli_kind {
    CLI_FLAG,      /* bool */
    CLI_TEXT,      /* const char * */
    CLI_TEXTS,     /* cli_texts, may be given often */
    CLI_COUNT,     /* uint64_t */
    CLI_NUMBER,    /* double */
    CLI_NO_EFFECT, /* a flag of cszoo that means nothing here; @help says why; takes any values */
    CLI_REFUSED    /* a flag of cszoo that is not obeyed here; @help names the right way */
} cli_kind;

/* Texts given to one option, in order. */
typedef struct cli_texts {
    const char **items;
    size_t count;
} cli_texts;

typedef struct cli_option {
    const char *name; /* "model_dir": given as --model_dir or --model-dir */
    char letter;      /* 'o' for -o; 0: none */
    cli_kind kind;
    void *target;
    const char *value; /* for help: "DIR" */
    const char *help;  /* NULL: not shown */
} cli_option;

typedef struct cli_command {
    const char *usage;   /* "cairn fit PARAMS.yaml [options]" */
    const char *about;   /* what it does, one or two lines */
    const char *example; /* a line to type */
    const cli_option *options;
    size_t option_count;
    size_t positional_min;
    size_t positional_max;
} cli_command;

/*
 * Reads the arguments after the subcommand. Positional ones go to @positional (room for
 * positional_max), their number to *@out_count. Returns -1 to go on, or an exit code: 0 after
 * --help, 2 after a wrong use, which is explained on standard error.
 */
int cli_parse(const cli_command *command, int argc, char **argv, const char **positional,
              size_t *out_count);

/* ---- Commands that have commands: one row each ---- */

typedef struct cli_entry {
    const char *name;
    int (*run)(int argc, char **argv); /* arguments begin with the name */
    const char *arguments;             /* for the list: "FILE..." */
    const char *about;                 /* for the list: half a line */
} cli_entry;

/* Runs `cairn GROUP COMMAND`, or lists the commands. */
int cli_run_group(const char *group, const char *example, const cli_entry *entries, size_t count,
                  int argc, char **argv);
/* "--help=json": the commands, their options and texts, from which tools/generate.py makes
 * completions, manual pages and documents. @group NULL: the program. */
int cli_describe(const char *group, const cli_entry *entries, size_t count);

/* Writes "cairn: MESSAGE" and returns the exit code of @err. */
int cli_fail(const cairn_error *err);
/* The log of the program: standard error, "2026-01-31 12:00:00 INFO:   text". */
cairn_log cli_log(cairn_log_level level);
/* Draws or erases a progress bar on standard error; for cairn_app_request.bar. */
void cli_bar(void *user, const char *text);
/* Whether standard error is a terminal. */
bool cli_has_terminal(void);
/* "DEBUG", "info" ...; false if it is none. */
bool cli_level_from_text(const char *text, cairn_log_level *out);
/* "12.3 MiB". Returns @buf. */
const char *cli_format_bytes(uint64_t bytes, char buf[32]);
/* Writes @text as a JSON string to standard output. */
void cli_print_json_text(const char *text);
/* Standard output, flushed; 5 if it cannot be written. */
int cli_finish_output(int exit_code);

/* dry_run.c: `cairn fit --dry_run` and its result, as text or as JSON. Returns the exit code. */
int cli_dry_run(const cairn_app_request *request, bool is_json);
/* {"result": "failed", ...}; @message may be NULL. */
void cli_print_failed_json(const char *reason, int code, const char *message);

/* The subcommands: arguments begin with the subcommand's name. */
int cli_fit(int argc, char **argv);
int cli_validate(int argc, char **argv);
int cli_validate_all(int argc, char **argv);
int cli_checkpoint(int argc, char **argv);
int cli_checkpoint_pin(int argc, char **argv);
int cli_checkpoint_unpin(int argc, char **argv);
int cli_checkpoint_prune(int argc, char **argv);
int cli_checkpoint_convert(int argc, char **argv);
int cli_config(int argc, char **argv);
int cli_config_convert_legacy(int argc, char **argv);
int cli_data(int argc, char **argv);
int cli_generate(int argc, char **argv);
int cli_help(int argc, char **argv);

#endif
