/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The payload of a slice: exceptions, then interleaved rANS (docs/bitstream.md, section 7). The prior says for each latent a
 * mean (in 1/16) and a level; rows of channels go in and come out in coding order. */
#ifndef M2T_ENTROPY_SLICE_H
#define M2T_ENTROPY_SLICE_H

#include "base/arena.h"
#include "model/model.h"

/* Cumulative frequencies and look-ups for all (level, fraction), which are the same for all coders of a model. */
typedef struct _M2tEntropyTables M2tEntropyTables;

M2tEntropyTables *m2t_entropy_tables_new(const M2tEntropyWeights *weights);
void m2t_entropy_tables_free(M2tEntropyTables *tables);

/* One coded latent. */
typedef struct _M2tSymbol M2tSymbol;

/* A queue of symbols in sections, one behind the other, which can be filled at the same time. */
typedef struct {
    gsize latents;
    M2tSymbol *symbols;         /* [latents] */
    int sections, sections_max;
    gsize *section;             /* [sections + 1]: where they begin, and the last one ends */
    gsize *count;               /* [sections]: symbols in each */
    gint16 *exceptions;         /* [latents], by position, valid where the set has a bit: they come in coding order, */
    guint *exception_set;       /* atomic, [latents / 32], but are written by position */
    gint exception_count;       /* atomic */
} M2tSliceWriter;

/* Room for @latents latents in @sections sections. */
void m2t_slice_writer_layout(M2tSliceWriter *writer, M2tArena *arena, gsize latents, int sections);

void m2t_slice_writer_begin(M2tSliceWriter *writer);

/* The next section has room for @latents latents. */
void m2t_slice_writer_add_section(M2tSliceWriter *writer, gsize latents);

/* The symbols of a section (symbol.h), in the order in which they will be read: who fills in the first @count says so. Threads may be at different
 * sections at the same time. */
M2tSymbol *m2t_slice_writer_symbols(M2tSliceWriter *writer, int section, gsize count);

/* A latent that is not zero although its level is not coded. @position: as in "exceptions". Any thread. */
void m2t_slice_writer_add_exception(M2tSliceWriter *writer, gsize position, gint16 latent);

/* The number of lanes that suits the symbols so far, as its code for the frame header. */
int m2t_slice_writer_lanes(const M2tSliceWriter *writer);

/* Appends the slice to @out. */
void m2t_slice_writer_end(M2tSliceWriter *writer, int lanes, GByteArray *out);

typedef struct _M2tSliceReader M2tSliceReader;

M2tSliceReader *m2t_slice_reader_new(const M2tEntropyTables *tables);
void m2t_slice_reader_free(M2tSliceReader *reader);

/* Clears @latents ([count]), puts the exceptions in place and starts the lanes. @lanes: code from the frame header. @data must stay until
 * the end. FALSE: damaged. */
gboolean m2t_slice_reader_begin(M2tSliceReader *reader, const guint8 *data, gsize size, int lanes, gint16 *latents, gsize count);

/* One row of n channels, at most M2T_LATENTS_MAX: writes those of @latent whose level is coded, leaves the others, and writes @centroid: where the latents
 * that became this entry lie on average, most often a little nearer to what the prior expected; what is added to each latent for the synthesis, in
 * 1/M2T_LATENT_ONE, nothing where one is not coded. @state: of the chain (dependent.h), is moved on. Reading past the end yields zeros and is
 * remembered. */
void m2t_slice_reader_get(M2tSliceReader *reader, guint8 *state, const gint32 *mean, const guint8 *level, gint16 *latent, gint8 *centroid, int n);

/* TRUE if every byte was used, none was missing and all states ended as they must. */
gboolean m2t_slice_reader_end(M2tSliceReader *reader);

#endif
