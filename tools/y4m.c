/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Y4M files (y4m.h). The header is one line of at most LINE_MAX_SIZE bytes: "YUV4MPEG2", then fields of one letter and a value. */
#include "y4m.h"

#include <errno.h>
#include <string.h>

#define LINE_MAX_SIZE 1024
#define FRAME_LINE_MAX_SIZE 256
#define Y4M_ERROR (y4m_error_quark())

/* How Y4M calls the places of chroma samples. "420" comes first: it stands for whatever has no name here. */
static const struct {
    const char *name;
    gboolean known;
    guint8 site;
} chroma_sites[] = {
    {"420", FALSE, 0},
    {"420jpeg", TRUE, M2T_CHROMA_SITE_NONE},
    {"420mpeg2", TRUE, M2T_CHROMA_SITE_HORIZONTAL},
    {"420paldv", TRUE, M2T_CHROMA_SITE_HORIZONTAL | M2T_CHROMA_SITE_VERTICAL | M2T_CHROMA_SITE_ALTERNATE},
};

/* clang-format off */
G_DEFINE_QUARK(y4m-error-quark, y4m_error)
/* clang-format on */

void
frame_init(Frame *frame, guint width, guint height)
{
    gsize luma = (gsize) width * height, chroma_width = (width + 1) / 2, chroma = chroma_width * ((height + 1) / 2);

    frame->size = luma + 2 * chroma;
    frame->data = g_malloc(frame->size);
    frame->picture = (M2tPicture) {
        .data = {frame->data, frame->data + luma, frame->data + luma + chroma},
        .stride = {(gint) width, (gint) chroma_width, (gint) chroma_width},
    };
}

void
frame_clear(Frame *frame)
{
    g_clear_pointer(&frame->data, g_free);
}

static gboolean fail(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

static gboolean
fail(GError **error, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    if (error)
        *error = g_error_new_valist(Y4M_ERROR, Y4M_ERROR_INPUT, format, arguments);
    va_end(arguments);
    return FALSE;
}

/* One line without its newline. Returns its length, 0 at the end of the file, or -1: longer than @size, cut short, or with a zero byte in
 * it; then @line is its beginning. */
static int
read_line(FILE *file, char *line, int size)
{
    int n = 0, c;

    while ((c = getc(file)) != EOF && c != '\n' && c != '\0' && n < size - 1)
        line[n++] = (char) c;
    line[n] = '\0';
    return c == '\n' || (c == EOF && n == 0) ? n : -1;
}

static gboolean
has_keyword(const char *line, const char *keyword)
{
    gsize length = strlen(keyword);

    return strncmp(line, keyword, length) == 0 && (line[length] == '\0' || line[length] == ' ');
}

static gboolean
parse_number(const char *text, guint *number)
{
    guint64 value;

    if (!g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT32, &value, NULL))
        return FALSE;
    *number = (guint) value;
    return TRUE;
}

/* "30000:1001". 0:0 is the format's way to say unknown: @known FALSE. */
static gboolean
parse_ratio(const char *text, gboolean *known, guint *numerator, guint *denominator)
{
    g_auto(GStrv) part = g_strsplit(text, ":", 3);

    if (g_strv_length(part) != 2 || !parse_number(part[0], numerator) || !parse_number(part[1], denominator))
        return FALSE;
    *known = *denominator > 0;
    return *denominator > 0 || *numerator == 0;
}

static gboolean
parse_chroma(const char *value, M2tVideoInfo *video)
{
    for (guint i = 0; i < G_N_ELEMENTS(chroma_sites); i++)
        if (strcmp(value, chroma_sites[i].name) == 0) {
            video->has_chroma_site = chroma_sites[i].known;
            video->chroma_site = chroma_sites[i].site;
            return TRUE;
        }
    return FALSE;
}

static void
parse_extension(const char *value, M2tVideoInfo *video)
{
    gboolean full = strcmp(value, "COLORRANGE=FULL") == 0;

    if (full || strcmp(value, "COLORRANGE=LIMITED") == 0) {
        video->has_colour = TRUE;
        video->colour = (M2tColour) {.range = full ? 1 : 2, .matrix = 2, .transfer = 2, .primaries = 2}; /* 2: unspecified */
    }
}

