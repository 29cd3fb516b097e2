/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a sequence header may say of a video; the encoder asks before it writes, the reader after it has read. */
#ifndef M2T_BITSTREAM_VIDEO_INFO_H
#define M2T_BITSTREAM_VIDEO_INFO_H

#include <m2t/m2t-picture.h>

/* NULL if a sequence header can carry @info; otherwise what is wrong with it, such as "width is not 16...8192". Static. */
const char *m2t_video_info_problem(const M2tVideoInfo *info);

#endif
