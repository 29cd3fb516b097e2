/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef GST_M2T_PARSE_H
#define GST_M2T_PARSE_H

#include <gst/base/gstbaseparse.h>

G_BEGIN_DECLS

#define GST_TYPE_M2T_PARSE (gst_m2t_parse_get_type())
G_DECLARE_FINAL_TYPE(GstM2tParse, gst_m2t_parse, GST, M2T_PARSE, GstBaseParse)

GST_ELEMENT_REGISTER_DECLARE(m2tparse)

G_END_DECLS

#endif
