/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the commands share (tool.h). */
#include "tool.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOMENT 20 /* milliseconds: for a writer that works to fill its pipe again, and less than a frame takes */
#define CLEAR_LINE "\r\033[K"

static gboolean progress_line; /* one stands on the terminal, without newline */

void
tool_say(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    fputs(progress_line ? CLEAR_LINE "m2t: " : "m2t: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    progress_line = FALSE;
}

void
codec_options_clear(CodecOptions *options)
{
    g_free(options->model);
    g_free(options->backend);
}

static gboolean
check_codec_options(const CodecOptions *codec)
{
    if (codec->threads < 0 || codec->threads > M2T_THREADS_MAX) {
        tool_say("--threads is %d, it must be 0 to %d", codec->threads, M2T_THREADS_MAX);
        return FALSE;
    }
    if (codec->frames < 0) {
        tool_say("--frames is %d, it must not be negative", codec->frames);
        return FALSE;
    }
    if (codec->backend && !g_strv_contains(m2t_backends(), codec->backend)) {
        g_autofree char *names = g_strjoinv(", ", (char **) m2t_backends());

        tool_say("there is no backend '%s' in this build and on this CPU; there are: %s", codec->backend, names);
        return FALSE;
    }
    return TRUE;
}

gboolean
tool_parse(int *argc, char ***argv, const char *arguments, const char *description, const GOptionEntry *entries, CodecOptions *codec,
           int least, int most)
{
    g_autoptr(GOptionContext) context = g_option_context_new(arguments);
    g_autoptr(GError) error = NULL;

    g_option_context_set_summary(context, description);
    if (entries)
        g_option_context_add_main_entries(context, entries, NULL);
    if (codec) {
        const GOptionEntry common[] = {
            {"model", 'm', 0, G_OPTION_ARG_FILENAME, &codec->model, "Model: an installed name or a path with a '/'", "NAME"},
            {"threads", 't', 0, G_OPTION_ARG_INT, &codec->threads, "Threads; 0 (default): the processors at hand", "N"},
            {"backend", 0, 0, G_OPTION_ARG_STRING, &codec->backend, "Of the matrix products; the result does not depend on it", "NAME"},
            {"frames", 'n', 0, G_OPTION_ARG_INT, &codec->frames, "Stop after N frames; 0 (default): all", "N"},
            {"verbose", 'v', 0, G_OPTION_ARG_NONE, &codec->verbose, "Say at the end what was done and how fast", NULL},
            G_OPTION_ENTRY_NULL,
        };

        g_option_context_add_main_entries(context, common, NULL);
    }
    if (!g_option_context_parse(context, argc, argv, &error)) {
        tool_say("%s", error->message);
        return FALSE;
    }
    if (*argc > 1 && strcmp((*argv)[1], "--") == 0) { /* GLib leaves it where a dash follows */
        (*argv)++;
        (*argc)--;
    }
    if (*argc - 1 < least || *argc - 1 > most) {
        tool_say("usage: %s [OPTION...] %s", g_get_prgname(), arguments);
        return FALSE;
    }
    return !codec || check_codec_options(codec);
}

const char *
tool_input_name(const char *path)
{
    return strcmp(path, "-") == 0 ? "standard input" : path;
}

const char *
tool_output_name(const char *path)
{
    return strcmp(path, "-") == 0 ? "standard output" : path;
}

FILE *
tool_open_input(const char *path)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    struct stat status;

    if (!file) {
        tool_say("%s: %s", path, g_strerror(errno));
    } else if (fstat(fileno(file), &status) == 0 && S_ISDIR(status.st_mode)) {
        tool_say("%s: %s", path, g_strerror(EISDIR));
        fclose(file);
        return NULL;
    }
    return file;
}

gboolean
tool_input_ready(FILE *file)
{
    struct pollfd input = {.fd = fileno(file), .events = POLLIN};

    return poll(&input, 1, MOMENT) != 0;
}

