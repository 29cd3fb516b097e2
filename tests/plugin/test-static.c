/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The plugin linked into a program: registered by hand, all elements can be made. */
#include <gst/gst.h>

void gst_plugin_m2t_register(void);

int
main(int argc, char **argv)
{
    const char *elements[] = {"m2tenc", "m2tdec", "m2tparse", "rtpm2tpay", "rtpm2tdepay"};

    gst_init(&argc, &argv);
    g_assert_null(gst_element_factory_find(elements[0]));
    gst_plugin_m2t_register();
    for (guint i = 0; i < G_N_ELEMENTS(elements); i++) {
        GstElement *element = gst_element_factory_make(elements[i], NULL);

        g_assert_nonnull(element);
        gst_object_unref(element);
    }
    gst_deinit();
    return 0;
}
