/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the commands of m2t share: options, messages, output files, progress. */
#ifndef M2T_TOOL_H
#define M2T_TOOL_H

#include <m2t/m2t.h>
#include <stdio.h>

/* The exit status of m2t. */
typedef enum {
    TOOL_OK = 0,
    TOOL_FAILED = 1, /* damaged data, a file that cannot be read or written, a sum that differs */
    TOOL_USAGE = 2,  /* the command line is wrong; nothing was done */
} ToolStatus;

/* One line on stderr, "m2t: " before it; clears a progress line that stands there. */
void tool_say(const char *format, ...) G_GNUC_PRINTF(1, 2);

/* The options of every command that codes or decodes. */
typedef struct {
    char *model, *backend; /* owned */
    int threads, frames;
    gboolean verbose;
} CodecOptions;

void codec_options_clear(CodecOptions *options);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(CodecOptions, codec_options_clear)

/* Parses the options of one command, @entries (may be NULL) and those of @codec (may be NULL), and checks that between @least and
 * @most other arguments are left, which then stand in argv[1...]. --help prints help and ends the program.
 * Returns: FALSE after a message: the status is TOOL_USAGE. */
gboolean tool_parse(int *argc, char ***argv, const char *arguments, const char *description, const GOptionEntry *entries,
                    CodecOptions *codec, int least, int most);

/* "-" is stdin or stdout. What to call them in messages. */
const char *tool_input_name(const char *path);
const char *tool_output_name(const char *path);

/* The file to read, or NULL after a message. */
FILE *tool_open_input(const char *path);

/* Whether there is something to read, or will be in a moment: the end counts. A frame that is done does not wait for the next one to come. */
gboolean tool_input_ready(FILE *file);

/* The file that a command makes. */
typedef struct {
    FILE *file;
    const char *path;
    gboolean failed;  /* a write failed, and was reported */
    gboolean regular; /* may be removed */
} Output;

/* Opens @path for writing. Refuses a terminal and the very file that @input reads. FALSE after a message. */
gboolean output_open(Output *out, const char *path, FILE *input);

/* Writes, and hands on to the system at once, so that a full disk is noticed at the frame it hits. FALSE after a message. */
gboolean output_write(Output *out, const void *data, gsize size);

/* Closes. @frames: whole frames in the file; @complete: FALSE if there should have been more. An incomplete file without any frame is
 * removed, another one kept and reported. Returns TOOL_OK if the file is complete and every byte reached the system. */
ToolStatus output_close(Output *out, guint64 frames, gboolean complete);

/* At the end of a command that prints text on stdout: @status, or TOOL_FAILED after a message if the text did not get through. */
ToolStatus tool_end_of_text(ToolStatus status);

/* Frames per second and bit rate: while running if stderr is a terminal, at the end if @verbose. */
typedef struct {
    gboolean live, verbose;
    gint64 start, shown; /* microseconds */
    guint64 frames, bytes;
    double rate; /* frames per second of the video, 0 if unknown */
    guint width, height;
} Progress;

void progress_begin(Progress *progress, gboolean verbose);
void progress_video(Progress *progress, const M2tVideoInfo *video);
void progress_frame(Progress *progress, gsize bytes);
void progress_end(Progress *progress, const char *what);

/* The commands, one file each. */
ToolStatus encode_run(int argc, char **argv);
ToolStatus decode_run(int argc, char **argv);
ToolStatus info_run(int argc, char **argv);
ToolStatus models_run(int argc, char **argv);
ToolStatus md5_run(int argc, char **argv);
ToolStatus verify_run(int argc, char **argv);

#endif