static gboolean
parse_field(const char *field, M2tVideoInfo *video, GError **error)
{
    const char *value = field + 1;
    gboolean valid = TRUE;

    switch (field[0]) {
    case 'W':
        valid = parse_number(value, &video->width);
        break;
    case 'H':
        valid = parse_number(value, &video->height);
        break;
    case 'F':
        valid = parse_ratio(value, &video->has_rate, &video->rate_n, &video->rate_d);
        break;
    case 'A':
        valid = parse_ratio(value, &video->has_aspect, &video->aspect_n, &video->aspect_d);
        video->has_aspect = video->has_aspect && video->aspect_n > 0;
        break;
    case 'I':
        if (strcmp(value, "t") == 0 || strcmp(value, "b") == 0 || strcmp(value, "m") == 0)
            return fail(error, "interlaced video (%s) is not supported; deinterlace it first", field);
        valid = strcmp(value, "p") == 0 || strcmp(value, "?") == 0;
        break;
    case 'C':
        if (!parse_chroma(value, video))
            return fail(error, "the format %s is not supported, only 8-bit 4:2:0 is (C420, C420jpeg, C420mpeg2, C420paldv)", field);
        break;
    case 'X':
        parse_extension(value, video);
        break;
    default:
        return fail(error, "the Y4M header has an unknown field '%s'", field);
    }
    return valid ? TRUE : fail(error, "the Y4M header has a bad value '%s'", field);
}

static gboolean
read_failed(FILE *file, GError **error)
{
    if (!ferror(file))
        return FALSE;
    g_set_error(error, Y4M_ERROR, Y4M_ERROR_INPUT, "%s", g_strerror(errno));
    return TRUE;
}

gboolean
y4m_read_header(FILE *file, M2tVideoInfo *video, GError **error)
{
    char line[LINE_MAX_SIZE];
    int length = read_line(file, line, sizeof line);
    g_auto(GStrv) field = NULL;
    const char *seen = "";
    char letters[8] = "";

    if (read_failed(file, error))
        return FALSE;
    if (!has_keyword(line, "YUV4MPEG2"))
        return fail(error, "this is not a Y4M file");
    if (length < 0)
        return fail(error, "the header of this Y4M file is truncated, longer than %d bytes, or has a zero byte in it", LINE_MAX_SIZE - 1);
    m2t_video_info_init(video, 0, 0);
    field = g_strsplit(line, " ", -1);
    for (guint i = 1; field[i]; i++) {
        if (field[i][0] == '\0')
            continue;
        if (!parse_field(field[i], video, error))
            return FALSE;
        seen = strchr(letters, field[i][0]);
        if (seen)
            return fail(error, "the Y4M header has the field %c twice", field[i][0]);
        if (field[i][0] != 'X')
            letters[strlen(letters)] = field[i][0]; /* W H F A I C: they fit */
    }
    if (video->width < M2T_SIZE_MIN || video->width > M2T_SIZE_MAX || video->height < M2T_SIZE_MIN || video->height > M2T_SIZE_MAX)
        return fail(error, "the size is %ux%u, it must be within %dx%d and %dx%d", video->width, video->height, M2T_SIZE_MIN, M2T_SIZE_MIN,
                    M2T_SIZE_MAX, M2T_SIZE_MAX);
    return TRUE;
}

Y4mResult
y4m_read_frame(FILE *file, Frame *frame, GError **error)
{
    char line[FRAME_LINE_MAX_SIZE];
    int length = read_line(file, line, sizeof line);

    if (read_failed(file, error))
        return Y4M_FAILED;
    if (length == 0 && feof(file))
        return Y4M_END;
    if (length < 0 && feof(file)) {
        fail(error, "is truncated");
        return Y4M_FAILED;
    }
    if (!has_keyword(line, "FRAME")) {
        fail(error, "does not start with a FRAME line");
        return Y4M_FAILED;
    }
    if (length < 0) {
        fail(error, "has a FRAME line longer than %d bytes, or with a zero byte in it", FRAME_LINE_MAX_SIZE - 1);
        return Y4M_FAILED;
    }
    if (fread(frame->data, 1, frame->size, file) != frame->size) {
        if (!read_failed(file, error))
            fail(error, "is truncated");
        return Y4M_FAILED;
    }
    return Y4M_FRAME;
}

char *
y4m_header(const M2tVideoInfo *video)
{
    GString *line = g_string_new(NULL);
    const char *chroma = chroma_sites[0].name;

    for (guint i = 1; i < G_N_ELEMENTS(chroma_sites); i++)
        if (video->has_chroma_site && video->chroma_site == chroma_sites[i].site)
            chroma = chroma_sites[i].name;
    g_string_printf(line, "YUV4MPEG2 W%u H%u", video->width, video->height);
    g_string_append_printf(line, " F%u:%u", video->has_rate ? video->rate_n : 0, video->has_rate ? video->rate_d : 0);
    g_string_append(line, " Ip");
    if (video->has_aspect)
        g_string_append_printf(line, " A%u:%u", video->aspect_n, video->aspect_d);
    g_string_append_printf(line, " C%s", chroma);
    if (video->has_colour && video->colour.range > 0)
        g_string_append_printf(line, " XCOLORRANGE=%s", video->colour.range == 1 ? "FULL" : "LIMITED");
    g_string_append_c(line, '\n');
    return g_string_free(line, FALSE);
}
