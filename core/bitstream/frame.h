/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Headers of a frame, written and read (docs/bitstream.md, sections 2 and 3). Names are those of the document. */
#ifndef M2T_BITSTREAM_FRAME_H
#define M2T_BITSTREAM_FRAME_H

#include <m2t/m2t-error.h>
#include <m2t/m2t-model.h>
#include <m2t/m2t-picture.h>
#include <m2t/m2t-stream.h>

typedef struct {
    gboolean inter;           /* leans on the frame before */
    gboolean exact;           /* slices say which of their tokens are exact */
    gboolean has_sequence;
    guint8 model[M2T_MODEL_IDENTITY_SIZE];
    M2tVideoInfo video;
    guint8 number;
    guint8 q;                 /* quarter steps, 0...252 */
    int lanes;                /* code, 0...2 */
    guint slices;             /* 1...M2T_SLICES_MAX */
} M2tFrameHeader;

typedef struct {
    const guint8 *data;       /* NULL: the slice is missing */
    gsize size;
    guint32 crc;              /* that @data have, or should have */
} M2tSliceBytes;

/* Appends the whole frame: headers, check, and each of header->slices slices behind its checksum. */
void m2t_frame_write(GByteArray *out, const M2tFrameHeader *header, const M2tSliceBytes *slice);

/* Reads and checks the headers only. @slice ([M2T_SLICES_MAX], or NULL) receives where the slices are and the checksums they should have.
 * The whole frame must be there: a byte too few or too many is an error. FALSE: M2T_ERROR_STREAM or _UNSUPPORTED, with the field's name;
 * @header then has_sequence if the check proves that the frame opens one, and says of it what could be read. */
gboolean m2t_frame_read(const guint8 *data, gsize size, M2tFrameHeader *header, M2tSliceBytes *slice, GError **error);

/* CRC-32C of @size bytes. */
guint32 m2t_crc32c(const guint8 *data, gsize size);

#endif
