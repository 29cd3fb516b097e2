/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef GST_M2T_TYPE_FIND_H
#define GST_M2T_TYPE_FIND_H

#include <gst/gst.h>

G_BEGIN_DECLS

GST_TYPE_FIND_REGISTER_DECLARE(m2t)

G_END_DECLS

#endif
