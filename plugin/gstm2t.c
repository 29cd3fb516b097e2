/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The plugin: what it is called and what is in it. Nothing is read from disk here; models are opened when elements start. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "gstm2tdec.h"
#include "gstm2tenc.h"
#include "gstm2tparse.h"
#include "gstm2ttypefind.h"
#include "gstrtpm2tdepay.h"
#include "gstrtpm2tpay.h"

static gboolean
plugin_init(GstPlugin *plugin)
{
    gboolean ok = GST_ELEMENT_REGISTER(m2tenc, plugin);

    ok &= GST_ELEMENT_REGISTER(m2tdec, plugin);
    ok &= GST_ELEMENT_REGISTER(m2tparse, plugin);
    ok &= GST_ELEMENT_REGISTER(rtpm2tpay, plugin);
    ok &= GST_ELEMENT_REGISTER(rtpm2tdepay, plugin);
    ok &= GST_TYPE_FIND_REGISTER(m2t, plugin);
    return ok;
}

GST_PLUGIN_DEFINE(GST_VERSION_MAJOR, GST_VERSION_MINOR, m2t, "M2T learned video codec", plugin_init, PACKAGE_VERSION, "LGPL",
                  GST_PACKAGE_NAME, GST_PACKAGE_ORIGIN)
