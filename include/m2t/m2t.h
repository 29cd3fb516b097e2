/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libm2t: a learned video codec that decodes to the same bits on every CPU. This header includes all others.
 *
 * A program that encodes: m2t_model_open(), m2t_encoder_new(), m2t_encoder_encode() per picture.
 * A program that decodes: m2t_decoder_new(), then per frame m2t_decoder_open_frame() (what is it, how large)
 * and m2t_decoder_decode() into planes of the caller's.
 * Packets are in the framed form; m2t-stream.h converts to and from the byte-stream form of .m2tv files.
 *
 * Threads: objects may be used from any thread, one thread at a time; different objects at the same time. A model
 * may be shared by any number of them. */
#ifndef M2T_H
#define M2T_H

#include <m2t/m2t-decoder.h>
#include <m2t/m2t-encoder.h>
#include <m2t/m2t-error.h>
#include <m2t/m2t-model.h>
#include <m2t/m2t-picture.h>
#include <m2t/m2t-stream.h>
#include <m2t/m2t-version.h>

#endif
