/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Y4M files (YUV4MPEG2): 8-bit 4:2:0, progressive. Errors carry a sentence without the file's name. */
#ifndef M2T_Y4M_H
#define M2T_Y4M_H

#include <m2t/m2t-picture.h>
#include <stdio.h>

/* A picture whose planes stand one behind the other, as in the file. */
typedef struct {
    M2tPicture picture;
    guint8 *data; /* Y, U, V */
    gsize size;
} Frame;

void frame_init(Frame *frame, guint width, guint height);
void frame_clear(Frame *frame);

typedef enum {
    Y4M_ERROR_INPUT,
} Y4mError;

GQuark y4m_error_quark(void);

/* Reads the header line: W, H, F, A, C and XCOLORRANGE go into @video; other X fields are passed over.
 * FALSE with @error if it is damaged or says something that libm2t has no form for. */
gboolean y4m_read_header(FILE *file, M2tVideoInfo *video, GError **error);

typedef enum {
    Y4M_FRAME,
    Y4M_END,
    Y4M_FAILED,
} Y4mResult;

/* Reads the next frame into @frame, which has the size of the video. Y4M_END at the end of the file, Y4M_FAILED with @error. */
Y4mResult y4m_read_frame(FILE *file, Frame *frame, GError **error);

/* The header line for @video, with its newline. Free with g_free(). */
char *y4m_header(const M2tVideoInfo *video);

/* What stands before every frame. */
#define Y4M_FRAME_LINE "FRAME\n"

#endif
