/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The payload descriptor of M2T in RTP (docs/rtp.md, section 2), shared by payloader and depayloader. */
#ifndef GST_M2T_RTP_H
#define GST_M2T_RTP_H

#include <glib.h>

#define GST_M2T_RTP_CAPS "application/x-rtp, media = (string) video, clock-rate = (int) 90000, encoding-name = (string) M2T"
#define GST_M2T_RTP_ENCODING "M2T"
#define GST_M2T_RTP_CLOCK_RATE 90000

/* Flags, frame number, index of the first slice; then the frame header, or in packets without one the offset in the slice. */
#define GST_M2T_RTP_DESCRIPTOR_SIZE 3
#define GST_M2T_RTP_OFFSET_SIZE 4

enum {
    GST_M2T_RTP_HEADER = 1 << 5,    /* a frame header and the start of a slice follow */
    GST_M2T_RTP_KEY = 1 << 4,       /* of a frame that decoding can start at */
    GST_M2T_RTP_PREDICTED = 1 << 3, /* of a frame that leans on the one before */
    GST_M2T_RTP_UNKNOWN = 0xc7,     /* version and reserved bits */
};

/* By bytes: the offset stands at odd addresses. */
static inline guint32
gst_m2t_rtp_read_offset(const guint8 *data)
{
    return (guint32) data[0] << 24 | (guint32) data[1] << 16 | (guint32) data[2] << 8 | data[3];
}

static inline void
gst_m2t_rtp_write_offset(guint8 *data, guint32 offset)
{
    for (guint i = 0; i < GST_M2T_RTP_OFFSET_SIZE; i++)
        data[i] = (guint8) (offset >> (24 - 8 * i));
}

#endif
