/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The two facts about the library itself. */
#include <m2t/m2t-error.h>
#include <m2t/m2t-version.h>

const char *
m2t_version(void)
{
    return M2T_VERSION_STRING;
}

G_DEFINE_QUARK(m2t-error-quark, m2t_error)