gboolean
output_open(Output *out, const char *path, FILE *input)
{
    gboolean standard = strcmp(path, "-") == 0;
    struct stat to, from;

    *out = (Output) {.path = path};
    if (standard && isatty(STDOUT_FILENO)) {
        tool_say("standard output is a terminal; give a file name or a pipe");
        return FALSE;
    }
    if ((standard ? fstat(STDOUT_FILENO, &to) : stat(path, &to)) == 0 && S_ISREG(to.st_mode) && fstat(fileno(input), &from) == 0 &&
        to.st_dev == from.st_dev && to.st_ino == from.st_ino) {
        tool_say("%s: is the input as well", tool_output_name(path));
        return FALSE;
    }
    out->file = standard ? stdout : fopen(path, "wb");
    if (!out->file) {
        tool_say("%s: %s", path, g_strerror(errno));
        return FALSE;
    }
    out->regular = !standard && fstat(fileno(out->file), &to) == 0 && S_ISREG(to.st_mode);
    return TRUE;
}

static void
write_failed(Output *out)
{
    tool_say("%s: %s", tool_output_name(out->path), g_strerror(errno));
    out->failed = TRUE;
}

gboolean
output_write(Output *out, const void *data, gsize size)
{
    if (fwrite(data, 1, size, out->file) != size || fflush(out->file) != 0)
        write_failed(out);
    return !out->failed;
}

ToolStatus
output_close(Output *out, guint64 frames, gboolean complete)
{
    if (fclose(out->file) != 0 && !out->failed)
        write_failed(out);
    complete = complete && !out->failed;
    if (!complete && frames == 0 && out->regular)
        remove(out->path);
    else if (!complete)
        tool_say("%s: incomplete, %" G_GUINT64_FORMAT " whole frames were written", tool_output_name(out->path), frames);
    return complete ? TOOL_OK : TOOL_FAILED;
}

ToolStatus
tool_end_of_text(ToolStatus status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    tool_say("%s: %s", tool_output_name("-"), g_strerror(errno));
    return TOOL_FAILED;
}

void
progress_begin(Progress *progress, gboolean verbose)
{
    *progress = (Progress) {.live = isatty(STDERR_FILENO) == 1, .verbose = verbose, .start = g_get_monotonic_time()};
}

void
progress_video(Progress *progress, const M2tVideoInfo *video)
{
    progress->rate = video->has_rate && video->rate_n > 0 ? (double) video->rate_n / video->rate_d : 0;
    progress->width = video->width;
    progress->height = video->height;
}

/* "12 frames, 640x360, 812.3 kbit/s, 0.1175 bit/px, 9.52 frames/s" */
static void
progress_print(const Progress *progress)
{
    double seconds = (double) (g_get_monotonic_time() - progress->start) / G_USEC_PER_SEC;
    double frames = (double) MAX(progress->frames, 1), bits = 8.0 * (double) progress->bytes;

    fprintf(stderr, "%" G_GUINT64_FORMAT " frames, %ux%u, ", progress->frames, progress->width, progress->height);
    if (progress->rate > 0)
        fprintf(stderr, "%.1f kbit/s, ", bits / frames * progress->rate / 1000);
    fprintf(stderr, "%.4f bit/px, %.2f frames/s", bits / frames / MAX(1.0, (double) progress->width * progress->height),
            (double) progress->frames / MAX(seconds, 1e-6));
}

void
progress_frame(Progress *progress, gsize bytes)
{
    gint64 now = g_get_monotonic_time();

    progress->frames++;
    progress->bytes += bytes;
    if (!progress->live || now - progress->shown < G_USEC_PER_SEC / 5)
        return;
    progress->shown = now;
    fputs(CLEAR_LINE, stderr);
    progress_print(progress);
    progress_line = TRUE;
}

void
progress_end(Progress *progress, const char *what)
{
    if (progress_line)
        fputs(CLEAR_LINE, stderr);
    progress_line = FALSE;
    if ((progress->live || progress->verbose) && progress->frames > 0) {
        fprintf(stderr, "m2t: %s ", what);
        progress_print(progress);
        fputc('\n', stderr);
    }
}
