/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the elements share: the media types, and the three languages in which a video is described. M2tVideoInfo (the sequence
 * header) is the middle one: caps come in through overlay, GstVideoInfo and caps go out. Every value of caps survives the way
 * through a header and back; what was not stated stays not stated. */
#ifndef GST_M2T_VIDEO_H
#define GST_M2T_VIDEO_H

#include <gst/video/video.h>
#include <m2t/m2t.h>

G_BEGIN_DECLS

#define GST_M2T_CAPS_NAME "video/x-m2t"
#define GST_M2T_FOURCC_NAME "video/x-gst-fourcc-m2tv" /* what qtdemux makes of our samples */
#define GST_M2T_FOURCC GST_MAKE_FOURCC('m', '2', 't', 'v')
#define GST_M2T_PART_CAPS "video/x-mp4-part, format = (uint) 0x7674326d; video/x-qt-part, format = (uint) 0x7674326d"
#define GST_M2T_RAW_CAPS                                                                                                  \
    "video/x-raw, format = (string) I420, width = (int) [ 16, 8192 ], height = (int) [ 16, 8192 ], "                        \
    "framerate = (fraction) [ 0/1, MAX ]"
#define GST_M2T_CODEC_TAG "M2T"
#define GST_M2T_RATE_ASSUMED 25 /* frames a second, where nothing is known */

/* Fields that @caps state replace those of @info. Of caps that went through an MP4 file only the frame rate is believed: the
 * muxers keep nothing else as it was. The size is left alone. */
void gst_m2t_info_overlay(M2tVideoInfo *info, const GstCaps *caps);

/* Pixel aspect (if stated), colorimetry and chroma site; nothing else of @video is touched. */
void gst_m2t_info_to_gst(const M2tVideoInfo *info, GstVideoInfo *video);

/* Mastering display and content light level, if stated. */
void gst_m2t_info_add_hdr(const M2tVideoInfo *info, GstCaps *caps);

/* All that is stated, the size too. */
void gst_m2t_info_add_to_caps(const M2tVideoInfo *info, GstCaps *caps);

/* What to send through @srcpad: the form that the peer likes best, or the byte stream if the peer takes everything.
 * If it takes none, the framed form, and setting it will fail. Returns: new caps without size and rate. */
GstCaps *gst_m2t_output_caps(GstPad *srcpad, gboolean *byte_stream);

/* How long a frame lasts in a stream that has no times of its own; GST_M2T_RATE_ASSUMED where the rate is variable or not stated. */
GstClockTime gst_m2t_info_frame_time(const M2tVideoInfo *info);

/* The planes of a frame that stays mapped. */
M2tPicture gst_m2t_picture(GstVideoFrame *video);

/* How long it takes until @frames more have come; where the rate is unknown, as at GST_M2T_RATE_ASSUMED. */
GstClockTime gst_m2t_latency(const GstVideoInfo *video, guint frames);

/* Opens @model_file (NULL: the default model); on failure posts RESOURCE/NOT_FOUND on @element, logs it in @category, and returns NULL. */
M2tModel *gst_m2t_open_model(GstElement *element, GstDebugCategory *category, const char *model_file);

G_END_DECLS

#endif
