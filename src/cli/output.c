#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"

/* Whether the line of the terminal holds a bar, which a message must not be appended to. */
static bool s_has_bar;

static void write_line(void *user, cairn_log_level level, const char *message)
{
    (void)user;
    struct timespec now;
    struct tm parts;
    char stamp[32] = "";
    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (localtime_r(&now.tv_sec, &parts) != NULL)
        (void)strftime(stamp, sizeof stamp, "%Y-%m-%d %H:%M:%S", &parts);
    if (s_has_bar)
        cli_bar(NULL, "");
    (void)fprintf(stderr, "%s,%03d %s:   %s\n", stamp, (int)(now.tv_nsec / 1000000),
                  cairn_log_level_name(level), message);
}

cairn_log cli_log(cairn_log_level level)
{
    return (cairn_log){.level = level, .write = write_line};
}

bool cli_has_terminal(void)
{
    return isatty(STDERR_FILENO) == 1;
}

void cli_bar(void *user, const char *text)
{
    (void)user;
    s_has_bar = text[0] != '\0';
    (void)fprintf(stderr, "\r\033[K%s", text[0] == '\r' ? text + 1 : text);
    (void)fflush(stderr);
}

bool cli_level_from_text(const char *text, cairn_log_level *out)
{
    for (int level = CAIRN_LOG_DEBUG; level <= CAIRN_LOG_ERROR; level++) {
        if (strcasecmp(text, cairn_log_level_name((cairn_log_level)level)) == 0) {
            *out = (cairn_log_level)level;
            return true;
        }
    }
    return false;
}

int cli_fail(const cairn_error *err)
{
    char text[4096];
    (void)cairn_error_format(err, text, sizeof text);
    (void)fprintf(stderr, "cairn: %s\n", text);
    return cairn_exit_code(err->status);
}

const char *cli_format_bytes(uint64_t bytes, char buf[32])
{
    static const char *const k_units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    double value = (double)bytes;
    size_t unit = 0;
    for (; value >= 1024.0 && unit + 1 < sizeof k_units / sizeof k_units[0]; unit++)
        value /= 1024.0;
    (void)snprintf(buf, 32, "%.*f %s", unit > 0 ? 1 : 0, value, k_units[unit]);
    return buf;
}

void cli_print_json_text(const char *text)
{
    (void)putchar('"');
    for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
        if (*p == '"' || *p == '\\')
            (void)printf("\\%c", *p);
        else if (*p < 0x20)
            (void)printf("\\u%04x", *p);
        else
            (void)putchar(*p);
    }
    (void)putchar('"');
}

int cli_finish_output(int exit_code)
{
    if (fflush(stdout) == 0 && ferror(stdout) == 0)
        return exit_code;
    (void)fputs("cairn: standard output cannot be written\n", stderr);
    return exit_code != CLI_EXIT_OK ? exit_code : cairn_exit_code(CAIRN_EIO);
}
