/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The error domain of the library. Messages say what was wrong and where, in English, for a person. */
#ifndef M2T_ERROR_H
#define M2T_ERROR_H

#include <m2t/m2t-version.h>

G_BEGIN_DECLS

#define M2T_ERROR (m2t_error_quark())

typedef enum {
    M2T_ERROR_NOT_FOUND,    /* a model file is not where it was looked for */
    M2T_ERROR_MODEL,        /* a model file is damaged, hostile or too new */
    M2T_ERROR_WRONG_MODEL,  /* the stream was made with a model that is not at hand */
    M2T_ERROR_UNSUPPORTED,  /* valid in a later version of the bitstream, in another build or with other settings: version, format, backend, size */
    M2T_ERROR_SETTINGS,     /* a setting is out of its range, a picture lacks a plane, or a frame became too large for a packet */
    M2T_ERROR_STREAM,       /* damaged or truncated coded data */
    M2T_ERROR_NO_HEADER,    /* a frame without sequence header came before any key frame, or after one that was refused */
    M2T_ERROR_MEMORY,       /* a frame of this size needs more memory than the system gives. If a small allocation
                             * fails, GLib ends the process */
} M2tError;

/* The quark of M2T_ERROR. Any thread. */
M2T_API GQuark m2t_error_quark(void);

G_END_DECLS

#endif
