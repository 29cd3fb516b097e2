/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef GST_RTP_M2T_PAY_H
#define GST_RTP_M2T_PAY_H

#include <gst/rtp/gstrtpbasepayload.h>

G_BEGIN_DECLS

#define GST_TYPE_RTP_M2T_PAY (gst_rtp_m2t_pay_get_type())
G_DECLARE_FINAL_TYPE(GstRtpM2tPay, gst_rtp_m2t_pay, GST, RTP_M2T_PAY, GstRTPBasePayload)

GST_ELEMENT_REGISTER_DECLARE(rtpm2tpay)

G_END_DECLS

#endif
