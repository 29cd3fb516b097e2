/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* m2t: the command line tool of libm2t. This file picks the command; each command has a file of its own. */
#include "tool.h"

#include <fcntl.h>
#include <locale.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    const char *name, *summary;
    ToolStatus (*run)(int argc, char **argv);
} Command;

static const Command commands[] = {
    {"encode", "code a Y4M file as an M2T stream", encode_run},
    {"decode", "decode an M2T stream to a Y4M file", decode_run},
    {"info", "say what is in a stream or a model file", info_run},
    {"models", "list the models at hand", models_run},
    {"md5", "print the MD5 of the decoded planes of streams", md5_run},
    {"verify", "decode the streams of a list and compare their MD5", verify_run},
};

static void
usage(FILE *file)
{
    fputs("Usage:\n", file);
    for (guint i = 0; i < G_N_ELEMENTS(commands); i++)
        fprintf(file, "  m2t %-7s  %s\n", commands[i].name, commands[i].summary);
    fputs("\n\"m2t COMMAND --help\" lists the options of a command, \"m2t --version\" prints the version.\n", file);
}

/* What is opened in place of a standard file that is closed would get our messages. These can neither be read nor written. */
static void
open_missing_files(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void) !open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

int
main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : NULL;

    open_missing_files();
    setlocale(LC_CTYPE, "");
    if (!name) {
        usage(stderr);
        return TOOL_USAGE;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        usage(stdout);
        return tool_end_of_text(TOOL_OK);
    }
    if (strcmp(name, "--version") == 0) {
        printf("m2t %s, bitstream version %d\n", m2t_version(), M2T_BITSTREAM_VERSION);
        return tool_end_of_text(TOOL_OK);
    }
    for (guint i = 0; i < G_N_ELEMENTS(commands); i++)
        if (strcmp(name, commands[i].name) == 0) {
            g_autofree char *program = g_strconcat("m2t ", name, NULL);

            g_set_prgname(program);
            return commands[i].run(argc - 1, argv + 1);
        }
    tool_say("there is no command '%s'; \"m2t --help\" lists them", name);
    return TOOL_USAGE;
}
