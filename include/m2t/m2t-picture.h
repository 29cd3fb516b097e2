/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pictures are the caller's memory: three planes of 8-bit 4:2:0. And the description of a video that the
 * sequence header carries. */
#ifndef M2T_PICTURE_H
#define M2T_PICTURE_H

#include <m2t/m2t-version.h>

G_BEGIN_DECLS

#define M2T_SIZE_MIN 16   /* luma samples, both directions */
#define M2T_SIZE_MAX 8192

/* Y, U and V planes of width x height and twice (width + 1) / 2 x (height + 1) / 2 samples. Only these samples
 * are read or written. stride: bytes from one row to the next, may be negative. */
typedef struct {
    guint8 *data[3];
    gint stride[3];
} M2tPicture;

typedef struct {
    guint8 range;      /* 0 unknown, 1 full, 2 limited; no others */
    guint8 matrix;     /* ITU-T H.273 code points; 128 and above are the application's own */
    guint8 transfer;
    guint8 primaries;
} M2tColour;

typedef enum { /* a set of flags, as in the sequence header */
    M2T_CHROMA_SITE_HORIZONTAL = 1, /* cosited with luma horizontally */
    M2T_CHROMA_SITE_VERTICAL = 2,
    M2T_CHROMA_SITE_ALTERNATE = 4,
    M2T_CHROMA_SITE_NONE = 8,
} M2tChromaSite;

typedef struct {
    guint16 primaries[4][2]; /* red, green, blue, white point: x, y in 1/50000 */
    guint32 max_luminance;   /* 1/10000 cd/m2 */
    guint32 min_luminance;
} M2tMastering;

typedef struct {
    guint16 max_content; /* cd/m2 */
    guint16 max_average;
} M2tContentLight;

/* What a sequence header says beside the model. What is not there (has_... FALSE) is unknown and stays so. */
typedef struct {
    guint width, height;       /* M2T_SIZE_MIN ... M2T_SIZE_MAX */
    gboolean has_rate;         /* frames per second, rate_n / rate_d, at most G_MAXINT32, rate_d at least 1; 0/1 means variable */
    guint rate_n, rate_d;
    gboolean has_aspect;       /* pixel aspect ratio, both 1 ... G_MAXINT32 */
    guint aspect_n, aspect_d;
    gboolean has_colour;
    M2tColour colour;
    gboolean has_chroma_site;
    guint8 chroma_site;        /* M2tChromaSite flags */
    gboolean has_mastering;
    M2tMastering mastering;
    gboolean has_content_light;
    M2tContentLight content_light;
} M2tVideoInfo;

/* All zero but the size. Any thread. */
M2T_API void m2t_video_info_init(M2tVideoInfo *info, guint width, guint height);

/* TRUE if both would write the same sequence header. Any thread. */
M2T_API gboolean m2t_video_info_equal(const M2tVideoInfo *a, const M2tVideoInfo *b);

G_END_DECLS

#endif
