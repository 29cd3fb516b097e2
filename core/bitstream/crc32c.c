/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CRC-32C (Castagnoli), the checksum of headers and slices.
 *
 * Slicing by eight: table[k][b] is what byte b does to the checksum when k more bytes follow, so that eight
 * bytes are eight independent look-ups. Plain C on purpose: a frame is checked in a fraction of a millisecond. */
#include "bitstream/frame.h"

#define CRC32C_POLYNOMIAL 0x82F63B78u /* 0x1EDC6F41 reflected */

typedef guint32 CrcTables[8][256];

static void
fill_tables(CrcTables table)
{
    for (guint32 i = 0; i < 256; i++) {
        guint32 crc = i;

        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? CRC32C_POLYNOMIAL : 0);
        table[0][i] = crc;
    }
    for (int k = 1; k < 8; k++) {
        for (int i = 0; i < 256; i++)
            table[k][i] = table[k - 1][i] >> 8 ^ table[0][table[k - 1][i] & 255];
    }
}

static const guint32 (*get_tables(void))[256]
{
    static CrcTables tables;
    static gsize ready;

    if (g_once_init_enter(&ready)) {
        fill_tables(tables);
        g_once_init_leave(&ready, 1);
    }
    return (const guint32 (*)[256]) tables;
}

guint32
m2t_crc32c(const guint8 *data, gsize size)
{
    const guint32 (*table)[256] = get_tables();
    guint32 crc = 0xFFFFFFFFu;

    for (; size >= 8; size -= 8, data += 8) {
        crc ^= data[0] | (guint32) data[1] << 8 | (guint32) data[2] << 16 | (guint32) data[3] << 24;
        crc = table[7][crc & 255] ^ table[6][crc >> 8 & 255] ^ table[5][crc >> 16 & 255] ^ table[4][crc >> 24] ^
              table[3][data[4]] ^ table[2][data[5]] ^ table[1][data[6]] ^ table[0][data[7]];
    }
    for (; size > 0; size--, data++)
        crc = crc >> 8 ^ table[0][(crc ^ *data) & 255];
    return crc ^ 0xFFFFFFFFu;
}
