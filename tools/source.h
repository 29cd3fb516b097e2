/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a .m2tv file to packets, and from packets to pictures. What is damaged is reported, counted and skipped. What is missing is
 * reported and counted, and the pictures that lack it are shown as they are. */
#ifndef M2T_SOURCE_H
#define M2T_SOURCE_H

#include "tool.h"
#include "y4m.h"

typedef enum {
    SOURCE_NEXT, /* here is one */
    SOURCE_END,
    SOURCE_FAILED, /* reported; there is no going on */
} SourceResult;

/* The units of a file. */
typedef struct {
    FILE *file;
    const char *name;
    GByteArray *buffer;                  /* what was read, from the last unit on */
    gsize used;                          /* bytes at its start that are done with */
    gboolean end;                        /* nothing left to read */
    guint64 number;                      /* of the last unit, the first is 1 */
    guint64 damaged;                     /* frames and gaps reported so far */
    guint64 missing;                     /* frames that are not there */
    gboolean follows;                    /* the next frame is the one after the last, whose number is @last */
    guint8 last;
    guint64 skipped;                     /* bytes since the last unit that belong to none */
    guint8 first[M2T_STREAM_MAGIC_SIZE]; /* of those */
    GByteArray *packet;                  /* the last one, in framed form */
} PacketReader;

/* FALSE after a message. */
gboolean packet_reader_open(PacketReader *reader, const char *path);
SourceResult packet_reader_next(PacketReader *reader);
gboolean packet_reader_ready(const PacketReader *reader); /* the next packet is there, or on its way */
void packet_reader_close(PacketReader *reader);

/* Reports that the packet of this number is damaged. */
void packet_reader_damaged(PacketReader *reader, guint64 number, const char *why);

/* Reports frames that are missing before the last packet, whose headers are @info, or could not be read (NULL). Before a key frame
 * that leans on nothing none are: another stream may begin there. */
void packet_reader_follow(PacketReader *reader, const M2tFrameInfo *info);

typedef struct {
    GByteArray *packet;
    guint64 number;    /* of the packet, the first is 1 */
    M2tFrameInfo info;
    Frame frame;
} Picture;

/* The pictures of a file, of which some are decoded ahead. */
typedef struct {
    PacketReader reader;
    M2tDecoder *decoder;
    M2tModel *model;                   /* NULL: the one that the stream names */
    Picture picture[M2T_FRAMES_MAX];   /* a ring, those in flight among them */
    const Picture *last;               /* the last one that is decoded */
    guint64 started, pictures;         /* put into the ring; decoded */
    guint64 incomplete;                /* of those: which are not what was coded, since something is missing */
    gboolean told;                     /* the last one is incomplete */
    guint64 limit;                     /* of them; 0: none */
    SourceResult end;                  /* if not SOURCE_NEXT: what comes after those in flight */
    gboolean lost;                     /* waiting for a key frame, and it was said */
} PictureReader;

/* FALSE after a message. */
gboolean picture_reader_open(PictureReader *reader, const char *path, const CodecOptions *options);
SourceResult picture_reader_next(PictureReader *reader);
void picture_reader_close(PictureReader *reader);

#endif
