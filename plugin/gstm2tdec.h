/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef GST_M2T_DEC_H
#define GST_M2T_DEC_H

#include <gst/video/gstvideodecoder.h>

G_BEGIN_DECLS

#define GST_TYPE_M2T_DEC (gst_m2t_dec_get_type())
G_DECLARE_FINAL_TYPE(GstM2tDec, gst_m2t_dec, GST, M2T_DEC, GstVideoDecoder)

GST_ELEMENT_REGISTER_DECLARE(m2tdec)

G_END_DECLS

#endif
