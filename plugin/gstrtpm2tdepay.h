/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef GST_RTP_M2T_DEPAY_H
#define GST_RTP_M2T_DEPAY_H

#include <gst/rtp/gstrtpbasedepayload.h>

G_BEGIN_DECLS

#define GST_TYPE_RTP_M2T_DEPAY (gst_rtp_m2t_depay_get_type())
G_DECLARE_FINAL_TYPE(GstRtpM2tDepay, gst_rtp_m2t_depay, GST, RTP_M2T_DEPAY, GstRTPBaseDepayload)

GST_ELEMENT_REGISTER_DECLARE(rtpm2tdepay)

G_END_DECLS

#endif
