/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef GST_M2T_ENC_H
#define GST_M2T_ENC_H

#include <gst/video/gstvideoencoder.h>

G_BEGIN_DECLS

#define GST_TYPE_M2T_ENC (gst_m2t_enc_get_type())
G_DECLARE_FINAL_TYPE(GstM2tEnc, gst_m2t_enc, GST, M2T_ENC, GstVideoEncoder)

GST_ELEMENT_REGISTER_DECLARE(m2tenc)

G_END_DECLS

#endif
