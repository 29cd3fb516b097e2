/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* For transports: between the framed form (one packet, one frame) and the byte-stream form of .m2tv files (docs/bitstream.md, section 1), and between
 * packets and the slices that can be sent on their own (section 2). */
#ifndef M2T_STREAM_H
#define M2T_STREAM_H

#include <m2t/m2t-error.h>

G_BEGIN_DECLS

#define M2T_STREAM_MAGIC_SIZE 8
#define M2T_STREAM_UNIT_HEADER_SIZE 8               /* sync word and length */
#define M2T_STREAM_UNIT_MAX (1u << 26)              /* the longest escaped body */
#define M2T_STREAM_PACKET_MAX (M2T_STREAM_UNIT_MAX / 3 * 2) /* that fits one whatever its bytes are: zeros need an escape every two */

/* The bytes that open a file. Static. */
M2T_API const guint8 *m2t_stream_magic(void);

/* Appends @packet as one unit (sync word, length, escaped body) to @out. FALSE, and nothing is appended, if it is longer than
 * M2T_STREAM_PACKET_MAX and does not fit one; an encoder makes no such packets. Any thread. */
M2T_API gboolean m2t_stream_append(GByteArray *out, const void *packet, gsize size);

typedef enum {
    M2T_STREAM_UNIT,   /* a whole unit stands at data + skip, unit_size bytes long */
    M2T_STREAM_MORE,   /* nothing to be had yet: drop skip bytes and come back with at least unit_size bytes in all */
} M2tStreamResult;

/* Finds the first unit in @data: skips the magic and everything that is no unit. @skip: bytes before it (or before what may
 * become one). @unit_size: length of the whole unit, or how many bytes from data + skip on are needed. Bounded by
 * M2T_STREAM_UNIT_MAX whatever the data claim. A unit that is cut short by the next sync word is skipped.
 * Any thread. */
M2T_API M2tStreamResult m2t_stream_find(const void *data, gsize size, gsize *skip, gsize *unit_size);

/* The framed packet inside a unit that m2t_stream_find() found. Appended to @packet. Any thread. */
M2T_API void m2t_stream_unescape(GByteArray *packet, const void *unit, gsize unit_size);

#define M2T_SLICES_MAX 64

/* Where the parts of a framed packet are. */
typedef struct {
    gboolean key;                     /* carries a sequence header: decoding can start here */
    gboolean inter;                   /* leans on the frame before */
    guint8 number;                    /* frame counter modulo 256 */
    gsize header_size;                /* bytes before the first slice */
    guint slices;
    gsize slice_size[M2T_SLICES_MAX]; /* bytes, with the checksum in front; 0: the slice is missing */
    gsize size;                       /* bytes of the whole packet: header and slices */
} M2tFrameLayout;

/* Reads the header that a framed packet begins with; the slices need not be there. FALSE: M2T_ERROR_STREAM or _UNSUPPORTED. Any thread. */
M2T_API gboolean m2t_frame_layout_read(const void *data, gsize size, M2tFrameLayout *layout, GError **error);

/* Appends a framed packet made of @header (layout->header_size bytes, as m2t_frame_layout_read() found them) and slices (slice[i]: slice_size[i]
 * bytes). Where slice[i] is NULL the packet says that it is missing. Any thread. */
M2T_API void m2t_frame_assemble(GByteArray *out, const void *header, const M2tFrameLayout *layout, const guint8 *const *slice);

G_END_DECLS

#endif
