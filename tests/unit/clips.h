/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Clips through encoder and decoder, and what happens to packets on the way. Everything that goes wrong ends the test. */
#ifndef TESTS_CLIPS_H
#define TESTS_CLIPS_H

#include "bitstream/frame.h"
#include "planes.h"

#include <m2t/m2t.h>

/* A model of the directory M2T_TEST_VECTORS. */
M2tModel *clips_open_model(const char *name);

M2tEncoder *clips_open_encoder(M2tModel *model, int width, int height, const M2tEncoderSettings *settings);
M2tDecoder *clips_open_decoder(M2tModel *model, guint threads, guint frames);

void clips_clear(Planes *clip, int pictures);

/* The packets of a clip (GBytes), with as many frames in flight as can be. */
GPtrArray *clips_encode(M2tEncoder *encoder, const Planes *clip, int pictures);

/* Returns how many slices are damaged. */
guint clips_decode(M2tDecoder *decoder, GBytes *packet, Planes *out);

/* Decodes with as many in flight as can be. @damaged: slices of each frame, or -1 where it is broken. */
void clips_decode_all(M2tDecoder *decoder, GPtrArray *packets, Planes *out, int *damaged);

void clips_expect_same(GPtrArray *a, GPtrArray *b);

/* Where slice @slice of a packet is, behind its checksum. @slices: [M2T_SLICES_MAX]. */
const guint8 *clips_find_slice(GBytes *packet, guint slice, M2tFrameHeader *header, M2tSliceBytes *slices);

/* As a transport passes the packet on that has lost slice @lost. */
GBytes *clips_without_slice(GBytes *packet, guint lost);

#endif
