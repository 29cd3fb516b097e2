/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* m2t md5 and m2t verify: the MD5 of the planes of all decoded frames, Y, U and V of the first, then of the second, .... Frames that
 * lack something are reported and count as a decoder shows them. The lists have lines of the form that md5sum has: 32 digits, two
 * blanks, a file name. */
#include "source.h"

#include <errno.h>
#include <string.h>

#define MD5_DIGITS 32
#define CHUNK 65536

/* The digits, or NULL after a message if a frame is damaged or there is none. */
static char *
decoded_md5(const char *path, const CodecOptions *options)
{
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_MD5);
    PictureReader reader;
    SourceResult result;
    gboolean complete;

    if (!picture_reader_open(&reader, path, options))
        return NULL;
    while ((result = picture_reader_next(&reader)) == SOURCE_NEXT)
        g_checksum_update(sum, reader.last->frame.data, (gssize) reader.last->frame.size);
    if (result == SOURCE_END && reader.pictures == 0)
        tool_say("%s: no frame could be decoded", reader.reader.name);
    complete = result != SOURCE_FAILED && reader.pictures > 0 && reader.reader.damaged == 0;
    picture_reader_close(&reader);
    return complete ? g_strdup(g_checksum_get_string(sum)) : NULL;
}

ToolStatus
md5_run(int argc, char **argv)
{
    g_auto(CodecOptions) options = {.model = NULL};
    ToolStatus status = TOOL_OK;

    if (!tool_parse(&argc, &argv, "FILE...", "Prints the MD5 of the decoded planes of each stream, in the form that \"m2t verify\" reads.",
                    NULL, &options, 1, G_MAXINT))
        return TOOL_USAGE;
    for (int i = 1; i < argc; i++) {
        g_autofree char *md5 = decoded_md5(argv[i], &options);

        if (md5)
            printf("%s  %s\n", md5, argv[i]);
        else
            status = TOOL_FAILED;
    }
    return tool_end_of_text(status);
}

/* All of a text, or NULL after a message. */
static char *
read_text(const char *path)
{
    g_autoptr(GString) text = NULL;
    FILE *file = tool_open_input(path);
    char chunk[CHUNK];
    gboolean failed;
    gsize size;

    if (!file)
        return NULL;
    text = g_string_new(NULL);
    while ((size = fread(chunk, 1, sizeof chunk, file)) > 0)
        g_string_append_len(text, chunk, (gssize) size);
    failed = ferror(file) != 0;
    if (failed)
        tool_say("%s: %s", tool_input_name(path), g_strerror(errno));
    fclose(file);
    return failed ? NULL : g_string_free(g_steal_pointer(&text), FALSE);
}

/* Splits "md5  file" in place. */
static gboolean
split_line(char *line, const char **md5, const char **name)
{
    if (strspn(line, "0123456789abcdefABCDEF") != MD5_DIGITS || line[MD5_DIGITS] != ' ')
        return FALSE;
    line[MD5_DIGITS] = '\0';
    *md5 = line;
    *name = g_strchug(line + MD5_DIGITS + 1);
    return **name != '\0';
}

static gboolean
verify_stream(const char *md5, const char *path, const char *name, const CodecOptions *options)
{
    g_autofree char *found = decoded_md5(path, options);

    if (found && g_ascii_strcasecmp(found, md5) == 0) {
        printf("%s: OK\n", name);
        return TRUE;
    }
    printf("%s: FAILED (%s, should be %s)\n", name, found ? found : "not decoded", md5);
    return FALSE;
}

ToolStatus
verify_run(int argc, char **argv)
{
    g_auto(CodecOptions) options = {.model = NULL};
    g_autofree char *text = NULL, *directory = NULL;
    g_auto(GStrv) lines = NULL;
    const char *list;
    guint failed = 0, done = 0;

    if (!tool_parse(&argc, &argv, "LIST",
                    "Decodes the streams of a list (\"md5  file\", paths relative to the list) and compares the MD5 of the planes.", NULL,
                    &options, 1, 1))
        return TOOL_USAGE;
    list = tool_input_name(argv[1]);
    text = read_text(argv[1]);
    if (!text)
        return TOOL_FAILED;
    directory = g_path_get_dirname(argv[1]); /* of "-" the current one */
    lines = g_strsplit(text, "\n", -1);
    for (guint i = 0; lines[i]; i++) {
        const char *md5, *name;
        g_autofree char *path = NULL;

        g_strchomp(lines[i]);
        if (lines[i][0] == '\0' || lines[i][0] == '#')
            continue;
        if (!split_line(lines[i], &md5, &name)) {
            tool_say("%s: line %u is not of the form \"md5  file\"", list, i + 1);
            return TOOL_FAILED;
        }
        path = g_path_is_absolute(name) ? g_strdup(name) : g_build_filename(directory, name, NULL);
        failed += !verify_stream(md5, path, name, &options);
        done++;
    }
    if (done == 0)
        tool_say("%s: there is no stream in it", list);
    if (failed > 0)
        tool_say("%s: %u of %u streams failed", list, failed, done);
    return tool_end_of_text(failed > 0 || done == 0 ? TOOL_FAILED : TOOL_OK);
}
